"""Writing files some time after they were announced."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .run import WrittenPlane
    from .writing import Writer


class LateFiles(threading.Thread):
    """Writes each plane with `writer` `seconds` after `save`; its first half after half that time."""

    def __init__(self, writer: Writer, seconds: float) -> None:
        super().__init__(name="late-files", daemon=True)
        self._writer, self._half = writer, seconds / 2
        self._steps: list[tuple[float, int, Callable[[], Callable[[], None] | None]]] = []  # a heap
        self._numbers = itertools.count()  # steps due at the same time keep their order
        self._changed = threading.Condition()
        self._ended = self._killed = False
        self._error: Exception | None = None
        self.start()

    def save(self, plane: WrittenPlane, pixels: NDArray[Any]) -> None:
        """Write the plane later."""
        self._later(partial(self._writer.begin, plane, pixels))

    def end(self, killed: bool) -> None:
        """Wait until everything is written, or stop if `killed`; raises the first error that occurred."""
        with self._changed:
            self._ended, self._killed = True, killed
            self._changed.notify()
        self.join()
        if self._error is not None:
            raise self._error

    def _later(self, step: Callable[[], Callable[[], None] | None]) -> None:
        with self._changed:
            heapq.heappush(self._steps, (time.monotonic() + self._half, next(self._numbers), step))
            self._changed.notify()

    def run(self) -> None:
        """Execute each step when it is due."""
        try:
            while (step := self._next_step()) is not None:
                rest = step()
                if rest is not None:
                    self._later(rest)
        except Exception as error:  # noqa: BLE001  raised again by `end`
            self._error = error

    def _next_step(self) -> Callable[[], Callable[[], None] | None] | None:
        with self._changed:
            while not self._killed and (self._steps or not self._ended):
                wait = self._steps[0][0] - time.monotonic() if self._steps else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._steps)[2]
                self._changed.wait(wait)
        return None
