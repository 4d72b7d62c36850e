"""Arrays in memory, up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np


class MemoryBoundedLRUCache:
    """Arrays by key, least recently used evicted first, never more than `max_memory_bytes`.

    Any thread may call any method. An array larger than the limit is not kept.
    """

    def __init__(self, max_memory_bytes: int) -> None:
        self._max_memory = int(max_memory_bytes)
        self._current_memory = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def max_memory_bytes(self) -> int:
        """The limit in bytes."""
        return self._max_memory

    @max_memory_bytes.setter
    def max_memory_bytes(self, max_memory_bytes: int) -> None:
        with self._lock:
            self._max_memory = int(max_memory_bytes)
            self._make_room(0)

    def get(self, key: Hashable) -> np.ndarray | None:
        """Return the array kept under `key` and mark it as recently used, or None."""
        with self._lock:
            array = self._arrays.get(key)
            if array is not None:
                self._arrays.move_to_end(key)
            return array

    def put(self, key: Hashable, array: np.ndarray) -> None:
        """Keep `array`; room is made before it is added, so the limit holds at all times."""
        with self._lock:
            self._put(key, array)

    def _put(self, key: Hashable, array: np.ndarray) -> None:
        self._drop(key)
        if array.nbytes > self._max_memory:
            return
        self._make_room(array.nbytes)
        self._arrays[key] = array
        self._current_memory += array.nbytes

    def _make_room(self, nbytes: int) -> None:
        while self._arrays and self._current_memory + nbytes > self._max_memory:
            _, evicted = self._arrays.popitem(last=False)
            self._current_memory -= evicted.nbytes

    def invalidate(self, key: Hashable) -> bool:
        """Drop the array under `key`; True if there was one."""
        with self._lock:
            return self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._arrays.clear()
            self._current_memory = 0

    def keys(self) -> list[Hashable]:
        """Return the current keys, least recently used first."""
        with self._lock:
            return list(self._arrays)

    def _drop(self, key: Hashable) -> bool:
        array = self._arrays.pop(key, None)
        if array is None:
            return False
        self._current_memory -= array.nbytes
        return True

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._arrays

    def __len__(self) -> int:
        with self._lock:
            return len(self._arrays)
