"""What is known of the planes of a dataset without giving out their pixels, and kept up to date."""

from __future__ import annotations

import os
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DatasetError, PlaneNotStoredError
from ..model import PlaneKey, PlaneState
from ..storage.bytes import is_url
from ..storage.file_versions import is_nothing
from .announced_planes import AnnouncedPlanes
from .current_info import CurrentInfo
from .dataset_contents import DatasetContents
from .follower import DiskFollower
from .level_parts import LevelParts
from .look_schedule import Following, GrowthSchedule, RunSchedule
from .look_thread import LookThread
from .notified_planes import NotifiedPlanes
from .overview import OVERVIEW, OverviewBuilder
from .plane_outcomes import PlaneOutcomes
from .plane_search import MISSING
from .planes_in_view import PlanesInView, ViewedPlanes
from .position_states import PositionSurvey
from .regions import TiledPlanes
from .retry import RetryPolicy
from .stored_count import StoredCount
from .stored_scout import StoredScout
from .surveyor import REPORT_SECONDS, Surveyor
from .time_line import TimeLine
from .transpose import c_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ..model import DatasetInfo
    from ..sources import Source
    from .cache import PlaneCache
    from .follower import Unreachable
    from .measured_reads import MeasuredReads
    from .newest_places import NewestWanted, Place
    from .position_states import PositionStates
    from .report import PlaneReport
    from .time_line import TimeStates


class DatasetStates(DatasetContents):
    """What is there, what is missing, what is new; `Dataset` adds the pixels. Any thread."""

    def __init__(
        self,
        source: Source,
        path: str,
        cache: PlaneCache,
        reads: MeasuredReads,
        read: Callable[[PlaneKey, int], np.ndarray],
        *,
        live: bool,
        follow: bool,
    ) -> None:
        """`reads` reads from the source, `read` as the cache does; see `Dataset` for the rest."""
        self._cache = cache
        self._view, self._retries = PlanesInView(), RetryPolicy()
        self._beside = ViewedPlanes(PlanesInView(), RetryPolicy())  # the stack beside the picture
        viewed = ViewedPlanes(self._view, self._retries), self._beside
        tiled = TiledPlanes(source, cache)
        overviews = OverviewBuilder(source, tiled, self._view.draw_again)
        current = CurrentInfo(source, path, self._start_over, self._troubles)
        super().__init__(source, path, current, tiled, overviews, live=live)
        self._closed = False
        self._looks: LookThread | None = None
        self._announced = AnnouncedPlanes(current.known)
        now = time.monotonic()
        self._follower = DiskFollower(
            source,
            cache,
            viewed,
            reads,
            read,
            is_told=self._is_told,
            is_live=lambda: self._live,
            schedule=GrowthSchedule(now) if follow else RunSchedule(now, live=live),
        )
        self._was_there = False  # for the thread of the scout
        self._scout = StoredScout(
            self._is_stored,
            self._follower.found_news,
            are_begun=self._are_begun,
            are_whole=self._are_whole,
            is_gone=self._is_gone,
            want=cache.request,
        )
        self._surveyor = Surveyor(
            source,
            self._images,
            tiled,
            lambda key, error: self._outcomes.of_failure(key, error, 0, is_final=True),
            lambda: self._live,
            lambda: self._follower.comes,
            self._is_in_memory,
            self._follower.ask_age,
            is_remote=is_url(path),
        )
        self._count = StoredCount(self._surveyor, lambda: source.info)
        found_news = self._follower.found_news if follow else lambda: None  # of a host's run it is told
        self._time_line = TimeLine(self._surveyor, lambda: source.info, self._may_change, found_news)
        self._positions = PositionSurvey(
            self._surveyor,
            self._announced,
            lambda: current.known,
            is_live=lambda: self._live,
            may_change=self._may_change,
            is_local=not is_url(path),
            found_news=found_news,
        )
        failures = self._surveyor.failures
        self._notified = NotifiedPlanes(source, cache, viewed, self._announced, failures)
        self._parts = LevelParts(cache, tiled, overviews, lambda: current.known.n_z)
        self._outcomes, self._outcomes_beside = (
            PlaneOutcomes(
                view,
                retries,
                self._follower,
                overviews,
                self._notified,
                self._parts,
                failures,
                self._surveyor.seen,
                is_live=lambda: self._live,
            )
            for view, retries in viewed
        )

    def _troubles(self) -> tuple[str, ...]:
        return (self._follower.trouble,)

    def _start_over(self, info: DatasetInfo) -> None:
        """Another dataset is at the path now."""
        self._announced.start_over(info)
        self._surveyor.seen.clear()
        self._forget_all()

    def _forget_all(self) -> None:
        """Forget all reads and failures so far; planes in view are reread."""
        self._images.forget()
        self._surveyor.failures.clear()
        self._time_line.start_over()
        self._positions.start_over()
        self._follower.start_over()
        for retries in (self._retries, self._beside.retries):
            retries.clear()
        self._cache.clear()
        for view in (self._view, self._beside.view):
            view.draw_all_again()

    @property
    def following(self) -> Following:
        """Whether changes on disk will be noticed without a `refresh`. Any thread; no I/O."""
        return self._follower.following

    @property
    def unreachable(self) -> Unreachable | None:
        """Since what time of day the dataset cannot be reached, and why; None if it could at the last look.

        Any thread; no I/O.
        """
        return self._follower.unreachable

    def set_following(self, following: bool) -> None:
        """Pause following what grows at the path, or resume. Any thread; no I/O.

        What counted as finished is followed again for ten minutes.
        """
        self._follower.pause(not following)

    def look_by_itself(self) -> None:
        """Follow the disk in a thread from now on, although nobody calls `take_changes`: for scripts."""
        if self._looks is None and not self._closed:
            self._looks = LookThread(self._follower)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def is_viewed(self) -> bool:
        """Whether planes were requested with `planes`, which can change."""
        return bool(self._view.watched)

    def overview(self, t: int = 0, p: int | str = 0, c: int | str = 0, z: int = 0) -> np.ndarray:
        """Every n-th row and column (Y, X) of a plane that is too large to be read at once, read-only.

        How many that are says `drawn_level`. All tiles are read, a few at a time. Takes what `plane` takes,
        blocks and raises like it.
        """
        key = self._indices.key(t, p, c, z)
        try:
            return c_ordered(self._cache.read(key, OVERVIEW))
        except PlaneNotStoredError as error:
            plane = self._outcomes.of_failure(key, error, OVERVIEW)
            if plane.pixels is None:
                raise
            return plane.pixels

    def state(self, key: PlaneKey) -> PlaneState:
        """The state of one plane, without reading it; blocks on disk if it is not in view.

        At the level in view of what is in memory, being read, or failed. Of any other plane what is stored
        counts (see `PlaneState`): PRESENT, or PENDING, FILLED or ABSENT as `plane` treats missing planes,
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
        state = self._surveyor.stored.of_one(key, info)
        if state is PlaneState.UNKNOWN:
            state = self._surveyor.looked_up(key)
        # `plane` is asked of what is missing: it says the same
        return self._surveyor.read([key])[0] if state in MISSING else state

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

    @property
    def n_unreadable(self) -> int:
        """How many planes are known to be stored and unreadable; others may be, which were not read."""
        return self._surveyor.failures.count()

    def count_stored(self, seconds: float, cancelled: Callable[[], bool]) -> int | None:
        """How many planes are stored: `StoredCount.again`. For one thread at a time; blocks on disk."""
        self._current.adopt()
        return self._count.again(seconds, cancelled)

    def find(
        self,
        after: PlaneKey,
        wanted: frozenset[PlaneState] = MISSING,
        progress: Callable[[int, int], None] = lambda done, expected: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[PlaneKey, PlaneState] | None:
        """Find the next plane after one that is in a `wanted` state; None if there is none, or cancelled.

        In the order position, time, z, channel; continues from the beginning, and ends with the plane itself.
        Missing planes are found by what is stored, unreadable ones by reading every plane on the way, which
        is slow; then `progress(done, expected)` and `cancelled()` are for whoever waits. Blocks.
        Planes that were there when all positions were looked at (`position_states`) are asked for last.
        """
        self._current.adopt()
        key = PlaneKey(*after)
        present = {} if PlaneState.UNREADABLE in wanted else self._positions.present()
        if any(known.any() for known in present.values()):
            found = self._surveyor.find(key, wanted, progress, cancelled, present)
            if found is not None or cancelled():
                return found
        return self._surveyor.find(key, wanted, progress, cancelled)

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

    def _may_look_otherwise(self, before: DatasetInfo, info: DatasetInfo) -> bool:
        """Whether what is in view is to be drawn again as more is known: not for what was added elsewhere.

        Planes that are not there may be by now; a stack, and what is made of it, may have grown.
        """
        keys, level = self._view.shown
        if not all(isinstance(self._cache.peek(key, level), np.ndarray) for key in keys) or not keys:
            return True
        places = {key.p for key in keys}
        if max(places) >= min(len(before.positions), len(info.positions)):
            return True
        return any(replace(before.image(p), n_t=0) != replace(info.image(p), n_t=0) for p in places)

    def _were_read(self, keys: Collection[PlaneKey]) -> None:
        """The pixels of these planes were read: nobody is told any more that they are not there."""
        self._surveyor.failures.forget(keys)
        self._positions.were_read(keys)
        self._time_line.were_read(keys)

    def tell_written(self, listener: Callable[[np.ndarray], object] | None) -> None:
        """Call this with the planes (n, 4: t, p, c, z) that writers notify, from now on; None: nobody.

        In any thread, soon after the notification; it must be quick. There is one listener at a time.
        """
        self._notified.listener = listener

    @property
    def announced(self) -> tuple[int, PlaneKey | None]:
        """How many different planes writers have announced, and the last of them; no I/O."""
        return self._announced.total, self._announced.last

    def _may_change(self) -> bool:
        return self._live or self._follower.is_following_growth

    @property
    def is_being_written(self) -> bool:
        """Whether what is not stored may still be written: a run is on, or the dataset has grown lately."""
        return self.is_more_awaited or self._follower.is_growing()

    @property
    def is_more_awaited(self) -> bool:
        """Whether what is not stored is said to be still to come: PENDING, and not ABSENT.

        Unlike `is_being_written`, no longer once it was told that no new planes come (`tell_comes`).
        """
        return bool(self._surveyor.stored.comes)

    def tell_comes(self, comes: bool | None, as_of: float) -> None:
        """Whoever counts all planes says whether more come, as of a time (`time.monotonic`).

        All states follow that, until something new is found. None: nobody counts them any more; then those
        that are missing are awaited for a minute after the last news, or as long as these were apart.
        Any thread; no I/O.
        """
        self._follower.tell_comes(comes, as_of)

    @property
    def grew_at(self) -> float:
        """When it was found to have grown last (`time.monotonic`), while it is followed; -inf: never."""
        return self._follower.grew_at

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

        Of a dataset `looks_for_newest`, the newest as of the last look, a moment ago. Within the sizes in
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

    def _is_gone(self) -> bool:
        """Whether the dataset is out of reach, also before a look has found that; blocks on disk."""
        is_there = os.path.exists(self.path)  # never, of a pattern or of something within a file
        was_there, self._was_there = self._was_there, self._was_there or is_there
        return self.unreachable is not None or (was_there and not is_there)

    def _are_begun(self, keys: Sequence[PlaneKey]) -> Iterator[bool]:
        """Whether anything of the planes is stored; the whole plane, where only reading tells."""
        unread = [key for key in keys if not self._is_in_memory(key)]
        try:
            stored = dict(zip(unread, self._source.are_stored(unread) if unread else (), strict=True))
        except (DatasetError, IndexError):
            stored = dict.fromkeys(unread, False)
        for key in keys:
            is_stored = stored.get(key, True)
            yield self._is_stored(key) if is_stored is None else is_stored

    def _are_whole(self, keys: Sequence[PlaneKey]) -> Iterator[bool]:
        """Whether planes of which something is stored can be read; they are read at the same time."""
        self._cache.request(keys)
        return map(self._can_read, keys)

    def _is_stored(self, key: PlaneKey) -> bool:
        """Whether the whole plane is stored; reads it if its version does not deny it."""
        try:
            (version,) = self._source.versions([key])
        except (DatasetError, IndexError):
            return False
        return (version is None or not is_nothing(version)) and self._can_read(key)

    def _can_read(self, key: PlaneKey) -> bool:
        try:
            self._cache.read(key)
        except (DatasetError, IndexError, CancelledError):
            return False
        return True

    def _is_told(self, key: PlaneKey, level: int) -> bool:
        """Whether a writer notifies changes of this plane: the run is on, and it has done so before.

        Of other levels it does not tell: they are written some time after level 0.
        """
        return self._live and level == 0 and self.was_notified(key)
