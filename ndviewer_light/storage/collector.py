"""Pauses Python's garbage collector while what it might free must stay.

Used while OpenGL draws: a window that was closed makes another context current, or none, when it is freed.
And where h5py reads through Python threads, as the libraries for network shares do. Under h5py's lock we wait
for such a thread, and if the collector ran there and freed an h5py object, that thread would wait for the
lock. A call of ``gc.collect`` is not held up: it waits in its own thread.

And while the places of a plate are made, tens of thousands of tuples that it would look through in vain; and
while much is imported (`importing`).
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLLECTOR_POLL_SECONDS = 0.001


class _Collector:
    """Counts the pauses, and knows in which thread the collector runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pauses = 0
        self._was_enabled = False
        self._is_watched = False
        self._runs_in: int | None = None  # set by the thread itself, without a lock
        self._number = 0

    def pause(self) -> None:
        """Returns when no earlier collection is running, unless in this thread."""
        with self._lock:
            if not self._is_watched:
                gc.callbacks.append(self._watch)
                self._is_watched = True
            if not self._pauses:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._pauses += 1
        number = self._number
        while self._runs_in not in (None, threading.get_ident()) and self._number == number:
            time.sleep(_COLLECTOR_POLL_SECONDS)

    def go_on(self) -> None:
        """Undo one `pause`."""
        with self._lock:
            self._pauses -= 1
            if not self._pauses and self._was_enabled:
                gc.enable()

    def _watch(self, phase: str, _: object) -> None:
        if phase == "start":
            self._number += 1
            self._runs_in = threading.get_ident()
        else:
            self._runs_in = None


_the_collector = _Collector()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """The collector does not run automatically until the block ends; pauses may overlap.

    Enter without holding h5py's lock: a running collection may be waiting for it.
    """
    _the_collector.pause()
    try:
        yield
    finally:
        _the_collector.go_on()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """The collector looks through nothing of what is imported in here, neither now nor soon.

    Otherwise it would again and again, and have its full pass in the middle of the first run, while the
    event loop waits: 20 to 60 ms each time, in whichever thread it runs.
    """
    with paused():
        try:
            yield
        finally:
            _count_as_old()


def _count_as_old() -> None:
    """Count all objects that there are as old ones, of which the collector looks at few at a time.

    Both calls together do that in no time, and with all of the process, which harms nobody: garbage among
    them is found by the next full pass. Where somebody keeps objects from the collector for good, it is left.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
