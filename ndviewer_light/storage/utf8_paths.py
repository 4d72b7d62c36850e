"""Local paths in UTF-8, for libraries that take no others, where a folder's name is not."""

from __future__ import annotations

import os
import threading
from typing import NamedTuple

_DESCRIPTORS = "/proc/self/fd"
_MAX_OPEN_FOLDERS = 64


class _Folder(NamedTuple):
    descriptor: int
    place: tuple[int, int]


class Utf8Paths:
    """Paths through descriptors of folders whose names are not UTF-8 (Linux). Any thread; blocks on disk.

    Descriptors stay open until `close`, as libraries keep what they read by path, and the numbers of closed
    ones are given again. Another folder that has taken the place of one has another path.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following
        self._folders: dict[str, _Folder] = {}
        self._left: list[int] = []  # of folders in whose place others are
        self._closed = False

    def path(self, path: str) -> str | None:
        """A path in UTF-8 of what lies at `path`, for this process until `close`; None if there is none."""
        parts = path.split(os.sep)
        last = max((i for i, part in enumerate(parts) if not _is_utf8(part)), default=-1)
        if last < 0:
            return _text(path)
        folder = os.sep.join(parts[: last + 1])
        descriptor = self._descriptor_of(folder) if os.path.isdir(_DESCRIPTORS) else None
        if descriptor is None:
            return None
        return os.sep.join((_DESCRIPTORS, str(descriptor), *map(_text, parts[last + 1 :])))

    def _descriptor_of(self, folder: str) -> int | None:
        """Of an open folder; None if it is none, or too many are open."""
        with self._lock:
            known = self._folders.get(folder)
            try:
                found = os.stat(folder)
                place = found.st_dev, found.st_ino
                if known is not None and known.place == place:
                    return known.descriptor
                if self._closed or len(self._folders) + len(self._left) >= _MAX_OPEN_FOLDERS:
                    return None
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            except (OSError, ValueError):
                return None
            if known is not None:
                self._left.append(known.descriptor)
            self._folders[folder] = _Folder(descriptor, place)
            return descriptor

    def close(self) -> None:
        """Close the folders: paths through them lead nowhere. May be called twice."""
        with self._lock:
            self._closed = True
            opened = [*self._left, *(folder.descriptor for folder in self._folders.values())]
            self._folders, self._left = {}, []
        for descriptor in opened:
            os.close(descriptor)


def _is_utf8(name: str) -> bool:
    """Whether a name on disk is text in UTF-8, whatever Python takes it for here."""
    try:
        _text(name)
    except UnicodeError:
        return False
    return True


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8")
