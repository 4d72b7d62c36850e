"""Requests that mostly compute are answered one after the other, those that mostly wait at the same time.

Two threads that compute in small steps hand the interpreter's lock to and fro at each of them, which takes
longer than the steps: pictures of 3,456 fields took 2.7 s in two threads, and 1.9 s in one.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from ..storage.waits import AWAKE_AGAIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

_Done = TypeVar("_Done")

_COMPUTES = 0.6
"""The share of its time for which a request computes, from which on others wait for it."""


class Turns:
    """Whose turn it is. Any thread."""

    def __init__(self, cpu_seconds: Callable[[], float] = time.thread_time) -> None:
        self._cpu_seconds = cpu_seconds  # of the calling thread
        self._changed = threading.Condition(threading.Lock())  # guards the following
        self._n_running = 0
        self._is_work = True

    def run(self, work: Callable[[], _Done]) -> _Done:
        """Do some work once it may be done; blocks until it is."""
        with self._changed:
            while self._is_work and self._n_running:
                self._changed.wait(AWAKE_AGAIN_SECONDS)
            self._n_running += 1
            beside = self._n_running
        began, cpu = time.monotonic(), self._cpu_seconds()
        try:
            return work()
        finally:
            computed, seconds = self._cpu_seconds() - cpu, time.monotonic() - began
            with self._changed:
                beside = max(beside, self._n_running)  # which share the interpreter's lock
                self._n_running -= 1
                self._is_work = computed * beside >= _COMPUTES * seconds
                self._changed.notify_all()
