"""Parts of fields at the resolution that fits, for a view that is close: read in a thread, no Qt."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ...engine.projections import RunningProjection, StackProjection
from ...errors import DatasetError, ReadDroppedError
from ...model import Region
from ...rendering.added_up import drawn_composite
from ...rendering.scene_picture import ChannelLook, colored_fields
from ...storage.freed_memory import Turnover
from ..latest_wanted import LatestWanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from ...engine.dataset import Dataset
    from ...engine.scene import PlacedImage, Viewport
    from ...model import Level
    from ...storage.cancellation import CancelScope
    from ..background import Background

logger = logging.getLogger(__name__)

TILE = 512
"""Rows and columns of a part."""
PARTS_BYTES = 128 * 1024**2
"""Of parts in memory."""


@dataclass(frozen=True, eq=False)
class DetailTile:
    """A part of a field: where it is, as shares of the field's width and height, and its pixels (Y, X, 4)."""

    left: float
    top: float
    width: float
    height: float
    pixels: np.ndarray


class DetailWanted(NamedTuple):
    """What is looked at closely: fields with their edges in µm, at a time point and z, by channels.

    `z` is a plane, or a projection as text, as in `StackKey`.
    """

    dataset: Dataset
    t: int
    z: int | str
    fields: tuple[PlacedImage, ...]
    viewport: Viewport
    looks: Mapping[int, ChannelLook]
    version: int
    """Another number once planes were written or looks have changed: what is known does not count."""


class DetailReader:
    """Reads parts of fields for the view wanted last. Any thread; `want` and `take` never block."""

    def __init__(self, background: Background, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._reads = LatestWanted(background.run, "ndviewer-scene-details", self._read)
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._tiles: OrderedDict[tuple[object, ...], DetailTile] = OrderedDict()
        self._nbytes = 0
        self._wanted: DetailWanted | None = None
        self._found: dict[int, list[DetailTile]] = {}
        self._levels: dict[tuple[int, int], tuple[Level, ...]] = {}
        self._turnover = Turnover()

    @property
    def is_busy(self) -> bool:
        """Whether parts are being read."""
        return self._reads.is_busy

    def want(self, wanted: DetailWanted | None) -> None:
        """Read for this view, None: for none; reads for another one end."""
        with self._lock:
            before, self._wanted = self._wanted, wanted
            if before is not None and not _is_of_same_pictures(before, wanted):
                self._found.clear()
        self._reads.want(wanted)

    def take(self) -> dict[int, list[DetailTile]]:
        """The parts of fields that have changed, by position: all parts of each."""
        with self._lock:
            found, self._found = self._found, {}
        return found

    def close(self) -> None:
        """Read nothing more, and forget what was read. Never blocks."""
        self._reads.close()
        with self._lock:
            self._tiles.clear()
            self._found.clear()
            self._nbytes = 0

    # ---- in the thread ---------------------------------------------------------------------

    def _read(self, wanted: DetailWanted, scope: CancelScope) -> None:
        for image in wanted.fields:
            tiles: list[DetailTile] = []
            try:
                for key, region, level in self._parts(wanted, image):
                    if scope.dropped:
                        return
                    tile = self._tile(wanted, image, key, region, level)
                    if tile is not None:
                        tiles.append(tile)
                        self._tell(wanted, image.p, tiles)
            except ReadDroppedError:
                raise
            except (DatasetError, IndexError) as error:
                logger.debug("no parts of position %d: %s", image.p, error)

    def _tell(self, wanted: DetailWanted, p: int, tiles: list[DetailTile]) -> None:
        with self._lock:
            if not _is_of_same_pictures(wanted, self._wanted):
                return  # it would lie over a newer picture
            self._found[p] = list(tiles)
        self._on_news()

    def _parts(
        self, wanted: DetailWanted, image: PlacedImage
    ) -> Iterator[tuple[tuple[object, ...], Region, int]]:
        """The parts of a field in view at the level that fits, those in the middle of the view first."""
        levels = self._levels_of(wanted.dataset, image.p)
        um_per_px = wanted.viewport.um_per_px
        wide = image.width / um_per_px  # on the screen
        fitting = [i for i, level in enumerate(levels) if level.sizes.x >= wide]
        level = max(fitting, default=0)
        sizes = levels[level].sizes
        left, top, right, bottom = wanted.viewport.edges
        scale_x, scale_y = sizes.x / image.width, sizes.y / image.height
        x0 = max(0, int((left - image.left) * scale_x))
        y0 = max(0, int((top - image.top) * scale_y))
        x1 = min(sizes.x, int((right - image.left) * scale_x) + 1)
        y1 = min(sizes.y, int((bottom - image.top) * scale_y) + 1)
        found = [
            Region(y, x, min(TILE, sizes.y - y), min(TILE, sizes.x - x))
            for y in range(y0 // TILE * TILE, y1, TILE)
            for x in range(x0 // TILE * TILE, x1, TILE)
        ]
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        found.sort(
            key=lambda part: (
                abs(part.left + part.width / 2 - middle[0]) + abs(part.top + part.height / 2 - middle[1])
            )
        )
        at = id(wanted.dataset), image.p, wanted.t, wanted.z, wanted.version, level
        for region in found:
            yield (*at, region), region, level

    def _levels_of(self, dataset: Dataset, p: int) -> tuple[Level, ...]:
        key = id(dataset), p
        levels = self._levels.get(key)
        if levels is None:
            levels = self._levels[key] = dataset.levels(p)
        return levels

    def _tile(
        self, wanted: DetailWanted, image: PlacedImage, key: tuple[object, ...], region: Region, level: int
    ) -> DetailTile | None:
        with self._lock:
            known = self._tiles.get(key)
            if known is not None:
                self._tiles.move_to_end(key)
                return known
        dataset, p = wanted.dataset, image.p
        found, info = dataset.image(p), dataset.info
        own, other = info.channels_of(found), info.other_dtype(found)
        pixels: dict[int, np.ndarray] = {}
        for c in wanted.looks:
            if c in own:
                try:
                    pixels[c] = _pixels(dataset, wanted, p, own.index(c), level, region)
                except ReadDroppedError:
                    raise
                except DatasetError as error:  # the field says so
                    logger.debug("a part of position %d: %s", p, error)
        if not pixels:
            return None
        (picture,) = colored_fields([pixels], wanted.looks, drawn_composite, [other])
        levels = self._levels_of(dataset, p)
        tile = DetailTile(*_share(region, levels[level], levels[0]), picture)
        self._turnover.add(tile.pixels.nbytes)
        with self._lock:
            self._tiles[key] = tile
            self._nbytes += tile.pixels.nbytes
            while self._nbytes > PARTS_BYTES and len(self._tiles) > 1:
                self._nbytes -= self._tiles.popitem(last=False)[1].pixels.nbytes
        return tile


def _is_of_same_pictures(one: DetailWanted, other: DetailWanted | None) -> bool:
    """Whether parts for one view are good for another one."""
    return other is not None and (
        one.dataset is other.dataset
        and (one.t, one.z, one.version, one.looks) == (other.t, other.z, other.version, other.looks)
    )


def _share(region: Region, level: Level, of: Level) -> tuple[float, float, float, float]:
    """Where a region of a level is on level 0: left, top, width and height, as shares of it."""
    corner, scale = level.corner(), level.scale
    left, width = corner.x + region.left * scale.x, region.width * scale.x
    top, height = corner.y + region.top * scale.y, region.height * scale.y
    return left / of.sizes.x, top / of.sizes.y, width / of.sizes.x, height / of.sizes.y


def _pixels(dataset: Dataset, wanted: DetailWanted, p: int, c: int, level: int, region: Region) -> np.ndarray:
    """A part of a plane, or of the projection of the planes that are there."""
    if isinstance(wanted.z, int):
        z = dataset.z_at(p, wanted.z, level) if level else wanted.z
        return dataset.plane(wanted.t, p, c, z, level=level, region=region)
    projection = StackProjection.of_text(wanted.z)
    planes = projection.planes_of(max(dataset.image(p).n_z, 1))
    running = RunningProjection(projection.how)
    failed: DatasetError | None = None
    for z in dict.fromkeys(dataset.z_at(p, z, level) if level else z for z in planes):
        try:
            running.add(dataset.plane(wanted.t, p, c, z, level=level, region=region))
        except ReadDroppedError:
            raise
        except DatasetError as error:
            failed = error
    if failed is not None and not running.n:
        raise failed
    return running.result()
