"""Folders of images whose channels or positions differ: each is shown as what its own files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = (20, 30)


def picture(seed: int, dtype: type = np.uint16, *more: int) -> np.ndarray:
    high = 250 if dtype is np.uint8 else 60_000
    return np.random.default_rng(seed).integers(0, high, (*SHAPE, *more)).astype(dtype)


def write(path: Path, pixels: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.shape[-1] == 3 else "minisblack")
    return pixels


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as served:
        yield served


# ---- colour ------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["BF", "overlay"])
@pytest.mark.parametrize("end", ["tif", "png"])
def test_of_some_channels_in_colour_only_those_are(tmp_path: Path, colour: str, end: str) -> None:
    """Wherever they come in the order of names: a colour camera beside fluorescence."""
    grey = {t: write(tmp_path / f"img_t{t}_DAPI.{end}", picture(t)) for t in range(2)}
    bright = {t: write(tmp_path / f"img_t{t}_{colour}.{end}", picture(9 + t, np.uint8, 3)) for t in range(2)}
    with open_dataset(tmp_path) as dataset:
        parts = [f"{colour} ({letter})" for letter in "RGB"]
        assert sorted(channel.name for channel in dataset.info.channels) == sorted(["DAPI", *parts])
        by_name = {channel.name: channel for channel in dataset.info.channels}
        assert [by_name[part].color for part in parts] == ["#FF0000", "#00FF00", "#0000FF"]
        assert {by_name[part].window for part in parts} == {(0, 255)} and by_name["DAPI"].window is None
        for t in range(2):
            np.testing.assert_array_equal(dataset.plane(t=t, c="DAPI"), grey[t])
            for sample, part in enumerate(parts):
                np.testing.assert_array_equal(dataset.plane(t=t, c=part), bright[t][..., sample])
        array = dataset.to_xarray()
        assert array.dtype == np.uint16 and array.sizes["channel"] == 4
        assert not any("in colour" in warning for warning in dataset.info.warnings)


def test_a_grey_channel_called_rgb_is_grey(tmp_path: Path) -> None:
    for t in range(2):
        write(tmp_path / f"img_t{t}_RGB.tif", picture(t))
        write(tmp_path / f"img_t{t}_DAPI.tif", picture(t))
    with open_dataset(tmp_path) as dataset:
        assert {channel.name for channel in dataset.info.channels} == {"RGB", "DAPI"}
    tifffile.imwrite(
        tmp_path / "x.ome.tif",
        np.stack([picture(0), picture(1)]),
        ome=True,
        metadata={"axes": "CYX", "Channel": {"Name": ["RGB camera, green", "DAPI"]}},
        photometric="minisblack",
    )
    with open_dataset(tmp_path / "x.ome.tif") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["RGB camera, green", "DAPI"]


def test_a_position_in_colour_has_channels_of_its_own(tmp_path: Path) -> None:
    grey = write(tmp_path / "A1_s1_DAPI.tif", picture(1))
    bright = write(tmp_path / "A2_s1_DAPI.tif", picture(2, np.uint8, 3))
    others = [write(tmp_path / f"A{well}_s1_GFP.tif", picture(well)) for well in (1, 2)]
    with open_dataset(tmp_path) as dataset:
        np.testing.assert_array_equal(dataset.plane(p=0, c="DAPI"), grey)
        assert [each.name for each in dataset.image(1).channels] == [
            "DAPI (R)",
            "DAPI (G)",
            "DAPI (B)",
            "GFP",
        ]
        for sample, letter in enumerate("RGB"):
            pixels = dataset.plane(p=1, c=f"DAPI ({letter})")
            np.testing.assert_array_equal(pixels, bright[..., sample])
        for p, expected in enumerate(others):
            np.testing.assert_array_equal(dataset.plane(p=p, c="GFP"), expected)
        with pytest.raises(PlaneNotStoredError, match="no channel DAPI"):
            dataset.plane(p=1, c="DAPI")
        arrays = dataset.to_xarray()
        assert [array.sizes["channel"] for array in arrays.values()] == [2, 4]


def test_one_picture_in_colour_in_a_grey_series_is_said(tmp_path: Path) -> None:
    write(tmp_path / "img_t0.tif", picture(0, np.uint8))
    write(tmp_path / "img_t1.tif", picture(1, np.uint8, 3))
    with open_dataset(tmp_path) as dataset:
        assert dataset.plane(t=1).shape == SHAPE
        (warning,) = dataset.info.warnings
        assert "img_t1.tif is in colour" in warning


# ---- pixel types -------------------------------------------------------------------------------


@pytest.mark.parametrize("types", [(np.uint8, np.uint16, np.float32), (np.uint16, np.uint8, np.uint16)])
def test_positions_have_pixels_of_their_own_type(tmp_path: Path, types: tuple[type, ...]) -> None:
    pixels = [write(tmp_path / f"A{i}_s1_DAPI.tif", picture(i, dtype)) for i, dtype in enumerate(types, 1)]
    with open_dataset(tmp_path) as dataset:
        for p, expected in enumerate(pixels):
            found = dataset.plane(p=p)
            assert found.dtype == dataset.image(p).dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        arrays = dataset.to_xarray()
        assert {array.dtype for array in arrays.values()} == set(map(np.dtype, types))
        for array in arrays.values():
            for n, p in enumerate(array.fov.values):
                np.testing.assert_array_equal(array[0, n, 0, 0], pixels[p])


def test_a_position_of_which_one_channel_has_more_bits(tmp_path: Path) -> None:
    first = [write(tmp_path / f"A1_s1_{c}.tif", picture(i, np.uint8)) for i, c in enumerate(("DAPI", "GFP"))]
    second = [
        write(tmp_path / "A2_s1_DAPI.tif", picture(3, np.uint8)),
        write(tmp_path / "A2_s1_GFP.tif", picture(4)),
    ]
    with open_dataset(tmp_path) as dataset:
        assert dataset.image(0).dtype == np.uint8 and dataset.image(1).dtype == np.uint16
        for p, planes in enumerate((first, second)):
            for c, expected in enumerate(planes):
                np.testing.assert_array_equal(dataset.plane(p=p, c=c), expected)
        assert len(dataset.to_xarray()) == 2


def test_a_time_point_of_more_bits_makes_its_position_wider(tmp_path: Path, server: RangeServer) -> None:
    """Nothing is cut off, on a server either; a lazy array that was made before says so."""
    folder = server.folder / tmp_path.name
    pixels = [write(folder / f"img_t{t}.tif", picture(t, np.uint16 if t else np.uint8)) for t in range(2)]
    server.set()
    for path in (folder, server.url(f"{folder.name}/") + "img_t{t:0..1}.tif"):
        with open_dataset(path, storage_options={"disk_cache": "no"}) as dataset:
            before = dataset.to_xarray()
            with pytest.raises(ValueError, match="has pixels of uint16, not uint8"):
                before.compute()
            for t, expected in enumerate(pixels):
                np.testing.assert_array_equal(dataset.plane(t=t), expected)
            assert dataset.image(0).dtype == np.uint16
            np.testing.assert_array_equal(dataset.to_xarray()[:, 0, 0, 0], np.stack(pixels))


# ---- pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [(1, 5), (3, 5), (5, 3)])
def test_files_of_a_series_with_more_pages_than_the_first_are_said(
    tmp_path: Path, numbers: tuple[int, int]
) -> None:
    for t, n in enumerate(numbers):
        write(tmp_path / f"img_t{t}.tif", np.stack([picture(10 * t + z) for z in range(n)]))
    with open_dataset(tmp_path) as dataset:
        assert dataset.info.n_z == numbers[0]
        np.testing.assert_array_equal(dataset.plane(t=1, z=0), picture(10))
        said = [warning for warning in dataset.info.warnings if "planes" in warning]
        if numbers[1] > numbers[0]:
            assert f"img_t1.tif has 5 planes, others of its series {numbers[0]}" in said[0]
        else:
            assert not said
            with pytest.raises(PlaneNotStoredError):
                dataset.plane(t=1, z=4)
