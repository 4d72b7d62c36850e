"""What is said of a plane: its pixels, that it is awaited, why it cannot be shown, and when it is retried."""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as WaitedLongEnough
from typing import TYPE_CHECKING

import numpy as np

from ..errors import CorruptDataError, DatasetGoneError, MetadataError, PlaneNotStoredError
from ..model import Plane, PlaneState
from ..sources.missing import NO_LONGER_THERE, THE_REST_IS_FILL, missing_plane
from ..storage.file_versions import parts_there
from ..storage.waits import wait_until_done
from .leases import SupersededRead
from .overview import OVERVIEW

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from ..model import PlaneKey
    from .follower import DiskFollower
    from .known_failures import KnownFailures
    from .level_parts import LevelParts
    from .notified_planes import NotifiedPlanes
    from .overview import OverviewBuilder
    from .planes_in_view import PlanesInView
    from .planes_seen import PlanesSeen
    from .retry import RetryPolicy

logger = logging.getLogger(__name__)

SETTLING_SECONDS = 1.8
"""While more is written, a plane that looks damaged, or left out, for less than this is being written.

Shorter than the first four retries take, so that the fourth tells which.
"""


class PlaneOutcomes:
    """Turns entries of the cache and errors into `Plane`s, and notes which planes failed. Any thread.

    `is_live()`: whether a host's run is on.
    """

    def __init__(
        self,
        view: PlanesInView,
        retries: RetryPolicy,
        follower: DiskFollower,
        overviews: OverviewBuilder,
        notified: NotifiedPlanes,
        parts: LevelParts,
        failures: KnownFailures,
        seen: PlanesSeen,
        is_live: Callable[[], bool],
    ) -> None:
        self._view = view
        self._retries = retries
        self._follower = follower
        self._overviews = overviews
        self._notified = notified
        self._parts = parts
        self._failures = failures
        self._seen = seen
        self._is_live = is_live
        self._closed = False

    def of_entry(
        self, key: PlaneKey, level: int, entry: np.ndarray | Future[np.ndarray], deadline: float | None
    ) -> Plane:
        """The outcome of a request to the cache by `deadline` (`time.monotonic`; None: wait for it).

        If it arrives later, the plane is drawn again.
        """
        if isinstance(entry, np.ndarray):
            return self._present(key, level, entry)
        if deadline is None:
            wait_until_done(entry)
            deadline = 0.0
        try:
            error = entry.exception(max(0.0, deadline - time.monotonic()))
        except WaitedLongEnough:
            entry.add_done_callback(lambda future: self._arrived(key, future, level))
            growing = self._overviews.so_far(key) if level == OVERVIEW else None
            return growing or self.while_read(key, level)
        except CancelledError:  # another view was requested meanwhile
            self._arrived(key, entry, level)
            return Plane(PlaneState.LOADING)
        if error is None:
            return self._present(key, level, entry.result())
        if isinstance(error, SupersededRead):
            return Plane(
                PlaneState.LOADING
            )  # the notification that superseded it is a change: we will be asked again
        return self._failed(key, error, level)

    def while_read(self, key: PlaneKey, level: int) -> Plane:
        """What to show of a plane that is being read."""
        error = self._retries.timeout_of(key)
        return Plane(PlaneState.LOADING) if error is None else self.of_failure(key, error, level)

    def _present(self, key: PlaneKey, level: int, pixels: np.ndarray) -> Plane:
        if level <= 0 and key not in self._seen:
            self._seen.note([key])
        if self._retries.succeeded(key):
            self._follower.found_news()
        self._failures.forget([key])
        n_there, n = parts_there(self._follower.version(key, level) or "")
        lacks = f"{n_there} of {n} chunks stored, {THE_REST_IS_FILL}" if 0 < n_there < n else ""
        return Plane(PlaneState.PRESENT, pixels, lacks)

    def _arrived(self, key: PlaneKey, future: Future[np.ndarray], level: int) -> None:
        """A read finished too late for the view that asked; called in the reading thread."""
        if not future.cancelled() and (error := future.exception()) is not None:
            if isinstance(error, SupersededRead):
                return
            self._failed(key, error, level)
        self._view.draw_again(key)

    def _failed(self, key: PlaneKey, error: BaseException, level: int) -> Plane:
        if not isinstance(error, Exception):
            raise error
        again = self._follower.is_following_growth or self._follower.is_awaited()
        again |= getattr(error, "transient", False)
        is_first = self._retries.failed(key, error, time.monotonic(), again=again)
        plane, is_news = self._noted_failure(key, error, level)
        if (is_first or is_news) and not self._closed:
            is_trouble = plane.state is PlaneState.UNREADABLE  # rather than something to come
            logger.log(logging.WARNING if is_trouble else logging.DEBUG, "plane %s: %s", tuple(key), error)
        return plane

    def noted_failure(self, key: PlaneKey, error: Exception, level: int) -> Plane:
        """Like `of_failure`; that a plane cannot be read is known from now on, until it was."""
        return self._noted_failure(key, error, level)[0]

    def _noted_failure(self, key: PlaneKey, error: Exception, level: int) -> tuple[Plane, bool]:
        """The same, and whether it is known only now."""
        plane = self.of_failure(key, error, level)
        if plane.state is not PlaneState.UNREADABLE:
            return plane, False
        is_gone = isinstance(error, DatasetGoneError)
        return plane, self._failures.note(key, plane.reason, is_gone=is_gone)

    def of_failure(self, key: PlaneKey, error: Exception, level: int, *, is_final: bool = False) -> Plane:
        """What a plane is that could not be read: awaited, missing or unreadable.

        `is_final`: nobody asks again in a moment, so after the end of a run what is damaged is said to be.
        """
        reason = str(error) or type(error).__name__
        if self._may_be_on_its_way(key, error, level, is_final):
            return Plane(PlaneState.PENDING, reason=f"being written ({reason})")
        if not isinstance(error, PlaneNotStoredError):
            return Plane(PlaneState.UNREADABLE, reason=reason)
        if level <= 0 and not self._is_live() and self._seen.are_gone([key])[0]:
            return Plane(PlaneState.ABSENT, reason=f"{NO_LONGER_THERE} ({reason})")
        return missing_plane(
            error,
            live=self._is_live(),
            notified=self._is_notified(key, level),
            comes=self._follower.comes,
        )

    def _is_notified(self, key: PlaneKey, level: int) -> bool:
        """Whether a writer has notified everything that a plane of any level shows."""
        return all(each in self._notified for each in self._parts.of_level_0(key, level))

    def _may_be_on_its_way(self, key: PlaneKey, error: Exception, level: int, is_final: bool) -> bool:
        """Whether a plane that is damaged, or missing among others, is perhaps about to be written.

        For a short time since it was first seen so: what is damaged for longer is said to be, while others
        are written and after the end.
        """
        is_on, is_growing = self._is_live(), self._follower.is_growing()
        if isinstance(error, PlaneNotStoredError):
            is_doubtful = self._is_notified(key, level) if is_on else error.is_fill_value and is_growing
        elif isinstance(error, (CorruptDataError, MetadataError)):
            is_doubtful = is_on or is_growing or (not is_final and self._follower.is_awaited())
        else:
            return False
        if not is_doubtful:
            return False
        now = time.monotonic()
        return now - self._failures.failing_since(key, error, now) < SETTLING_SECONDS

    def close(self) -> None:
        """From now on failures are not logged."""
        self._closed = True
