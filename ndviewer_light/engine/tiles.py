"""The grid of tiles in which large planes are read and kept; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model import Region

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_TILE_PIXELS = 4096**2
"""Planes of up to so many pixels are read and kept as a whole: live data has one read per plane."""


class TileGrid(NamedTuple):
    """The tiles of a plane of `height` × `width` pixels: `rows` × `columns` each, fewer at the far edges."""

    height: int
    width: int
    rows: int
    columns: int

    @property
    def is_whole(self) -> bool:
        """Whether the plane is one tile."""
        return self.rows >= self.height and self.columns >= self.width

    @property
    def n_tiles(self) -> int:
        """How many there are."""
        return -(-self.height // self.rows) * -(-self.width // self.columns)

    def tiles(self, region: Region | None = None) -> Iterator[Region]:
        """The tiles that `region` (None: the whole plane) intersects, row by row."""
        top, left, height, width = region or Region(0, 0, self.height, self.width)
        for y in range(top // self.rows * self.rows, top + height, self.rows):
            for x in range(left // self.columns * self.columns, left + width, self.columns):
                yield Region(y, x, min(self.rows, self.height - y), min(self.columns, self.width - x))


def whole(height: int, width: int) -> TileGrid:
    """The grid of a plane that is one tile."""
    return TileGrid(height, width, max(height, 1), max(width, 1))


def common_part(tile: Region, region: Region) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the part that both have in common is in `region`, and where in `tile` (rows, columns)."""
    top, left = max(tile.top, region.top), max(tile.left, region.left)
    bottom = min(tile.top + tile.height, region.top + region.height)
    right = min(tile.left + tile.width, region.left + region.width)
    part = Region(top, left, bottom - top, right - left)
    return _seen_from(region, part), _seen_from(tile, part)


def _seen_from(origin: Region, part: Region) -> tuple[slice, slice]:
    return part._replace(top=part.top - origin.top, left=part.left - origin.left).slices
