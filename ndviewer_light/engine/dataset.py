"""A source seen through a cache, that can grow: the one thread-safe door to planes."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as WaitedLongEnough
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError, PlaneNotStoredError, PlaneNotWrittenError
from ..model import Plane, PlaneKey, PlaneState
from .announced_planes import PlaneBits
from .cache import PLANE_CACHE_MAX_MEMORY_BYTES, PlaneCache
from .leases import SupersededRead
from .transpose import c_ordered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    import xarray as xr

    from ..model import DatasetInfo
    from ..sources import Source

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.15
"""How long a view waits for planes that are being read before it is drawn without them."""

_RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_LOOK_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
_AGAIN_SECONDS = 0.016  # planes in view that are written without pause are read no more often than looked at
_IDLE_SECONDS = 1.0
_COMPARED_PLANES = 16  # all channels of a view; of a volume only its first planes
_GRACE_SECONDS = 15.0
"""How long after the end of a run the disk is still followed: writers in other processes lag behind."""


class Changes(NamedTuple):
    """What happened to a dataset since the last look: planes in view to draw again, new facts.

    `replaced`: another dataset lies at the path now, and is the one shown from here on: `info`, planes
    and what follows from them (sliders, contrast, the channels' strips) have to be made anew.
    """

    in_view: bool
    info: bool
    replaced: bool = False


@dataclass
class _Failure:
    """Why a plane in view could not be shown, and when to try it again (`time.monotonic`).

    `error` is None once it is due: the next request reads again.
    """

    error: Exception | None
    attempts: int
    due: float


class Dataset:
    """The planes of one source, cached, invalidated when somebody writes them.

    Any thread may call any method; `plane`, `refresh` and `planes` block and so are not for a GUI
    thread. Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        source: Source,
        cache_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
        *,
        path: str = "",
        storage_options: Mapping[str, str] | None = None,
        live: bool = False,
        workers: int = 4,
    ) -> None:
        self.path = path
        self.storage_options = dict(storage_options or {})
        self._source = source
        self._cache = PlaneCache(self._read, cache_bytes, workers)
        self._lock = threading.Lock()  # guards everything below
        self._live = live
        self._info = source.info
        self._view: tuple[PlaneKey, ...] = ()
        self._watched: frozenset[tuple[int, int, int, int]] = (
            frozenset()
        )  # the same; looked at without the lock
        self._written = threading.Event()  # one of them was written
        self._reading_again: threading.Thread | None = None
        self._over = threading.Event()
        self._level = 0
        self._late: set[PlaneKey] = set()
        self._failures: dict[PlaneKey, _Failure] = {}
        sizes = self._info.sizes
        self._notified = PlaneBits(sizes["p"], sizes["c"], sizes["z"])
        self._unseen: set[tuple[int, int, int, int]] = (
            set()
        )  # in view, notified, not yet returned by take_changes
        self._unseen_beyond: tuple[int, int, int, int] | None = None  # notified, outside what is known
        self._beyond: tuple[int, int, int, int] | None = None  # the same, still to be looked for
        self._followed_until = float("inf") if live else float("-inf")
        self._looking = False
        self._looked = float("-inf")
        self._looks = 0  # in vain, since there was a reason to expect something
        self._viewed = time.monotonic()  # since when this view is looked at
        self._closed = False

    # ---- what is known ---------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """Everything known before any pixel is read; a new object whenever more is known."""
        return self._source.info

    @property
    def live(self) -> bool:
        """Whether somebody is writing this dataset and tells us."""
        return self._live

    def state(self, key: PlaneKey) -> PlaneState:
        """What is known of one plane, at the level in view, without reading it."""
        entry = self._cache.peek(key, self._level)
        if isinstance(entry, np.ndarray):
            return PlaneState.PRESENT
        if entry is not None:
            return PlaneState.LOADING
        with self._lock:
            failure = self._failures.get(key)
        if failure is not None and failure.error is not None:
            return self._failed_plane(key, failure.error).state
        return PlaneState.PENDING if self._live else PlaneState.ABSENT

    def was_notified(self, key: PlaneKey) -> bool:
        """Whether a writer said that this plane is on disk."""
        self._fold_notified()
        with self._lock:
            return key in self._notified

    # ---- planes ----------------------------------------------------------------------------

    def plane(self, t: int = 0, p: int = 0, c: int = 0, z: int = 0, level: int = 0) -> np.ndarray:
        """Return the pixels (Y, X) of one plane, C-contiguous and read-only (shared with the cache).

        Blocks until read. Raises `IndexError` outside the dataset, `PlaneNotStoredError` where
        nothing is stored, another `DatasetError` if it cannot be read: never made-up pixels.
        """
        return self._cache.read(PlaneKey(t, p, c, z), level)

    def plane_shape(self, level: int = 0) -> tuple[int, int]:
        """Return (Y, X) of the planes of one level, of the first position; may block on disk.

        Raises a `DatasetError` where there is no such level.
        """
        if level == 0:
            return self.info.height, self.info.width
        shape = self._source.plane_shape(PlaneKey(), level)
        if shape is None:
            raise PlaneNotStoredError(f"{self.path}: level {level} is not written yet")
        return shape

    def planes(
        self,
        keys: Sequence[PlaneKey],
        level: int = 0,
        wait: float | None = WAIT_SECONDS,
        view: Sequence[PlaneKey] | None = None,
    ) -> list[Plane]:
        """Return the planes of one view, waiting at most `wait` s in all (None: until all are read).

        What is not read by then is LOADING, and counts as a change when it arrives. The keys are
        what is in view from now on: queued reads of other planes are dropped, and planes that
        cannot be shown are tried again, with back-off, for as long as they stay in view. `view` names
        all that is in view where that is more than `keys` (a volume read in parts).
        """
        keys = [PlaneKey(*key) for key in keys]
        view = keys if view is None else view
        known = self._now_in_view(view, level)
        to_read = [key for key in keys if key not in known]
        entries = dict(zip(to_read, self._cache.request(to_read, level, drop_except=view), strict=True))
        if wait is not None and self._exceeds_cache(len(keys), level):
            wait = None  # what is read late would be evicted before it is drawn: only waiting ends
        deadline = None if wait is None else time.monotonic() + wait
        return [
            self._failed_plane(key, known[key])
            if key in known
            else self._outcome(key, entries[key], deadline)
            for key in keys
        ]

    def _now_in_view(self, keys: Sequence[PlaneKey], level: int) -> dict[PlaneKey, Exception]:
        """Take `keys` as the view; return the failures among them whose time has not come yet."""
        self._fold_notified()
        with self._lock:
            if self._view != tuple(keys):
                self._looks, self._viewed = 0, time.monotonic()  # another place: soon look at the disk there
            self._view, self._level = tuple(keys), level
            self._watched = frozenset(self._view)
            self._cache.watch(self._watched)
            self._late.clear()
            self._failures = {key: self._failures[key] for key in keys if key in self._failures}
            return {key: failure.error for key, failure in self._failures.items() if failure.error}

    def _exceeds_cache(self, n_planes: int, level: int) -> bool:
        info = self.info
        itemsize = info.dtype.itemsize if info.dtype is not None else 2
        nbytes = n_planes * info.height * info.width * itemsize // int(4**level)
        return nbytes > self._cache.max_bytes

    def _outcome(
        self, key: PlaneKey, entry: np.ndarray | Future[np.ndarray], deadline: float | None
    ) -> Plane:
        if isinstance(entry, np.ndarray):
            return self._present(key, entry)
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            error = entry.exception(timeout)
        except WaitedLongEnough:
            entry.add_done_callback(lambda future: self._arrived(key, future))
            return Plane(PlaneState.LOADING)
        except CancelledError:  # another view was asked for meanwhile
            self._arrived(key, entry)
            return Plane(PlaneState.LOADING)
        if error is None:
            return self._present(key, entry.result())
        if isinstance(error, SupersededRead):
            return Plane(PlaneState.LOADING)  # the notify that overtook it is a change: we are asked again
        return self._failed(key, error)

    def _present(self, key: PlaneKey, pixels: np.ndarray) -> Plane:
        with self._lock:
            self._failures.pop(key, None)
        return Plane(PlaneState.PRESENT, pixels)

    def _arrived(self, key: PlaneKey, future: Future[np.ndarray]) -> None:
        """A read came too late for the view that asked; called in the thread that read."""
        if not future.cancelled() and (error := future.exception()) is not None:
            if isinstance(error, SupersededRead):
                return
            self._failed(key, error)
        with self._lock:
            if key in self._view:
                self._late.add(key)

    def _failed(self, key: PlaneKey, error: BaseException) -> Plane:
        if not isinstance(error, Exception):
            raise error
        with self._lock:
            before = self._failures.get(key)
            attempts = before.attempts + 1 if before is not None else 0
            delay = _RETRY_SECONDS[min(attempts, len(_RETRY_SECONDS) - 1)]
            again = self._live or getattr(error, "transient", False)
            due = time.monotonic() + delay if again else float("inf")
            if key in self._view:
                error.__traceback__ = None  # its frames hold arrays
                self._failures[key] = _Failure(error, attempts, due)
        if attempts == 0 and not self._closed:
            level = logging.DEBUG if isinstance(error, PlaneNotStoredError) else logging.WARNING
            logger.log(level, "plane %s: %s", tuple(key), error)
        return self._failed_plane(key, error)

    def _failed_plane(self, key: PlaneKey, error: Exception) -> Plane:
        reason = str(error) or type(error).__name__
        if not isinstance(error, PlaneNotStoredError):
            return Plane(PlaneState.UNREADABLE, reason=reason)
        is_known_unwritten = isinstance(error, PlaneNotWrittenError)
        if error.plane_shape is not None and not is_known_unwritten and self.was_notified(key):
            # written, and stores leave out what is all fill value: this plane is truly black
            return Plane(PlaneState.PRESENT, np.zeros(error.plane_shape, self.info.dtype or np.uint16))
        return Plane(PlaneState.PENDING if self._live else PlaneState.ABSENT, reason=reason)

    def _read(self, key: PlaneKey, level: int) -> np.ndarray:
        try:
            return c_ordered(self._source.read_plane(key, level))
        except PlaneNotWrittenError:
            raise
        except PlaneNotStoredError as error:
            if error.plane_shape is None:
                error.plane_shape = self._source.plane_shape(key, level)
            raise

    # ---- writing, as seen from here --------------------------------------------------------

    def mark_written(self, key: tuple[int, int, int, int]) -> None:
        """Say that the plane at (t, p, c, z) was just written.

        Any thread, after the write; a fraction of a microsecond, no lock, no I/O. Indices are not
        checked: what is no plane of this dataset makes it look again whether it has grown.
        """
        self._cache.mark_stale(key)
        if key in self._watched and not self._written.is_set():
            self._written.set()

    def notify(self, t: int, p: int, c: int, z: int) -> None:
        """As `mark_written`, with the indices named."""
        self.mark_written((t, p, c, z))

    def end(self) -> None:
        """The run is over: every plane is read once more when it is next in view, what is missing is absent.

        Writers may lag behind: what is in view is compared with the disk for some seconds more.
        """
        with self._lock:
            self._live = False
            self._followed_until = time.monotonic() + _GRACE_SECONDS
            self._looks = 0
            self._failures.clear()
        self._cache.clear()
        with self._lock:
            self._late.update(self._view)

    def take_changes(self) -> Changes:
        """Return what changed since the last call. Any thread; no I/O here, a few microseconds.

        From here on planes in view that are written again are read at once: a caller that is still
        drawing the frame before cannot ask for them yet.
        """
        self._fold_notified()
        now = time.monotonic()
        info = self._source.info
        with self._lock:
            notified, self._unseen = self._unseen, set()
            beyond, self._unseen_beyond = self._unseen_beyond, None
            in_view = bool(self._late) or not notified.isdisjoint(self._view)
            self._late.clear()
            for failure in self._failures.values():
                if failure.due <= now:
                    failure.error, failure.due = None, float("inf")
                    in_view = True
            grown, self._info = info is not self._info, info
        if not notified.isdisjoint(self._watched):
            self._start_reading_again()
        self._look_again(beyond, now)
        return Changes(in_view or grown, grown)

    def _start_reading_again(self) -> None:
        """See to it that a thread reads what is in view whenever it is written; it ends when nothing is."""
        with self._lock:
            running = self._reading_again
            if self._closed or (running is not None and running.is_alive()):
                return
            thread = threading.Thread(target=self._read_again, name="ndviewer-read-again")
            self._reading_again = thread
        self._written.set()
        thread.start()

    def _read_again(self) -> None:
        while self._written.wait(_IDLE_SECONDS):
            self._written.clear()
            self._fold_notified()
            with self._lock:
                again, level = [key for key in self._view if key in self._unseen], self._level
            self._cache.request(again, level)
            if self._over.wait(_AGAIN_SECONDS):
                return

    def _fold_notified(self) -> None:
        """Fold what writers said since the last time into what is known; cheap if nothing was said."""
        rows, watched = self._cache.take_notified()
        if not rows:
            return
        every = np.concatenate(rows)
        beyond = _first_beyond(self._source.info, every)
        with self._lock:
            self._notified.update(every)
            self._unseen |= watched
            self._unseen_beyond = beyond or self._unseen_beyond
            for key in watched.intersection(self._failures):
                del self._failures[PlaneKey(*key)]

    def _look_again(self, beyond: tuple[int, int, int, int] | None, now: float) -> None:
        """Let a thread look at the disk: while a run is on, with back-off, whatever writers say or do not.

        Soon again if they named planes beyond what is known, if the user went elsewhere, or if the last
        look found something new.
        """
        with self._lock:
            if beyond is not None:
                self._beyond, self._looks = beyond, 0
            wait = _LOOK_SECONDS[min(self._looks, len(_LOOK_SECONDS) - 1)]
            follows = self._viewed + wait <= now < self._followed_until
            if not (follows or self._beyond is not None) or now < self._looked + wait:
                return
            if self._looking or self._closed:
                return
            beyond, self._beyond = self._beyond, None
            self._looking, self._looked = True, now
            self._looks += 1
            view, level = self._view, self._level
        threading.Thread(target=self._look, args=(beyond, view, level), name="ndviewer-look").start()

    def _look(self, beyond: tuple[int, int, int, int] | None, view: tuple[PlaneKey, ...], level: int) -> None:
        """Look once: what is known of the dataset, and whether planes in view are what the disk holds."""
        before = self._source.info
        try:
            if beyond is None or self._source.plane_shape(PlaneKey(*beyond)) is not None:
                self._source.refresh()
            # of those that a writer has told us of we know; those that could not be read are tried anyway
            untold = [key for key in view if not self._live or not self.was_notified(key)]
            self._compare(untold[:_COMPARED_PLANES], level)
        except (DatasetError, IndexError, CancelledError) as error:
            logger.debug("looking at the disk: %s", error)
        finally:
            info = self._source.info
            in_vain = beyond is not None and _is_beyond(info, beyond)
            with self._lock:
                self._looking = False
                if in_vain and self._live:
                    self._beyond = self._beyond or beyond
                elif info is not before:
                    self._looks = 0

    def _compare(self, keys: Sequence[PlaneKey], level: int) -> None:
        """Read planes that are in memory again; what differs is forgotten, and counts as a change."""
        for key in keys:
            shown = self._cache.peek(key, level)
            if not isinstance(shown, np.ndarray) or self._over.is_set():
                continue
            if np.array_equal(shown, self._read(key, level)):
                continue
            self._cache.invalidate(key)
            with self._lock:
                if key in self._view:
                    self._late.add(key)

    def refresh(self) -> DatasetInfo:
        """Look at the metadata again and forget every plane; blocks on disk."""
        info = self._source.refresh()
        self._cache.clear()
        with self._lock:
            self._failures.clear()  # what failed before says nothing now
            self._late.update(self._view)
        return info

    # ---- doors out, and the end ------------------------------------------------------------

    def to_xarray(self, level: int = 0, missing: str = "raise") -> xr.DataArray:
        """Return a lazy array (time, fov, z, channel, y, x) with coords and attrs; see `to_xarray`."""
        from .to_xarray import to_xarray

        return to_xarray(self, level, missing)

    def close(self) -> None:
        """Let go of the source and the planes; reads under way end with an error. Idempotent."""
        with self._lock:
            self._closed = True
            self._view, self._watched = (), frozenset()
        self._over.set()
        self._written.set()
        self._source.close()
        self._cache.close()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _is_beyond(info: DatasetInfo, key: tuple[int, int, int, int]) -> bool:
    """Whether `key` may be a plane of a dataset that has grown since it said `info`."""
    return min(key) >= 0 and (info.dtype is None or not info.contains(PlaneKey(*key)))


def _first_beyond(info: DatasetInfo, rows: np.ndarray) -> tuple[int, int, int, int] | None:
    """The first of keys (n, 4) for which `_is_beyond` holds, None without any."""
    sizes = (info.n_t, len(info.positions), len(info.channels), info.n_z)
    may_be = (rows >= 0).all(axis=1)
    if info.dtype is not None:
        may_be &= (rows >= sizes).any(axis=1)
    found = np.flatnonzero(may_be)
    if not found.size:
        return None
    t, p, c, z = rows[found[0]].tolist()
    return t, p, c, z
