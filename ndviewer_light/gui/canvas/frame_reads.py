"""Frames read in a thread for one canvas, one at a time, and handed over on the GUI thread at once."""

from __future__ import annotations

import queue
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

from qtpy.QtCore import QObject, Qt, QTimer

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..background import Background

T = TypeVar("T")

_FRAME_LOOK_MS = 1
_SOON = 200
"""Looks; what is not there by then is waited for at leisure."""
_LOOK_LATER_MS = 10


class FrameReads(QObject, Generic[T]):
    """Reads for its parent, of which `take` is a method: called with each result, unless it was forgotten.

    The GUI thread looks every millisecond for as long as a read takes, which costs it less than a hundredth
    of its time: no other thread ever touches a widget.
    """

    def __init__(self, parent: QObject, background: Background, take: Callable[[T], None]) -> None:
        super().__init__(parent)
        self._background = background
        self._take = weakref.WeakMethod(take)
        self._done: queue.SimpleQueue[T] | None = None
        self._looks = 0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return self._done is not None

    def begin(self, name: str, read: Callable[[], T]) -> None:
        """Call `read`, which never raises, in a thread called `name`; what was being read is forgotten."""
        done: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._done, self._looks = done, 0
        self._timer.start(_FRAME_LOOK_MS)
        self._background.run(name, lambda: done.put(read()))

    def forget(self) -> None:
        """Nobody waits any more for what is being read."""
        self._done = None
        self._timer.stop()

    @safe_slot
    def _look(self) -> None:
        self._looks += 1
        if self._looks == _SOON:
            self._timer.setInterval(_LOOK_LATER_MS)
        try:
            result = self._done.get_nowait() if self._done is not None else None
        except queue.Empty:
            return
        self.forget()
        take = self._take()
        if result is not None and take is not None:
            take(result)
