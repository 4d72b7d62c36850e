"""The files a dataset is made of, kept open while they are read again and again, a bounded number."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from ..errors import DatasetError, LimitExceededError, ReadDroppedError
from .bytes import is_url
from .cancellation import current_wish
from .limits import MAX_CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .bytes import Bytes
    from .cancellation import CancelScope

    Range = tuple[int, int | None]  # offset, length in bytes; None: to the end of the file

MAX_OPEN_FILES = 48
_POLL_SECONDS = 0.25
FIRST_BYTES = 128 * 1024
"""What opening a file on a server has brought already."""


class BytesPool:
    """Opens files by name; any thread. At most `limit` stay open beside those being read."""

    def __init__(self, opener: Callable[[str], Bytes], limit: int = MAX_OPEN_FILES) -> None:
        self._opener = opener
        self._limit = limit
        self._lock = threading.Lock()  # guards what follows; never held while a file is opened or read
        self._files: OrderedDict[str, Future[Bytes]] = OrderedDict()
        self._users: dict[str, int] = {}
        self._closed = False

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Bytes]:
        """The file of that name, shared with other threads, open until the block ends.

        Raises what opening it raises, `DatasetError` once the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise DatasetError(f"the dataset was closed while {name} was to be opened")
            future = self._files.get(name)
            leads = future is None
            if future is None:
                future = self._files[name] = Future()
            self._files.move_to_end(name)
            self._users[name] = self._users.get(name, 0) + 1
        try:
            if leads and is_url(name):  # a server may be silent for long, and nobody has to wait for it
                threading.Thread(target=self._open, args=(name, future, current_wish()), daemon=True).start()
            elif leads:
                self._open(name, future)
            yield self._wait(future, name)
        finally:
            self._leave(name)

    def _open(self, name: str, future: Future[Bytes], wish: CancelScope | None = None) -> None:
        try:
            with wish or contextlib.nullcontext():
                file = self._opener(name)
        except BaseException as error:  # noqa: BLE001  whoever waits gets it
            with self._lock:
                self._files.pop(name, None)
            future.set_exception(error)
            return
        future.set_result(file)
        if self._closed:
            file.close()

    def _wait(self, future: Future[Bytes], name: str) -> Bytes:
        while not wait([future], timeout=_POLL_SECONDS).done:
            if self._closed:
                raise DatasetError(f"the dataset was closed while {name} was being opened")
            wish = current_wish()
            if wish is not None and wish.dropped:
                raise ReadDroppedError(f"{name}: not wanted any more")
        return future.result()

    def _leave(self, name: str) -> None:
        with self._lock:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
            surplus = self._surplus()
        for file in surplus:
            file.close()

    def _surplus(self) -> list[Bytes]:
        """Take out files that nobody reads and that are too many; the lock is held."""
        idle = [name for name, file in self._files.items() if name not in self._users and file.done()]
        n = len(idle) if self._closed else max(0, len(self._files) - self._limit)
        return [self._files.pop(name).result() for name in idle[:n]]

    def read(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """What is in these ranges of a file; see `Bytes.read_many`."""
        with self.opened(name) as file:
            known = [(offset, file.size - offset if n is None else n) for offset, n in ranges]
            if any(n > MAX_CHUNK_BYTES for _, n in known):
                raise LimitExceededError(f"{file.name}: {max(known)[1]} bytes are too many for one chunk")
            return [whole(file)] if known == [(0, file.size)] else file.read_many(known)

    def close(self) -> None:
        """Close all files; those being read as well, so that their reads end. May be called twice."""
        with self._lock:
            self._closed = True
            files = [file for file in self._files.values() if file.done() and not file.exception()]
        for file in files:
            file.result().close()


def whole(file: Bytes) -> bytes:
    """All of a file; its beginning is not fetched again where opening it has brought it."""
    head = file.read(0, min(FIRST_BYTES, file.size))
    return head if len(head) == file.size else head + file.read(len(head), file.size - len(head))
