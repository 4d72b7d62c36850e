"""The bytes of one file, local or remote, for all single-file formats.

A path is a local file; ``https://``, ``s3://`` and others go through `remote`. Formats see no difference.
"""

from __future__ import annotations

import io
import os
import re
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    UnsupportedError,
    closed_error,
)
from ..model import how_many
from .file_versions import settled
from .limits import error_of_os
from .local_files import open_descriptor
from .presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    Range = tuple[int, int]  # offset, length in bytes

WEB_SCHEMES = ("http", "https", "s3", "gs")
"""Of addresses that are read with requests for ranges."""
SHARE_SCHEMES = ("smb", "sftp")
"""Of addresses that are read as open files."""
FIRST_BYTES = 128 * 1024
"""Of a file on a server: what opening it brings, with its size."""
_BRACKETS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*\[[0-9A-Fa-f:.]*\]")  # an address with :: in it
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # at least two letters: C:// is a drive


def check_still_there(path: str) -> None:
    """Raise `DatasetGoneError` if the dataset itself has disappeared, not just something in it."""
    try:
        os.stat(path)
    except OSError as error:
        raise DatasetGoneError(
            f"{path} is no longer reachable: reconnect the disk or move it back; it will be shown again"
        ) from error


def metadata_gone(path: str) -> DatasetGoneError:
    """The error for a dataset of which only pixels are left, as of a folder that its writer has made anew."""
    return DatasetGoneError(
        f"the metadata of {path} are no longer there, and what is in it cannot be read without: "
        "move them back; it will be shown again"
    )


_FILE_OF_JAVA = re.compile("file:/(?!/)", re.IGNORECASE)
"""How Java, and so Fiji, writes the URL of a file; RFC 8089 allows it."""


def is_url(path: str) -> bool:
    """Whether `path` is a URL ("https://…") rather than a local file."""
    return _SCHEME.match(path) is not None


def scheme_of(url: str) -> str:
    """``"https"`` of a URL; in lower case."""
    return url.partition("://")[0].lower()


def unknown_scheme(url: str) -> UnsupportedError:
    """The error for a URL that nothing here can read, for example ``ftp://…``."""
    known = ", ".join(f"{name}://" for name in WEB_SCHEMES + SHARE_SCHEMES)
    return UnsupportedError(
        f"{presentable(url)} cannot be opened: only files on this computer and {known} are supported"
    )


_PLACES = {
    **dict.fromkeys(("http", "https"), ("server", "SERVER/PATH")),
    **dict.fromkeys(("s3", "gs"), ("bucket", "BUCKET/PATH")),
    **{"smb": ("server", "SERVER/SHARE/PATH"), "sftp": ("server", "SERVER/PATH")},
}
"""What an address names first, by its scheme, and what is expected behind the scheme."""


def check_address(url: str) -> None:
    """Raise `DatasetNotFoundError` for an invalid URL, for example ``http://[::1/x`` or ``s3://``."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked only on request
        url.encode("utf-8")
        first, expected = _PLACES.get(parts.scheme, ("", ""))
        if first and not parts.hostname:
            raise DatasetNotFoundError(
                f"{presentable(url)} names no {first}: expected {parts.scheme}://{expected}"
            )
        if parts.scheme in SHARE_SCHEMES and not parts.path.strip("/"):
            raise DatasetNotFoundError(
                f"{presentable(url)} names no file there: expected {parts.scheme}://{expected}"
            )
    except DatasetNotFoundError:
        raise
    except ValueError as error:
        # the error may quote a part of a password
        reason = "contains invalid characters" if isinstance(error, UnicodeError) else "is invalid"
        raise DatasetNotFoundError(
            f"{presentable(url)} is not a valid address: its host or port {reason}"
        ) from None


def split_inner(path: str) -> tuple[str, str]:
    """``"file.h5::/path/inside"`` → the file and the path inside, "" if none is given.

    Raises nothing: an existing file whose own name contains "::" is not split.
    """
    brackets = _BRACKETS.match(path)
    host = brackets[0] if brackets else ""
    file, colons, inner = path[len(host) :].partition("::")
    if not colons or (not is_url(path) and os.path.exists(path)):
        return path, ""
    return host + file, inner


def name_of(path: str) -> str:
    """The last part of a path, URL or key in a bucket: without query, fragment and path inside the file.

    A key may contain "?" and "#": only what looks like a query is left out.
    """
    file = split_inner(path)[0]
    if not is_url(file):
        return os.path.basename(file)
    name = presentable(file).rstrip("/").rpartition("/")[2]
    return name if file.startswith(("s3:", "gs:")) else unquote(name)


def absolute(path: str) -> str:
    """`path`, independent of the working directory; ``file://`` as a path, other URLs unchanged.

    Raises `DatasetNotFoundError` for what cannot be a path.
    """
    if "\0" in path:
        raise DatasetNotFoundError(f"{path!a} is not a path: it contains a null character")
    if _FILE_OF_JAVA.match(path) and not os.path.exists(path):
        path = f"file://{path[5:]}"
    if path[:7].lower() == "file://":
        file, inner = split_inner(path)
        path = _path_of_file_url(file) + (f"::{inner}" if inner else "")
    if is_url(path):
        return path
    file, inner = split_inner(path)
    file = os.path.abspath(os.path.expanduser(file))
    return f"{file}::{inner}" if inner else file


def absolute_of_named(path: str) -> str:
    """`absolute`, refusing an empty path, as of a variable that is not set: not the working directory."""
    if not path:
        raise DatasetNotFoundError('the path is empty: the current folder is "."')
    return absolute(path)


def _path_of_file_url(url: str) -> str:
    """The path of ``file:///a%20b``; a "#" or "?" may be of a name that was not quoted.

    Raises `DatasetNotFoundError` for a file of another computer.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise DatasetNotFoundError(
            f"{presentable(url)} is a file on the computer {parts.netloc}: mount it as a folder here"
        )
    from urllib.request import url2pathname  # imports http, ssl and email: 15 ms

    if not parts.path:
        raise DatasetNotFoundError(f"{presentable(url)} names no file: expected file:///PATH")
    path: str = url2pathname(parts.path)
    as_written = url2pathname(url.partition("//")[2].removeprefix(parts.netloc))
    return as_written if not os.path.exists(path) and os.path.exists(as_written) else path


class Bytes(ABC):
    """The bytes of one file. Any thread may call any method; all of them block on disk or network.

    A read returns exactly what was requested: a short read is an error, never padded.
    """

    name: str
    """Path or URL as messages show it: without user, password and query."""
    content_type = ""
    """What its server calls the type of the file, "" if nothing."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Length in bytes, as of the first request."""

    @property
    def identity(self) -> str | None:
        """A name for exactly these bytes, for persistent caches; None if none is reliable."""
        return None

    @property
    def version(self) -> str | None:
        """The version of a file on a server as it was opened, see `file_versions`; None if unknown."""
        return None

    def version_now(self) -> str | None:
        """The version of the file that lies there now, by a small request; None if that cannot be told.

        Raises a `DatasetError` if it cannot be asked.
        """
        return None

    def is_current(self) -> bool | None:
        """Whether the file is still the one that was opened, see `version_now`; None if that cannot tell."""
        now = self.version_now()
        return None if now is None else settled(now) == settled(self.version or "")

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """The bytes [offset, offset + length).

        Raises `CorruptDataError` beyond the end (the file is truncated), `DatasetGoneError` if the file is
        gone, another `DatasetError` if it cannot be read.
        """

    @abstractmethod
    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """Like `read`, for many ranges at once: concurrently, with adjacent ranges merged."""

    def fetch(self, ranges: Sequence[Range]) -> bool:
        """Keep these parts of a file's structure in memory, all read together: they will be asked for.

        False, and nothing is read, where reading them costs next to nothing. Raises like `read`.
        """
        return False

    def keep_structure(self) -> None:  # noqa: B027  most files are as near as the cache
        """Keep on disk what was read by `fetch` and through `opened`, for the next time."""

    def opened(self, block: int = 128 * 1024) -> BinaryIO:
        """A seekable file for metadata parsers, with a small cache of blocks of `block` bytes."""
        return io.BufferedReader(_Raw(self), buffer_size=block)

    def opened_in_caller(self, block: int = 128 * 1024) -> BinaryIO:
        """Like `opened`, for a thread that holds a lock which any thread may need, like h5py's.

        h5py objects take that lock when freed, and the garbage collector frees them in whatever
        thread it runs. So reads do all their work in the calling thread: they take no lock of Python's and
        wait for no other thread that runs Python, unless `needs_threads`.
        """
        return self.opened(block)

    needs_threads = False
    """Whether other Python threads are involved even so: then the collector must pause meanwhile."""

    @abstractmethod
    def close(self) -> None:
        """Release the file; reads in progress end with an error. May be called twice."""


class SeekableFile(io.RawIOBase):
    """A read-only file of `size` bytes with a position; subclasses implement reading."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The current position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, also beyond the end; raises `OSError` before the beginning, like files."""
        at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        if at < 0:
            raise OSError(f"seek to {at}")
        self._at = at
        return at


class _Raw(SeekableFile):
    def __init__(self, source: Bytes) -> None:
        super().__init__(source.size)
        self._source = source

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._source.size - self._at))
        if length:
            buffer[:length] = self._source.read(self._at, length)
        self._at += length
        return length


class LocalBytes(Bytes):
    """A local file, opened once; never memory-mapped, since files may shrink."""

    def __init__(self, path: str) -> None:
        self.name = path
        try:
            self._file: _Descriptor | None = _Descriptor(path)
            self._size = os.fstat(self._file.number).st_size
        except DatasetError:
            raise
        except (OSError, ValueError) as error:
            raise error_of_os(error, path) from error

    @property
    def size(self) -> int:
        """Length in bytes when the file was opened."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        file = self._file
        if file is None:
            raise closed_error(self.name)
        try:
            data = _pread(file, offset, length)
        except OSError as error:
            raise DatasetError(f"{self.name} could not be read at byte {offset}: {error.strerror}") from error
        finally:
            del file  # the traceback of an error would keep it open
        if len(data) != length:
            raise CorruptDataError(
                f"{self.name} is truncated: {len(data):,} of {how_many(length, 'byte')} at byte {offset}"
            )
        return data

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """See `Bytes.read_many`; sequentially, since the system reads ahead."""
        return [self.read(offset, length) for offset, length in ranges]

    def close(self) -> None:
        """See `Bytes.close`."""
        self._file = None


_BEYOND_ALL_FILES = 2**63
"""No file of any system has so many bytes, and Python refuses to ask."""


class _Descriptor:
    """An open file descriptor, closed when nobody refers to it any more.

    Not earlier: its number could be reused for another file by a read in progress. Counting references
    is done by Python and takes no lock, see `Bytes.opened_in_caller`.
    """

    def __init__(self, path: str) -> None:
        self.number = -1
        self.number = open_descriptor(path)
        self.lock = None if hasattr(os, "pread") else threading.Lock()  # for the position, on Windows

    def read(self, offset: int, length: int) -> bytes:
        if self.lock is None:
            return os.pread(self.number, length, offset)
        with self.lock:
            os.lseek(self.number, offset, os.SEEK_SET)
            return os.read(self.number, length)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


def _pread(file: _Descriptor, offset: int, length: int) -> bytes:
    parts: list[bytes] = []
    if offset >= _BEYOND_ALL_FILES:  # what a damaged file says
        return b""
    while length > 0 and (part := file.read(offset, length)):
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
