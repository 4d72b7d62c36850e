"""Cache for values that are costly to make; each is made once, however many threads want it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from .single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

K = TypeVar("K")
V = TypeVar("V")


def nbytes(array: np.ndarray) -> int:
    """The size of an array, for a `MemoryCache` of arrays."""
    return array.nbytes


class MemoryCache(Generic[K, V]):
    """The most recently used values, up to `max_size` in total (or one that is larger). Any thread.

    `size_of` gives the size of one; without it they are counted.
    """

    def __init__(self, max_size: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        self._max_size = max_size
        self._size_of = size_of
        self._lock = threading.Lock()  # guards the following; never held while making an array
        self._values: OrderedDict[K, V] = OrderedDict()
        self._size = 0
        self._flights: SingleFlight[K, V] = SingleFlight()

    def get(self, keys: Iterable[K], make: Callable[[Sequence[K]], Iterable[tuple[K, V]]]) -> dict[K, V]:
        """The values of `keys`; those neither cached nor being made are made by one call of `make`.

        An error of `make` is raised to all waiting threads, and not cached; see `SingleFlight`.
        """
        wanted = list(keys)
        found = self._look_up(wanted)
        missing = [key for key in wanted if key not in found]
        if missing:
            found.update(self._flights.do_many(missing, lambda ours: self._made(ours, make)))
        return found

    def _made(
        self, keys: list[K], make: Callable[[Sequence[K]], Iterable[tuple[K, V]]]
    ) -> Iterable[tuple[K, V]]:
        found = self._look_up(keys)  # it may have been made meanwhile
        yield from found.items()
        if missing := [key for key in keys if key not in found]:
            for key, value in make(missing):
                self._keep(key, value)
                yield key, value

    def _look_up(self, keys: Sequence[K]) -> dict[K, V]:
        with self._lock:
            return self._touched(keys)

    def _touched(self, keys: Sequence[K]) -> dict[K, V]:
        found = {}
        for key in keys:
            if key in self._values:
                self._values.move_to_end(key)
                found[key] = self._values[key]
        return found

    def _keep(self, key: K, value: V) -> None:
        size = self._size_of(value)
        with self._lock:
            if key in self._values:
                self._size -= self._size_of(self._values.pop(key))
            self._values[key] = value
            self._size += size
            while self._size > self._max_size and len(self._values) > 1:
                self._size -= self._size_of(self._values.popitem(last=False)[1])

    def clear(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._values.clear()
            self._size = 0
