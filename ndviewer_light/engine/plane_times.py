"""When planes were noticed and read: the newest few, filled by any thread without a lock."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..model import PlaneKey

_MOST_PLANES_TIMED = 1024  # waiting to be taken; beyond that, the oldest are forgotten


class PlaneRead(NamedTuple):
    """A plane that was read; times as `time.monotonic`, but `written` in s since 1970, None if unknown."""

    key: PlaneKey
    level: int
    written: float | None
    asked: float
    done: float


class PlaneTimes:
    """Notifications of planes in view, and reads while there is a view, until taken. Any thread, no lock."""

    def __init__(self) -> None:
        self.began = time.time()
        """When somebody began to look, in s since 1970."""
        self._notified: deque[tuple[tuple[int, int, int, int], float]] = deque(maxlen=_MOST_PLANES_TIMED)
        self._read: deque[PlaneRead] = deque(maxlen=_MOST_PLANES_TIMED)

    def notified(self, key: tuple[int, int, int, int]) -> None:
        """A writer has announced a plane that is in view. A fraction of a microsecond."""
        self._notified.append((key, time.monotonic()))

    def read(self, key: PlaneKey, level: int, written_ns: int, asked: float) -> None:
        """A plane has just been read; `written_ns` since 1970, 0 if unknown."""
        written = written_ns / 1e9 if written_ns else None
        self._read.append(PlaneRead(key, level, written, asked, time.monotonic()))

    def take_notified(self) -> list[tuple[tuple[int, int, int, int], float]]:
        """The notifications since the last call, in their order; for one taker."""
        return [self._notified.popleft() for _ in range(len(self._notified))]

    def take_read(self) -> list[PlaneRead]:
        """The reads since the last call, in their order; for one taker."""
        return [self._read.popleft() for _ in range(len(self._read))]
