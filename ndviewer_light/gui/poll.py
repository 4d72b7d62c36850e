"""The one timer of the widget: the only way anything from another thread reaches it. It is never switched
off.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from .slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

POLL_INTERVAL_MS = 16
HURRIED_INTERVAL_MS = 4
"""The same while people wait for what comes in several steps, each of which would wait for the next poll."""
_HURRIED_SECONDS = 0.3
"""What takes longer needs the time for itself."""
IDLE_INTERVAL_MS = 150
"""The same once nothing has happened for a while, as where a finished dataset is looked at."""
_IDLE_STEPS = 125  # two seconds
LONGEST_INTERVAL_MS = 2000
"""How far the poll backs off while it fails: each failure in a row doubles its interval up to this."""


class Poll(QObject):
    """Calls `step` on the GUI thread every 16 ms, after the functions posted by other threads.

    A step returns False if nothing has happened and nothing is expected, and so may a posted function: after
    two seconds of these it is called seven times a second, until something happens, or somebody calls `wake`.
    A step that raises is retried with back-off until it succeeds: `failed(reason)` is emitted at every
    failure, `recovered` at the first success after it. `post` may be called from any thread, also when Qt has
    deleted this object; everything else is for the GUI thread.
    """

    failed = Signal(str)
    recovered = Signal()

    def __init__(self, step: Callable[[], bool | None], parent: QObject) -> None:
        super().__init__(parent)
        self._step = step
        self._gui_thread = threading.get_ident()
        self._mailbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._failures = 0  # in a row
        self._idle = 0  # steps in a row in which nothing happened
        self._hurried_until = 0.0
        self._is_turn_wanted = False
        self._polled = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self._on_timeout)

    def start(self) -> None:
        """Start polling."""
        self._timer.start()

    def stop(self) -> None:
        """Stop polling; functions posted later are never called."""
        self._timer.stop()

    @property
    def interval_ms(self) -> int:
        """The current interval between steps."""
        return int(self._timer.interval())

    def post(self, function: Callable[[], object]) -> None:
        """Have `function` called once on the GUI thread, soon. Any thread."""
        self._mailbox.put(function)

    def post_for_next_turn(self, function: Callable[[], None]) -> None:
        """`post` for the next turn of the event loop, whenever that is. GUI thread."""
        self.post(function)
        self._is_turn_wanted = True
        self.wake()

    def wake(self) -> None:
        """Something is about to happen: poll every 16 ms again. GUI thread."""
        self._idle = 0
        if not self._failures:
            self._set_interval(self._awake_ms)

    def hurry(self) -> None:
        """People wait for what was just asked for: poll every 4 ms for a moment. GUI thread."""
        self._hurried_until = time.monotonic() + _HURRIED_SECONDS
        self.wake()

    @property
    def _awake_ms(self) -> int:
        if self._is_turn_wanted:
            return 0
        return HURRIED_INTERVAL_MS if time.monotonic() < self._hurried_until else POLL_INTERVAL_MS

    def _set_interval(self, milliseconds: int) -> None:
        if self._timer.interval() != milliseconds:  # setting it starts it anew
            self._timer.setInterval(milliseconds)

    def is_gui_thread(self) -> bool:
        """Whether the caller is in the creating thread. Any thread; does not call Qt."""
        return threading.get_ident() == self._gui_thread

    def step_if_due(self) -> None:
        """Step now if the timer is late, as after a frame that took long to draw."""
        if not self._failures and time.monotonic() - self._polled >= POLL_INTERVAL_MS / 1000:
            self._on_timeout()

    @safe_slot
    def _on_timeout(self) -> None:
        self._polled = time.monotonic()
        self._is_turn_wanted = False
        has_happened = self._call_posted()
        try:
            has_happened |= self._step() is not False
        except Exception as error:  # noqa: BLE001  told by `failed`; a timer that dies would end the viewer
            self._back_off(error)
        else:
            self._note(has_happened)
            if self._failures:
                self._failures = 0
                self.wake()
                self.recovered.emit()
        if self._timer.isActive() and self._timer.interval() < POLL_INTERVAL_MS:
            self._timer.start()  # counted from now: timers of the host that became due meanwhile come first

    def _note(self, has_happened: bool) -> None:
        if has_happened:
            self.wake()
            return
        self._idle += 1
        if self._idle >= _IDLE_STEPS:
            self._set_interval(IDLE_INTERVAL_MS)
        elif not self._failures:
            self._set_interval(self._awake_ms)

    def _call_posted(self) -> bool:
        """Call what was posted; returns whether any of it did something."""
        has_happened = False
        for function in self._posted():
            try:
                has_happened |= function() is not False
            except Exception:  # the others must still be called
                logger.exception("in a call posted by another thread")
        return has_happened

    def _posted(self) -> list[Callable[[], object]]:
        # removed first: functions posted meanwhile wait for the next step
        functions = []
        while True:
            try:
                functions.append(self._mailbox.get_nowait())
            except queue.Empty:
                return functions

    def _back_off(self, error: Exception) -> None:
        self._failures += 1
        interval = min(POLL_INTERVAL_MS * 2**self._failures, LONGEST_INTERVAL_MS)
        if self._failures == 1:
            logger.warning("checking for changes failed; will retry", exc_info=error)
        self._timer.setInterval(interval)
        self.failed.emit(str(error) or type(error).__name__)
