"""Chunks of one dataset: which ones a plane intersects, and where they are.

`btree` and `arrays` look chunks up in the kinds of index that HDF5 has; `index` uses them.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....errors import CorruptDataError, LimitExceededError
from .structures import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..file import HDF5File

    Place = tuple[int, ...]  # a chunk's place in the grid, one index per axis

MAX_TABLE_CHUNKS = 2_000_000
"""Datasets of more chunks are never indexed whole (24 bytes each)."""

KEPT_PIECES = 1024
"""The number of index parts kept in memory."""


class StoredChunk(NamedTuple):
    """Where a chunk is stored: byte range in the file, and the filters that were skipped."""

    address: int
    size: int
    mask: int


class Grid:
    """The chunk grid of an array: `chunk` is their shape, also for those that extend beyond the end."""

    def __init__(self, shape: tuple[int, ...], chunk: tuple[int, ...]) -> None:
        self.shape = shape
        self.chunk = chunk
        self.counts = tuple(-(-whole // part) for whole, part in zip(shape, chunk, strict=True))
        self.n_chunks = math.prod(self.counts)
        steps = itertools.accumulate(reversed(self.counts[1:]), lambda a, b: a * b, initial=1)
        self._steps = tuple(reversed(list(steps)))

    def number(self, place: Sequence[int]) -> int:
        """The chunk number in C order."""
        return sum(i * step for i, step in zip(place, self._steps, strict=True))

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """The same for an array (n, rank) of places, all inside."""
        result: np.ndarray = places.astype(np.int64) @ np.array(self._steps, np.int64)
        return result


MAX_CHUNKS_AT_ONCE = 250_000
"""More take minutes."""


def places_cut(selection: Sequence[tuple[int, int]], chunk: tuple[int, ...]) -> list[Place]:
    """The chunks that intersect [start, stop) along each axis; raises `LimitExceededError` if too many."""
    ranges = [
        range(start // part, -(-stop // part)) for (start, stop), part in zip(selection, chunk, strict=True)
    ]
    if (n := math.prod(map(len, ranges))) > MAX_CHUNKS_AT_ONCE:
        raise LimitExceededError(
            f"{n} chunks of {chunk} cannot be read at once, at most {MAX_CHUNKS_AT_ONCE}: read a region"
        )
    return list(itertools.product(*ranges))


class Table(NamedTuple):
    """All stored chunks, in the order of their numbers."""

    numbers: np.ndarray  # int64
    addresses: np.ndarray  # uint64
    sizes: np.ndarray  # uint32
    masks: np.ndarray  # uint32

    def find(self, numbers: Sequence[int]) -> list[StoredChunk | None]:
        """The locations of these chunks; None for those not stored."""
        at = np.searchsorted(self.numbers, np.array(numbers, np.int64))
        return [self._stored(int(i), number) for i, number in zip(at, numbers, strict=True)]

    def _stored(self, i: int, number: int) -> StoredChunk | None:
        if i >= len(self.numbers) or self.numbers[i] != number:
            return None
        return StoredChunk(int(self.addresses[i]), int(self.sizes[i]), int(self.masks[i]))


class ChunkBatch(NamedTuple):
    """Some chunks as listed in an index: places (n, rank), addresses, sizes, masks."""

    places: np.ndarray
    addresses: np.ndarray
    sizes: np.ndarray
    masks: np.ndarray


def table_of(grid: Grid, parts: Iterable[ChunkBatch]) -> Table:
    """A table of all parts, without those outside the grid or without an address."""
    columns = list(zip(*parts, strict=True))
    rank = len(grid.chunk)
    places, addresses, sizes, masks = (
        tuple(np.concatenate(column) for column in columns)
        if columns
        else (np.empty((0, rank), np.uint64), *(np.empty(0, np.uint64),) * 3)
    )
    inside = (places < np.array(grid.counts, np.uint64)).all(axis=1) & (addresses != UNDEFINED)
    numbers = grid.numbers(places[inside])
    order = np.argsort(numbers, kind="stable")
    return Table(
        numbers[order],
        addresses[inside][order].astype(np.uint64),
        sizes[inside][order].astype(np.uint32),
        masks[inside][order].astype(np.uint32),
    )


class WholeBlocks:
    """A contiguous array treated as chunks; those at its end are shorter.

    All axes of `chunk` before the one that is split are 1, all after it are complete.
    """

    def __init__(self, shape: tuple[int, ...], chunk: tuple[int, ...], address: int, item_bytes: int) -> None:
        self._whole = Grid(shape, (1,) * len(shape))
        self._chunk = chunk
        self._address = address
        self._item_bytes = item_bytes

    def find(self, places: Sequence[Place]) -> list[StoredChunk | None]:
        """See `ChunkIndex.find`."""
        return [self._stored(place) for place in places]

    def _stored(self, place: Place) -> StoredChunk:
        first = self._whole.number([i * part for i, part in zip(place, self._chunk, strict=True)])
        size = math.prod(self.block_shape(place)) * self._item_bytes
        return StoredChunk(self._address + first * self._item_bytes, size, 0)

    def block_shape(self, place: Place) -> tuple[int, ...]:
        """The stored shape of one chunk."""
        return tuple(
            min(part, whole - i * part)
            for i, part, whole in zip(place, self._chunk, self._whole.shape, strict=True)
        )


# ---- lookups --------------------------------------------------------------------------------


class Lookup(ABC):
    """One kind of index. Any thread; all methods may read, and raise `CorruptDataError` if it is damaged."""

    @abstractmethod
    def find(self, places: Sequence[Place]) -> list[StoredChunk | None]:
        """The locations of these chunks; None for each that is not stored."""

    @abstractmethod
    def parts(self, is_over: Callable[[], bool]) -> list[ChunkBatch] | None:
        """All chunks; None if there are too many, or `is_over` became true."""


class NothingStored(Lookup):
    """A dataset without any stored chunk."""

    def find(self, places: Sequence[Place]) -> list[StoredChunk | None]:
        """See `Lookup.find`."""
        return [None] * len(places)

    def parts(self, is_over: Callable[[], bool]) -> list[ChunkBatch]:
        """See `Lookup.parts`."""
        return []


def read_index(file: HDF5File, ranges: list[tuple[int, int]], where: str) -> list[bytes]:
    """Read pieces of an index (offset, length), clipped at the end of the file."""
    size = file.bytes.size
    if any(address >= size for address, _ in ranges):
        raise CorruptDataError(f"{where} is damaged: its chunk index points beyond the end of the file")
    return file.bytes.read_many([(at, min(length, size - at)) for at, length in ranges])
