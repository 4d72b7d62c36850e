"""The folders and links that lead to a local path: whether one of them was another, also for a moment."""

from __future__ import annotations

import os
import stat
import threading

from ..storage.bytes import is_url, split_inner
from .path_stamp import was_moved


class FoldersAbove:
    """The folders and links that lead to a local path: how often one of them was another, also for a moment.

    What lies in a folder that is moved away and back keeps all its times: only that folder tells.
    """

    def __init__(self, path: str) -> None:
        self._paths = [] if is_url(path) or os.name == "nt" else _leading_to(split_inner(path)[0])
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._found = [_lstat(each) for each in self._paths]
        self._changed: list[tuple[int, int, int] | None] = []  # of what was found: equal if nothing is new
        self._exchanges = 0

    @property
    def exchanges(self) -> int:
        """How many have been seen; does not look."""
        return self._exchanges

    def look(self) -> int:
        """How many have been seen, after a look at each; of these the system knows the times already.

        Each caller looks for itself: waiting for the look of another and then for one's own takes longer.
        """
        found = [_lstat(each) for each in self._paths]
        changed = [each and (each.st_dev, each.st_ino, each.st_ctime_ns) for each in found]
        if changed == self._changed:  # every change sets that time
            return self._exchanges
        with self._lock:
            pairs = list(zip(self._found, found, strict=True))
            self._found = [after or before for before, after in pairs]
            self._exchanges += any(before and after and _is_other(before, after) for before, after in pairs)
            self._changed = changed  # last: who finds it unchanged takes the number without the lock
            return self._exchanges


def _leading_to(path: str) -> list[str]:
    """What may be exchanged on the way to a path: folders, except those that are mounted, and links."""
    named, real = os.path.abspath(path), os.path.realpath(path)
    above = {named} if os.path.islink(named) else set()
    for each in (named, real):
        while (folder := os.path.dirname(each)) != each:
            above.add(folder)
            each = folder
    return sorted(each for each in above if not os.path.ismount(each))


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def _is_other(before: os.stat_result, after: os.stat_result) -> bool:
    is_link = stat.S_ISLNK(after.st_mode)  # nothing is ever written into one
    return was_moved(before, after) or (is_link and before.st_ctime_ns != after.st_ctime_ns)
