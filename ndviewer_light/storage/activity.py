"""Whether somebody is writing: files and folders that have changed since they were first looked at."""

from __future__ import annotations

import os
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ..model import natural_key
from .file_clock import FILE_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_SECONDS = 60.0
"""What has not changed for so long is not being written any more."""

JUST_WRITTEN_SECONDS = 5.0
"""Of what was written so lately more may come: other planes of the same chunk, array or file."""

PART_SECONDS = 2.0
"""A plane with missing chunks is complete when none of the others has been written for so long."""

_MAX_NAMES_LISTED = 10_000
_MAX_TIMES_KEPT = 256
"""How many entries of a folder are asked for their time; of more than these, only the last one by name."""
_MAX_FOLDER_DEPTH = 10


class Activity:
    """Watches one thing on disk, whenever asked; `look` returns something that changes when it is written.

    What was written before does not count: a dataset that was finished a second ago and one that
    was interrupted a second ago look alike, but only a running one goes on changing. Any thread.
    """

    def __init__(self, look: Callable[[], object] | None, since_ns: int | None = None) -> None:
        """`look` is called now, and by `is_on`; None: it never changes (a server, an archive).

        Numbers that it returns count as a change only if they are larger than before: see `newest_write`. The
        first one counts as well if it is a time after `since_ns`, when the dataset was opened by our clock.
        """
        self._look = look
        self._last = look() if look is not None else None
        self._noticed = float("-inf")
        if since_ns is not None and isinstance(self._last, int):
            now_ns = FILE_CLOCK.now_ns()
            is_since = FILE_CLOCK.at_ns(since_ns) < self._last <= now_ns  # a time to come tells nothing
            self._noticed = time.monotonic() - (now_ns - self._last) / 1e9 if is_since else self._noticed

    def is_on(self) -> bool:
        """Whether a change was noticed in the last minute; blocks on disk."""
        if self._look is None:
            return False
        found, now = self._look(), time.monotonic()
        is_less = isinstance(found, int) and isinstance(self._last, int) and found < self._last
        if found != self._last and not is_less:
            self._last, self._noticed = found, now
        return now - self._noticed < QUIET_SECONDS


_shared: WeakValueDictionary[str, Activity] = WeakValueDictionary()
_lock = threading.Lock()


def activity_of(path: str, look: Callable[[], object], since_ns: int | None = None) -> Activity:
    """The activity at a local path, one for all that have it open: a dataset may be opened anew meanwhile.

    `look` and `since_ns` as for `Activity`.
    """
    with _lock:
        found = _shared.get(path)
    if found is not None:
        return found
    new = Activity(look, since_ns)
    with _lock:
        return _shared.setdefault(path, new)


def newest_change(folder: str) -> int:
    """The time (ns) of the newest change below a folder of chunks; 0 if it is not there.

    Follows the newest entry downwards: writers create files and folders in order, and each new entry changes
    the time of the folder it is in. Costs a few listings at any number of chunks. Never raises.
    """
    return max(_newest(folder))


def newest_write(folder: str) -> int:
    """The time (ns) of the newest file that `newest_change` comes by; 0 if there is none.

    Unlike that of a folder it is never newer because something was removed.
    """
    return _newest(folder)[0]


def newest_in(path: str) -> int:
    """The time (ns) at which a file was changed, or `newest_write` in a folder; 0 if it is not there."""
    try:
        return newest_write(path) if os.path.isdir(path) else os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def _newest(folder: str) -> tuple[int, int]:
    """The times (ns) of the newest file and folder."""
    newest_file = newest_folder = 0
    for _ in range(_MAX_FOLDER_DEPTH):
        try:
            own = os.stat(folder).st_mtime_ns
            newest_folder = max(newest_folder, own)
            with os.scandir(folder) as entries:
                found = list(islice(entries, _MAX_NAMES_LISTED + 1))
            if len(found) > _MAX_NAMES_LISTED:
                return max(newest_file, own), newest_folder
            if len(found) > _MAX_TIMES_KEPT:
                found = [max(found, key=lambda entry: natural_key(entry.name))]
            times = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.path, entry) for entry in found]
            folders = [each[:2] for each in times if each[2].is_dir(follow_symlinks=False)]
        except (OSError, ValueError):  # also where an entry has disappeared meanwhile
            return newest_file, newest_folder
        of_files = (each[0] for each in times if not each[2].is_dir(follow_symlinks=False))
        newest_file = max([newest_file, *of_files])
        newest_folder = max([newest_folder, *(changed for changed, _ in folders)])
        if not folders:
            break
        folder = max(folders)[1]
    return newest_file, newest_folder
