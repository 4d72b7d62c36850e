"""The disk is looked at while a run is on: notifications are hints, what is stored is what counts."""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..sources import Source
    from .cache import PlaneCache
    from .planes_in_view import PlanesInView

logger = logging.getLogger(__name__)

LOOK_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How long after a look in vain the disk is looked at again; then ever after the last."""
GRACE_SECONDS = 15.0
"""How long after the end of a run the disk is still followed: writers in other processes lag behind."""
_COMPARED_PLANES = 16  # all channels of a view; of a volume only its first planes


class LookSchedule:
    """When to look at the disk: with back-off, soon again where there is a reason to. Not thread-safe.

    Times are those of `time.monotonic`.
    """

    def __init__(self, now: float, *, live: bool) -> None:
        self._until = float("inf") if live else float("-inf")
        self._since = now  # since when this view is looked at
        self._looked = float("-inf")
        self._in_vain = 0  # looks, since there was a reason to expect something
        self._expected: tuple[int, int, int, int] | None = None

    def gone_elsewhere(self, now: float) -> None:
        """Other planes are in view."""
        self._in_vain, self._since = 0, now

    def expect(self, beyond: tuple[int, int, int, int]) -> None:
        """A writer named a plane beyond what is known."""
        self._expected, self._in_vain = beyond, 0

    def end(self, now: float) -> None:
        """The run is over."""
        self._until, self._in_vain = now + GRACE_SECONDS, 0

    def is_due(self, now: float) -> bool:
        """Whether it is time to look."""
        wait = LOOK_SECONDS[min(self._in_vain, len(LOOK_SECONDS) - 1)]
        follows = self._since + wait <= now < self._until
        return (follows or self._expected is not None) and now >= self._looked + wait

    def begin(self, now: float) -> tuple[int, int, int, int] | None:
        """Take note of a look that begins; returns the plane that is expected, if any."""
        expected, self._expected = self._expected, None
        self._looked = now
        self._in_vain += 1
        return expected

    def found_nothing_of(self, expected: tuple[int, int, int, int]) -> None:
        """What a writer named is still not there: look again, unless it has named another since."""
        self._expected = self._expected or expected

    def found_something(self) -> None:
        """Where there is something new, more may come soon."""
        self._in_vain = 0


class DiskFollower:
    """Looks at the disk, a thread per look: what is known now, and whether planes in view are what is stored.

    `is_told(key)`: whether a writer tells us of that plane, so that it need not be compared. `read` reads a
    plane as the cache keeps it. `is_live()`: whether the run is still on.
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
        self._lock = threading.Lock()  # guards what follows; nothing is called inside
        self._schedule = LookSchedule(time.monotonic(), live=is_live())
        self._work = BackgroundWork("ndviewer-look", "following the disk")

    @property
    def trouble(self) -> str:
        """Why the disk cannot be followed at the moment; else empty."""
        return self._work.trouble

    def gone_elsewhere(self) -> None:
        """Other planes are in view: soon look at the disk there."""
        with self._lock:
            self._schedule.gone_elsewhere(time.monotonic())

    def end(self) -> None:
        """The run is over; the disk is followed for some seconds more."""
        with self._lock:
            self._schedule.end(time.monotonic())

    def look_if_due(self, beyond: tuple[int, int, int, int] | None, now: float) -> None:
        """Let a thread look if it is time; `beyond`: a plane outside what is known, just notified."""
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
            # of those that a writer has told us of we know; those that could not be read are tried anyway
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
        """Read planes that are in memory again; if one differs, none can be trusted."""
        for key in keys:
            shown = self._cache.peek(key, level)
            if not isinstance(shown, np.ndarray) or self._work.closed.is_set():
                continue
            if np.array_equal(shown, self._read(key, level)):
                continue
            self._cache.clear()  # not only what is in view was changed without a word
            self._view.draw_all_again()
            return

    def close(self) -> None:
        """No look begins any more; one under way ends when the source is closed. Never blocks."""
        self._work.close()

    def join(self, deadline: float) -> None:
        """Wait for a look that was under way to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
