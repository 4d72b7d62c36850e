"""Lists of images of which one has an invalid path: that one cannot be read, and says why; the rest opens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError, MetadataError, UntrustedReferenceError
from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OUTSIDE = ["../other.zarr/B/1", "A/../../other.zarr/B/1", "C:/B/1", "\\\\server\\B\\1", "B\0/1"]


def change(folder: Path, version: int, what: Callable[[dict[str, Any]], None]) -> None:
    """Change the attributes of a group in its file."""
    file = folder / ("zarr.json" if version == 3 else ".zattrs")
    document = json.loads(file.read_text())
    attributes = document["attributes"] if version == 3 else document
    what(attributes.get("ome", attributes))
    file.write_text(json.dumps(document))


def a_plate(tmp_path: Path, path: object, version: int = 3) -> Path:
    """A plate of A1, B1 and C1, and a well of another one beside it; B1 has that path."""
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 1, "B/1": 1, "C/1": 1}, version=version)
    stores.write_plate(tmp_path / "other.zarr", {"B/1": 1}, version=version)

    def replace(attributes: dict[str, Any]) -> None:
        attributes["plate"]["wells"][1]["path"] = path

    change(tmp_path / "p.zarr", version, replace)
    return tmp_path / "p.zarr"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("path", [*OUTSIDE, 7, None])
def test_a_well_with_an_invalid_path_cannot_be_read_and_the_others_can(
    tmp_path: Path, path: object, version: int
) -> None:
    error = UntrustedReferenceError if isinstance(path, str) else MetadataError
    with open_dataset(a_plate(tmp_path, path, version)) as dataset:
        assert [position.region for position in dataset.info.positions] == ["A1", "B1", "C1"]
        assert any(warning.endswith("cannot be read: 'B1'") for warning in dataset.info.warnings)
        np.testing.assert_array_equal(dataset.plane(p="A1:0"), stores.plane())
        np.testing.assert_array_equal(dataset.plane(p="C1:0"), stores.plane(p=2))
        with pytest.raises(error, match=r"p\.zarr"):
            dataset.plane(p="B1:0")
        with pytest.raises(error):
            dataset.image(1)
        [shown] = dataset.planes([PlaneKey(p=1)], wait=None)
        assert shown.state is PlaneState.UNREADABLE and shown.reason
        assert dataset.refresh().positions == dataset.info.positions


def test_the_first_well_may_be_the_one_that_is_refused(tmp_path: Path) -> None:
    plate = a_plate(tmp_path, "B/1")
    change(plate, 3, lambda attributes: attributes["plate"]["wells"][0].update(path="../other.zarr/B/1"))
    with open_dataset(plate) as dataset:
        np.testing.assert_array_equal(dataset.plane(p="B1:0"), stores.plane(p=1))
        with pytest.raises(UntrustedReferenceError):
            dataset.plane(p="A1:0")


@pytest.mark.parametrize("path", OUTSIDE)
def test_where_a_refused_well_is_said_nowhere_its_path_names_it(tmp_path: Path, path: str) -> None:
    plate = a_plate(tmp_path, path)

    def forget(attributes: dict[str, Any]) -> None:
        del attributes["plate"]["wells"][1]["rowIndex"]
        attributes["plate"]["wells"][0]["path"] = "B/1"

    change(plate, 3, forget)
    with open_dataset(plate) as dataset:  # B1 and C1, and what also calls itself B1
        regions = [position.region for position in dataset.info.positions]
        assert len(set(regions)) == 3 and {"B1", "C1"} < set(regions)
        np.testing.assert_array_equal(dataset.plane(p="B1:0"), stores.plane(p=1))


def test_a_plate_of_refused_wells_alone_is_refused(tmp_path: Path) -> None:
    plate = a_plate(tmp_path, "../other.zarr/B/1")
    change(plate, 3, lambda attributes: attributes["plate"].update(wells=[{"path": "../other.zarr/B/1"}]))
    with pytest.raises(UntrustedReferenceError):
        open_dataset(plate)


@pytest.mark.parametrize("version", [2, 3])
def test_a_field_with_an_invalid_path_is_left_out_with_a_sentence(tmp_path: Path, version: int) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2, "B/1": 1}, version=version)

    def replace(attributes: dict[str, Any]) -> None:
        attributes["well"]["images"][0]["path"] = "../../../p.zarr/B/1/0"

    change(tmp_path / "p.zarr" / "A" / "1", version, replace)
    with open_dataset(tmp_path / "p.zarr") as dataset:
        assert [position.label for position in dataset.info.positions] == ["A1:1", "B1:0"]
        assert any("leads out of the dataset" in warning for warning in dataset.info.warnings)
        np.testing.assert_array_equal(dataset.plane(p=0), stores.plane(p=1))


@pytest.mark.parametrize("version", [2, 3])
def test_a_series_with_an_invalid_path_cannot_be_read_and_the_others_can(
    tmp_path: Path, version: int
) -> None:
    stores.write_collection(tmp_path / "c.zarr", 3, version=version)

    def replace(attributes: dict[str, Any]) -> None:
        attributes["series"][1] = "../c.zarr/0"

    change(tmp_path / "c.zarr" / "OME", version, replace)
    with open_dataset(tmp_path / "c.zarr") as dataset:
        assert len(dataset.info.positions) == 3
        np.testing.assert_array_equal(dataset.plane(p=2), stores.plane(p=2))
        with pytest.raises(DatasetError, match="leads out of the dataset"):
            dataset.plane(p=1)


def test_an_image_of_a_scene_with_an_invalid_path_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    ways = [
        {"type": "identity", "input": {"path": path, "name": "own"}, "output": {"name": "world"}}
        for path in ("a", "../other.zarr", "b")
    ]
    scene = {"coordinateSystems": [{"name": "world", "axes": []}], "coordinateTransformations": ways}
    stores.write_group(tmp_path / "s.zarr", {"version": "0.6", "scene": scene})
    for i, name in enumerate("ab"):
        stores.write_image(tmp_path / "s.zarr" / name, p=i)
    stores.write_image(tmp_path / "other.zarr", p=2)
    with open_dataset(tmp_path / "s.zarr") as dataset:
        assert [position.name for position in dataset.info.positions] == ["a", "b"]
        assert any("leads out of the dataset" in warning for warning in dataset.info.warnings)
        np.testing.assert_array_equal(dataset.plane(p=1), stores.plane(p=1))
