"""Planes too large for one piece: which tiles they are read in, and regions put together from tiles."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DatasetError, PlaneNotStoredError
from ..model import PlaneKey, Region, channel_name, find_channel
from ..storage.tiling import check_whole_plane
from ..storage.waits import result_of
from .leases import StoredKey, SupersededRead
from .tiles import ONE_TILE_PIXELS, TileGrid, common_part, whole
from .transpose import c_ordered

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..model import DatasetInfo, Level
    from ..sources import Source
    from .cache import PlaneCache

_MOST_TILES_AHEAD = 32  # tiles that are read at the same time: of one or two megapixels each
_MAX_GRIDS = 1024


class TiledPlanes:
    """The tile grids of a source's planes, and regions put together from tiles in `cache`. Any thread."""

    def __init__(self, source: Source, cache: PlaneCache) -> None:
        self._source = source
        self._cache = cache
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._grids: dict[tuple[int, int], tuple[DatasetInfo, TileGrid]] = {}
        self._levels: dict[tuple[int, int], tuple[DatasetInfo, Level]] = {}

    def is_small(self, p: int) -> bool:
        """Whether planes of position `p` are one tile each, by what is known of them; does not block."""
        info = self._source.info
        if p >= len(info.positions):
            return True
        image = info.image(p)
        return image.height * image.width <= ONE_TILE_PIXELS

    def grid(self, p: int, level: int) -> TileGrid:
        """The tiles of the planes of a position at one level; may block on disk.

        Raises `PlaneNotStoredError` if there is no such level yet, another `DatasetError`.
        """
        info = self._source.info
        with self._lock:
            known = self._grids.get((p, level))
        if known is not None and known[0] is info:
            return known[1]
        shape = self._source.plane_shape(self._a_plane_of(p), level)
        if shape is None:
            raise PlaneNotStoredError(f"resolution level {level} of position {p} is not written yet")
        grid = whole(*shape)
        if shape[0] * shape[1] > ONE_TILE_PIXELS:
            tile = self._source.tile_shape(p, level)
            if tile is not None:
                grid = TileGrid(*shape, *tile)
        with self._lock:
            if len(self._grids) >= _MAX_GRIDS:
                self._grids.clear()
            self._grids[p, level] = info, grid
        return grid

    def _a_plane_of(self, p: int) -> PlaneKey:
        """The address of a plane that the position has: not every position has the first channel."""
        info = self._source.info
        own = info.image(p).channels
        c = find_channel(info.channels, *channel_name(own, 0)) if own else 0
        return PlaneKey(p=p, c=c or 0)

    def z_at(self, p: int, z: int, level: int) -> int:
        """The plane of a level that covers plane `z` of level 0; may block on disk."""
        if level == 0 or self._source.info.image(p).n_z == 1:
            return z
        try:
            return self.level(p, level).z_at(z)
        except (DatasetError, IndexError):  # reading the plane will say so
            return z

    def level(self, p: int, level: int) -> Level:
        """The sizes and the scale of one level; blocks on disk or network the first time.

        Raises what `Source.level_at` raises.
        """
        info = self._source.info
        with self._lock:
            known = self._levels.get((p, level))
        if known is not None and known[0] is info:
            return known[1]
        found = self._source.level_at(p, level)
        with self._lock:
            if len(self._levels) >= _MAX_GRIDS:
                self._levels.clear()
            self._levels[p, level] = info, found
        return found

    def level_that_fits(self, p: int, height: int, width: int) -> int:
        """The smallest level that fills `height` × `width` screen pixels; may block on disk or network."""
        image = self._source.info.image(p)
        if image.n_levels == 1:
            return 0
        share = min(height / image.height, width / image.width, 1.0)
        return self._source.level_for(p, int(image.height * share), int(image.width * share))

    def region(self, key: PlaneKey, level: int, region: Region) -> np.ndarray:
        """The pixels (Y, X) of a region, read-only; its tiles are read four at a time, and cached.

        Tiles of which nothing is stored are fill value. Raises `PlaneNotStoredError` if none is stored,
        `LimitExceededError` if it is too large for memory, `IndexError` if it is not within the plane.
        """
        grid = self.grid(key.p, level)
        if not region.within(grid.height, grid.width):
            raise IndexError(f"{region} is not within a plane of {grid.height} × {grid.width} pixels")
        dtype = self._source.info.dtype
        itemsize = dtype.itemsize if dtype is not None else 2
        check_whole_plane((region.height, region.width), itemsize, "the region")
        if grid.is_whole:
            try:
                pixels = c_ordered(self._cache.read(key, level)[region.slices])
            except PlaneNotStoredError as error:
                raise of_shape(error, (region.height, region.width)) from error
            pixels.flags.writeable = False
            return pixels
        tiles = list(grid.tiles(region))
        out: np.ndarray | None = None
        missing: list[tuple[Region, PlaneNotStoredError]] = []
        at_once = min(self._source.reads_at_once, _MOST_TILES_AHEAD)
        for i in range(0, len(tiles), at_once):
            batch = tiles[i : i + at_once]
            entries = self._cache.request_tiles([StoredKey(key, level, tile) for tile in batch])
            for tile, entry in zip(batch, entries, strict=True):
                try:
                    pixels = self._ended(StoredKey(key, level, tile), entry)
                except PlaneNotStoredError as error:
                    missing.append((tile, error))
                    continue
                if out is None:
                    out = np.empty((region.height, region.width), pixels.dtype)
                there, here = common_part(tile, region)
                out[there] = c_ordered(pixels[here])
        if out is None:
            raise of_shape(missing[0][1], (region.height, region.width))
        for tile, reason in missing:
            out[common_part(tile, region)[0]] = reason.fill_value or 0
        out.flags.writeable = False
        return out

    def is_tile(self, stored: StoredKey) -> bool:
        """Whether it is one of the tiles in which its plane is kept; may block on disk."""
        grid = self.grid(stored.plane.p, stored.level)
        return stored.tile is not None and stored.tile in grid.tiles(stored.tile) and not grid.is_whole

    def finished(self, stored: StoredKey, entry: np.ndarray | Future[np.ndarray]) -> np.ndarray:
        """The pixels of a plane or tile requested from the cache; waits for them. Raises like a read."""
        try:
            return self._ended(stored, entry)
        except PlaneNotStoredError as error:
            if stored.tile is None:
                raise
            raise of_shape(error, (stored.tile.height, stored.tile.width)) from error

    def _ended(self, stored: StoredKey, entry: np.ndarray | Future[np.ndarray]) -> np.ndarray:
        if isinstance(entry, np.ndarray):
            return entry
        try:
            return result_of(entry)
        except (CancelledError, SupersededRead):  # dropped for a view, or written meanwhile
            return self._cache.read(*stored)


def of_shape(error: PlaneNotStoredError, shape: tuple[int, int]) -> PlaneNotStoredError:
    """The same error for a part of its plane, or an overview: others may wait for the one of the plane."""
    own = copy.copy(error)
    own.plane_shape = shape
    return own
