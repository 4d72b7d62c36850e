"""Plans requests for byte ranges: neighbours merged, large ones divided. Pure functions.

A request costs a round trip, a gap costs its bytes. With many requests in flight,
a gap of a few KiB is cheaper than another request, a gap of 100 KiB is not: wider gaps are only bridged
if they are small compared with the wanted data.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SMALL_GAP_BYTES = 16 * 1024  # always bridged
MAX_GAP_BYTES = 256 * 1024
MAX_WASTE = 1 / 16  # share of a block's wanted bytes, for wider gaps
MIN_BLOCK_BYTES = 1024**2
MAX_BLOCK_BYTES = 20_000_000
SHARES = 32  # the number of requests for a large read, as one connection is slower than the network

Range = tuple[int, int]  # offset, length in bytes


class Block(NamedTuple):
    """The bytes [start, end) of a file, fetched by one request."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """The length in bytes."""
        return self.end - self.start


def blocks_for(ranges: Sequence[Range]) -> list[Block]:
    """The sorted, disjoint blocks that contain all of `ranges` (in any order)."""
    total = sum(length for _, length in ranges)
    largest = max(MIN_BLOCK_BYTES, min(MAX_BLOCK_BYTES, total // SHARES))
    blocks: list[Block] = []
    wanted = 0  # requested bytes of the last block
    for start, end in _pieces(ranges, largest):
        if blocks:
            last = blocks[-1]
            start = max(start, last.end)
            if end <= last.end:
                continue
            gap = start - last.end
            if end - last.start <= largest and _worth_reading(gap, last.length + gap - wanted, wanted):
                blocks[-1] = Block(last.start, end)
                wanted += end - start
                continue
        blocks.append(Block(start, end))
        wanted = end - start
    return blocks


def _pieces(ranges: Sequence[Range], largest: int) -> list[tuple[int, int]]:
    pieces = []
    for offset, length in sorted(ranges):
        # rounded: a frame longer than a block by just a header is not worth a second request
        parts = max(1, (length + largest // 2) // largest, -(-length // MAX_BLOCK_BYTES))
        step = -(-length // parts) if length else 1
        pieces += [(at, min(at + step, offset + length)) for at in range(offset, offset + length, step)]
    return sorted(pieces)


def _worth_reading(gap: int, waste: int, wanted: int) -> bool:
    return gap <= SMALL_GAP_BYTES or (gap <= MAX_GAP_BYTES and waste <= wanted * MAX_WASTE)


def blocks_of(blocks: Sequence[Block], offset: int, length: int) -> Sequence[Block]:
    """Those of sorted `blocks` that overlap a range."""
    first = bisect_right(blocks, offset, key=lambda block: block.end)
    last = first
    while last < len(blocks) and blocks[last].start < offset + length:
        last += 1
    return blocks[first:last]


def joined(blocks: Sequence[Block], data: Mapping[Block, bytes], offset: int, length: int) -> bytes:
    """The bytes of a range from the `blocks` that contain it; copied unless equal to one of them."""
    end = offset + length
    if len(blocks) == 1 and blocks[0] == (offset, end):
        return data[blocks[0]]
    parts = [
        memoryview(data[block])[max(offset, block.start) - block.start : min(end, block.end) - block.start]
        for block in blocks
    ]
    return b"".join(parts)
