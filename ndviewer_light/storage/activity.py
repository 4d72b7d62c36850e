"""Whether somebody is writing: files and folders that have changed since they were first looked at."""

from __future__ import annotations

import os
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ..model import natural_key

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_SECONDS = 60.0
"""What has not changed for so long is not being written any more."""

_MAX_NAMES = 10_000
_MAX_TIMES = 256
"""How many entries of a folder are asked for their time; of more than these, only the last one by name."""
_MAX_DEPTH = 10


class Activity:
    """Watches one thing on disk, whenever asked; `look` returns something that changes when it is written.

    What was written before is none of its business: a dataset that was finished a second ago and one that
    was interrupted a second ago look alike, but only a running one goes on changing. Any thread.
    """

    def __init__(self, look: Callable[[], object] | None) -> None:
        """`look` is called now, and by `is_on`; None: it never changes (a server, an archive)."""
        self._look = look
        self._last = look() if look is not None else None
        self._noticed = float("-inf")

    def is_on(self) -> bool:
        """Whether a change was noticed in the last minute; blocks on disk."""
        if self._look is None:
            return False
        found, now = self._look(), time.monotonic()
        if found != self._last:
            self._last, self._noticed = found, now
        return now - self._noticed < QUIET_SECONDS


_shared: WeakValueDictionary[str, Activity] = WeakValueDictionary()
_lock = threading.Lock()


def activity_of(path: str, look: Callable[[], object]) -> Activity:
    """The activity at a local path, one for all that have it open: a dataset may be opened anew meanwhile.

    `look` as for `Activity`.
    """
    with _lock:
        found = _shared.get(path)
    if found is not None:
        return found
    new = Activity(look)
    with _lock:
        return _shared.setdefault(path, new)


def newest_change(folder: str) -> int:
    """The time (ns) of the newest change below a folder of chunks; 0 if it is not there.

    Follows the newest entry downwards: writers create files and folders in order, and each new entry changes
    the time of the folder it is in. Costs a few listings at any number of chunks. Never raises.
    """
    newest = 0
    for _ in range(_MAX_DEPTH):
        try:
            newest = max(newest, os.stat(folder).st_mtime_ns)
            with os.scandir(folder) as entries:
                found = list(islice(entries, _MAX_NAMES + 1))
            if len(found) > _MAX_NAMES:
                return newest
            if len(found) > _MAX_TIMES:
                found = [max(found, key=lambda entry: natural_key(entry.name))]
            times = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.path, entry) for entry in found]
            folders = [each for each in times if each[2].is_dir(follow_symlinks=False)]
        except (OSError, ValueError):  # also where an entry has disappeared meanwhile
            return newest
        newest = max([newest, *(changed for changed, _, _ in times)])
        if not folders:
            return newest
        folder = max(folders, key=lambda each: each[:2])[1]
    return newest
