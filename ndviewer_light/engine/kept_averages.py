"""Area averages that are kept on disk: under which names, and which ones are worth keeping."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from .area_averages import step_for

if TYPE_CHECKING:
    import numpy as np

    from ..model import StackKey
    from ..storage.disk_cache import DiskCache

KEPT_EDGE = 128
"""The longest edge, up to twice this, of the area averages that are kept on disk."""


_UNASKED_SECONDS = 0.5
_LATER_BYTES = 256 * 1024**2


class LaterPuts:
    """Puts arrays into `disk` once none was put or asked for for a moment, so that pictures come first.

    Any thread. What is not written yet is in memory, at most 256 MiB, and lost if the process ends.
    """

    def __init__(self, disk: DiskCache) -> None:
        self._disk = disk
        self._lock = threading.Lock()  # guards the following; nothing is written while holding it
        self._waiting: OrderedDict[str, np.ndarray] = OrderedDict()
        self._nbytes = 0
        self._last = 0.0  # time.monotonic
        self._thread: threading.Thread | None = None

    def get(self, key: str) -> np.ndarray | None:
        """See `DiskCache.get`; of what is still to be written, the array itself."""
        with self._lock:
            self._last = time.monotonic()
            waiting = self._waiting.get(key)
        return waiting if waiting is not None else self._disk.get(key)

    def put(self, key: str, array: np.ndarray) -> None:
        """Have an array written later; at once if too many are waiting."""
        thread = None
        with self._lock:
            self._last = time.monotonic()
            is_full = self._nbytes + array.nbytes > _LATER_BYTES
            if not is_full and key not in self._waiting:
                self._waiting[key] = array
                self._nbytes += array.nbytes
                if self._thread is None:
                    thread = self._thread = threading.Thread(
                        target=self._write, name="ndviewer-keep", daemon=True
                    )
        if is_full:
            self._disk.put(key, array)
        if thread is not None:
            thread.start()

    def _write(self) -> None:
        """In a thread, which ends when all is written."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                left = self._last + _UNASKED_SECONDS - time.monotonic()
                key, array = next(iter(self._waiting.items()))
            if left > 0:
                time.sleep(left)
                continue
            self._disk.put(key, array)
            with self._lock:
                del self._waiting[key]
                self._nbytes -= array.nbytes


class ThumbnailCache(NamedTuple):
    """Where area averages are kept; `name` is that of the dataset, `disk` the cache."""

    disk: DiskCache | LaterPuts
    name: str

    def name_of(self, key: StackKey, level: int, edge: int, version: str | None) -> str:
        """The name an average is kept under; "" if it is not: nothing tells when the plane has changed."""
        if version is None:
            return ""
        said = self.name, version, level, *key, max(edge, KEPT_EDGE)
        return "\n".join(("thumbnail 1", *map(str, said)))

    def get(self, name: str) -> np.ndarray | None:
        """What is kept under a name."""
        return self.disk.get(name) if name else None

    def put(self, name: str, pixels: np.ndarray) -> None:
        """Keep an average, if it has a name."""
        if name:
            self.disk.put(name, pixels)


def kept_step(shape: tuple[int, int], edge: int) -> int:
    """How many pixels are averaged along each axis for what is kept of a plane: also for closer looks.

    1 where nothing is kept: the plane itself is read as quickly.
    """
    return step_for(max(shape), max(edge, KEPT_EDGE))
