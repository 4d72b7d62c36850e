"""When the stacks of a run of Squid were acquired: by the table that it writes for each time point."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...metadata.squid import acquisition_times
from ...storage.file_versions import version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import PlaneKey
    from .forms import FileLocations

    Times = Mapping[tuple[str, int, int], float]

_KEPT_TABLES = 64  # tables; one may have a hundred thousand rows


class SquidsTimes:
    """The tables of one dataset, read when they are asked for. Any thread; blocks on disk."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, Times]] = {}

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
        if folder is None:
            return {}
        version = version_of(os.path.join(folder, "coordinates.csv"))
        known = self._read.get(folder)
        if known is None or known[0] != version:
            known = version, acquisition_times(folder)
            if len(self._read) >= _KEPT_TABLES:
                self._read.clear()
            self._read[folder] = known
        return known[1]
