"""What writers say of planes, kept until somebody looks: taken in without a lock, handed out in batches."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from .announced_planes import key_rows, plane_keys

_BATCHES_MAX = 256  # batches of notifications that are kept apart until somebody asks what was notified


class Notified(NamedTuple):
    """Planes that writers told of: all, as int64 (n, 4) each, and which of them are being watched.

    As numbers, not as keys: a burst of a hundred thousand is a megabyte or two, and done in a moment.
    """

    rows: list[np.ndarray]
    watched: set[tuple[int, int, int, int]]


class Inbox:
    """Keys (t, p, c, z) in the order in which writers told of them.

    `arrived` may be appended to by any thread without a lock; everything else is done with the lock of
    the cache held.
    """

    def __init__(self) -> None:
        self.arrived: deque[tuple[int, int, int, int]] = deque()
        self.watched: frozenset[tuple[int, int, int, int]] = frozenset()
        self._rows: list[np.ndarray] = []
        self._odd: list[object] = []
        self._watched: set[tuple[int, int, int, int]] = set()

    def take_arrived(self) -> set[tuple[int, int, int, int]]:
        """The keys that have arrived since the last call; they are remembered for `take_notified`."""
        n = len(self.arrived)
        if not n:
            return set()
        batch, odd = plane_keys([self.arrived.popleft() for _ in range(n)])
        self._odd += odd[: 1 - len(self._odd)]  # one is enough to tell what is wrong
        self._rows.append(key_rows(batch))
        if len(self._rows) > _BATCHES_MAX:  # nobody asks: a plane is not to count twice
            self._rows = [np.unique(np.concatenate(self._rows), axis=0)]
        self._watched |= batch & self.watched
        return batch

    def take_notified(self) -> Notified:
        """What was taken in since the last call of this method."""
        rows, self._rows = self._rows, []
        watched, self._watched = self._watched, set()
        return Notified(rows, watched)

    def take_odd(self) -> list[object]:
        """An example of what was said to be written and is no key of a plane, once; or nothing."""
        odd, self._odd = self._odd, []
        return odd
