"""A file of which pieces that will be needed soon are fetched at once, ahead of the parser that reads it."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING, Any

from ..bytes import SeekableFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ..bytes import Bytes

PIECE = 4096
"""Enough for the tags of a page and their values; the rest of longer ones is read when it is needed."""

_MOST_PIECES = 16_384


class AheadFile(SeekableFile):
    """A seekable file on `Bytes`. Like any file it has one position: threads that share it take turns."""

    def __init__(self, source: Bytes, block: int) -> None:
        """Where nothing was fetched ahead, `block` bytes are read at once."""
        super().__init__(source.size)
        self._source = source
        self._file: BinaryIO = source.opened(block)
        self._starts: list[int] = []
        self._pieces: dict[int, bytes] = {}

    def fetch(self, offsets: Sequence[int]) -> None:
        """Read a piece at each of these offsets, all at once."""
        wanted = [at for at in offsets if at not in self._pieces and 0 <= at < self._size]
        if len(self._pieces) + len(wanted) > _MOST_PIECES:
            return
        ranges = [(at, min(PIECE, self._size - at)) for at in wanted]
        for at, data in zip(wanted, self._source.read_many(ranges), strict=True):
            self._pieces[at] = data
            insort(self._starts, at)

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes at the position, fewer only at the end of the file."""
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        data = self._piece(self._at, length)
        if data is None:
            self._file.seek(self._at)
            data = self._file.read(length)
        self._at += len(data)
        return data

    def _piece(self, offset: int, length: int) -> bytes | None:
        i = bisect_right(self._starts, offset) - 1
        if i < 0:
            return None
        start = self._starts[i]
        data = self._pieces[start][offset - start : offset - start + length]
        return data if len(data) == length else None

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Release the pieces, and the file beneath."""
        if not self.closed:
            self._pieces.clear()
            self._starts.clear()
            self._file.close()
        super().close()
