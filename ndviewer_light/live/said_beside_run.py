"""What Squid writes beside a run that a host announces: where its fields are on the stage, the objective."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ..metadata.squid import (
    COORDINATES_FILE,
    Coordinates,
    Parameters,
    acquisition_parameters,
    coordinates,
    parameter_files,
)
from ..storage.file_versions import versions_of

if TYPE_CHECKING:
    from ..model import DatasetInfo, Position


class SaidBesideRun:
    """The files of an experiment, read again when they have changed. Any thread."""

    def __init__(self) -> None:
        """Knows nothing until `look`; does not access the disk."""
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._versions: tuple[str, str] = "", ""
        self._coordinates = Coordinates({})
        self._parameters = Parameters()
        self._placed: tuple[tuple[Position, ...], tuple[Position, ...]] = (
            (),
            (),
        )  # without, and with their places
        self._known: tuple[DatasetInfo, DatasetInfo] | None = None  # without, and with what is said

    def look(self, folder: str) -> None:
        """Read what has changed in the experiment `folder`; blocks on disk. Never raises."""
        files = [os.path.join(folder, COORDINATES_FILE)], parameter_files(folder)
        versions = versions_of(files[0]), versions_of(files[1])
        with self._lock:
            before = self._versions
        placed = coordinates(folder) if versions[0] != before[0] else None
        said = acquisition_parameters(folder) if versions[1] != before[1] else None
        with self._lock:
            self._versions = versions
            if placed is not None and placed != self._coordinates:
                self._coordinates, self._placed, self._known = placed, ((), ()), None
            if said is not None and said != self._parameters:
                self._parameters, self._known = said, None

    def added_to(self, info: DatasetInfo) -> DatasetInfo:
        """The info with what is said; the same object for the same info until something else is. No I/O."""
        with self._lock:
            if self._known is None or self._known[0] is not info:
                self._known = info, self._added_to(info)
            return self._known[1]

    def _added_to(self, info: DatasetInfo) -> DatasetInfo:
        said, by_fov = self._parameters, self._coordinates.by_fov
        objective = info.objective or said.objective
        faults = said.warnings(() if objective else ("objective",))
        warnings = [
            each for each in (self._coordinates.warning, *faults) if each and each not in info.warnings
        ]
        if by_fov and self._placed[0] is not info.positions:
            self._placed = info.positions, tuple(_placed(each, self._coordinates) for each in info.positions)
        positions = self._placed[1] if by_fov else info.positions
        if positions == info.positions and objective == info.objective and not warnings:
            return info
        return replace(info, positions=positions, objective=objective, warnings=(*info.warnings, *warnings))


def _placed(position: Position, told: Coordinates) -> Position:
    """The position where the stage was, as far as its own metadata do not say that."""
    x, y, z = told.by_fov.get((position.region, position.fov), (None, None, None))
    if position.x_um is not None or x is None:
        return position
    return position._replace(x_um=x, y_um=y, z_um=z)
