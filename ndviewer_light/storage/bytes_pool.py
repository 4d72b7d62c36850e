"""A bounded pool of a dataset's files, kept open while in repeated use."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from ..errors import LimitExceededError, ReadDroppedError, closed_error
from .bytes import FIRST_BYTES, is_url
from .cancellation import CancelScope, current_scope
from .limits import MAX_CHUNK_BYTES
from .single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .bytes import Bytes

    Range = tuple[int, int | None]  # offset, length in bytes; None: to the end of the file

T = TypeVar("T")

MAX_OPEN_FILES = 48


class BytesPool:
    """Opens files by name; any thread. At most `limit` stay open in addition to those being read."""

    def __init__(
        self,
        opener: Callable[[str], Bytes],
        limit: int = MAX_OPEN_FILES,
        read_whole: Callable[[str], bytes] | None = None,
    ) -> None:
        """`read_whole` reads a file on a server that is wanted whole, in one request; it is not kept open."""
        self._opener = opener
        self._read_whole = read_whole
        self._limit = limit
        self._lock = threading.Lock()  # guards the following; never held while opening or reading a file
        self._files: OrderedDict[str, Bytes] = OrderedDict()
        self._opening: SingleFlight[str, Bytes] = SingleFlight()
        self._users: dict[str, int] = {}
        self._reading: set[CancelScope] = set()  # of files that are being opened, or read whole
        self._closed = False

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Bytes]:
        """The file of that name, shared between threads, open until the block ends.

        Raises the error of opening it, or `DatasetError` once the pool is closed.
        """
        with self._lock:
            self._raise_if_closed()
            self._users[name] = self._users.get(name, 0) + 1
        try:
            yield self._file(name)
        finally:
            self._leave(name)

    def _file(self, name: str) -> Bytes:
        if (file := self._known(name)) is not None:
            return file
        return self._opening.do(
            name,
            lambda: self._known(name) or self._until_closed(name, lambda: self._open(name)),
            self._raise_if_closed,
            apart=is_url(name),  # a server may be silent for long, and nobody must wait for it
        )

    def _known(self, name: str) -> Bytes | None:
        with self._lock:
            file = self._files.get(name)
            if file is not None:
                self._files.move_to_end(name)
            return file

    def _open(self, name: str) -> Bytes:
        file = self._opener(name)
        with self._lock:
            if not self._closed:
                self._files[name] = file
                return file
        file.close()
        raise closed_error()

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise closed_error()

    def _leave(self, name: str) -> None:
        with self._lock:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
            surplus = self._surplus()
        for file in surplus:
            file.close()

    def let_go(self, name: str) -> None:
        """Close a file that will not be asked for again, unless it is in use."""
        with self._lock:
            file = self._files.pop(name, None) if name not in self._users else None
        if file is not None:
            file.close()

    def _surplus(self) -> list[Bytes]:
        """Remove surplus idle files; the lock is held."""
        idle = [name for name in self._files if name not in self._users]
        n = len(idle) if self._closed else max(0, len(self._files) - self._limit)
        return [self._files.pop(name) for name in idle[:n]]

    def read(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes in these ranges of a file; see `Bytes.read_many`."""
        if self._read_whole is not None and list(ranges) == [(0, None)] and is_url(name):
            read_whole = self._read_whole
            return [self._until_closed(name, lambda: read_whole(name))]
        with self.opened(name) as file:
            known = [(offset, file.size - offset if n is None else n) for offset, n in ranges]
            if any(n > MAX_CHUNK_BYTES for _, n in known):
                raise LimitExceededError(f"{file.name}: a chunk of {max(known)[1]} bytes is too large")
            return [whole(file)] if known == [(0, file.size)] else file.read_many(known)

    def _until_closed(self, name: str, call: Callable[[], T]) -> T:
        """What `call` returns, in a scope of its own, which ends with the pool or with that of the caller."""
        mine, outer = CancelScope(), current_scope()
        mine.background = outer is not None and outer.background
        ending = _EndOf(mine, name)
        with self._lock:
            self._raise_if_closed()
            self._reading.add(mine)
        try:
            if outer is not None:
                outer.add(ending)
            with mine:
                return call()
        except ReadDroppedError:
            self._raise_if_closed()
            raise
        finally:
            if outer is not None:
                outer.remove(ending)
            with self._lock:
                self._reading.discard(mine)

    def close(self) -> None:
        """Close all files, including those being read, which ends their reads. May be called twice."""
        with self._lock:
            self._closed = True
            files, reading = list(self._files.values()), list(self._reading)
        for file in files:
            file.close()
        for scope in reading:
            scope.drop()


class _EndOf:
    """Ends a scope with another."""

    def __init__(self, scope: CancelScope, name: str) -> None:
        self._name = name
        self.give_up = scope.drop

    def not_wanted(self) -> ReadDroppedError:
        return ReadDroppedError(f"{path_of_key(self._name)}: no longer needed")


def key_of_file(path: str) -> str:
    """A name for the version of a local file that is there now: one that was replaced is opened again."""
    try:
        status = os.stat(path)
    except OSError:
        return path
    return f"{path}\0{status.st_ino}.{status.st_size}.{status.st_mtime_ns}"


def path_of_key(key: str) -> str:
    """The path or URL in such a name."""
    return key.partition("\0")[0]


def whole(file: Bytes) -> bytes:
    """A whole file; its beginning is not fetched again if opening it already did."""
    head = file.read(0, min(FIRST_BYTES, file.size))
    return head if len(head) == file.size else head + file.read(len(head), file.size - len(head))
