"""The inbox of notifications: filled without a lock, emptied in batches."""

from __future__ import annotations

from collections import deque
from itertools import repeat, starmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .announced_planes import plane_keys

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_BATCHES_MAX = 256  # batches of notifications kept until somebody asks what was notified


class Notified(NamedTuple):
    """Notified planes: all in their order, as int64 (n, 4) each, and those being watched.

    Stored as numbers, not as keys: a burst of 100,000 takes a megabyte or two and a few milliseconds.
    """

    rows: list[np.ndarray]
    watched: set[tuple[int, int, int, int]]


class Inbox:
    """Keys (t, p, c, z) in the order of notification.

    `arrived` may be appended to by any thread without a lock; everything else is done with the lock of
    the cache held.
    """

    def __init__(self) -> None:
        self.arrived: deque[tuple[int, int, int, int]] = deque()
        self.watched: frozenset[tuple[int, int, int, int]] = frozenset()
        self._rows: list[np.ndarray] = []
        self._odd: list[object] = []
        self._watched: set[tuple[int, int, int, int]] = set()

    def take_arrived(self) -> AbstractSet[tuple[int, int, int, int]]:
        """The keys that have arrived since the last call; they are remembered for `take_notified`."""
        n = len(self.arrived)
        if not n:
            return set()
        batch, rows, odd = plane_keys(list(starmap(self.arrived.popleft, repeat((), n))))
        self._odd += odd[: 1 - len(self._odd)]  # one is enough to show what is wrong
        self._rows.append(rows)
        if len(self._rows) > _BATCHES_MAX:  # nobody asks: a plane must not count twice
            self._rows = [np.unique(np.concatenate(self._rows), axis=0)]
        self._watched.update(key for key in self.watched if key in batch)
        return batch

    def take_notified(self) -> Notified:
        """The keys accepted since the last call."""
        rows, self._rows = self._rows, []
        watched, self._watched = self._watched, set()
        return Notified(rows, watched)

    def take_odd(self) -> list[object]:
        """An example of an invalid notification, once; or nothing."""
        odd, self._odd = self._odd, []
        return odd
