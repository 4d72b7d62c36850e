"""Refuses structures that contain a loop, before HDF5 sees them: it would follow them forever.

Nobody can interrupt the HDF5 library, and while it runs no other file can be read with h5py in this process.
Of three structures, none of which has a checksum, it follows what the file says without checking that it
makes progress: the objects of a global heap (texts of variable length), the free blocks of a local heap
(names in a group), and the nodes of a group's tree. Source: "HDF5 File Format Specification Version 3.0",
III.A.1, III.D, III.E.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import CorruptDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .chunk_index.structures import Superblock

JUDGED = frozenset({b"GCOL", b"HEAP", b"TREE"})
"""How the structures begin that are judged."""

_MAX_FREE_BLOCKS = 1 << 16
_OBJECT_HEAD = 16  # of a global heap, with lengths of 8 bytes as of 4
_GROUP_TREE = 0
_LAST_FREE_BLOCK = 1
_WINDOW_BYTES = 64 * 1024


class StructureGuard:
    """Judges what was read for h5py from one file; used by one thread at a time."""

    def __init__(self, name: str, superblock: Superblock) -> None:
        self._name = name
        self._base = superblock.offset
        self._offset_bytes = superblock.offset_bytes
        self._length_bytes = superblock.length_bytes
        self._places: dict[int, tuple[int, int]] = {}  # of nodes: the node they hang from, and their level

    def check(self, at: int, raw: bytes, read: Callable[[int, int], bytes]) -> None:
        """Raise `CorruptDataError` if HDF5 would go round in what begins with `raw`, at `at` in the file.

        `read` (offset, length) gives more of the file, fewer bytes at its end.
        """
        if raw.startswith(b"GCOL\1"):
            self._check_global_heap(at, raw, read)
        elif raw.startswith(b"HEAP\0"):
            self._check_local_heap(raw, read)
        elif raw.startswith(b"TREE") and raw[4:5] == bytes([_GROUP_TREE]):
            self._check_group_tree(at, raw)

    def _check_global_heap(self, at: int, raw: bytes, read: Callable[[int, int], bytes]) -> None:
        """Each object must end behind where it begins, and within the heap."""
        end = at + self._length(raw, 8)
        here, window = at + _OBJECT_HEAD, at
        while here + _OBJECT_HEAD <= end:
            if not window <= here <= window + len(raw) - _OBJECT_HEAD:
                window, raw = here, read(here, min(_WINDOW_BYTES, end - here))
                if len(raw) < _OBJECT_HEAD:
                    return  # beyond the end of the file: HDF5 sees that
            head = here - window
            length = self._length(raw, head + 8)
            is_object = raw[head : head + 2] != b"\0\0"  # else free space, whose length includes its head
            step = _OBJECT_HEAD + (length + 7) // 8 * 8 if is_object else length
            if not step or here + step > end:
                raise self._damaged("an object of a global heap (texts of attributes) has an invalid length")
            here += step

    def _check_local_heap(self, raw: bytes, read: Callable[[int, int], bytes]) -> None:
        """No free block may come twice."""
        data = self._base + self._address(raw, 8 + 2 * self._length_bytes)
        size, block = self._length(raw, 8), self._length(raw, 8 + self._length_bytes)
        seen: set[int] = set()
        while block != _LAST_FREE_BLOCK and block < size:
            if block in seen or len(seen) >= _MAX_FREE_BLOCKS:
                raise self._damaged("the free list of a local heap (names in a group) contains a loop")
            seen.add(block)
            block = self._length(read(data + block, self._length_bytes), 0)

    def _check_group_tree(self, at: int, raw: bytes) -> None:
        """Levels fall by one, and no node hangs from two: so each is met once, and the way down ends."""
        level, entries = raw[5], int.from_bytes(raw[6:8], "little")
        _, expected = self._places.get(at, (0, level))
        if level != expected:
            raise self._damaged("the B-tree of a group contains a loop")
        if not level:
            return
        first, entry = (
            8 + 2 * self._offset_bytes + self._length_bytes,
            self._offset_bytes + self._length_bytes,
        )
        last = min(
            first + entries * entry, len(raw) - self._offset_bytes + 1
        )  # HDF5 sees that it is too long
        children = [self._base + self._address(raw, where) for where in range(first, last, entry)]
        places = {self._places.setdefault(child, (at, level - 1)) for child in children}
        if len(set(children)) < len(children) or places - {(at, level - 1)} or at in children:
            raise self._damaged("the B-tree of a group contains a loop")

    def _length(self, raw: bytes, at: int) -> int:
        return int.from_bytes(raw[at : at + self._length_bytes], "little")

    def _address(self, raw: bytes, at: int) -> int:
        return int.from_bytes(raw[at : at + self._offset_bytes], "little")

    def _damaged(self, what: str) -> CorruptDataError:
        return CorruptDataError(f"{self._name} is damaged: {what}. Copy it again")
