"""Runs of Squid beside whose images something cannot be read: it is said, until it can be."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tiffs

import ndviewer_light
from ndviewer_light.cli import info
from ndviewer_light.model import AnnouncedRun, PlaneKey, Position, place_of
from ndviewer_light.sources.tiff.announced import AnnouncedTiff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset
    from ndviewer_light.sources.source import Source

    Open = Callable[[Path], Source]

PARAMETERS, CHANNELS = "acquisition parameters.json", "acquisition_channels.yaml"


def write_zarr(folder: Path) -> Path:
    stores.write_per_fov(folder, {"A1": 1})
    return tiffs.write_experiment(folder)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "images": tiffs.write_images,
    "stacks": tiffs.write_stacks,
    "ome": tiffs.write_ome_files,
    "zarr": write_zarr,
}
UNKNOWN = {
    "images": "Pixel size, z step, time step and objective are unknown",
    "stacks": "Pixel size, z step, time step and objective are unknown",
    "ome": "Objective is unknown",
    "zarr": "Objective is unknown",
}


def torn(path: Path) -> str:
    """Cut a file off, and return what it said."""
    whole = path.read_text()
    path.write_text(whole[: whole.index(",") + 1])
    return whole


@pytest.mark.parametrize("kind", WRITERS)
def test_torn_parameters_are_warned_of_until_they_are_whole(
    tmp_path: Path, opened: Open, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    WRITERS[kind](tmp_path)
    path = tmp_path / PARAMETERS
    whole = torn(path)
    source = opened(tmp_path)
    (warning,) = source.info.warnings
    assert warning.startswith(f"{path} is not valid JSON: it is truncated after ")
    assert warning.endswith(UNKNOWN[kind])
    place = place_of(warning)
    assert place is not None and place.file == str(path)
    assert info.main([str(tmp_path)]) == 0
    assert "is not valid JSON: it is truncated" in capsys.readouterr().out
    path.write_text(whole)
    now = source.refresh()
    assert now.warnings == () and now.objective == "20× / 0.8 NA"
    if kind != "zarr":
        assert (now.pixel_size_um, now.z_step_um, now.time_step_s) == (0.325, 1.5, 2.5)
    path.write_text("[]")
    (warning,) = source.refresh().warnings
    assert f"{path} contains a list" in warning


def test_torn_parameters_beside_one_image(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path)
    whole = torn(tmp_path / PARAMETERS)
    source = opened(tiffs.image_path(tmp_path, 0, "A1", 0, 0, tiffs.CHANNELS[1]))
    warning, alone = source.info.warnings
    assert "is not valid JSON" in warning and warning.endswith("Pixel size and objective are unknown")
    (tmp_path / PARAMETERS).write_text(whole)
    assert (source.look().warnings, source.info.pixel_size_um) == ((alone,), 0.325)


def test_parameters_torn_when_the_first_plane_of_a_run_comes(tmp_path: Path) -> None:
    tiffs.write_images(tmp_path, {"A1": 1})
    whole = torn(tmp_path / PARAMETERS)
    run = AnnouncedRun((Position("A1", 0),), (), (), tiffs.CHANNELS, 2, stores.HEIGHT, stores.WIDTH)
    source = AnnouncedTiff(run, str(tmp_path), "images")
    try:
        source.read_plane(PlaneKey())
        (warning,) = source.info.warnings
        assert "is not valid JSON: it is truncated" in warning
        assert source.refresh().pixel_size_um is None
        (tmp_path / PARAMETERS).write_text(whole)
        known = source.refresh()
        assert (known.warnings, known.pixel_size_um, known.z_step_um) == ((), 0.325, 1.5)
        assert source.refresh() is known
    finally:
        source.close()


def test_a_list_of_channels_that_cannot_be_read(
    tmp_path: Path, opened_dataset: Callable[[Path], Dataset]
) -> None:
    path = tiffs.write_images(tmp_path) / CHANNELS
    whole = path.read_text()
    path.write_text("channels:\n- name: 'BF\n")
    dataset = opened_dataset(tmp_path)
    (warning,) = dataset.info.warnings
    assert warning == f"{path} is not valid YAML at line 3. Channels are named and ordered as in the images"
    assert [channel.name for channel in dataset.info.channels] == [*map(tiffs.spelt, tiffs.CHANNELS)]
    path.write_text(whole)
    dataset.refresh()
    assert dataset.info.warnings == ()
    assert [channel.name for channel in dataset.info.channels] == list(tiffs.CHANNELS)
    np.testing.assert_array_equal(dataset.read_planes([PlaneKey(c=1)])[0], stores.plane(c=1))


def test_a_list_cut_off_between_two_channels_lacks_the_second(tmp_path: Path, opened: Open) -> None:
    path = tiffs.write_images(tmp_path) / CHANNELS
    path.write_text(path.read_text().partition('- name: "Fluo')[0])
    source = opened(tmp_path)
    (warning,) = source.info.warnings
    assert warning.startswith(f"{path} does not list 1 channel of the images, so it may be incomplete")
    assert warning.endswith("'Fluorescence_488_nm_Ex'")
    assert tiffs.names_of(source) == ["BF LED matrix full", "Fluorescence_488_nm_Ex"]  # type: ignore[arg-type]


def test_coordinates_written_again_place_the_stores_of_a_run(tmp_path: Path, opened: Open) -> None:
    path = write_zarr(tmp_path) / "coordinates.csv"
    whole = path.read_text()
    path.write_text("region,x (mm)\nA1\n")
    source = opened(tmp_path)
    (warning,) = source.info.warnings
    assert "coordinates.csv is ignored" in warning and source.info.positions[0].x_um is None
    path.write_text(whole)
    assert source.look().warnings == ()
    assert source.info.positions[0].x_um == 500


def test_a_well_that_was_repaired_is_warned_of_no_more(tmp_path: Path, opened: Open) -> None:
    stores.write_plate(tmp_path / "plate.ome.zarr", {"A/1": 1, "B/2": 1})
    well = tmp_path / "plate.ome.zarr" / "A" / "1"
    name = next(each for each in ("zarr.json", ".zattrs") if (well / each).exists())
    shutil.copy(well / name, tmp_path / "copy")
    torn(well / name)
    source = opened(tmp_path)
    assert source.info.warnings
    shutil.copy(tmp_path / "copy", well / name)
    assert source.look().warnings == ()
    assert {position.region for position in ndviewer_light.open_dataset(tmp_path).info.positions} == {
        position.region for position in source.info.positions
    }
