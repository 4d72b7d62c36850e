"""What is stored of a chunk, turned back into its pixels; array metadata judged before anything is decoded.

Sources: zarr v2 and v3 specifications; `codecs` holds the codecs, by name, and nothing that is not
on its list is ever decoded. Pure functions over dicts and bytes, no I/O.
"""

from __future__ import annotations

import contextlib
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import (
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ..limits import MAX_CHUNK_BYTES
from ..printable import brief
from .codec import decoded_bytes, most_stored
from .codecs import codec_from
from .fill_values import fill_value
from .picture_codecs import Pixels
from .zarr_guard import array_facts

if TYPE_CHECKING:
    from ..limits import JsonObject
    from .codec import Buffer, Codec

_MAX_CODECS = 16


@dataclass(frozen=True)
class ChunkDecoder:
    """How an array is cut into chunks, and what each was passed through before it was stored.

    `dtype` is that of the stored numbers, with its byte order. `axes` are those of the array in the order in
    which a chunk is laid out, the slowest first.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[int, ...]
    codecs: tuple[Codec, ...]
    fill: np.generic

    @property
    def nbytes(self) -> int:
        """What one chunk takes in memory."""
        return math.prod(self.chunk) * self.dtype.itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """How many chunks there are along each axis."""
        return tuple(-(-whole // part) for whole, part in zip(self.shape, self.chunk, strict=True))

    @property
    def is_plain(self) -> bool:
        """Whether chunks are stored as they are, so that a part of one can be read."""
        return not self.codecs

    @property
    def fills_memory(self) -> bool:
        """Whether `decode` puts a chunk into the memory that it is given; a plain one can be read there."""
        return self.is_plain or (len(self.codecs) == 1 and self.codecs[0].fills_memory)

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next along each axis, in a plain chunk."""
        strides, step = [0] * len(self.chunk), self.dtype.itemsize
        for axis in reversed(self.axes):
            strides[axis] = step
            step *= self.chunk[axis]
        return tuple(strides)

    @property
    def most_stored(self) -> int:
        """No chunk takes more bytes where it is stored; more are not read."""
        # a picture may be one of many in its file
        return (
            MAX_CHUNK_BYTES if any(isinstance(c, Pixels) for c in self.codecs) else most_stored(self.nbytes)
        )

    def decode(self, data: Buffer, where: str, into: np.ndarray | None = None) -> np.ndarray:
        """The chunk as an array of shape `chunk`, read-only and in stored order.

        `into`: memory (bytes) for a chunk, which is used where a codec can decode into it.

        Raises `CorruptDataError` if the bytes do not come to exactly one chunk. Any thread.
        """
        raw = decoded_bytes(self.codecs, data, self.nbytes, where, into=into)
        laid_out: np.ndarray = np.ndarray([self.chunk[axis] for axis in self.axes], self.dtype, raw.data)
        pixels: np.ndarray = laid_out.transpose(self._back) if self._back else laid_out
        return pixels

    @functools.cached_property
    def _back(self) -> tuple[int, ...]:
        """From the axes as they are laid out to those of the array; () where they are the same."""
        order = range(len(self.axes))
        return () if self.axes == tuple(order) else tuple(sorted(order, key=self.axes.__getitem__))


def chunks_of(document: JsonObject, where: str, *, is_whole: bool = True) -> ChunkDecoder:
    """Judge the metadata of a zarr array (`.zarray` or `zarr.json`); `where` is how messages call it.

    Without `is_whole`, chunks may be of any size, as they are never in memory as a whole.

    Raises `MetadataError`, `UnsupportedError` (a codec or dtype that is not on our lists) or
    `LimitExceededError`.
    """
    if document.get("zarr_format") == 3:
        return _of_v3(document, where, is_whole)
    return _of_v2(document, where)


# ---- zarr v2 -------------------------------------------------------------------------------


def _of_v2(document: JsonObject, where: str) -> ChunkDecoder:
    facts = array_facts(_judged_as(document), 2, where)
    dtype = _stored_dtype(document["dtype"], where)
    order = document.get("order", "C")
    if order not in ("C", "F"):
        raise MetadataError(f"{where}: order is {brief(order)}, expected 'C' or 'F'")
    axes = tuple(range(len(facts.shape)))
    filters = document.get("filters") or []
    if not isinstance(filters, list):
        raise MetadataError(f"{where}: filters is {ascii(filters)[:80]}, expected a list")
    compressor = document.get("compressor")
    return ChunkDecoder(
        facts.shape,
        tuple(document["chunks"]),
        dtype,
        axes if order == "C" else axes[::-1],
        _codecs([*filters, *([compressor] if compressor else [])], dtype, where),
        fill_value(document.get("fill_value"), dtype, where),
    )


def _judged_as(document: JsonObject) -> JsonObject:
    """The metadata as `array_facts` is to judge them: codecs have a list of their own here.

    Chunks that are stored as they are may be of any size, since they are never read whole.
    """
    judged = {**document, "compressor": None, "filters": None}
    chunks = document.get("chunks")
    is_plain = not document.get("compressor") and not document.get("filters")
    if is_plain and isinstance(chunks, list) and all(type(n) is int and 0 < n < 2**40 for n in chunks):
        judged["chunks"] = [1] * len(chunks)
    return judged


def _stored_dtype(name: object, where: str) -> np.dtype[Any]:
    try:
        return np.dtype(str(name))
    except TypeError as error:  # what numpy has no name for: bfloat16, int4
        raise UnsupportedError(f"{where}: dtype {brief(name)} is not decoded") from error


def _codecs(configs: list[Any], dtype: np.dtype[Any], where: str) -> tuple[Codec, ...]:
    if len(configs) > _MAX_CODECS:
        raise LimitExceededError(f"{where}: {len(configs)} codecs in a row: too many")
    try:
        return tuple(codec_from(config, dtype) for config in configs)
    except DatasetError as error:
        raise type(error)(f"{where}: {error}") from error


# ---- zarr v3 -------------------------------------------------------------------------------


def _of_v3(document: JsonObject, where: str, is_whole: bool) -> ChunkDecoder:
    codecs = document.get("codecs")
    chain = [named_codec(codec, where) for codec in codecs] if isinstance(codecs, list) else []
    if [name for name, _ in chain].count("bytes") != 1:
        raise UnsupportedError(f"{where}: shards here, or codecs without 'bytes', are not supported")
    at = [name for name, _ in chain].index("bytes")
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    judged = {**document, "codecs": [plain]}
    chunk_grid = document.get("chunk_grid")
    if not is_whole and isinstance(chunk_grid, dict):
        ones = [1] * len(document["shape"]) if isinstance(document.get("shape"), list) else []
        judged["chunk_grid"] = {**chunk_grid, "configuration": {"chunk_shape": ones}}
    facts = array_facts(judged, 3, where)
    order = chain[at][1].get("endian", "little")
    if order not in ("little", "big"):
        raise MetadataError(f"{where}: endian is {brief(order)}, expected 'little' or 'big'")
    dtype = _stored_dtype(document["data_type"], where).newbyteorder(order)
    if len({name == "transpose" for name, _ in chain[:at]}) > 1:  # writers differ in what they do then
        raise UnsupportedError(f"{where}: a transposition with a filter is not supported")
    filters = [(name, _in_order(config, order)) for name, config in chain[:at] if name != "transpose"]
    return ChunkDecoder(
        facts.shape,
        _v3_chunk(document, where),
        dtype,
        transposed([config for name, config in chain[:at] if name == "transpose"], len(facts.shape), where),
        codecs_named([*filters, *chain[at + 1 :]], dtype, where),
        fill_value(document.get("fill_value"), dtype, where),
    )


def _v3_chunk(document: JsonObject, where: str) -> tuple[int, ...]:
    configuration = document["chunk_grid"].get("configuration")  # of shards nobody has looked at it yet
    chunk = configuration.get("chunk_shape") if isinstance(configuration, dict) else None
    if not isinstance(chunk, list) or len(chunk) != len(document["shape"]):
        raise MetadataError(f"{where}: chunk_shape is {brief(chunk)}, expected as many numbers as axes")
    if not all(type(n) is int and 0 < n < 2**40 for n in chunk):
        raise LimitExceededError(f"{where}: chunks of {brief(chunk)} are not a valid size")
    return tuple(chunk)


def _in_order(config: JsonObject, order: Literal["little", "big"]) -> JsonObject:
    """The configuration of a filter over numbers, with the byte order that ``bytes`` gives them."""
    turned = dict(config)
    for key in ("dtype", "astype", "encode_dtype", "decode_dtype"):
        if isinstance(config.get(key), str):
            with contextlib.suppress(TypeError):
                turned[key] = np.dtype(config[key]).newbyteorder(order).str
    return turned


def codecs_named(chain: list[tuple[str, JsonObject]], dtype: np.dtype[Any], where: str) -> tuple[Codec, ...]:
    """Codecs of v3 by name and configuration; raises like `codec_from`, and names the array."""
    return _codecs(
        [{"id": name.removeprefix("numcodecs."), **config} for name, config in chain], dtype, where
    )


def named_codec(codec: object, where: str) -> tuple[str, JsonObject]:
    """Name and configuration of a codec of v3. Raises `MetadataError`."""
    name = codec.get("name") if isinstance(codec, dict) else codec
    configuration = codec.get("configuration") or {} if isinstance(codec, dict) else {}
    if not isinstance(name, str) or not isinstance(configuration, dict):
        raise MetadataError(f"{where}: a codec is given as {ascii(codec)[:80]}, expected a name")
    return name, configuration


def transposed(configs: list[JsonObject], rank: int, where: str) -> tuple[int, ...]:
    """The axes of an array in the order in which transpositions, the first one first, lay them out."""
    axes = tuple(range(rank))
    for config in configs:
        order = config.get("order")
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(rank))):
            raise MetadataError(f"{where}: a transposition is {ascii(order)[:80]}, expected an order of axes")
        axes = tuple(axes[int(axis)] for axis in order)
    return axes
