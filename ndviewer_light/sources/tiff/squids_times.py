"""When the stacks of a run of Squid were acquired: by the table that it writes for each time point."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from ...metadata.squid import acquisition_times
from ...storage.file_versions import version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import PlaneKey
    from .forms import FileLocations

    Times = Mapping[tuple[str, int, int], float]

_MOST_SAID = 8
_KEPT_TABLES = 64  # tables; one may have a hundred thousand rows


class SquidsTimes:
    """The tables of one dataset, read when they are asked for. Any thread; blocks on disk."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, Times]] = {}
        self._lock = threading.Lock()  # guards what follows
        self._faults: dict[str, str] = {}  # by folder
        self.warnings: tuple[str, ...] = ()
        """About tables that cannot be read; a new object if there are others."""

    def of(self, places: FileLocations, key: PlaneKey) -> float | None:
        """Seconds since the first stack of the run; None if there is no table, or not of this stack.

        Squid notes one time for all channels of a plane.
        """
        first = min(places.folders, default=0)
        begun = min(self._table(places, first).values(), default=None)
        region, fov, *_ = places.positions[key.p]
        z = places.z[key.z] if key.z < len(places.z) else key.z
        at = self._table(places, key.t).get((region, fov, z))
        return None if at is None or begun is None else at - begun

    def _table(self, places: FileLocations, t: int) -> Times:
        folder = next(places.time_folders(t), None)
        return {} if folder is None else self._table_in(folder)

    def _table_in(self, folder: str) -> Times:
        version = version_of(os.path.join(folder, "coordinates.csv"))
        known = self._read.get(folder)
        if known is None or known[0] != version:
            times, fault = acquisition_times(folder)
            known = version, times
            if len(self._read) >= _KEPT_TABLES:
                self._read.clear()
            self._read[folder] = known
            self._note(folder, fault)
        return known[1]

    def look_at_faulty(self) -> None:
        """Read the tables again that could not be read, and have changed."""
        for folder in self._faults.copy():
            self._table_in(folder)

    def _note(self, folder: str, fault: str) -> None:
        with self._lock:
            if fault:
                self._faults[folder] = fault
            else:
                self._faults.pop(folder, None)
            said = tuple(self._faults.values())[:_MOST_SAID]
            if said != self.warnings:
                self.warnings = said
