"""Regions and tiles: what a source reads of a large plane, what is kept of it, what a region is made of."""

from __future__ import annotations

import contextlib
import os
import threading
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import slides
import stores
from hypothesis import given
from hypothesis import strategies as st
from memory_source import MemorySource, memory_info, wait_until

from ndviewer_light import open_dataset
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.overview import OVERVIEW, SIDE
from ndviewer_light.engine.tiles import ONE_TILE_PIXELS, TileGrid, common_part
from ndviewer_light.errors import (
    CorruptDataError,
    LimitExceededError,
    PlaneNotStoredError,
    ReadDroppedError,
)
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey, PlaneState, Region
from ndviewer_light.sources import open_source
from ndviewer_light.sources.disk_cached import DiskCachedSource
from ndviewer_light.storage.cancellation import CancelScope
from ndviewer_light.storage.disk_cache import DiskCache
from ndviewer_light.storage.tiling import TILE_PIXELS, tile_of_chunks
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = PlaneKey()
REGIONS = (
    Region(0, 0, 24, 40),
    Region(0, 0, 8, 8),
    Region(7, 9, 10, 17),
    Region(23, 39, 1, 1),
    Region(5, 0, 3, 40),
)


# ---- grids: pure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunk", "plane", "tile"),
    [
        ((1024, 1024), (40_000, 40_000), (1024, 1024)),
        ((256, 256), (40_000, 40_000), (1280, 1280)),
        ((4096, 4096), (40_000, 40_000), (4096, 4096)),
        ((1, 100_000), (100_000, 100_000), (16, 100_000)),
        ((100_000, 64), (100_000, 100_000), (100_000, 64)),
        ((512, 20_000), (512, 20_000), None),
        ((1024, 1024), (700, 900), None),
    ],
)
def test_a_tile_is_made_of_whole_chunks(chunk, plane, tile):
    assert tile_of_chunks(chunk, plane) == tile


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.integers(1, 100_000), st.integers(1, 100_000)),
)
def test_tiles_of_small_chunks_have_one_to_two_megapixels(chunk, plane):
    tile = tile_of_chunks(chunk, plane)
    if tile is None:
        assert chunk[0] >= plane[0] and chunk[1] >= plane[1]
        return
    for rows, part, whole in zip(tile, chunk, plane, strict=True):
        assert rows == whole or not rows % part
    pieces = min(chunk[0], plane[0]) * min(chunk[1], plane[1])
    assert tile[0] * tile[1] <= max(2 * TILE_PIXELS, pieces)


@given(
    st.tuples(*[st.integers(1, 60)] * 4),
    st.tuples(*[st.integers(0, 59)] * 2),
    st.tuples(*[st.integers(1, 60)] * 2),
)
def test_the_tiles_of_a_region_cover_it_once(sizes, corner, size):
    grid = TileGrid(*sizes)
    top, left = corner[0] % grid.height, corner[1] % grid.width
    region = Region(top, left, min(size[0], grid.height - top), min(size[1], grid.width - left))
    covered = np.zeros((region.height, region.width), int)
    for tile in grid.tiles(region):
        assert tile.within(grid.height, grid.width)
        assert not tile.top % grid.rows and not tile.left % grid.columns
        there, here = common_part(tile, region)
        assert covered[there].size, "a tile that the region does not touch"
        assert covered[there].shape == np.empty((tile.height, tile.width))[here].shape
        covered[there] += 1
    assert (covered == 1).all()
    assert len(list(grid.tiles())) == grid.n_tiles


# ---- zarr: a region is what the plane has there ---------------------------------------------------


def _zip(folder: Path) -> Path:
    file = folder.with_suffix(".zip")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, each.relative_to(folder))
    return file


WAYS = {
    "one chunk": {},
    "chunks": {"tile": 8},
    "chunks that do not fit": {"tile": 9},
    "shards": {"tile": 8, "shard_channels": True, "preset": "balanced"},
    "blosc in shards": {"tile": 8, "shard_channels": True, "preset": "best"},
    "v2": {"version": 2, "tile": 8},
    "uncompressed": {"preset": "none", "tile": 8},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["folder", "zip", "reader"])
def test_a_region_is_what_the_plane_has_there(tmp_path: Path, way: str, place: str) -> None:
    store = tmp_path / "image.ome.zarr"
    stores.write_image(store, **WAYS[way])
    path = str(_zip(store)) if place == "zip" else str(store)
    source = IsolatedSource.open(path) if place == "reader" else open_source(path)
    try:
        key = PlaneKey(1, 0, 1, 1)
        whole = source.read_plane(key)
        np.testing.assert_array_equal(whole, stores.plane(1, 0, 1, 1))
        for region in REGIONS:
            np.testing.assert_array_equal(source.read_region(key, region), whole[region.slices])
        for outside in (Region(0, 0, 25, 40), Region(-1, 0, 5, 5), Region(0, 0, 0, 3), Region(20, 39, 4, 2)):
            with pytest.raises(IndexError, match="not within a plane"):
                source.read_region(key, outside)
    finally:
        source.close()


def test_only_the_chunks_of_the_region_are_touched(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "a.zarr", tile=8, sizes={"t": 1, "c": 1, "z": 1})
    chunks = stores.chunk_files(tmp_path / "a.zarr")
    assert len(chunks) == 15
    for chunk in chunks:
        if not str(chunk).endswith(os.path.join("0", "1", "2")):
            chunk.write_bytes(b"damaged" * 10)
    source = open_source(str(tmp_path / "a.zarr"))
    whole = stores.plane()
    np.testing.assert_array_equal(source.read_region(KEY, Region(8, 16, 8, 8)), whole[8:16, 16:24])
    np.testing.assert_array_equal(source.read_region(KEY, Region(9, 17, 3, 2)), whole[9:12, 17:19])
    with pytest.raises(CorruptDataError):
        source.read_region(KEY, Region(8, 16, 8, 9))
    source.close()


def test_missing_chunks_of_a_region_are_fill_value_unless_the_plane_is_missing(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "a.zarr", tile=8, sizes={"t": 1, "c": 1, "z": 1})
    for chunk in stores.chunk_files(tmp_path / "a.zarr"):
        if str(chunk).endswith((os.path.join("0", "1", "2"), os.path.join("0", "1", "3"))):
            chunk.unlink()
    with contextlib.closing(open_source(str(tmp_path / "a.zarr"))) as source:
        expected = stores.plane()
        expected[8:16, 16:32] = 0
        for region in (Region(9, 10, 6, 30), Region(0, 15, 24, 2), Region(7, 31, 2, 2), Region(9, 17, 3, 12)):
            np.testing.assert_array_equal(source.read_region(KEY, region), expected[region.slices])
    for chunk in stores.chunk_files(tmp_path / "a.zarr"):
        chunk.unlink()
    with contextlib.closing(open_source(str(tmp_path / "a.zarr"))) as source:
        with pytest.raises(PlaneNotStoredError) as caught:
            source.read_region(KEY, Region(9, 17, 3, 12))
        assert caught.value.plane_shape == (24, 40)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    pytest.importorskip("obstore")
    (tmp_path / "served").mkdir()
    with RangeServer(tmp_path / "served") as server:
        yield server


def test_a_region_on_a_server_costs_its_chunks(server: RangeServer) -> None:
    stores.write_image(server.folder / "a.zarr", tile=8, sizes={"t": 1, "c": 1, "z": 1})
    for chunk in stores.chunk_files(server.folder / "a.zarr"):
        if str(chunk).endswith(os.path.join("0", "1", "3")):
            chunk.unlink()
    source = open_source(server.url("a.zarr"))
    expected = stores.plane()
    expected[8:16, 24:32] = 0
    server.set()
    for region, n_chunks in ((Region(3, 3, 4, 4), 1), (Region(7, 15, 4, 4), 4)):
        server.set()
        np.testing.assert_array_equal(source.read_region(KEY, region), expected[region.slices])
        assert server.counts()["requests"] == n_chunks
    np.testing.assert_array_equal(source.read_region(KEY, Region(9, 17, 10, 20)), expected[9:19, 17:37])
    assert not source.read_region(KEY, Region(9, 25, 4, 4)).any()  # a chunk is missing, not the plane
    source.close()


def test_regions_are_cached_on_disk_as_they_are_asked_for(tmp_path: Path, monkeypatch) -> None:
    stores.write_image(tmp_path / "a.zarr", tile=8)
    inner = open_source(str(_zip(tmp_path / "a.zarr")))
    monkeypatch.setattr(type(inner), "identity", "as on a server that says which version it is")
    source = DiskCachedSource(inner, DiskCache(tmp_path / "cache"))
    regions = (Region(7, 9, 10, 17), Region(0, 9, 10, 17))
    for region in regions:
        np.testing.assert_array_equal(source.read_region(KEY, region), stores.plane()[region.slices])
    with monkeypatch.context() as without:
        without.setattr(type(inner), "read_region", None)
        for region in regions:
            np.testing.assert_array_equal(source.read_region(KEY, region), stores.plane()[region.slices])
    np.testing.assert_array_equal(source.read_plane(KEY), stores.plane())
    assert source.tile_shape(0) == (24, 40)
    source.close()


# ---- no image is refused for its size -----------------------------------------------------------


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40,000² with six levels."""
    path = tmp_path_factory.mktemp("slide") / "slide.ome.zarr"
    slides.write_slide(path, 40_000, 6)
    return path


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000² with one level; in shards of 8 × 8 chunks."""
    path = tmp_path_factory.mktemp("flat") / "flat.ome.zarr"
    slides.write_slide(path, 100_000, chunks=[(0, 0), (1, 3), (97, 97)], shard=8)
    return path


@pytest.mark.parametrize("isolate", [False, True])
def test_a_slide_opens_and_any_part_of_it_can_be_read(slide: Path, isolate: bool) -> None:
    with open_dataset(str(slide), isolate=isolate) as dataset:
        assert dataset.sizes["y"] == dataset.sizes["x"] == 40_000
        for region in (Region(0, 0, 10, 10), Region(1000, 3000, 300, 500)):
            found = dataset.plane(region=region)
            expected = slides.pixels(region)
            y, x = np.indices(expected.shape)
            row, column = (y + region.top) // slides.CHUNK, (x + region.left) // slides.CHUNK
            is_stored = ((row == 0) & (column == 0)) | ((row == 1) & (column == 3))
            np.testing.assert_array_equal(found, np.where(is_stored, expected, 0))
            assert not found.flags.writeable
        coarse = dataset.plane(level=5)
        np.testing.assert_array_equal(coarse, slides.pixels(Region(0, 0, 1250, 1250), 5))
        part = dataset.plane(level=5, region=(100, 200, 50, 60))
        np.testing.assert_array_equal(part, coarse[100:150, 200:260])
        with pytest.raises(
            LimitExceededError, match=r"40000 × 40000 .*1\.5 GiB.*a region of it, or a coarser"
        ):
            dataset.plane()
        with pytest.raises(LimitExceededError, match="region of it"):
            dataset.plane(region=Region(0, 0, 39_000, 39_000))
        with pytest.raises(IndexError):
            dataset.plane(region=Region(0, 0, 40_001, 1))
        # of this plane other chunks are stored, as was read above: these are the fill value
        assert not dataset.plane(region=Region(20_000, 20_000, 10, 10)).any()


def test_missing_tiles_are_the_arrays_fill_value(tmp_path: Path) -> None:
    slides.write_slide(tmp_path / "s.zarr", 10_000, fill=7)
    for isolate in (False, True):
        with open_dataset(str(tmp_path / "s.zarr"), isolate=isolate) as dataset:
            found = dataset.plane(region=Region(0, 1000, 10, 2000))
        assert (found[:, 24:] == 7).all()
        np.testing.assert_array_equal(found[:, :24], slides.pixels(Region(0, 1000, 10, 24)))


def test_only_the_tiles_of_a_region_are_read_and_they_are_kept(slide: Path, monkeypatch) -> None:
    with open_dataset(str(slide)) as dataset:
        read = []
        original = dataset._source.read_region
        monkeypatch.setattr(
            dataset._source,
            "read_region",
            lambda key, tile, level=0: read.append(tile) or original(key, tile, level),
        )
        dataset.plane(region=Region(10, 10, 100, 100))
        dataset.plane(region=Region(500, 200, 100, 100))
        assert read == [Region(0, 0, 1024, 1024)]
        dataset.plane(region=Region(1000, 1000, 100, 100))
        assert sorted(read) == [Region(top, left, 1024, 1024) for top in (0, 1024) for left in (0, 1024)]


def test_what_is_written_makes_every_tile_stale(tmp_path: Path) -> None:
    slides.write_slide(tmp_path / "s.zarr", 8192, chunks=[(0, 0), (0, 1)])
    with open_dataset(str(tmp_path / "s.zarr")) as dataset:
        region = Region(0, 1000, 4, 48)
        before = dataset.plane(region=region)
        store = stores.ts.open(
            {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{tmp_path}/s.zarr/0/"}}
        ).result()
        store[0, :2048, :2048] = 250
        np.testing.assert_array_equal(dataset.plane(region=region), before)
        dataset.mark_written((0, 0, 0, 0))
        assert (dataset.plane(region=region) == 250).all()


def test_planes_of_up_to_4096_squared_are_read_once_and_whole() -> None:
    source = MemorySource(memory_info(1, 1, 1, 1))
    source.write(KEY, 3)
    source.read_region = None  # type: ignore[method-assign, assignment]
    source.tile_shape = None  # type: ignore[method-assign, assignment]
    with Dataset(source) as dataset:
        assert (dataset.plane(region=Region(2, 2, 3, 3)) == 3).all()
        part = dataset.plane(region=Region(5, 0, 3, 3))
        assert (part == 3).all()
        assert part.flags.c_contiguous
        assert not part.flags.writeable
        assert dataset.drawn_level(0, 1, 1)[:3] == (0, (8, 10), (1, 1))
        assert dataset.planes([KEY])[0].state is PlaneState.PRESENT
    assert source.reads == [KEY]


def test_lazy_arrays_of_large_planes_have_a_chunk_for_each_tile(slide: Path) -> None:
    with open_dataset(str(slide)) as dataset:
        array = dataset.to_xarray()
        assert array.shape == (1, 1, 1, 1, 40_000, 40_000)
        assert array.data.chunksize == (1, 1, 1, 1, 1024, 1024)
        region = Region(1030, 3080, 30, 500)
        found = array[0, 0, 0, 0, 1030:1060, 3080:3580].compute()
        np.testing.assert_array_equal(found, slides.pixels(region))
        assert not array[0, 0, 0, 0, 20_000:20_010, 20_000:20_010].compute().any()
        assert not dataset.to_xarray(missing="fill")[0, 0, 0, 0, 20_000:20_010, 20_000:20_010].compute().any()
        coarse = dataset.to_xarray(level=5)
        assert coarse.data.chunksize[4:] == (1250, 1250)
        np.testing.assert_array_equal(
            coarse[0, 0, 0, 0, ::-2, 7].compute(), slides.pixels(Region(0, 0, 1250, 1250), 5)[::-2, 7]
        )


# ---- the level that fits, and overviews --------------------------------------------------------------


def test_the_level_that_fits_the_window_is_the_smallest_of_its_size(slide: Path) -> None:
    for isolate in (False, True):
        with open_dataset(str(slide), isolate=isolate) as dataset:
            sides = [(1000, 5), (1250, 5), (1251, 4), (2501, 3), (900, 5), (1, 5)]
            assert [(side, dataset.drawn_level(0, side, side).level) for side, _ in sides] == sides
            assert dataset.drawn_level(0, 300, 2501)[:3] == (5, (1250, 1250), (32, 32))


def test_an_overview_has_every_nth_pixel(tmp_path: Path) -> None:
    side = 17_000
    slides.write_slide(tmp_path / "s.zarr", side, chunks=[(0, 0), (1, 3), (16, 16)])
    with open_dataset(str(tmp_path / "s.zarr")) as dataset:
        assert dataset.drawn_level(0, 800, 800).level == OVERVIEW
        (plane,) = dataset.planes([KEY], OVERVIEW, None)
        assert plane.state is PlaneState.PRESENT
        assert plane.pixels is not None
        step = -(-side // SIDE)
        expected = np.zeros((side, side), np.uint8)
        for row, column in ((0, 0), (1, 3), (16, 16)):
            top, left = row * 1024, column * 1024
            part = Region(top, left, min(1024, side - top), min(1024, side - left))
            expected[part.slices] = slides.pixels(part)
        np.testing.assert_array_equal(plane.pixels, expected[::step, ::step])
        assert dataset.drawn_level(0, 800, 800) == (
            OVERVIEW,
            plane.pixels.shape,
            (step, step),
            ((1 - step) / 2, (1 - step) / 2),
        )
        again = dataset.planes([KEY], OVERVIEW, 0)[0]
        assert again.pixels is plane.pixels, "it was not kept"


def test_nothing_stored_anywhere_is_no_overview(tmp_path: Path) -> None:
    slides.write_slide(tmp_path / "s.zarr", 17_000, chunks=[])
    with open_dataset(str(tmp_path / "s.zarr")) as dataset:
        (plane,) = dataset.planes([KEY], OVERVIEW, None)
        assert plane.state is PlaneState.ABSENT


class SlideSource(MemorySource):
    """A plane of 16 × 20 tiles of 1000², which are read when the test lets them."""

    def __init__(self) -> None:
        super().__init__(memory_info(1, 1, 2, 1, height=16_000, width=20_000, dtype=np.dtype(np.uint8)))
        self.allowed = threading.Semaphore(0)
        self.asked: list[tuple[PlaneKey, Region]] = []
        self.under_way = 0
        self.most_under_way = 0
        self._counting = threading.Lock()

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int]:
        return 1000, 1000

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        with self._counting:
            self.asked.append((key, region))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        assert self.allowed.acquire(timeout=60)
        with self._counting:
            self.under_way -= 1
        return np.full((region.height, region.width), 1 + key.c, np.uint8)


def test_an_overview_says_how_far_it_is_and_is_shown_as_it_grows() -> None:
    source = SlideSource()
    with Dataset(source) as dataset:
        (plane,) = dataset.planes([KEY], OVERVIEW, 0.01)
        assert plane.state is PlaneState.LOADING
        assert plane.pixels is None
        source.allowed.release(12)
        wait_until(lambda: "12 of 320" in dataset.planes([KEY], OVERVIEW, 0.01)[0].reason)
        (plane,) = dataset.planes([KEY], OVERVIEW, 0.01)
        assert plane.state is PlaneState.LOADING
        assert plane.reason == "building an overview: 12 of 320 tiles"
        assert plane.pixels is not None
        assert plane.pixels.shape == (1600, 2000)
        assert (plane.pixels == 1).sum() == 12 * 100 * 100
        dataset.take_changes()
        source.allowed.release(320)
        wait_until(lambda: dataset.planes([KEY], OVERVIEW, 0.01)[0].state is PlaneState.PRESENT)
        assert (dataset.planes([KEY], OVERVIEW, 0.01)[0].pixels == 1).all()
        assert source.most_under_way <= 4, "memory is bounded by what is read at a time"
        assert len(source.asked) == 320


def test_an_overview_that_grows_counts_as_a_change() -> None:
    source = SlideSource()
    with Dataset(source) as dataset:
        dataset.planes([KEY], OVERVIEW, 0.01)
        dataset.take_changes()
        for _ in range(2):
            wait_until(lambda: source.allowed.release() or dataset.take_changes().in_view)
        source.allowed.release(320)


def test_an_overview_that_nobody_wants_any_more_ends() -> None:
    source = SlideSource()
    with Dataset(source) as dataset:
        dataset.planes([KEY], OVERVIEW, 0.01)
        source.allowed.release(2)
        wait_until(lambda: len(source.asked) >= 6)
        other = PlaneKey(c=1)
        dataset.planes([other], OVERVIEW, 0.01)
        source.allowed.release(1000)
        wait_until(lambda: dataset.planes([other], OVERVIEW, 0.01)[0].state is PlaneState.PRESENT)
        n_first = sum(key == KEY for key, _ in source.asked)
        assert n_first < 20, "it went on reading"


def test_an_overview_ends_with_the_scope_of_its_thread() -> None:
    source = SlideSource()
    with Dataset(source) as dataset:
        scope = CancelScope()
        source.allowed.release(1000)
        scope.drop()
        with scope, pytest.raises(ReadDroppedError):
            dataset._overviews.read(KEY)


def test_a_plane_written_again_gets_a_new_overview_and_the_older_one_ends() -> None:
    source = SlideSource()
    with Dataset(source, live=True) as dataset:
        dataset.planes([KEY], OVERVIEW, 0.01)
        wait_until(lambda: len(source.asked) == 4)
        dataset.mark_written(KEY)
        dataset.planes([KEY], OVERVIEW, 0.01)
        wait_until(lambda: len(source.asked) == 8)
        source.allowed.release(1000)
        wait_until(lambda: dataset.planes([KEY], OVERVIEW, 0.01)[0].state is PlaneState.PRESENT)
        assert len(source.asked) == 4 + 320


def test_the_first_picture_of_a_slide_on_a_server_costs_the_level_that_fits(server: RangeServer) -> None:
    slides.write_slide(server.folder / "s.zarr", 20_000, 6, chunks=[(0, 0)])
    server.set()
    with open_dataset(server.url("s.zarr"), storage_options={"disk_cache": "no"}) as dataset:
        level = dataset.drawn_level(0, 600, 800).level
        (plane,) = dataset.planes([KEY], level, None)
        assert plane.pixels is not None
        assert plane.pixels.shape == (625, 625)
    n_chunks = 1
    asked = [entry["path"] for entry in server.log()]
    assert len(asked) <= n_chunks + 4, asked


def test_a_hundred_thousand_squared_opens_without_levels(flat: Path) -> None:
    with open_dataset(str(flat), isolate=True) as dataset:
        assert dataset.sizes["y"] * dataset.sizes["x"] > ONE_TILE_PIXELS
        last = Region(99_990, 99_990, 10, 10)
        np.testing.assert_array_equal(dataset.plane(region=last), slides.pixels(last))
        assert dataset.drawn_level(0, 700, 700).level == OVERVIEW
        with pytest.raises(LimitExceededError, match="region"):
            dataset.plane()
