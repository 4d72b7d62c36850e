"""The right of one read to put its result into the cache, and its life cycle."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from ..storage.cancellation import CancelScope

if TYPE_CHECKING:
    import numpy as np

    from ..model import PlaneKey, Region


class SupersededRead(Exception):
    """A read failed while the plane was being written, or was cancelled: its error is outdated."""


class StoredKey(NamedTuple):
    """The key of the cache: a plane, the pyramid level it was read at, and which tile of it (None: all)."""

    plane: PlaneKey
    level: int
    tile: Region | None = None


class Lease:
    """One read and its waiters; compared by identity.

    The read runs in `scope`: dropping it ends this read, and no other of the same plane.
    The flags are guarded by the lock of the cache.
    """

    __slots__ = ("asked", "for_caller", "future", "given_up", "joined", "key", "scope", "stale", "started")

    def __init__(self, key: StoredKey) -> None:
        self.key = key
        self.future: Future[np.ndarray] = Future()
        self.scope = CancelScope()
        self.asked = time.monotonic()
        self.started = False
        self.stale = False
        self.for_caller = False  # somebody is waiting in `read`
        self.joined = False  # threads other than the reading one may wait for it
        self.given_up = False  # nobody is waiting: it may end early, so nobody may wait for it again

    def may_run(self) -> bool:
        """Whether its future is still wanted; checked before every read, the repeated ones too."""
        return self.future.running() or self.future.set_running_or_notify_cancel()

    def drop(self) -> None:
        """End it unread; waiters are told to request again. Not while holding a lock."""
        if not self.future.cancel() and not self.future.done():
            self.future.set_exception(SupersededRead())
