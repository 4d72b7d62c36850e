"""What a dataset consists of: everything that is known of it without its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PlaneNotStoredError
from ..model import PlaneKey
from .image_lookup import ImageLookup
from .names_to_indices import NamesToIndices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..model import DatasetInfo, ImageInfo, LabelFacts, Level
    from ..sources import Source
    from .current_info import CurrentInfo
    from .overview import DrawnLevel, OverviewBuilder
    from .regions import TiledPlanes


class DatasetContents:
    """The sizes, channels, positions and levels of a dataset; `Dataset` adds the planes. Any thread."""

    def __init__(
        self,
        source: Source,
        path: str,
        current: CurrentInfo,
        tiled: TiledPlanes,
        overviews: OverviewBuilder,
        *,
        live: bool,
    ) -> None:
        self.path = path
        self._source = source
        self._current = current
        self._tiled = tiled
        self._overviews = overviews
        self._live = live
        self._images = ImageLookup(source)
        self._indices = NamesToIndices(source, self._images, current)

    # ---- as a whole ------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """Everything known before any pixel is read; a new object whenever more becomes known.

        Its warnings include what currently prevents the dataset from being followed.
        """
        return self._current.with_notices()

    @property
    def source(self) -> Source:
        """What the planes are read from, blocking and without a cache."""
        return self._source

    @property
    def sizes(self) -> Mapping[str, int]:
        """``{"t": …, "p": …, "c": …, "z": …, "y": …, "x": …}``, as currently known."""
        return self.info.sizes

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels, by index."""
        return tuple(channel.name for channel in self.info.channels)

    @property
    def positions(self) -> tuple[str, ...]:
        """The labels of the positions ("A1:0"), by index."""
        return tuple(position.label for position in self.info.positions)

    @property
    def live(self) -> bool:
        """Whether somebody is writing this dataset and notifying us."""
        return self._live

    # ---- positions and levels --------------------------------------------------------------

    def drawn_level(self, p: int, height: int, width: int) -> DrawnLevel:
        """What to draw of position `p` in `height` × `width` screen pixels; may block on disk.

        Level 0 of small planes; of large ones the smallest level that fills the screen, or `OVERVIEW` if
        that is too large for one picture: `planes` then reads all tiles and keeps every n-th pixel.
        """
        return self._overviews.drawn_level(p, height, width)

    def z_at(self, p: int, z: int, level: int) -> int:
        """The plane of a level that covers plane `z` of level 0; may block on disk."""
        return self._tiled.z_at(p, z, max(level, 0))

    def position_index(self, p: int | str) -> int:
        """Return the index of a position: by its label ("A1:0"), its title, or its name as written.

        An index is returned as it is. If no position is known by that name, all are looked at, as in
        `look_at_all`, which blocks on disk or network. Raises `KeyError` unless exactly one position has
        that name.
        """
        return self._indices.position(p)

    def image(self, p: int | str = 0) -> ImageInfo:
        """Return what a position contains: channels, sizes, dtype, voxel size; positions may differ.

        `p` is an index or a label ("A1:0"). Blocks on disk or network the first time. Raises `IndexError` or
        `KeyError` if there is no such position, `PlaneNotStoredError` if nothing of it is written yet,
        another `DatasetError` if it cannot be read.
        """
        return self._images.image(self._indices.position(p))

    def known_image(self, p: int) -> ImageInfo | None:
        """Return what a position contains, as far as can be said without blocking; None, too, of no position.

        As long as no positions are known to differ, and in a run that a host has announced, one that was not
        looked at yet counts as like the others.
        """
        info = self._current.adopt()
        may_be_said = self.has_looked_at(p) or not info.images or self._live
        return info.image(p) if may_be_said and 0 <= p < len(info.positions) else None

    def has_looked_at(self, p: int) -> bool:
        """Whether it was looked up already what a position contains: `image` does not block then."""
        return self._images.has_looked_at(p)

    def look_at_all(self) -> DatasetInfo:
        """Look at every position, on a server at the first 64; afterwards `info` says how they differ.

        Blocks on disk or network. Positions that cannot be read are passed over.
        """
        self._images.look_at_all()
        return self._current.adopt()

    def levels(self, p: int | str = 0) -> tuple[Level, ...]:
        """Return the pyramid levels of a position, largest first: z, y, x and scale of each.

        Blocks and raises like `image`. Levels that are announced but not written yet are left out.
        """
        return self._images.levels(self._indices.position(p))

    def drawn_levels(self, p: int) -> tuple[Level, ...]:
        """`levels` as far as anything is stored of them: the others were made and never filled.

        All of them if nothing is stored, or if that cannot be told without reading.
        """
        levels = self.levels(p)
        if len(levels) < 2:
            return levels
        return levels[: self._source.level_for(p, 0, 0) + 1]  # the coarsest, or a finer one that was filled

    def labels(self, p: int = 0) -> tuple[str, ...]:
        """The label images (masks) of a position, as they are opened; blocks like `image`."""
        return self._source.labels(p)

    def label_facts(self) -> LabelFacts:
        """The colours and properties of its values, if this is a label image; blocks like `image`."""
        return self._source.label_facts()

    def level_at(self, p: int, level: int) -> Level:
        """One of `levels`; looks at no other but the largest. Raises `IndexError` if it does not exist."""
        self.image(p)
        return self._tiled.level(p, level)

    def plane_shape(self, level: int = 0) -> tuple[int, int]:
        """Return the shape (Y, X) of the first position's planes at one level; may block on disk.

        Raises a `DatasetError` if there is no such level. See `levels` for other positions.
        """
        if level == 0:
            image = self.info.image(0)
            return image.height, image.width
        shape = self._source.plane_shape(PlaneKey(), level)
        if shape is None:
            raise PlaneNotStoredError(f"{self.path}: resolution level {level} is not written yet")
        return shape

    def tile_shape(self, p: int = 0, level: int = 0) -> tuple[int, int]:
        """Rows and columns of the parts that planes are read in; small planes are one. May block on disk."""
        if self._tiled.is_small(p):
            image = self.info.image(p)
            return max(image.height, 1), max(image.width, 1)
        grid = self._tiled.grid(p, level)
        return grid.rows, grid.columns
