"""Overviews of planes that are too large to be drawn and have no level that is small enough.

Every tile is read once, and every n-th pixel of it kept: memory is bounded by a few tiles, and the picture
grows while it is built. In the cache an overview is a plane of the level `OVERVIEW`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError, PlaneNotStoredError, ReadDroppedError
from ..model import Plane, PlaneKey, PlaneState, Region
from ..storage.cancellation import CancelScope, current_scope
from ..storage.program_end import abandonable_thread
from ..storage.waits import AWAKE_AGAIN_SECONDS
from .leases import SupersededRead
from .regions import of_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..sources import Source
    from .regions import TiledPlanes

logger = logging.getLogger(__name__)

OVERVIEW = -1
"""The level that overviews are kept at."""

SIDE = 2048
"""An overview has at most so many rows and columns."""

PICTURE_SIDE = 16384
PICTURE_PIXELS = 8192**2
"""The largest plane that is drawn as one picture: a texture that every graphics card can hold."""

_MOST_TILES_AT_ONCE = 16  # tiles that are read at the same time
_OVERVIEW_NEWS_SECONDS = 0.3  # how often the picture is redrawn while it grows


class DrawnLevel(NamedTuple):
    """What is drawn of a position as one picture: planes of `shape` (Y, X) at a level.

    One of their pixels spans `spans` rows and columns of level 0, the first begins at its row and column
    `corner`.
    """

    level: int
    shape: tuple[int, int]
    spans: tuple[float, float] = (1.0, 1.0)
    corner: tuple[float, float] = (0.0, 0.0)


class _Base(NamedTuple):
    """What an overview is made from: the plane at some level, of which every `step`-th pixel is taken."""

    key: PlaneKey
    level: int
    step: int
    shape: tuple[int, int]  # of the overview
    tiles: tuple[Region, ...]


class OverviewBuilder:
    """Builds overviews. Any thread; `on_news` is called from time to time with the plane that has grown."""

    def __init__(self, source: Source, tiled: TiledPlanes, on_news: Callable[[PlaneKey], None]) -> None:
        self._source = source
        self._tiled = tiled
        self._on_news = on_news
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._builds: dict[PlaneKey, _Build] = {}

    def read(self, key: PlaneKey) -> np.ndarray:
        """The overview (Y, X) of the plane at `key`, a level-0 address; blocks until all tiles are read.

        Tiles of which nothing is stored are fill value. Raises what reading a tile raises,
        `PlaneNotStoredError` if nothing is stored, `ReadDroppedError` when the `CancelScope` of this thread
        is dropped, `SupersededRead` when another read of the same plane has begun.
        """
        scope = current_scope() or CancelScope()
        build = _Build(self._base(key), scope, self._source, lambda: self._on_news(key))
        with self._lock:
            older, self._builds[key] = self._builds.get(key), build
        if older is not None:
            older.is_over = True
        try:
            return build.run()
        finally:
            with self._lock:
                if self._builds.get(key) is build:
                    del self._builds[key]

    def so_far(self, key: PlaneKey) -> Plane | None:
        """The overview as far as it has been built, LOADING, with a reason that says how far; None if not."""
        with self._lock:
            build = self._builds.get(key)
        return build.so_far() if build is not None else None

    def drawn_level(self, p: int, height: int, width: int) -> DrawnLevel:
        """The level to draw in `height` × `width` screen pixels; blocks on disk or network for large planes.

        Level 0 as long as its planes are small, else the smallest that fills the screen, or `OVERVIEW`
        if even that is too large for one picture.
        """
        image = self._source.info.image(p) if p < len(self._source.info.positions) else self._source.info
        if self._tiled.is_small(p):
            return DrawnLevel(0, (max(image.height, 1), max(image.width, 1)))
        try:
            level = self._tiled.level_that_fits(p, height, width)
            grid = self._tiled.grid(p, level)
            drawn = self._tiled.level(p, level)
            shape, span = (grid.height, grid.width), 1
            if max(shape) > PICTURE_SIDE or math.prod(shape) > PICTURE_PIXELS:
                base = self._base(PlaneKey(p=p))
                drawn = self._tiled.level(p, base.level)
                level, shape, span = OVERVIEW, base.shape, base.step
        except DatasetError as error:  # reading the plane will say so
            logger.debug("choosing a level of position %d: %s", p, error)
            span = -(-max(image.height, image.width) // SIDE)
            shape = (-(-image.height // span), -(-image.width // span))
            return DrawnLevel(0, shape, (span, span))
        corner = drawn.corner(step=span)
        spans = span * drawn.scale.y, span * drawn.scale.x
        return DrawnLevel(level, shape, spans, (corner.y, corner.x))

    def base_level(self, p: int) -> int:
        """The level that overviews of position `p` are made from; may block on disk or network."""
        return self._tiled.level_that_fits(p, SIDE, SIDE)

    def _base(self, key: PlaneKey) -> _Base:
        level = self.base_level(key.p)
        grid = self._tiled.grid(key.p, level)
        step = max(1, -(-max(grid.height, grid.width) // SIDE))
        shape = (-(-grid.height // step), -(-grid.width // step))
        key = key._replace(z=self._tiled.z_at(key.p, key.z, level))
        return _Base(key, level, step, shape, tuple(grid.tiles()))


class _Build:
    """One overview being built, by the thread that asked and a few helpers."""

    def __init__(self, base: _Base, scope: CancelScope, source: Source, on_news: Callable[[], None]) -> None:
        self._base = base
        self._scope = scope
        self._source = source
        self._on_news = on_news
        self.is_over = False  # superseded
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._todo: Iterator[Region] = iter(base.tiles)
        self._picture: np.ndarray | None = None
        self._n_done = 0
        self._missing: list[tuple[Region, PlaneNotStoredError]] = []
        self._error: BaseException | None = None
        self._told = time.monotonic()

    def run(self) -> np.ndarray:
        helpers = [
            abandonable_thread(self._work, "ndviewer-overview")
            for _ in range(min(self._source.reads_at_once, _MOST_TILES_AT_ONCE, len(self._base.tiles)) - 1)
        ]
        for helper in helpers:
            helper.start()
        self._work()
        for helper in helpers if self._error is None or isinstance(self._error, Exception) else ():
            while helper.is_alive():
                helper.join(AWAKE_AGAIN_SECONDS)
        if self._error is not None:
            raise self._error
        if self.is_over:
            raise SupersededRead
        if self._scope.dropped:
            raise ReadDroppedError("the overview is no longer needed")
        if self._picture is None:
            raise of_shape(self._missing[0][1], self._base.shape)
        for tile, error in self._missing:
            self._picture[self._place(tile)[0]] = error.fill_value or 0
        return self._picture

    def so_far(self) -> Plane:
        with self._lock:
            pixels = self._picture.copy() if self._picture is not None else None
            said = f"building an overview: {self._n_done} of {len(self._base.tiles)} tiles"
        return Plane(PlaneState.LOADING, pixels, said)

    def _work(self) -> None:
        try:
            while (tile := self._next()) is not None:
                self._take(tile)
        except BaseException as error:  # noqa: BLE001  for the thread that asked
            with self._lock:
                self._error = self._error or error

    def _next(self) -> Region | None:
        with self._lock:
            if self._error is not None or self._scope.dropped or self.is_over:
                return None
            return next(self._todo, None)

    def _take(self, tile: Region) -> None:
        base, missing = self._base, None
        try:
            pixels = self._scope.run(lambda: self._source.read_region(base.key, tile, base.level))
        except PlaneNotStoredError as error:
            missing = error
        else:
            place, part = self._place(tile)
            kept = pixels[part]
        with self._lock:
            self._n_done += 1
            if missing is not None:
                self._missing.append((tile, missing))
            else:
                if self._picture is None:
                    self._picture = np.zeros(base.shape, pixels.dtype)
                self._picture[place] = kept
            now = time.monotonic()
            is_news = now >= self._told + _OVERVIEW_NEWS_SECONDS
            if is_news:
                self._told = now
        if is_news:
            self._on_news()

    def _place(self, tile: Region) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where the pixels of a tile that are kept are in the overview, and where in the tile."""
        down, across = (
            _taken(start, length, self._base.step)
            for start, length in ((tile.top, tile.height), (tile.left, tile.width))
        )
        return (down[0], across[0]), (down[1], across[1])


def _taken(start: int, length: int, step: int) -> tuple[slice, slice]:
    """Every `step`-th sample along an axis, counted from 0: which those from `start` on are, and where."""
    first = -(-start // step)
    stop = -(-(start + length) // step)
    return slice(first, stop), slice(first * step - start, length, step)
