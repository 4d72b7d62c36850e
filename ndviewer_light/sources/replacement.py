"""Whatever lies at a path: when another dataset has taken the place of the opened one, that one is opened.

A dataset that grows stays itself. It is another one if its planes have another size or dtype, if it has fewer
planes or other channels than at first, or if its file or folder is another one and it has not grown.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import (
    DatasetError,
    DatasetNotFoundError,
    DatasetReorderedError,
    DatasetReplacedError,
    PlaneNotStoredError,
)
from ..storage.activity import JUST_WRITTEN_SECONDS, newest_in
from ..storage.bytes import check_still_there, is_url, metadata_gone, split_inner
from ..storage.file_clock import FILE_CLOCK
from .differing_datasets import has_other_planes, is_smaller
from .filled_in_advance import RoomAhead
from .opened_at_path import (
    OpenedAtPath,
    counts_otherwise,
    grows_by_itself,
    is_another_dataset,
    is_cut_by_itself,
    is_half_written,
    is_more_of,
    place_of,
)
from .path_stamp import FoldersAbove, PathStamp, lacks_metadata, stamp_of, was_moved
from .planes_in_room import PlanesInRoom
from .source import AT_ONCE, AT_ONCE_REMOTE, OfPixels, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ..model import DatasetInfo, ImageInfo, LabelFacts, Level, PlaneKey, Region
    from .missing import Found
    from .source import SmallPlane

_Answer = TypeVar("_Answer")

_MAX_REPLACED = 4  # times that a dataset may be replaced during one call
_BARE_SECONDS = 2.0
"""For so long a folder may be without its metadata, as while they are written anew."""
_TRIED_AGAIN_SECONDS = 5.0
"""When what is on a server could not be opened to see whether it is another dataset."""


class ReplaceableSource(Source):
    """The source of whatever lies at a path; `DatasetInfo.generation` counts how often that was another.

    Looked at on `refresh`, and when a plane does not look like one of the dataset. No plane is handed out
    that was read from one dataset after another has become known.
    """

    def __init__(self, path: str, opened: Callable[[], Source]) -> None:
        """`opened` opens the dataset at `path`; called now, and whenever another one may lie there."""
        self._path = path
        self._file = None if is_url(path) else split_inner(path)[0]
        self._above = FoldersAbove(path)
        self._unopened: PathStamp | None = None  # of what cannot be opened there
        self._open_source = opened
        self._looking = threading.Lock()  # one look at a time; held while the disk is touched
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._closed = False
        self._is_bare = False  # whether the folder lacks its metadata
        self._bare_since: float | None = None
        self._doubted: float | None = (
            None  # when to see what lies on a server, if that may be another dataset
        )
        self._followed = False
        self._since_ns = time.time_ns()
        self._opened = self._open_now()
        self._of_source = self._info = self._opened.at_first

    @property
    def info(self) -> DatasetInfo:
        """As the source has it, with the number of the dataset that lies at the path."""
        with self._lock:
            info = self._opened.source.info  # known, not looked up
            if info is not self._of_source:
                # a file of which more is there may turn out to have other axes than its first pages
                is_shrunk = is_smaller(self._of_source, info)
                is_another = has_other_planes(self._of_source, info)
                self._learn(info, is_another=is_another or is_shrunk, is_completed=not is_another)
                if is_shrunk and not is_another:  # as long as it was it is not the one that was opened
                    self._opened = self._opened._replace(at_first=info)
            return self._info

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`."""
        least = AT_ONCE_REMOTE if is_url(self._path) else AT_ONCE
        return max(least, self._opened.source.reads_at_once)

    def _learn(self, info: DatasetInfo, *, is_another: bool, is_completed: bool = False) -> None:
        generation = self._info.generation + is_another
        is_completed = is_completed if is_another else self._info.is_completed
        self._of_source = info
        numbered = {"generation": generation, "is_completed": is_completed}
        self._info = dataclasses.replace(info, **numbered) if generation else info  # type: ignore[arg-type]

    @property
    def identity(self) -> str | None:
        """Same as the source's."""
        return self._opened.source.identity

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: self._read_plane(source, key, level), is_read=True)

    def _read_plane(self, source: Source, key: PlaneKey, level: int) -> np.ndarray:
        pixels = self._fitting(source.read_plane(key, level), key.p, level)
        RoomAhead(source, self._seen_since).check_written(key, level, pixels)
        return pixels

    @property
    def _seen_since(self) -> int | None:
        return FILE_CLOCK.at_ns(self._since_ns) if self._followed else None

    def _read_region(self, source: Source, key: PlaneKey, region: Region, level: int) -> np.ndarray:
        pixels = self._of_type(source.read_region(key, region, level), key.p)
        RoomAhead(source, self._seen_since).check_part(key, level, pixels)
        return pixels

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Same as the source's."""
        return self._of_one_dataset(
            lambda source: self._read_region(source, key, region, level), is_read=True
        )

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.tile_shape(p, level))

    def level_for(self, p: int, height: int, width: int) -> int:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.level_for(p, height, width))

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.plane_shape(key, level))

    def small_planes(self, keys: Sequence[PlaneKey], edge: int) -> list[SmallPlane | None]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.small_planes(keys, edge))

    def read_small_planes(
        self, planes: Sequence[SmallPlane], then: Callable[[np.ndarray], OfPixels]
    ) -> list[OfPixels | None]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.read_small_planes(planes, then), is_read=True)

    def image(self, p: int) -> ImageInfo:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.image(p))

    def look_at_all(self) -> DatasetInfo:
        """Same as the source's."""
        self._of_one_dataset(lambda source: source.look_at_all())
        return self.info

    def levels(self, p: int) -> tuple[Level, ...]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.levels(p))

    def labels(self, p: int) -> tuple[str, ...]:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.labels(p))

    def label_facts(self) -> LabelFacts:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.label_facts())

    def level_at(self, p: int, level: int) -> Level:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.level_at(p, level))

    def exists(self, key: PlaneKey) -> bool:
        """Same as the source's."""
        return self._of_one_dataset(lambda source: source.exists(key))

    def describe(self) -> dict[str, Any]:
        """Same as the source's."""
        return self._opened.source.describe()

    def refresh(self) -> DatasetInfo:
        """Look whether another dataset lies at the path; if not, as the source has it."""
        self._look()
        self._of_one_dataset(lambda source: source.refresh())
        self._look_if_doubted()
        return self.info

    def follow(self) -> None:
        """See `Source.follow`; whatever lies at the path from now on."""
        self._followed = True
        FILE_CLOCK.start_over()
        self._opened.source.follow()

    def was_just_written(self) -> bool:
        """See `Source.was_just_written`: by the newest file, as far as the times of folders lead to it."""
        if self._file is None or self._info.complete:
            return False
        since_ns = FILE_CLOCK.at_ns(self._since_ns)
        return FILE_CLOCK.age_at_s(newest_in(self._file), since_ns) < JUST_WRITTEN_SECONDS

    def look(self) -> DatasetInfo:
        """See `Source.look`; the same as `refresh` otherwise."""
        self._look()
        try:
            self._of_one_dataset(lambda source: source.look())
        except DatasetNotFoundError:
            self._check_metadata(are_away=True)
            raise
        self._look_if_doubted()
        self._check_metadata(are_away=self._is_bare)
        return self.info

    def _check_metadata(self, *, are_away: bool) -> None:
        """Raise `DatasetGoneError` if the metadata of the dataset are away, and have been at looks before.

        Who writes on into a folder that was moved or deleted makes it anew, without them; for a moment they
        are away while they are written anew.
        """
        now = time.monotonic()
        self._bare_since = (self._bare_since or now) if are_away else None
        if self._bare_since is not None and now - self._bare_since > _BARE_SECONDS and self._seen_at_path():
            raise metadata_gone(self._path)

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._opened.source.versions(keys, level)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._opened.source.versions_in_view(keys, level)

    def settling_s(self, key: PlaneKey, level: int = 0) -> float:
        """Same as the source's."""
        return self._opened.source.settling_s(key, level)

    @property
    def leaves_out_empty(self) -> bool:
        """Same as the source's."""
        return self._opened.source.leaves_out_empty

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """Same as the source's; None for what may be room in a file being written, or out of reach."""

        def asked(opened: OpenedAtPath) -> list[bool | None]:
            stored = opened.source.are_stored(keys)
            if False in stored and self._is_gone(opened):
                stored = [each or None for each in stored]
            return self._room(opened).are_stored(keys, stored)

        return self._of_open_one(asked)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """Same as the source's."""
        opened = self._opened
        is_stored = opened.source.look_up_stored(key)
        (is_stored,) = self._room(opened).are_stored([key], [is_stored])
        return None if is_stored is False and self._is_gone(opened) else is_stored

    def _room(self, opened: OpenedAtPath) -> RoomAhead:
        return RoomAhead(opened.source, self._seen_since, opened.blank)

    def _is_gone(self, opened: OpenedAtPath) -> bool:
        """Whether the dataset itself cannot be reached any more, so that nothing in it can be missing."""
        return self._file is not None and opened.stamp is not None and not os.path.exists(self._file)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """Same as the source's."""
        return self._opened.source.acquired_s(keys)

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """Same as the source's."""

        def asked(opened: OpenedAtPath) -> list[Found]:
            found = opened.source.missing_as(keys)
            return self._room(opened).missing_as(keys, found)

        return self._of_open_one(asked)

    @property
    def landmark(self) -> str | None:
        """Same as the source's."""
        return self._opened.source.landmark

    def close(self) -> None:
        """Close the source. Idempotent."""
        with self._lock:
            self._closed = True
            opened = self._opened
        if self._followed:
            FILE_CLOCK.start_over()
        opened.source.close()

    def _of_open_one(self, asked: Callable[[OpenedAtPath], _Answer]) -> _Answer:
        """What `asked` returns of a source that was not closed meanwhile, as its file was written."""
        for _ in range(_MAX_REPLACED):
            opened = self._opened
            answer = asked(opened)
            if self._opened is opened:
                break
        return answer

    # ---- another dataset -----------------------------------------------------------------------

    def _of_one_dataset(self, asked: Callable[[Source], _Answer], *, is_read: bool = False) -> _Answer:
        """What `asked` returns or raises of a dataset that lies at the path still when it is done.

        `is_read`: pixels, of which those of another one may look the same.
        """
        for _ in range(_MAX_REPLACED):
            opened = self._opened
            before = self._seen_at_path() if is_read else None
            exchanges = self._above.exchanges
            try:
                answer = asked(opened.source)
            except DatasetReplacedError as error:
                self._look(replaced=opened, is_reordered=isinstance(error, DatasetReorderedError))
                if self._opened is opened:
                    raise
            except Exception as error:
                if isinstance(error, DatasetError):
                    self._look()  # invalid data may belong to another dataset
                if self._opened is opened:
                    if isinstance(error, PlaneNotStoredError):
                        if self._is_gone(opened):
                            check_still_there(str(self._file))
                        if is_read and not self._is_of(opened, before, exchanges):
                            continue  # it may be stored in the one that was away
                    raise  # otherwise it failed because its source was closed, or read another dataset
            else:
                if is_read and not self._is_of(opened, before, exchanges):
                    continue
                if self._opened is opened:
                    return answer
        raise DatasetReplacedError(f"{self._path} keeps being replaced by other datasets")

    def _seen_at_path(self) -> os.stat_result | None:
        """What lies at the path on this machine, None if there is nothing; takes a microsecond."""
        if self._file is None:
            return None
        try:
            return os.stat(self._file)
        except (OSError, ValueError):
            return None

    def _is_of(self, opened: OpenedAtPath, before: os.stat_result | None, exchanges: int) -> bool:
        """Whether pixels that were just read are of the dataset that was opened.

        `before`, `exchanges`: what lay at the path then, and of the folders above how many had been seen.
        Looks for another dataset if another file or folder lies there. A folder is read by the names of files
        in it: pixels of one that was away for a moment, as its time of change tells, may be of another.
        Raises `DatasetGoneError` if it is away.
        """
        if self._file is None or opened.stamp is None:
            return True
        found = self._seen_at_path()
        has_same_way = self._above.look() == exchanges
        if found is None:  # of a file that is open, what can still be read counts
            if before is not None and stat.S_ISDIR(before.st_mode):
                check_still_there(self._file)
            return True
        is_folder = stat.S_ISDIR(found.st_mode)
        if (found.st_dev, found.st_ino) == opened.stamp.place[:2]:
            was_away = is_folder and (before is None or was_moved(before, found))
            return has_same_way and not was_away
        stamp = stamp_of(self._path, opened.source.landmark)
        if stamp is not None and stamp != self._unopened:
            self._look()
            if self._opened is opened and stamp == stamp_of(self._path, opened.source.landmark):
                self._unopened = stamp  # not tried again with every read
        return not is_folder

    def _fitting(self, pixels: np.ndarray, p: int, level: int) -> np.ndarray:
        """`pixels`, after a look at the disk if they are unlike what is known of their position."""
        image = self.info.image(p)
        if image.dtype not in (None, pixels.dtype) or (
            level == 0 and pixels.shape != (image.height, image.width)
        ):
            self._look()
        return pixels

    def _of_type(self, pixels: np.ndarray, p: int) -> np.ndarray:
        """The same for a part of a plane, which has a size of its own."""
        if self.info.image(p).dtype not in (None, pixels.dtype):
            self._look()
        return pixels

    def _look(self, replaced: OpenedAtPath | None = None, *, is_reordered: bool = False) -> None:
        """Open what lies at the path if it is another dataset, and close the one before.

        `replaced`: one whose source has found that out by itself. `is_reordered`: it is the same, in another
        order.
        """
        with self._looking:
            opened = self._opened
            if replaced is not None and opened is not replaced:
                return  # somebody was faster
            stamp = stamp_of(self._path, opened.source.landmark)
            self._is_bare = opened.stamp is not None and lacks_metadata(opened.stamp, stamp)
            if replaced is None and (stamp is None or stamp == opened.stamp):
                return
            is_same_place = replaced is None and stamp is not None and stamp.place == place_of(opened)
            if is_same_place and not self._is_bare and opened.source.has_only_grown():
                with self._lock:
                    self._opened = opened._replace(stamp=stamp)
                return
            try:
                fresh = self._open_now()
            except DatasetError:  # none, or not all of it yet; what cannot be read says so itself
                return
            is_cut = replaced is None and is_cut_by_itself(opened, fresh)
            is_another = replaced is not None or (not is_cut and is_another_dataset(opened, fresh))
            keeps = is_cut or (not is_another and grows_by_itself(opened, fresh))
            is_another |= not keeps and counts_otherwise(opened.source.info, fresh)
            if replaced is None and not keeps and is_half_written(opened, fresh):
                fresh.source.close()  # what can be found there without its metadata is not another dataset
                return
            with self._lock:
                if self._closed:
                    old = fresh
                elif keeps:
                    old, self._opened = fresh, opened._replace(stamp=fresh.stamp, at_first=fresh.at_first)
                else:
                    old, self._opened = opened, fresh
                    is_more = replaced is None and is_more_of(opened, fresh, self._path)
                    is_completed = is_reordered or is_more
                    self._learn(fresh.at_first, is_another=is_another, is_completed=is_completed)
            old.source.close()

    def _look_if_doubted(self) -> None:
        """Where only opening it tells, open what lies at the path; keep that if it is of another format."""
        with self._looking:
            opened, now = self._opened, time.monotonic()
            if opened.source.may_be_another():
                self._doubted = now
            if self._doubted is None or self._doubted > now:
                return
            try:
                fresh = self._open_now()
            except DatasetError:  # not all of it is there yet, or the server does not answer
                self._doubted = time.monotonic() + _TRIED_AGAIN_SECONDS
                return
            self._doubted = None
            with self._lock:
                is_another = not self._closed and fresh.at_first.format != opened.at_first.format
                if is_another:
                    self._opened = fresh
                    self._learn(fresh.at_first, is_another=True)
            (opened if is_another else fresh).source.close()

    def _open_now(self) -> OpenedAtPath:
        stamp = stamp_of(self._path, None)  # before: what changes meanwhile is looked at again
        source = self._open_source()
        if source.landmark is not None:
            stamp = stamp_of(self._path, source.landmark)
        if self._followed:
            source.follow()
        return OpenedAtPath(source, stamp, source.info, PlanesInRoom(source))
