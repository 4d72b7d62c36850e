"""Zarr arrays that become shorter: made for more than was acquired, and cut when the run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tensorstore as ts
from follow_disk import SIZE, datasets_that_are_followed, wait_for_size  # noqa: F401

from ndviewer_light import open_dataset
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset


def array_at(path: Path, version: int) -> Any:
    spec = {"driver": "zarr3" if version == 3 else "zarr", "kvstore": {"driver": "file", "path": str(path)}}
    return ts.open(spec, recheck_cached=True, recheck_cached_metadata=True).result()


def resized(path: Path, version: int, n_t: int) -> None:
    """Set how many time points an array has, and write those that are new."""
    array = array_at(path, version)
    before = array.shape[0]
    array = array.resize(exclusive_max=[n_t, 1, 1, SIZE, SIZE]).result()
    for t in range(before, n_t):
        array[t].write(np.full((1, 1, SIZE, SIZE), t + 1, "u2")).result()


def grouped(path: Path, version: int, *images: str) -> list[Path]:
    """OME-Zarr images of four time points each; the folders of their arrays."""
    for image in images:
        stores.write_group(path / image, stores.image_attributes(complete=None), version)
        chunk = (1, 1, 1, SIZE, SIZE)
        stores.create_array(path / image / "0", (0, 1, 1, SIZE, SIZE), chunk=chunk, version=version)
        resized(path / image / "0", version, 4)
    if images != ("",):
        stores.write_group(path, {"bioformats2raw.layout": 3}, version)
    return [path / image / "0" for image in images]


def states(dataset: Dataset) -> dict[PlaneState, int]:
    return dataset.report().counts


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("has_grown", [False, True])
def test_a_group_is_as_long_as_its_array(tmp_path: Path, version: int, has_grown: bool) -> None:
    (array,) = grouped(tmp_path / "a.zarr", version, "")
    with open_dataset(tmp_path / "a.zarr") as dataset:
        dataset.plane(3)
        if has_grown:
            resized(array, version, 6)
            stores.make_old(tmp_path, 10.0)
            assert dataset.refresh().n_t == 6
        resized(array, version, 2)
        stores.make_old(tmp_path, 5.0)
        assert dataset.refresh().n_t == 2
        assert dataset.info.is_completed, "the view stays"
        assert "less of it is there than when it was opened" in dataset.info.warnings[-1]
        assert states(dataset) == {PlaneState.PRESENT: 2}
        with pytest.raises(IndexError):
            dataset.plane(3)
        resized(array, version, 3)
        stores.make_old(tmp_path, 2.0)
        assert dataset.refresh().n_t == 3
        assert states(dataset) == {PlaneState.PRESENT: 3}


@pytest.mark.parametrize("version", [2, 3])
def test_a_followed_group_is_cut_by_itself(tmp_path: Path, version: int, followed) -> None:
    (array,) = grouped(tmp_path / "a.zarr", version, "")
    dataset = followed(tmp_path / "a.zarr")
    dataset.plane(3)
    resized(array, version, 6)
    wait_for_size(dataset, "t", 6)
    resized(array, version, 5)
    wait_for_size(dataset, "t", 5)
    assert int(dataset.plane(4).max()) == 5


def test_a_collection_is_as_long_as_the_longest_of_its_images(tmp_path: Path) -> None:
    first, second = grouped(tmp_path / "a.zarr", 3, "0", "1")
    with open_dataset(tmp_path / "a.zarr") as dataset:
        for p in range(2):
            dataset.plane(3, p)
        for array, n in ((first, 3), (second, 2)):
            resized(array, 3, n)
        stores.make_old(tmp_path, 5.0)
        dataset.refresh()
        for p in range(2):
            dataset.plane(1, p)
        assert max(dataset.info.image(p).n_t for p in range(2)) == dataset.sizes["t"] == 3


def test_metadata_that_were_read_before_others_do_not_cut_a_dataset(tmp_path: Path) -> None:
    """One thread reads an array before it grows, another after that; the first comes last."""
    (array,) = grouped(tmp_path / "a.zarr", 3, "")
    source = open_source(str(tmp_path / "a.zarr"))
    try:
        source.read_plane(PlaneKey())
        arrays = source._arrays  # type: ignore[attr-defined]
        read = arrays.read_image
        early = read(str(tmp_path / "a.zarr"), 0, None)
        resized(array, 3, 6)
        assert source.refresh().n_t == 6

        def late(store: str, level: int, tree: Any) -> Any:
            read(store, level, tree)
            resized(array, 3, 7)  # what was read is no more what is there
            return early

        arrays.read_image = late
        arrays.forget_all()
        source.read_plane(PlaneKey())
        assert source.info.n_t == 6
        arrays.read_image = read
        assert source.refresh().n_t == 7
    finally:
        source.close()
