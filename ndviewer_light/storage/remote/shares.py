"""Files on network shares that are not mounted, smb:// and sftp://: a few file handles, one reader each.

Files on mounted shares are local files and do not use this.
"""

from __future__ import annotations

import errno
import importlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from ...errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    ReadDroppedError,
    UnsupportedError,
    closed_error,
)
from ...model import how_many
from ..abandonable import run_abandonable
from ..bytes import Bytes
from ..cancellation import current_scope
from ..presentable import presentable
from .block_file import BlockFile, Blocks
from .client import CONNECT_SECONDS
from .coalescing import (
    Block,
    blocks_for,
    blocks_of,
    joined,
)
from .errors import Failure, error_for
from .retries import seconds_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from .client import Settings

    Range = tuple[int, int]

T = TypeVar("T")

HANDLES = 8
# the module to import, and the packages that provide it
_LIBRARIES = {
    "smb": ("smbclient", "'ndviewer_light[smb]'"),
    "sftp": ("paramiko", "'ndviewer_light[smb]' paramiko"),
}
_DENIED = ("denied", "logon", "authentication", "password")  # in the libraries' messages
_MISSING = ("not found", "no such file", "no_such_file", "bad_network_name")


class ShareBytes(Bytes):
    """A file on a network share; see `Bytes`."""

    needs_threads = True
    """Those of smbprotocol and paramiko, which take in what the server sends."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises `DatasetNotFoundError`, `DatasetPermissionError` or another `DatasetError`."""
        self.name = presentable(url)
        self._path = unquote(urlsplit(url).path)
        self._lock = threading.Lock()
        self._free: list[Any] = []
        self._closed = False
        self._host = urlsplit(url).hostname or self.name
        self._stall_s = settings.stall_s
        ((self._share, self._version),) = self._waited(
            [lambda: self._connected(url, settings)], CONNECT_SECONDS
        )
        self._blocks = Blocks(self.size)

    def _connected(self, url: str, settings: Settings) -> tuple[Any, tuple[int, str]]:
        share = _share(url, settings)
        try:
            return share, self._look(share)
        except Exception as error:  # noqa: BLE001  each library has its own errors, with no common root
            raise self._error(error) from None

    def _look(self, share: Any) -> tuple[int, str]:
        info = share.info(self._path)
        if info.get("type") == "directory":
            raise DatasetNotFoundError(f"{self.name} is a folder; give the address of a file inside")
        return int(info["size"]), str(info.get("last_write_time") or info.get("mtime") or "")

    @property
    def size(self) -> int:
        """Length in bytes when the file was opened."""
        return self._version[0]

    @property
    def identity(self) -> str | None:
        """The address, size and modification time; None if the share does not report that time."""
        size, modified = self._version
        return f"{self.name}\n{size}\n{modified}" if modified else None

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """See `Bytes.read_many`: up to eight requests at once."""
        for offset, length in ranges:
            if offset < 0 or length < 0 or offset + length > self.size:
                raise CorruptDataError(
                    f"{self.name} is truncated: {how_many(length, 'byte')} expected at byte {offset}, "
                    f"{max(0, self.size - offset)} available"
                )
        blocks = blocks_for([wanted for wanted in ranges if wanted[1]])
        parts = [blocks[i::HANDLES] for i in range(min(HANDLES, len(blocks)))]
        calls = [partial(lambda part: {block: self._read(block) for block in part}, part) for part in parts]
        seconds = max((sum(block.length for block in part) for part in parts), default=0)
        found: dict[Block, bytes] = {}
        for read in self._waited(calls, seconds_for(seconds, 0)):
            found.update(read)
        return [joined(blocks_of(blocks, *wanted), found, *wanted) for wanted in ranges]

    def opened(self, block: int = 128 * 1024) -> BinaryIO:
        """See `Bytes.opened`."""
        return BlockFile(self._blocks, self.read_many, block)  # type: ignore[return-value]

    def _read(self, block: Block) -> bytes:
        with self._lock:
            self._check_open()
            handle = self._free.pop() if self._free else None
        try:
            if handle is None:
                handle = self._share.open(self._path, "rb")
            handle.seek(block.start)
            data = _exactly(handle, block.length)
        except Exception as error:  # noqa: BLE001  as above
            _close(handle)
            self._check_open()
            raise self._error(error) from None
        with self._lock:
            if not self._closed:
                self._free.append(handle)
                handle = None
        _close(handle)
        if len(data) != block.length:
            raise CorruptDataError(
                f"{self.name} is truncated: {len(data):,} of {how_many(block.length, 'byte')} at byte "
                f"{block.start}"
            )
        return data

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.name)

    def _waited(self, calls: Sequence[Callable[[], T]], more_s: float) -> list[T]:
        """The results of these calls, each made in a separate thread that is waited for up to a deadline.

        The libraries wait indefinitely for an answer, and cannot be interrupted.
        """
        until = time.monotonic() + self._stall_s + more_s
        scope = current_scope()

        def check() -> None:
            self._check_open()
            if scope is not None and scope.dropped:
                raise ReadDroppedError(f"{self.name}: no longer needed")
            if time.monotonic() > until:
                raise error_for(Failure("stalled"), self.name, self._host)

        return run_abandonable(calls, check)

    def _error(self, error: Exception) -> DatasetError:
        """The error for callers; the libraries' messages contain no secrets, but are long and technical."""
        if isinstance(error, DatasetError):
            return error
        said, number = str(error).lower(), getattr(error, "errno", None)
        if number in (errno.ENOENT, errno.ENOTDIR) or any(words in said for words in _MISSING):
            return DatasetNotFoundError(f"{self.name} does not exist: check the spelling of the address")
        if number in (errno.EACCES, errno.EPERM) or any(words in said for words in _DENIED):
            return DatasetPermissionError(
                f"no permission to read {self.name}: set the storage options 'user' and 'password'"
            )
        broken = DatasetError(
            f"{self.name} could not be read: check that the server is running and "
            "reachable, or mount the share and open the file from there"
        )
        broken.transient = True
        return broken

    def close(self) -> None:
        """See `Bytes.close`; does not wait for requests in progress."""
        with self._lock:
            self._closed = True
            handles, self._free = self._free, []
        if handles:  # closing sends a request, which may not be answered

            def work() -> None:
                for handle in handles:
                    _close(handle)

            threading.Thread(target=work, name="ndviewer-fetch-share", daemon=True).start()


def _share(url: str, settings: Settings) -> Any:
    parts = urlsplit(url)
    module, library = _LIBRARIES[parts.scheme]
    options: dict[str, Any] = {
        "host": parts.hostname,
        "username": settings.user or unquote(parts.username or "") or None,
        "password": settings.password or unquote(parts.password or "") or None,
    }
    if parts.port:
        options["port"] = parts.port
    if parts.scheme == "smb":
        # as a reader, allow others to keep writing
        options |= {"share_access": "rwd", "timeout": settings.stall_s, "register_session_retries": 1}
    try:
        import fsspec

        importlib.import_module(module)
        return fsspec.filesystem(parts.scheme, skip_instance_cache=True, **options)
    except ImportError:
        raise UnsupportedError(
            f"{parts.scheme}:// needs an additional package: pip install {library}"
        ) from None
    except Exception:  # noqa: BLE001  as above
        broken = DatasetError(
            f"{parts.hostname} does not answer or refused the login: check its "
            "name, that it is running, and the storage options 'user' and 'password'"
        )
        broken.transient = True
        raise broken from None


def _exactly(handle: Any, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0 and (part := handle.read(length)):
        parts.append(bytes(part))
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _close(handle: Any) -> None:
    if handle is not None:
        try:
            handle.close()
        except Exception:  # noqa: BLE001  the server is gone: there is nothing left to close
            return
