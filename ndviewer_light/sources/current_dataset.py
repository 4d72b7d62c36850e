"""The dataset that lies at a path now: another one is opened when it has taken its place, and counted.

A dataset that grows stays itself. It is another one if its planes have another size or dtype, if it has fewer
planes or other channels than at first, or if its file or folder is another one and it has not grown.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..storage.file_clock import FILE_CLOCK, from_now_on_ns
from .differing_datasets import has_other_planes, is_smaller
from .opened_at_path import (
    OpenedAtPath,
    counts_otherwise,
    grows_by_itself,
    is_another_dataset,
    is_cut_by_itself,
    is_half_written,
    is_more_of,
    is_remainder,
    place_of,
)
from .path_stamp import PathStamp, lacks_metadata, stamp_of
from .planes_in_room import PlanesInRoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import DatasetInfo
    from .source import Source

_OPENED_AGAIN = 4
"""How often what lies at a path is opened that is another file or folder each time once it is open."""
_TRIED_AGAIN_SECONDS = 5.0
"""When what is on a server could not be opened to see whether it is another dataset."""


class CurrentDataset:
    """The dataset that lies at a path, opened, as of the last look; counts how often that was another one.

    Any thread. Who asks its source compares `opened` afterwards: it is another object then if another
    dataset has taken its place.
    """

    def __init__(self, path: str, open_source: Callable[[], Source]) -> None:
        """`open_source` opens the dataset at `path`; called now, and whenever another one may lie there."""
        self._path = path
        self._open_source = open_source
        self._unopened: PathStamp | None = None  # of what cannot be opened there
        self._looking = threading.Lock()  # one look at a time; held while the disk is touched
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._closed = False
        self._is_bare = False  # whether the folder lacks its metadata
        self._doubted: float | None = (
            None  # when to see what lies on a server, if that may be another dataset
        )
        self._followed = False
        self._since_ns = from_now_on_ns()
        self._opened = self._open_now()
        self._of_source = self._info = self._opened.at_first

    @property
    def opened(self) -> OpenedAtPath:
        """What was opened last; does not look."""
        return self._opened

    @property
    def is_bare(self) -> bool:
        """Whether its folder lacked its metadata at the last look."""
        return self._is_bare

    @property
    def since_ns(self) -> int:
        """When the first one was opened, by the clock of the files."""
        return FILE_CLOCK.at_ns(self._since_ns)

    @property
    def followed_since_ns(self) -> int | None:
        """The same if it is followed."""
        return self.since_ns if self._followed else None

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

    def _learn(self, info: DatasetInfo, *, is_another: bool, is_completed: bool = False) -> None:
        generation = self._info.generation + is_another
        is_completed = is_completed if is_another else self._info.is_completed
        self._of_source = info
        numbered = {"generation": generation, "is_completed": is_completed}
        self._info = dataclasses.replace(info, **numbered) if generation else info  # type: ignore[arg-type]

    def follow(self) -> None:
        """See `Source.follow`; whatever lies at the path from now on."""
        self._followed = True
        FILE_CLOCK.start_over()
        self._opened.source.follow()

    def look(self, replaced: OpenedAtPath | None = None, *, is_reordered: bool = False) -> None:
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
            if replaced is None and is_remainder(opened, fresh, stamp_of(self._path, None)):
                fresh.source.close()  # it is looked at again
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

    def look_at_other(self, opened: OpenedAtPath) -> None:
        """`look`, where another file or folder than that of `opened` lies.

        What could not be opened there is not tried again until it has changed.
        """
        stamp = stamp_of(self._path, opened.source.landmark)
        if stamp is not None and stamp != self._unopened:
            self.look()
            if self._opened is opened and stamp == stamp_of(self._path, opened.source.landmark):
                self._unopened = stamp

    def look_if_doubted(self) -> None:
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

    def close(self) -> None:
        """Close the source; no other is kept from now on. Idempotent."""
        with self._lock:
            self._closed = True
            opened = self._opened
        if self._followed:
            FILE_CLOCK.start_over()
        opened.source.close()

    def _open_now(self) -> OpenedAtPath:
        for n_left in reversed(range(_OPENED_AGAIN)):
            stamp = stamp_of(self._path, None)  # before: what changes meanwhile is looked at again
            source = self._open_source()
            now = stamp_of(self._path, None)
            is_same_place = now is None or (stamp is not None and now.place == stamp.place)
            if is_same_place and (stamp is None or now is None or not lacks_metadata(now, stamp)):
                break
            # written anew meanwhile: it may be of what lay there before, or lies there now
            if not n_left:
                stamp = stamp if is_same_place or now is None else now._replace(place=None)
                break
            source.close()
        if source.landmark is not None:
            stamp = stamp_of(self._path, source.landmark)
        if self._followed:
            source.follow()
        return OpenedAtPath(source, stamp, source.info, PlanesInRoom(source))
