"""Which planes are in the shards of local images, by the indexes of these: nothing is decoded."""

from __future__ import annotations

import itertools
import math
import os
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import CorruptDataError, DatasetError, MetadataError
from ...model import how_many
from ...storage.activity import PART_SECONDS, QUIET_SECONDS
from ...storage.decoding.chunk_decoder import codecs_named, named_codec
from ...storage.decoding.codec import decoded_bytes
from ...storage.decoding.shard_decoder import NOT_STORED
from ...storage.file_clock import FILE_CLOCK
from ...storage.file_versions import NOTHING, changed_ns, version_of
from ...storage.local_files import open_descriptor
from ...storage.memory_cache import MemoryCache, nbytes
from .chunk_grid import chunk_ranges, chunks_of, selection_of, shards_of, stored_grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...storage.trees.tree import Tree
    from .chunk_grid import Coordinates, Shards, StoredGrid
    from .nodes import ZarrImage

_KEPT_INDEX_BYTES = 16 * 1024**2
_MAX_SHARDS = 256
"""Of a plane in more shards, so many, evenly spread, stand for all."""


class ShardIndexes:
    """The indexes of the shards of a local dataset, kept while the shards are as they were. Any thread.

    Blocks on disk.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._kept: MemoryCache[tuple[str, str], np.ndarray] = MemoryCache(_KEPT_INDEX_BYTES, nbytes)

    def are_stored(self, image: ZarrImage, indices: Sequence[tuple[int, ...]]) -> list[bool | None] | None:
        """`Source.are_stored` of the planes at these (t, p, c, z); None for images without such shards.

        True for what a damaged shard may have. None for what a shard may have whose index is not there yet,
        and for planes that share chunks which were just written. Raises a `DatasetError` for what is no file
        of the dataset.
        """
        shards = shards_of(image)
        if shards is None:
            return None
        array = _ShardedArray(image, shards)
        return [self._is_stored(array, index) for index in indices]

    def _is_stored(self, array: _ShardedArray, index: tuple[int, ...]) -> bool | None:
        may_be = False
        for shard, inside in array.parts_of(index):
            version = version_of(shard)
            if version == NOTHING:
                continue
            age_s = FILE_CLOCK.age_s(changed_ns(version))
            try:
                read = partial(self._read, array, is_young=age_s < QUIET_SECONDS)
                chunks = self._kept.get([(shard, version)], read)
            except CorruptDataError:  # its index is still to be written, or it is damaged
                if array.is_complete or age_s > PART_SECONDS:
                    return True
                may_be = True
                continue
            if chunks[shard, version][inside].any():
                if array.is_complete or not array.shares_chunks or age_s > QUIET_SECONDS:
                    return True
                may_be = True
        return None if may_be else False

    def _read(
        self, array: _ShardedArray, keys: Sequence[tuple[str, str]], *, is_young: bool
    ) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
        for key in keys:
            links = self._tree.links(array.image.array)
            if links is not None:
                links.check([key[0]])
            yield key, array.chunks_in(key[0], is_young=is_young)


class _ShardedArray:
    """How the planes of an array lie in its shards."""

    def __init__(self, image: ZarrImage, shards: Shards) -> None:
        self.image = image
        self.is_complete = bool(image.meta.complete)
        self._shards = shards
        self._grid: StoredGrid = stored_grid(image)
        self._chunk = chunks_of(image).decoded
        others = zip(self._chunk, image.facts.shape, image.axes, strict=True)
        self.shares_chunks = any(
            min(part, size) > 1 for part, size, axis in others if axis.role not in ("y", "x")
        )
        named = [named_codec(codec, image.array) for codec in shards.index_codecs]
        if [name for name, _ in named] not in (["bytes"], ["bytes", "crc32c"]):
            raise MetadataError(f"{image.array}: the index of its shards is stored in another way")
        self._codecs = codecs_named(named[1:], np.dtype("u1"), image.array)

    def parts_of(self, index: tuple[int, ...]) -> Iterator[tuple[str, tuple[slice, ...]]]:
        """The shards that the plane at (t, p, c, z) is in, and which of their chunks are its."""
        selection = selection_of(self.image, index)
        wanted = chunk_ranges(selection, self._grid.chunk, self.image.facts.shape)
        step = max(1, -(-math.prod(map(len, wanted)) // _MAX_SHARDS))
        chunks = chunk_ranges(selection, self._chunk, self.image.facts.shape)
        for at in itertools.islice(itertools.product(*wanted), 0, None, step):
            name = self._grid.name(at).split("/")
            yield os.path.join(self.image.array, *name), self._inside(chunks, at)

    def _inside(self, chunks: Sequence[range], at: Coordinates) -> tuple[slice, ...]:
        firsts = [shard * n for shard, n in zip(at, self._shards.per_shard, strict=True)]
        return tuple(
            slice(max(each.start - first, 0), max(each.stop - first, 0))
            for each, first in zip(chunks, firsts, strict=True)
        )

    def chunks_in(self, path: str, *, is_young: bool) -> np.ndarray:
        """Which chunks are in a shard; raises `CorruptDataError` if its index is not there, or damaged.

        The checksum of the index is worked out `is_young`: it tells whether the index is there already.
        """
        shards = self._shards
        n = shards.index_bytes
        try:
            descriptor = open_descriptor(path)
            try:
                size = os.fstat(descriptor).st_size
                os.lseek(descriptor, max(size - n, 0) if shards.at_end else 0, os.SEEK_SET)
                data = os.read(descriptor, n)
            finally:
                os.close(descriptor)
        except DatasetError:
            raise
        except OSError as error:
            raise CorruptDataError(f"{path} could not be read: {error.strerror}") from error
        if len(data) < n:
            raise CorruptDataError(f"{path} is truncated: {size:,} of at least {how_many(n, 'byte')}")
        n_plain = 16 * math.prod(shards.per_shard)
        plain = np.frombuffer(data, np.uint8)[:n_plain]
        if is_young:
            plain = decoded_bytes(self._codecs, np.frombuffer(data, np.uint8), n_plain, f"{path}: its index")
        entries = plain.view(">u8" if shards.is_big_endian else "<u8").reshape(*shards.per_shard, 2)
        is_there = (entries != NOT_STORED).any(axis=-1)
        ends = entries.sum(axis=-1, dtype=np.uint64)
        if (ends[is_there] > size).any():
            raise CorruptDataError(f"{path} is damaged: its index points beyond its end")
        found: np.ndarray = is_there
        return found
