"""Repeated background work: one thread at a time, one owner, a defined end."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from ..storage.program_end import abandonable_thread, give_up_at_end

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

AFTER_FAILURE_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before work is retried after its first, second, … consecutive failure; the last one repeats."""


_KEPT_SECONDS = 5.0
"""For so long a thread waits for the next work: whatever is being written is looked at more often."""


class BackgroundWork:
    """Work that its owner starts whenever there is something to do. Any thread.

    `Thread.start` waits until the thread runs: for 10 ms while another thread computes in Python, for 100
    while eight do. So the thread is kept for the next work, and `begin` seldom waits.

    A thread that cannot be started, or an error that the work does not handle, is reported once (in the
    log, and in `trouble` until the work has succeeded again) and delays the next attempt: it never ends them.
    """

    def __init__(self, thread_name: str, doing: str) -> None:
        """`doing` describes the work: "following the disk"."""
        self._thread_name = thread_name
        self._doing = doing
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._thread: threading.Thread | None = None
        self._is_running = False
        self._is_kept = False  # the thread waits for the next work
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._failures = 0  # in a row
        self._not_before = float("-inf")
        self._trouble = ""
        self._closed = threading.Event()
        give_up_at_end(self)

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
        return not self._is_running and now >= self._not_before and not self._closed.is_set()

    def begin(self, work: Callable[[], None], now: float) -> bool:
        """Do `work` in a thread, unless running, closed or just failed; returns whether it was started."""
        with self._lock:
            if not self.can_begin(now):
                return False
            self._is_running = True
            thread = self._thread
            is_there = self._is_kept and thread is not None and thread.is_alive()  # not in a forked process
            self._is_kept = False
            if not is_there:
                self._todo = queue.SimpleQueue()
                thread = self._thread = abandonable_thread(self._work, self._thread_name)
            self._todo.put(work)
        if is_there or thread is None:
            return True
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

    def _work(self) -> None:
        todo = self._todo
        while (work := self._next(todo)) is not None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  whatever it was: the next attempt may succeed
                del work
                self._ended(error, in_thread=True)
            else:
                del work  # nor what it belongs to, which may be garbage before the next
                self.succeeded()
                with self._lock:
                    self._is_running, self._is_kept = False, not self._closed.is_set()

    def _next(self, todo: queue.SimpleQueue[Callable[[], None] | None]) -> Callable[[], None] | None:
        """What is to be done next; None if nothing for some seconds, or never again."""
        with self._lock:
            if self._closed.is_set() and not self._is_running:
                return None
        try:
            return todo.get(timeout=_KEPT_SECONDS)
        except queue.Empty:
            with self._lock:
                if self._is_kept:
                    self._is_kept, self._thread = False, None
                    return None
        return todo.get()  # which was put just now

    def _ended(self, error: BaseException, *, in_thread: bool = False) -> None:
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
            self._is_running, self._is_kept = False, in_thread and not self._closed.is_set()
            if not in_thread:
                self._thread = None

    def close(self) -> None:
        """Start no more work, and tell running work to end (`closed`). Never blocks."""
        with self._lock:
            self._closed.set()
            if self._is_kept:
                self._is_kept = False
                self._todo.put(None)

    def give_up(self) -> None:
        """`close`, as the program ends."""
        self.close()

    def join(self, deadline: float) -> None:
        """Wait for running work to end, at most until `deadline` (`time.monotonic`)."""
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
