"""By what a file or folder is told from another one at the same path, without opening it."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import NamedTuple

from ..storage.bytes import is_url, split_inner
from ..storage.file_versions import birth_ns

_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")


class PathStamp(NamedTuple):
    """What a file or folder can be told by without opening it."""

    place: tuple[int, int, int]  # device, inode, and when that was created
    versions: tuple[tuple[int, int, int], ...]  # inode, size, time of change: of itself and its metadata


def stamp_of(path: str, landmark: str | None) -> PathStamp | None:
    """The stamp of what lies at a local path, None on a server or where there is nothing.

    With a `landmark`, files may come and go in a folder: that one stays as it is.
    """
    if is_url(path):
        return None
    path = split_inner(path)[0]
    try:
        itself = os.stat(path)
    except (OSError, ValueError):
        return None
    versions = []
    for file in [landmark] if landmark else [path, *(os.path.join(path, name) for name in _METADATA)]:
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(file)
            versions.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return PathStamp((itself.st_dev, itself.st_ino, birth_ns(path)), tuple(versions))


def lacks_metadata(before: PathStamp, now: PathStamp | None) -> bool:
    """Whether metadata files lay in a folder when it was opened, and none does now."""
    return len(before.versions) > 1 and (now is None or len(now.versions) == 1)


def was_moved(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a folder was moved away and back, or is another one, and not only written to, meanwhile."""
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        return True
    return before.st_ctime_ns != after.st_ctime_ns and before.st_mtime_ns == after.st_mtime_ns


class FoldersAbove:
    """The folders and links that lead to a local path: how often one of them was another, also for a moment.

    What lies in a folder that is moved away and back keeps all its times: only that folder tells.
    """

    def __init__(self, path: str) -> None:
        self._paths = [] if is_url(path) or os.name == "nt" else _leading_to(split_inner(path)[0])
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._found = [_lstat(each) for each in self._paths]
        self._exchanges = 0

    @property
    def exchanges(self) -> int:
        """How many have been seen; does not look."""
        return self._exchanges

    def look(self) -> int:
        """How many have been seen, after a look at each; of these the system knows the times already."""
        found = [_lstat(each) for each in self._paths]
        with self._lock:
            pairs = list(zip(self._found, found, strict=True))
            self._found = [after or before for before, after in pairs]
            self._exchanges += any(before and after and _is_other(before, after) for before, after in pairs)
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
