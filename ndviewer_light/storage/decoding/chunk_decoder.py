"""What is stored of a chunk, turned back into its pixels; array metadata judged before anything is decoded.

Sources: zarr v2 and v3 specifications; `codecs` holds the codecs, by name, and nothing that is not
on its list is ever decoded. Pure functions over dicts and bytes, no I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ..limits import MAX_CHUNK_BYTES
from ..printable import brief
from .codec import most_stored, undone
from .codecs import codec_from
from .fill_values import fill_value
from .picture_codecs import Pixels
from .zarr_guard import array_facts

if TYPE_CHECKING:
    from ..limits import JsonObject
    from .codec import Codec

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

    def decode(self, data: bytes, where: str) -> np.ndarray:
        """The chunk as an array of shape `chunk`, read-only and in stored order.

        Raises `CorruptDataError` if the bytes do not come to exactly one chunk. Any thread.
        """
        raw = undone(self.codecs, data, self.nbytes, where)
        laid_out: np.ndarray = np.ndarray([self.chunk[axis] for axis in self.axes], self.dtype, raw.data)
        pixels: np.ndarray = laid_out.transpose(np.argsort(self.axes))
        return pixels


def chunks_of(document: JsonObject, where: str) -> ChunkDecoder:
    """Judge the metadata of a zarr array (`.zarray` or `zarr.json`); `where` is how messages call it.

    Raises `MetadataError`, `UnsupportedError` (a codec or dtype that is not on our lists) or
    `LimitExceededError`.
    """
    if document.get("zarr_format") == 3:
        return _of_v3(document, where)
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
        raise LimitExceededError(f"{where}: {len(configs)} codecs one after the other")
    try:
        return tuple(codec_from(config, dtype) for config in configs)
    except DatasetError as error:
        raise type(error)(f"{where}: {error}") from error


# ---- zarr v3 -------------------------------------------------------------------------------


def _of_v3(document: JsonObject, where: str) -> ChunkDecoder:
    codecs = document.get("codecs")
    chain = [_named(codec, where) for codec in codecs] if isinstance(codecs, list) else []
    if [name for name, _ in chain].count("bytes") != 1:
        raise UnsupportedError(f"{where}: shards, or codecs without 'bytes', are not decoded from references")
    at = [name for name, _ in chain].index("bytes")
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    facts = array_facts({**document, "codecs": [plain]}, 3, where)
    order = chain[at][1].get("endian", "little")
    if order not in ("little", "big"):
        raise MetadataError(f"{where}: endian is {brief(order)}, expected 'little' or 'big'")
    dtype = _stored_dtype(document["data_type"], where).newbyteorder(order)
    before = [entry for entry in chain[:at] if entry[0] == "transpose"]
    configs = [
        {"id": name.removeprefix("numcodecs."), **config}
        for name, config in chain
        if name not in ("bytes", "transpose")
    ]
    return ChunkDecoder(
        facts.shape,
        tuple(document["chunk_grid"]["configuration"]["chunk_shape"]),
        dtype,
        _transposed([config for _, config in before], len(facts.shape), where),
        _codecs(configs, dtype, where),
        fill_value(document.get("fill_value"), dtype, where),
    )


def _named(codec: object, where: str) -> tuple[str, JsonObject]:
    name = codec.get("name") if isinstance(codec, dict) else codec
    configuration = codec.get("configuration") or {} if isinstance(codec, dict) else {}
    if not isinstance(name, str) or not isinstance(configuration, dict):
        raise MetadataError(f"{where}: a codec is given as {ascii(codec)[:80]}, expected a name")
    return name, configuration


def _transposed(configs: list[JsonObject], rank: int, where: str) -> tuple[int, ...]:
    axes = tuple(range(rank))
    for config in configs:
        order = config.get("order")
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(rank))):
            raise MetadataError(f"{where}: a transposition is {ascii(order)[:80]}, expected an order of axes")
        axes = tuple(axes[int(axis)] for axis in order)
    return axes
