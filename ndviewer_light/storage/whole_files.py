"""Files that people ask for (pictures, films, tables): complete, or as they were before.

They are written under another name beside the place where they are to be, and renamed once they are whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from typing import TYPE_CHECKING

from ..errors import NDViewerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING = re.compile(r"(\.ome)?\.[^.]*$", re.IGNORECASE)
_HARDLY_ANY_SPACE = 1024**2
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class NotWrittenError(OSError):
    """A file that could not be written; `strerror` is why, in words."""

    def __str__(self) -> str:
        return f"{self.filename} could not be written: {self.strerror}"


@contextlib.contextmanager
def whole_file(path: str) -> Iterator[str]:
    """Where to write what is to be at `path`, with the same ending; it gets its name if nothing is raised.

    Otherwise nothing of it is left, and what was at `path` is as it was. What is no regular file (a pipe, a
    device) is written as it is. Raises `NotWrittenError` if the system cannot write it; others pass.
    """
    target = os.path.realpath(path)  # a link stays one
    if os.path.exists(target) and not os.path.isfile(target):
        if os.path.isdir(target):
            raise NotWrittenError(errno.EISDIR, "there is a folder of this name", path)
        with _said_of(path, path):
            yield path  # not `target`: libraries look at the ending
        return
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise NotWrittenError(errno.ENOENT, f"there is no folder {folder}", path)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise NotWrittenError(errno.EACCES, "it is write-protected", path)
    ending = _ENDING.search(os.path.basename(target))
    part = f"{target}.part{ending[0] if ending else ''}"
    try:
        with _said_of(path, part):
            yield part
            if os.path.exists(target):
                shutil.copymode(target, part)
            os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part)


@contextlib.contextmanager
def _said_of(path: str, part: str) -> Iterator[None]:
    """Turns errors of writing `part` into `NotWrittenError` for `path`."""
    try:
        yield
    except NotWrittenError:
        raise
    except OSError as error:
        if _is_about(error, part):
            number, reason = _why(error, os.path.dirname(os.path.realpath(part)))
            raise NotWrittenError(number, reason, path) from error
        raise


def _is_about(error: OSError, part: str) -> bool:
    """Whether an error is about writing this file; those of reading say which file that was, or are ours."""
    named = getattr(error, "filename", None)
    if named:
        return os.fsdecode(named) == part
    return not isinstance(error, NDViewerError)


def _why(error: OSError, folder: str) -> tuple[int, str]:
    """Libraries do not always say that the disk is full: numpy has its own words, and no number."""
    is_full = error.errno in _FULL
    if not error.errno:
        with contextlib.suppress(OSError):
            is_full = shutil.disk_usage(folder).free < _HARDLY_ANY_SPACE
    if is_full:
        return errno.ENOSPC, "the disk is full"
    if not error.errno:
        return errno.EIO, f"not all of it could be written ({error})"
    return error.errno, error.strerror or str(error)
