"""Datasets that other libraries wrote (see ``tests/data``): what is read is what zarr-python reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import written

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import channel_name, find_channel

if TYPE_CHECKING:
    from pathlib import Path

    from written import WrittenImage

    from ndviewer_light.engine.dataset import Dataset

NAMES = [f"{archive.parent.name}-{archive.stem}" for archive in written.ARCHIVES]
ISOLATED = ("acquire-zarr-pyramid", "iohub-plate", "bioformats2raw-other-order", "ngio-by-fraction")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    into = tmp_path_factory.mktemp("written")
    archives = zip(NAMES, written.ARCHIVES, strict=True)
    return {name: written.unpacked(archive, into / name) for name, archive in archives}


def test_every_writer_is_here() -> None:
    writers = {archive.parent.name for archive in written.ARCHIVES}
    assert writers == {
        "acquire-zarr",
        "bioformats2raw",
        "iohub",
        "ngff-zarr",
        "ngio",
        "ome-writers",
        "ome-zarr-py",
    }


def check_planes(dataset: Dataset, images: list[WrittenImage]) -> None:
    assert len(dataset.info.positions) == len(images)
    for p, image in enumerate(images):
        for level in range(len(image.arrays)):
            pixels, stored = image.pixels(level), image.stored(level)
            for t, c, z in np.ndindex(pixels.shape[:3]):
                if not stored[t].any():  # nobody was there at that time
                    with pytest.raises(PlaneNotStoredError):
                        dataset.plane(t, p, dataset_channel(dataset, p, c), z, level=level)
                    continue
                plane = dataset.plane(t, p, dataset_channel(dataset, p, c), z, level=level)
                assert plane.dtype == pixels.dtype
                assert np.array_equal(plane, pixels[t, c, z]), (image.path, level, t, c, z)


def dataset_channel(dataset: Dataset, p: int, c: int) -> int:
    """Where channel `c` of an image is among all channels."""
    name = channel_name(dataset.image(p).channels, c)  # from here on the dataset knows it
    found = find_channel(dataset.info.channels, *name)
    assert found is not None
    return found


def test_every_level_has_the_sizes_and_scale_of_its_metadata(unpacked: dict[str, Path]) -> None:
    for root in unpacked.values():
        with open_dataset(root) as dataset:
            for p, image in enumerate(written.images_in(root)):
                levels = dataset.levels(p)
                assert [level.sizes for level in levels] == [
                    image.sizes(number) for number in range(len(image.arrays))
                ]
                for number, level in enumerate(levels):
                    for axis, span in level.scale._asdict().items():
                        step, first = image.step(axis, number), image.step(axis)
                        if step is not None and first is not None:
                            assert span == pytest.approx(step / first), (root, image.path, number, axis)


def test_every_lazy_array_has_what_zarr_python_reads(unpacked: dict[str, Path]) -> None:
    for root in unpacked.values():
        with open_dataset(root) as dataset:
            for p, image in enumerate(written.images_in(root)):
                for number in range(len(image.arrays)):
                    array = dataset.to_xarray(number, missing="fill", position=p)
                    found = array.values[:, 0].swapaxes(1, 2)
                    assert np.array_equal(found, image.pixels(number)), (root, image.path, number)


@pytest.mark.parametrize("name", NAMES)
def test_every_plane_is_the_one_that_zarr_python_reads(unpacked: dict[str, Path], name: str) -> None:
    with open_dataset(unpacked[name]) as dataset:
        check_planes(dataset, written.images_in(unpacked[name]))


@pytest.mark.parametrize("name", ISOLATED)
def test_a_separate_process_reads_the_same(unpacked: dict[str, Path], name: str) -> None:
    with open_dataset(unpacked[name], isolate=True) as dataset:
        check_planes(dataset, written.images_in(unpacked[name]))
