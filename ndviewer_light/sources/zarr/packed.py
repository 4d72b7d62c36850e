"""Arrays in archives: chunks are fetched and checked here, many at once, and decoded by tensorstore.

The chunks of a plane are put into memory, from where tensorstore reads them as an unsharded array.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from ...errors import CorruptDataError
from ...model import how_many
from ...storage.decoding.compressors import BLOSC_HEAD
from ...storage.limits import MAX_CHUNK_BYTES
from ...storage.trees.tree import FileRange
from ...storage.trees.zip import ZipTree
from ..missing import LOOKS_REMOTE
from .chunk_grid import Coordinates, chunks_of, shards_of, stored_grid, touched, without_shards
from .chunk_guard import BloscRule
from .missing_chunks import Looked
from .tensorstore_arrays import OpenArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Region
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .tensorstore_context import TensorStoreContext

_KEPT_INDEXES = 256
_ABSENT = np.uint64(2**64 - 1)  # offset and length of a missing chunk in a shard index


def packed_array(image: ZarrImage, tree: Tree, native: TensorStoreContext) -> PackedArray:
    """The array of an image in an archive."""
    assert isinstance(tree, ZipTree)
    return PackedArray(image, tree, native)


class PackedArray(OpenArray):
    """An array in an archive. Any thread; a plane is read with one round trip, once its shards are known."""

    def __init__(self, image: ZarrImage, tree: ZipTree, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        self._tree = tree
        chunks = chunks_of(image)
        self._shards = shards_of(image)
        self._stored_grid = stored_grid(image)
        self._metadata, self._grid = without_shards(image, self._stored_grid, self._shards)
        if tree.hosts() and self._shards is not None:  # whose indexes are read, one request each
            self._missing.looks = LOOKS_REMOTE
        self._most = min(MAX_CHUNK_BYTES, 2 * math.prod(chunks.stored) * image.facts.dtype.itemsize) + 2**20
        self._blosc = BloscRule.of(image)
        self._lock = threading.Lock()
        self._indexes: OrderedDict[Coordinates, np.ndarray] = OrderedDict()

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`: missing chunks become the fill value, unless all are missing."""
        selection = self._selection(index, region)
        wanted = touched(selection, self._grid.chunk, self.image.facts.shape, self.image.array)
        chunks = self._of_shards(wanted) if self._shards else self._of_files(wanted)
        if not chunks and (region is None or not self._missing.is_partly_stored(index)):
            raise self._missing.error(index)
        named = {self._grid.name(at): data for at, data in chunks.items()}
        with self._native.in_memory(named) as kvstore:
            store = self._native.open(self.image, fill_missing=True, kvstore=kvstore, metadata=self._metadata)
            pixels = self._upright(self._native.read(store[selection], self.image))
        self._missing.note(index)
        return pixels

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`: by the archive's directory, and the indexes of shards."""
        return Looked(next((i for i, index in enumerate(indices) if self._has_files(index)), None))

    def _has_files(self, index: tuple[int, ...]) -> bool:
        wanted = touched(self._selection(index), self._grid.chunk, self.image.facts.shape, self.image.array)
        if self._shards is None:
            return any(self._tree.size(self._path(at)) is not None for at in wanted)
        return bool(self._parts_in_shards(wanted))

    def _of_files(self, wanted: Sequence[Coordinates]) -> dict[Coordinates, bytes]:
        found = self._tree.read_whole([self._path(at) for at in wanted], self._most)
        there = {at: data for at, data in zip(wanted, found, strict=True) if data is not None}
        if self._blosc is not None:
            for at, data in there.items():
                self._blosc.check(data[:BLOSC_HEAD], len(data), self._path(at))
        return there

    def _path(self, stored: Coordinates) -> str:
        return self._tree.join(self.image.array, self._stored_grid.name(stored))

    # ---- shards --------------------------------------------------------------------------------

    def _of_shards(self, wanted: Sequence[Coordinates]) -> dict[Coordinates, bytes]:
        parts = self._parts_in_shards(wanted)
        found = self._tree.read_parts(list(parts.values()), self._most)
        if self._blosc is not None:
            for part, data in zip(parts.values(), found, strict=True):
                self._blosc.check(data[:BLOSC_HEAD], len(data), part.path)
        return dict(zip(parts, found, strict=True))

    def _parts_in_shards(self, wanted: Sequence[Coordinates]) -> dict[Coordinates, FileRange]:
        """Where the chunks are that are stored."""
        assert self._shards is not None
        per_shard = self._shards.per_shard
        in_shard = {at: tuple(a // n for a, n in zip(at, per_shard, strict=True)) for at in wanted}
        indexes = self._indexes_of(list(dict.fromkeys(in_shard.values())))
        parts: dict[Coordinates, FileRange] = {}
        for at, shard in in_shard.items():
            index = indexes.get(shard)
            if index is None:
                continue
            offset, length = index[tuple(a % n for a, n in zip(at, per_shard, strict=True))]
            if offset == _ABSENT and length == _ABSENT:
                continue
            if int(length) > 2 * math.prod(self._grid.chunk) * self.image.facts.dtype.itemsize + 2**20:
                raise CorruptDataError(f"{self._path(shard)} is damaged: invalid chunk length {length}")
            parts[at] = FileRange(self._path(shard), int(offset), int(length))
        return parts

    def _indexes_of(self, shards: Sequence[Coordinates]) -> dict[Coordinates, np.ndarray]:
        """The indexes of these shards, without those that do not exist."""
        assert self._shards is not None
        with self._lock:
            found = {shard: self._indexes[shard] for shard in shards if shard in self._indexes}
        sizes = {shard: self._tree.size(self._path(shard)) for shard in shards if shard not in found}
        there = {shard: size for shard, size in sizes.items() if size is not None}
        length = self._shards.index_bytes
        parts = []
        for shard, size in there.items():
            if size < length:
                raise CorruptDataError(f"{self._path(shard)} is truncated: it has {how_many(size, 'byte')}")
            parts.append(FileRange(self._path(shard), size - length if self._shards.at_end else 0, length))
        for shard, data in zip(there, self._tree.read_parts(parts, self._most), strict=True):
            found[shard] = self._decoded_index(shard, data)
        with self._lock:
            self._indexes.update((shard, found[shard]) for shard in there)
            while len(self._indexes) > _KEPT_INDEXES:
                self._indexes.popitem(last=False)
        return found

    def _decoded_index(self, shard: Coordinates, data: bytes) -> np.ndarray:
        """Offset and length of each chunk; tensorstore checks the checksum as it decodes."""
        assert self._shards is not None
        shape = [*self._shards.per_shard, 2]
        metadata = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "uint64",
            "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}},
            "chunk_key_encoding": {"name": "default"},
            "codecs": self._shards.index_codecs,
        }
        key = "c/" + "/".join("0" * len(shape))
        return self._native.decoded(metadata, {key: data}, self._path(shard))
