"""One open HDF5 file: objects inside it by path, never one of another file; h5py's errors in our words.

h5py reads through `storage.files`, so a file may lie anywhere, is not locked, and may be open elsewhere for
writing. Only metadata, and pixels that we cannot decode ourselves, come this way: h5py does one thing at a
time.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
import weakref
from collections import deque
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...errors import (
    CorruptDataError,
    DatasetError,
    MetadataError,
    ReadDroppedError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...storage import collector
from ...storage.abandonable import run_abandonable
from ...storage.bytes import is_url
from ...storage.cancellation import current_wish
from ...storage.open_bytes import open_bytes
from .chunk_index import structures as hdf5_structures
from .stream import HDF5Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import h5py

    from ...storage.bytes import Bytes

T = TypeVar("T")

MAX_OBJECTS = 20_000
"""How many groups and datasets one search looks at."""

_LEAST_OBJECTS = 50  # looked at however long it takes
_MAX_SOFT_LINKS = 32
_TICK_SECONDS = 0.25
_SKEW_SECONDS = 60.0  # between our clock and that of who keeps the file
_MAX_ATTRIBUTE_BYTES = 64 * 1024
_CHUNK_CACHE_BYTES = 64 * 1024**2
_H5PY_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError),
    *(SystemError, TypeError, ValueError),
)


class FoundObject(NamedTuple):
    """A dataset or group that a search met."""

    path: str
    node: h5py.Dataset | h5py.Group


class HDF5File:
    """An open file; any thread. What h5py hands out is used within `reading` only: one thread at a time."""

    def __init__(self, path: str, options: Mapping[str, str] | None) -> None:
        """Open the file at a path or URL.

        Raises `MetadataError` for what is no HDF5 file, `CorruptDataError` if it is truncated or damaged,
        `UnsupportedError` without h5py.
        """
        self._lock = threading.RLock()
        self._closed = False
        self._is_shut = False  # guarded by the lock
        self.cut_short = False
        self.is_remote = is_url(path)
        self.version = file_version(path)
        self.is_settled = not _was_just_written(self.version)
        self.bytes = _opened_bytes(path, options)
        self.name = self.bytes.name
        try:
            self.superblock = self._judged_superblock()
            self._stream = HDF5Stream(self.bytes, self.superblock)
            self._file = self._opened()
        except BaseException:
            self.bytes.close()
            raise

    def _judged_superblock(self) -> hdf5_structures.Superblock:
        found = hdf5_structures.find_superblock(self.read_clipped, self.bytes.size)
        if found is None:
            raise MetadataError(f"{self.name} is not an HDF5 file: it does not begin like one")
        if self.bytes.size < found.end:
            raise CorruptDataError(
                f"{self.name} is truncated: {found.end} bytes expected, {self.bytes.size} are there. "
                "Copy it again; if it is being written, open it when that is done"
            )
        return found

    def _opened(self) -> h5py.File:
        if find_spec("h5py") is None:
            raise UnsupportedError(
                f"{self.name} is an HDF5 file: to read these, pip install 'ndviewer_light[hdf5]'"
            )
        with self.reading("it cannot be opened"):
            file = _open_cleanly(self._stream)
        # a file that is open when Python ends takes the process with it
        weakref.finalize(self, _close, file)
        return file

    def read_clipped(self, offset: int, length: int) -> bytes:
        """As `Bytes.read`, but what lies beyond the end of the file is left out."""
        length = max(0, min(length, self.bytes.size - offset))
        return self.bytes.read(offset, length) if length and offset >= 0 else b""

    @contextlib.contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """One thread at a time uses h5py in here; what it raises becomes a `DatasetError` about `what`."""
        try:
            with self._collector_paused(), self._lock:
                if self._closed:
                    raise DatasetError(f"{self.name} was closed")
                self._stream.failure = None
                try:
                    yield
                except DatasetError:
                    raise
                except _H5PY_ERRORS as error:
                    # without its frames, which hold objects of h5py's for as long as the error lives
                    raise self._error(error, what) from error.with_traceback(None)
        finally:
            if self._closed:
                self._close_unless_used()

    def use(self, what: str, call: Callable[[], T]) -> T:
        """What `call` returns, made within `reading`; for pixels, which may be long in coming.

        On a server it is made in a thread of its own: nobody can interrupt h5py, but nobody who closes the
        file or gives up the read has to wait for it.
        """

        def inside() -> T:
            with self.reading(what):
                return call()

        if not self.is_remote:
            return inside()
        wish = current_wish()

        def check() -> None:
            if self._closed:
                raise DatasetError(f"{self.name} was closed")
            if wish is not None and wish.dropped:
                raise ReadDroppedError(f"{self.name}: not wanted any more")

        return run_abandonable([inside], check)[0]

    def _collector_paused(self) -> contextlib.AbstractContextManager[object]:
        """See `Bytes.opened_in_caller` for what the collector could do."""
        return collector.paused() if self.bytes.needs_threads else contextlib.nullcontext()

    def _error(self, error: Exception, what: str) -> DatasetError:
        if self._stream.failure is not None:  # what h5py says of it is not the reason
            return self._stream.failure
        reason = str(error).strip("'\"").partition("\n")[0][:200] or type(error).__name__
        return CorruptDataError(f"{self.name} is damaged, or is just being written: {what}: {reason}")

    def close(self) -> None:
        """Let go of the file; what is being read ends with an error. May be called twice.

        A thread that is inside h5py closes it when it comes out: nobody waits for a server that is silent.
        """
        self.bytes.close()
        self._closed = True
        self._close_unless_used()

    def _close_unless_used(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # by a thread that sees that it is closed when it has let go of the lock
        try:
            if not self._is_shut:
                self._is_shut = True
                _close(self._file)
        finally:
            self._lock.release()

    # ---- objects by path: within `reading` -------------------------------------------------

    @property
    def root(self) -> h5py.Group:
        """The group everything is in."""
        return self._file["/"]

    def node(self, path: str, start: h5py.Group | None = None) -> h5py.Dataset | h5py.Group | None:
        """The group or dataset at `path`, absolute or from `start`; None if there is none.

        Soft links are followed. Raises `UntrustedReferenceError` for a path that passes through another file.
        """
        here: Any = self.root if start is None or path.startswith("/") else start
        parts, followed = deque(path.split("/")), 0
        while parts:
            part = parts.popleft()
            if part in ("", "."):
                continue
            target = self._link(here, part, path)
            if target is None:
                return None
            if isinstance(target, str):
                followed += 1
                if followed > _MAX_SOFT_LINKS:
                    raise MetadataError(f"{self.name}: the links of {path!a} lead in a circle")
                here = self.root if target.startswith("/") else here
                parts.extendleft(reversed(target.split("/")))
            else:
                here = target
        return here if _kind(here) else None

    def _link(self, group: Any, name: str, path: str) -> Any:
        """What `name` leads to: an object, the text of a soft link, None if there is nothing."""
        import h5py

        raw = name.encode("utf-8", "surrogateescape")
        if not isinstance(group, h5py.Group) or raw not in group.id:
            return None
        kind = group.id.links.get_info(raw).type
        if kind == h5py.h5l.TYPE_HARD:
            return _wrapped(h5py.h5o.open(group.id, raw))
        if kind == h5py.h5l.TYPE_SOFT:
            return group.id.links.get_val(raw).decode("utf-8", "surrogateescape")
        raise UntrustedReferenceError(
            f"{self.name}: {path!a} lies in another file, which is not opened; open that file itself"
        )

    def walk(self, *tops: str, seconds: float) -> Iterator[FoundObject]:
        """Each group and dataset below the groups at `tops` once, nearest first.

        Links are not followed: what they lead to inside this file is met where it is. It ends after
        `seconds`, or after `MAX_OBJECTS`, and `cut_short` says so: on a server each object may be a request.
        """
        import h5py

        self.cut_short = False
        until = time.monotonic() + seconds

        starts = [FoundObject(top, self.node(top)) for top in tops or ("",)]
        queue = deque(found for found in starts if isinstance(found.node, h5py.Group))
        seen: set[Any] = set()
        met = 0
        while queue:
            path, group = queue.popleft()
            for raw in group.id:
                met += 1
                if met > MAX_OBJECTS or (met > _LEAST_OBJECTS and time.monotonic() > until):
                    self.cut_short = True
                    return
                if group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                    continue
                address = h5py.h5g.get_objinfo(group.id, raw).objno
                if address in seen:
                    continue
                seen.add(address)
                node = _wrapped(h5py.h5o.open(group.id, raw))
                if _kind(node):
                    found = FoundObject(f"{path}/{raw.decode('utf-8', 'surrogateescape')}", node)
                    yield found
                    if isinstance(node, h5py.Group):
                        queue.append(found)

    def attribute(self, node: h5py.Dataset | h5py.Group, name: str) -> Any:
        """An attribute: text, or an array of numbers; None if there is none, or none that makes sense."""
        import h5py
        import numpy as np

        try:
            raw = name.encode()
            if not h5py.h5a.exists(node.id, raw):
                return None
            if h5py.h5a.open(node.id, raw).get_storage_size() > _MAX_ATTRIBUTE_BYTES:
                return None
            value = np.asarray(node.attrs[name])
        except _H5PY_ERRORS:
            if self._stream.failure is not None:
                raise
            return None
        return _text_or_numbers(value)


def _open_cleanly(stream: HDF5Stream) -> h5py.File:
    """Open a file; if that fails, let go of the property lists that HDF5 forgets then.

    One of them holds `stream`, and HDF5 frees it after Python has ended: the process would crash at its end.
    """
    import h5py
    from h5py._objects import phil

    with phil:  # no other thread makes lists meanwhile
        before = _new_list().id
        try:
            return h5py.File(stream, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES)
        except BaseException as error:
            traceback.clear_frames(
                error.__traceback__
            )  # those of h5py hold lists that are freed by themselves
            for number in range(before + 1, _new_list().id):
                left = h5py.h5p.PropFAID(number)
                if h5py.h5i.get_type(left) != h5py.h5i.GENPROP_LST:
                    left.locked = True  # there is nothing to free
            raise


def _new_list() -> Any:
    import h5py

    return h5py.h5p.create(h5py.h5p.FILE_ACCESS)


def _close(file: h5py.File) -> None:
    with contextlib.suppress(*_H5PY_ERRORS):
        file.close()


def _text_or_numbers(value: Any) -> Any:
    if value.dtype.kind in "biuf":
        return value
    if value.dtype.kind in "SUO" and value.size == 1:
        item = value.reshape(-1)[0]
        if isinstance(item, bytes):
            return item.decode("utf-8", "replace")
        return str(item) if isinstance(item, str) else None
    return None


def _wrapped(identifier: Any) -> Any:
    """The h5py object of an identifier; None for what is neither group nor dataset."""
    import h5py

    if isinstance(identifier, h5py.h5g.GroupID):
        return h5py.Group(identifier)
    return h5py.Dataset(identifier) if isinstance(identifier, h5py.h5d.DatasetID) else None


def _kind(node: object) -> str:
    import h5py

    return "dataset" if isinstance(node, h5py.Dataset) else "group" if isinstance(node, h5py.Group) else ""


# ---- bytes ---------------------------------------------------------------------------------


def _opened_bytes(path: str, options: Mapping[str, str] | None) -> Bytes:
    return open_bytes(path, options)


def file_version(path: str) -> tuple[int, ...]:
    """What changes when a file of this machine does; () for URLs, and if it is not there."""
    if is_url(path):
        return ()
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _was_just_written(version: tuple[int, ...]) -> bool:
    """Whether more may be written without the time of writing, which is coarse, telling."""
    return bool(version) and -_SKEW_SECONDS < time.time() - version[2] / 1e9 < _TICK_SECONDS
