"""Arrays that cost something to make, kept for a while, each made once however many threads want it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

K = TypeVar("K")


class KeptArrays(Generic[K]):
    """The arrays used last, at most `max_bytes` of them (or one that is larger). Any thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()  # guards what follows; never held while anything is made
        self._kept: OrderedDict[K, np.ndarray] = OrderedDict()
        self._under_way: dict[K, Future[np.ndarray]] = {}
        self._n_bytes = 0

    def get(
        self, keys: Sequence[K], make: Callable[[Sequence[K]], Mapping[K, np.ndarray]]
    ) -> dict[K, np.ndarray]:
        """The arrays of `keys`; those that nobody has, or is making, are made by one call of `make`.

        What `make` raises is raised to all who wait for the same, and not kept.
        """
        found: dict[K, np.ndarray] = {}
        others: dict[K, Future[np.ndarray]] = {}
        mine: dict[K, Future[np.ndarray]] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
                elif key in self._under_way:
                    others[key] = self._under_way[key]
                else:
                    mine[key] = self._under_way[key] = Future()
        if mine:
            self._make(mine, make)
        for key, future in (*mine.items(), *others.items()):
            found[key] = future.result()
        return found

    def _make(
        self,
        mine: Mapping[K, Future[np.ndarray]],
        make: Callable[[Sequence[K]], Mapping[K, np.ndarray]],
    ) -> None:
        try:
            made = make(list(mine))
            for key, future in mine.items():
                self._keep(key, made[key])
                future.set_result(made[key])
        except BaseException as error:  # noqa: BLE001  whoever waits gets it, the leader too
            for future in mine.values():
                if not future.done():
                    future.set_exception(error)
        finally:
            with self._lock:
                for key in mine:
                    self._under_way.pop(key, None)

    def _keep(self, key: K, array: np.ndarray) -> None:
        with self._lock:
            self._kept[key] = array
            self._n_bytes += array.nbytes
            while self._n_bytes > self._max_bytes and len(self._kept) > 1:
                self._n_bytes -= self._kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Let go of all that is kept."""
        with self._lock:
            self._kept.clear()
            self._n_bytes = 0
