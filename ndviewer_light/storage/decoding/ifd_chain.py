"""Checks the page chain of a TIFF in Python before a library follows it.

Each page of a TIFF points to the next, by its offset in the file, and may have sub-pages (SubIFDs). In a
damaged or malicious file they may form a loop, which tifffile would follow forever, or may
all refer to the same large list of values, which it would store once per page.
Source of the layout: TIFF 6.0, BigTIFF.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ...errors import CorruptDataError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PAGES = 10_000_000
MAX_TAGS = 4096
"""As in tifffile: a page with more counts as the end of the chain."""

_MAX_SUB_IFDS = 1024
_SUB_IFDS = 330
_SMALL_VALUE = 4096
_SHARED_BYTES = 16 * 1024**2
"""How much tag values may overlap: some writers share a description among pages."""

TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8}
TYPE_SIZES[18] = 8
_BEGINNINGS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
TIFF_STARTS = tuple(_BEGINNINGS)
"""How TIFF files begin, classic and big."""
_USUAL_BYTES = 512  # of a page's tags


class IfdChain:
    """The pages of one TIFF visited so far; each is read once. One thread at a time."""

    def __init__(self, read: Callable[[int, int], bytes], size: int, name: str) -> None:
        """`read` returns the bytes at (offset, length), fewer at the end of the file of `size` bytes."""
        self._read = read
        self._size = size
        self._name = name
        self._seen: set[int] = set()
        self._sub_seen: set[int] = set()
        self._values = 0
        head = read(0, 16)
        self._order, self._big = _BEGINNINGS.get(head[:4], ("<", False))
        self._next = 0
        if head[:4] in _BEGINNINGS and len(head) >= (16 if self._big else 8):
            at, form = (8, "Q") if self._big else (4, "I")
            (self._next,) = struct.unpack_from(self._order + form, head, at)
        count, tag, offset = ("Q", "HHQQ", "Q") if self._big else ("H", "HHII", "I")
        self._count = struct.Struct(self._order + count)
        self._tag = struct.Struct(self._order + tag)
        self._offset = struct.Struct(self._order + offset)

    def check(self, index: int | None = None) -> None:
        """Visit pages up to `index`, by default to the end. Fast for pages visited before.

        Raises `CorruptDataError` for a loop and for overlapping values, `LimitExceededError` for more than
        10 million pages. Truncation is left to the reader.
        """
        while self._next and (index is None or len(self._seen) <= index):
            self._walk(self._next)

    def check_sub_page(self, at: int) -> None:
        """Visit a sub-page, by its offset; raises like `check`."""
        if at in self._seen:
            raise CorruptDataError(f"{self._name} is damaged: a page contains itself")
        if at not in self._sub_seen:
            self._sub_seen.add(at)
            self._visit(at)  # what follows a sub-page is not looked at

    def _walk(self, at: int) -> None:
        if at in self._seen:
            raise CorruptDataError(
                f"{self._name} is damaged: its pages form a loop, page {len(self._seen)} is followed by an "
                f"earlier one (at byte {at:,})"
            )
        if len(self._seen) >= MAX_PAGES:
            raise LimitExceededError(f"{self._name} has more than {MAX_PAGES:,} pages")
        self._seen.add(at)
        self._next = 0
        self._next = self._visit(at)

    def _visit(self, at: int) -> int:
        """Check the tags of a page; returns where the next one is, 0 if there is none."""
        data = self._read(at, _USUAL_BYTES) if 0 < at < self._size else b""
        if len(data) < self._count.size:
            return 0
        (n,) = self._count.unpack_from(data)
        if n > MAX_TAGS:
            return 0
        start, end = self._count.size, self._count.size + n * self._tag.size
        if len(data) < end + self._offset.size:
            data = self._read(at, end + self._offset.size)
        if len(data) < end + self._offset.size:
            return 0
        for code, kind, count, value in self._tag.iter_unpack(data[start:end]):
            if count > 16:
                self._check_values(count * TYPE_SIZES.get(kind, 1))
            if code == _SUB_IFDS:
                self._check_sub_ifds(kind, count, value)
        (following,) = self._offset.unpack_from(data, end)
        return int(following)

    def _check_values(self, nbytes: int) -> None:
        # data beyond the end is left to the reader: it may still be written
        if _SMALL_VALUE < nbytes <= self._size:
            self._values += nbytes
            if self._values > 2 * self._size + _SHARED_BYTES:
                raise CorruptDataError(
                    f"{self._name} is damaged: its tags declare {self._values:,} bytes of values, but the "
                    f"whole file has {self._size:,}"
                )

    def _check_sub_ifds(self, kind: int, count: int, value: int) -> None:
        if count > _MAX_SUB_IFDS:
            raise CorruptDataError(f"{self._name} is damaged: a page declares {count:,} sub-pages")
        size = TYPE_SIZES.get(kind, 4)
        if size * count <= self._offset.size:
            offsets = [value]
        else:
            data = self._read(value, size * count)
            form = {2: "H", 4: "I", 8: "Q"}.get(size, "I")
            n = len(data) // struct.calcsize(form)
            offsets = list(struct.unpack_from(f"{self._order}{n}{form}", data))
        if self._seen.intersection(offsets):
            raise CorruptDataError(f"{self._name} is damaged: a page contains itself")
