"""Passes notifications on from the cache, where they arrive, to all that must know of them."""

from __future__ import annotations

import logging
import reprlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import PlaneKey
    from ..sources import Source
    from .announced_planes import AnnouncedPlanes
    from .cache import PlaneCache
    from .known_failures import KnownFailures
    from .planes_in_view import ViewedPlanes

logger = logging.getLogger(__name__)


class NotifiedPlanes:
    """The planes that writers have notified: `fold` brings everything up to date. Any thread."""

    def __init__(
        self,
        source: Source,
        cache: PlaneCache,
        viewed: Sequence[ViewedPlanes],
        announced: AnnouncedPlanes,
        failures: KnownFailures,
    ) -> None:
        self._source = source
        self._cache = cache
        self._viewed = viewed
        self._announced = announced
        self._failures = failures
        self._said_odd = False
        self.listener: Callable[[np.ndarray], object] | None = None
        """Called with the planes (n, 4: t, p, c, z) that were notified, in whichever thread `fold` is."""

    def __contains__(self, key: PlaneKey) -> bool:
        self.fold()
        return key in self._announced

    def fold(self) -> None:
        """Apply the notifications received since the last call; cheap if there are none."""
        rows, watched = self._cache.take_notified()
        if not rows:
            return
        for odd in () if self._said_odd else self._cache.take_odd():
            self._said_odd = True
            logger.warning(
                "ignored a notification for %s, which is not a plane (t, p, c, z)", reprlib.repr(odd)
            )
        every = np.concatenate(rows)
        for view, retries in self._viewed:
            retries.written(view.showing(watched))
        if self._failures:
            self._failures.forget_rows(every)
        # then: who sees the news reads anew in another thread, and failures of that count
        self._announced.add(every, watched, self._source.info)
        if self.listener is not None:
            self.listener(every)
