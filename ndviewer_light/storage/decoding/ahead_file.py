"""A file of which pieces that will be needed soon are fetched at once, ahead of the parser that reads it."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING, Any

from ..bytes import SeekableFile
from .tags_ahead import PIECE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ..bytes import Bytes

_MOST_BYTES_AHEAD = 64 * 1024**2
"""Of pieces in memory: 16,384 of the usual length."""


class AheadFile(SeekableFile):
    """A seekable file on `Bytes`. Like any file it has one position: threads that share it take turns."""

    def __init__(self, source: Bytes, block: int) -> None:
        """Where nothing was fetched ahead, `block` bytes are read at once."""
        super().__init__(source.size)
        self._source = source
        self._file: BinaryIO = source.opened(block)
        self._starts: list[int] = []
        self._pieces: dict[int, bytes] = {}
        self._bytes = 0

    def fetch(self, offsets: Sequence[int], length: int = PIECE) -> None:
        """Read a piece of `length` bytes at each of these offsets, all at once."""
        wanted = [at for at in offsets if at not in self._pieces and 0 <= at < self._size]
        if self._bytes + len(wanted) * length > _MOST_BYTES_AHEAD:
            return
        self._bytes += len(wanted) * length
        ranges = [(at, min(length, self._size - at)) for at in wanted]
        self._source.fetch(ranges)  # into blocks that are kept on disk, as what describes the file
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
            self._bytes = 0
            self._starts.clear()
            self._file.close()
        super().close()
