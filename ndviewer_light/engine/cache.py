"""Planes in memory, read in the background, never older than the last `mark_stale`.

A read takes a *lease*. `mark_stale(key)` marks the lease of a read in progress stale, and a stale lease
cannot put pixels into the cache; so no bookkeeping per plane is needed, and a run that restarts,
ends or rewrites a plane during a read cannot leave old pixels behind. A read is also given up
by its lease: a later read of the same plane has a new one. Large planes are read in tiles, each with a
lease of its own; what makes a plane stale does so for all of its tiles, and for the planes of other levels
that show a part of it: notifications are for planes of level 0.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, cast

from ..errors import DatasetError, OutOfResourcesError
from ..model import PlaneKey
from ..storage.program_end import give_up_at_end, is_ending
from ..storage.waits import result_of
from .leases import Lease, StoredKey, SupersededRead
from .memory_bounded_lru import MemoryBoundedLRUCache
from .notifications import Inbox, Notified
from .owned_pixels import owned
from .read_workers import ReadWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from concurrent.futures import Future

    import numpy as np

    from ..model import Level, Region

PLANE_CACHE_MAX_MEMORY_BYTES = 256 * 1024**2
"""Bound of the plane cache of one dataset, bytes."""

_BREATH = 256
_BREATH_SECONDS = 1e-4
"""After this many notifications in a row the notifier pauses: otherwise the GUI thread, each time it releases
the interpreter during a burst, gets it back only after 5 ms.
"""
_INBOX_MAX = 4096  # notifications collected before the notifying thread itself must apply them


class PlaneCache:
    """Planes and tiles by key: in memory, being read, or read on request by a few worker threads.

    `read(key, level)`, for tiles `read_tile(key, level, tile)`, is called without any lock held, from at
    most `workers` threads that do not hang, plus the callers of `read`, in the `CancelScope` of that read:
    dropping it, when nobody waits for a read in progress any more, may let it fail with
    `ReadDroppedError`. Nothing else in here blocks on it.
    """

    def __init__(
        self,
        read: Callable[[PlaneKey, int], np.ndarray],
        max_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
        workers: int = 4,
        read_tile: Callable[[PlaneKey, int, Region], np.ndarray] | None = None,
        on_stale: Callable[[Collection[tuple[int, int, int, int]]], None] = lambda keys: None,
    ) -> None:
        """`on_stale` is called with planes as they are marked stale: it must be quick and call nothing."""
        self._read_plane = read
        self._on_stale = on_stale
        self._read_tile = read_tile
        self._max_workers = workers
        self._max_bytes = max_bytes
        self.on_clear: Callable[[], object] = lambda: None
        """Told that all planes are forgotten; as quick as `on_stale`."""
        self._other_levels = False  # there may be planes of levels other than 0
        self._has_tiles = False
        self._closed = False
        self._begin_empty()
        _caches.add(self)
        give_up_at_end(self)

    def _begin_empty(self) -> None:
        self._lock = threading.RLock()  # guards everything below but the inbox
        self._planes = MemoryBoundedLRUCache(self._max_bytes)
        self._reading: dict[StoredKey, Lease] = {}
        self._queue: deque[Lease] = deque()
        self._workers: ReadWorkers[Lease] = ReadWorkers(
            self._lock,
            self._max_workers,
            lambda: len(self._queue),
            lambda: self._next(),
            lambda lease: self._run_for_waiters(lease),
            lambda error: self._fail_queued(error),
        )
        self._inbox = Inbox()
        self._facts: dict[tuple[int, int], Level] = {}  # by position and level

    def note_level(self, p: int, level: int, facts: Level) -> None:
        """Tell which planes of level 0 those of a level (`OVERVIEW`: of what it is made from) show.

        Told before each read that is to be kept. Where it is not known, every plane of a stack at that level
        counts as stale when one of level 0 is written.
        """
        with self._lock:
            self._facts[p, level] = facts

    def facts_of(self, p: int, level: int) -> Level | None:
        """What was told by `note_level`. Any thread, no lock."""
        return self._facts.get((p, level))

    @property
    def max_bytes(self) -> int:
        """The limit on cached planes, in bytes."""
        return self._planes.max_memory_bytes

    def leave_room(self, nbytes: int) -> None:
        """Set aside this much of the limit for what is made from planes; half always remains for planes."""
        with self._lock:
            self._planes.max_memory_bytes = max(self._max_bytes - nbytes, self._max_bytes // 2)

    @property
    def nbytes(self) -> int:
        """The size of the planes currently cached, in bytes."""
        return self._planes._current_memory

    def peek(
        self, key: PlaneKey, level: int = 0, tile: Region | None = None
    ) -> np.ndarray | Future[np.ndarray] | None:
        """Return the pixels in memory or the future of a read in progress, without starting one."""
        stored = StoredKey(PlaneKey(*key), level, tile)
        with self._lock:
            self._apply_notifications()
            pixels = self._planes.get(stored)
            if pixels is not None:
                return pixels
            lease = self._reading.get(stored)
            return lease.future if lease is not None else None

    def waiting_since(self, key: PlaneKey, level: int = 0) -> float | None:
        """When the pending read of a plane was requested (`time.monotonic`); None without one.

        Any thread, no lock.
        """
        lease = self._reading.get(StoredKey(PlaneKey(*key), level))
        return lease.asked if lease is not None and not lease.given_up else None

    # ---- reading ---------------------------------------------------------------------------

    def request(
        self, keys: Sequence[PlaneKey], level: int = 0, *, drop_except: Iterable[PlaneKey] | None = None
    ) -> list[np.ndarray | Future[np.ndarray]]:
        """Return for each key its pixels if in memory, else the future of a read (queued or running).

        The newest request is read first, in the order of its keys. Queued reads of earlier requests
        are dropped (their futures are cancelled) and those in progress abandoned, unless their plane is
        among `keys` or `drop_except`; with None nothing is dropped. Any thread; never blocks.
        """
        kept = None if drop_except is None else [StoredKey(PlaneKey(*key), level) for key in drop_except]
        return self.request_tiles([StoredKey(PlaneKey(*key), level) for key in keys], drop_except=kept)

    def request_tiles(
        self, wanted: Sequence[StoredKey], *, drop_except: Iterable[StoredKey] | None = None
    ) -> list[np.ndarray | Future[np.ndarray]]:
        """Like `request`, for tiles, or planes, of any levels."""
        with self._lock:
            self._apply_notifications()
            for stored in wanted:
                self._note_kind(stored)
            answers, queued = self._answers(wanted)
            kept = {*(drop_except or ()), *wanted}
            dropped = self._drop_queued(kept) if drop_except is not None else []
            abandoned = self._give_up(kept) if drop_except is not None else []
            self._queue.extendleft(reversed(queued))
            threads = self._workers.new_threads()
        try:
            for lease in dropped:
                lease.drop()
        finally:
            self._workers.start(threads)
        for lease in abandoned:
            lease.scope.drop()  # only this read: another one may have started by now
        return answers

    def read(self, key: PlaneKey, level: int = 0, tile: Region | None = None) -> np.ndarray:
        """Return the pixels of one plane or tile; read in the caller's thread, if no other is reading it.

        Raises what the source raises.
        """
        stored = StoredKey(key if type(key) is PlaneKey else PlaneKey(*key), level, tile)
        while True:
            try:
                return self._read_or_join(stored)
            except (CancelledError, SupersededRead):
                if self._closed:
                    raise CancelledError from None
                continue  # the read we joined was dropped, or the plane was written meanwhile

    def _read_or_join(self, stored: StoredKey) -> np.ndarray:
        mine: Lease | None = None
        try:
            with self._lock:
                self._apply_notifications()
                pixels = self._planes.get(stored)
                if pixels is not None:
                    return pixels
                self._note_kind(stored)
                lease = self._lease_of(stored)
                if lease is None:
                    lease = self._begin(stored)
                    mine = lease
                elif not lease.started:  # queued for a worker: take over
                    mine = lease
                    self._queue.remove(lease)
                else:
                    lease.joined = True
                lease.started = True
                lease.for_caller = True
            if mine is not None:
                self._run(mine)
            return result_of(lease.future)
        finally:
            if mine is not None and not mine.future.done():  # Ctrl-C in this thread concerns only this thread
                self._hand_over(mine)

    def _hand_over(self, lease: Lease) -> None:
        """Have a worker take over a read interrupted in the caller's thread, if others wait for it."""
        threads: list[threading.Thread] = []
        with self._lock:
            wanted = lease.joined and not self._closed
            if wanted:
                lease.started = False
                self._queue.appendleft(lease)
                threads = self._workers.new_threads()
            elif self._reading.get(lease.key) is lease:
                del self._reading[lease.key]
        if not wanted:
            lease.drop()
        self._workers.start(threads)

    def _note_kind(self, stored: StoredKey) -> None:
        """Remember what there may be of a plane that is marked stale."""
        self._other_levels |= stored.level != 0
        self._has_tiles |= stored.tile is not None

    def _answers(
        self, wanted: Sequence[StoredKey]
    ) -> tuple[list[np.ndarray | Future[np.ndarray]], list[Lease]]:
        answers: list[np.ndarray | Future[np.ndarray]] = []
        queued: list[Lease] = []
        for key in wanted:
            pixels = self._planes.get(key)
            if pixels is not None:
                answers.append(pixels)
                continue
            lease = self._lease_of(key)
            if lease is None:
                lease = self._begin(key)
                queued.append(lease)
                if self._closed:
                    lease.future.cancel()
                    del self._reading[key]
                    queued.pop()
            elif not lease.started and lease not in queued:
                self._queue.remove(lease)
                queued.append(lease)
            lease.joined = True
            answers.append(lease.future)
        return answers, queued

    def _lease_of(self, key: StoredKey) -> Lease | None:
        """The read of a plane that callers may wait for."""
        lease = self._reading.get(key)
        if lease is None or not lease.given_up:
            return lease
        lease.stale = True  # from here on, nobody would mark it stale
        del self._reading[key]
        return None

    def _give_up(self, wanted: set[StoredKey]) -> list[Lease]:
        abandoned = [
            lease
            for key, lease in self._reading.items()
            if lease.started and not (key in wanted or lease.for_caller or lease.given_up)
        ]
        for lease in abandoned:
            lease.given_up = True
        return abandoned

    def _begin(self, key: StoredKey) -> Lease:
        lease = self._reading[key] = Lease(key)
        return lease

    def _drop_queued(self, wanted: set[StoredKey]) -> list[Lease]:
        dropped = [lease for lease in self._queue if lease.key not in wanted]
        self._queue = deque(lease for lease in self._queue if lease.key in wanted)
        for lease in dropped:
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]
        return dropped

    # ---- in the workers --------------------------------------------------------------------

    def _next(self) -> Lease:
        """The queued read that is to be run now."""
        self._apply_notifications()  # this read sees all writes up to here, so they do not make it stale
        lease = self._queue.popleft()
        lease.started = True
        return lease

    def _run_for_waiters(self, lease: Lease) -> None:
        try:
            self._run(lease)
        except BaseException as error:  # noqa: BLE001  of whatever kind: for who waits, not for this thread
            if not lease.future.done():
                reason = f"reading was interrupted by {type(error).__name__}: {error}"
                self._fail(lease, DatasetError(reason))

    def _fail_queued(self, error: RuntimeError) -> None:
        """There is no thread to read in: queued reads fail with that reason."""
        with self._lock:
            left = [] if self._workers.threads else self._drop_queued(set())
        for lease in left:
            if lease.may_run():
                reason = f"cannot start a thread for reading ({error}). Close other programs or windows"
                lease.future.set_exception(OutOfResourcesError(reason))

    def _run(self, lease: Lease) -> None:
        if not lease.may_run():
            self._forget(lease)  # the future was given up by its holder; the plane can be requested again
            return
        try:
            pixels = lease.scope.run(lambda: owned(self._read_stored(lease.key)))
        except Exception as error:  # noqa: BLE001  whatever it was belongs to those who wait
            self._fail(lease, error)
        else:
            self._commit(lease, pixels)

    def _read_stored(self, key: StoredKey) -> np.ndarray:
        if key.tile is None:
            return self._read_plane(key.plane, key.level)
        assert self._read_tile is not None, "a cache of whole planes"
        return self._read_tile(key.plane, key.level, key.tile)

    def _commit(self, lease: Lease, pixels: np.ndarray) -> None:
        with self._lock:
            self._apply_notifications()  # notifications that returned before now must count
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]
            if not lease.stale and not self._closed:
                self._planes.put(lease.key, pixels)
        lease.future.set_result(pixels)

    def _fail(self, lease: Lease, error: BaseException) -> None:
        self._forget(lease)
        is_void = lease.stale or lease.given_up or is_ending()
        lease.future.set_exception(SupersededRead() if is_void else error)

    def _forget(self, lease: Lease) -> None:
        with self._lock:
            self._apply_notifications()
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]

    # ---- invalidation ----------------------------------------------------------------------

    def mark_stale(self, key: tuple[int, int, int, int]) -> None:
        """The plane at `key` (t, p, c, z) was written: what is cached of it is stale.

        Once this has returned, pixels read before the call can no longer be returned from the
        cache. Any thread; a few tenths of a microsecond, no lock: the key only goes into an inbox that every
        other method empties first. In a burst, one call in 256 pauses for 0.1 ms, but never in the
        main thread, which a GUI has to itself.
        """
        inbox = self._inbox.arrived
        inbox.append(key)
        if not len(inbox) % _BREATH:
            self._breathe()

    def _breathe(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(_BREATH_SECONDS)
        if len(self._inbox.arrived) > _INBOX_MAX:
            with self._lock:
                self._apply_notifications()

    def watch(self, keys: frozenset[tuple[int, int, int, int]]) -> None:
        """From now on, distinguish these planes in `take_notified`. Any thread; no lock."""
        self._inbox.watched = keys

    def take_notified(self) -> Notified:
        """Return the keys marked stale since the last call."""
        with self._lock:
            self._apply_notifications()
            return self._inbox.take_notified()

    def take_odd(self) -> list[object]:
        """Return an example of an invalid notification, once; or nothing."""
        with self._lock:
            return self._inbox.take_odd()

    def clear(self) -> None:
        """Forget all planes; reads in progress finish, but their results are not kept."""
        with self._lock:
            self.on_clear()
            self._planes.clear()
            for lease in self._reading.values():
                lease.stale = True
            self._reading = {lease.key: lease for lease in self._queue}
            for lease in self._queue:
                lease.stale = False  # not started: it will read what is on disk by then

    def invalidate(self, key: PlaneKey) -> None:
        """Like `mark_stale`, without counting as a notification."""
        with self._lock:
            self._apply_notifications()
            self._mark_planes_stale({PlaneKey(*key)})

    def _apply_notifications(self) -> None:
        batch = self._inbox.take_arrived()
        if batch:
            self._mark_planes_stale(batch)

    def _mark_planes_stale(self, batch: Collection[tuple[int, int, int, int]]) -> None:
        """Everything of these planes of level 0: what shows a part of them at any level, all tiles."""
        self._on_stale(batch)
        known = len(self._planes) + len(self._reading)
        if len(batch) < known and not self._has_tiles and not self._other_levels:
            for key in batch:
                self._mark_stale(StoredKey(PlaneKey(*key), 0))
            return
        stacks: dict[tuple[int, ...], list[int]] = {}
        if self._other_levels:
            for key in batch:
                stacks.setdefault(key[:3], []).append(key[3])
        for stored in [*cast("list[StoredKey]", self._planes.keys()), *self._reading]:
            if stored.level == 0:
                is_written = stored.plane in batch
            else:
                is_written = self._shows_any(stored, stacks.get(stored.plane[:3], ()))
            if is_written:
                self._mark_stale(stored)

    def _shows_any(self, stored: StoredKey, written: Sequence[int]) -> bool:
        """Whether a plane of another level has a part of one of these z of level 0."""
        facts = self._facts.get((stored.plane.p, stored.level))
        if facts is None or not written:
            return bool(written)
        z = stored.plane.z
        shown = facts.covers(z if stored.level > 0 else facts.z_at(z))  # overviews go by z of level 0
        return any(each in shown for each in written)

    def _mark_stale(self, key: StoredKey) -> None:
        self._planes.invalidate(key)
        lease = self._reading.get(key)
        if lease is not None and lease.started:
            lease.stale = True
            del self._reading[key]  # the next request starts a new read

    # ---- end -------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Cancel queued reads, let the workers end (at most `timeout` s), forget all planes.

        Reads in progress are not interrupted: close the source first.
        """
        with self._lock:
            self._closed = True
            dropped = self._drop_queued(set())
            threads = self._workers.close()
        for lease in dropped:
            lease.drop()
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._planes.clear()

    def give_up(self) -> None:
        """Begin nothing more, and end reads under way. Never blocks."""
        with self._lock:
            under_way = [lease.scope for lease in self._reading.values() if lease.started]
        for scope in under_way:
            scope.drop()
        self.close(timeout=0.0)


_caches: weakref.WeakSet[PlaneCache] = weakref.WeakSet()


def _after_fork() -> None:
    """For a forked process: there are no threads, and a lock that was held will never be released."""
    for cache in list(_caches):
        cache._begin_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
