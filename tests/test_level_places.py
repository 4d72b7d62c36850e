"""Where levels lie: a bright spot is at the same place at every level, in pictures, stacks and arrays."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import image_stores
import numpy as np
import pytest
import stores
import tifffile
from hdf5_dialects import write_bigdataviewer, write_imaris
from image_stores import Made

from ndviewer_light import open_dataset
from ndviewer_light.engine import regions
from ndviewer_light.engine.stack_beside import grid_of
from ndviewer_light.gui.scene.scene_details import _share
from ndviewer_light.model import Level, Offset, Region, Scale, Sizes

SHAPE = (8, 48, 64)
STEPS = (2.0, 0.5, 0.25)


def stack(*, averages: bool) -> np.ndarray:
    """A spot (Z, Y, X) that every second voxel has the middle of, or the average of two in each direction."""
    pixels = np.zeros(SHAPE, np.uint16)
    if averages:  # of whole blocks, so that the first voxel of each is their average
        pixels[4:6, 12:16, 20:24] = 1000
    else:  # whose middle is a voxel that is kept
        pixels[3:6, 11:14, 19:22] = 1000
    return pixels


def write_zarr(
    path: Path, pixels: np.ndarray, shift: float | None = None, downscaling: str = "", version: int = 3
) -> None:
    """Two levels; `shift` is the translation of the second, in voxels of level 0."""
    scales = [STEPS, tuple(2 * step for step in STEPS)]
    stage = (7.0, 100.0, -50.0)
    moved = tuple(at + (shift or 0.0) * step for at, step in zip(stage, STEPS, strict=True))
    translations = [] if shift is None else [stage, moved]
    levels = [pixels[None, None], image_stores.halved(pixels[None, None])]
    made = Made(levels, ("A",), scales, translations=translations, downscaling=downscaling, version=version)
    image_stores.write(path, made)


def write_references(path: Path, pixels: np.ndarray) -> None:
    """To every file of a store whose levels are placed."""
    store = path.with_name("store.zarr")
    write_zarr(store, pixels, shift=0.0, version=2)
    refs: dict[str, object] = {}
    for file in sorted(store.rglob("*")):
        name = file.relative_to(store).as_posix()
        if file.name.startswith(".z"):
            refs[name] = file.read_text()
        elif file.is_file():
            refs[name] = [file.relative_to(path.parent).as_posix()]
    path.write_text(json.dumps({"version": 1, "refs": refs}))


def write_tiff(path: Path, pixels: np.ndarray, *, ome: bool) -> None:
    """A page with a sub-page."""
    said = {"axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5} if ome else {"axes": "ZYX"}
    resolution = None if ome else (1e4 / 0.25, 1e4 / 0.5)
    options = {"photometric": "minisblack", "resolution": resolution, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, ome=ome, bigtiff=ome) as tiff:
        tiff.write(pixels, subifds=1, metadata=said, **options)
        tiff.write(np.ascontiguousarray(pixels[:, ::2, ::2]), subfiletype=1, metadata=None)


KINDS = {
    "zarr, averages": (True, "a.zarr", write_zarr),
    "zarr, averages with translations": (True, "a.zarr", lambda *at: write_zarr(*at, shift=0.5)),
    "zarr, every second voxel": (False, "a.zarr", lambda *at: write_zarr(*at, downscaling="decimate")),
    "zarr, every second voxel, by translations": (False, "a.zarr", lambda *at: write_zarr(*at, shift=0.0)),
    "zarr, a translation that cannot be": (True, "a.zarr", lambda *at: write_zarr(*at, shift=40.0)),
    "references": (False, "a.json", write_references),
    "imaris": (True, "a.ims", lambda path, pixels: write_imaris(path, pixels[None, None])),
    "bigdataviewer": (True, "a.h5", lambda path, pixels: write_bigdataviewer(path, {(0, 0): pixels[None]})),
    "tiff": (True, "a.tif", lambda *at: write_tiff(*at, ome=False)),
    "ome-tiff": (True, "a.ome.tif", lambda *at: write_tiff(*at, ome=True)),
}


def middle(pixels: np.ndarray) -> np.ndarray:
    """Where the spot is, in indices."""
    return np.argwhere(pixels > 0).mean(axis=0)


BY_ZARR = ("zarr", "references")
NEEDS = {kind: (stores.needs_zarr_3,) if kind.startswith(BY_ZARR) else () for kind in KINDS}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=NEEDS[kind]) for kind in KINDS])
def test_a_spot_is_at_one_place_at_every_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    averages, name, write = KINDS[kind]
    pixels = stack(averages=averages)
    write(tmp_path / name, pixels)
    monkeypatch.setattr(regions, "ONE_TILE_PIXELS", 1000)
    where = middle(pixels)
    with open_dataset(tmp_path / name) as dataset:
        image, levels = dataset.image(0), dataset.levels()
        assert len(levels) == 2
        steps = [image.z_step_um or 1, image.pixel_size_y_um or 1, image.pixel_size_x_um or 1]
        for level in range(2):
            array = dataset.to_xarray(level=level)
            at = middle(array.values[0, 0, :, 0])
            coords = [array.coords[axis].values for axis in "zyx"]
            found = [np.interp(i, range(len(um)), um) for i, um in zip(at, coords, strict=True)]
            np.testing.assert_allclose(found, np.multiply(where, steps), err_msg=f"level {level}")
            # the picture, in which the place of a pixel is its edge
            drawn = dataset.drawn_level(0, SHAPE[1] >> level, SHAPE[2] >> level)
            assert drawn.level == level
            of_picture = np.multiply(at[1:] + 0.5, drawn.spans) + drawn.corner
            np.testing.assert_allclose(of_picture, where[1:] + 0.5, err_msg=f"picture of level {level}")
            # parts of it in the overview of all fields
            region = Region(0, 0, *levels[level].sizes[1:])
            left, top, width, height = _share(region, levels[level], levels[0])
            share = (at[1:] + 0.5) / (region.height, region.width) * (height, width) + (top, left)
            np.testing.assert_allclose(share * SHAPE[1:], where[1:] + 0.5, err_msg=f"part of level {level}")
            # the stack beside it
            grid = grid_of(image, levels, 0, 0, 1, math.prod(levels[level].sizes) * 2)
            assert (grid.level, grid.step) == (level, 1)
            of_stack = np.multiply(at + 0.5, grid.spans) + grid.corner
            np.testing.assert_allclose(of_stack, where + 0.5, err_msg=f"stack of level {level}")


def test_the_plane_of_a_level_that_is_nearest_is_shown_instead() -> None:
    """Of every fourth plane, the third after one is nearer to the next."""
    every = Level(Sizes(3, 1, 1), Scale(4, 1, 1), Offset())
    averages = Level(Sizes(3, 1, 1), Scale(4, 1, 1))
    assert [every.z_at(z) for z in range(12)] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert [averages.z_at(z) for z in range(12)] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    for level in (every, averages):
        for z in range(12):
            assert z in level.covers(level.z_at(z))
    assert averages.z_at(1, every) == 1


def test_steps_through_a_level_are_drawn_around_what_they_show() -> None:
    level = Level(Sizes(8, 8, 8), Scale(1, 2, 2))
    assert level.corner() == (0, 0, 0)
    assert level.corner(2, 3) == (-0.5, -2, -2)  # of 3 pixels that span 2 each, the first is in the middle


def test_every_second_pixel_of_a_real_file_is_where_it_was_taken(tmp_path: Path) -> None:
    """acquire-zarr says "decimate"; each pixel of a level is that of level 0 at the same place."""
    with zipfile.ZipFile(Path(__file__).parent / "data" / "acquire-zarr" / "five-axes.zip") as packed:
        packed.extractall(tmp_path)
    with open_dataset(next(tmp_path.iterdir())) as dataset:
        coarse, fine = dataset.to_xarray(level=1), dataset.to_xarray()
        assert coarse.sizes["y"] == 17
        np.testing.assert_array_equal(fine.sel(y=coarse.y, x=coarse.x, method="nearest"), coarse)
        np.testing.assert_allclose(coarse.y.values, fine.y.values[::2])
