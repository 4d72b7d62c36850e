"""Chunk indexes newer than the B-tree: single chunk, implicit, fixed and extensible arrays.

An array has an entry for each chunk, in pages; that of a dataset that can grow along one axis, as those that
are read while being written, grows by blocks of increasing length. Each part ends with a checksum.
Source: "HDF5 File Format Specification Version 3.0", appendix C; ``H5EA`` and ``H5FA`` of the HDF5 library.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....errors import CorruptDataError
from ....storage.memory_cache import MemoryCache
from .chunks import (
    KEPT_PIECES,
    MAX_TABLE_CHUNKS,
    ChunkBatch,
    Lookup,
    StoredChunk,
    read_index,
)
from .structures import UNDEFINED, lookup3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..file import HDF5File
    from .chunks import Place

    Piece = tuple[int, int]  # offset, length
    Run = tuple[Piece, int, int]  # of entries: their piece, offset, count

_MAX_PIECE_BYTES = 64 * 1024**2
_INDEX_ENTRIES_AT_ONCE = 1 << 16
_PREFIX = 14  # signature, version, kind, address of the header
_CHECKSUM = 4


class Order:
    """The numbering of chunks: C order, but with the unlimited axis first."""

    def __init__(self, most: Sequence[int | None], chunk: Sequence[int], grows: int | None = None) -> None:
        self._axes = [*([] if grows is None else [grows]), *(i for i in range(len(chunk)) if i != grows)]
        counts = [-(-(most[i] or 0) // chunk[i]) for i in self._axes]
        self._steps = [math.prod(counts[i + 1 :]) for i in range(len(counts))]
        self.size = None if grows is not None else math.prod(counts)

    def number(self, place: Place) -> int:
        """The number of a chunk."""
        return sum(place[axis] * step for axis, step in zip(self._axes, self._steps, strict=True))

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """The places (n, rank) of chunks by number."""
        places = np.zeros((len(numbers), len(self._axes)), np.uint64)
        rest = numbers.astype(np.uint64)
        for axis, step in zip(self._axes, self._steps, strict=True):
            if step:
                places[:, axis], rest = np.divmod(rest, np.uint64(step))
        return places


class Entries(NamedTuple):
    """The locations of chunks in sequence; `UNDEFINED` for those not stored."""

    addresses: np.ndarray
    sizes: np.ndarray
    masks: np.ndarray

    @classmethod
    def missing(cls, n: int) -> Entries:
        """Entries of which none is stored."""
        return cls(np.full(n, UNDEFINED, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint64))

    def put(self, at: np.ndarray, other: Entries) -> None:
        """Copy those of `other` to some places."""
        for mine, theirs in zip(self, other, strict=True):
            mine[at] = theirs


class _Numbered(Lookup):
    """An index by chunk number."""

    def __init__(self, order: Order) -> None:
        self._order = order

    def _entries(self, numbers: np.ndarray) -> Entries:
        raise NotImplementedError

    def _count(self) -> int:
        """The count of chunk numbers."""
        assert self._order.size is not None
        return self._order.size

    def find(self, places: Sequence[Place]) -> list[StoredChunk | None]:
        """See `Lookup.find`."""
        found = self._entries(np.array([self._order.number(place) for place in places], np.uint64))
        rows = zip(*(column.tolist() for column in found), strict=True)
        return [None if row[0] == UNDEFINED else StoredChunk(*row) for row in rows]

    def parts(self, is_over: Callable[[], bool]) -> list[ChunkBatch] | None:
        """See `Lookup.parts`."""
        count, parts = self._count(), []
        if count > MAX_TABLE_CHUNKS:
            return None
        for start in range(0, count, _INDEX_ENTRIES_AT_ONCE):
            if is_over():
                return None
            numbers = np.arange(start, min(count, start + _INDEX_ENTRIES_AT_ONCE), dtype=np.uint64)
            parts.append(ChunkBatch(self._order.places(numbers), *self._entries(numbers)))
        return parts


class ImplicitIndex(_Numbered):
    """Chunks of equal length, in order, from an address on; also a single one."""

    def __init__(self, order: Order, address: int, size: int, mask: int = 0) -> None:
        super().__init__(order)
        self._address = address
        self._size = size
        self._mask = mask

    def _entries(self, numbers: np.ndarray) -> Entries:
        sizes = np.full(len(numbers), self._size, np.uint64)
        return Entries(np.uint64(self._address) + numbers * sizes, sizes, np.full(len(numbers), self._mask))


# ---- arrays ----------------------------------------------------------------------------------


class _Array(_Numbered):
    """Common to both kinds of arrays: pieces with a checksum, pages of entries."""

    def __init__(self, file: HDF5File, order: Order, address: int, chunk_bytes: int, where: str) -> None:
        super().__init__(order)
        self._file = file
        self._base = file.superblock.offset
        self._address = address
        self._chunk_bytes = chunk_bytes
        self._where = where
        self._pieces: MemoryCache[Piece, bytes] = MemoryCache(KEPT_PIECES)

    def _fetch(self, pieces: Sequence[Piece]) -> Iterable[tuple[Piece, bytes]]:
        if any(length > _MAX_PIECE_BYTES for _, length in pieces):
            raise self._damaged()
        raws = read_index(self._file, list(pieces), self._where)
        for raw, (_, length) in zip(raws, pieces, strict=True):
            if len(raw) != length or lookup3(raw[:-_CHECKSUM]) != int.from_bytes(raw[-_CHECKSUM:], "little"):
                raise self._damaged()
        return zip(pieces, raws, strict=True)

    def _piece(self, address: int, length: int, signature: bytes) -> bytes:
        raw = self._pieces.get([(address, length)], self._fetch)[address, length]
        if not raw.startswith(signature):
            raise self._damaged()
        return raw

    def _damaged(self) -> CorruptDataError:
        return CorruptDataError(f"{self._where} is damaged: invalid chunk index")

    def _parsed(self, raw: bytes, start: int, count: int, entry_bytes: int) -> Entries:
        """`count` entries from `start` on; for chunks without filters only the address is stored."""
        table = np.frombuffer(raw, np.uint8, count * entry_bytes, start).reshape(count, entry_bytes)
        addresses = table[:, :8].copy().view("<u8")[:, 0]
        addresses[addresses != UNDEFINED] += np.uint64(self._base)
        if entry_bytes == 8:
            return Entries(
                addresses, np.full(count, self._chunk_bytes, np.uint64), np.zeros(count, np.uint64)
            )
        sizes = np.zeros((count, 8), np.uint8)
        sizes[:, : entry_bytes - 12] = table[:, 8:-4]
        masks = table[:, -4:].copy().view("<u4")[:, 0].astype(np.uint64)
        return Entries(addresses, sizes.view("<u8")[:, 0], masks)

    def _check_entry(self, entry_bytes: int) -> None:
        if entry_bytes != 8 and not 13 <= entry_bytes <= 20:
            raise self._damaged()

    def _take(self, found: Entries, numbers: np.ndarray, wanted: dict[int, Run], entry_bytes: int) -> Entries:
        """Fill in entries; `wanted` has runs of them by their first number."""
        pieces = self._pieces.get({piece for piece, _, _ in wanted.values()}, self._fetch)
        for first, (piece, start, count) in wanted.items():
            of_run = np.flatnonzero((numbers >= first) & (numbers < first + count))
            entries = self._parsed(pieces[piece], start, count, entry_bytes)
            which = (numbers[of_run] - np.uint64(first)).astype(np.int64)
            found.put(of_run, Entries(*(column[which] for column in entries)))
        return found


class FixedArray(_Array):
    """An array with an entry for every possible chunk."""

    def _entries(self, numbers: np.ndarray) -> Entries:
        raw = self._piece(self._address, 28, b"FAHD")
        entry_bytes, bits = raw[6], raw[7]
        count, block = struct.unpack_from("<QQ", raw, 8)
        self._check_entry(entry_bytes)
        found = Entries.missing(len(numbers))
        if block == UNDEFINED or not count:
            return found
        page = 1 << min(bits, 40)
        block += self._base
        if count <= page:
            whole = (block, _PREFIX + count * entry_bytes + _CHECKSUM)
            return self._take(found, numbers, {0: (whole, _PREFIX, count)}, entry_bytes)
        n_pages = -(-count // page)
        prefix_bytes = _PREFIX + -(-n_pages // 8) + _CHECKSUM
        is_there = self._piece(block, prefix_bytes, b"FADB")[_PREFIX:-_CHECKSUM]
        wanted: dict[int, Run] = {}
        for i in np.unique(numbers // np.uint64(page)).tolist():
            if i < n_pages and is_there[i // 8] & 0x80 >> i % 8:
                of_page = min(page, count - i * page)
                at = block + prefix_bytes + i * (page * entry_bytes + _CHECKSUM)
                wanted[i * page] = ((at, of_page * entry_bytes + _CHECKSUM), 0, of_page)
        return self._take(found, numbers, wanted, entry_bytes)


class _Header(NamedTuple):
    """The header of an extensible array."""

    entry_bytes: int
    max_bits: int
    in_index: int
    least: int  # entries of a data block
    least_pointers: int
    page: int
    last: int  # the highest number set, plus one
    index_block: int

    @property
    def offset_bytes(self) -> int:
        """The stored size of the number of a block's first entry."""
        return -(-self.max_bits // 8)

    @property
    def direct(self) -> int:
        """The number of levels whose data blocks are in the index block itself."""
        return 2 * (self.least_pointers.bit_length() - 1)

    def blocks(self, level: int) -> int:
        """The number of data blocks of a level."""
        return 1 << level // 2

    def entries(self, level: int) -> int:
        """The number of entries per data block of a level."""
        return self.least << (level + 1) // 2

    def start(self, level: int) -> int:
        """The number of a level's first entry."""
        return self.in_index + self.least * ((1 << level) - 1)

    def level(self, number: int) -> int:
        """The level of a number that is not in the index block."""
        return ((number - self.in_index) // self.least + 1).bit_length() - 1


class ExtensibleArray(_Array):
    """An extensible array: a few entries in an index block, the others in data blocks of increasing size."""

    def _header(self) -> _Header:
        raw = self._piece(self._address, 72, b"EAHD")
        entry_bytes, max_bits, in_index, least, least_pointers, page_bits = raw[6:12]
        last, index = struct.unpack_from("<QQ", raw, 44)[0], struct.unpack_from("<Q", raw, 60)[0]
        self._check_entry(entry_bytes)
        powers = (least, least_pointers)
        if max_bits > 64 or page_bits > 40 or any(not n or n & (n - 1) for n in powers):
            raise self._damaged()
        page = 1 << page_bits
        index = index if index == UNDEFINED else index + self._base
        return _Header(entry_bytes, max_bits, in_index, least, least_pointers, page, last, index)

    def _count(self) -> int:
        return self._header().last

    def _entries(self, numbers: np.ndarray) -> Entries:
        header = self._header()
        found = Entries.missing(len(numbers))
        if header.index_block == UNDEFINED:
            return found
        n_direct = 2 * (header.least_pointers - 1)
        n_levels = max(header.max_bits - header.least.bit_length() + 2 - header.direct, 0)
        at_pointers = _PREFIX + header.in_index * header.entry_bytes
        length = at_pointers + 8 * (n_direct + n_levels) + _CHECKSUM
        raw = self._piece(header.index_block, length, b"EAIB")
        pointers = struct.unpack_from(f"<{n_direct + n_levels}Q", raw, at_pointers)
        wanted: dict[int, Run] = {}
        if header.in_index:
            wanted[0] = ((header.index_block, length), _PREFIX, header.in_index)
        for level, of_level in self._by_level(header, numbers).items():
            if level < header.direct:
                first = sum(header.blocks(lower) for lower in range(level))
                blocks = pointers[first : first + header.blocks(level)]
                wanted |= self._wanted(header, level, of_level, blocks, None)
            elif level - header.direct < n_levels and pointers[n_direct + level - header.direct] != UNDEFINED:
                address = pointers[n_direct + level - header.direct] + self._base
                blocks, is_there = self._level_block(header, level, address)
                wanted |= self._wanted(header, level, of_level, blocks, is_there)
        return self._take(found, numbers, wanted, header.entry_bytes)

    def _by_level(self, header: _Header, numbers: np.ndarray) -> dict[int, list[int]]:
        levels: dict[int, list[int]] = {}
        for number in numbers.tolist():
            if header.in_index <= number < header.last:
                levels.setdefault(header.level(number), []).append(number)
        return levels

    def _level_block(self, header: _Header, level: int, address: int) -> tuple[tuple[int, ...], bytes]:
        """The addresses of a level's data blocks, and which of their pages exist."""
        n_blocks, n_pages = header.blocks(level), header.entries(level) // header.page
        page_bytes = n_blocks * -(-n_pages // 8) if n_pages > 1 else 0
        at = _PREFIX + header.offset_bytes
        raw = self._piece(address, at + page_bytes + 8 * n_blocks + _CHECKSUM, b"EASB")
        return struct.unpack_from(f"<{n_blocks}Q", raw, at + page_bytes), raw[at : at + page_bytes]

    def _wanted(
        self,
        header: _Header,
        level: int,
        numbers: list[int],
        blocks: tuple[int, ...],
        is_there: bytes | None,
    ) -> dict[int, Run]:
        """The pieces containing `numbers`, all of one level: data blocks, or pages of long ones."""
        entries, start = header.entries(level), header.start(level)
        prefix = _PREFIX + header.offset_bytes
        is_paged = entries > header.page
        unit = header.page if is_paged else entries
        page_bytes = header.page * header.entry_bytes + _CHECKSUM
        mask_bytes = -(-(entries // header.page) // 8)
        wanted: dict[int, Run] = {}
        for i in {(number - start) // unit for number in numbers}:
            block, page = divmod(i * unit, entries)
            address, page = blocks[block], page // header.page
            if address == UNDEFINED:
                continue
            address += self._base
            if not is_paged:
                piece = (address, prefix + entries * header.entry_bytes + _CHECKSUM)
                wanted[start + i * unit] = (piece, prefix, entries)
            elif is_there and is_there[block * mask_bytes + page // 8] & 0x80 >> page % 8:
                piece = (address + prefix + _CHECKSUM + page * page_bytes, page_bytes)
                wanted[start + i * unit] = (piece, 0, header.page)
        return wanted
