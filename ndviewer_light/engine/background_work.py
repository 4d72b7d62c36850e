"""Repeated background work: one thread at a time, one owner, a defined end."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from ..storage.program_end import abandonable_thread

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

AFTER_FAILURE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before work is retried after its first, second, … consecutive failure; the last one repeats."""


class BackgroundWork:
    """Work that its owner starts whenever there is something to do. Any thread.

    A thread that cannot be started, or an error that the work does not handle, is reported once (in the
    log, and in `trouble` until the work has succeeded again) and delays the next attempt: it never ends them.
    """

    def __init__(self, thread_name: str, doing: str) -> None:
        """`doing` describes the work: "following the disk"."""
        self._thread_name = thread_name
        self._doing = doing
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._thread: threading.Thread | None = None
        self._failures = 0  # in a row
        self._not_before = float("-inf")
        self._trouble = ""
        self._closed = threading.Event()

    @property
    def trouble(self) -> str:
        """What currently prevents the work, one sentence; else empty."""
        with self._lock:
            return self._trouble

    @property
    def closed(self) -> threading.Event:
        """Set when the work is to end."""
        return self._closed

    def can_begin(self, now: float) -> bool:
        """Whether `begin` may succeed at `now` (`time.monotonic`)."""
        return self._thread is None and now >= self._not_before and not self._closed.is_set()

    def begin(self, work: Callable[[], None], now: float) -> bool:
        """Do `work` in a thread, unless running, closed or just failed; returns whether it was started."""
        with self._lock:
            if not self.can_begin(now):
                return False
            thread = self._thread = abandonable_thread(partial(self._run, work), self._thread_name)
        try:
            thread.start()
        except Exception as error:  # noqa: BLE001  no more threads, no memory: a moment later there may be
            self._ended(error)
            return False
        return True

    def succeeded(self) -> None:
        """For continuous work: it is succeeding, so the next failure counts as the first."""
        with self._lock:
            recovered, self._failures, self._trouble = self._failures > 0, 0, ""
        if recovered:
            logger.info("%s works again", self._doing)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  whatever it was: the next attempt may succeed
            self._ended(error)
        else:
            self.succeeded()
            with self._lock:
                self._thread = None

    def _ended(self, error: BaseException) -> None:
        wait = AFTER_FAILURE_SECONDS[min(self._failures, len(AFTER_FAILURE_SECONDS) - 1)]
        what = str(error) or type(error).__name__
        with self._lock:
            closed = self._closed.is_set()
            is_first = self._failures == 0 and not closed
        if is_first:
            logger.warning("%s failed and will be retried: %s", self._doing, what, exc_info=error)
        with self._lock:  # last: whoever sees that it has ended also sees everything it left behind
            self._failures += 1
            self._not_before = time.monotonic() + wait
            self._trouble = "" if closed else f"{self._doing} is failing and will be retried: {what}"
            self._thread = None

    def close(self) -> None:
        """Start no more work, and tell running work to end (`closed`). Never blocks."""
        with self._lock:
            self._closed.set()

    def join(self, deadline: float) -> None:
        """Wait for running work to end, at most until `deadline` (`time.monotonic`)."""
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
