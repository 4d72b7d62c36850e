"""Follows what is on disk: notifications are hints, the disk has the last word."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import CancelledError
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError, DatasetGoneError, PlaneNotStoredError, PlaneNotWrittenError
from ..model import PlaneKey
from ..storage.activity import JUST_WRITTEN_SECONDS
from ..storage.file_clock import FileClock
from ..storage.file_versions import changed_ns, is_in_parts, is_nothing, settled
from ..storage.freed_memory import are_same
from ..storage.time_spent import Stopwatch
from .announced_planes import is_beyond
from .background_work import BackgroundWork
from .leases import SupersededRead
from .look_schedule import Following
from .overview import OVERVIEW
from .plane_versions import PlaneVersions
from .transpose import c_ordered
from .versions_ahead import VersionsAhead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import DatasetInfo, Region
    from ..sources import Source
    from .cache import PlaneCache
    from .look_schedule import LookSchedule
    from .measured_reads import MeasuredReads
    from .planes_in_view import ViewedPlanes

logger = logging.getLogger(__name__)

_COMPARED_PLANES = 16  # all channels of a view, but only the first planes of a volume
_VERSIONED_PLANES = 1024
_IN_PARTS_SECONDS = 1.0


def has_grown(before: DatasetInfo, info: DatasetInfo) -> bool:
    """Whether there is more of a dataset than before, or another one.

    A new `DatasetInfo` alone may mean that more became known of it (a position has larger images), or that
    files have gone away.
    """
    is_more = any(info.sizes[axis] > before.sizes[axis] for axis in "tpcz")
    return is_more or info.generation != before.generation


class Unreachable(NamedTuple):
    """That a dataset cannot be reached: since what time of day, and why."""

    since: str
    reason: str

    def __str__(self) -> str:
        return f"Not reachable since {self.since}, showing what was read: {self.reason}"


class DiskFollower:
    """Looks at the disk, one thread per look: the metadata, and whether planes in view match what is stored.

    `viewed` are the planes in view, those of the picture first. `schedule` says when. `is_told(key, level)`:
    whether writers notify that plane, so that it need not be compared.
    `reads` reads from the source, `read` as the cache does. `is_live()`: whether a host's run is on.
    """

    def __init__(
        self,
        source: Source,
        cache: PlaneCache,
        viewed: Sequence[ViewedPlanes],
        reads: MeasuredReads,
        read: Callable[[PlaneKey, int], np.ndarray],
        is_told: Callable[[PlaneKey, int], bool],
        is_live: Callable[[], bool],
        schedule: LookSchedule,
    ) -> None:
        self._source = source
        self._cache = cache
        self._viewed = viewed
        self._reads = reads
        self._read = read
        self._is_told = is_told
        self._is_live = is_live
        self._versions = PlaneVersions()
        self.follows_growth = schedule.follows_growth
        """Whether what grows at the path is looked for, rather than what a host says; never changes."""
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._schedule = schedule
        self._in_parts: dict[PlaneKey, float] = {}  # since when; of looks only
        self._clock = FileClock()  # of looks only
        self._asking_age = threading.Lock()  # held while the disk is touched: others need the answer as well
        self._is_age_known = not self.follows_growth
        self._gone: Unreachable | None = None
        self._told: tuple[bool, float] | None = None  # whether planes come, and as of when
        self._work = BackgroundWork("ndviewer-look", "following the disk")
        self._checks = BackgroundWork("ndviewer-check", "checking planes in memory")

    # ---- state -----------------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """Why the disk currently cannot be followed, since when the dataset is unreachable; else empty."""
        return self._work.trouble or str(self._gone or "")

    @property
    def unreachable(self) -> Unreachable | None:
        """Since when the dataset cannot be reached, None while it can."""
        return self._gone

    @property
    def following(self) -> Following:
        """Whether the dataset is being followed."""
        with self._lock:
            return self._schedule.following

    @property
    def is_following_growth(self) -> bool:
        """Whether what grows at the path will be noticed."""
        return self.follows_growth and self.following is Following.FOLLOWING

    def is_growing(self) -> bool:
        """Whether the dataset was found to be written lately."""
        with self._lock:
            return self._schedule.is_growing(time.monotonic())

    def tell_comes(self, comes: bool | None, as_of: float) -> None:
        """Whoever counts the planes says whether more come, as of a time; None: nobody counts them."""
        told = None if comes is None else (comes, as_of)
        with self._lock:
            before, self._told = self._told, told
        if (before and before[0]) is not comes:  # what is missing in view is something else now
            for viewed in self._viewed:
                if viewed.retries.has_failures:
                    viewed.view.draw_all_again()

    @property
    def comes(self) -> bool | None:
        """Whether more is to come, None where nothing says so but, perhaps, the dataset itself.

        What counts planes knows best, as long as nothing new was found since.
        """
        with self._lock:
            told = self._told
            if told is not None and (told[0] or told[1] >= self._schedule.grew_at):
                return told[0]
            return self._schedule.is_growing(time.monotonic()) or None

    def ask_age(self) -> None:
        """Learn whether the dataset was being written when it was opened; blocks on disk the first time."""
        if self._is_age_known:
            return
        with self._asking_age:
            if not self._is_age_known and self._was_just_written():
                with self._lock:
                    self._schedule.found_young(time.monotonic())
            self._is_age_known = True

    def _was_just_written(self) -> bool:
        try:
            return self._source.was_just_written()
        except (DatasetError, CancelledError) as error:
            logger.debug("asking when the dataset was written: %s", error)
            return False

    def is_awaited(self) -> bool:
        """Whether more may be written: it grew lately, or a host's run is on or was just ended."""
        with self._lock:
            return self._schedule.is_awaited(time.monotonic())

    @property
    def grew_at(self) -> float:
        """When the dataset was found to have grown last (`time.monotonic`); -inf: never."""
        with self._lock:
            return self._schedule.grew_at

    def pause(self, paused: bool) -> None:
        """Look no more; or again, at once."""
        with self._lock:
            self._schedule.pause(paused, time.monotonic())

    def gone_elsewhere(self) -> None:
        """Different planes are in view now: look at the disk there soon."""
        with self._lock:
            self._schedule.gone_elsewhere(time.monotonic())

    def end(self) -> None:
        """The run is over; follow the disk for some seconds more."""
        with self._lock:
            self._schedule.end(time.monotonic())

    def reached(self) -> None:
        """The dataset was read just now, whatever went wrong in the last look."""
        self._note_reached(None)

    def _note_reached(self, error: DatasetGoneError | None) -> None:
        """The dataset was found, or `error` says that it was not."""
        if error is None:
            was_gone, self._gone = self._gone is not None, None
            for viewed in self._viewed if was_gone else ():  # what could not be read need not wait
                viewed.retries.clear()
                viewed.view.draw_all_again()
        elif self._gone is None or self._gone.reason != str(error):
            since = self._gone.since if self._gone is not None else datetime.now().strftime("%H:%M:%S")
            self._gone = Unreachable(since, str(error))
            logger.warning("%s", self._gone)
        with self._lock:
            self._schedule.is_away = error is not None

    def start_over(self) -> None:
        """Nothing read so far counts."""
        self._versions.clear()

    # ---- reading with versions -------------------------------------------------------------

    def read(self, key: PlaneKey, level: int, tile: Region | None) -> np.ndarray:
        """Read a plane or tile from the source, and remember its version if that is worth anything."""
        if self.follows_growth:
            began_ns, is_new = time.time_ns(), not self._source.info.contains(key)
            try:
                pixels, version = self._reads.read_versioned(key, level, tile)
            except DatasetError:
                self.ask_age()  # what is missing, or damaged, may be to come
                raise
            if is_new:  # no look will notice: this read was the one to find that it has grown
                self.found_news()
            self._versions.note(key, level, version, is_part=tile is not None)
            if version is None:
                self._versions.note_read(key, level, began_ns)
            return pixels
        return self._reads.read(key, level, tile)

    def check(self, key: PlaneKey, level: int) -> None:
        """Forget a plane in memory if another version of it is stored now; blocks on disk."""
        if not self.is_following_growth:
            return
        known = self._versions.get(key, level)
        if known is None:
            return
        version = self._source.versions_in_view([key], level)[0]
        if version not in (known, None) and not is_nothing(version or ""):  # what is gone was right
            self._versions.forget(key)
            self._cache.invalidate(key)

    def check_before_shown(self, keys: Sequence[PlaneKey], level: int, seconds: float) -> None:
        """Forget those planes in memory that were written since they were read.

        Waits for the disk at most `seconds`; what is slower is found by the next look. For planes that come
        into view: those that stay in view are looked at anyway.
        """
        if not self.is_following_growth:
            return
        in_memory = [
            key
            for key in keys[:_VERSIONED_PLANES]
            if self._versions.get(key, level) is not None
            and isinstance(self._cache.peek(key, level), np.ndarray)
        ]
        if not in_memory:
            return
        checked = threading.Event()

        def check() -> None:
            try:
                self._forget_changed(in_memory, level)
            except (DatasetError, IndexError, CancelledError) as error:
                logger.debug("checking planes in memory: %s", error)
            finally:
                checked.set()

        if self._checks.begin(check, time.monotonic()):
            checked.wait(seconds)

    def _forget_changed(self, keys: Sequence[PlaneKey], level: int) -> None:
        for key, version in zip(keys, self._source.versions(keys, max(level, 0)), strict=True):
            known = self._versions.get(key, level)
            # what was read while it was being written is compared by the next look; what is gone was right
            if is_nothing(version or ""):
                continue
            if None not in (version, known) and settled(version or "") != settled(known or ""):
                self._versions.forget(key)
                self._cache.invalidate(key)

    def version(self, key: PlaneKey, level: int) -> str | None:
        """The version at which a plane was read last; None if it has none."""
        return self._versions.get(key, level)

    def found_news(self) -> None:
        """Something that was missing is there: more may follow soon."""
        with self._lock:
            self._schedule.found_something(time.monotonic())

    # ---- looking ---------------------------------------------------------------------------

    def look_if_due(self, beyond: tuple[int, int, int, int] | None, now: float) -> None:
        """Look in a thread if it is time; `beyond`: a plane just notified beyond the known sizes."""
        with self._lock:
            if beyond is not None:
                self._schedule.expect(beyond)
            if not (self._work.can_begin(now) and self._schedule.is_due(now)):
                return
            expected = self._schedule.begin(now)
        if not self._work.begin(lambda: self._look(expected), now) and expected is not None:
            with self._lock:
                self._schedule.found_nothing_of(expected)

    def _look(self, expected: tuple[int, int, int, int] | None) -> None:
        before = self._source.info
        watch, computed = Stopwatch(), self._source.computed_elsewhere_s
        found = False
        self.ask_age()
        ahead = VersionsAhead(self._source, self._versions)
        if expected is None and self._waits_long():
            ahead.begin(
                (self._untold(*viewed.view.shown), viewed.view.shown.level) for viewed in self._viewed
            )
        try:
            if expected is None or self._source.plane_shape(PlaneKey(*expected)) is not None:
                self._source.look()
                self._note_reached(None)
            if self._source.info.generation != before.generation:  # what was asked is of another dataset
                ahead = VersionsAhead(self._source, self._versions)
            # notified planes are known already; unreadable ones are retried anyway
            is_new = self._source.info is not before
            for viewed in self._viewed:
                keys, level = viewed.view.shown
                untold = self._untold(keys, level)
                if self.follows_growth:
                    found |= self._find_changed(viewed, untold, level, ahead, has_grown=is_new)
                else:
                    self._compare_all(untold[:_COMPARED_PLANES], level)
        except DatasetGoneError as error:
            self._note_reached(error)
        except (DatasetError, IndexError, CancelledError, SupersededRead) as error:
            logger.debug("checking the disk for new planes: %s", error)
        finally:
            info, live = self._source.info, self._is_live()
            now, spent = time.monotonic(), watch.spent()
            elsewhere = self._source.computed_elsewhere_s - computed
            with self._lock:
                self._schedule.ended(now, spent._replace(computed=spent.computed + elsewhere))
                if expected is not None and live and is_beyond(info, expected):
                    self._schedule.found_nothing_of(expected)
                elif found or has_grown(before, info):
                    self._schedule.found_something(now)
                if self.follows_growth and info.complete:
                    self._schedule.end(now)

    def _waits_long(self) -> bool:
        with self._lock:
            return self._schedule.waits_long

    def _untold(self, keys: Sequence[PlaneKey], level: int) -> list[PlaneKey]:
        """The planes of a view, as many as are looked at, that nobody notifies."""
        return [key for key in keys if not self._is_told(key, level)][:_VERSIONED_PLANES]

    def _find_changed(
        self,
        viewed: ViewedPlanes,
        keys: Sequence[PlaneKey],
        level: int,
        ahead: VersionsAhead,
        *,
        has_grown: bool,
    ) -> bool:
        """Find planes in view that were written since they were read; whether there are any."""
        found, compared = False, 0
        for key, version in zip(keys, ahead.of(keys, level), strict=True):
            if version is not None:
                self._clock.note((key, level), changed_ns(version))
            known = self._versions.get(key, level)
            if (version == known) if version is not None else not has_grown:
                continue
            if known is not None and version is not None and self._is_in_parts(key, known, version):
                continue  # the next look finds more of it
            is_same = known is None and self._versions.was_read_long_after(
                key, level, changed_ns(version or "")
            )
            if is_same or (known is None and level == OVERVIEW):  # its tiles are read without
                self._versions.note(key, level, version)
                continue
            shown = self._cache.peek(key, level)
            if self._work.closed.is_set():
                return found
            if isinstance(shown, np.ndarray) and level != OVERVIEW and compared < _COMPARED_PLANES:
                compared += 1
                if self._is_still_at(version, known, shown, key, level):
                    continue
            elif isinstance(shown, np.ndarray) or known is not None:
                self._versions.note(key, level, version)
            elif shown is None:  # not found so far, and never looked at: retried with back-off
                self._versions.note(key, level, version)
                continue
            else:
                continue  # being read: the next look knows what it was read at
            found = True
            self._cache.invalidate(key)
            viewed.retries.written([key])
            viewed.view.draw_again(key)
        return found

    def _is_still(self, shown: np.ndarray, key: PlaneKey, level: int) -> bool:
        """Whether a plane that is in memory is read again as it is there."""
        pixels = self._read(key, level)
        return are_same(shown, c_ordered(pixels) if shown.flags.c_contiguous else pixels)

    def _is_still_at(
        self, version: str | None, known: str | None, shown: np.ndarray, key: PlaneKey, level: int
    ) -> bool:
        """Whether a plane in memory, read at the version that is `known`, is the same at a later one.

        What is gone was right. While it is being written, so that it cannot be read, it stays and is compared
        again at the next look; so it is if reading ends because of something else, which is raised.
        """
        self._versions.note(key, level, version)  # reading notes a later one, if it is told
        is_compared = False
        try:
            is_same = self._is_still(shown, key, level)
            is_compared = True
        except DatasetGoneError:
            raise
        except PlaneNotStoredError as error:
            is_same, is_compared = True, not isinstance(error, PlaneNotWrittenError)
        except DatasetError:
            is_doubted = version is None or settled(version) == settled(known or "")
            is_same = is_doubted or self._clock.age_s(changed_ns(version or "")) < JUST_WRITTEN_SECONDS
            is_compared = not is_same
        finally:
            if not is_compared:
                self._versions.forget(key)
                self._versions.note(key, level, known)
        return is_same

    def _is_in_parts(self, key: PlaneKey, known: str, version: str) -> bool:
        """Whether a plane is being written again chunk by chunk: what was read before is whole, and stays.

        For a second at most, as a writer may keep writing the same chunk.
        """
        now = time.monotonic()
        if not is_in_parts(known, version, self._clock.now_ns()):
            self._in_parts.pop(key, None)
            return False
        if len(self._in_parts) > _VERSIONED_PLANES:
            self._in_parts.clear()
        return now - self._in_parts.setdefault(key, now) < _IN_PARTS_SECONDS

    def _compare_all(self, keys: Sequence[PlaneKey], level: int) -> None:
        """Reread cached planes; if one differs, none can be trusted."""
        if level == OVERVIEW:  # would read everything again
            return
        for key in keys:
            shown = self._cache.peek(key, level)
            if not isinstance(shown, np.ndarray) or self._work.closed.is_set():
                continue
            if self._is_still(shown, key, level):
                continue
            self._cache.clear()  # not only planes in view may have changed without notification
            for viewed in self._viewed:
                viewed.view.draw_all_again()
            return

    def close(self) -> None:
        """Start no more looks; a running one ends when the source is closed. Never blocks."""
        self._work.close()
        self._checks.close()

    def join(self, deadline: float) -> None:
        """Wait for a running look to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
        self._checks.join(deadline)
