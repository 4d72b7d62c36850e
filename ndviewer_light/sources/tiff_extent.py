"""How many bytes an image file should have, by its own header: is it damaged, or half-written?"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import BinaryIO

_TYPE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_OFFSETS, _BYTE_COUNTS = (273, 324), (279, 325)
_MAX_ENTRIES = 4096
_MAX_PARTS = 1_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 100_000


class Stored(NamedTuple):
    """Bytes a file has, and at least should have."""

    there: int
    expected: int


def stored_bytes(path: str) -> Stored | None:
    """Bytes of the file at `path`, and of it as its header describes it; None where that tells nothing.

    Reads the header and the first page's tags, or the heads of a PNG's chunks. Never raises.
    """
    try:
        with open(path, "rb") as file:
            there = file.seek(0, 2)
            file.seek(0)
            return Stored(there, _expected(file, there))
    except (OSError, ValueError, struct.error, OverflowError):
        return None


def _expected(file: BinaryIO, there: int) -> int:
    magic = file.read(8)
    if len(magic) < 8:
        return 8
    if magic == _PNG:
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
    return 0


class _Directory:
    """The tags of a TIFF's first page."""

    def __init__(self, file: BinaryIO, there: int, order: str, *, big: bool) -> None:
        self._file = file
        self._there = there
        self._order = order
        self._count, self._entry, self._value = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")

    def end(self, offset: int) -> int:
        """Where the page ends: the last byte of its tags, their values and its pixels."""
        if offset == 0:
            return self._there + 1  # the header is there, the page is not
        count_size = struct.calcsize(self._count)
        if offset + count_size > self._there:
            return offset + count_size
        (n,) = self._unpack(self._count, offset)
        size = struct.calcsize(f"<{self._entry}{self._value}")
        end = offset + count_size + min(n, _MAX_ENTRIES) * size + struct.calcsize(f"<{self._value}")
        if end > self._there:
            return end
        parts: dict[int, tuple[int, ...]] = {}
        for i in range(min(n, _MAX_ENTRIES)):
            end = max(end, self._entry_end(offset + count_size + i * size, parts))
        if end > self._there:
            return end
        offsets = next((parts[tag] for tag in _OFFSETS if tag in parts), ())
        counts = next((parts[tag] for tag in _BYTE_COUNTS if tag in parts), ())
        return max([end, *(at + count for at, count in zip(offsets, counts, strict=False))])

    def _entry_end(self, at: int, parts: dict[int, tuple[int, ...]]) -> int:
        """Where the value of a tag ends; those that say where the pixels are go into `parts`."""
        tag, kind, n = self._unpack(self._entry, at)
        size = _TYPE_SIZES.get(kind, 1) * n
        inline = struct.calcsize(f"<{self._value}")
        where = at + struct.calcsize(f"<{self._entry}")
        if size > inline:
            (where,) = self._unpack(self._value, where)
        end = int(where + size)
        if tag in (*_OFFSETS, *_BYTE_COUNTS) and end <= self._there and n <= _MAX_PARTS:
            parts[tag] = self._unpack(f"{n}{ {3: 'H', 4: 'I', 16: 'Q'}.get(kind, 'I') }", where)
        return end

    def _unpack(self, format_: str, at: int) -> tuple[int, ...]:
        structure = struct.Struct(self._order + format_)
        self._file.seek(at)
        return structure.unpack(self._file.read(structure.size))


def _expected_of_png(file: BinaryIO, there: int) -> int:
    at = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return at + 12  # the smallest chunk
        (length,) = struct.unpack_from(">I", head)
        at += 12 + int(length)
        if head[4:] == b"IEND" or at > there:
            return at
    return 0
