"""By what a file or folder is told from another one at the same path, without opening it."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..storage.asked_together import asked_together
from ..storage.bytes import is_url, split_inner
from ..storage.file_versions import birth_ns

_NEWEST = "zarr.json"
_OLDER = (".zattrs", ".zgroup", ".zarray", ".zmetadata")


class PathStamp(NamedTuple):
    """What a file or folder can be told by without opening it."""

    place: tuple[int, int, int] | None  # device, inode, and when that was created; None: not known which
    versions: tuple[tuple[int, int, int], ...]  # inode, size, time of change: of itself and its metadata


def stamp_of(path: str, landmark: str | None) -> PathStamp | None:
    """The stamp of what lies at a local path, None on a server or where there is nothing.

    With a `landmark`, files may come and go in a folder: that one stays as it is.
    """
    if is_url(path):
        return None
    path = split_inner(path)[0]
    itself = _stat(path)
    if itself is None:
        return None
    found = [_stat(landmark)] if landmark else [itself, *_metadata_in(path)]
    versions = tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found if each is not None)
    return PathStamp((itself.st_dev, itself.st_ino, birth_ns(path)), versions)


def _metadata_in(folder: str) -> list[os.stat_result | None]:
    """What is said of the metadata files in a folder; beside Zarr's of version 3 others do not count."""
    newest = _stat(os.path.join(folder, _NEWEST))
    if newest is not None:
        return [newest]
    return asked_together(_stat, [os.path.join(folder, name) for name in _OLDER])


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def lacks_metadata(before: PathStamp, now: PathStamp | None) -> bool:
    """Whether metadata files lay in a folder when it was opened, and none does now."""
    return len(before.versions) > 1 and (now is None or len(now.versions) == 1)


def was_moved(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a folder was moved away and back, or is another one, and not only written to, meanwhile."""
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        return True
    return before.st_ctime_ns != after.st_ctime_ns and before.st_mtime_ns == after.st_mtime_ns
