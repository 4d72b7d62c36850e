"""The tags of the pages of a TIFF, fetched ahead of whoever follows its page chain.

A page tells only where the next one begins: on a server, each would be a round trip.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_PAGES_AHEAD = 64
_STRIDES = 6
"""How many pages tell how far apart the following ones will be."""
_WIDEST = 128 * 1024
PIECE = 4096
"""Enough for the tags of a page and their values; the rest of longer ones is read when it is needed."""
_TAGS_BLOCK_BYTES = 4 * 1024**2
"""What is read at once where nothing tells where the next pages begin."""
_FROM_MEMORY_SECONDS = 0.002
_LEAST_IN_BLOCK = 8
"""How many pages it has to contain: each of them would be a round trip."""


class TagsAhead:
    """Reads tags, and guesses where the next pages begin by how far apart the last ones were. One thread."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        size: int,
        fetch: Callable[[Sequence[int], int], None] | None,
    ) -> None:
        """See `IfdChain`; without `fetch`, nothing is fetched ahead."""
        self._read = read
        self._size = size
        self._fetch = fetch
        self._last, self._stride, self._ahead, self._fetched = 0, 0, 2, 0
        self._strides: deque[int] = deque(maxlen=_STRIDES)
        self._guessed = 0  # as far as pages were fetched whose place was only about known
        self._block = 0, b""  # where it begins, and its bytes
        self._in_block: list[int] = []  # the pages in it
        self._block_began = self._alone_seconds = 0.0  # when it was read; how long a page alone took last
        self._by_blocks = True

    def expect_after(self, at: int) -> None:
        """A page begins here: fetch those that follow, if they are about as far apart as the last ones."""
        if self._fetch is None:
            return
        stride, self._last = at - self._last, at
        self._strides.append(stride)
        if stride != self._stride or stride <= 0:
            self._stride, self._ahead, self._fetched = stride, 2, at
            self._guess_ahead(at)
            return
        if at < self._fetched:
            return
        self._ahead = min(2 * self._ahead, _MOST_PAGES_AHEAD)
        following = range(at + stride, min(at + stride * (self._ahead + 1), self._size), stride)
        self._fetched = following[-1] if following else self._size
        self._fetch([at, *following], PIECE)

    def _guess_ahead(self, at: int) -> None:
        """Have what is around the next pages fetched, of compressed ones, whose lengths differ a little.

        The error of a guess grows with the root of the number of pages; what would be fetched for nothing is
        less than what lies between them.
        """
        strides = self._strides
        if self._fetch is None or at < self._guessed or len(strides) < _STRIDES or min(strides) <= 0:
            return
        mean, spread = sum(strides) / len(strides), max(strides) - min(strides)
        widest = min(_WIDEST, int(mean) // 2) - PIECE
        n = min(int((widest / (2 * spread)) ** 2) if widest > 0 else 0, _MOST_PAGES_AHEAD)
        if n < 2:
            self._begin_block(at, mean)
            return
        error = math.ceil(spread * math.sqrt(n))
        starts = [int(at + k * mean) - error for k in range(1, n + 1)]
        self._guessed = int(at + (n - 0.5) * mean)
        self._fetch([start for start in starts if at < start < self._size], 2 * error + PIECE)

    def _begin_block(self, at: int, mean: float) -> None:
        """Read all that follows, where pages differ too much in length to guess where they begin.

        As long as that takes less time than one page after the other.
        """
        if self._holds(at, PIECE):
            self._in_block.append(at)
            return
        self.end_block()
        if self._by_blocks and mean * _LEAST_IN_BLOCK <= _TAGS_BLOCK_BYTES:
            self._block_began = time.monotonic()
            self._block = at, self._read(at, min(_TAGS_BLOCK_BYTES, self._size - at))
            self._in_block = [at]

    def end_block(self) -> None:
        """Leave the block, after the tags of its pages have been fetched for whoever reads them next."""
        if self._in_block and self._fetch is not None:
            self._fetch(self._in_block, PIECE)
            took = time.monotonic() - self._block_began
            self._by_blocks = took < len(self._in_block) * self._alone_seconds
        self._block, self._in_block = (0, b""), []

    def _holds(self, at: int, length: int) -> bool:
        """Whether the block that was read contains these bytes."""
        start, data = self._block
        return start <= at and at + length <= start + len(data)

    def read(self, at: int, length: int) -> bytes:
        """The bytes at an offset, from the block that was read if it contains them."""
        if self._holds(at, length):
            start, data = self._block
            return data[at - start : at - start + length]
        began = time.monotonic()
        found = self._read(at, length)
        took = time.monotonic() - began
        if took > _FROM_MEMORY_SECONDS:
            self._alone_seconds = took
        return found
