"""Shards, decoded in Python: of arrays with codecs that tensorstore does not know, or with codecs after the
shards.

A stored object is a chunk or a shard; both are opened once, and then read in parts. Only chunks that are
touched are decoded. Source: Zarr v3 codec ``sharding_indexed``, version 1.0.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import CorruptDataError, LimitExceededError, MetadataError
from ...model import how_many
from ..limits import MAX_CHUNK_BYTES, MAX_RANK, MAX_SHARD_INDEX_BYTES
from .chunk_decoder import ChunkDecoder, chunks_of, codecs_named, named_codec, transposed
from .codec import decoded_bytes

if TYPE_CHECKING:
    from ..limits import JsonObject
    from .codec import Codec

NOT_STORED = 2**64 - 1
"""Offset and length, in the index of a shard, of a chunk that is not stored."""
_SHARDING = "sharding_indexed"
_PLAIN = {"name": "bytes", "configuration": {"endian": "little"}}


class DecodedPart(NamedTuple):
    """Pixels of a stored object, and whether anything of them is stored."""

    pixels: np.ndarray
    is_stored: bool


class ObjectDecoder:
    """Decodes the stored objects of an array. Any thread.

    `opened` of an object is kept as long as its parts are read; it is as large as `opened.nbytes` says.
    """

    def __init__(self, decoder: ChunkDecoder | ShardDecoder) -> None:
        self._decoder = decoder

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the stored numbers, with its byte order."""
        return self._decoder.dtype

    @property
    def most_stored(self) -> int:
        """No object has more bytes; more are not read."""
        return self._decoder.most_stored

    @property
    def nbytes(self) -> int:
        """What an opened chunk takes in memory; of shards 0."""
        return self._decoder.nbytes if isinstance(self._decoder, ChunkDecoder) else 0

    def opened(self, data: bytes, where: str, into: np.ndarray | None = None) -> np.ndarray:
        """The decoded chunk, or the bytes of a shard; raises like `ChunkDecoder.decode`."""
        if isinstance(self._decoder, ChunkDecoder):
            return self._decoder.decode(data, where, into)
        return self._decoder.decode(data, where)

    def part(self, opened: np.ndarray, at: tuple[slice, ...], where: str) -> DecodedPart:
        """The pixels of an opened object at these places in it."""
        if isinstance(self._decoder, ShardDecoder):
            return self._decoder.part(opened, at, where)
        return DecodedPart(opened[at], True)


@dataclass(frozen=True)
class ShardDecoder:
    """How a shard is cut into chunks, where its index is, and what it was passed through afterwards.

    `axes` are those of the array in the order in which a shard is laid out; `chunk` and `grid` are in that
    order.
    """

    axes: tuple[int, ...]
    chunk: tuple[int, ...]
    grid: tuple[int, ...]
    inner: ChunkDecoder | ShardDecoder
    index_codecs: tuple[Codec, ...]
    index_order: str
    is_index_at_end: bool
    codecs: tuple[Codec, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the stored numbers."""
        return self.inner.dtype

    @property
    def fill(self) -> np.generic:
        """What pixels are that are not stored."""
        return self.inner.fill

    @property
    def most_stored(self) -> int:
        """No shard has more bytes: all chunks as badly compressed as can be, and the index."""
        return min(math.prod(self.grid) * (self.inner.most_stored + 20), MAX_CHUNK_BYTES)

    @property
    def _index_bytes(self) -> int:
        n = 16 * math.prod(self.grid)
        for codec in self.index_codecs:
            n = codec.stored_bytes(n) or n
        return n

    def decode(self, data: bytes, where: str) -> np.ndarray:
        """The bytes of the shard, after decoding what was applied to it as a whole."""
        return decoded_bytes(self.codecs, data, self.most_stored, where, is_exact=False)

    def part(self, raw: np.ndarray, at: tuple[slice, ...], where: str) -> DecodedPart:
        """The pixels at these places, from the bytes of a shard."""
        index = self._index(raw, where)
        laid_out = [at[axis] for axis in self.axes]
        pixels = np.full([each.stop - each.start for each in laid_out], self.fill, self.dtype)
        is_stored = False
        spans = [
            range(each.start // n, -(-each.stop // n)) for each, n in zip(laid_out, self.chunk, strict=True)
        ]
        for cell in itertools.product(*spans):
            offset, length = (int(number) for number in index[cell])
            if offset == length == NOT_STORED:
                continue
            if offset + length > len(raw):
                raise CorruptDataError(f"{where} is damaged: its index points beyond the end of the shard")
            to, of = zip(*map(_overlap, cell, self.chunk, laid_out), strict=True)
            found = _part_of(self.inner, raw[offset : offset + length].tobytes(), of, where)
            pixels[to] = found.pixels
            is_stored |= found.is_stored
        return DecodedPart(pixels.transpose(np.argsort(self.axes)), is_stored)

    def _index(self, raw: np.ndarray, where: str) -> np.ndarray:
        n = self._index_bytes
        if len(raw) < n:
            raise CorruptDataError(
                f"{where} is truncated: it has {len(raw):,} of at least {how_many(n, 'byte')}"
            )
        stored = raw[len(raw) - n :] if self.is_index_at_end else raw[:n]
        index = decoded_bytes(self.index_codecs, stored, 16 * math.prod(self.grid), f"{where}: its index")
        return index.view(f"{self.index_order}u8").reshape(*self.grid, 2)


def _part_of(
    inner: ChunkDecoder | ShardDecoder, data: bytes, at: tuple[slice, ...], where: str
) -> DecodedPart:
    opened = inner.decode(data, where)
    return inner.part(opened, at, where) if isinstance(inner, ShardDecoder) else DecodedPart(opened[at], True)


def _overlap(cell: int, size: int, wanted: slice) -> tuple[slice, slice]:
    """What a chunk and a slice have in common along an axis: seen from the slice, from the chunk."""
    start, stop = max(cell * size, wanted.start), min((cell + 1) * size, wanted.stop)
    return slice(start - wanted.start, stop - wanted.start), slice(start - cell * size, stop - cell * size)


def object_decoder(document: JsonObject, where: str) -> ObjectDecoder:
    """Judge the metadata of an array; raises like `chunks_of`."""
    return ObjectDecoder(_decoder(document, where, 0))


def _decoder(document: JsonObject, where: str, depth: int) -> ChunkDecoder | ShardDecoder:
    codecs = document.get("codecs") if document.get("zarr_format") == 3 else None
    names = [named_codec(codec, where) for codec in codecs] if isinstance(codecs, list) else []
    at = next((i for i, (name, _) in enumerate(names) if name == _SHARDING), None)
    if at is None:
        return chunks_of(document, where)
    if depth >= MAX_RANK:
        raise LimitExceededError(f"{where}: shards nested more than {MAX_RANK} deep")
    # judges type, sizes and rank, but not the length of a shard, of which only chunks are in memory
    outer = chunks_of({**document, "codecs": [_PLAIN]}, where, is_whole=False)
    before = names[:at]
    if any(name != "transpose" for name, _ in before):
        raise MetadataError(f"{where}: only a transposition can come before shards")
    axes = transposed([config for _, config in before], len(outer.shape), where)
    return _shards(document, names[at][1], names[at + 1 :], outer, axes, where, depth)


def _shards(
    document: JsonObject,
    told: JsonObject,
    after: list[tuple[str, JsonObject]],
    outer: ChunkDecoder,
    axes: tuple[int, ...],
    where: str,
    depth: int,
) -> ShardDecoder:
    whole = [outer.chunk[axis] for axis in axes]
    chunk = told.get("chunk_shape")
    if not isinstance(chunk, list) or len(chunk) != len(whole) or not all(type(n) is int for n in chunk):
        raise MetadataError(f"{where}: shards have no valid chunk_shape")
    if any(n < 1 or size % n for size, n in zip(whole, chunk, strict=True)):
        raise MetadataError(f"{where}: shards of {whole} cannot be divided into chunks of {chunk}")
    grid = tuple(size // n for size, n in zip(whole, chunk, strict=True))
    if 16 * math.prod(grid) > MAX_SHARD_INDEX_BYTES:
        raise LimitExceededError(f"{where}: shards with {math.prod(grid)} chunks are too many")
    inner = {
        **document,
        "shape": [outer.shape[axis] for axis in axes],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "codecs": told.get("codecs"),
        "dimension_names": None,
    }
    index = [named_codec(codec, where) for codec in told.get("index_codecs") or [_PLAIN, {"name": "crc32c"}]]
    if [name for name, _ in index] not in (["bytes"], ["bytes", "crc32c"]):
        raise MetadataError(f"{where}: index codecs other than bytes and crc32c are not supported")
    return ShardDecoder(
        axes,
        tuple(chunk),
        grid,
        _decoder(inner, where, depth + 1),
        codecs_named(index[1:], np.dtype("u1"), where),
        ">" if index[0][1].get("endian") == "big" else "<",
        told.get("index_location", "end") != "start",
        codecs_named(after, np.dtype("u1"), where),
    )
