"""Arrays in archives: chunks fetched and checked by ourselves, many at once, and decoded by tensorstore.

The chunks a plane needs are put into memory, where tensorstore reads them as an array without shards.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import CorruptDataError, LimitExceededError, UnsupportedError
from ...storage.limits import MAX_CHUNK_BYTES, MAX_SHARD_INDEX_BYTES
from ...storage.trees.zip import FileRange, ZipTree
from .chunk_grid import chunks_of
from .tensorstore_arrays import OpenArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.limits import JsonObject
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .tensorstore_arrays import Native

_KEPT_INDEXES = 256
_MAX_CHUNKS = 1_000_000  # of a plane
_ABSENT = np.uint64(2**64 - 1)  # offset and length of a chunk that is not in its shard

Coordinates = tuple[int, ...]


def packed_array(image: ZarrImage, tree: Tree, native: Native) -> PackedArray:
    """The array of an image in an archive."""
    assert isinstance(tree, ZipTree)
    return PackedArray(image, tree, native)


class _StoredGrid(NamedTuple):
    """How the chunks of an array are called: coordinates → name below the array's folder."""

    chunk: tuple[int, ...]
    prefix: str
    separator: str

    def name(self, at: Coordinates) -> str:
        return self.prefix + self.separator.join(map(str, at))


class PackedArray(OpenArray):
    """An array in an archive. Any thread; a plane is read with one round trip, once its shards are known."""

    def __init__(self, image: ZarrImage, tree: ZipTree, native: Native) -> None:
        super().__init__(image, native)
        self._tree = tree
        chunks = chunks_of(image)
        self._shards = _shards_of(image)
        self._stored = _stored_grid(image)
        self._metadata, self._grid = _without_shards(image, self._stored, self._shards)
        self._most = min(MAX_CHUNK_BYTES, 2 * math.prod(chunks.stored) * image.facts.dtype.itemsize) + 2**20
        self._lock = threading.Lock()
        self._indexes: OrderedDict[Coordinates, np.ndarray] = OrderedDict()

    def read(self, index: tuple[int, ...]) -> np.ndarray:
        """See `OpenArray.read`: a chunk that is not in the archive is fill value, unless none of them is."""
        selection = self._selection(index)
        wanted = _touched(selection, self._grid.chunk, self.image.facts.shape, self.image.array)
        chunks = self._of_shards(wanted) if self._shards else self._of_files(wanted)
        if not chunks:
            raise self._not_stored(None)
        named = {self._grid.name(at): data for at, data in chunks.items()}
        with self._native.in_memory(named) as kvstore:
            store = self._native.open(self.image, fill_missing=True, kvstore=kvstore, metadata=self._metadata)
            return self._upright(self._native.read(store[selection], self.image))

    def _of_files(self, wanted: Sequence[Coordinates]) -> dict[Coordinates, bytes]:
        found = self._tree.read_whole([self._path(at) for at in wanted], self._most)
        return {at: data for at, data in zip(wanted, found, strict=True) if data is not None}

    def _path(self, stored: Coordinates) -> str:
        return self._tree.join(self.image.array, self._stored.name(stored))

    # ---- shards --------------------------------------------------------------------------------

    def _of_shards(self, wanted: Sequence[Coordinates]) -> dict[Coordinates, bytes]:
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
                raise CorruptDataError(
                    f"{self._path(shard)} is damaged: a chunk of {length} bytes makes no sense"
                )
            parts[at] = FileRange(self._path(shard), int(offset), int(length))
        return dict(zip(parts, self._tree.read_parts(list(parts.values()), self._most), strict=True))

    def _indexes_of(self, shards: Sequence[Coordinates]) -> dict[Coordinates, np.ndarray]:
        """What is where in each of these shards, without those that do not exist."""
        assert self._shards is not None
        with self._lock:
            found = {shard: self._indexes[shard] for shard in shards if shard in self._indexes}
        sizes = {shard: self._tree.size(self._path(shard)) for shard in shards if shard not in found}
        there = {shard: size for shard, size in sizes.items() if size is not None}
        length = self._shards.index_bytes
        parts = []
        for shard, size in there.items():
            if size < length:
                raise CorruptDataError(f"{self._path(shard)} is truncated: it has {size} bytes")
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


# ---- what the metadata say -----------------------------------------------------------------------


class _Shards(NamedTuple):
    per_shard: tuple[int, ...]
    index_codecs: list[Any]
    index_bytes: int
    at_end: bool


def _shards_of(image: ZarrImage) -> _Shards | None:
    """How shards are laid out; None if there are none, or other codecs come first: then each is one chunk."""
    codecs = image.document["codecs"] if image.facts.version == 3 else []
    if len(codecs) != 1 or not isinstance(codecs[0], dict) or codecs[0].get("name") != "sharding_indexed":
        return None
    told = codecs[0]["configuration"]
    chunks = chunks_of(image)
    inner = tuple(told["chunk_shape"])
    if any(whole % part for whole, part in zip(chunks.stored, inner, strict=True)):
        raise UnsupportedError(
            f"{image.array}: shards of {chunks.stored} cannot be cut into chunks of {inner}"
        )
    per_shard = tuple(whole // part for whole, part in zip(chunks.stored, inner, strict=True))
    index_codecs = told.get("index_codecs") or [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    checked = "crc32c" in map(_name, index_codecs)
    index_bytes = math.prod(per_shard) * 16 + 4 * checked
    assert index_bytes <= MAX_SHARD_INDEX_BYTES + 4  # judged with the metadata
    return _Shards(per_shard, index_codecs, index_bytes, told.get("index_location", "end") != "start")


def _name(codec: Any) -> str:
    return codec if isinstance(codec, str) else str(codec.get("name"))


def _stored_grid(image: ZarrImage) -> _StoredGrid:
    stored = chunks_of(image).stored
    if image.facts.version == 2:
        return _StoredGrid(stored, "", _separator(image.document.get("dimension_separator", "."), image))
    encoding = image.document.get("chunk_key_encoding", "default")
    name = _name(encoding)
    told = encoding.get("configuration", {}) if isinstance(encoding, dict) else {}
    if name not in ("default", "v2") or not isinstance(told, dict):
        raise UnsupportedError(f"{image.array}: chunks are named in a way we do not know ({name[:40]!r})")
    separator = _separator(told.get("separator", "/" if name == "default" else "."), image)
    return _StoredGrid(stored, f"c{separator}" if name == "default" else "", separator)


def _separator(value: object, image: ZarrImage) -> str:
    if value not in ("/", "."):
        raise UnsupportedError(f"{image.array}: chunk names with {str(value)[:10]!r} between numbers")
    return str(value)


def _without_shards(
    image: ZarrImage, stored: _StoredGrid, shards: _Shards | None
) -> tuple[JsonObject | None, _StoredGrid]:
    """The metadata of the same array if its chunks were not in shards, and how they would be called."""
    if shards is None:
        return None, stored
    told = image.document["codecs"][0]["configuration"]
    chunk = list(told["chunk_shape"])
    metadata = {
        **image.document,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "codecs": told["codecs"],
    }
    return metadata, stored._replace(chunk=tuple(chunk))


def _touched(
    selection: Sequence[int | slice], chunk: Sequence[int], shape: Sequence[int], what: str
) -> list[Coordinates]:
    """The chunks that a selection of one plane cuts."""
    along = [
        range(-(-size // part)) if isinstance(at, slice) else range(at // part, at // part + 1)
        for at, part, size in zip(selection, chunk, shape, strict=True)
    ]
    if math.prod(map(len, along)) > _MAX_CHUNKS:
        raise LimitExceededError(f"{what}: a plane in more than {_MAX_CHUNKS} chunks cannot be shown")
    return list(itertools.product(*along))
