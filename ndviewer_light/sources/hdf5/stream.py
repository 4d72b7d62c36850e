"""What h5py reads a file from: all of what it asks for, or an error that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import CorruptDataError, DatasetError
from ...model import how_many
from ...storage.bytes import SeekableFile
from .chunk_index import structures as hdf5_structures
from .structure_guard import JUDGED, StructureGuard

if TYPE_CHECKING:
    from ...storage.bytes import Bytes


class HDF5Stream(SeekableFile):
    """The stream h5py reads from: delivers all bytes or records the error, which h5py would hide.

    The superblock of a growing file holds an outdated end of file; this stream uses the actual one.
    """

    def __init__(self, source: Bytes, superblock: hdf5_structures.Superblock) -> None:
        super().__init__(source.size)
        self._inner = source.opened_in_caller()
        self._name = source.name
        self.failure: DatasetError | None = None
        self._guard = StructureGuard(source.name, superblock)
        self._head = (0, b"")
        if superblock.is_growing and superblock.version >= 2:
            raw = source.read(superblock.offset, 48)
            self._head = (superblock.offset, hdf5_structures.superblock_until(raw, self._size))

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            self._fill(view)
        except DatasetError as error:
            self.failure = error
            raise
        self._at += len(view)
        return len(view)

    def _fill(self, view: memoryview) -> None:
        if self._at + len(view) > self._size:
            raise CorruptDataError(
                f"{self._name} is damaged: {how_many(len(view), 'byte')} expected at byte {self._at}, "
                "beyond the "
                "end of the file"
            )
        self._inner.seek(self._at)
        filled = 0
        while filled < len(view):
            part = self._inner.read(len(view) - filled)
            if not part:
                raise CorruptDataError(f"{self._name} was shortened while it was being read")
            view[filled : filled + len(part)] = part
            filled += len(part)
        if bytes(view[:4]) in JUDGED:
            self._guard.check(self._at, bytes(view), self._read_inside)
        offset, head = self._head
        for at in range(max(self._at, offset), min(self._at + len(view), offset + len(head))):
            view[at - self._at] = head[at - offset]

    def _read_inside(self, offset: int, length: int) -> bytes:
        self._inner.seek(offset)
        return self._inner.read(length) or b""
