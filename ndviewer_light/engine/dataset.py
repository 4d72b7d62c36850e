"""A source seen through a cache, which can grow: the only thread-safe access to planes."""

from __future__ import annotations

import dataclasses
import logging
import reprlib
import threading
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as WaitedLongEnough
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import CorruptDataError, DatasetError, PlaneNotStoredError, PlaneNotWrittenError
from ..model import Plane, PlaneKey, PlaneState, Region, channel_name, find_channel
from ..sources.missing import missing_plane
from ..sources.replacement import has_other_planes, said_of_both
from ..storage.bytes import is_url
from ..storage.file_versions import NOTHING, changed_ns
from ..storage.presentable import presentable
from .announced_planes import AnnouncedPlanes
from .cache import PLANE_CACHE_MAX_MEMORY_BYTES, PlaneCache
from .follower import DiskFollower
from .image_lookup import ImageLookup
from .leases import SupersededRead
from .look_schedule import Following, GrowthSchedule, RunSchedule
from .overview import OVERVIEW, DrawnLevel, OverviewBuilder
from .plane_search import MISSING
from .plane_times import PlaneTimes
from .planes_in_view import PlanesInView
from .regions import TiledPlanes
from .rereader import Rereader
from .retry import RetryPolicy
from .stored_scout import StoredScout
from .surveyor import REPORT_SECONDS, Surveyor
from .time_line import TimeLine
from .transpose import c_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    import xarray as xr

    from ..model import DatasetInfo, ImageInfo, Level
    from ..sources import Source
    from .changes import ChangeListener, DatasetChange
    from .newest_places import NewestWanted, Place
    from .report import PlaneReport
    from .time_line import TimeStates

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.15
"""How long a view waits for planes that are being read before it is drawn without them."""


SETTLING_SECONDS = 1.9
"""While a dataset grows, a plane that looks damaged, or left out, for less than this is being written."""

_END_SECONDS = 2.0  # how long `close` waits for threads delayed by a slow disk


class Changes(NamedTuple):
    """What happened to a dataset since the last check: planes in view to redraw, new metadata.

    `replaced`: another dataset is at the path now, and shown from now on: `info`, planes
    and everything derived from them (sliders, contrast, channel strips) must be rebuilt.
    """

    in_view: bool
    info: bool
    replaced: bool = False


class Dataset:
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
        workers: int = 4,
        reopen: Callable[[], Dataset] | None = None,
    ) -> None:
        """`live`: a host says what is written. `follow`: what grows at the path is noticed by itself.

        `reopen` opens it again, also in another process: it can be pickled and compared.
        """
        self.path = path
        self.reopen = reopen
        self.storage_options = dict(storage_options or {})
        self.times = PlaneTimes()  # when planes were noticed and read
        self._source = source
        self._images = ImageLookup(source)
        self._cache = PlaneCache(self._read, cache_bytes, workers, self._read)
        self._tiled = TiledPlanes(source, self._cache)
        self._lock = threading.Lock()  # guards the following, and that all parts agree about what is in view
        self._live = live
        self._known = source.info
        self._info = self._known  # as last returned by `take_changes`
        self._replaced = ""  # how the dataset was last replaced
        self._replaced_unseen = False  # not returned by `take_changes` yet
        self._noticed: tuple[DatasetInfo, tuple[str, ...], DatasetInfo] | None = None
        self._said_odd = False
        self._closed = False
        self._view = PlanesInView()
        self._overviews = OverviewBuilder(source, self._tiled, self._view.draw_again)
        self._retries = RetryPolicy()
        self._announced = AnnouncedPlanes(self._known)
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
            self._tiled,
            lambda key, error: self._failed_plane(key, error, 0),
            self._is_awaited,
            self._is_in_memory,
        )
        self._time_line = TimeLine(self._surveyor, lambda: source.info, self._may_change)

    # ---- state ---------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """Everything known before any pixel is read; a new object whenever more becomes known.

        Its warnings include what currently prevents the dataset from being followed.
        """
        said = self._adopt_info()
        notices = tuple(filter(None, (self._replaced, self._follower.trouble, self._rereader.trouble)))
        if not notices:
            return said
        with self._lock:
            known = self._noticed
            if known is None or known[0] is not said or known[1] != notices:
                known = self._noticed = (
                    said,
                    notices,
                    dataclasses.replace(said, warnings=(*said.warnings, *notices)),
                )
            return known[2]

    def _adopt_info(self) -> DatasetInfo:
        """The source's current info; if that is a different dataset, nothing is kept of the previous one."""
        info = self._source.info
        if info is self._known:
            return info
        with self._lock:
            before, self._known = self._known, info
            if not _is_another(before, info):
                return info
            self._replaced = (
                f"{self.path or 'the dataset'} has been replaced by another dataset "
                f"({said_of_both(before, info)}); showing the new one"
            )
            self._replaced_unseen = True
            notice = self._replaced
        logger.warning("%s", notice)
        self._announced.start_over(info)
        self._forget_all()
        return info

    def _forget_all(self) -> None:
        """Forget all reads and failures so far; planes in view are reread."""
        self._images.forget()
        self._surveyor.failures.clear()
        self._time_line.start_over()
        self._follower.start_over()
        self._retries.clear()
        self._cache.clear()
        self._view.draw_all_again()

    @property
    def sizes(self) -> Mapping[str, int]:
        """``{"t": …, "p": …, "c": …, "z": …, "y": …, "x": …}``, as currently known."""
        return self.info.sizes

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels, by index."""
        return tuple(channel.name for channel in self.info.channels)

    @property
    def positions(self) -> tuple[str, ...]:
        """The labels of the positions ("A1:0"), by index."""
        return tuple(position.label for position in self.info.positions)

    @property
    def live(self) -> bool:
        """Whether somebody is writing this dataset and notifying us."""
        return self._live

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
        info = self._adopt_info()
        level = self._view.shown.level
        entry = self._cache.peek(key, level)
        if isinstance(entry, np.ndarray):
            return PlaneState.PRESENT
        if entry is not None:
            return self._waited_for(key, level).state
        error = self._retries.error_of(key)
        if error is not None:
            return self._failed_plane(key, error, level).state
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
        info = self._adopt_info()
        every: Iterable[int] = range(len(info.positions))
        wanted = every if p is None else [self._position(p)] if isinstance(p, (int, str)) else p
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
        self._adopt_info()
        return self._surveyor.find(PlaneKey(*after), wanted, progress, cancelled)

    def time_states(self, p: int) -> TimeStates | None:
        """What of position `p` is there at each time point, as looked up lately; None while not known.

        For one position at a time. Any thread; no I/O here, which happens in a thread of its own.
        """
        self._fold_notified()
        return self._time_line.of(p, time.monotonic()) if p < len(self._known.positions) else None

    def _may_change(self) -> bool:
        return self._live or self._follower.is_following_growth

    def _is_awaited(self) -> bool:
        """Whether what is not stored may still be written."""
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
        self._fold_notified()
        return key in self._announced

    def newest(self, wanted: NewestWanted) -> Place | None:
        """The newest place that writers have announced, of those `wanted`; None without one.

        Of a dataset `looks_for_newest`, the newest that was stored about a second ago. Within the sizes in
        `info`. Any thread; no I/O here, a few microseconds if nothing has changed.
        """
        info = self._adopt_info()
        self._fold_notified()
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
        p = self._position(p)
        key = PlaneKey(t, p, self._channel(c, p) if isinstance(c, str) else self._own_channel(c, p), z)
        if level < 0:
            raise IndexError(f"no resolution level {level}")
        self._follower.check(key, level)
        try:
            if region is not None:
                return self._tiled.region(key, level, Region(*region))
            return self._cache.read(key, level)
        except PlaneNotStoredError as error:
            plane = self._failed_plane(key, error, level)
            if plane.pixels is None:
                raise
            return plane.pixels

    def _own_channel(self, c: int, p: int) -> int:
        """The index in `info.channels`, the channels of all positions, of a position's own channel `c`."""
        if len(self._source.info.positions) == 1:
            return c
        try:
            own = self._images.image(p).channels
        except (PlaneNotStoredError, IndexError):  # reading the plane will say why
            return c
        info = self._source.info
        if info.common is None:
            return c
        if not 0 <= c < len(own):
            raise IndexError(f"no channel {c}: {info.positions[p].label} has {len(own)}")
        found = find_channel(info.channels, *channel_name(own, c))
        return c if found is None else found

    def drawn_level(self, p: int, height: int, width: int) -> DrawnLevel:
        """What to draw of position `p` in `height` × `width` screen pixels; may block on disk.

        Level 0 of small planes; of large ones the smallest level that fills the screen, or `OVERVIEW` if
        that is too large for one picture: `planes` then reads all tiles and keeps every n-th pixel.
        """
        return self._overviews.drawn_level(p, height, width)

    def z_at(self, p: int, z: int, level: int) -> int:
        """The plane of a level that covers plane `z` of level 0; may block on disk."""
        return self._tiled.z_at(p, z, max(level, 0))

    def image(self, p: int | str = 0) -> ImageInfo:
        """Return what a position contains: channels, sizes, dtype, voxel size; positions may differ.

        `p` is an index or a label ("A1:0"). Blocks on disk or network the first time. Raises `IndexError` or
        `KeyError` if there is no such position, `PlaneNotStoredError` if nothing of it is written yet,
        another `DatasetError` if it cannot be read.
        """
        return self._images.image(self._position(p))

    def known_image(self, p: int) -> ImageInfo | None:
        """Return what a position contains, as far as can be said without blocking; else None.

        As long as no positions are known to differ, and in a run that a host has announced, one that was not
        looked at yet counts as like the others.
        """
        info = self._adopt_info()
        may_be_said = self.has_looked_at(p) or not info.images or self._live
        return info.image(p) if may_be_said and p < len(info.positions) else None

    def has_looked_at(self, p: int) -> bool:
        """Whether it was looked up already what a position contains: `image` does not block then."""
        return self._images.has_looked_at(p)

    def look_at_all(self) -> DatasetInfo:
        """Look at every position, on a server at the first 64; afterwards `info` says how they differ.

        Blocks on disk or network. Positions that cannot be read are passed over.
        """
        self._images.look_at_all()
        return self._adopt_info()

    def levels(self, p: int | str = 0) -> tuple[Level, ...]:
        """Return the pyramid levels of a position, largest first: z, y, x and scale of each.

        Blocks and raises like `image`. Levels that are announced but not written yet are left out.
        """
        return self._images.levels(self._position(p))

    def level_at(self, p: int, level: int) -> Level:
        """One of `levels`; looks at no other but the largest. Raises `IndexError` if it does not exist."""
        self.image(p)
        return self._tiled.level(p, level)

    def plane_shape(self, level: int = 0) -> tuple[int, int]:
        """Return the shape (Y, X) of the first position's planes at one level; may block on disk.

        Raises a `DatasetError` if there is no such level. See `levels` for other positions.
        """
        if level == 0:
            image = self.info.image(0)
            return image.height, image.width
        shape = self._source.plane_shape(PlaneKey(), level)
        if shape is None:
            raise PlaneNotStoredError(f"{self.path}: resolution level {level} is not written yet")
        return shape

    def tile_shape(self, p: int = 0, level: int = 0) -> tuple[int, int]:
        """Rows and columns of the parts that planes are read in; small planes are one. May block on disk."""
        if self._tiled.is_small(p):
            image = self.info.image(p)
            return max(image.height, 1), max(image.width, 1)
        grid = self._tiled.grid(p, level)
        return grid.rows, grid.columns

    def _channel(self, name: str, p: int) -> int:
        """The index of a channel of position `p`; looks at the position if the name alone does not tell."""
        info = self._adopt_info()
        if sum(channel.name == name for channel in info.channels) != 1:
            own = self.image(p).channels
            if sum(channel.name == name for channel in own) == 1:
                info = self._adopt_info()
                return next(c for c, channel in enumerate(info.channels) if channel.name == name)
        return info.channel_index(name)

    def _position(self, p: int | str) -> int:
        return self._adopt_info().position_index(p) if isinstance(p, str) else p

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
        keys = [PlaneKey(*key) for key in keys]
        view = keys if view is None else view
        began_with = self._adopt_info()
        known = self._now_in_view(view, level)
        to_read = [key for key in keys if key not in known]
        entries = dict(zip(to_read, self._cache.request(to_read, level, drop_except=view), strict=True))
        if wait is not None and self._exceeds_cache(len(keys), level):
            wait = None  # late planes would be evicted before they are drawn, so wait for all
        deadline = None if wait is None else time.monotonic() + wait
        planes = [
            self._failed_plane(key, known[key], level)
            if key in known
            else self._outcome(key, level, entries[key], deadline)
            for key in keys
        ]
        if _is_another(began_with, self._adopt_info()):  # some may belong to the old, some to the new dataset
            return [Plane(PlaneState.LOADING)] * len(planes)
        return planes

    def _now_in_view(self, keys: Sequence[PlaneKey], level: int) -> dict[PlaneKey, Exception]:
        """Set the view to `keys`; return the failures among them whose retry is not due yet."""
        self._fold_notified()
        parts = None if level == 0 else {key: self._shown_of_level_0(key, level) for key in keys}
        with self._lock:
            if level != self._view.shown.level:
                self._retries.clear()  # a failure is of one level
            is_elsewhere = self._view.show(keys, level, parts)
            self._cache.watch(self._view.watched)
            failures = self._retries.show(keys)
        if is_elsewhere:
            self._follower.gone_elsewhere()
        return failures

    def _shown_of_level_0(self, key: PlaneKey, level: int) -> list[PlaneKey]:
        """The planes of level 0 that one of another level shows a part of; all while that is not known."""
        n_z = self._known.n_z
        if n_z == 1:
            return [key._replace(z=0)]
        z, facts = key.z, self._cache.facts_of(key.p, level)
        if facts is None:
            return [key._replace(z=z) for z in range(n_z)]
        if level == OVERVIEW:
            z = facts.z_at(z)
        covered = facts.covers(z)
        return [key._replace(z=z) for z in covered[: max(n_z - covered.start, 1)]]

    def _note_level(self, p: int, level: int) -> None:
        """Tell the cache which planes of level 0 those of a level show; reads its metadata."""
        try:
            of = self._overviews.base_level(p) if level == OVERVIEW else level
            self._cache.note_level(p, level, self._tiled.level(p, of))
        except (DatasetError, IndexError):  # reading the plane will say so
            return

    def _exceeds_cache(self, n_planes: int, level: int) -> bool:
        if level == OVERVIEW:
            return False
        info = self.info
        itemsize = info.dtype.itemsize if info.dtype is not None else 2
        nbytes = n_planes * info.height * info.width * itemsize // int(4**level)
        return nbytes > self._cache.max_bytes

    def _outcome(
        self, key: PlaneKey, level: int, entry: np.ndarray | Future[np.ndarray], deadline: float | None
    ) -> Plane:
        if isinstance(entry, np.ndarray):
            return self._present(key, entry)
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            error = entry.exception(timeout)
        except WaitedLongEnough:
            entry.add_done_callback(lambda future: self._arrived(key, future, level))
            growing = self._overviews.so_far(key) if level == OVERVIEW else None
            return growing or self._waited_for(key, level)
        except CancelledError:  # another view was requested meanwhile
            self._arrived(key, entry, level)
            return Plane(PlaneState.LOADING)
        if error is None:
            return self._present(key, entry.result())
        if isinstance(error, SupersededRead):
            return Plane(
                PlaneState.LOADING
            )  # the notification that superseded it is a change: we will be asked again
        return self._failed(key, error, level)

    def _waited_for(self, key: PlaneKey, level: int) -> Plane:
        error = self._retries.timeout_of(key)
        return Plane(PlaneState.LOADING) if error is None else self._failed_plane(key, error, level)

    def _present(self, key: PlaneKey, pixels: np.ndarray) -> Plane:
        if self._retries.succeeded(key):
            self._follower.found_news()
        self._surveyor.failures.forget([key])
        return Plane(PlaneState.PRESENT, pixels)

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
        again = self._live or self._follower.is_following_growth or getattr(error, "transient", False)
        is_first = self._retries.failed(key, error, time.monotonic(), again=again)
        if is_first and not self._closed:
            severity = logging.DEBUG if isinstance(error, PlaneNotStoredError) else logging.WARNING
            logger.log(severity, "plane %s: %s", tuple(key), error)
        plane = self._failed_plane(key, error, level)
        if plane.state is PlaneState.UNREADABLE:
            self._surveyor.failures.note(key, plane.reason)
        return plane

    def _failed_plane(self, key: PlaneKey, error: Exception, level: int) -> Plane:
        reason = str(error) or type(error).__name__
        if isinstance(error, (CorruptDataError, PlaneNotStoredError)) and self._may_be_on_its_way(key, error):
            return Plane(PlaneState.PENDING, reason=f"being written ({reason})")
        if not isinstance(error, PlaneNotStoredError):
            return Plane(PlaneState.UNREADABLE, reason=reason)
        return missing_plane(error, live=self._live, notified=self._is_notified(key, level))

    def _is_notified(self, key: PlaneKey, level: int) -> bool:
        """Whether a writer has notified everything that a plane of any level shows."""
        of_level_0 = [key] if level == 0 else self._shown_of_level_0(key, level)
        return all(self.was_notified(each) for each in of_level_0)

    def _may_be_on_its_way(self, key: PlaneKey, error: DatasetError) -> bool:
        """Whether a plane that is damaged, or missing among others, is perhaps about to be written."""
        if isinstance(error, PlaneNotStoredError) and not error.is_fill_value:
            return False
        since = self._retries.failing_since(key)
        is_new = since is None or time.monotonic() - since < SETTLING_SECONDS
        return is_new and self._follower.is_growing()

    def _read(self, key: PlaneKey, level: int, tile: Region | None = None) -> np.ndarray:
        before, began = self._source.info, time.monotonic()
        asked = self._cache.waiting_since(key, level) or began
        if level != 0:
            self._note_level(key.p, level)
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
        if _is_another(before, self._source.info):
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
        self._fold_notified()
        now = time.monotonic()
        news = self._announced.take_news()
        in_view = self._view.take_changed(news.in_view)
        in_view |= self._retries.release_due(now)
        with self._lock:
            grown, self._info = info is not self._info, info
            replaced, self._replaced_unseen = self._replaced_unseen, False
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
        self._fold_notified()
        level = self._view.shown.level
        self._cache.request(self._view.showing(self._announced.unseen()), level)

    def _fold_notified(self) -> None:
        """Apply the notifications received since the last call; cheap if there are none."""
        rows, watched = self._cache.take_notified()
        if not rows:
            return
        for odd in () if self._said_odd else self._cache.take_odd():
            self._said_odd = True
            logger.warning(
                "ignored a notification for %s, which is not a plane (t, p, c, z)", reprlib.repr(odd)
            )
        self._announced.add(np.concatenate(rows), watched, self._source.info)
        self._retries.written(self._view.showing(watched))
        if len(self._surveyor.failures):
            self._surveyor.failures.forget(map(tuple, np.concatenate(rows).tolist()))

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
        self._view.close()
        self._follower.close()
        self._rereader.close()
        self._scout.close()
        self._time_line.close()
        self._source.close()
        self._cache.close()
        deadline = time.monotonic() + _END_SECONDS
        self._follower.join(deadline)
        self._rereader.join(deadline)
        self._scout.join(deadline)
        self._time_line.join(deadline)

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ", live" if self._live else ""
        where = f"{presentable(self.path)!r} " if self.path else ""
        return f"<Dataset {where}{self._known.summary()}{state}>"

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _is_another(before: DatasetInfo, info: DatasetInfo) -> bool:
    """Whether the two describe different datasets.

    The number alone is not enough: it restarts with the reader process.
    """
    return before is not info and (info.generation > before.generation or has_other_planes(before, info))
