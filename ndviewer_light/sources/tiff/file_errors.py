"""Problems with image files: missing, incomplete, damaged, or needing another package.

Decoders raise many exception types for damaged files; here they become `DatasetError`s that name the file.
"""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from ...errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...model import how_many
from ...storage.decoding.ifd_chain import MAX_TAGS, TYPE_SIZES
from ...storage.decoding.pictures import PNG_SIGNATURE
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.file_clock import is_being_written
from ...storage.limits import error_of_os
from ...storage.local_files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import BinaryIO


class FileMissingError(Exception):
    """The file does not exist yet."""


class PageMissingError(Exception):
    """The file has no such page yet."""


def open_file(path: str) -> BufferedReader:
    """Open a regular file for reading; raises `FileMissingError` or a `DatasetError`."""
    try:
        return open_regular(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissingError(path) from error
    except (OSError, ValueError) as error:
        raise error_of_os(error, path) from error


def short(path: str, why: str) -> DatasetError:
    """The error for a file shorter than its header says: damaged, or still being written."""
    if is_being_written(path):
        return PlaneNotWrittenError(f"{path} is still being written: {why}")
    return CorruptDataError(f"{path} is truncated: {why}. Copy it again")


def torn(path: str, page: int = 0, page_at: int = 0) -> DatasetError | None:
    """The error for a file that ends before its first page does; None if it does not.

    `page_at`: where its `page` should begin, if that is known to be beyond its end.
    """
    stored = stored_bytes(path)
    if stored is None:
        return None
    if stored.expected is not None and stored.there < stored.expected:
        return short(path, _of(stored.there, stored.expected))
    if page_at:
        return short(path, f"page {page} should begin at byte {page_at:,} of {stored.there:,}")
    return None


class OtherFormatError(CorruptDataError):
    """The file is not of the format its name implies, whatever its size."""


@contextlib.contextmanager
def faults_are_named(path: str) -> Iterator[None]:
    """Turn any error with the file at `path` into a `DatasetError` that names it.

    A file that changes meanwhile, or is shorter than its header says, is not damaged but being
    written. A missing page may be appended next.
    """
    before = _status(path)
    try:
        yield
    except (PlaneNotStoredError, UntrustedReferenceError, FileMissingError):
        raise
    except Exception as error:  # decoders raise many types for damaged files
        raise _judged(_named(error, path), path, before) from error


def _status(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _named(error: Exception, path: str) -> DatasetError:
    reason = str(error) or type(error).__name__
    if isinstance(error, PageMissingError):
        kind = PlaneNotWrittenError if is_being_written(path) else PlaneNotStoredError
        return kind(reason)
    if isinstance(error, DatasetError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return error_of_os(error, path)
    if isinstance(error, MemoryError):
        return LimitExceededError(f"{path}: not enough memory to read it")
    if "imagecodecs" in reason:
        return UnsupportedError(
            f"{path} uses a compression that needs an additional package: pip install 'ndviewer_light[tiff]'"
        )
    if isinstance(error, NotImplementedError) or "not supported" in reason:
        return UnsupportedError(f"{path} cannot be decoded: {reason}")
    return CorruptDataError(f"{path} is damaged: it cannot be decoded ({reason[:200]})")


def _judged(error: DatasetError, path: str, before: tuple[int, int] | None) -> DatasetError:
    if not isinstance(error, (CorruptDataError, UnsupportedError, LimitExceededError)):
        return error
    if isinstance(error, OtherFormatError):
        return CorruptDataError(str(error))
    stored = stored_bytes(path)  # before the status, so that a change during the check is noticed
    if _status(path) != before and is_being_written(path):
        return PlaneNotWrittenError(f"{path} is still being written")
    if stored is None or isinstance(error, LimitExceededError):
        return error
    if stored.there == 0:
        return _empty(path)
    if stored.expected is None:
        return short(path, f"it has {how_many(stored.there, 'byte')}, but no header yet")
    if stored.there >= stored.expected or _is_other_by_name(path):
        return error
    return short(path, _of(stored.there, stored.expected))


def _is_other_by_name(path: str) -> bool:
    """Whether a file is called a TIFF, and no TIFF begins like it, however little of it there is."""
    if not path.lower().endswith(TIFF_KINDS):
        return False
    try:
        with open_regular(path) as file:
            head = file.read(2)
    except (OSError, ValueError):
        return False
    return any(head) and not b"II".startswith(head) and not b"MM".startswith(head)


def _of(there: int, expected: int) -> str:
    """The actual size of a file; `expected` is the known minimum, perhaps only its header."""
    if expected <= _TIFF_HEADER_BYTES:
        return f"it has {how_many(there, 'byte')}, less than the header of an image"
    return f"{there:,} of at least {how_many(expected, 'byte')}"


def _empty(path: str) -> DatasetError:
    if is_being_written(path):
        return PlaneNotWrittenError(f"{path} is empty: nothing is written to it yet")
    return CorruptDataError(f"{path} is empty (0 bytes): copy it again")


# ---- the size a file should have, by its own header ----------------------------------------------

_TIFF_HEADER_BYTES = 16
_OFFSETS, _BYTE_COUNTS = (273, 324), (279, 325)
_MAX_PARTS_CHECKED = 1_000_000
_MAX_CHUNKS_CHECKED = 100_000


class FileSize(NamedTuple):
    """The actual and the minimum expected size of a file; None if its first page is not described yet."""

    there: int
    expected: int | None


def stored_bytes(path: str) -> FileSize | None:
    """The actual size of the file at `path`, and the size its header declares; None if it declares none.

    Reads the header and the first page's tags, or the headers of a PNG's chunks. Never raises.
    """
    try:
        with open_regular(path) as file:
            there = file.seek(0, 2)
            file.seek(0)
            return FileSize(there, _expected(file, there))
    except (DatasetError, OSError, ValueError, struct.error, OverflowError):
        return None


def _expected(file: BinaryIO, there: int) -> int | None:
    magic = file.read(8)
    if len(magic) < 8:
        return 8
    if magic == PNG_SIGNATURE:
        return _expected_of_png(file, there)
    if magic[:2] == b"BM":
        return int(struct.unpack_from("<I", magic, 2)[0])
    if magic[:4] in (b"II*\0", b"MM\0*"):
        order = "<" if magic[:1] == b"I" else ">"
        return _Directory(file, there, order, big=False).end(*struct.unpack_from(f"{order}I", magic, 4))
    if magic[:4] in (b"II+\0", b"MM\0+"):
        order = "<" if magic[:1] == b"I" else ">"
        (first,) = struct.unpack(f"{order}Q", file.read(8).ljust(8, b"\0"))
        return _Directory(file, there, order, big=True).end(first)
    return 0 if any(magic) else None


class _Directory:
    """The tags of a TIFF's first page."""

    def __init__(self, file: BinaryIO, there: int, order: str, *, big: bool) -> None:
        self._file = file
        self._there = there
        self._order = order
        self._count, self._entry, self._value = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")

    def end(self, offset: int) -> int | None:
        """The end of the page: the last byte of its tags, their values and its pixels.

        None while the tags are empty: some writers fill them in after the pixels.
        """
        if offset == 0:
            return None
        count_size = struct.calcsize(self._count)
        if offset + count_size > self._there:
            return offset + count_size
        (n,) = self._unpack(self._count, offset)
        if n == 0:
            return None
        size = struct.calcsize(f"<{self._entry}{self._value}")
        end = offset + count_size + min(n, MAX_TAGS) * size + struct.calcsize(f"<{self._value}")
        if end > self._there:
            return end
        parts: dict[int, tuple[int, ...]] = {}
        for i in range(min(n, MAX_TAGS)):
            end = max(end, self._entry_end(offset + count_size + i * size, parts))
        if end > self._there:
            return end
        offsets = next((parts[tag] for tag in _OFFSETS if tag in parts), ())
        counts = next((parts[tag] for tag in _BYTE_COUNTS if tag in parts), ())
        return max([end, *(at + count for at, count in zip(offsets, counts, strict=False))])

    def _entry_end(self, at: int, parts: dict[int, tuple[int, ...]]) -> int:
        """The end of a tag's value; tags with pixel locations go into `parts`."""
        tag, kind, n = self._unpack(self._entry, at)
        size = TYPE_SIZES.get(kind, 1) * n
        inline = struct.calcsize(f"<{self._value}")
        where = at + struct.calcsize(f"<{self._entry}")
        if size > inline:
            (where,) = self._unpack(self._value, where)
        end = int(where + size)
        if tag in (*_OFFSETS, *_BYTE_COUNTS) and end <= self._there and n <= _MAX_PARTS_CHECKED:
            parts[tag] = self._unpack(f"{n}{ {3: 'H', 4: 'I', 16: 'Q'}.get(kind, 'I') }", where)
        return end

    def _unpack(self, format_: str, at: int) -> tuple[int, ...]:
        structure = struct.Struct(self._order + format_)
        self._file.seek(at)
        return structure.unpack(self._file.read(structure.size))


def _expected_of_png(file: BinaryIO, there: int) -> int:
    at = len(PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS_CHECKED):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return at + 12  # the smallest chunk
        (length,) = struct.unpack_from(">I", head)
        at += 12 + int(length)
        if head[4:] == b"IEND" or at > there:
            return at
    return 0
