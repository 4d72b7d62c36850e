"""Pyramids whose small levels were made and never filled: what is stored is shown from a finer one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import image_stores
import numpy as np
import pytest
import stores
from image_stores import Made, halved

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneState
from ndviewer_light.opening import open_dataset

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = stores.needs_zarr_3

SIDE = 4200  # more than is read as one tile


def write(path: Path, pixels: np.ndarray, version: int, empty: tuple[int, ...]) -> None:
    """An image of three levels; those in `empty` have no chunk, as after iohub's ``initialize_pyramid``."""
    levels = [pixels, halved(pixels, 1), halved(pixels, 1, 4, 4)]
    scales = [(1.0, 0.5 * n, 0.5 * n) for n in (1, 2, 4)]
    chunks = (1, 1, 1, 1024, 1024)
    image_stores.write(path, Made(levels, ("GFP",), scales, version=version, chunks=chunks))
    for level in empty:
        for entry in os.scandir(path / str(level)):
            if entry.name not in ("zarr.json", ".zarray", ".zattrs"):
                shutil.rmtree(entry.path) if entry.is_dir() else os.remove(entry.path)


def large() -> np.ndarray:
    rows = np.arange(SIDE, dtype=np.uint32)
    return ((rows[:, None] * 7 + rows * 3) % 250 + 1).astype(np.uint8)[None, None, None]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("isolate", [False, True])
def test_a_large_plane_is_drawn_from_the_finest_level_that_was_filled(
    tmp_path: Path, version: int, isolate: bool
) -> None:
    pixels = large()
    for empty, level in (((2,), 1), ((1,), 2), ((1, 2), 0), ((0, 1, 2), 2)):
        path = tmp_path / f"{''.join(map(str, empty))}.zarr"
        write(path, pixels, version, empty)
        with open_dataset(path, isolate=isolate) as dataset:
            assert dataset.drawn_level(0, 900, 900).level == level, empty
            assert len(dataset.levels()) == 3, "they are there, and empty"
            with pytest.raises(PlaneNotStoredError):
                dataset.plane(level=empty[-1])
            (picture,) = dataset.thumbnails([(0, 0, 0, 0)], edge=128)
            assert (picture.state is PlaneState.PRESENT) == (0 not in empty), picture


@pytest.mark.parametrize("version", [2, 3])
def test_levels_in_an_archive(tmp_path: Path, version: int) -> None:
    for empty, level in (((), 2), ((2,), 1), ((1, 2), 0)):
        path = tmp_path / f"{len(empty)}.zarr"
        write(path, large(), version, empty)
        archive = shutil.make_archive(str(path), "zip", path)
        with open_dataset(archive) as dataset:
            assert dataset.drawn_level(0, 900, 900).level == level, empty
            assert len(dataset.drawn_levels(0)) == 3 - len(empty)


@pytest.mark.parametrize("version", [2, 3])
def test_small_planes_have_small_pictures(tmp_path: Path, version: int) -> None:
    pixels = np.full((1, 1, 1, 700, 800), 9, np.uint16)
    write(tmp_path / "i.zarr", pixels, version, (1, 2))
    with open_dataset(tmp_path / "i.zarr") as dataset:
        (picture,) = dataset.thumbnails([(0, 0, 0, 0)], edge=128)
        assert picture.pixels is not None
        assert (picture.pixels == 9).all()


@pytest.mark.parametrize("version", [2, 3])
def test_a_stack_is_read_from_the_coarsest_level_that_was_filled(tmp_path: Path, version: int) -> None:
    stack = image_stores.pixels(1, 1, 6, 400, 400)
    for empty, usable in (((), 3), ((2,), 2), ((1, 2), 1)):
        path = tmp_path / f"{len(empty)}.zarr"
        write(path, stack, version, empty)
        with open_dataset(path, cache_bytes=200_000) as dataset:
            assert len(dataset.drawn_levels(0)) == usable
            grid = dataset.stack_grid(0, 0, 1)
            assert grid.level == usable - 1
            dataset.plane(z=grid.zs[0], level=grid.level)


def test_a_level_that_is_filled_later_is_drawn_then(tmp_path: Path) -> None:
    pixels = large()
    write(tmp_path / "full.zarr", pixels, 3, ())
    write(tmp_path / "i.zarr", pixels, 3, (2,))
    with open_dataset(tmp_path / "i.zarr") as dataset:
        assert dataset.drawn_level(0, 900, 900).level == 1
        shutil.copytree(tmp_path / "full.zarr" / "2", tmp_path / "i.zarr" / "2", dirs_exist_ok=True)
        assert dataset.drawn_level(0, 900, 900).level == 2
