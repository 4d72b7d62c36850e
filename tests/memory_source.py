"""A source whose planes lie in memory and whose reads can be held: for tests of what is above sources."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ndviewer_light.errors import DatasetError, PlaneNotStoredError
from ndviewer_light.model import Channel, DatasetInfo, PlaneKey, Position
from ndviewer_light.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (8, 10)


def memory_info(n_t: int = 2, n_p: int = 3, n_c: int = 2, n_z: int = 2, **more: object) -> DatasetInfo:
    """Facts of a small dataset."""
    fields = {
        "format": "memory",
        "positions": tuple(Position("A1", i) for i in range(n_p)),
        "channels": tuple(Channel(f"c{i}", ("#FF0000", "#00FF00", "#0000FF")[i % 3]) for i in range(n_c)),
        "n_t": n_t,
        "n_z": n_z,
        "height": SHAPE[0],
        "width": SHAPE[1],
        "dtype": np.dtype(np.uint16),
        **more,
    }
    return DatasetInfo(**fields)  # type: ignore[arg-type]


class MemorySource(Source):
    """Planes in a dict; a key without one is not stored. `before_read` is called in the reading thread."""

    format = "memory"

    def __init__(self, info: DatasetInfo | None = None) -> None:
        self._info = info or memory_info()
        self.stored: dict[PlaneKey, np.ndarray] = {}
        self.before_read: Callable[[PlaneKey], None] = lambda key: None
        self.after_sample: Callable[[PlaneKey], None] = lambda key: None
        self.reads: list[PlaneKey] = []
        self.closed = threading.Event()

    @classmethod
    def recognises(cls, path: str) -> bool:
        return False

    @classmethod
    def open(cls, path: str) -> MemorySource:
        return cls()

    @property
    def info(self) -> DatasetInfo:
        return self._info

    @info.setter
    def info(self, info: DatasetInfo) -> None:
        self._info = info

    def write(self, key: PlaneKey | tuple[int, int, int, int], value: int) -> None:
        """Store a plane whose every pixel is `value`."""
        self.stored[PlaneKey(*key)] = np.full((self._info.height, self._info.width), value, self._info.dtype)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        self.reads.append(key)
        self.before_read(key)
        if self.closed.is_set():
            raise DatasetError("closed")
        pixels = self.stored.get(key)
        self.after_sample(key)
        if pixels is None:
            raise PlaneNotStoredError(f"nothing stored at {tuple(key)}")
        return pixels.copy()

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        return self._info.height, self._info.width

    def refresh(self) -> DatasetInfo:
        return self._info

    def close(self) -> None:
        self.closed.set()
