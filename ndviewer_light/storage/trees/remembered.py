"""A cache of small files read from a server, and of those found missing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..remote.told_version import Version

_MAX_REMEMBERED_BYTES = 32 * 1024**2
_MAX_REMEMBERED_FILES = 20_000


class ReadFile(NamedTuple):
    """A file that was read; `version` as reported by the server."""

    path: str
    data: bytes
    version: Version | None


class RememberedFiles:
    """The results of requests for files, a bounded number, least recently used removed first. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, bytes | DatasetError | None] = OrderedDict()
        self._versions: dict[str, Version] = {}
        self._bytes = 0
        self._before: dict[str, ReadFile] = {}  # what was read before it expired

    def get(self, path: str) -> bytes | None:
        """The file; None if known to be missing.

        Raises `KeyError` if it was not requested, or its `DatasetError`, once: it
        may be different next time.
        """
        with self._lock:
            known = self._known[path]
            self._known.move_to_end(path)
            if isinstance(known, DatasetError):
                self._drop(path)
                raise known
            return known

    def put(self, path: str, data: bytes | DatasetError | None, version: Version | None = None) -> None:
        """Remember the result of a request for a file."""
        with self._lock:
            self._drop(path)
            self._known[path] = data
            if version is not None:
                self._versions[path] = version
            self._bytes += _size(data)
            while self._bytes > _MAX_REMEMBERED_BYTES or len(self._known) > _MAX_REMEMBERED_FILES:
                self._drop(next(iter(self._known)))

    def _drop(self, path: str) -> None:
        self._bytes -= _size(self._known.pop(path, None))
        self._versions.pop(path, None)

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those not requested yet, each once."""
        with self._lock:
            return [path for path in dict.fromkeys(paths) if path not in self._known]

    def read(self) -> list[ReadFile]:
        """All existing files, most recently used last."""
        with self._lock:
            found = [(path, data) for path, data in self._known.items() if isinstance(data, bytes)]
            return [ReadFile(path, data, self._versions.get(path)) for path, data in found]

    def expire(self) -> None:
        """All of it may have changed, and is to be requested again; see `before`."""
        read = {each.path: each for each in self.read() if each.version is not None}
        with self._lock:
            kept = {**self._before, **read}
            is_too_much = sum(len(each.data) for each in kept.values()) > _MAX_REMEMBERED_BYTES
            self._before = read if is_too_much else kept
            self._known.clear()
            self._versions.clear()
            self._bytes = 0

    def before(self, path: str) -> ReadFile | None:
        """A file as it was before it expired, if its server named its version then."""
        with self._lock:
            return self._before.get(path)


def _size(data: bytes | DatasetError | None) -> int:
    return len(data) if isinstance(data, bytes) else 0
