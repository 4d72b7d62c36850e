"""Reads planes from a source, which measures them as it decodes them while somebody wants numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..model import PlaneKey, Region
    from ..sources import Source
    from ..sources.source import MeasuredPlane
    from .known_numbers import KnownNumbers


class MeasuredReads:
    """Whole planes of level 0 that are read are measured while it is `on`. Any thread."""

    def __init__(self, source: Source, numbers: KnownNumbers) -> None:
        self._source = source
        self._numbers = numbers
        self.on = False

    def read(self, key: PlaneKey, level: int = 0, tile: Region | None = None) -> np.ndarray:
        """Read a plane or tile; raises what the source raises."""
        if self.on and level == 0 and tile is None:
            return self._measured(key)[0]
        if tile is not None:
            return self._source.read_region(key, tile, level)
        return self._source.read_plane(key, level)

    def read_versioned(
        self, key: PlaneKey, level: int = 0, tile: Region | None = None
    ) -> tuple[np.ndarray, str | None]:
        """The same with its version, as of before the read."""
        if self.on and level == 0 and tile is None:
            return self._measured(key)
        return self._source.read_versioned(key, level, tile)

    def _measured(self, key: PlaneKey) -> tuple[np.ndarray, str | None]:
        known = self._numbers.stamped(key)
        begun = self.begin(key)
        try:
            found = self._source.read_measured(key, known.stamp if known is not None else None)
            self.note(key, found, begun)
        finally:
            self.end(begun)
        assert found.pixels is not None
        return found.pixels, found.version

    def note(self, key: PlaneKey, found: MeasuredPlane, begun: object) -> None:
        """Keep what was measured, if anything was."""
        if found.numbers is not None:
            self._numbers.note(key, found.stamp, found.numbers, begun)

    def measure(self, key: PlaneKey) -> MeasuredPlane:
        """Measure a plane of level 0 and keep its numbers, not its pixels; raises what the source raises."""
        begun = self.begin(key)
        try:
            found = self._source.measure(key)
            self.note(key, found, begun)
        finally:
            self.end(begun)
        return found

    def begin(self, key: PlaneKey) -> object:
        """See `KnownNumbers.begin`."""
        return self._numbers.begin(key)

    def end(self, begun: object) -> None:
        """See `KnownNumbers.end`."""
        self._numbers.end(begun)
