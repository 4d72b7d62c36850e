"""The statistics of a dataset's planes as far as they are known: in memory, and on disk for the next time."""

from __future__ import annotations

import math
import os
import struct
import threading
import time
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ..model import PlaneKey, PlaneStatistics, channel_name, find_channel
from ..storage.disk_cache import default_folder
from ..storage.statistics_database import KeptRecord, StatisticsDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..model import DatasetInfo
    from ..sources import Source

MOST_IN_MEMORY = 100_000
"""In planes, about 60 MB. Beyond that, those noted first are forgotten, but stay on disk."""

_FORM = struct.Struct("<qq7dq?")
_FLUSH_PLANES, _FLUSH_SECONDS = 256, 2.0
_STORED_BATCH = 512  # planes whose stamps are asked for together
_UNSETTLED = "~"  # in a version: the file had just been written


class StampedNumbers(NamedTuple):
    """The statistics of one plane, and the stamp (`Source.stamps`) of what was measured."""

    stamp: str | None
    statistics: PlaneStatistics


class KnownStatistics:
    """Statistics of planes of level 0, by key. Any thread.

    `database`: where they are kept, None for memory only. What has no stamp, or one that may still change, is
    not kept.
    """

    def __init__(self, known: Callable[[], DatasetInfo], database: StatisticsDatabase | None = None) -> None:
        self._info = known
        self._database = database
        self._flushed = time.monotonic()
        self._begin_empty()
        _all_known.add(self)

    def _begin_empty(self) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._statistics: OrderedDict[PlaneKey, StampedNumbers] = OrderedDict()
        self._unkept: dict[PlaneKey, StampedNumbers] = {}
        self._begun: dict[object, PlaneKey] = {}  # planes that are being measured
        self._changes = 0
        self._highest: dict[int, float] = {}
        self._acquired: dict[PlaneKey, float] = {}

    def highest(self, c: int) -> float:
        """The highest value in any plane of channel `c` so far, which tells the detector's depth. No lock."""
        return self._highest.get(c, 0.0)

    @property
    def changes(self) -> int:
        """Counts what is noted or forgotten: as long as it is the same, so are all statistics. No lock."""
        return self._changes

    def __len__(self) -> int:
        return len(self._statistics)

    def get(self, key: PlaneKey) -> PlaneStatistics | None:
        """Those of a plane as it was read last; None if it was not, or was written since. No lock."""
        found = self._statistics.get(key)
        return None if found is None else found.statistics

    def stamped(self, key: PlaneKey) -> StampedNumbers | None:
        """The same with the stamp of what was measured. No lock."""
        return self._statistics.get(key)

    def acquired_s(self, key: PlaneKey) -> float:
        """When a plane was acquired, in s since the run began; NaN if it is not known. No lock."""
        return self._acquired.get(key, math.nan)

    def is_time_known(self, key: PlaneKey) -> bool:
        """Whether that was looked up, and found. No lock."""
        return key in self._acquired

    def note_times(self, times: Mapping[PlaneKey, float]) -> None:
        """Planes were acquired then."""
        if times:
            with self._lock:
                self._acquired.update(times)
                self._changes += 1

    def begin(self, key: PlaneKey) -> object:
        """A plane is about to be read and measured: if it is written meanwhile, its statistics are not noted.

        Returns what `note` and `end` take.
        """
        begun = object()
        with self._lock:
            self._begun[begun] = key
        return begun

    def end(self, begun: object) -> None:
        """It was noted, or could not be read."""
        with self._lock:
            self._begun.pop(begun, None)

    def note(self, key: PlaneKey, stamp: str | None, statistics: PlaneStatistics, begun: object) -> None:
        """A plane was measured. Writes to disk now and then, so not for a GUI thread."""
        found = StampedNumbers(stamp, statistics)
        now = time.monotonic()
        with self._lock:
            if self._begun.pop(begun, None) is None:
                return
            self._put(key, found)
            if self._database is not None and stamp is not None and _UNSETTLED not in stamp:
                self._unkept[key] = found
            is_due = len(self._unkept) >= _FLUSH_PLANES or now - self._flushed > _FLUSH_SECONDS
        if is_due:
            self.flush()

    def take(self, key: PlaneKey, found: StampedNumbers) -> None:
        """The statistics of a plane that were on disk, and still hold."""
        with self._lock:
            if key not in self._statistics:
                self._put(key, found)

    def take_measured(self, key: PlaneKey, stamp: str | None, statistics: PlaneStatistics | None) -> None:
        """A plane was measured in another process; None if its statistics still hold. Like `note`."""
        if statistics is not None and stamp is not None:
            self.note(key, stamp, statistics, self.begin(key))

    def _put(self, key: PlaneKey, found: StampedNumbers) -> None:
        self._statistics[key] = found
        self._statistics.move_to_end(key)
        if found.statistics.high > self._highest.get(key.c, 0.0):
            self._highest[key.c] = found.statistics.high
        while len(self._statistics) > MOST_IN_MEMORY:
            self._statistics.popitem(last=False)
        self._changes += 1

    def forget(self, keys: Collection[tuple[int, int, int, int]]) -> None:
        """These planes were written: their statistics are those of what was there before. Calls nothing."""
        if not self._statistics and not self._begun:
            return
        with self._lock:
            for begun in [begun for begun, key in self._begun.items() if key in keys]:
                del self._begun[begun]
            gone = [key for key in map(PlaneKey._make, keys) if self._statistics.pop(key, None) is not None]
            for key in gone:
                self._unkept.pop(key, None)
            self._changes += bool(gone)

    def clear(self, *, only_without_stamp: bool = False) -> None:
        """Forget all statistics in memory, or those of which nothing tells whether they still hold."""
        with self._lock:
            self._begun.clear()
            if only_without_stamp:
                for key in [key for key, found in self._statistics.items() if found.stamp is None]:
                    del self._statistics[key]
            else:
                self._statistics.clear()
                self._unkept.clear()
                self._highest.clear()
                self._acquired.clear()
            self._changes += 1

    # ---- on disk ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Write to disk what is not there yet."""
        with self._lock:
            rows, self._unkept = self._unkept, {}
            self._flushed = time.monotonic()
        if self._database is not None and rows:
            info = self._info()
            self._database.put(
                KeptRecord(_address(info, key), found.stamp or "", _packed(found.statistics))
                for key, found in rows.items()
            )

    def kept(self) -> dict[PlaneKey, StampedNumbers]:
        """What is on disk, of planes that the dataset has; the stamps must be compared. Blocks on disk."""
        if self._database is None:
            return {}
        self.flush()
        info = self._info()
        found: dict[PlaneKey, StampedNumbers] = {}
        for record in self._database.get_all():
            key, statistics = _key(info, record.address), _unpacked(record.data)
            if key is not None and statistics is not None and info.contains(key):
                found[key] = StampedNumbers(record.stamp, statistics)
        return found

    def recall(self, source: Source, cancelled: Callable[[], bool] = lambda: False) -> int:
        """Take from disk what still holds, of planes of which nothing is known; returns of how many.

        Looks at the stamps of planes, reads none. Blocks on disk or network; raises what `source` raises.
        """
        kept = self.kept()
        keys = [key for key in kept if key not in self._statistics][-MOST_IN_MEMORY:]
        n = 0
        for start in range(0, len(keys), _STORED_BATCH):
            if cancelled():
                break
            batch = keys[start : start + _STORED_BATCH]
            held = [
                key
                for key, stamp in zip(batch, source.stamps(batch), strict=True)
                if stamp is not None and stamp == kept[key].stamp
            ]
            for key in held:
                self.take(key, kept[key])
            n += len(held)
        return n

    def close(self) -> None:
        """Write what is not on disk yet, and release the file."""
        self.flush()
        if self._database is not None:
            self._database.close()


def database_of(path: str, options: Mapping[str, str]) -> StatisticsDatabase | None:
    """Where the statistics of a dataset are kept: below ``cache_dir``, or the system's folder for caches.

    None for a dataset without a path, and with ``disk_cache`` "no".
    """
    if not path or options.get("disk_cache") == "no":
        return None
    understood = [f"{name}={options[name]}" for name in ("format", "pattern", "axes") if name in options]
    folder = os.path.join(options.get("cache_dir") or default_folder(), "numbers")
    return StatisticsDatabase(folder, "\n".join((path, *understood)))


def _address(info: DatasetInfo, key: PlaneKey) -> str:
    """`key` as every program has it: the index of a channel depends on which positions were looked at."""
    name, nth = channel_name(info.channels, key.c) if key.c < len(info.channels) else ("", key.c)
    return f"{key.t} {key.p} {key.z} {nth} {name}"


def _key(info: DatasetInfo, address: str) -> PlaneKey | None:
    parts: Sequence[str] = address.split(" ", 4)
    try:
        t, p, z, nth = map(int, parts[:4])
        c = find_channel(info.channels, parts[4], nth)
    except (ValueError, IndexError):
        return None
    return None if c is None else PlaneKey(t, p, c, z)


def _packed(statistics: PlaneStatistics) -> bytes:
    return _FORM.pack(*statistics)


def _unpacked(data: bytes) -> PlaneStatistics | None:
    return PlaneStatistics(*_FORM.unpack(data)) if len(data) == _FORM.size else None


_all_known: weakref.WeakSet[KnownStatistics] = weakref.WeakSet()


def _after_fork() -> None:
    """For a forked process: a lock that was held will never be released."""
    for known in list(_all_known):
        known._begin_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
