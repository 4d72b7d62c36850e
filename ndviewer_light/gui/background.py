"""Threads of one widget; if none can be started, their work waits until one can."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Background:
    """Runs functions in new threads. Any thread may call any method; none of them blocks."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()

    def run(self, name: str, function: Callable[[], None]) -> None:
        """Call `function` in a thread called `name`; if none can be started, `start_waiting` will."""
        try:
            threading.Thread(target=function, name=name).start()
        except RuntimeError:  # the system has no more threads, or the interpreter is shutting down
            self._waiting.append((name, function))

    def start_waiting(self) -> None:
        """Start waiting work; raises `RuntimeError` if there is still no thread for it."""
        while True:
            try:
                name, function = self._waiting.popleft()
            except IndexError:
                return
            try:
                threading.Thread(target=function, name=name).start()
            except RuntimeError:
                self._waiting.appendleft((name, function))
                raise
