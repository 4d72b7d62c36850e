"""A source whose planes lie in memory and whose reads can be held: for tests of what is above sources."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from ndviewer_light.errors import DatasetError, PlaneNotStoredError
from ndviewer_light.model import (
    Channel,
    DatasetInfo,
    PlaneKey,
    Position,
)
from ndviewer_light.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SHAPE = (8, 10)
TIMEOUT = 60.0
"""Longer than anything here takes; a test that waits so long has failed."""


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
    """Planes in a dict; a key without one is not stored, one in `errors` cannot be read.

    `before_read` and `after_sample` are called in the reading thread, before and after it has looked
    at what is stored. `shapes` says which planes have another size or none yet, `grows_to` what the
    next `refresh` finds.
    """

    def __init__(self, info: DatasetInfo | None = None) -> None:
        self._info = info or memory_info()
        self.stored: dict[PlaneKey, np.ndarray] = {}
        self.before_read: Callable[[PlaneKey], None] = lambda key: None
        self.after_sample: Callable[[PlaneKey], None] = lambda key: None
        self.errors: dict[PlaneKey, Exception] = {}
        self.shapes: dict[PlaneKey, tuple[int, int] | None] = {}
        self.grows_to: DatasetInfo | None = None
        self.reads: list[PlaneKey] = []
        self.looks: list[PlaneKey] = []
        self.closed = threading.Event()

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
        pixels, error = self.stored.get(key), self.errors.get(key)
        self.after_sample(key)
        if error is not None:
            raise error
        if pixels is None:
            nothing = PlaneNotStoredError(f"nothing stored at {tuple(key)}")
            nothing.fill_value = np.zeros((), self._info.dtype)[()]
            raise nothing
        return pixels.copy(order="K")

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        self.looks.append(key)
        return self.shapes.get(key, (self._info.height, self._info.width))

    def refresh(self) -> DatasetInfo:
        self._info, self.grows_to = self.grows_to or self._info, None
        return self._info

    def close(self) -> None:
        self.closed.set()


_TIMED = ("dataset", "dataset_states", "plane_outcomes", "view_requests", "follower", "background_work")


class Clock:
    """A clock the test moves; put in the place of a module's `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the engine go by this clock."""
        for module in _TIMED:
            monkeypatch.setattr(f"ndviewer_light.engine.{module}.time", self)


class Gate:
    """Holds every thread that calls it until it is opened; open from the start if `held` is False."""

    def __init__(self, held: bool = True) -> None:
        self._came = threading.Semaphore(0)
        self._open = threading.Event()
        if not held:
            self._open.set()

    def __call__(self, *_: object) -> None:
        self._came.release()
        assert self._open.wait(TIMEOUT), "nobody opened the gate"

    def wait_for_one(self) -> None:
        """Block until one more thread has come to the gate."""
        assert self._came.acquire(timeout=TIMEOUT), "nobody came to the gate"

    def open(self) -> None:
        """Let everybody through, from now on."""
        self._open.set()


def in_thread(function: Callable[..., object], *args: object) -> Future[object]:
    """Run `function` in a thread of its own; its result or error is in the future."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001  it belongs to who waits for the future
            future.set_exception(error)

    threading.Thread(target=run, name="test-thread").start()
    return future


def wait_until(condition: Callable[[], object]) -> None:
    """Block until `condition` is true; for what has no event to wait for."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.001)


def can_be_taken(lock: object) -> bool:
    """Whether a thread other than this one can take `lock` at once: nobody holds it, not even we."""

    def take_and_release() -> bool:
        if not lock.acquire(timeout=1):  # type: ignore[attr-defined]
            return False
        lock.release()  # type: ignore[attr-defined]
        return True

    return bool(in_thread(take_and_release).result(TIMEOUT))
