"""Threads of one widget, kept for the next work; if none can be started, work waits until one can."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_THREADS = 64
"""More work than this at a time waits: what hangs ends at its deadline."""
IDLE = "ndviewer-idle"
"""What threads are called that wait for work, with a number."""


class Background:
    """Runs functions in threads. Any thread may call any method; none of them blocks.

    `Thread.start` waits until the thread runs, for milliseconds where others keep the interpreter busy: so
    threads are kept, and the GUI thread only starts one when all of them have work.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MOST_THREADS, IDLE)
        self._waiting: deque[_RunOnce] = deque()

    def run(self, name: str, function: Callable[[], None]) -> None:
        """Call `function` in a thread called `name`; if there is none for it, `start_waiting` tries again."""
        job = _RunOnce(name, function)
        try:
            self._threads.submit(job)
        except RuntimeError:  # it has ended, the system has no more threads, or the interpreter shuts down
            self._waiting.append(job)
            with contextlib.suppress(RuntimeError):
                self.start_waiting()

    def start_waiting(self) -> None:
        """Start waiting work; raises `RuntimeError` if there is still no thread for it."""
        while True:
            try:
                job = self._waiting.popleft()
            except IndexError:
                return
            try:
                threading.Thread(target=job, name=job.name).start()
            except RuntimeError:
                self._waiting.appendleft(job)
                raise

    def end(self) -> None:
        """Keep no threads any more; work under way is finished, later work still done. Idempotent."""
        self._threads.shutdown(wait=False)


class _RunOnce:
    """Runs a function once, whoever calls it: a pool that cannot start a thread keeps what it was given."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self.name = name
        self._function: list[Callable[[], None]] = [function]

    def __call__(self) -> None:
        """In a thread."""
        try:
            function = self._function.pop()
        except IndexError:
            return
        thread = threading.current_thread()
        kept_name, thread.name = thread.name, self.name
        try:
            function()
        except BaseException:  # noqa: BLE001  a pool would keep it to itself
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), thread)))
        finally:
            thread.name = kept_name
