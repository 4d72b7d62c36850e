"""How long the event loop was away. Imports nothing of the viewer, so that its import can be measured too."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt, QTimer


class Heartbeat:
    """How long the event loop was away, beat by beat of 5 ms.

    `gaps` are wall-clock ms between two beats; `cpu` are the ms for which the GUI thread computed meanwhile,
    which other processes on the machine hardly change.
    """

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.cpu: list[float] = []
        self._last = time.perf_counter(), time.thread_time()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.gaps.append((now[0] - self._last[0]) * 1e3)
        self.cpu.append((now[1] - self._last[1]) * 1e3)
        self._last = now

    def stop(self) -> list[float]:
        """Stop counting; the ms between beats."""
        self._timer.stop()
        return self.gaps
