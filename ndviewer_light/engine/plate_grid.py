"""Which wells a plate has, by their names, and where they are in its rows and columns. Pure.

Rows, columns and wells count from 0.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WELL = re.compile(r"([A-Za-z]{1,2})[ _-]?0*([1-9][0-9]?)")
STANDARD_PLATES = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
"""Rows and columns of plates with 6, 12, 24, 48, 96, 384 and 1,536 wells."""


class PlateLayout(NamedTuple):
    """Rows and columns with their labels, and the wells in it by (row, column).

    `is_plate` is False of regions with any names, which are arranged in reading order.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: dict[tuple[int, int], int]
    is_plate: bool = True

    @property
    def places(self) -> dict[int, tuple[int, int]]:
        """The row and column of each well."""
        return {well: place for place, well in self.wells.items()}

    def beside(self, well: int, down: int, right: int) -> int:
        """The next well in a direction, over gaps; the same one where there is none."""
        row, column = start = self.places.get(well, (0, 0))
        while 0 <= row + down < len(self.rows) and 0 <= column + right < len(self.columns):
            row, column = row + down, column + right
            if (row, column) in self.wells:
                return self.wells[row, column]
        return self.wells.get(start, well)


def plate_layout(names: Sequence[str]) -> PlateLayout | None:
    """The smallest standard plate with wells of these names; None if some are not names of wells."""
    return _plate_of(tuple(names))


@lru_cache(maxsize=4)
def _plate_of(names: tuple[str, ...]) -> PlateLayout | None:
    """Known of the last few: of 1,536 wells it takes 10 ms, and several parts of a window ask."""
    places = [_row_and_column(name) for name in names]
    known = [place for place in places if place is not None]
    if not known or len(known) < len(names) or len(set(known)) < len(known):
        return None
    n_rows, n_columns = (max(each) + 1 for each in zip(*known, strict=True))
    fitting = ((r, c) for r, c in STANDARD_PLATES if n_rows <= r and n_columns <= c)
    n_rows, n_columns = next(fitting, (n_rows, n_columns))
    return PlateLayout(
        tuple(map(_row_name, range(n_rows))),
        tuple(str(column + 1) for column in range(n_columns)),
        {place: well for well, place in enumerate(known)},
    )


def plate_with_listed(
    names: Sequence[str], listed: Sequence[str]
) -> tuple[PlateLayout, dict[tuple[int, int], str]] | None:
    """The plate with room for wells that are `listed` as well, and the names of these by their places.

    Those that are no names of wells of that plate are left out. None as of `plate_layout`.
    """
    known = set(names)
    more = [name for name in listed if name not in known]
    whole = plate_layout((*names, *more)) if more else None
    if whole is None:
        alone = plate_layout(names)
        return None if alone is None else (alone, {})
    n = len(names)
    wells = {place: well for place, well in whole.wells.items() if well < n}
    return whole._replace(wells=wells), {
        place: more[well - n] for place, well in whole.wells.items() if well >= n
    }


def grid_layout(names: Sequence[str]) -> PlateLayout:
    """Regions of any names in reading order, in about as many rows as columns."""
    n_columns = max(1, math.ceil(math.sqrt(len(names))))
    n_rows = max(1, math.ceil(len(names) / n_columns))
    wells = {divmod(well, n_columns): well for well in range(len(names))}
    return PlateLayout(("",) * n_rows, ("",) * n_columns, wells, is_plate=False)


def _row_and_column(name: str) -> tuple[int, int] | None:
    """The row and column of a well named "A1", "b-02" or "AF48"."""
    found = _WELL.fullmatch(name.strip())
    if found is None:
        return None
    row = 0
    for letter in found[1].upper():
        row = row * 26 + ord(letter) - ord("A") + 1
    return row - 1, int(found[2]) - 1


def _row_name(row: int) -> str:
    return chr(ord("A") + row) if row < 26 else chr(ord("A") + row // 26 - 1) + chr(ord("A") + row % 26)
