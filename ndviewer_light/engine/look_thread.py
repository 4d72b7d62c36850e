"""Looks at the disk by itself: for scripts, whose `Dataset` nobody polls as the widget does."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .follower import DiskFollower

_LOOK_WHILE_GROWING_SECONDS = 0.1
_LOOK_WHILE_QUIET_SECONDS = 0.5
"""How often to check whether a look is due; a check takes microseconds."""


class LookThread:
    """Begins the looks of a follower that are due, until it is closed or the follower is gone."""

    def __init__(self, follower: DiskFollower) -> None:
        self._ended = threading.Event()
        follower_of = weakref.ref(follower, lambda _: self._ended.set())
        self._thread = threading.Thread(
            target=_keep_looking, args=(follower_of, self._ended), name="ndviewer-following", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Begin no more looks. Never blocks."""
        self._ended.set()

    def join(self, deadline: float) -> None:
        """Wait for the thread to end, at most until `deadline` (`time.monotonic`)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))


def _keep_looking(follower_of: weakref.ref[DiskFollower], ended: threading.Event) -> None:
    while not ended.is_set():
        follower = follower_of()
        if follower is None:
            return
        follower.look_if_due(None, time.monotonic())
        wait = _LOOK_WHILE_GROWING_SECONDS if follower.is_growing() else _LOOK_WHILE_QUIET_SECONDS
        del follower  # a dataset that nobody closed is collected once nobody uses it
        ended.wait(wait)
