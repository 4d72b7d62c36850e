"""One open HDF5 file: objects inside it by path, never from another file; h5py's errors translated.

h5py reads through `storage.bytes`, so a file may be anywhere, is not locked, and may be open elsewhere for
writing. Only metadata, and pixels we cannot decode ourselves, are read this way: h5py does one thing at a
time.
"""

from __future__ import annotations

import contextlib
import itertools
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
    LimitExceededError,
    MetadataError,
    ReadDroppedError,
    UnsupportedError,
    UntrustedReferenceError,
    closed_error,
)
from ...model import how_many
from ...storage import collector
from ...storage.abandonable import run_abandonable
from ...storage.bytes import is_url
from ...storage.cancellation import current_scope
from ...storage.file_clock import FILE_CLOCK
from ...storage.file_kinds import looks_like
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from .chunk_index import structures as hdf5_structures
from .other_files import OtherFiles
from .prefetch import prefetch_structure
from .stream import HDF5Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import h5py

    from ...storage.bytes import Bytes

T = TypeVar("T")

_numbers = itertools.count()  # of files as they were opened

MAX_OBJECTS = 20_000
"""How many groups and datasets one search looks at."""

_LEAST_OBJECTS = 50  # searched however long it takes
_MAX_SOFT_LINKS = 32
_MOST_OTHERS = 64
_CLOCK_TICK_SECONDS = 0.25
_MAX_ATTRIBUTE_BYTES = 64 * 1024
_CHUNK_CACHE_BYTES = 64 * 1024**2
_H5PY_ERRORS = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError),
    *(SystemError, TypeError, ValueError),
)


class FoundObject(NamedTuple):
    """A dataset or group found by a search."""

    path: str
    node: h5py.Dataset | h5py.Group


class Elsewhere(NamedTuple):
    """What is in another file: that file as this one names it, and the path in it."""

    file: str
    path: str


class HDF5File:
    """An open file; any thread. h5py objects are used only within `reading`: one thread at a time."""

    def __init__(self, path: str, options: Mapping[str, str] | None) -> None:
        """Open the file at a path or URL.

        Raises `MetadataError` if it is not an HDF5 file, `CorruptDataError` if it is truncated or damaged,
        `UnsupportedError` without h5py.
        """
        self._lock = threading.RLock()
        self._closed = False
        self._is_shut = False  # guarded by the lock
        self.cut_short = False
        self.links_out: list[str] = []
        self.others = OtherFiles(path, options)
        self._opened_others: dict[str, HDF5File] = {}
        self.path = path
        self.is_remote = is_url(path)
        self.version = file_version(path)
        self.is_settled = not _was_just_written(self.version)
        self._number = next(_numbers)
        self.bytes = _opened_bytes(path, options)
        self.name = self.bytes.name
        try:
            self.superblock = self._judged_superblock()
            prefetch_structure(self.bytes, self.superblock)
            self._stream = HDF5Stream(self.bytes, self.superblock)
            self._file = self._opened()
        except BaseException:
            self.bytes.close()
            raise

    def _judged_superblock(self) -> hdf5_structures.Superblock:
        found = hdf5_structures.find_superblock(self.read_clipped, self.bytes.size)
        if found is None:
            size, head = self.bytes.size, self.read_clipped(0, len(hdf5_structures.SIGNATURE))
            if not size:
                raise CorruptDataError(f"{self.name} is empty (0 bytes): copy it again")
            if hdf5_structures.SIGNATURE.startswith(head) or head == hdf5_structures.SIGNATURE:
                raise CorruptDataError(
                    f"{self.name} is truncated: it has {how_many(size, 'byte')}, less than the header "
                    "of an HDF5 file. "
                    "Copy it again"
                )
            kind = looks_like(self.read_clipped(0, 64)) or ": it does not begin like one"
            raise MetadataError(f"{self.name} is not an HDF5 file{kind}")
        if self.bytes.size < found.end:
            raise CorruptDataError(
                f"{self.name} is truncated: {self.bytes.size:,} of {how_many(found.end, 'byte')}. "
                "Copy it again; if it is still being written, wait until that has finished"
            )
        return found

    def _opened(self) -> h5py.File:
        if find_spec("h5py") is None:
            raise UnsupportedError(
                f"{self.name} is an HDF5 file, which needs an additional package: pip install "
                "'ndviewer_light[hdf5]'"
            )
        with self.reading("it cannot be opened"):
            file = _open_cleanly(self._stream)
        # a file still open when Python exits would crash the process
        weakref.finalize(self, _close, file)
        return file

    @property
    def told_version(self) -> str:
        """Its version before it was opened, as `file_versions.version_of` says it; only of local files.

        That of a file that was just written is never twice the same.
        """
        number, size, changed = self.version
        return f"{changed}.{size}.{number}" + ("" if self.is_settled else f"~{self._number}")

    def other(self, name: str, where: str) -> HDF5File:
        """The file that this one names so, open until this one is closed; `where` begins sentences about it.

        Raises `UntrustedReferenceError` if it may not be read.
        """
        place = self.others.place(name, where)
        if place not in self._opened_others:
            if len(self._opened_others) >= _MOST_OTHERS:
                raise LimitExceededError(f"{self.name} refers to more than {_MOST_OTHERS} files")
            self._opened_others[place] = HDF5File(place, self.others.options)
        return self._opened_others[place]

    def read_clipped(self, offset: int, length: int) -> bytes:
        """Like `Bytes.read`, but clipped at the end of the file."""
        length = max(0, min(length, self.bytes.size - offset))
        return self.bytes.read(offset, length) if length and offset >= 0 else b""

    @contextlib.contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Let one thread at a time use h5py; its errors become a `DatasetError` about `what`."""
        try:
            with self._collector_paused(), self._lock:
                if self._closed:
                    raise closed_error(self.name)
                self._stream.failure = None
                try:
                    yield
                except DatasetError:
                    raise
                except _H5PY_ERRORS as error:
                    # without its frames, which would keep h5py objects alive as long as the error
                    raise self._error(error, what) from error.with_traceback(None)
        finally:
            if self._closed:
                self._close_unless_used()

    def use(self, what: str, call: Callable[[], T]) -> T:
        """The result of `call`, made within `reading`; for pixels, which may take long.

        For a server it is made in a separate thread: h5py cannot be interrupted, but nobody who closes the
        file or cancels the read has to wait for it.
        """

        def inside() -> T:
            with self.reading(what):
                return call()

        if not self.is_remote:
            return inside()
        scope = current_scope()

        def check() -> None:
            if self._closed:
                raise closed_error(self.name)
            if scope is not None and scope.dropped:
                raise ReadDroppedError(f"{self.name}: no longer needed")

        return run_abandonable([inside], check)[0]

    def _collector_paused(self) -> contextlib.AbstractContextManager[object]:
        """See `Bytes.opened_in_caller` for the problem with the garbage collector."""
        return collector.paused() if self.bytes.needs_threads else contextlib.nullcontext()

    def _error(self, error: Exception, what: str) -> DatasetError:
        if self._stream.failure is not None:  # h5py's message hides the actual reason
            return self._stream.failure
        reason = str(error).strip("'\"").partition("\n")[0][:200] or type(error).__name__
        return CorruptDataError(f"{self.name} is damaged, or still being written: {what}: {reason}")

    def close(self) -> None:
        """Release the file; reads in progress end with an error. May be called twice.

        A thread inside h5py closes it on leaving: nobody waits for a silent server.
        """
        self.bytes.close()
        self._closed = True
        self._close_unless_used()
        for other in list(self._opened_others.values()):
            other.close()

    def _close_unless_used(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # by a thread that sees it closed after releasing the lock
        try:
            if not self._is_shut:
                self._is_shut = True
                _close(self._file)
        finally:
            self._lock.release()

    # ---- objects by path: within `reading` -------------------------------------------------

    @property
    def root(self) -> h5py.Group:
        """The root group."""
        return self._file["/"]

    def node(self, path: str, start: h5py.Group | None = None) -> h5py.Dataset | h5py.Group | None:
        """The group or dataset at `path`, absolute or from `start`; None if there is none.

        Soft links are followed. Raises `UntrustedReferenceError` for a path that passes through another file.
        """
        found = self.follow(path, start)
        if isinstance(found, Elsewhere):
            raise self.others.refusal(f"{self.name}: {path!a}", found.file)
        return found

    def follow(
        self, path: str, start: h5py.Group | None = None
    ) -> h5py.Dataset | h5py.Group | Elsewhere | None:
        """Like `node`, but says where the path leads if that is another file."""
        here: Any = self.root if start is None or path.startswith("/") else start
        parts, followed = deque(path.split("/")), 0
        while parts:
            part = parts.popleft()
            if part in ("", "."):
                continue
            target = self._link(here, part)
            if target is None:
                return None
            if isinstance(target, Elsewhere):
                return target._replace(path="/".join((target.path.rstrip("/"), *parts)))
            if isinstance(target, str):
                followed += 1
                if followed > _MAX_SOFT_LINKS:
                    raise MetadataError(f"{self.name}: the links at {path!a} form a loop")
                here = self.root if target.startswith("/") else here
                parts.extendleft(reversed(target.split("/")))
            else:
                here = target
        return here if _kind(here) else None

    def _link(self, group: Any, name: str) -> Any:
        """The target of `name`: an object, the text of a soft link, what is in another file, or None."""
        import h5py

        raw = name.encode("utf-8", "surrogateescape")
        if not isinstance(group, h5py.Group) or raw not in group.id:
            return None
        kind = group.id.links.get_info(raw).type
        if kind == h5py.h5l.TYPE_HARD:
            return _wrapped(h5py.h5o.open(group.id, raw))
        value = group.id.links.get_val(raw)
        if kind == h5py.h5l.TYPE_SOFT:
            return value.decode("utf-8", "surrogateescape")
        if kind == h5py.h5l.TYPE_EXTERNAL:
            return Elsewhere(*(part.decode("utf-8", "surrogateescape") for part in value))
        raise UntrustedReferenceError(f"{self.name}: {name!a} is a link of a kind that is not followed")

    def walk(self, *tops: str, seconds: float) -> Iterator[FoundObject]:
        """Each group and dataset below the groups at `tops` once, nearest first.

        Links are not followed: their targets inside this file are visited in place. Stops after
        `seconds`, or after `MAX_OBJECTS`, and sets `cut_short`: on a server each object may be a request.
        `links_out` are the paths of links to other files that were met.
        """
        import h5py

        self.cut_short, self.links_out = False, []
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
                kind = group.id.links.get_info(raw).type
                if kind != h5py.h5l.TYPE_HARD:
                    if kind == h5py.h5l.TYPE_EXTERNAL and len(self.links_out) < _MOST_OTHERS:
                        self.links_out.append(f"{path}/{raw.decode('utf-8', 'surrogateescape')}")
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
        """An attribute: text, several as a tuple, or an array of numbers; None if missing or invalid."""
        import h5py
        import numpy as np

        try:
            raw = name.encode()
            if not h5py.h5a.exists(node.id, raw):
                return None
            stored = h5py.h5a.open(node.id, raw)
            if stored.get_storage_size() > _MAX_ATTRIBUTE_BYTES or not _is_plain(stored.get_type()):
                return None
            value = np.asarray(node.attrs[name])
        except _H5PY_ERRORS:
            if self._stream.failure is not None:
                raise
            return None
        return _text_or_numbers(value)


def _open_cleanly(stream: HDF5Stream) -> h5py.File:
    """Open a file; on failure, release the property lists that HDF5 forgets.

    One of them references `stream`, and HDF5 frees it after Python has exited: the process would crash.
    """
    import h5py
    from h5py._objects import phil

    with phil:  # no other thread creates lists meanwhile
        before = _new_list().id
        try:
            return h5py.File(stream, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # h5py's own lists are freed automatically
            for number in range(before + 1, _new_list().id):
                left = h5py.h5p.PropFAID(number)
                if h5py.h5i.get_type(left) != h5py.h5i.GENPROP_LST:
                    left.locked = True  # nothing to free
            raise


def _new_list() -> Any:
    import h5py

    return h5py.h5p.create(h5py.h5p.FILE_ACCESS)


def _close(file: h5py.File) -> None:
    with contextlib.suppress(*_H5PY_ERRORS):
        file.close()


def _is_plain(kind: h5py.h5t.TypeID) -> bool:
    """Whether values of a type may be read: of sequences HDF5 follows what a damaged file says, anywhere."""
    import h5py

    of_array = kind.get_class() == h5py.h5t.ARRAY
    return (kind.get_super() if of_array else kind).get_class() in (
        *(h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.BITFIELD),
        *(h5py.h5t.STRING, h5py.h5t.REFERENCE),
    )


def _text_or_numbers(value: Any) -> Any:
    if value.dtype.kind in "biuf":
        return value
    if value.dtype.kind not in "SUO" or not value.size:
        return None
    texts = tuple(_text(item) for item in value.reshape(-1).tolist())
    if None in texts:
        return None
    return texts if value.ndim and len(texts) > 1 else texts[0]


def _text(item: object) -> str | None:
    if isinstance(item, bytes):
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError:  # as older programs write
            return item.decode("latin-1")
    return item if isinstance(item, str) else None


def _wrapped(identifier: Any) -> Any:
    """The h5py object of an identifier; None if it is neither group nor dataset."""
    import h5py

    if isinstance(identifier, h5py.h5g.GroupID):
        return h5py.Group(identifier)
    return h5py.Dataset(identifier) if isinstance(identifier, h5py.h5d.DatasetID) else None


def _kind(node: object) -> str:
    import h5py

    return "dataset" if isinstance(node, h5py.Dataset) else "group" if isinstance(node, h5py.Group) else ""


# ---- bytes ---------------------------------------------------------------------------------


def _opened_bytes(path: str, options: Mapping[str, str] | None) -> Bytes:
    return open_bytes(path, access_options(options))


def file_version(path: str) -> tuple[int, ...]:
    """A value that changes whenever a local file does; () for URLs and missing files."""
    if is_url(path):
        return ()
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ()
    FILE_CLOCK.note(path, status.st_mtime_ns)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _was_just_written(version: tuple[int, ...]) -> bool:
    """Whether more may be written without changing the coarse modification time."""
    return bool(version) and FILE_CLOCK.age_s(version[2]) < _CLOCK_TICK_SECONDS
