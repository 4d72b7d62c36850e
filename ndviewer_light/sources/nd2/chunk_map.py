"""The chunks of a modern ND2 file: each has a name; a map at the end of the file lists them all."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ...storage.bytes import Bytes, Range

MODERN = b"\xda\xce\xbe\x0a"
"""The first bytes of a file, and of each of its chunks."""

LEGACY = b"\x00\x00\x00\x0cjP  "
"""The first bytes of files of NIS-Elements before 2010, and of any JPEG 2000 file."""

_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_END_BYTES = len(_SIGNATURE) + 8  # at the end of the file: the signature, and the offset of the map
_HEADER = struct.Struct("<4sIQ")  # magic number, length of the name, length of the data
_CHUNK_ALIGNMENT = 4096
_MAX_NAME_BYTES = 64 * 1024

_HEAD_BYTES = 128 * 1024
_TAIL_BYTES = 256 * 1024
_MAX_PARSED_BYTES = 128 * 1024**2
"""What the library may read at once: the map of three million frames."""


class Chunk(NamedTuple):
    """The bytes of a chunk with its header, perhaps more, and the offset and length of its data."""

    raw: bytes
    start: int
    size: int

    @property
    def data(self) -> memoryview:
        """The data, without a copy."""
        return memoryview(self.raw)[self.start : self.start + self.size]


def read_chunk(source: Bytes | CachedBytes, name: bytes, offset: int, expected: int, limit: int) -> Chunk:
    """Read the chunk listed in the map at `offset` with `expected` bytes of data (-1: unknown).

    Takes one read if that is right and its header fills a block, as usual. Raises `CorruptDataError` if
    there is another chunk, or none, `LimitExceededError` if it has more than `limit` bytes.
    """
    raw, start, length = _begin(source, name, offset, min(max(expected, 0), limit))
    if length > limit:
        raise LimitExceededError(
            f"{source.name}: {_shown(name)} has {length} bytes; at most {limit} are allowed"
        )
    if start + length > len(raw):
        raw += source.read(offset + len(raw), start + length - len(raw))
    return Chunk(raw, start, length)  # not cut: that would copy a frame


def find_data(source: Bytes | CachedBytes, name: bytes, offset: int) -> tuple[int, int]:
    """The offset and length of a chunk's data; reads only its header."""
    _, start, length = _begin(source, name, offset, 0)
    return start, length


def chunk_range(source: Bytes | CachedBytes, offset: int, expected: int, limit: int) -> Range:
    """The range that `read_chunk` reads first, clipped to the file."""
    left = max(0, source.size - offset)
    return offset, min(_CHUNK_ALIGNMENT + min(max(expected, 0), limit), left)


def _begin(source: Bytes | CachedBytes, name: bytes, offset: int, expected: int) -> tuple[bytes, int, int]:
    """At least header and name of a chunk, and the offset and length of its data."""
    if source.size - offset < _HEADER.size:
        raise CorruptDataError(
            f"{source.name} is truncated: {_shown(name)} is beyond the end of the file (byte {offset})"
        )
    raw = source.read(*chunk_range(source, offset, expected, expected))
    magic, name_length, length = _HEADER.unpack_from(raw)
    start = _HEADER.size + name_length
    if magic != MODERN or name_length > _MAX_NAME_BYTES or not raw.startswith(name, _HEADER.size):
        raise CorruptDataError(
            f"{source.name} is damaged, or was changed while it was open: "
            f"{_shown(name)} is not where its index says (byte {offset})"
        )
    return raw, start, length


def _shown(name: bytes) -> str:
    return name.rstrip(b"!").decode("ascii", "replace")


class CachedBytes:
    """The bytes of a file, whose beginning and end are read together and cached.

    Nearly all metadata is there, so that opening takes one round trip, not ten.
    """

    def __init__(self, source: Bytes) -> None:
        self._source = source
        self.name = source.name
        self.size = source.size
        self._kept: list[tuple[int, bytes]] = []
        head, tail = min(_HEAD_BYTES, self.size), max(0, self.size - _TAIL_BYTES)
        self.fetch([(0, self.size)] if tail <= head else [(0, head), (tail, self.size - tail)])
        self.size = self._end(0 if tail <= head else tail)

    def _end(self, tail: int) -> int:
        """Where the file ends, without zeros that were appended when it was copied or space was reserved."""
        data = self.kept(tail, self.size - tail) or b""
        at = data.rfind(_SIGNATURE)
        end = at + _END_BYTES
        return tail + end if at >= 0 and not data[end:].strip(b"\0") else self.size

    def fetch(self, ranges: Sequence[Range]) -> None:
        """Read the parts of these ranges that are not cached, all at once, and cache them."""
        missing = [(offset, length) for offset, length in ranges if self.kept(offset, length) is None]
        self._source.fetch(missing)
        for (offset, _), data in zip(missing, self._source.read_many(missing), strict=True):
            self.keep(offset, data)

    def keep(self, offset: int, data: bytes) -> None:
        """Cache the bytes read at `offset`."""
        self._kept.append((offset, data))

    def kept(self, offset: int, length: int) -> bytes | None:
        """The bytes [offset, offset + length) if all of them are cached, else None."""
        for begin, data in self._kept:
            if begin <= offset and offset + length <= begin + len(data):
                return data[offset - begin : offset - begin + length]
        return None

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        kept = self.kept(offset, length)
        return self._source.read(offset, length) if kept is None else kept

    def opened(self) -> BinaryIO:
        """Like `Bytes.opened`, for the parts not cached."""
        return self._source.opened()


class ParserFile:
    """A file object for the nd2 library. Not for several threads at once."""

    closed = False

    def __init__(self, source: CachedBytes) -> None:
        self._source = source
        self._file = source.opened()
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Like a file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, length: int | None = -1) -> bytes:
        """Like a file, but never an absurd amount at once."""
        left = max(0, self._source.size - self._at)
        length = left if length is None or length < 0 else min(length, left)
        if length > _MAX_PARSED_BYTES:
            raise LimitExceededError(
                f"{self._source.name} declares a metadata block of {length} bytes: too large"
            )
        data = self._source.kept(self._at, length)
        if data is None:
            self._file.seek(self._at)
            data = self._file.read(length)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Like a file; the underlying bytes stay open."""
        self.closed = True
        self._file.close()


def has_map(source: CachedBytes) -> bool:
    """Whether the file ends with its map, which is written when the acquisition has finished."""
    end = source.kept(source.size - _END_BYTES, _END_BYTES)
    return end is not None and end.startswith(_SIGNATURE)
