"""How long something took, and how much of that a core computed: waiting for a slow disk costs none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAITED_TIMES = 3
"""What waits is done again after so many times as long: a slow disk or server has others to serve."""
_LONGEST_REST_SECONDS = 15.0
"""But after that at the latest, unless it took longer itself."""


class TimeSpent(NamedTuple):
    """Seconds that something took, and those of them that this thread computed."""

    took: float = 0.0
    computed: float = 0.0

    @property
    def waited(self) -> float:
        """Those that this thread waited, for a disk or for a core."""
        return self.took - self.computed

    def rest_s(self, share: float) -> float:
        """How long to wait before it is done again, if at most this share of a core may compute it."""
        return max(self.computed / share, min(_WAITED_TIMES * self.took, _LONGEST_REST_SECONDS), self.took)


class Stopwatch:
    """Counts from when it is made, in the thread that makes it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._computed = time.thread_time()

    def spent(self) -> TimeSpent:
        """What was spent so far."""
        return TimeSpent(time.monotonic() - self.began, time.thread_time() - self._computed)


def least_of(spent: Iterable[TimeSpent]) -> TimeSpent:
    """What the cheapest took: on a busy computer the others may have waited for their turn."""
    every = list(spent)
    if not every:
        return TimeSpent()
    return TimeSpent(min(each.took for each in every), min(each.computed for each in every))
