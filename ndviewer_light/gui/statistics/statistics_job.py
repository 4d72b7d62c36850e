"""Measures planes in the background while they are viewed: few at a time, so that views come first."""

from __future__ import annotations

import itertools
import logging
import threading
from typing import TYPE_CHECKING

from ...engine.plane_measuring import WantedPlane
from ...model import PlaneKey, PlaneState, channel_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.dataset import Dataset
    from ...model import DatasetInfo
    from ..background import Background

logger = logging.getLogger(__name__)

_THREADS = 2  # of the four that the reader process has
_MEASURED_BATCH = 4
_MORE_SECONDS = 1.0
_LEFT = (PlaneState.PRESENT, PlaneState.FILLED)


class StatisticsJob:
    """Measures planes of a dataset in threads, then those that are written meanwhile, until `cancel`.

    `keys_of(info)`: which, asked again when the dataset has grown. What is known is not measured again.
    Properties may be read by any thread.
    """

    def __init__(self, dataset: Dataset, keys_of: Callable[[DatasetInfo], Sequence[PlaneKey]]) -> None:
        self.dataset = dataset
        self._keys_of = keys_of
        self._info = dataset.info
        self._keys: Sequence[PlaneKey] = ()
        self.expected = 0
        """How many planes; 0 until they are counted."""
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._batches = _batched(())
        self._working = _THREADS
        self.done = 0
        self.failed: dict[PlaneState, int] = {}
        self._without: dict[PlaneKey, PlaneState] = {}
        self._cancelled = threading.Event()
        self.finished = threading.Event()

    def start(self, background: Background) -> None:
        """Begin; returns at once."""
        background.run("ndviewer-measure", lambda: self._begin(background))

    def _begin(self, background: Background) -> None:
        """List the planes, of which there may be millions, then measure them."""
        self._keys = self._keys_of(self._info)
        self._batches = _batched(self._keys)
        self.expected = len(self._keys)
        for _ in range(_THREADS - 1):
            background.run("ndviewer-measure", self._work)
        self._work()

    def cancel(self) -> None:
        """Finish what is being measured, and start nothing else. Any thread."""
        self._cancelled.set()

    @property
    def is_waiting(self) -> bool:
        """Whether everything there is was measured, and more may be written."""
        return bool(self._keys) and self.done >= self.expected and not self.finished.is_set()

    def _work(self) -> None:
        is_last = False
        try:
            while not self._cancelled.is_set() and (batch := self._next()) is not None:
                self._measure(batch)
            with self._lock:
                self._working -= 1
                is_last = not self._working
            if is_last:
                self._wait_for_more()
        except Exception:
            logger.exception("measuring %s", self.dataset.path)
            self.cancel()
        finally:
            if is_last or self._cancelled.is_set():
                self.finished.set()

    def _next(self) -> list[PlaneKey] | None:
        with self._lock:
            return next(self._batches, None)

    def _measure(self, batch: Sequence[PlaneKey]) -> None:
        info, statistics = self.dataset.info, self.dataset.statistics
        todo = [key for key in batch if statistics.get(key) is None]
        found = self.dataset.measure_planes([WantedPlane.of(key, info) for key in todo])
        with self._lock:
            self.done = min(self.done + len(batch), self.expected)
            for key, each in zip(todo, found, strict=True):
                if each.state in _LEFT:
                    self._without.pop(key, None)
                else:
                    self._without[key] = each.state
            self.failed = _counted(self._without)

    def _wait_for_more(self) -> None:
        """While the dataset is being written: measure what was missing once it is there."""
        statistics, changes = self.dataset.statistics, -1
        while self.dataset.is_being_written and not self.dataset.closed:
            if self._cancelled.wait(_MORE_SECONDS):
                return
            info = self.dataset.info
            if info is not self._info:
                self._info, self._keys = info, self._keys_of(info)
                self.expected = self.done = len(self._keys)
            elif changes == statistics.changes and not self._without:
                continue
            changes = statistics.changes
            missing = [key for key in self._keys if statistics.get(key) is None]
            there = self.dataset.may_be_measured(missing)
            for batch in _batched([key for key, is_there in zip(missing, there, strict=True) if is_there]):
                if self._cancelled.is_set():
                    return
                self._measure(batch)


def _batched(keys: Sequence[PlaneKey]) -> Iterator[list[PlaneKey]]:
    of = iter(keys)
    while batch := list(itertools.islice(of, _MEASURED_BATCH)):
        yield batch


def _counted(without: dict[PlaneKey, PlaneState]) -> dict[PlaneState, int]:
    counts: dict[PlaneState, int] = {}
    for state in without.values():
        counts[state] = counts.get(state, 0) + 1
    return counts


def keys_of_run(info: DatasetInfo) -> list[PlaneKey]:
    """Every plane that positions have, in the order of acquisition: time, position, z, channel."""
    images = [info.image(p) for p in range(len(info.positions))]
    own = {
        id(image): [
            c for c in range(len(info.channels)) if channel_in(image.channels, info.channels, c) is not None
        ]
        for image in images
    }
    return [
        PlaneKey(t, p, c, z)
        for t in range(info.n_t)
        for p, image in enumerate(images)
        if t < image.n_t
        for z in range(image.n_z)
        for c in own[id(image)]
    ]
