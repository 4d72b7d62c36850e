"""By what a file or folder is told from another one at the same path, without opening it."""

from __future__ import annotations

import contextlib
import os
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
