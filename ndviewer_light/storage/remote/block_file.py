"""A file on a server for parsers: small reads anywhere, mostly from memory.

Data is cached in blocks of 8 KiB, shared by all parsers of the same file, least recently used
removed first. Sequential reads double the amount fetched each time.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..bytes import SeekableFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Range = tuple[int, int]
    ReadMany = Callable[[Sequence[Range]], list[bytes]]

BLOCK_BYTES = 8 * 1024
_LEAST_AHEAD = 64 * 1024
MAX_BYTES = 16 * 1024**2
MAX_AHEAD_BYTES = 4 * 1024**2


class Blocks:
    """The blocks of one file that are in memory. Any thread.

    It has no lock: h5py's reads hold h5py's lock, and must not wait for a thread that may need it.
    Each step is a single dictionary operation, and a block that another thread has just removed counts
    as missing.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def put(self, offset: int, data: bytes) -> None:
        """Cache the blocks completely contained in `data`, which begins at `offset`."""
        first, end = -(-offset // BLOCK_BYTES), offset + len(data)
        for number in range(first, -(-end // BLOCK_BYTES)):
            start = number * BLOCK_BYTES
            stop = min(start + BLOCK_BYTES, self.size)
            if stop <= end:
                self._blocks[number] = data[start - offset : stop - offset]
                self._touch(number)
        while len(self._blocks) * BLOCK_BYTES > MAX_BYTES:
            with contextlib.suppress(KeyError):  # another thread was faster
                self._blocks.popitem(last=False)

    def _touch(self, number: int) -> None:
        with contextlib.suppress(KeyError):
            self._blocks.move_to_end(number)

    def get(self, offset: int, length: int) -> bytes | None:
        """The bytes [offset, offset + length) if all of them are cached."""
        if length > MAX_BYTES:
            return None
        parts = []
        for number in _numbers(offset, length):
            block = self._blocks.get(number)
            if block is None:
                return None
            self._touch(number)
            start = number * BLOCK_BYTES
            parts.append(block[max(0, offset - start) : offset + length - start])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def all(self) -> list[tuple[int, bytes]]:
        """The blocks and their numbers, in order."""
        return sorted(self._blocks.items())

    def clear(self) -> None:
        """Release all blocks."""
        self._blocks.clear()

    def missing(self, offset: int, length: int) -> list[Range]:
        """The ranges of whole blocks to read before `get` succeeds."""
        runs: list[list[int]] = []
        for number in _numbers(offset, length):
            if number in self._blocks:
                continue
            if runs and runs[-1][1] == number:
                runs[-1][1] = number + 1
            else:
                runs.append([number, number + 1])
        ends = ((first * BLOCK_BYTES, min(last * BLOCK_BYTES, self.size)) for first, last in runs)
        return [(start, end - start) for start, end in ends]


def _numbers(offset: int, length: int) -> range:
    return range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES) if length else 0)


class BlockFile(SeekableFile):
    """A seekable file on `Blocks`; reads `ahead` bytes at once where nothing is cached.

    Like any file it has one position: threads that share it must take turns.
    """

    def __init__(self, blocks: Blocks, read_many: ReadMany, ahead: int) -> None:
        super().__init__(blocks.size)
        self._blocks = blocks
        self._read_many = read_many
        self._least = self._ahead = max(_LEAST_AHEAD, ahead)
        self._read_until = -1

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._blocks.size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        data = self._bytes(self._at, length)
        self._at += length
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _bytes(self, offset: int, length: int) -> bytes:
        if self.closed:
            raise ValueError("the file was closed")
        if not length:
            return b""
        data = self._blocks.get(offset, length)
        if data is not None:
            return data
        if length >= MAX_AHEAD_BYTES:  # pixels, not metadata: not worth caching
            return self._read_many([(offset, length)])[0]
        missing = self._blocks.missing(offset, length)  # nothing, if another thread has just fetched it
        ranges = self._with_more(missing) if missing else []
        found = dict(zip(ranges, self._read_many(ranges), strict=True))
        for (start, _), read in found.items():
            self._blocks.put(start, read)
        data = self._blocks.get(offset, length)
        # already evicted by concurrent large reads
        return data if data is not None else self._read_many([(offset, length)])[0]

    def _with_more(self, ranges: list[Range]) -> list[Range]:
        (first, _), (start, length) = ranges[0], ranges[-1]
        self._ahead = min(self._ahead * 2, MAX_AHEAD_BYTES) if first == self._read_until else self._least
        length = min(max(length, self._ahead // BLOCK_BYTES * BLOCK_BYTES), self._blocks.size - start)
        self._read_until = start + length
        return [*ranges[:-1], (start, length)]
