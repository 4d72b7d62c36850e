"""The chunk index of one dataset: single lookups at first, a complete table later."""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from .chunks import MAX_TABLE_CHUNKS, ChunkBatch, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import h5py

    from ..file import HDF5File
    from .chunks import (
        Grid,
        Lookup,
        Place,
        StoredChunk,
        Table,
    )


class ChunkIndex:
    """The chunk locations of a dataset. Any thread; `scan` is for one thread beside those that look up.

    Without a `lookup`, for unsupported kinds of index, nothing is known before `scan` has asked h5py.
    """

    def __init__(self, file: HDF5File, dataset: h5py.Dataset, grid: Grid, lookup: Lookup | None) -> None:
        self.grid = grid
        self._file = file
        self._dataset = dataset
        self._lookup = lookup
        self._table: Table | None = None

    @property
    def complete(self) -> bool:
        """Whether all chunks are known, so that nothing more is read."""
        return self._table is not None

    @property
    def can_look_up(self) -> bool:
        """Whether single chunks can be found without `scan`."""
        return self._lookup is not None

    def block_shape(self, place: Place) -> tuple[int, ...]:
        """The stored shape of one chunk; those at the edge are complete, too."""
        return self.grid.chunk

    def use(self, table: Table) -> None:
        """From now on, look up in `table`."""
        self._table = table

    def find(self, places: Sequence[Place]) -> list[StoredChunk | None] | None:
        """The locations of these chunks, None for each not stored; just None if only h5py knows yet.

        May read. Raises `CorruptDataError` for an index that is damaged.
        """
        table = self._table
        if table is not None:
            return table.find([self.grid.number(place) for place in places])
        return None if self._lookup is None else self._lookup.find(places)

    def scan(self, stop: threading.Event) -> Table | None:
        """Read the whole index and use it from then on; None if there are too many chunks or `stop` was set.

        Blocks on disk or network; raises a `DatasetError` if it cannot be read.
        """
        if self.grid.n_chunks > MAX_TABLE_CHUNKS:
            return None

        def is_over() -> bool:  # also while Python is shutting down
            return stop.is_set() or not threading.main_thread().is_alive()

        parts = self._ask_h5py(is_over) if self._lookup is None else self._lookup.parts(is_over)
        if parts is None or is_over():
            return None
        table = table_of(self.grid, parts)
        self.use(table)
        return table

    def _ask_h5py(self, is_over: Callable[[], bool]) -> list[ChunkBatch]:
        found = array("Q")

        def note(chunk: Any) -> bool | None:
            if chunk.byte_offset is not None:
                found.extend((*chunk.chunk_offset, chunk.byte_offset, chunk.size, chunk.filter_mask))
            return True if is_over() else None  # anything but None stops it

        with self._file.reading("its chunk index"):
            self._dataset.id.chunk_iter(note)
        rank = len(self.grid.chunk)
        rows = np.array(found, np.uint64).reshape(-1, rank + 3)
        places = rows[:, :rank] // np.array(self.grid.chunk, np.uint64)
        return [ChunkBatch(places, rows[:, rank], rows[:, rank + 1], rows[:, rank + 2])]
