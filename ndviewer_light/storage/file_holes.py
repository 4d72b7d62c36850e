"""Holes in local files: parts that have a place but that nobody wrote, which read as zeros.

A file system keeps no blocks for them, and says so. That is no proof that pixels were not acquired: a copy
may leave out blocks of zeros, and so do file systems that compress. It says nothing of parts that share a
block with what was written, and some file systems and shares say nothing at all: then nothing is a hole.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAGE_BYTES = 4096
_STAT_BLOCK_BYTES = 512
_MANY_BLOCKS = 4


class Stretch(NamedTuple):
    """Bytes of a local file."""

    path: str
    start: int
    n_bytes: int


def may_have_holes(path: str) -> bool:
    """Whether a local file takes less room on disk than it is long. Never raises; blocks on disk."""
    try:
        found = os.stat(path)
        return found.st_blocks * _STAT_BLOCK_BYTES < found.st_size
    except (OSError, ValueError, AttributeError):  # the last where systems do not tell
        return False


def are_holes(stretches: Sequence[Sequence[Stretch]]) -> list[bool]:
    """For each of these lists of stretches, whether every one is a hole; False of an empty list.

    Blocks that a stretch shares with others do not count, as they may have been written with these; nor does
    its last one, which is written to give a file its size. Never raises; blocks on disk.
    """
    of_file: dict[str, list[tuple[int, Stretch]]] = defaultdict(list)
    for i, each in enumerate(stretches):
        for stretch in each:
            of_file[stretch.path].append((i, stretch))
    answers = [bool(each) for each in stretches]
    for path, members in of_file.items():
        if not _look_at(path, members, answers):
            for i, _ in members:
                answers[i] = False
    return answers


def _look_at(path: str, members: Sequence[tuple[int, Stretch]], answers: list[bool]) -> bool:
    """Note of stretches of one file that they are no holes; False if nothing can be told of the file."""
    try:
        file = os.open(path, os.O_RDONLY)
    except (OSError, ValueError):
        return False
    try:
        block = os.fstat(file).st_blksize
        for i, stretch in members:
            if answers[i] and not _is_hole(file, stretch, block):
                answers[i] = False
    except (OSError, AttributeError):
        return False
    finally:
        os.close(file)
    return True


def _is_hole(file: int, stretch: Stretch, block: int) -> bool:
    step = block if stretch.n_bytes >= _MANY_BLOCKS * block else _PAGE_BYTES
    first = -(-stretch.start // step) * step
    end = (stretch.start + stretch.n_bytes - 1) // step * step
    if first >= end:
        return False
    try:
        return os.lseek(file, first, os.SEEK_DATA) >= end
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but holes up to the end of the file, or beyond that
            return True
        raise
