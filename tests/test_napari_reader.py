"""The napari reader: what napari would be given, without napari."""

from __future__ import annotations

import importlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tifffile
import yaml

from ndviewer_light import opening
from ndviewer_light.compat.napari_reader import get_reader, read
from ndviewer_light.errors import DatasetError
from ndviewer_light.sources.hdf5 import format as hdf5_format
from ndviewer_light.sources.mrc import format as mrc_format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody closes what layers read from, they live as long as napari; here the test does."""
    opened: list[Dataset] = []
    really = opening.open_dataset

    def remembered(path: str) -> Dataset:
        opened.append(really(path))
        return opened[-1]

    monkeypatch.setattr(opening, "open_dataset", remembered)
    yield
    for dataset in opened:
        dataset.close()


def pixels(data: Any) -> np.ndarray:
    return np.asarray(data)


def test_every_channel_is_a_layer_with_its_name_colour_and_scale(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.ome.zarr")
    reader = get_reader(str(tmp_path / "i.ome.zarr"))
    assert reader is not None
    layers = reader(str(tmp_path / "i.ome.zarr"))
    assert [kind for _, _, kind in layers] == ["image", "image"]
    for c, (data, said, _) in enumerate(layers):
        assert data.shape == (2, 2, stores.HEIGHT, stores.WIDTH), "time, z, y, x: of fields there is one"
        np.testing.assert_array_equal(pixels(data[1, 1]), stores.plane(1, 0, c, 1))
        assert said["name"] == stores.CHANNELS[c]
        assert said["scale"] == pytest.approx([1.0, 1.5, 0.325, 0.325])
        expected = [int(stores.COLORS[c][i : i + 2], 16) / 255 for i in (0, 2, 4)]
        assert said["colormap"]["colors"] == [[0, 0, 0, 1], [*expected, 1]]
        assert said["blending"] == "additive"
        assert not said["multiscale"]


def test_the_fields_of_a_plate_are_an_axis_and_levels_are_a_pyramid(tmp_path: Path) -> None:
    stores.write_plate(tmp_path / "plate.ome.zarr", {"A/1": 2, "B/2": 1})
    (data, said, _), *_ = read(str(tmp_path / "plate.ome.zarr"))
    assert 3 in data.shape[:-2]
    assert said["metadata"]["positions"] == ["A1:0", "A1:1", "B2:0"]
    assert len(said["scale"]) == data.ndim
    stores.write_pyramid(tmp_path / "pyramid.ome.zarr")
    (data, said, _), *_ = read(str(tmp_path / "pyramid.ome.zarr"))
    assert said["multiscale"] and len(data) == 2
    assert data[1].shape[-1] * 2 == data[0].shape[-1]
    assert len(said["scale"]) == data[0].ndim


def test_a_window_that_the_dataset_names_is_its_contrast(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    layers = read(str(tmp_path / "rgb.tif"))
    assert [said["colormap"]["name"] for _, said, _ in layers] == ["#FF0000", "#00FF00", "#0000FF"]
    assert all(said.get("contrast_limits") in (None, [0.0, 255.0]) for _, said, _ in layers)


def test_what_is_no_dataset_of_ours_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert get_reader(str(tmp_path / "notes.txt")) is None
    assert get_reader(str(tmp_path / "missing.txt")) is None
    assert get_reader([str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]) is None
    with pytest.raises(DatasetError, match="open their folder"):
        read([str(tmp_path / "a.tif")])


def test_the_manifest_names_functions_that_exist_and_endings_that_are_ours() -> None:
    manifest = yaml.safe_load(files("ndviewer_light").joinpath("napari.yaml").read_text())
    assert manifest["name"] == "ndviewer_light"
    contributions = manifest["contributions"]
    commands = {command["id"]: command["python_name"] for command in contributions["commands"]}
    for reader in contributions["readers"]:
        module, _, name = commands[reader["command"]].partition(":")
        assert callable(getattr(importlib.import_module(module), name))
        for pattern in reader["filename_patterns"]:
            assert get_reader("https://example.org/data" + pattern[1:]) is not None, pattern
        for ending in (*hdf5_format.ENDINGS, *mrc_format.ENDINGS, ".nd2", ".lindi.tar", ".companion.ome"):
            assert f"*{ending}" in reader["filename_patterns"], "napari itself opens only TIFF and pictures"
