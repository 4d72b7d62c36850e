"""Where the run on screen is written, for the title of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

if TYPE_CHECKING:
    from ...live.acquisition import Acquisition


class RunPlace(QObject):
    """`begin` when something else comes on screen, then `step` whenever it is polled. GUI thread only."""

    known = Signal(str)
    """The folder of a run that a host announced; "" until that is known."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._acquisition: Acquisition | None = None
        self._place: str | None = None  # as it was said

    def begin(self, acquisition: Acquisition | None) -> None:
        """Another dataset or run is on screen; None: no run that was announced."""
        self._acquisition, self._place = acquisition, None
        self.step()

    def step(self) -> None:
        """A host that names files names the first one when it is there."""
        if self._acquisition is None:
            return
        place = self._acquisition.experiment
        if place != self._place:
            self._place = place
            self.known.emit(place)
