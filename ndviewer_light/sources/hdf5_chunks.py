"""Where the chunks of one dataset lie in its file: looked up one by one at first, all at once later.

The version 1 B-tree, which nearly all files have, is walked here: a few small reads per lookup, all nodes of
a level at once when everything is wanted. For newer kinds of index h5py has to be asked.
"""

from __future__ import annotations

import bisect
import itertools
import math
import threading
from array import array
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import CorruptDataError, DatasetError
from . import hdf5_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import h5py

    from .hdf5_file import HDF5File

    Place = tuple[int, ...]  # of a chunk in the grid, one index per axis

MAX_TABLE_CHUNKS = 4_000_000
"""Datasets of more chunks are never indexed whole (24 bytes each)."""

_KEPT_NODES = 1024
_NODES_AT_ONCE = 256


class Stored(NamedTuple):
    """Where a chunk is stored: bytes from the beginning of the file, and the filters it did not pass."""

    address: int
    size: int
    mask: int


class Grid:
    """The chunks of an array: `chunk` is their shape, also of those that stick out at the end."""

    def __init__(self, shape: tuple[int, ...], chunk: tuple[int, ...]) -> None:
        self.shape = shape
        self.chunk = chunk
        self.counts = tuple(-(-whole // part) for whole, part in zip(shape, chunk, strict=True))
        self.n_chunks = math.prod(self.counts)
        steps = itertools.accumulate(reversed(self.counts[1:]), lambda a, b: a * b, initial=1)
        self._steps = tuple(reversed(list(steps)))

    def number(self, place: Sequence[int]) -> int:
        """Chunks counted in C order."""
        return sum(i * step for i, step in zip(place, self._steps, strict=True))

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """The same for an array (n, rank), all of which lie inside."""
        result: np.ndarray = places.astype(np.int64) @ np.array(self._steps, np.int64)
        return result


def places_cut(selection: Sequence[tuple[int, int]], chunk: tuple[int, ...]) -> list[Place]:
    """The chunks that [start, stop) along each axis touches."""
    ranges = [
        range(start // part, -(-stop // part)) for (start, stop), part in zip(selection, chunk, strict=True)
    ]
    return list(itertools.product(*ranges))


class Table(NamedTuple):
    """All chunks that are stored, in the order of their numbers."""

    numbers: np.ndarray  # int64
    addresses: np.ndarray  # uint64
    sizes: np.ndarray  # uint32
    masks: np.ndarray  # uint32

    def find(self, numbers: Sequence[int]) -> list[Stored | None]:
        """Where these chunks are; None for what is not stored."""
        at = np.searchsorted(self.numbers, np.array(numbers, np.int64))
        return [self._stored(int(i), number) for i, number in zip(at, numbers, strict=True)]

    def _stored(self, i: int, number: int) -> Stored | None:
        if i >= len(self.numbers) or self.numbers[i] != number:
            return None
        return Stored(int(self.addresses[i]), int(self.sizes[i]), int(self.masks[i]))


def table_of(grid: Grid, parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> Table:
    """A table from (places (n, rank), addresses, sizes, masks); what lies outside the grid is left out."""
    columns = list(zip(*parts, strict=True))
    rank = len(grid.chunk)
    places, addresses, sizes, masks = (
        tuple(np.concatenate(column) for column in columns)
        if columns
        else (np.empty((0, rank), np.uint64), *(np.empty(0, np.uint64),) * 3)
    )
    inside = (places < np.array(grid.counts, np.uint64)).all(axis=1) & (addresses != hdf5_format.UNDEFINED)
    numbers = grid.numbers(places[inside])
    order = np.argsort(numbers, kind="stable")
    return Table(
        numbers[order],
        addresses[inside][order].astype(np.uint64),
        sizes[inside][order].astype(np.uint32),
        masks[inside][order].astype(np.uint32),
    )


class WholeBlocks:
    """An array that is stored in one piece, taken as chunks; those at its end are shorter.

    All axes of `chunk` before the one that is cut are 1, all after it whole.
    """

    def __init__(self, shape: tuple[int, ...], chunk: tuple[int, ...], address: int, item_bytes: int) -> None:
        self._whole = Grid(shape, (1,) * len(shape))
        self._chunk = chunk
        self._address = address
        self._item_bytes = item_bytes

    def find(self, places: Sequence[Place]) -> list[Stored | None]:
        """See `ChunkIndex.find`."""
        return [self._stored(place) for place in places]

    def _stored(self, place: Place) -> Stored:
        first = self._whole.number([i * part for i, part in zip(place, self._chunk, strict=True)])
        size = math.prod(self.block_shape(place)) * self._item_bytes
        return Stored(self._address + first * self._item_bytes, size, 0)

    def block_shape(self, place: Place) -> tuple[int, ...]:
        """The shape of one chunk as it is stored."""
        return tuple(
            min(part, whole - i * part)
            for i, part, whole in zip(place, self._chunk, self._whole.shape, strict=True)
        )


class ChunkIndex:
    """Where the chunks of a dataset are. Any thread; `scan` is for one thread beside those that look up."""

    def __init__(self, file: HDF5File, dataset: h5py.Dataset, grid: Grid, tree: int | None) -> None:
        self.grid = grid
        self._file = file
        self._dataset = dataset
        self._where = f"{file.name}::{dataset.name}"
        self._tree = tree
        self._table: Table | None = None
        self._lock = threading.Lock()  # guards the nodes; never held while anything is read
        self._nodes: OrderedDict[int, Future[_Node]] = OrderedDict()

    @property
    def complete(self) -> bool:
        """Whether everything is known, and nothing is read any more."""
        return self._table is not None

    @property
    def can_look_up(self) -> bool:
        """Whether single chunks are found without `scan`."""
        return self._tree is not None

    def block_shape(self, place: Place) -> tuple[int, ...]:
        """The shape of one chunk as it is stored: those at the edge are whole, too."""
        return self.grid.chunk

    def use(self, table: Table) -> None:
        """From now on look up in `table`."""
        self._table = table
        with self._lock:
            self._nodes.clear()

    def find(self, places: Sequence[Place]) -> list[Stored | None] | None:
        """Where these chunks are, None for each that is not stored; None at all if only h5py knows yet.

        May read. Raises `CorruptDataError` for an index that is damaged.
        """
        table = self._table
        if table is not None:
            return table.find([self.grid.number(place) for place in places])
        if self._tree is None:
            return None
        if self._tree == hdf5_format.UNDEFINED:
            return [None] * len(places)
        return self._descend(self._tree, places)

    # ---- one by one ------------------------------------------------------------------------

    def _descend(self, root: int, places: Sequence[Place]) -> list[Stored | None]:
        at: dict[Place, int] = dict.fromkeys(places, root)
        found: dict[Place, Stored | None] = dict.fromkeys(places)
        level: int | None = None
        while at:
            nodes = self._read_nodes(set(at.values()))
            level = self._next_level(level, nodes.values())
            at = {
                place: child
                for place, address in at.items()
                if (child := self._step(nodes[address], place, found)) is not None
            }
        return [found[place] for place in places]

    def _step(self, node: _Node, place: Place, found: dict[Place, Stored | None]) -> int | None:
        """The child that may hold `place`; at the lowest level it is `found`, or not there."""
        i = bisect.bisect_right(node.places, place) - 1
        if i < 0:
            return None
        if node.level:
            return node.stored[i].address
        if node.places[i] == place:
            found[place] = node.stored[i]
        return None

    def _next_level(self, above: int | None, nodes: Iterable[_Node | hdf5_format.TreeNode]) -> int:
        levels = {node.level for node in nodes}
        level = min(levels)
        if len(levels) > 1 or (above is not None and level != above - 1):
            raise CorruptDataError(f"{self._where} is damaged: the index of its chunks leads in a circle")
        return level

    def _read_nodes(self, addresses: Iterable[int]) -> dict[int, _Node]:
        """Nodes by address, each read by the first thread that needs it."""
        futures: dict[int, Future[_Node]] = {}
        ours: list[int] = []
        with self._lock:
            for address in addresses:
                future = self._nodes.get(address)
                if future is None:
                    ours.append(address)
                    future = self._nodes[address] = Future()
                self._nodes.move_to_end(address)
                futures[address] = future
            while len(self._nodes) > max(_KEPT_NODES, len(futures)):
                self._nodes.popitem(last=False)
        if ours:
            self._lead(ours, futures)
        return {address: self._result(address, future) for address, future in futures.items()}

    def _result(self, address: int, future: Future[_Node]) -> _Node:
        """What another thread reads; again by ourselves if it gave up."""
        try:
            return future.result()
        except DatasetError as error:
            if not error.transient:
                raise
        return _Node.of(self._fetch([address])[0])

    def _lead(self, addresses: list[int], futures: dict[int, Future[_Node]]) -> None:
        try:
            parsed = [_Node.of(node) for node in self._fetch(addresses)]
        except BaseException as error:  # whoever waits has to hear of it
            with self._lock:
                for address in addresses:
                    self._nodes.pop(address, None)
            for address in addresses:
                futures[address].set_exception(error)
            raise
        for address, node in zip(addresses, parsed, strict=True):
            futures[address].set_result(node)

    def _fetch(self, addresses: list[int]) -> list[hdf5_format.TreeNode]:
        rank, base = len(self.grid.chunk), self._file.superblock.offset
        raws = self._read_clipped([(address, hdf5_format.node_bytes(rank)) for address in addresses])
        longer = [
            (i, length) for i, raw in enumerate(raws) if (length := hdf5_format.missing_bytes(raw, rank))
        ]
        for (i, _), raw in zip(
            longer, self._read_clipped([(addresses[i], length) for i, length in longer]), strict=True
        ):
            raws[i] = raw
        return [hdf5_format.tree_node(raw, self.grid.chunk, base, self._where) for raw in raws]

    def _read_clipped(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        size = self._file.bytes.size
        if any(address >= size for address, _ in ranges):
            raise CorruptDataError(f"{self._where} is damaged: its chunks are indexed beyond the file's end")
        return self._file.bytes.read_many([(at, min(length, size - at)) for at, length in ranges])

    # ---- all at once -----------------------------------------------------------------------

    def scan(self, stop: threading.Event) -> Table | None:
        """Read the whole index and use it from then on; None if there are too many chunks, or `stop` was set.

        Blocks on disk or network; raises a `DatasetError` if it cannot be read.
        """
        if self.grid.n_chunks > MAX_TABLE_CHUNKS:
            return None
        if self._tree == hdf5_format.UNDEFINED:
            table: Table | None = table_of(self.grid, [])
        else:
            table = self._ask_h5py(stop) if self._tree is None else self._walk(self._tree, stop)
        if table is not None:
            self.use(table)
        return table

    def _walk(self, root: int, stop: threading.Event) -> Table | None:
        """Level by level, many nodes at a time."""
        frontier, level = [root], None
        while frontier:
            nodes: list[hdf5_format.TreeNode] = []
            for start in range(0, len(frontier), _NODES_AT_ONCE):
                if _is_over(stop):
                    return None
                nodes += self._fetch(frontier[start : start + _NODES_AT_ONCE])
            level = self._next_level(level, nodes)
            if level == 0:
                return table_of(
                    self.grid, ((node.places, node.addresses, node.sizes, node.masks) for node in nodes)
                )
            frontier = np.unique(np.concatenate([node.addresses for node in nodes])).tolist()
            if len(frontier) > MAX_TABLE_CHUNKS:
                return None
        return table_of(self.grid, [])

    def _ask_h5py(self, stop: threading.Event) -> Table | None:
        found = array("Q")

        def note(chunk: Any) -> bool | None:
            if chunk.byte_offset is not None:
                found.extend((*chunk.chunk_offset, chunk.byte_offset, chunk.size, chunk.filter_mask))
            return True if _is_over(stop) else None  # anything but None ends it

        with self._file.reading("the index of its chunks"):
            self._dataset.id.chunk_iter(note)
        if _is_over(stop):
            return None
        rank = len(self.grid.chunk)
        rows = np.array(found, np.uint64).reshape(-1, rank + 3)
        places = rows[:, :rank] // np.array(self.grid.chunk, np.uint64)
        return table_of(self.grid, [(places, rows[:, rank], rows[:, rank + 1], rows[:, rank + 2])])


def _is_over(stop: threading.Event) -> bool:
    """Whether nobody waits for the index any more, also because Python is ending."""
    return stop.is_set() or not threading.main_thread().is_alive()


class _Node(NamedTuple):
    """A node as lookups want it: in tuples, which compare as the tree is sorted."""

    level: int
    places: list[Place]
    stored: list[Stored]

    @classmethod
    def of(cls, node: hdf5_format.TreeNode) -> _Node:
        stored = map(Stored, node.addresses.tolist(), node.sizes.tolist(), node.masks.tolist())
        return cls(node.level, list(map(tuple, node.places.tolist())), list(stored))
