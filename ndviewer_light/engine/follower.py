"""Checks the disk while a run is on: notifications are hints, the disk has the last word."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DatasetError
from ..model import PlaneKey
from .announced_planes import is_beyond
from .background_work import BackgroundWork
from .overview import OVERVIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..sources import Source
    from .cache import PlaneCache
    from .planes_in_view import PlanesInView

logger = logging.getLogger(__name__)

LOOK_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before the next check after unsuccessful ones; the last one repeats."""
GRACE_SECONDS = 15.0
"""How long after the end of a run the disk is still followed: writers in other processes lag behind."""
_COMPARED_PLANES = 16  # all channels of a view, but only the first planes of a volume


class LookSchedule:
    """When to check the disk: with back-off, sooner if there is a reason. Not thread-safe.

    Times are those of `time.monotonic`.
    """

    def __init__(self, now: float, *, live: bool) -> None:
        self._until = float("inf") if live else float("-inf")
        self._since = now  # when this view came into view
        self._looked = float("-inf")
        self._in_vain = 0  # checks since there was a reason to expect something
        self._expected: tuple[int, int, int, int] | None = None

    def gone_elsewhere(self, now: float) -> None:
        """Different planes are in view now."""
        self._in_vain, self._since = 0, now

    def expect(self, beyond: tuple[int, int, int, int]) -> None:
        """A writer notified a plane beyond the known sizes."""
        self._expected, self._in_vain = beyond, 0

    def end(self, now: float) -> None:
        """The run is over."""
        self._until, self._in_vain = now + GRACE_SECONDS, 0

    def is_due(self, now: float) -> bool:
        """Whether it is time to check."""
        wait = LOOK_SECONDS[min(self._in_vain, len(LOOK_SECONDS) - 1)]
        follows = self._since + wait <= now < self._until
        return (follows or self._expected is not None) and now >= self._looked + wait

    def begin(self, now: float) -> tuple[int, int, int, int] | None:
        """Record that a check starts; returns the expected plane, if any."""
        expected, self._expected = self._expected, None
        self._looked = now
        self._in_vain += 1
        return expected

    def found_nothing_of(self, expected: tuple[int, int, int, int]) -> None:
        """The notified plane is still missing: check again, unless another was notified since."""
        self._expected = self._expected or expected

    def found_something(self) -> None:
        """Something was new, so more may follow soon."""
        self._in_vain = 0


class DiskFollower:
    """Checks the disk, one thread per check: the metadata, and whether planes in view match what is stored.

    `is_told(key)`: whether writers notify that plane, so that it need not be compared. `read` reads a
    plane as the cache does. `is_live()`: whether the run is still on.
    """

    def __init__(
        self,
        source: Source,
        cache: PlaneCache,
        view: PlanesInView,
        read: Callable[[PlaneKey, int], np.ndarray],
        is_told: Callable[[PlaneKey], bool],
        is_live: Callable[[], bool],
    ) -> None:
        self._source = source
        self._cache = cache
        self._view = view
        self._read = read
        self._is_told = is_told
        self._is_live = is_live
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._schedule = LookSchedule(time.monotonic(), live=is_live())
        self._work = BackgroundWork("ndviewer-look", "following the disk")

    @property
    def trouble(self) -> str:
        """Why the disk currently cannot be followed; else empty."""
        return self._work.trouble

    def gone_elsewhere(self) -> None:
        """Different planes are in view now: check the disk there soon."""
        with self._lock:
            self._schedule.gone_elsewhere(time.monotonic())

    def end(self) -> None:
        """The run is over; follow the disk for some seconds more."""
        with self._lock:
            self._schedule.end(time.monotonic())

    def look_if_due(self, beyond: tuple[int, int, int, int] | None, now: float) -> None:
        """Check in a thread if it is time; `beyond`: a plane just notified beyond the known sizes."""
        with self._lock:
            if beyond is not None:
                self._schedule.expect(beyond)
            if not (self._work.can_begin(now) and self._schedule.is_due(now)):
                return
            expected = self._schedule.begin(now)
        if not self._work.begin(lambda: self._look(expected), now) and expected is not None:
            with self._lock:
                self._schedule.found_nothing_of(expected)

    def _look(self, expected: tuple[int, int, int, int] | None) -> None:
        before = self._source.info
        keys, level = self._view.shown
        try:
            if expected is None or self._source.plane_shape(PlaneKey(*expected)) is not None:
                self._source.refresh()
            # notified planes are known already; unreadable ones are retried anyway
            untold = [key for key in keys if not self._is_told(key)]
            self._compare(untold[:_COMPARED_PLANES], level)
        except (DatasetError, IndexError, CancelledError) as error:
            logger.debug("checking the disk for new planes: %s", error)
        finally:
            info = self._source.info
            live = self._is_live()
            with self._lock:
                if expected is not None and live and is_beyond(info, expected):
                    self._schedule.found_nothing_of(expected)
                elif info is not before:
                    self._schedule.found_something()

    def _compare(self, keys: Sequence[PlaneKey], level: int) -> None:
        """Reread cached planes; if one differs, none can be trusted."""
        if level == OVERVIEW:  # would read everything again
            return
        for key in keys:
            shown = self._cache.peek(key, level)
            if not isinstance(shown, np.ndarray) or self._work.closed.is_set():
                continue
            if np.array_equal(shown, self._read(key, level)):
                continue
            self._cache.clear()  # not only planes in view may have changed without notification
            self._view.draw_all_again()
            return

    def close(self) -> None:
        """Start no more checks; a running one ends when the source is closed. Never blocks."""
        self._work.close()

    def join(self, deadline: float) -> None:
        """Wait for a running check to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
