"""Chunks indexed by a version 1 B-tree, which nearly all files have.

A few small reads per lookup; all nodes of a level at once if everything is needed.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....errors import CorruptDataError
from ....storage.memory_cache import MemoryCache
from . import structures as hdf5_structures
from .chunks import (
    KEPT_PIECES,
    MAX_TABLE_CHUNKS,
    ChunkBatch,
    Lookup,
    StoredChunk,
    read_index,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..file import HDF5File
    from .chunks import Grid, Place
    from .structures import TreeNode

_NODES_AT_ONCE = 256


class BTree(Lookup):
    """The tree whose root is at an address of a file."""

    def __init__(self, file: HDF5File, grid: Grid, root: int, where: str) -> None:
        self._file = file
        self._grid = grid
        self._root = root
        self._where = where
        self._nodes: MemoryCache[int, _Keys] = MemoryCache(KEPT_PIECES)

    def find(self, places: Sequence[Place]) -> list[StoredChunk | None]:
        """See `Lookup.find`: one level at a time, for all of them together."""
        at: dict[Place, int] = dict.fromkeys(places, self._root)
        found: dict[Place, StoredChunk | None] = dict.fromkeys(places)
        level: int | None = None
        while at:
            nodes = self._nodes.get(set(at.values()), self._keys)
            level = self._next_level(level, nodes.values())
            at = {
                place: child
                for place, address in at.items()
                if (child := _step(nodes[address], place, found)) is not None
            }
        return [found[place] for place in places]

    def parts(self, is_over: Callable[[], bool]) -> list[ChunkBatch] | None:
        """See `Lookup.parts`."""
        frontier, level = [self._root], None
        most = min(self._grid.n_chunks, MAX_TABLE_CHUNKS)  # a node has at least one
        while len(frontier) <= most:
            nodes: list[TreeNode] = []
            for start in range(0, len(frontier), _NODES_AT_ONCE):
                if is_over():
                    return None
                nodes += self._fetch(frontier[start : start + _NODES_AT_ONCE])
            level = self._next_level(level, nodes)
            if level == 0:
                return [ChunkBatch(node.places, node.addresses, node.sizes, node.masks) for node in nodes]
            frontier = np.unique(np.concatenate([node.addresses for node in nodes])).tolist()
            if not frontier:
                return []
        return None

    def _next_level(self, above: int | None, nodes: Iterable[_Keys | TreeNode]) -> int:
        levels = {node.level for node in nodes}
        level = min(levels)
        if len(levels) > 1 or (above is not None and level != above - 1):
            raise CorruptDataError(f"{self._where} is damaged: its chunk index contains a loop")
        return level

    def _keys(self, addresses: Sequence[int]) -> Iterable[tuple[int, _Keys]]:
        return zip(addresses, map(_Keys.of, self._fetch(addresses)), strict=True)

    def _fetch(self, addresses: Sequence[int]) -> list[TreeNode]:
        rank = len(self._grid.chunk)
        usual = hdf5_structures.node_bytes(rank)
        raws = read_index(self._file, [(address, usual) for address in addresses], self._where)
        lengths = [hdf5_structures.missing_bytes(raw, rank) for raw in raws]
        longer = [i for i, length in enumerate(lengths) if length]
        again = read_index(self._file, [(addresses[i], lengths[i]) for i in longer], self._where)
        for i, raw in zip(longer, again, strict=True):
            raws[i] = raw
        base = self._file.superblock.offset
        return [hdf5_structures.tree_node(raw, self._grid.chunk, base, self._where) for raw in raws]


class _Keys(NamedTuple):
    """A node for lookups: tuples, which compare in the order of the tree."""

    level: int
    places: list[Place]
    stored: list[StoredChunk]

    @classmethod
    def of(cls, node: TreeNode) -> _Keys:
        stored = map(StoredChunk, node.addresses.tolist(), node.sizes.tolist(), node.masks.tolist())
        return cls(node.level, list(map(tuple, node.places.tolist())), list(stored))


def _step(node: _Keys, place: Place, found: dict[Place, StoredChunk | None]) -> int | None:
    """The child that may contain `place`; at the lowest level it is either `found` or not stored."""
    i = bisect.bisect_right(node.places, place) - 1
    if i < 0:
        return None
    if node.level:
        return node.stored[i].address
    if node.places[i] == place:
        found[place] = node.stored[i]
    return None
