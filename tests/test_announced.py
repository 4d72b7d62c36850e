"""A run is found where it is really written, whatever the host announced."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from memory_source import wait_until

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import DatasetError, PlaneNotStoredError
from ndviewer_light.live import announced_source as announced_module
from ndviewer_light.live.acquisition import announce_6d, announce_files, announce_per_fov
from ndviewer_light.live.announced_source import AnnouncedSource
from ndviewer_light.live.experiments import experiment_folder
from ndviewer_light.live.registered_files import RegisteredFiles
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources.zarr.source import ZarrSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from ndviewer_light.model import AnnouncedRun

CHANNELS = list(stores.CHANNELS[:2])
REGIONS = {"R0": 2, "R1": 1}
LABELS = ["R0:0", "R0:1", "R1:0"]
KEYS = [PlaneKey(t, p, c, z) for t in range(2) for p in range(3) for c in range(2) for z in range(2)]


def announced(*paths: Path | str, size: tuple[int, int] = (stores.HEIGHT, stores.WIDTH)) -> AnnouncedRun:
    return announce_per_fov([str(path) for path in paths], CHANNELS, 2, LABELS, *size)


def as_wells(folder: Path) -> AnnouncedRun:
    """What the GUI of the host announces where region names look like wells."""
    return announced(*(folder / "plate.ome.zarr" / label[0] / label[1] / label[3] for label in LABELS))


def as_regions(folder: Path) -> AnnouncedRun:
    stores_of = (folder / "zarr" / label[:2] / f"fov_{label[3]}.ome.zarr" for label in LABELS)
    return announced(*stores_of)


def as_6d(folder: Path) -> AnnouncedRun:
    paths = [str(folder / "zarr" / region / "acquisition.zarr") for region in REGIONS]
    return announce_6d(paths, CHANNELS, 2, list(REGIONS.values()), stores.HEIGHT, stores.WIDTH, list(REGIONS))


def as_files(folder: Path) -> AnnouncedRun:
    return announce_files(CHANNELS, 2, stores.HEIGHT, stores.WIDTH, LABELS)


def image_path(folder: Path, key: PlaneKey) -> Path:
    region, _, fov = LABELS[key.p].partition(":")
    return folder / str(key.t) / f"{region}_{fov}_{key.z}_{CHANNELS[key.c].replace(' ', '_')}.tiff"


def write_regions(folder: Path) -> None:
    stores.write_per_fov(folder, REGIONS)


def write_wells(folder: Path) -> None:
    stores.write_plate(folder / "plate.ome.zarr", {"R/0": 2, "R/1": 1})


def write_6d(folder: Path) -> None:
    for p, (region, count) in enumerate(REGIONS.items()):
        stores.write_6d(folder, {region: count})
        assert p < 2


def write_images(folder: Path) -> None:
    for key in KEYS:
        path = image_path(folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, stores.plane(*key))


def write_stacks(folder: Path) -> None:
    for t in range(2):
        (folder / str(t)).mkdir(parents=True, exist_ok=True)
        for p, label in enumerate(LABELS):
            region, _, fov = label.partition(":")
            with tifffile.TiffWriter(folder / str(t) / f"{region}_{fov}_stack.tiff") as writer:
                for z in range(2):
                    for c, channel in enumerate(CHANNELS):
                        said = {"z_level": z, "channel": channel, "channel_index": c, "region_id": region}
                        writer.write(
                            stores.plane(t, p, c, z),
                            contiguous=False,
                            description=json.dumps(said),
                            extratags=[(285, "s", 0, channel, True)],
                            metadata=None,
                        )


def write_ome(folder: Path) -> None:
    (folder / "ome_tiff").mkdir(parents=True)
    for p, label in enumerate(LABELS):
        region, _, fov = label.partition(":")
        pixels = np.array(
            [[[stores.plane(t, p, c, z) for c in range(2)] for z in range(2)] for t in range(2)]
        )
        tifffile.imwrite(
            folder / "ome_tiff" / f"{region}_{fov}.ome.tiff",
            pixels,
            metadata={"axes": "TZCYX", "Channel": {"Name": CHANNELS}},
        )


def tell_files(source: AnnouncedSource, run: AnnouncedRun, folder: Path) -> None:
    """What crosses to the reader process with a request, once the host has named the first files."""
    files = RegisteredFiles(run)
    for key in KEYS:
        files.register(key, str(image_path(folder, key)))
        path, page = files.file_of(key)
        source.tell(key, files.folder, path, page)


WRITERS = [write_regions, write_wells, write_6d, write_images, write_stacks, write_ome]
WAYS = [as_wells, as_regions, as_6d, as_files]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("announce", WAYS, ids=lambda announce: announce.__name__)
def test_every_way_of_writing_is_found_from_every_announcement(
    tmp_path: Path, announce: Callable[[Path], AnnouncedRun], write: Callable[[Path], None]
) -> None:
    folder = tmp_path / "exp_2026-01-01_00-00-00.000000"
    folder.mkdir()
    run = announce(folder)
    source = AnnouncedSource(run)
    try:
        for early in (True, False):
            if run.names_files:
                tell_files(source, run, folder)
            if early:  # nothing is written yet
                with pytest.raises(PlaneNotStoredError):
                    source.read_plane(PlaneKey())
                assert source.plane_shape(PlaneKey()) is None
                source.refresh()
                assert source.info.dtype is None
                write(folder)
        in_region = write is write_6d  # whose pixels count positions within the region
        for key in KEYS:
            p = (0, 1, 0)[key.p] if in_region else key.p
            np.testing.assert_array_equal(source.read_plane(key), stores.plane(key.t, p, key.c, key.z))
        info = source.refresh()
        assert info.dtype == np.uint16
        assert (info.n_t, info.n_z, info.height, info.width) == (2, 2, stores.HEIGHT, stores.WIDTH)
        assert [position.label for position in info.positions] == LABELS
        assert [channel.name for channel in info.channels] == CHANNELS
    finally:
        source.close()


@pytest.mark.parametrize(("announce", "write"), [(as_wells, write_wells), (as_files, write_images)])
def test_what_squid_writes_beside_a_run_is_known_of_it(
    tmp_path: Path, announce: Callable[[Path], AnnouncedRun], write: Callable[[Path], None]
) -> None:
    """The objective was not, of a run in Zarr; and fields were a list, not where they are on the stage."""
    run = announce(tmp_path)
    with contextlib.closing(AnnouncedSource(run)) as source:
        if run.names_files:
            tell_files(source, run, tmp_path)
        assert (source.refresh().objective, source.info.positions[0].x_um) == ("", None)
        (tmp_path / "coordinates.csv").write_text("region,x (mm),y (mm)\nR0,1,2\nR0,3,4\n")  # R1 not yet
        parameters = {"objective": {"magnification": 20.0, "NA": 0.8}}
        (tmp_path / "acquisition parameters.json").write_text(json.dumps(parameters))
        source.refresh()
        write(tmp_path)
        source.read_plane(PlaneKey())
        info = source.refresh()
        assert info.objective == "20× / 0.8 NA"
        assert [each.label for each in info.positions] == LABELS
        assert [(each.x_um, each.y_um) for each in info.positions[:2]] == [(1000.0, 2000.0), (3000.0, 4000.0)]
        positions = info.positions
        source.read_plane(PlaneKey(p=1))
        assert source.refresh().positions is positions, "whatever else becomes known"
        assert source.info is source.info
        (tmp_path / "coordinates.csv").write_text("region,x (mm),y (mm)\nR0,1,2\nR0,3,4\nR1,5,6\n")
        assert source.refresh().positions[2].x_um == 5000.0


def test_before_anything_is_written_or_named_it_is_what_the_host_said(tmp_path):
    source = AnnouncedSource(as_files(tmp_path))
    assert source.info.n_t == 1
    assert source.refresh().dtype is None
    assert not source.exists(PlaneKey())
    with pytest.raises(PlaneNotStoredError, match="no file has been registered"):
        source.read_plane(PlaneKey())
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


def test_a_store_at_a_later_position_is_found_while_nobody_looks_there(tmp_path):
    run = as_regions(tmp_path)
    source = AnnouncedSource(run)
    stores.write_image(run.paths[2], p=2)
    assert source.refresh().n_t == 2
    source.close()


class SlowZarr(ZarrSource):
    """Takes its time to be made, so that threads that make one get into each other's way."""

    @classmethod
    def announced(cls, run: AnnouncedRun) -> ZarrSource:
        time.sleep(0.002 * (threading.get_native_id() % 5))
        return super().announced(run)


def test_what_several_threads_tell_at_once_is_all_kept(tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.setattr(announced_module, "ZarrSource", SlowZarr)
    keys = [PlaneKey(0, p, c, 0) for p in range(3) for c in range(2)]
    source = AnnouncedSource(as_files(tmp_path))
    together = threading.Barrier(len(keys))

    def tell(key: PlaneKey) -> None:
        together.wait()
        source.tell(key, str(tmp_path), str(image_path(tmp_path, key)), 99)

    with ThreadPoolExecutor(len(keys)) as threads:
        list(threads.map(tell, keys))
    for key in keys:
        with pytest.raises(DatasetError, match="99"):
            source.read_plane(key)
    source.close()


def test_the_folder_of_the_files_that_are_named_takes_the_place_of_the_announced_one(tmp_path):
    """The host announces stores in one folder, then names files in another (a date was put into its name)."""
    said, true = tmp_path / "said", tmp_path / "true"
    source = AnnouncedSource(as_regions(said))
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey())
    write_images(true)
    for key in KEYS:
        source.tell(key, str(true), None)  # the file follows from how Squid names it
        np.testing.assert_array_equal(source.read_plane(key), stores.plane(*key))
    source.close()


def test_stores_in_the_folder_of_the_named_files_are_found_too(tmp_path):
    said, true = tmp_path / "said", tmp_path / "true"
    source = AnnouncedSource(as_wells(said))
    write_regions(true)
    source.tell(PlaneKey(), str(true), None)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=2)), stores.plane(p=2))
    source.close()


@pytest.mark.parametrize(
    ("announce", "gone", "is_made_anew"),
    [(as_regions, "", False), (as_regions, "zarr", False), (as_files, "", False), (as_regions, "", True)],
)
def test_of_a_run_that_was_there_it_is_said_that_it_is_gone_and_nothing_is_missing(
    tmp_path, announce, gone, is_made_anew
):
    folder = tmp_path / "run"
    run = announce(folder)
    if run.names_files:
        write_images(folder)
    else:
        write_regions(folder)
    source = AnnouncedSource(run)
    if run.names_files:
        tell_files(source, run, folder)
    with Dataset(source, live=True) as dataset:
        pixels = dataset.plane(*KEYS[0])
        for key in KEYS:
            dataset.notify(*key)
        lost = folder / gone
        lost.rename(tmp_path / "away")
        if is_made_anew:  # by its writer, which goes on: chunks without metadata
            for path in run.paths:
                (Path(path) / "0" / "c").mkdir(parents=True)
        [plane] = dataset.planes([KEYS[1]], wait=None)
        assert plane.state is PlaneState.UNREADABLE
        assert str(folder) in plane.reason and "no longer" in plane.reason
        wait_until(lambda: dataset.take_changes() and dataset.info.warnings)
        assert dataset.info.warnings[0].startswith("Not reachable since")
        assert dataset.report(p=0).counts.keys() <= {
            PlaneState.PRESENT,
            PlaneState.UNREADABLE,
            PlaneState.UNKNOWN,
        }
        if is_made_anew:
            shutil.rmtree(lost)
        (tmp_path / "away").rename(lost)
        wait_until(lambda: dataset.take_changes() and not dataset.info.warnings)
        np.testing.assert_array_equal(dataset.plane(*KEYS[0]), pixels)
        assert dataset.planes([KEYS[1]], wait=None)[0].state is PlaneState.PRESENT


def test_another_size_and_type_than_announced_are_those_of_the_store(tmp_path):
    paths = [tmp_path / "zarr" / label[:2] / f"fov_{label[3]}.ome.zarr" for label in LABELS]
    source = AnnouncedSource(announced(*paths, size=(2084, 2084)))
    stores.write_image(paths[0], dtype="uint8")
    assert source.read_plane(PlaneKey()).dtype == np.uint8
    assert (source.info.height, source.info.width) == (stores.HEIGHT, stores.WIDTH)
    assert source.info.dtype == np.uint8
    source.close()


def test_images_that_follow_a_store_of_an_earlier_format_are_found_too(tmp_path):
    """One position as zarr, another as images: each is read from what there is."""
    run = as_regions(tmp_path)
    stores.write_image(run.paths[0])
    key = PlaneKey(p=2)
    path = image_path(tmp_path, key)
    path.parent.mkdir()
    tifffile.imwrite(path, stores.plane(*key, dtype="uint8"))
    source = AnnouncedSource(run)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    assert source.info.dtype == np.uint16
    np.testing.assert_array_equal(source.read_plane(key), stores.plane(*key, dtype="uint8"))
    assert source.info.dtype == np.uint8, "what is known is still that of the earlier format"
    source.close()


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("/d/exp/plate.ome.zarr/A/1/0", "/d/exp"),
        ("/d/exp/plate.zarr/A/1/0", "/d/exp"),
        ("/d/exp/zarr/R0/fov_0.ome.zarr", "/d/exp"),
        ("/d/exp/zarr/R0/acquisition.zarr", "/d/exp"),
        ("/d/zarr/exp/zarr/R0/acquisition.zarr", "/d/zarr/exp"),
        ("/d/other/fov_0.ome.zarr", None),
        ("fov_0.ome.zarr", None),
    ],
)
def test_the_experiment_of_an_announced_store(store, expected):
    assert experiment_folder(store) == expected
