"""What time it is by the clock that stamps files: that of a share may be minutes ahead of ours, or behind.

How long ago a file was written says whether more of it may come. A share does not tell what time it has; but
a file that is looked at again and again, and has changed, was written in between.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST_BETWEEN_NS = 60 * 10**9
"""So far apart two looks may be to tell when something was written."""
_ALIKE_NS = 2 * 10**9
"""Clocks that differ by less are taken to be one: times of files may be whole seconds, or two."""
_TICK_NS = 10**7
"""A file is dated by the last tick of the system's clock, of which there are 100 to 1,000 a second."""
_BEING_WRITTEN_SECONDS = 30.0
"""A file modified so recently may still be written: what is missing in it is no damage."""
_MAX_FILES_TIMED = 4096
_MAX_AHEAD = 64


class FileClock:
    """The clock by which files are written that one looks at. Any thread; no lock, as it is only a hint."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[int, int]] = {}  # when it was changed, and when that was seen
        self._behind_ns = 0  # how much later ours is
        self._ahead: list[tuple[int, float]] = []  # times to come, ascending, and when each was first seen

    def note(self, file: Hashable, changed_ns: int) -> None:
        """A file was looked at, which was changed at `changed_ns` by its own clock (ns since 1970)."""
        now = time.time_ns()
        before = self._seen.get(file)
        if before is None and len(self._seen) >= _MAX_FILES_TIMED:
            self._seen.clear()
        self._seen[file] = changed_ns, now
        if before is None or changed_ns <= before[0] or now - before[1] > _MOST_BETWEEN_NS:
            return
        late = now - changed_ns
        is_one_clock = -_ALIKE_NS <= late <= now - before[1] + _ALIKE_NS
        self._behind_ns = 0 if is_one_clock else late

    def age_s(self, changed_ns: int) -> float:
        """How long ago (s) something was written whose file says `changed_ns`.

        Of a time that is still to come by that clock, as of files that were copied from a machine whose clock
        is wrong by hours: how long ago one that says as much or more was first seen.
        """
        late_ns = self.now_ns() - changed_ns
        if late_ns >= -_ALIKE_NS:
            return late_ns / 1e9
        ahead, now = self._ahead, time.monotonic()
        at = bisect_left(ahead, (changed_ns, float("-inf")))
        if at < len(ahead):
            return now - ahead[at][1]
        self._ahead = [*ahead[-_MAX_AHEAD:], (changed_ns, now)]
        return 0.0

    def age_at_s(self, changed_ns: int, at_ns: int) -> float:
        """The same as of an earlier moment by this clock; negative of what was written since."""
        return self.age_s(changed_ns) - (self.now_ns() - at_ns) / 1e9

    def start_over(self) -> None:
        """From now on other files are followed, perhaps elsewhere: their clock is ours until they tell."""
        self._behind_ns = 0
        self._ahead = []

    def now_ns(self) -> int:
        """The time by that clock, as far as it is known; else ours."""
        return self.at_ns(time.time_ns())

    def at_ns(self, ours_ns: int) -> int:
        """What a moment of ours (`time.time_ns`) is by that clock, as far as it is known now.

        Moments are to be kept by ours: what is known of that clock changes, and may be of another dataset.
        """
        return ours_ns - self._behind_ns


FILE_CLOCK = FileClock()
"""Of the files that this process follows: those that were seen to be written last tell."""


def from_now_on_ns() -> int:
    """The earliest that a file may be dated that is written from now on, by our clock (`time.time_ns`)."""
    return time.time_ns() - _TICK_NS


def is_being_written(path: str) -> bool:
    """Whether a local file was modified so recently that its writer may not have finished."""
    try:
        return FILE_CLOCK.age_s(os.stat(path).st_mtime_ns) < _BEING_WRITTEN_SECONDS
    except OSError:
        return False
