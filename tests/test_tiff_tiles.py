"""TIFF slides: pyramids in sub-pages; of a region, only the tiles that it touches are read and decoded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from ndviewer_light import open_dataset
from ndviewer_light.engine.overview import OVERVIEW
from ndviewer_light.errors import CorruptDataError, DatasetError, LimitExceededError
from ndviewer_light.model import PlaneKey, PlaneState, Region, Scale, Sizes
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.range_server import RangeServer

KEY = PlaneKey()
SIDE = 30_000
TILE = 512


def picture(height: int, width: int, dtype: Any = np.uint16, samples: int = 1, seed: int = 0) -> np.ndarray:
    """Pixels (Y, X) or (Y, X, S), different everywhere."""
    y, x = np.indices((height, width))
    grey = (y * 3 + x * 7 + seed * 31 + (y * x) % 13) % 251 + 1
    if samples == 1:
        return grey.astype(dtype)
    return np.stack([(grey + 40 * s) % 251 for s in range(samples)], axis=-1).astype(dtype)


WAYS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (64, 64)},
    "deflated tiles": {"tile": (64, 64), "compression": "zlib", "predictor": True},
    "strips": {"rowsperstrip": 10, "compression": "zlib"},
    "one strip": {},
    "jpeg": {"tile": (64, 64), "compression": "jpeg"},
    "lzw": {"tile": (48, 80), "compression": "lzw"},
    "big endian": {"tile": (64, 64), "byteorder": ">"},
    "contiguous, big endian": {"byteorder": ">"},
    "colour": {"tile": (64, 64), "photometric": "rgb", "samples": 3},
    "colour in planes": {"tile": (64, 64), "photometric": "rgb", "planarconfig": "separate", "samples": 3},
    "colour, contiguous planes": {"photometric": "rgb", "planarconfig": "separate", "samples": 3},
}
REGIONS = (
    Region(0, 0, 150, 201),
    Region(0, 0, 64, 64),
    Region(63, 65, 2, 1),
    Region(149, 200, 1, 1),
    Region(10, 0, 100, 201),
    Region(128, 130, 22, 71),
)


def written(path: Path, way: dict[str, Any], **more: Any) -> np.ndarray:
    options = {"photometric": "minisblack", **way}
    samples, order = options.pop("samples", 1), options.pop("byteorder", "<")
    dtype = np.uint8 if options.get("compression") == "jpeg" or samples > 1 else np.uint16
    pixels = picture(150, 201, dtype, samples)
    if options.get("compression") in ("jpeg", "lzw"):
        pytest.importorskip("imagecodecs")
    stored = np.moveaxis(pixels, -1, 0) if options.get("planarconfig") == "separate" else pixels
    with tifffile.TiffWriter(path, byteorder=order) as tiff:
        tiff.write(stored, **options, **more)
    return pixels


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["disk", "server"])
def test_a_region_is_what_the_plane_has_there(
    tmp_path: Path, server: RangeServer, way: str, place: str
) -> None:
    name = f"{way.replace(' ', '_').replace(',', '')}.tif"
    path = (tmp_path if place == "disk" else server.folder) / name
    pixels = written(path, WAYS[way])
    source = open_source(str(path) if place == "disk" else server.url(name))
    for c in range(len(source.info.channels)):
        key = PlaneKey(c=c)
        whole = source.read_plane(key)
        if way != "jpeg":
            np.testing.assert_array_equal(whole, pixels if pixels.ndim == 2 else pixels[..., c])
        for region in REGIONS:
            np.testing.assert_array_equal(source.read_region(key, region), whole[region.slices])
        with pytest.raises(IndexError, match="not within a plane"):
            source.read_region(key, Region(0, 0, 151, 5))
    source.close()


def test_the_tile_of_each_way(tmp_path: Path) -> None:
    for way, tile in (
        ("tiles", (64, 64)),
        ("strips", (10, 201)),
        ("one strip", (1, 201)),
    ):
        written(tmp_path / "a.tif", WAYS[way])
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            page = tiff.pages.first
            assert (page.chunks[0], page.chunks[1]) == tile or way == "one strip"
        source = open_source(str(tmp_path / "a.tif"))
        found = source.tile_shape(0)
        assert found == (150, 201), "tiles of this size are joined until they have a megapixel"
        source.close()


def test_only_the_tiles_of_the_region_are_decoded(tmp_path: Path, server: RangeServer) -> None:
    for folder in (tmp_path, server.folder):
        path = folder / "damaged.tif"
        pixels = written(path, WAYS["deflated tiles"])
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            spoiled = places[:5] + places[6:]
        with path.open("r+b") as file:
            for offset, count in spoiled:
                file.seek(offset)
                file.write(b"\xff" * count)
    for address in (str(tmp_path / "damaged.tif"), server.url("damaged.tif")):
        source = open_source(address)
        region = Region(64, 64, 64, 64)  # tile 5 of rows of four
        np.testing.assert_array_equal(source.read_region(KEY, region), pixels[region.slices])
        with pytest.raises(CorruptDataError):
            source.read_region(KEY, region._replace(width=65))
        source.close()


# ---- pyramids --------------------------------------------------------------------------------------


def write_pyramid(
    path: Path, shapes: list[tuple[int, int]], *, ome: bool, n_pages: int = 1, **more: Any
) -> list:
    """Pages with their smaller levels in sub-pages; returns the pixels by page and level."""
    levels = [
        [picture(*shape, seed=10 * page + i) for i, shape in enumerate(shapes)] for page in range(n_pages)
    ]
    options = {"tile": (64, 64), "photometric": "minisblack", "compression": "zlib", **more}
    with tifffile.TiffWriter(path, ome=ome, bigtiff=ome) as tiff:
        whole = np.stack([pixels[0] for pixels in levels])
        metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5} if ome else {"axes": "ZYX"}
        tiff.write(whole, subifds=len(shapes) - 1, metadata=metadata, **options)
        for i in range(1, len(shapes)):
            tiff.write(np.stack([pixels[i] for pixels in levels]), subfiletype=1, metadata=None, **options)
    return levels


SHAPES = [(301, 403), (151, 202), (76, 101)]


@pytest.mark.parametrize("ome", [False, True], ids=["plain", "ome"])
@pytest.mark.parametrize("place", ["disk", "server", "reader"])
def test_sub_pages_are_levels(tmp_path: Path, server: RangeServer, ome: bool, place: str) -> None:
    name = "pyramid.ome.tif" if ome else "pyramid.tif"
    path = (server.folder if place == "server" else tmp_path) / name
    levels = write_pyramid(path, SHAPES, ome=ome, n_pages=3)
    address = server.url(name) if place == "server" else str(path)
    with open_dataset(address, isolate=place == "reader") as dataset:
        assert dataset.info.n_levels == 3
        assert dataset.sizes["z"] == 3
        for z in range(3):
            for level in range(3):
                np.testing.assert_array_equal(dataset.plane(z=z, level=level), levels[z][level])
        region = Region(60, 60, 20, 30)
        np.testing.assert_array_equal(dataset.plane(z=1, level=1, region=region), levels[1][1][region.slices])
        with pytest.raises(IndexError):
            dataset.plane(level=3)
    source = open_source(address)
    assert [level.sizes for level in source.levels(0)] == [Sizes(3, *shape) for shape in SHAPES]
    assert [level.scale for level in source.levels(0)] == [Scale(), Scale(1, 2, 2), Scale(1, 4, 4)]
    assert source.level_for(0, 140, 200) == 1
    assert source.level_for(0, 1, 1) == 2
    source.close()


def test_a_sub_page_of_another_kind_is_no_level(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        tiff.write(picture(100, 120), subifds=1, photometric="minisblack")
        tiff.write(picture(50, 60, np.uint8, 3), subfiletype=1, photometric="rgb", metadata=None)
    with open_dataset(str(tmp_path / "a.ome.tif")) as dataset:
        assert dataset.info.n_levels == 1
        np.testing.assert_array_equal(dataset.plane(), picture(100, 120))


def test_a_sub_page_that_is_the_page_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_pyramid(path, SHAPES[:2], ome=False)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags[330]
        first, offset = tiff.pages.first.offset, tag.valueoffset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack("<I", first))
    with pytest.raises(DatasetError, match="contains itself"):
        open_source(str(path))


# ---- slides ------------------------------------------------------------------------------------------


def write_slide(path: Path, side: int, n_levels: int, *, ome: bool, compression: str = "zlib") -> None:
    """A tiled slide, u8, of few tiles, all the same, so that it is quick to write; level i has 10 i more."""
    n = -(-side // TILE)

    def tiles(count: int, value: int) -> Iterator[bytes]:
        pixels = np.full((TILE, TILE), value, np.uint8)
        pixels[:, : TILE // 2] += 100
        for i in range(count):
            yield pixels if i % 97 == 0 else None  # type: ignore[misc]  # None: nothing stored

    options: dict[str, Any] = {"tile": (TILE, TILE), "dtype": np.uint8, "photometric": "minisblack"}
    with tifffile.TiffWriter(path, ome=ome, bigtiff=True) as tiff:
        for level in range(n_levels):
            size = -(-side // 2**level)
            n = -(-size // TILE)
            more: dict[str, Any] = {"subifds": n_levels - 1} if level == 0 else {"subfiletype": 1}
            if level:
                more["metadata"] = None
            tiff.write(
                tiles(n * n, 10 * level + 1), shape=(size, size), compression=compression, **options, **more
            )


@pytest.mark.parametrize("ome", [False, True], ids=["plain", "ome"])
def test_a_slide_opens_at_the_level_that_fits(tmp_path: Path, ome: bool) -> None:
    path = tmp_path / ("slide.ome.tif" if ome else "slide.tif")
    write_slide(path, SIDE, 6, ome=ome)
    assert path.stat().st_size < 3 * 1024**2
    with open_dataset(str(path), isolate=True) as dataset:
        assert dataset.sizes["y"] == dataset.sizes["x"] == SIDE
        drawn = dataset.drawn_level(0, 700, 900)
        assert (drawn.level, drawn.shape) == (5, (938, 938))
        (plane,) = dataset.planes([KEY], drawn.level, None)
        assert plane.state is PlaneState.PRESENT
        np.testing.assert_array_equal(plane.pixels[:10, :10], np.full((10, 10), 151, np.uint8))
        region = Region(100, 200, 30, 400)
        found = dataset.plane(region=region)
        np.testing.assert_array_equal(found[:, :56], np.full((30, 56), 101, np.uint8))
        np.testing.assert_array_equal(found[:, 56:312], np.full((30, 256), 1, np.uint8))
        assert not found[:, 312:].any()


def test_a_plane_too_large_for_memory_says_what_to_read_instead(tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tif", 40_000, 1, ome=False)
    with open_dataset(str(tmp_path / "slide.tif")) as dataset:
        assert dataset.drawn_level(0, 700, 700).level == OVERVIEW
        with pytest.raises(LimitExceededError, match="a region of it, or a coarser level"):
            dataset.plane()
        assert (dataset.plane(region=Region(0, 0, 256, 256)) == 101).all()
