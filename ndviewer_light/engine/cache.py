"""Planes in memory, read in the background, never older than the last `mark_stale`.

A read takes a *lease*. `mark_stale(key)` makes the lease of a read under way stale, and a stale lease
cannot put pixels into the cache; so no bookkeeping per plane is needed, and a run that restarts,
ends or rewrites a plane during a read cannot leave old pixels behind.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from ..model import PlaneKey
from .announced_planes import key_rows, plane_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

PLANE_CACHE_MAX_MEMORY_BYTES = 256 * 1024**2
"""Bound of the plane cache of one dataset, bytes."""

_IDLE_SECONDS = (
    1.0  # a worker with nothing to do ends, so that a forgotten close() never keeps a script alive
)
_BREATH = 256
_BREATH_SECONDS = 1e-4
"""So many notifications at once, and the notifier pauses: without, every time the GUI thread lets go of the
interpreter in a burst it has it back only after 5 ms."""
_INBOX_MAX = 4096  # notifications taken in before a notifier itself has to fold them into the cache

_BATCHES_MAX = 256  # batches of notifications that are kept apart until somebody asks what was notified


class MemoryBoundedLRUCache:
    """Arrays by key, least recently used evicted first, never more than `max_memory_bytes`.

    Any thread may call any method. An array larger than the bound is not kept.
    """

    def __init__(self, max_memory_bytes: int) -> None:
        self._max_memory = int(max_memory_bytes)
        self._current_memory = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def max_memory_bytes(self) -> int:
        """The bound, bytes."""
        return self._max_memory

    def get(self, key: Hashable) -> np.ndarray | None:
        """Return the array kept under `key` and mark it as recently used, or None."""
        with self._lock:
            array = self._arrays.get(key)
            if array is not None:
                self._arrays.move_to_end(key)
            return array

    def put(self, key: Hashable, array: np.ndarray) -> None:
        """Keep `array`; room is made before it goes in, so the bound holds at every instant."""
        with self._lock:
            self._drop(key)
            if array.nbytes > self._max_memory:
                return
            while self._current_memory + array.nbytes > self._max_memory:
                _, evicted = self._arrays.popitem(last=False)
                self._current_memory -= evicted.nbytes
            self._arrays[key] = array
            self._current_memory += array.nbytes

    def invalidate(self, key: Hashable) -> bool:
        """Drop the array under `key`; True if there was one."""
        with self._lock:
            return self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._arrays.clear()
            self._current_memory = 0

    def keys(self) -> list[Hashable]:
        """Return the keys kept now, least recently used first."""
        with self._lock:
            return list(self._arrays)

    def _drop(self, key: Hashable) -> bool:
        array = self._arrays.pop(key, None)
        if array is None:
            return False
        self._current_memory -= array.nbytes
        return True

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._arrays

    def __len__(self) -> int:
        with self._lock:
            return len(self._arrays)


class SupersededRead(Exception):
    """A read failed while the plane was being written, or was given up: that says nothing about it now."""


class StoredKey(NamedTuple):
    """What the cache is keyed by: a plane and the pyramid level it was read at."""

    plane: PlaneKey
    level: int


class Notified(NamedTuple):
    """Planes that writers told of: all, as int64 (n, 4) each, and which of them are being watched.

    As numbers, not as keys: a burst of a hundred thousand is a megabyte or two, and done in a moment.
    """

    rows: list[np.ndarray]
    watched: set[tuple[int, int, int, int]]


class _Lease:
    """The right of one read to put its result into the cache; compared by identity."""

    __slots__ = ("for_caller", "future", "given_up", "key", "stale", "started")

    def __init__(self, key: StoredKey) -> None:
        self.key = key
        self.future: Future[np.ndarray] = Future()
        self.started = False
        self.stale = False
        self.for_caller = False  # somebody waits in `read`
        self.given_up = False  # nobody waits: it may end early, so nobody may wait for it again


class PlaneCache:
    """Planes by key: in memory, being read, or read on request by a few worker threads.

    `read(key, level)` is called without any lock held, from at most `workers` threads plus the
    callers of `read`. Nothing else in here blocks on it. `abandon(key, level)` is called when nobody
    waits for a read under way any more; it may let it fail.
    """

    def __init__(
        self,
        read: Callable[[PlaneKey, int], np.ndarray],
        max_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
        workers: int = 4,
        abandon: Callable[[PlaneKey, int], None] = lambda key, level: None,
    ) -> None:
        self._read_plane = read
        self._abandon = abandon
        self._planes = MemoryBoundedLRUCache(max_bytes)
        self._max_workers = workers
        self._wake = threading.Condition()  # guards everything below but the inbox
        self._reading: dict[StoredKey, _Lease] = {}
        self._queue: deque[_Lease] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._levels = {0}
        self._closed = False
        self._inbox: deque[tuple[int, int, int, int]] = deque()  # appended to without a lock
        self._notified: list[np.ndarray] = []
        self._odd: list[object] = []
        self._watched: frozenset[tuple[int, int, int, int]] = frozenset()
        self._watched_notified: set[tuple[int, int, int, int]] = set()

    @property
    def max_bytes(self) -> int:
        """The bound on the planes kept, bytes."""
        return self._planes.max_memory_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the planes kept now."""
        return self._planes._current_memory

    def peek(self, key: PlaneKey, level: int = 0) -> np.ndarray | Future[np.ndarray] | None:
        """Return the pixels in memory or the future of a read under way, starting nothing."""
        stored = StoredKey(PlaneKey(*key), level)
        with self._wake:
            self._apply_notifications()
            pixels = self._planes.get(stored)
            if pixels is not None:
                return pixels
            lease = self._reading.get(stored)
            return lease.future if lease is not None else None

    # ---- reading ---------------------------------------------------------------------------

    def request(
        self, keys: Sequence[PlaneKey], level: int = 0, *, drop_except: Iterable[PlaneKey] | None = None
    ) -> list[np.ndarray | Future[np.ndarray]]:
        """Return for each key its pixels if in memory, else the future of a read (queued or running).

        The newest request is read first, in the order of its keys. Queued reads of earlier requests
        are dropped (their futures are cancelled) and those under way abandoned, unless their plane is
        among `keys` or `drop_except`; with None nothing is dropped. Any thread; never blocks.
        """
        with self._wake:
            self._apply_notifications()
            self._levels.add(level)
            wanted = [StoredKey(PlaneKey(*key), level) for key in keys]
            answers, queued = self._answers(wanted)
            kept = {StoredKey(PlaneKey(*key), level) for key in drop_except or ()}.union(wanted)
            dropped = self._drop_queued(kept) if drop_except is not None else []
            abandoned = self._give_up(kept) if drop_except is not None else []
            self._queue.extendleft(reversed(queued))
            threads = self._new_threads()
        for lease in dropped:
            lease.future.cancel()
        for thread in threads:
            thread.start()
        for lease in abandoned:
            self._abandon(*lease.key)
        return answers

    def read(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """Return the pixels of one plane, read in the caller's thread unless another is at it.

        Raises what the source raises.
        """
        while True:
            with self._wake:
                self._apply_notifications()
                self._levels.add(level)
                stored = StoredKey(PlaneKey(*key), level)
                pixels = self._planes.get(stored)
                if pixels is not None:
                    return pixels
                lease = self._lease_of(stored)
                if lease is None:
                    lease = self._begin(stored)
                elif not lease.started:  # queued for a worker: take it over
                    self._queue.remove(lease)
                mine = not lease.started
                lease.started = True
                lease.for_caller = True
            if mine:
                self._run(lease)
            try:
                return lease.future.result()
            except (CancelledError, SupersededRead):
                if self._closed:
                    raise CancelledError from None
                continue  # the queued read we joined was dropped, or the plane was written meanwhile

    def _answers(self, wanted: list[StoredKey]) -> tuple[list[np.ndarray | Future[np.ndarray]], list[_Lease]]:
        answers: list[np.ndarray | Future[np.ndarray]] = []
        queued: list[_Lease] = []
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
            answers.append(lease.future)
        return answers, queued

    def _lease_of(self, key: StoredKey) -> _Lease | None:
        """The read of a plane that one may wait for."""
        lease = self._reading.get(key)
        if lease is None or not lease.given_up:
            return lease
        lease.stale = True  # from here on nobody would tell it that the plane was written
        del self._reading[key]
        return None

    def _give_up(self, wanted: set[StoredKey]) -> list[_Lease]:
        abandoned = [
            lease
            for key, lease in self._reading.items()
            if lease.started and not (key in wanted or lease.for_caller or lease.given_up)
        ]
        for lease in abandoned:
            lease.given_up = True
        return abandoned

    def _begin(self, key: StoredKey) -> _Lease:
        lease = self._reading[key] = _Lease(key)
        return lease

    def _drop_queued(self, wanted: set[StoredKey]) -> list[_Lease]:
        dropped = [lease for lease in self._queue if lease.key not in wanted]
        self._queue = deque(lease for lease in self._queue if lease.key in wanted)
        for lease in dropped:
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]
        return dropped

    # ---- workers ---------------------------------------------------------------------------

    def _new_threads(self) -> list[threading.Thread]:
        self._wake.notify(len(self._queue))
        missing = len(self._queue) - self._idle
        room = self._max_workers - len(self._threads)
        threads = [
            threading.Thread(target=self._work, name="ndviewer-plane-reader")
            for _ in range(max(0, min(missing, room)))
        ]
        self._threads.update(threads)
        return threads

    def _work(self) -> None:
        while (lease := self._next()) is not None:
            self._run(lease)

    def _next(self) -> _Lease | None:
        with self._wake:
            self._idle += 1
            try:
                while not self._queue and not self._closed:
                    if not self._wake.wait(_IDLE_SECONDS) and not self._queue:
                        break
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return None
                # writes up to here are what this read will see: no reason to call it stale
                self._apply_notifications()
                lease = self._queue.popleft()
                lease.started = True
                return lease
            finally:
                self._idle -= 1

    def _run(self, lease: _Lease) -> None:
        if not lease.future.set_running_or_notify_cancel():
            self._forget(lease)  # whoever held the future gave it up; the plane can be asked for again
            return
        try:
            pixels = _owned(self._read_plane(lease.key.plane, lease.key.level))
        except BaseException as error:  # noqa: BLE001  whatever it was belongs to those who wait
            self._fail(lease, error)
        else:
            self._commit(lease, pixels)

    def _commit(self, lease: _Lease, pixels: np.ndarray) -> None:
        with self._wake:
            self._apply_notifications()  # a notify that returned before now must count
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]
            if not lease.stale and not self._closed:
                self._planes.put(lease.key, pixels)
        lease.future.set_result(pixels)

    def _fail(self, lease: _Lease, error: BaseException) -> None:
        self._forget(lease)
        lease.future.set_exception(SupersededRead() if lease.stale or lease.given_up else error)

    def _forget(self, lease: _Lease) -> None:
        with self._wake:
            self._apply_notifications()
            if self._reading.get(lease.key) is lease:
                del self._reading[lease.key]

    # ---- invalidation ----------------------------------------------------------------------

    def mark_stale(self, key: tuple[int, int, int, int]) -> None:
        """The plane at `key` (t, p, c, z) was written: what is known of it is out of date.

        Once this has returned, pixels read before the call can no longer be returned from the
        cache. Any thread; a few tenths of a microsecond, no lock: the key is only put where every
        other method looks first. In a burst one call in 256 makes a pause of 0.1 ms, but never in the
        main thread, which a GUI has to itself.
        """
        inbox = self._inbox
        inbox.append(key)
        if not len(inbox) % _BREATH and threading.current_thread() is not threading.main_thread():
            time.sleep(_BREATH_SECONDS)
        if len(inbox) > _INBOX_MAX:
            with self._wake:
                self._apply_notifications()

    def watch(self, keys: frozenset[tuple[int, int, int, int]]) -> None:
        """Tell these planes from others in `take_notified` from now on. Any thread; no lock."""
        self._watched = keys

    def take_notified(self) -> Notified:
        """Return the keys called `stale` since the last call of this method."""
        with self._wake:
            self._apply_notifications()
            rows, self._notified = self._notified, []
            watched, self._watched_notified = self._watched_notified, set()
        return Notified(rows, watched)

    def take_odd(self) -> list[object]:
        """Return an example of what was said to be written and is no key of a plane, once; or nothing."""
        with self._wake:
            odd, self._odd = self._odd, []
        return odd

    def clear(self) -> None:
        """Forget every plane; reads under way finish, but are not kept."""
        with self._wake:
            self._planes.clear()
            for lease in self._reading.values():
                lease.stale = True
            self._reading = {lease.key: lease for lease in self._queue}
            for lease in self._queue:
                lease.stale = False  # not begun: it will read what is there then

    def invalidate(self, key: PlaneKey) -> None:
        """As `stale`, without counting as a notification."""
        with self._wake:
            self._apply_notifications()
            for level in self._levels:
                self._mark_stale(StoredKey(key, level))

    def _apply_notifications(self) -> None:
        inbox = self._inbox
        n = len(inbox)
        if not n:
            return
        batch, odd = plane_keys([inbox.popleft() for _ in range(n)])
        self._odd += odd[: 1 - len(self._odd)]  # one is enough to tell what is wrong
        self._notified.append(key_rows(batch))
        if len(self._notified) > _BATCHES_MAX:  # nobody asks: a plane is not to count twice
            self._notified = [np.unique(np.concatenate(self._notified), axis=0)]
        self._watched_notified |= batch & self._watched
        known = len(self._planes) + len(self._reading)
        if len(batch) * len(self._levels) < known:
            for key in batch:
                for level in self._levels:
                    self._mark_stale(StoredKey(PlaneKey(*key), level))
        else:
            for stored in [*cast("list[StoredKey]", self._planes.keys()), *self._reading]:
                if stored.plane in batch:
                    self._mark_stale(stored)

    def _mark_stale(self, key: StoredKey) -> None:
        self._planes.invalidate(key)
        lease = self._reading.get(key)
        if lease is not None and lease.started:
            lease.stale = True
            del self._reading[key]  # the next request starts a read of its own

    # ---- end -------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Cancel what is queued, let the workers end (at most `timeout` s), forget every plane.

        Reads under way are not interrupted: close the source first.
        """
        with self._wake:
            self._closed = True
            dropped = self._drop_queued(set())
            threads = list(self._threads)
            self._wake.notify_all()
        for lease in dropped:
            lease.future.cancel()
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._planes.clear()


def _owned(pixels: np.ndarray) -> np.ndarray:
    """Return `pixels` read-only and owning its memory, so that its bytes are what is accounted."""
    owner = pixels if pixels.base is None else pixels.base
    if not isinstance(owner, np.ndarray) or not owner.flags.owndata or owner.nbytes > pixels.nbytes:
        owner = pixels = pixels.copy(order="K")
    owner.flags.writeable = False
    pixels.flags.writeable = False
    return pixels
