"""Filters: what leaves the length of a chunk as it is, or nearly.

They stay written by hand, in numpy, because they are needed where neither numcodecs nor imagecodecs is
installed: neither comes with the package, nor with h5py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MetadataError, UnsupportedError
from ...model import how_many
from ..printable import brief
from .codec import Codec, DamagedError, from_imagecodecs, need, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import JsonObject
    from .codec import Buffer

_BLOCK_WORDS = 256


@dataclass(frozen=True)
class Shuffle(Codec):
    """All first bytes of items first, then all second ones, …; what is over stays at the end.

    By hand: numcodecs takes twice as long for 16 bits and as long for 32, and refuses what is over.
    """

    item: int

    def stored_bytes(self, n: int) -> int:
        """As many."""
        return n

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        if self.item < 1:
            raise DamagedError(f"its bytes are shuffled as items of {how_many(self.item, 'byte')}")
        raw = view(data)
        count = len(raw) // self.item
        if self.item < 2 or count < 2:
            return data
        whole = count * self.item
        parts = raw[:whole].reshape(self.item, count)
        if self.item in (2, 4, 8):  # by shifting whole items: a fifth of the time of single bytes
            items = parts[-1].astype(f"<u{self.item}")
            for part in parts[-2::-1]:
                items <<= 8
                items |= part
            together = items.view(np.uint8)
        else:
            together = parts.T.reshape(-1)
        return together if whole == len(raw) else np.concatenate([together, raw[whole:]])


@dataclass(frozen=True)
class Fletcher32(Codec):
    """A checksum after the bytes, as HDF5 writes it; by hand, since h5py has no function for it."""

    def stored_bytes(self, n: int) -> int:
        """Four more."""
        return n + 4

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`; a checksum that does not match is damage."""
        raw = view(data)
        if len(raw) < 4:
            raise DamagedError("it has no checksum")
        content, stored = raw[:-4], int.from_bytes(raw[-4:].tobytes(), "little")
        # 0 and 65535 are the same to it
        if [half % 65535 for half in divmod(stored, 65536)] != list(_fletcher32(content)):
            raise DamagedError("its checksum does not match")
        return content


def _fletcher32(raw: np.ndarray) -> tuple[int, int]:
    """Both sums, modulo 65535, over big-endian words; the higher half of the checksum first."""
    n_words = -(-len(raw) // 2)
    blocks = np.zeros((-(-n_words // _BLOCK_WORDS), _BLOCK_WORDS), ">u2")
    view(blocks)[: len(raw)] = raw
    of_blocks = blocks.sum(axis=1, dtype=np.uint64) % 65535
    of_places = blocks.sum(axis=0, dtype=np.uint64)
    low = int(of_blocks.sum())
    # each word counts in the higher sum once for itself and for every one that follows
    before = _BLOCK_WORDS * _sum_of_places(of_blocks) + _sum_of_places(of_places)
    return (n_words * low - before) % 65535, low % 65535


def _sum_of_places(sums: np.ndarray) -> int:
    """Each times its place, the first of which is 0."""
    return int((sums * np.arange(len(sums), dtype=np.uint64)).sum())


@dataclass(frozen=True)
class Unchanged(Codec):
    """A filter that changed values for good when it was applied."""

    def stored_bytes(self, n: int) -> int:
        """As many."""
        return n

    def undo(self, data: memoryview, n: int) -> Buffer:
        """What is there."""
        return data


@dataclass(frozen=True)
class PackedBits(Codec):
    """Eight truth values a byte, after a byte that says how many bits of the last one are not used."""

    def stored_bytes(self, n: int) -> int:
        """An eighth, and one more."""
        return 1 + -(-n // 8)

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        raw = view(data)
        added = int(raw[0]) if len(raw) else 8
        if added > 7 or 8 * (len(raw) - 1) - added != n:
            raise DamagedError("its length does not match the chunk's")
        return np.unpackbits(raw[1:], count=n)


@dataclass(frozen=True)
class Numbers(Codec):
    """A filter over numbers: `back` makes an array of `dtype` out of one of `stored`."""

    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    back: Callable[[np.ndarray], np.ndarray]

    def stored_bytes(self, n: int) -> int:
        """As many numbers, of another type."""
        return n // self.dtype.itemsize * self.stored.itemsize

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        raw = view(data)
        if len(raw) % self.stored.itemsize or len(raw) // self.stored.itemsize * self.dtype.itemsize > n:
            raise DamagedError("its length does not match the chunk's")
        with np.errstate(all="ignore"):
            return np.ascontiguousarray(self.back(raw.view(self.stored)).astype(self.dtype, copy=False))


def delta(config: JsonObject) -> Codec:
    """The delta of numcodecs: one sum in numpy there as well, without a check of lengths and types."""
    dtype = _dtype(config, "dtype")
    return Numbers(dtype, _dtype(config, "astype", dtype), lambda raw: np.cumsum(raw, dtype=dtype))


def fixed_scale_offset(config: JsonObject) -> Codec:
    """Numbers stored as ``(number - offset) * scale``; an expression of numpy in numcodecs as well."""
    dtype = _dtype(config, "dtype")
    scale, offset = _number(config, "scale"), _number(config, "offset")
    if scale == 0:
        raise MetadataError("the filter 'fixedscaleoffset' has a scale of 0")
    return Numbers(dtype, _dtype(config, "astype", dtype), lambda raw: raw / scale + offset)


def quantized(config: JsonObject) -> Codec:
    """Numbers rounded to some decimal places, stored as another type; they stay rounded."""
    dtype = _dtype(config, "dtype")
    return Numbers(dtype, _dtype(config, "astype", dtype), lambda raw: raw)


def as_type(config: JsonObject) -> Codec:
    """Numbers stored as another type; a conversion by numpy in numcodecs as well."""
    return Numbers(_dtype(config, "decode_dtype"), _dtype(config, "encode_dtype"), lambda raw: raw)


def differences(config: JsonObject) -> Codec:
    """The delta of imagecodecs: along one axis of arrays of `shape`, wrapping around.

    By imagecodecs where it is installed, in a quarter of the time along the last axis.
    """
    dtype, shape, axis = _dtype(config, "dtype"), _shape(config), config.get("axis", -1)
    if config.get("dist", 1) != 1 or dtype.kind not in "ui" or axis not in range(-len(shape), len(shape)):
        raise UnsupportedError("this variant of 'imagecodecs_delta' is not supported")
    if (fast := from_imagecodecs("delta")) is not None:
        return Numbers(dtype, dtype, lambda raw: fast(raw.reshape(shape), axis=axis))
    native = dtype.newbyteorder("=")
    return Numbers(dtype, dtype, lambda raw: np.cumsum(raw.reshape(shape), axis=axis, dtype=native))


def float_predictor(config: JsonObject) -> Codec:
    """The predictor of TIFF for floats, by imagecodecs, over arrays of `shape`."""
    decode = need("imagecodecs", "tiff", "imagecodecs_floatpred").floatpred_decode
    dtype, shape = _dtype(config, "dtype"), _shape(config)
    axis, dist = config.get("axis", -1), config.get("dist", 1)
    if dtype.kind != "f" or axis not in range(-len(shape), len(shape)) or dist not in (1, 2, 4):
        raise UnsupportedError("this variant of 'imagecodecs_floatpred' is not supported")
    return Numbers(dtype, dtype, lambda raw: decode(raw.reshape(shape), axis=axis, dist=dist))


def _dtype(config: JsonObject, key: str, otherwise: np.dtype[Any] | None = None) -> np.dtype[Any]:
    name = config.get(key)
    if name is None and otherwise is not None:
        return otherwise
    try:
        # text only: numpy takes nested lists for structures
        dtype = np.dtype(name) if isinstance(name, str) else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in "biuf":
        raise UnsupportedError(f"the filter {brief(config.get('id'))} is for numbers, not {brief(name)}")
    return dtype


def _number(config: JsonObject, key: str) -> float:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MetadataError(f"the filter {brief(config.get('id'))} has no {key}")
    return value


def _shape(config: JsonObject) -> tuple[int, ...]:
    shape = config.get("shape")
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n > 0 for n in shape):
        raise MetadataError(f"the filter {brief(config.get('id'))} has no shape")
    return tuple(shape)
