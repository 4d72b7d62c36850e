"""What a file or folder can be told by without opening it: something that changes whenever it is written."""

from __future__ import annotations

import functools
import os
import struct
from typing import TYPE_CHECKING, cast

from .file_clock import FILE_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_UNSETTLED_NS = 50_000_000
"""A file changed so recently may be changed again within the same tick of the file system's clock."""
_COARSE_NS = 2_000_000_000
"""The same where times are whole seconds: some shares, FAT."""

_WRITTEN_ON_NS = 500_000_000
"""If one of several files was changed so recently, the others may be about to be."""

_STATX_BTIME, _AT_FDCWD = 0x800, -100
_BIRTH_AT = 80
"""Where seconds and nanoseconds are in the reply of Linux; its first bytes say whether they are there."""

NOTHING = "-"
"""The version of a path at which there is nothing."""


def version_of(path: str) -> str:
    """The version of the file or folder at a local path. Never raises; blocks on disk.

    A folder's changes when entries are added, removed or renamed. That of a file written within the last
    50 ms (2 s where times are whole seconds) is never twice the same, as the next write may leave the same
    times.
    """
    found = status_of(path)
    return NOTHING if found is None else version_in(found)


def status_of(path: str) -> os.stat_result | None:
    """What the system says of the file or folder at a local path, None if it says nothing; blocks on disk."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    FILE_CLOCK.note(path, found.st_mtime_ns)
    return found


def birth_ns(path: str) -> int:
    """When what lies at a local path was created (ns since 1970); 0 where the system does not say.

    The number of a file that is gone is given to the next one soon: this tells the two apart.
    """
    import ctypes  # here, as starting takes long enough

    try:
        found = os.stat(path)
        if (seconds := getattr(found, "st_birthtime", None)) is not None:
            return int(seconds * 1e9)
        answer = ctypes.create_string_buffer(256)
        if _statx()(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, answer):
            return 0
    except (OSError, ValueError, AttributeError):
        return 0
    (mask,) = struct.unpack_from("=I", answer)
    whole, rest = struct.unpack_from("=qI", answer, _BIRTH_AT)
    return int(whole) * 1_000_000_000 + int(rest) if mask & _STATX_BTIME else 0


@functools.cache
def _statx() -> Callable[..., int]:
    import ctypes

    function = ctypes.CDLL(None).statx  # Python offers no other way
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p]
    return cast("Callable[..., int]", function)


def version_in(found: os.stat_result) -> str:
    """The version of the file or folder that the system says this of."""
    version = f"{found.st_mtime_ns}.{found.st_size}.{found.st_ino}"
    now = FILE_CLOCK.now_ns()
    tick = _UNSETTLED_NS if found.st_mtime_ns % 1_000_000_000 else _COARSE_NS
    return version if abs(now - found.st_mtime_ns) > tick else f"{version}~{now}"


def is_nothing(version: str) -> bool:
    """Whether a version, of one or several paths, says that there is nothing at any of them."""
    return all(part == NOTHING for part in version.split())


def parts_there(version: str) -> tuple[int, int]:
    """Of how many paths a version is at which there is something, and of how many in all."""
    parts = version.split()
    return sum(part != NOTHING for part in parts), len(parts)


def settled(version: str) -> str:
    """A version that is the same for the same state of the same files, however recently they were changed."""
    return " ".join(part.partition("~")[0] for part in version.split())


def changed_ns(version: str) -> int:
    """When the newest of the files that a version is of was changed (ns since 1970); 0 if it does not say."""
    times = (part.partition(".")[0] for part in version.split() if part != NOTHING)
    return max((int(each) for each in times if each.isdecimal()), default=0)


def is_in_parts(before: str, version: str, now_ns: int) -> bool:
    """Whether of several files some have just been written again and others are as they were `before`.

    That is what a plane looks like while its chunks are written again one after another.
    """
    old, new = settled(before).split(), settled(version).split()
    if len(new) < 2 or len(old) != len(new) or NOTHING in old:
        return False
    n_same = sum(a == b for a, b in zip(old, new, strict=True))
    return 0 < n_same < len(new) and abs(now_ns - changed_ns(version)) < _WRITTEN_ON_NS


def versions_of(paths: Iterable[str]) -> str:
    """The versions of several paths, as one text."""
    return " ".join(map(version_of, paths))


def newest_ns(paths: Iterable[str]) -> int:
    """When the newest of some files was changed (ns since 1970); 0 if none of them exists."""
    newest = 0
    for path in paths:
        try:
            newest = max(newest, os.stat(path).st_mtime_ns)
        except (OSError, ValueError):
            continue
    return newest
