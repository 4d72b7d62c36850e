"""The wells (or other regions) of a dataset, and the fields of each. Pure; no Qt."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Position


class Wells:
    """Which positions belong together: those of a region, in the order in which regions first occur.

    A well is an index into `names`; a position (`p`) is one of the dataset's.
    """

    def __init__(self, positions: Sequence[Position]) -> None:
        fields: dict[str, list[int]] = {}
        for p, position in enumerate(positions):
            fields.setdefault(position.region, []).append(p)
        self.names: tuple[str, ...] = tuple(fields)
        self._fields = [tuple(each) for each in fields.values()]
        self._well_of = [0] * len(positions)
        for well, of_well in enumerate(self._fields):
            for p in of_well:
                self._well_of[p] = well

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_positions(self) -> int:
        """How many positions there are in all."""
        return len(self._well_of)

    def of(self, p: int) -> int:
        """The well of a position."""
        return self._well_of[p]

    def fields(self, well: int) -> tuple[int, ...]:
        """The positions of a well, in order."""
        return self._fields[well]

    def fields_beside(self, p: int) -> tuple[int, ...]:
        """The positions of the well that `p` is in."""
        return self._fields[self._well_of[p]] if p < len(self._well_of) else ()

    def field_after(self, p: int, step: int) -> int:
        """The field that many further on in the order of the dataset, not beyond its ends."""
        return min(max(p + step, 0), max(len(self._well_of) - 1, 0))

    def well_after(self, p: int, step: int) -> int:
        """The field of the well that many further on: the one with the same place in it, or its last."""
        if not self._well_of:
            return 0
        now = self._well_of[p]
        then = min(max(now + step, 0), len(self._fields) - 1)
        if then == now:
            return p
        at = bisect_left(self._fields[now], p)
        return self._fields[then][min(at, len(self._fields[then]) - 1)]
