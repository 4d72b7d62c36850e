"""Rereads planes in view that are written continuously, as soon as they are notified."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .background_work import BackgroundWork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_REREAD_SECONDS = 0.016  # as often as anything is displayed
_WRITTEN_AGAIN_SECONDS = 0.05  # planes that are written again and again need not be seen as often
_IDLE_SECONDS = 1.0


class Rereader:
    """Calls `read_again` while planes in view are being written, in one thread, at most every 16 ms.

    It returns the planes that it reads; while some of them are those of the time before, it is called every
    50 ms at most. A caller still drawing the previous frame cannot ask for them yet; when it can, they are in
    memory. The thread ends by itself a second after the last plane was written.
    """

    def __init__(self, read_again: Callable[[], Collection[object]]) -> None:
        self._read_again = read_again
        self._written = threading.Event()
        self._work = BackgroundWork("ndviewer-read-again", "reading what was just written")

    @property
    def trouble(self) -> str:
        """Why planes currently cannot be reread; else empty."""
        return self._work.trouble

    def written(self) -> None:
        """A plane in view was written. Any thread; no lock if called frequently."""
        if not self._written.is_set():
            self._written.set()

    def start(self, now: float) -> None:
        """Make sure the thread is running at `now` (`time.monotonic`), as a plane in view was written."""
        if self._work.can_begin(now):
            self._written.set()
            self._work.begin(self._run, now)

    def _run(self) -> None:
        before: set[object] = set()
        while self._written.wait(_IDLE_SECONDS):
            self._written.clear()
            if self._work.closed.is_set():
                return
            planes = set(self._read_again())
            self._work.succeeded()
            pause = _REREAD_SECONDS if planes.isdisjoint(before) else _WRITTEN_AGAIN_SECONDS
            before = planes
            if self._work.closed.wait(pause):
                return

    def close(self) -> None:
        """End the thread; never blocks."""
        self._work.close()
        self._written.set()

    def join(self, deadline: float) -> None:
        """Wait for the thread to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
