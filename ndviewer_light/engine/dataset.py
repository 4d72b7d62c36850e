"""A source seen through a cache, which can grow: the only thread-safe access to planes."""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError, PlaneNotStoredError, PlaneNotWrittenError
from ..model import Plane, PlaneKey, PlaneState, Region
from ..sources.source import AT_ONCE
from ..storage.bytes import is_url
from ..storage.file_versions import NOTHING, changed_ns
from ..storage.presentable import presentable
from .announced_planes import AnnouncedPlanes
from .cache import PLANE_CACHE_MAX_MEMORY_BYTES, PlaneCache
from .current_info import CurrentInfo, is_another
from .dataset_contents import DatasetContents
from .follower import DiskFollower
from .leases import StoredKey, SupersededRead
from .level_parts import LevelParts
from .look_schedule import Following, GrowthSchedule, RunSchedule
from .notified_planes import NotifiedPlanes
from .overview import OVERVIEW, OverviewBuilder
from .plane_outcomes import PlaneOutcomes
from .plane_search import MISSING
from .plane_times import PlaneTimes
from .planes_in_view import PlanesInView
from .position_states import PositionSurvey
from .read_ahead import PlanesAhead, ReadAhead
from .regions import TiledPlanes
from .rereader import Rereader
from .retry import RetryPolicy
from .selection import filled
from .stored_scout import StoredScout
from .surveyor import REPORT_SECONDS, Surveyor
from .tiles import ONE_TILE_PIXELS
from .time_line import TimeLine
from .transpose import c_ordered
from .view_requests import ViewRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import xarray as xr

    from ..model import DatasetInfo
    from ..sources import Source
    from .changes import ChangeListener, DatasetChange
    from .newest_places import NewestWanted, Place
    from .position_states import PositionStates
    from .report import PlaneReport
    from .time_line import TimeStates

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.15
"""How long a view waits for planes that are being read before it is drawn without them."""


_END_SECONDS = 2.0  # how long `close` waits for threads delayed by a slow disk


_AHEAD_BYTES = 256 * 1024**2
"""Of planes that are being read at the same time."""


def _reads_at_once(source: Source) -> int:
    """As many planes as the source is worth it for, and fit into memory."""
    try:
        info = source.info
    except DatasetError:  # not open yet
        return AT_ONCE
    itemsize = info.dtype.itemsize if info.dtype is not None else 2
    plane = min(info.height * info.width, ONE_TILE_PIXELS) * itemsize
    return min(source.reads_at_once, max(AT_ONCE, _AHEAD_BYTES // max(plane, 1)))


class Changes(NamedTuple):
    """What happened to a dataset since the last check: planes in view to redraw, new metadata.

    `replaced`: another dataset is at the path now, and shown from now on: `info`, planes
    and everything derived from them (sliders, contrast, channel strips) must be rebuilt.
    """

    in_view: bool
    info: bool
    replaced: bool = False


class Dataset(DatasetContents):
    """The planes of one source, cached, and invalidated when they are written.

    Any thread may call any method; `plane`, `refresh` and `planes` block, so do not call them on a GUI
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
        follow: bool = False,
        workers: int | None = None,
        reopen: Callable[[], Dataset] | None = None,
    ) -> None:
        """`live`: a host says what is written. `follow`: what grows at the path is noticed by itself.

        `workers`: how many planes are read at a time; as many as the source is worth it for, unless given.
        `reopen` opens it again, also in another process: it can be pickled and compared.
        """
        self.reopen = reopen
        self.storage_options = dict(storage_options or {})
        self.times = PlaneTimes()  # when planes were noticed and read
        self._workers = workers
        self._cache = PlaneCache(self._read, cache_bytes, workers or _reads_at_once(source), self._read)
        self._view = PlanesInView()
        tiled = TiledPlanes(source, self._cache)
        overviews = OverviewBuilder(source, tiled, self._view.draw_again)
        current = CurrentInfo(source, path, self._start_over, self._troubles)
        super().__init__(source, path, current, tiled, overviews, live=live)
        self._closed = False
        self._retries = RetryPolicy()
        self._announced = AnnouncedPlanes(current.known)
        now = time.monotonic()
        self._follower = DiskFollower(
            source,
            self._cache,
            self._view,
            self._retries,
            self._read,
            is_told=self._is_told,
            is_live=lambda: self._live,
            schedule=GrowthSchedule(now) if follow else RunSchedule(now, live=live),
        )
        self._rereader = Rereader(self._read_again)
        self._scout = StoredScout(self._is_stored, self._follower.found_news)
        self._surveyor = Surveyor(
            source,
            self._images,
            tiled,
            lambda key, error: self._outcomes.of_failure(key, error, 0),
            self._is_awaited,
            self._is_in_memory,
        )
        self._time_line = TimeLine(self._surveyor, lambda: source.info, self._may_change)
        self._positions = PositionSurvey(
            self._surveyor,
            self._announced,
            lambda: current.known,
            is_live=lambda: self._live,
            may_change=self._may_change,
            is_local=not is_url(path),
        )
        failures = self._surveyor.failures
        self._notified = NotifiedPlanes(
            source, self._cache, self._view, self._retries, self._announced, failures
        )
        self._parts = LevelParts(self._cache, tiled, overviews, lambda: current.known.n_z)
        self._outcomes = PlaneOutcomes(
            self._view,
            self._retries,
            self._follower,
            overviews,
            self._notified,
            self._parts,
            failures,
            is_live=lambda: self._live,
        )
        self._ahead = PlanesAhead(self._cache, tiled, self._indices, self._outcomes)
        self._requests = ViewRequests(
            current,
            self._cache,
            self._view,
            self._retries,
            self._follower,
            self._notified,
            self._parts,
            self._outcomes,
        )

    @property
    def reads_at_once(self) -> int:
        """How many planes are read at the same time: many from servers, where reading is mostly waiting."""
        return self._workers or _reads_at_once(self._source)

    # ---- state ---------------------------------------------------------------------------

    def _troubles(self) -> tuple[str, ...]:
        return self._follower.trouble, self._rereader.trouble

    def _start_over(self, info: DatasetInfo) -> None:
        """Another dataset is at the path now."""
        self._announced.start_over(info)
        self._forget_all()

    def _forget_all(self) -> None:
        """Forget all reads and failures so far; planes in view are reread."""
        self._images.forget()
        self._surveyor.failures.clear()
        self._time_line.start_over()
        self._positions.start_over()
        self._follower.start_over()
        self._retries.clear()
        self._cache.clear()
        self._view.draw_all_again()

    @property
    def following(self) -> Following:
        """Whether changes on disk will be noticed without a `refresh`. Any thread; no I/O."""
        return self._follower.following

    def set_following(self, following: bool) -> None:
        """Pause following what grows at the path, or go on. Any thread; no I/O.

        What counted as finished is followed again for ten minutes.
        """
        self._follower.pause(not following)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def state(self, key: PlaneKey) -> PlaneState:
        """The state of one plane, without reading it; blocks on disk if it is not in view.

        At the level in view of what is in memory, being read, or failed. Of any other plane what is stored
        counts (see `PlaneState`): PRESENT, PENDING while somebody writes the dataset or else ABSENT,
        UNREADABLE if it was before, UNKNOWN if only reading tells. Raises `IndexError` outside the dataset.
        """
        key = PlaneKey(*key)
        info = self._current.adopt()
        level = self._view.shown.level
        entry = self._cache.peek(key, level)
        if isinstance(entry, np.ndarray):
            return PlaneState.PRESENT
        if entry is not None:
            return self._outcomes.while_read(key, level).state
        error = self._retries.error_of(key)
        if error is not None:
            return self._outcomes.of_failure(key, error, level).state
        if not info.contains(key):
            if self._live:  # it may grow so far
                return PlaneState.PENDING
            raise IndexError(f"no plane {tuple(key)} in a dataset of {info.sizes}")
        return self._surveyor.stored.of_one(key, info)

    def report(
        self,
        *,
        p: int | str | Iterable[int] | None = None,
        read: bool = False,
        seconds: float | None = REPORT_SECONDS,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> PlaneReport:
        """Count the planes that are expected, present, missing, unreadable; see `PlaneReport`.

        By what is stored, without reading: what is damaged is found only with `read`, which reads every
        plane in four threads. Of all positions, or those given (`p`: index, label, several indices). Ends
        after `seconds` (None: never) or once `cancelled()`: then `limit` says what was not looked at.
        `progress(done, expected)` is called after each few planes, in the calling thread.
        Blocks on disk. Raises `IndexError` or `KeyError` for a position that does not exist.
        """
        info = self._current.adopt()
        every: Iterable[int] = range(len(info.positions))
        wanted = every if p is None else [self._indices.position(p)] if isinstance(p, (int, str)) else p
        positions = list(dict.fromkeys(wanted))
        for each in positions:
            info.image(each)  # raises `IndexError`
        return self._surveyor.report(
            positions, read=read, seconds=seconds, progress=progress, cancelled=cancelled
        )

    def find(
        self,
        after: PlaneKey,
        wanted: frozenset[PlaneState] = MISSING,
        progress: Callable[[int, int], None] = lambda done, expected: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[PlaneKey, PlaneState] | None:
        """Find the next plane after one that is in a `wanted` state; None if there is none, or cancelled.

        In the order position, time, z, channel; goes on from the beginning, and ends with the plane itself.
        Planes are told missing by what is stored, but unreadable by reading every one on the way, so that
        is slow; then `progress(done, expected)` and `cancelled()` are for whoever waits. Blocks.
        """
        self._current.adopt()
        return self._surveyor.find(PlaneKey(*after), wanted, progress, cancelled)

    def time_states(self, p: int) -> TimeStates | None:
        """What of position `p` is there at each time point, as looked up lately; None while not known.

        For one position at a time. Any thread; no I/O here, which happens in a thread of its own.
        """
        self._notified.fold()
        return self._time_line.of(p, time.monotonic()) if p < len(self._current.known.positions) else None

    def position_states(self, t: int) -> PositionStates | None:
        """What of every position is there at time point `t`, as known lately; None while not known.

        For one time point at a time. Any thread; no I/O here, and no plane is read for it.
        """
        self._notified.fold()
        return self._positions.of(t, time.monotonic())

    @property
    def announced(self) -> tuple[int, PlaneKey | None]:
        """How many different planes writers have announced, and the last of them; no I/O."""
        return self._announced.total, self._announced.last

    def _may_change(self) -> bool:
        return self._live or self._follower.is_following_growth

    @property
    def is_being_written(self) -> bool:
        """Whether what is not stored may still be written: a run is on, or the dataset has grown lately."""
        return self._is_awaited()

    def _is_awaited(self) -> bool:
        return self._live or self._follower.is_growing()

    def _is_in_memory(self, key: PlaneKey) -> bool:
        return isinstance(self._cache.peek(key, 0), np.ndarray)

    def waiting_since(self, key: PlaneKey, level: int = 0) -> float | None:
        """Since when one plane has been awaited (`time.monotonic`), or None.

        Any thread; no lock, no I/O.
        """
        return self._cache.waiting_since(key, level)

    def was_notified(self, key: PlaneKey) -> bool:
        """Whether a writer has announced that this plane is on disk."""
        return key in self._notified

    def newest(self, wanted: NewestWanted) -> Place | None:
        """The newest place that writers have announced, of those `wanted`; None without one.

        Of a dataset `looks_for_newest`, the newest that was stored about a second ago. Within the sizes in
        `info`. Any thread; no I/O here, a few microseconds if nothing has changed.
        """
        info = self._current.adopt()
        self._notified.fold()
        announced = self._announced.newest(wanted, info)
        if announced is not None or not self.looks_for_newest:
            return announced
        return self._scout.newest(wanted, info, time.monotonic())

    @property
    def looks_for_newest(self) -> bool:
        """Whether `newest` finds what nobody announces: while a local dataset is followed as it grows."""
        return self._follower.is_following_growth and not is_url(self.path) and self._tiled.is_small(0)

    def _is_stored(self, key: PlaneKey) -> bool:
        """Whether the whole plane is stored; reads it if its version does not deny it."""
        try:
            (version,) = self._source.versions([key])
            if version is not None and set(version.split()) == {NOTHING}:
                return False
            self._cache.read(key)
        except (DatasetError, IndexError, CancelledError):
            return False
        return True

    # ---- planes ----------------------------------------------------------------------------

    def plane(
        self,
        t: int = 0,
        p: int | str = 0,
        c: int | str = 0,
        z: int = 0,
        level: int = 0,
        region: Region | tuple[int, int, int, int] | None = None,
    ) -> np.ndarray:
        """Return the pixels (Y, X) of one plane, C-contiguous and read-only (shared with the cache).

        `c` counts the channels of that position (`image(p).channels`); `z` at a level counts the planes of
        that level (see `levels`).

        A channel may be given by its name, a position by its label: ``plane(c="DAPI", p="A1:0")``. With
        a `region` (top, left, height, width; in pixels of that level) only that part is returned, and of a
        large plane no more is read than the tiles that it intersects.
        Blocks until read. Raises `IndexError` outside the dataset, `KeyError` for a missing or ambiguous
        name, `PlaneNotStoredError` if nothing is stored and the plane does not count as the fill value (see
        `sources.missing`), `LimitExceededError` for more than 1 GiB at once, another `DatasetError` if it
        cannot be read: never made-up pixels.
        """
        if isinstance(p, str):
            p = self._indices.position(p)
        key = PlaneKey(t, p, self._indices.channel(c, p), z)
        if level < 0:
            raise IndexError(f"no resolution level {level}")
        self._follower.check(key, level)
        try:
            if region is not None:
                return self._tiled.region(key, level, Region(*region))
            return self._cache.read(key, level)
        except PlaneNotStoredError as error:
            plane = self._outcomes.of_failure(key, error, level)
            if plane.pixels is None:
                raise
            return plane.pixels

    def plane_ahead(self, wanted: StoredKey, ahead: ReadAhead) -> np.ndarray:
        """Like `plane`, by indices, for a plane or tile that `ahead` reads, from the first call on."""
        pixels = self._ahead.take(wanted, ahead, self.reads_at_once)
        if pixels is not None:
            return pixels
        return self.plane(*wanted.plane, level=wanted.level, region=wanted.tile)

    def read_planes(
        self,
        keys: Iterable[PlaneKey | tuple[int, int | str, int | str, int]],
        level: int = 0,
        *,
        missing: str = "raise",
        progress: Callable[[int, int], None] | None = None,
    ) -> list[np.ndarray]:
        """Return the pixels (Y, X) of many planes, in the order of their keys (t, p, c, z).

        They are read together: from a server with as many requests under way as it takes, none twice. p and c
        may be names, as in `plane`. `progress(done, all)` is called in this thread after each plane.
        `missing`: what of planes of which nothing is stored and that do not count as the fill value: "raise",
        or "fill" with the fill value (0 where none is declared). Blocks until all are read; raises like
        `plane`.
        """
        return list(self.iter_planes(keys, level, missing=missing, progress=progress))

    def iter_planes(
        self,
        keys: Iterable[PlaneKey | tuple[int, int | str, int | str, int]],
        level: int = 0,
        *,
        missing: str = "raise",
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[np.ndarray]:
        """Like `read_planes`, yielding each plane as soon as it and those before it are there.

        Those that follow are read meanwhile, but no more than 256 MiB of them.
        """
        position = self._indices.position
        wanted = [
            StoredKey(PlaneKey(t, position(p) if isinstance(p, str) else p, c, z), level)  # type: ignore[arg-type]
            for t, p, c, z in keys
        ]
        ahead = ReadAhead(wanted)
        for done, each in enumerate(wanted, 1):
            try:
                pixels = self.plane_ahead(each, ahead)
            except PlaneNotStoredError as error:
                if missing == "raise":
                    raise
                pixels = filled(error, self.info.dtype)
            if progress is not None:
                progress(done, len(wanted))
            yield pixels

    def planes(
        self,
        keys: Sequence[PlaneKey],
        level: int = 0,
        wait: float | None = WAIT_SECONDS,
        view: Sequence[PlaneKey] | None = None,
    ) -> list[Plane]:
        """Return the planes of one view, waiting at most `wait` s in total (None: until all are read).

        Planes not read by then are LOADING, and count as a change when they arrive. The keys are
        in view from now on: queued reads of other planes are dropped, and planes that
        cannot be shown are retried with back-off for as long as they stay in view. `view` lists
        everything in view if that is more than `keys` (a volume read in parts).
        """
        return self._requests.planes(keys, level, wait, view)

    def _read(self, key: PlaneKey, level: int, tile: Region | None = None) -> np.ndarray:
        before, began = self._source.info, time.monotonic()
        asked = self._cache.waiting_since(key, level) or began
        if level != 0:
            self._parts.note(key.p, level)
        try:
            if level == OVERVIEW:
                pixels = self._overviews.read(key)
            else:
                pixels = c_ordered(self._follower.read(key, level, tile))
        except PlaneNotWrittenError:
            raise
        except PlaneNotStoredError as error:
            if error.plane_shape is None:
                error.plane_shape = self._source.plane_shape(key, level)
            raise
        self._images.add(key.p)
        if is_another(before, self._source.info):
            raise SupersededRead  # it may belong to either of the two
        self.times.read(key, level, changed_ns(self._follower.version(key, level) or ""), asked)
        return pixels

    # ---- notifications --------------------------------------------------------------------

    def mark_written(self, key: tuple[int, int, int, int]) -> None:
        """Notify that the plane at (t, p, c, z) was just written.

        Any thread, after the write; a fraction of a microsecond, no lock, no I/O, never raises. Nothing is
        checked here: an unknown plane makes the dataset check whether it has grown, and an
        invalid key is ignored later, and logged once.
        """
        self._cache.mark_stale(key)
        try:
            if key in self._view.watched:
                self.times.notified(key)
                self._rereader.written()
        except Exception:  # noqa: BLE001  not even hashable
            return

    def notify(self, t: int, p: int, c: int, z: int) -> None:
        """Like `mark_written`, with named indices."""
        self.mark_written((t, p, c, z))

    def end(self) -> None:
        """The run is over: every plane is reread when next in view; missing ones count as absent.

        Writers may lag behind: planes in view are compared with the disk for some seconds more.
        """
        self._live = False
        self._follower.end()
        self._forget_all()

    def take_changes(self) -> Changes:
        """Return what changed since the last call. Any thread; no I/O here, a few microseconds.

        From here on, planes in view that are written again are read at once, because a caller still
        drawing the previous frame cannot ask for them yet.
        """
        info = self.info
        self._notified.fold()
        now = time.monotonic()
        news = self._announced.take_news()
        in_view = self._view.take_changed(news.in_view)
        in_view |= self._retries.release_due(now)
        grown, replaced = self._current.take_news(info)
        if not news.in_view.isdisjoint(self._view.watched):
            self._rereader.start(now)
        self._follower.look_if_due(news.beyond, now)
        return Changes(in_view or grown, grown, replaced)

    def changes(self, timeout: float | None = None) -> Iterator[DatasetChange]:
        """Yield what changes while it is written, as soon as it is noticed; see `engine.changes`.

        For a dataset opened with ``follow=True``. Blocks in between; ends after `timeout` s without a change,
        and when the dataset is finished or closed.
        """
        from .changes import changes

        return changes(self, timeout)

    def on_change(self, callback: Callable[[DatasetChange], object]) -> ChangeListener:
        """Call a function with every change, in a thread of its own, until `stop` of the result is called."""
        from .changes import ChangeListener

        return ChangeListener(self, callback)

    def _read_again(self) -> None:
        """Request the planes in view that were written since the last `take_changes`."""
        self._notified.fold()
        level = self._view.shown.level
        self._cache.request(self._view.showing(self._announced.unseen()), level)

    def _is_told(self, key: PlaneKey) -> bool:
        """Whether a writer notifies changes of this plane: the run is on, and it has done so before.

        Of other levels it does not tell: they are written some time after level 0.
        """
        return self._live and self._view.shown.level == 0 and self.was_notified(key)

    def refresh(self) -> DatasetInfo:
        """Reread the metadata and forget all planes; blocks on disk."""
        self._source.refresh()
        self._forget_all()
        return self.info

    # ---- export and close ------------------------------------------------------------------

    def to_xarray(
        self, level: int = 0, missing: str = "raise", position: int | str | None = None
    ) -> xr.DataArray | dict[str, xr.DataArray]:
        """Return a lazy array (time, fov, z, channel, y, x) with coords and attrs; see `to_xarray`.

        If positions differ (sizes, channels, dtype, …), a dict of such arrays, one for those that are
        equal, by the label of the first of them; with `position` (index or label) the array of that one.
        Positions that lack the level are left out with a warning, and listed in the attrs.
        Looks at all positions first: blocks the first time.
        """
        from .to_xarray import to_xarray

        return to_xarray(self, level, missing, position)

    def close(self) -> None:
        """Release the source and the planes; reads in progress end with an error. Idempotent."""
        self._closed = True
        self._outcomes.close()
        self._view.close()
        self._follower.close()
        self._rereader.close()
        self._scout.close()
        self._time_line.close()
        self._positions.close()
        self._source.close()
        self._cache.close()
        deadline = time.monotonic() + _END_SECONDS
        self._follower.join(deadline)
        self._rereader.join(deadline)
        self._scout.join(deadline)
        self._time_line.join(deadline)
        self._positions.join(deadline)

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ", live" if self._live else ""
        where = f"{presentable(self.path)!r} " if self.path else ""
        return f"<Dataset {where}{self._current.known.summary()}{state}>"

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
