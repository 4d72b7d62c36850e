"""Checks the page chain of a TIFF in Python before a library follows it.

Each page of a TIFF points to the next, by its offset in the file, and may have sub-pages (SubIFDs). In a
damaged or malicious file they may form a loop, which tifffile would follow forever, or may
all refer to the same large list of values, which it would store once per page.
Source of the layout: TIFF 6.0, BigTIFF.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, LimitExceededError
from ...model import how_many
from .tags_ahead import TagsAhead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_BITS_PER_SAMPLE = 258
_FACTS = {254: 6, 256: 1, 257: 0, 258: 3, 262: 4, 277: 2, 284: 5, 338: 7}
"""Tags, and which field of `PageFacts` each is."""


class PageFacts(NamedTuple):
    """What the tags of a page say of its pixels, as numbers of TIFF 6.0.

    `bits` is 0 if there is one for each sample; `extra` is what the only extra sample is, 0 if unspecified.
    """

    height: int = 0
    width: int = 0
    samples: int = 1
    bits: int = 1
    photometric: int = -1
    planar: int = 1
    subfile: int = 0
    extra: int = -1

    @property
    def is_reduced(self) -> bool:
        """Whether it says that it is another image of the file at a lower resolution."""
        return bool(self.subfile & 1)


class IfdChain:
    """The pages of one TIFF visited so far; each is read once. One thread at a time."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        name: str,
        fetch: Callable[[Sequence[int], int], None] | None = None,
    ) -> None:
        """`read` returns the bytes at (offset, length), fewer at the end of the file of `size` bytes.

        `fetch` is told the offsets from which `read` will probably be called next, and how many bytes from
        each are worth having.
        """
        self._read = read
        self._tags = TagsAhead(read, size, fetch)
        self._kinds: dict[PageFacts, int] = {}
        self._kind_of = array("L")  # of each page, its kind
        self.offsets = array("Q")
        """Where each page visited so far begins."""
        self.cut_off_at = 0
        """Where the next page should begin, if the file ends before it, or it has no tags so far; else 0."""
        self._size = size
        self._name = name
        self._seen: set[int] = set()
        self._unwritten: set[int] = set()  # where pages should be of which there are no tags
        self._sub_seen: set[int] = set()
        self._values = 0
        self._first_tags = self._last_tags = b""  # of the first and last page, without where the next one is
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

        Raises `CorruptDataError` for a loop, for overlapping values and where the first page has no tags,
        `LimitExceededError` for more than 10 million pages. Truncation is left to the reader.
        """
        while self._next and (index is None or len(self.offsets) <= index):
            self._walk(self._next)
        self._tags.end_block()

    def continue_from(self, before: IfdChain) -> bool:
        """Take over the pages that a chain of the same file had visited to its end before the file has grown.

        Only if its first and its last page are there as they were; else False, and nothing is taken over.
        """
        if before._next or not before.offsets or len(before._seen) != len(before.offsets):
            return False
        self.check(0)
        if self.offsets[:1] != before.offsets[:1] or self._first_tags != before._first_tags:
            return False
        following = self._follows(before.offsets[-1], before._last_tags)
        if following is None:
            return False
        self.offsets, self._kind_of = before.offsets[:], before._kind_of[:]
        self._kinds, self._seen = dict(before._kinds), set(before._seen)
        self._values, self._last_tags, self._next = before._values, before._last_tags, following
        return True

    def _follows(self, at: int, tags: bytes) -> int | None:
        """The page after the one with these tags; None if they are not there."""
        data = self._read(at, len(tags) + self._offset.size)
        if len(data) < len(tags) + self._offset.size or data[: len(tags)] != tags:
            return None
        (following,) = self._offset.unpack_from(data, len(tags))
        return int(following)

    def begins_page(self, at: int) -> bool:
        """Whether what is stored there are the tags of a page, as the first of its own tags tell."""
        data = self._read(at, _USUAL_BYTES)
        if len(data) < self._count.size + self._tag.size:
            return False
        (n,) = self._count.unpack_from(data)
        code, kind, count, _ = self._tag.unpack_from(data, self._count.size)
        return 4 <= n <= MAX_TAGS and code in (254, 255, 256) and kind in (3, 4, 16) and count == 1

    @property
    def facts(self) -> list[PageFacts]:
        """What each page visited so far contains; equal ones are one object."""
        kinds = list(self._kinds)
        return [kinds[kind] for kind in self._kind_of]

    def check_sub_page(self, at: int) -> None:
        """Visit a sub-page, by its offset; raises like `check`."""
        if at in self._seen:
            raise CorruptDataError(f"{self._name} is damaged: a page contains itself")
        if at not in self._sub_seen:
            self._sub_seen.add(at)
            self._visit(at)  # what follows a sub-page is not looked at

    def _walk(self, at: int) -> None:
        if at in self._seen or at in self._unwritten:
            raise CorruptDataError(
                f"{self._name} is damaged: its pages form a loop, page {len(self._seen)} is followed by an "
                f"earlier one (at byte {at:,})"
            )
        if len(self._seen) + len(self._unwritten) >= MAX_PAGES:
            raise LimitExceededError(f"{self._name} has more than {MAX_PAGES:,} pages")
        self._seen.add(at)
        self._next = 0
        self._tags.expect_after(at)
        self._next = self._visit(at, is_page=True)

    def _visit(self, at: int, *, is_page: bool = False) -> int:
        """Check the tags of a page; returns where the next one is, 0 if there is none."""
        data = self._tags.read(at, _USUAL_BYTES) if 0 < at < self._size else b""
        if len(data) < self._count.size:
            self.cut_off_at = at if is_page else 0
            return 0
        (n,) = self._count.unpack_from(data)
        if n > MAX_TAGS:
            return 0
        start, end = self._count.size, self._count.size + n * self._tag.size
        if len(data) < end + self._offset.size:
            data = self._tags.read(at, end + self._offset.size)
        if len(data) < end + self._offset.size:
            self.cut_off_at = at if is_page else 0
            return 0
        if is_page and self._is_unwritten(data[start:end]):
            return self._after_unwritten(at, data, end)
        found = list(PageFacts())
        for code, kind, count, value in self._tag.iter_unpack(data[start:end]):
            if count > 16:
                self._check_values(count * TYPE_SIZES.get(kind, 1))
            if code in _FACTS and count == 1:
                found[_FACTS[code]] = self._inline(kind, value)
            elif code == _BITS_PER_SAMPLE:
                found[_FACTS[code]] = 0
            elif code == _SUB_IFDS:
                self._check_sub_ifds(kind, count, value)
        if is_page:
            self._kind_of.append(self._kinds.setdefault(PageFacts(*found), len(self._kinds)))
            self.offsets.append(at)
            self._last_tags = data[:end]
            self._first_tags = self._first_tags or data[:end]
        (following,) = self._offset.unpack_from(data, end)
        return int(following)

    def _is_unwritten(self, tags: bytes) -> bool:
        """Whether there is nothing yet where tags belong: a page is named first, its tags may come last."""
        return not any(tags[-self._tag.size :])

    def _after_unwritten(self, at: int, data: bytes, end: int) -> int:
        if not self.offsets:
            raise CorruptDataError(
                f"{self._name} is truncated: it has {how_many(self._size, 'byte')}, but no tags yet"
            )
        (following,) = self._offset.unpack_from(data, end)
        self._seen.remove(at)  # to be visited again as the file grows
        self._unwritten.add(at)
        if not following:  # else its writer died, and another one has gone on
            self.cut_off_at = at
        return int(following)

    @property
    def has_unwritten(self) -> bool:
        """Whether pages were passed over that have no tags: the library counts these as well."""
        return bool(self._unwritten)

    def _inline(self, kind: int, value: int) -> int:
        """A single number that is stored in the tag itself."""
        bits, stored = 8 * TYPE_SIZES.get(kind, 1), 8 * self._offset.size
        if bits >= stored:
            return value
        return value >> stored - bits if self._order == ">" else value & (1 << bits) - 1

    def _check_values(self, nbytes: int) -> None:
        # data beyond the end is left to the reader: it may still be written
        if _SMALL_VALUE < nbytes <= self._size:
            self._values += nbytes
            if self._values > 2 * self._size + _SHARED_BYTES:
                raise CorruptDataError(
                    f"{self._name} is damaged: its tags declare {how_many(self._values, 'byte')} of "
                    "values, but the "
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
