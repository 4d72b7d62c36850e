"""Reads planes from a source, which measures them as it decodes them while somebody wants statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..model import PlaneKey, Region
    from ..sources import Source
    from ..sources.source import MeasuredPlane
    from .known_statistics import KnownStatistics


class MeasuredReads:
    """Whole planes of level 0 that are read are measured while it is `on`. Any thread."""

    def __init__(self, source: Source, statistics: KnownStatistics) -> None:
        self._source = source
        self._statistics = statistics
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
        known = self._statistics.stamped(key)
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
        if found.statistics is not None:
            self._statistics.note(key, found.stamp, found.statistics, begun)

    def measure(self, key: PlaneKey) -> MeasuredPlane:
        """Measure a plane of level 0, without keeping its pixels; raises what the source raises."""
        begun = self.begin(key)
        try:
            found = self._source.measure(key)
            self.note(key, found, begun)
        finally:
            self.end(begun)
        return found

    def begin(self, key: PlaneKey) -> object:
        """See `KnownStatistics.begin`."""
        return self._statistics.begin(key)

    def end(self, begun: object) -> None:
        """See `KnownStatistics.end`."""
        self._statistics.end(begun)
