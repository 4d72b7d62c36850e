"""Reads the pixels of one dataset: fetches the chunks of a plane together, decodes and assembles them.

Data that only h5py can decode is read through h5py.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...errors import CorruptDataError, PlaneNotStoredError
from ...storage.decoding.codec import most_stored
from ...storage.memory_cache import MemoryCache, nbytes
from .chunk_index.chunks import WholeBlocks, places_cut
from .filters import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import h5py

    from ...model import PlaneKey
    from ...storage.decoding.codec import Codec
    from .chunk_index.chunks import Place, StoredChunk
    from .chunk_index.index import ChunkIndex
    from .file import HDF5File

    Selection = Sequence[tuple[int, int]]  # start and stop along each axis

KEPT_BYTES = 128 * 1024**2
"""Decoded chunks kept because other planes lie in them too."""

_BATCH_BYTES = 64 * 1024**2
_BATCH_CHUNKS = 4096
_MOST_HELD = 4096
_NOTHING_SECONDS = 1.0


class DatasetPixels(Protocol):
    """Reads the pixels of one dataset. Any thread."""

    def read(self, selection: Selection) -> np.ndarray:
        """The pixels [start, stop) along each axis, in the dataset's axis order."""

    def is_partly_stored(self, selection: Selection) -> bool:
        """Whether some chunks of a selection are stored, and others are not."""

    def holds_others(self, selection: Selection) -> bool:
        """Whether chunks of a selection hold other planes as well; also where it is not known."""

    def places_in_file(self, selection: Selection) -> list[tuple[int, int]]:
        """Where and how long the stored chunks of a selection are; [] if only h5py knows."""

    def is_stored(self, selection: Selection) -> bool | None:
        """Whether anything of a selection is stored; None if that is not known."""


class H5pyDataset:
    """A dataset read by h5py, one plane at a time; `index`, if any, tells what is not stored."""

    def __init__(
        self, file: HDF5File, dataset: h5py.Dataset, dtype: np.dtype[Any], index: ChunkIndex | None
    ) -> None:
        self._file = file
        self._dataset = dataset
        self._dtype = dtype
        self._index = index

    def read(self, selection: Selection) -> np.ndarray:
        """The pixels [start, stop) along each axis, in the dataset's axis order."""
        if self.is_stored(selection) is False:
            raise PlaneNotStoredError(f"{self._file.name}: nothing is stored for this plane")

        def read() -> np.ndarray:
            pixels = self._dataset[tuple(slice(*part) for part in selection)]
            return np.asarray(pixels).astype(self._dtype, copy=False)

        return self._file.use("its pixels", read)

    def is_partly_stored(self, selection: Selection) -> bool:
        """Whether some chunks of a selection are stored, and others are not."""
        index = self._index
        return index is not None and _is_partly_stored(selection, index.grid.chunk, index)

    def holds_others(self, selection: Selection) -> bool:
        """Whether chunks of a selection hold other planes as well; also where it is not known."""
        return self._index is None or _extend_beyond(
            selection, self._index.grid.chunk, self._index.grid.shape
        )

    def places_in_file(self, selection: Selection) -> list[tuple[int, int]]:
        """See `DatasetPixels.places_in_file`."""
        return [] if self._index is None else _places_of(selection, self._index.grid.chunk, self._index)

    def is_stored(self, selection: Selection) -> bool | None:
        """Whether anything of a selection is stored; None if only h5py knows."""
        if self._index is None:
            return None
        stored = self._index.find(places_cut(selection, self._index.grid.chunk))
        return None if stored is None else any(stored)


class HeldPlanes:
    """Whether anything is stored of large planes, of which tile after tile is asked for. Any thread.

    What is stored stays; that nothing is counts for a second, as it may be being written.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[PlaneKey, int], tuple[bool | None, float]] = {}

    def of(self, key: PlaneKey, level: int, look: Callable[[], bool | None]) -> bool | None:
        """What `look` says of a plane, which may take as long as there are chunks in it."""
        found, until = self._known.get((key, level), (None, 0.0))
        if time.monotonic() >= until:
            found = look()
            if len(self._known) >= _MOST_HELD:
                self._known.clear()
            self._known[key, level] = found, math.inf if found else time.monotonic() + _NOTHING_SECONDS
        return found


class BlockCache(Protocol):
    """Where decoded chunks of one dataset are kept, by their places."""

    def get(
        self, keys: Iterable[Place], make: Callable[[Sequence[Place]], Iterable[tuple[Place, np.ndarray]]]
    ) -> dict[Place, np.ndarray]:
        """See `MemoryCache.get`."""


class SharedBlocks:
    """The decoded chunks of one of several datasets that are kept in one memory. Any thread."""

    def __init__(self, kept: MemoryCache[tuple[str, Place], np.ndarray], name: str) -> None:
        """`name` tells this dataset from the others."""
        self._kept = kept
        self._name = name

    def get(
        self, keys: Iterable[Place], make: Callable[[Sequence[Place]], Iterable[tuple[Place, np.ndarray]]]
    ) -> dict[Place, np.ndarray]:
        """See `MemoryCache.get`."""

        def made(ours: Sequence[tuple[str, Place]]) -> Iterator[tuple[tuple[str, Place], np.ndarray]]:
            for place, block in make([place for _, place in ours]):
                yield (self._name, place), block

        found = self._kept.get([(self._name, place) for place in keys], made)
        return {place: block for (_, place), block in found.items()}


class ChunkedDataset:
    """A dataset whose chunks are fetched and decoded here, by any number of threads at once."""

    def __init__(
        self,
        file: HDF5File,
        index: ChunkIndex | WholeBlocks,
        shape: tuple[int, ...],
        chunk: tuple[int, ...],
        stored_dtype: np.dtype[Any],
        chain: tuple[Codec, ...],
        fill: Any,
        otherwise: H5pyDataset,
        kept: BlockCache | None = None,
    ) -> None:
        self._file = file
        self._index = index
        self._shape = shape
        self._chunk = chunk
        self._stored_dtype = stored_dtype
        self._dtype = stored_dtype.newbyteorder("=")
        self._chain = chain
        self._fill = fill
        self._otherwise = otherwise
        self._chunk_bytes = math.prod(chunk) * stored_dtype.itemsize
        self._kept = kept or MemoryCache(KEPT_BYTES, nbytes)

    def read(self, selection: Selection) -> np.ndarray:
        """The pixels [start, stop) along each axis, in the dataset's axis order and native byte order.

        Missing chunks become the fill value; raises `PlaneNotStoredError` if all are missing.
        """
        places = places_cut(selection, self._chunk)
        stored = self._index.find(places)
        if stored is None:  # only h5py knows where they are so far
            return self._otherwise.read(selection)
        wanted = {place: at for place, at in zip(places, stored, strict=True) if at is not None}
        if not wanted:
            raise PlaneNotStoredError(f"{self._file.name}: nothing is stored for this plane")
        shared = _extend_beyond(selection, self._chunk, self._shape)
        if len(places) == 1 and not shared:
            ((_, block),) = self._decoded(wanted)
            pixels = block[tuple(slice(0, stop - start) for start, stop in selection)]
            return pixels.astype(self._dtype, copy=False)
        out = np.empty([stop - start for start, stop in selection], self._dtype)
        if len(wanted) < len(places):
            out[...] = self._fill
        for place, block in self._shared(wanted) if shared else self._decoded(wanted):
            inside, outside = _overlap(place, self._chunk, selection)
            out[outside] = block[inside]
        return out

    def is_stored(self, selection: Selection) -> bool | None:
        """See `H5pyDataset.is_stored`."""
        stored = self._index.find(places_cut(selection, self._chunk))
        return None if stored is None else any(stored)

    def is_partly_stored(self, selection: Selection) -> bool:
        """See `H5pyDataset.is_partly_stored`."""
        return _is_partly_stored(selection, self._chunk, self._index)

    def holds_others(self, selection: Selection) -> bool:
        """Whether other planes are stored with these: in the same chunks, or in one piece without any."""
        one_piece = isinstance(self._index, WholeBlocks)
        chunk = self._shape if one_piece else self._chunk
        return _extend_beyond(selection, chunk, self._shape)

    def places_in_file(self, selection: Selection) -> list[tuple[int, int]]:
        """See `DatasetPixels.places_in_file`."""
        return _places_of(selection, self._chunk, self._index)

    # ---- chunks of one plane only ----------------------------------------------------------

    def _decoded(self, wanted: dict[Place, StoredChunk]) -> Iterator[tuple[Place, np.ndarray]]:
        """Fetch and decode chunks in batches, so that memory stays bounded."""
        for batch in _batches(list(wanted), self._chunk_bytes):
            for place, raw in zip(batch, self._fetched([wanted[place] for place in batch]), strict=True):
                yield place, self._block(place, raw, wanted[place].mask)

    def _fetched(self, stored: list[StoredChunk]) -> list[bytes]:
        if any(at.size > most_stored(self._chunk_bytes) for at in stored):
            raise CorruptDataError(f"{self._file.name} is damaged: a chunk is larger than possible")
        return self._file.bytes.read_many([(at.address, at.size) for at in stored])

    def _block(self, place: Place, raw: bytes, mask: int) -> np.ndarray:
        shape = self._index.block_shape(place)
        n_bytes = math.prod(shape) * self._stored_dtype.itemsize
        where = f"{self._file.name}: chunk {place}"
        data = decoded(raw, self._chain, mask, n_bytes, where)
        return np.frombuffer(data, self._stored_dtype).reshape(shape)

    # ---- chunks of several planes ----------------------------------------------------------

    def _shared(self, wanted: dict[Place, StoredChunk]) -> Iterator[tuple[Place, np.ndarray]]:
        """Like `_decoded`, but each chunk is decoded by one thread and kept for a while."""
        for batch in _batches(list(wanted), self._chunk_bytes):
            blocks = self._kept.get(
                batch, lambda ours: self._decoded({place: wanted[place] for place in ours})
            )
            yield from blocks.items()


def _is_partly_stored(selection: Selection, chunk: tuple[int, ...], index: ChunkIndex | WholeBlocks) -> bool:
    places = places_cut(selection, chunk)
    stored = index.find(places) if len(places) > 1 else None
    return stored is not None and any(stored) and not all(stored)


def _places_of(
    selection: Selection, chunk: tuple[int, ...], index: ChunkIndex | WholeBlocks
) -> list[tuple[int, int]]:
    stored = index.find(places_cut(selection, chunk)) or []
    return [(at.address, at.size) for at in stored if at is not None]


def _extend_beyond(selection: Selection, chunk: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether chunks extend beyond the selected planes."""
    return any(
        stop - start < min(part, whole)
        for (start, stop), part, whole in zip(selection, chunk, shape, strict=True)
    )


def _batches(places: list[Place], each: int) -> Iterator[list[Place]]:
    n = max(1, min(_BATCH_CHUNKS, _BATCH_BYTES // max(1, each)))
    for start in range(0, len(places), n):
        yield places[start : start + n]


def _overlap(
    place: Place, chunk: tuple[int, ...], selection: Selection
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a chunk inside a selection, and its place in the selection."""
    inside, outside = [], []
    for i, part, (start, stop) in zip(place, chunk, selection, strict=True):
        first, last = max(start, i * part), min(stop, (i + 1) * part)
        inside.append(slice(first - i * part, last - i * part))
        outside.append(slice(first - start, last - start))
    return tuple(inside), tuple(outside)
