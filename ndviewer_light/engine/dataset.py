"""A source seen through a cache, which can grow: the only thread-safe access to planes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import PlaneNotStoredError, PlaneNotWrittenError
from ..model import Plane, PlaneKey, Region, StackKey
from ..storage.file_versions import changed_ns
from ..storage.presentable import presentable
from .cache import PLANE_CACHE_MAX_MEMORY_BYTES, PlaneCache
from .changes import ChangeFeed, ChangeListener, changes
from .current_info import is_another
from .dataset_statistics import DatasetStatistics
from .known_statistics import KnownStatistics, database_of
from .label_parts import LabelParts
from .leases import StoredKey, SupersededRead
from .measured_reads import MeasuredReads
from .overview import OVERVIEW
from .plane_times import PlaneTimes
from .planes_in_view import ViewedPlanes
from .position_coords import PositionCoords
from .read_ahead import PlanesAhead, ReadAhead, taken_in_order, worth_reading_at_once
from .rereader import Rereader
from .stack_beside import grid_of
from .stacks_in_memory import StacksInMemory
from .thumbnails import ThumbnailLoader, ThumbnailSource, thumbnails
from .transpose import c_ordered
from .view_requests import ViewRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import xarray as xr

    from ..model import DatasetInfo
    from ..sources import Source
    from ..sources.source import LabelPart, SeenLabels
    from .changes import DatasetChange
    from .projections import ProjectedStack
    from .stack_beside import StackGrid, StackSeen

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.15
"""How long a view waits for planes that are being read before it is drawn without them."""
_END_SECONDS = 2.0  # how long `close` waits for threads delayed by a slow disk


class Changes(NamedTuple):
    """What happened to a dataset since the last check: planes in view to redraw, new metadata.

    `replaced`: another dataset is at the path now, and shown from now on: `info`, planes
    and everything derived from them (sliders, contrast, channel strips) must be rebuilt.
    """

    in_view: bool
    info: bool
    replaced: bool = False


class Dataset(DatasetStatistics):
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

        `workers`: how many planes are read at a time; by default as many as is worthwhile with this source.
        `reopen` opens it again, also in another process: it can be pickled and compared.
        """
        self.storage_options = dict(storage_options or {})
        self.times = PlaneTimes()  # when planes were noticed, and read while there is a view
        statistics = KnownStatistics(lambda: source.info, database_of(path, self.storage_options))
        reads = MeasuredReads(source, statistics)
        at_once = workers or worth_reading_at_once(source)
        cache = PlaneCache(self._read, cache_bytes, at_once, self._read, self._on_stale)
        super().__init__(
            source,
            path,
            cache,
            reads,
            self._read,
            statistics,
            live=live,
            follow=follow,
            workers=workers,
            reopen=reopen,
        )
        self._rereader = Rereader(self._read_again)
        self.change_feed = ChangeFeed(self.take_changes)
        self._ahead = PlanesAhead(self._cache, self._tiled, self._indices, self._outcomes)
        self._thumbnails = ThumbnailSource(
            source, self._outcomes, path, self.storage_options, None if live else reopen, self._were_read
        )
        self._label_parts = LabelParts(source, self.storage_options)
        self.position_coords = PositionCoords()
        self._requests, beside = (
            ViewRequests(
                self._current, cache, viewed, self._follower, self._notified, self._parts, outcomes, other
            )
            for viewed, outcomes, other in (
                (ViewedPlanes(self._view, self._retries), self._outcomes, self._beside.view),
                (self._beside, self._outcomes_beside, self._view),
            )
        )
        self._stacks = StacksInMemory(
            self.planes,
            beside,
            self._beside,
            self._parts.of_level_0,
            cache,
            lambda: self._current.known,
            lambda: self.reads_at_once,
        )
        cache.on_clear = lambda: self._stacks.written(None)

    def _on_stale(self, keys: Collection[tuple[int, int, int, int]]) -> None:
        self.statistics.forget(keys)
        self._stacks.written(keys)

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
        key = self._indices.key(t, p, c, z)
        if level < 0:
            raise IndexError(f"no resolution level {level}")
        if self._follower.follows_growth:
            self._follower.check(key, level)
        try:
            if region is not None:
                return self._tiled.region(key, level, Region(*region))
            return c_ordered(self._cache.read(key, level))
        except PlaneNotStoredError as error:
            plane = self._outcomes.of_failure(key, error, level)
            if plane.pixels is None:
                raise
            return plane.pixels

    def begin_ahead(self, ahead: ReadAhead) -> None:
        """Have `ahead` begin to read, if it has not yet; whoever takes a plane does as well. Never blocks."""
        self._ahead.begin(ahead, self.reads_at_once)

    def plane_ahead(self, wanted: StoredKey, ahead: ReadAhead) -> np.ndarray:
        """Like `plane`, by indices, for a plane or tile that `ahead` reads, from the first call on."""
        if not ahead.has_begun:
            self.begin_ahead(ahead)
        pixels = self._ahead.take(wanted, ahead)
        if pixels is not None:
            return c_ordered(pixels)
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
        "leave out", or "fill" with the fill value (0 where none is declared). Blocks until all are read;
        raises like `plane`.
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
        return taken_in_order(wanted, self.plane_ahead, lambda p: self.info.image(p).dtype, missing, progress)

    def thumbnails(
        self,
        keys: Iterable[StackKey | tuple[int, int, int, int | str]],
        edge: int = 128,
        *,
        scheduler: Any = None,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Plane]:
        """Return small pictures of many planes (t, p, c, z), in order, as `Plane`s with their states.

        `z` may be a projection of the stack ("max", "mean:2-11", …): of the planes that are there, with
        the state of one that is not. The longest edge is from `edge` up to twice that, or
        the plane's if that is shorter. They come from the pyramid level that fits; where there is none, they
        are area averages, computed through dask: by threads, or by the cluster of `scheduler` (an address
        "tcp://…", or a `dask.distributed.Client`), whose workers open the dataset at the same path. Averages
        are kept in the cache folder under the plane's version. `progress(done, all)` is called in this
        thread; once `cancelled()`, those that are missing are left out. Blocks. Raises `DatasetError` if
        there is no cluster.
        """
        wanted = [StackKey(*key) for key in keys]
        if scheduler is None:
            return thumbnails(self._thumbnails, wanted, edge, progress, cancelled)
        source = self._thumbnails.on_cluster(scheduler)
        try:
            source.connect()
            return thumbnails(source, wanted, edge, progress, cancelled)
        finally:
            source.close()

    def thumbnail_loader(self, on_news: Callable[[], None], scheduler: Any = None) -> ThumbnailLoader:
        """Reads small pictures in the background for a view; whoever asks for it closes it.

        `scheduler` as in `thumbnails`; where its cluster cannot make them, and while the dataset is being
        written, they are made without it.
        """
        source = self._thumbnails.for_view()
        if scheduler is not None:
            source = source.beside_cluster(scheduler, lambda: self.is_being_written)
        return ThumbnailLoader(source, on_news, self.path, source.close if source.has_cluster else None)

    def label_parts(self, name: str, parts: Sequence[LabelPart], *, anew: bool = False) -> list[SeenLabels]:
        """Read the labels called `name` in parts of the planes of positions, as many as are wanted at once.

        `anew`: label images may have been written since. Blocks; raises `DatasetError` if nothing can be
        read at all, of single parts the answer has the error.
        """
        seen = self._source.label_parts(name, parts, anew=anew)
        return self._label_parts.read(name, parts, anew=anew) if seen is None else seen

    def planes(
        self,
        keys: Sequence[PlaneKey],
        level: int = 0,
        wait: float | None = WAIT_SECONDS,
        view: Sequence[PlaneKey] | None = None,
        upcoming: Sequence[PlaneKey] = (),
    ) -> list[Plane]:
        """Return the planes of one view, waiting at most `wait` s in total (None: until all are read).

        In C order, unless `keep_stored_order` was called. Those not read by then are LOADING, and count as a
        change when they arrive. The keys are in view from now on: queued reads of other planes are dropped,
        and planes that cannot be shown are retried with back-off for as long as they stay in view. `view`
        lists everything in view if that is more than `keys` (a volume read in parts). `upcoming` are planes
        that are likely to be in view next, nearest first: read as soon as all that are in view are there,
        unless the dataset grows.
        """
        return self._requests.planes(keys, level, wait, view, upcoming)

    def projections(
        self, stacks: Sequence[Sequence[PlaneKey]], how: str, level: int = 0, wait: float = WAIT_SECONDS
    ) -> list[ProjectedStack]:
        """Return the projections of stacks (`PROJECTIONS`), of the planes read so far and within `wait` s.

        In the order in memory of `planes`. All of their planes are in view from now on, as by `planes`: ask
        again when they have changed, and for what `is_held_back`. Never more than a few planes are in memory
        beside the cache.
        """
        self._notified.fold()
        return self._stacks.projections.of(stacks, how, level, wait)

    def stack_grid(self, t: int, p: int, n_channels: int) -> StackGrid:
        """Which voxels of a stack `stack` reads so that `n_channels` fit half the cache; may block on disk.

        Raises like `image`.
        """
        return grid_of(self.image(p), self.drawn_levels(p), t, p, n_channels, self._stacks.beside.max_bytes)

    def stack(self, grid: StackGrid, channels: Sequence[int], wait: float = WAIT_SECONDS) -> StackSeen:
        """Return what there is of the stack beside the picture: what was read before, and within `wait` s.

        `channels` are indices in `info.channels`. Its planes are in view from now on, beside those of
        `planes`, until `leave_stack`: ask again when it `stack_has_changed`, and for what `is_held_back`.
        One stack at a time; only what was written since is read again.
        """
        self._notified.fold()
        return self._stacks.read_beside(grid, channels, wait)

    def stack_has_changed(self) -> bool:
        """Whether planes of the stack have arrived or are due since the last call; after `take_changes`."""
        return self._stacks.beside.take_changed(time.monotonic())

    def leave_stack(self) -> None:
        """The stack beside the picture is no longer in view. Any thread; no I/O."""
        self._stacks.beside.leave()

    def _read(self, key: PlaneKey, level: int, tile: Region | None = None) -> np.ndarray:
        before = self._source.info
        asked = None
        if self._view.watched:
            asked = self._cache.waiting_since(key, level) or time.monotonic()
        if level != 0:
            self._parts.note(key.p, level)
        try:
            if level == OVERVIEW:
                pixels = self._overviews.read(key)
            else:
                pixels = self._in_order(self._follower.read(key, level, tile))
        except PlaneNotWrittenError:
            raise
        except PlaneNotStoredError as error:
            if error.plane_shape is None:
                error.plane_shape = self._source.plane_shape(key, level)
            raise
        self._images.add(key.p)
        if is_another(before, self._source.info):
            raise SupersededRead  # it may belong to either of the two
        self._were_read([key])
        if asked is not None:
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
        self._stacks.beside.note_news(news.in_view)
        before, replaced = self._current.take_news(info)
        in_view |= replaced or (before is not info and self._may_look_otherwise(before, info))
        if not news.in_view.isdisjoint(self._view.watched):
            self._rereader.start(now)
        self._follower.look_if_due(news.beyond, now)
        return Changes(in_view, before is not info, replaced)

    def changes(self, timeout: float | None = None) -> Iterator[DatasetChange]:
        """Yield what changes while it is written, as soon as it is noticed; see `engine.changes`.

        For a dataset opened with ``follow=True``. Blocks in between; ends after `timeout` s without a change,
        and when the dataset is finished or closed. Whoever listens, also by `on_change`, gets every change.
        """
        return changes(self, timeout)

    def on_change(self, callback: Callable[[DatasetChange], object]) -> ChangeListener:
        """Call a function with every change, in a thread of its own, until `stop` of the result is called."""
        return ChangeListener(self, callback)

    def _troubles(self) -> tuple[str, ...]:
        return *super()._troubles(), self._rereader.trouble

    def _read_again(self) -> list[PlaneKey]:
        """Request the planes in view that were written since the last `take_changes`; returns them."""
        self._notified.fold()
        level = self._view.shown.level
        written = self._view.showing(self._announced.unseen())
        self._cache.request(written, level)
        return written

    def refresh(self) -> DatasetInfo:
        """Reread the metadata and forget all planes; blocks on disk."""
        self._source.refresh()
        self._follower.reached()
        self.statistics.clear(only_without_stamp=True)
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
        looks = self._looks
        if looks is not None:
            looks.close()
        self._outcomes.close()
        self._outcomes_beside.close()
        self._view.close()
        self._beside.view.close()
        self._follower.close()
        self._rereader.close()
        self._scout.close()
        self._time_line.close()
        self._positions.close()
        self._label_parts.close()
        self._source.close()
        self._cache.close()
        deadline = time.monotonic() + _END_SECONDS
        if looks is not None:
            looks.join(deadline)
        self._follower.join(deadline)
        self._rereader.join(deadline)
        self._scout.join(deadline)
        self._time_line.join(deadline)
        self._positions.join(deadline)
        self.statistics.close()

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ", live" if self._live else ""
        where = f"{presentable(self.path)!r} " if self.path else ""
        return f"<Dataset {where}{self._current.known.summary()}{state}>"

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
