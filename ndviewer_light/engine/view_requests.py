"""The planes of one view: requested together, and waited for together.

A dataset may have two: the picture, and the stack beside it. Neither drops what the other one waits for.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..model import Plane, PlaneKey, PlaneState
from .current_info import is_another
from .leases import StoredKey
from .overview import OVERVIEW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import numpy as np

    from .cache import PlaneCache
    from .current_info import CurrentInfo
    from .follower import DiskFollower
    from .level_parts import LevelParts
    from .notified_planes import NotifiedPlanes
    from .plane_outcomes import PlaneOutcomes
    from .planes_in_view import PlanesInView, ViewedPlanes

_CHECK_SECONDS = 0.05
"""How long a view waits to hear whether planes in memory were written again."""


class ViewRequests:
    """Sets what is in view, and gets its planes. Any thread."""

    def __init__(
        self,
        current: CurrentInfo,
        cache: PlaneCache,
        viewed: ViewedPlanes,
        follower: DiskFollower,
        notified: NotifiedPlanes,
        parts: LevelParts,
        outcomes: PlaneOutcomes,
        other: PlanesInView,
    ) -> None:
        """`other` are the planes of the other view, which stay in view."""
        self._current = current
        self._cache = cache
        self._view, self._retries = viewed
        self._other = other
        self._follower = follower
        self._notified = notified
        self._parts = parts
        self._outcomes = outcomes
        self._lock = threading.Lock()  # all parts agree about what is in view

    def planes(
        self,
        keys: Sequence[PlaneKey],
        level: int,
        wait: float | None,
        view: Sequence[PlaneKey] | None,
        upcoming: Sequence[PlaneKey] = (),
    ) -> list[Plane]:
        """See `Dataset.planes`."""
        keys = [PlaneKey(*key) for key in keys]
        view = keys if view is None else view
        if self._follower.is_growing():
            shown = self._view.shown
            stay = set(shown.keys) if shown.level == level else set()
            self._follower.check_before_shown([k for k in keys if k not in stay], level, _CHECK_SECONDS)
        began_with = self._current.adopt()
        known = self._now_in_view(view, level)
        to_read = [key for key in keys if key not in known]
        upcoming = self._read_early(upcoming, len(view), level)
        entries = dict(zip(to_read, self._request(to_read, level, (*view, *upcoming)), strict=True))
        if wait is not None and self._exceeds_cache(len(keys), level):
            wait = None  # late planes would be evicted before they are drawn, so wait for all
        deadline = None if wait is None else time.monotonic() + wait
        planes = [
            self._outcomes.of_failure(key, known[key], level)
            if key in known
            else self._outcomes.of_entry(key, level, entries[key], deadline)
            for key in keys
        ]
        if is_another(began_with, self._current.adopt()):  # some may belong to the old, some to the new
            return [Plane(PlaneState.LOADING)] * len(planes)
        if upcoming and not any(plane.state is PlaneState.LOADING for plane in planes):
            self._cache.request_tiles([StoredKey(key, level) for key in upcoming])
        return planes

    def _read_early(self, upcoming: Sequence[PlaneKey], n_in_view: int, level: int) -> Sequence[PlaneKey]:
        """Those of the planes that may be in view next that are read before they are.

        None while the dataset grows: its writer needs the disk. Together with those in view they take half of
        the memory for planes at most, so that none in view is lost for them.
        """
        if not upcoming or self._follower.is_growing():
            return ()
        n = len(upcoming)
        while n and self._exceeds_cache(2 * (n_in_view + n), level):
            n -= n_in_view
        return [PlaneKey(*key) for key in upcoming[: max(n, 0)]]

    def _request(
        self, keys: Sequence[PlaneKey], level: int, kept_too: Sequence[PlaneKey]
    ) -> list[np.ndarray | Future[np.ndarray]]:
        others = self._other.shown
        kept = [StoredKey(PlaneKey(*key), level) for key in kept_too]
        kept += [StoredKey(key, others.level) for key in others.keys]
        return self._cache.request_tiles([StoredKey(key, level) for key in keys], drop_except=kept)

    def leave(self) -> None:
        """Nothing of this view is in view any more."""
        self._now_in_view((), self._view.shown.level)

    def _now_in_view(self, keys: Sequence[PlaneKey], level: int) -> dict[PlaneKey, Exception]:
        """Set the view to `keys`; return the failures among them whose retry is not due yet."""
        self._notified.fold()
        parts = None if level == 0 else {key: self._parts.of_level_0(key, level) for key in keys}
        with self._lock:
            if level != self._view.shown.level:
                self._retries.clear()  # a failure is of one level
            is_elsewhere = self._view.show(keys, level, parts)
            self._cache.watch(self._view.watched | self._other.watched)
            failures = self._retries.show(keys)
        if is_elsewhere:
            self._follower.gone_elsewhere()
        return failures

    def _exceeds_cache(self, n_planes: int, level: int) -> bool:
        if level == OVERVIEW:
            return False
        info = self._current.with_notices()
        itemsize = info.dtype.itemsize if info.dtype is not None else 2
        nbytes = n_planes * info.height * info.width * itemsize // int(4**level)
        return nbytes > self._cache.max_bytes
