"""Decodes the filters that a chunk was passed through: never more than a chunk's bytes.

Filters that cannot be decoded here are left to h5py, which decodes one chunk at a time.
Source: "HDF5 File Format Specification", filter pipeline message, and the list of registered filters.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import DatasetError, UnsupportedError
from ...storage.decoding.codec import Codec, decoded_bytes, from_imagecodecs
from ...storage.decoding.codecs import codec_from
from ...storage.decoding.compressors import Compressor, bz2_decoded, inflated
from ...storage.decoding.numeric_filters import Fletcher32, Shuffle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.decoding.codec import Buffer

DEFLATE, SHUFFLE, FLETCHER32, BZIP2, LZF, BLOSC, ZSTD = 1, 2, 3, 307, 32000, 32001, 32015


class Filter(NamedTuple):
    """One filter of a pipeline: its registered number, its parameters and its name."""

    number: int
    values: tuple[int, ...] = ()
    name: str = ""


class MissingFilter(Codec):
    """A filter that nothing here can decode: of use only where a chunk is stored without it."""

    def __init__(self, filter_: Filter) -> None:
        self._filter = filter_

    def stored_bytes(self, n: int) -> int | None:
        """See `Codec.stored_bytes`."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`: always raises `UnsupportedError`."""
        raise UnsupportedError(f"it is {told_missing(self._filter)}")


def told_missing(filter_: Filter) -> str:
    """What is said of data that need a filter which is not installed: the end of a sentence."""
    name = f"{filter_.name.partition(';')[0]!a} " if filter_.name else ""
    return (
        f"compressed with the HDF5 filter {name}(number {filter_.number}), which is not installed: "
        "pip install hdf5plugin"
    )


def codecs(filters: Sequence[Filter], missing: Sequence[Filter] = ()) -> tuple[Codec, ...] | None:
    """The codec of each of them; None if one cannot be decoded here, unless it is one of `missing`."""
    found = [MissingFilter(filter_) if filter_ in missing else _codec(filter_) for filter_ in filters]
    known = tuple(codec for codec in found if codec is not None)
    return known if len(known) == len(found) else None


def _codec(filter_: Filter) -> Codec | None:
    if filter_.number == DEFLATE:
        return Compressor(inflated)
    if filter_.number == BZIP2:
        return Compressor(bz2_decoded)
    if filter_.number == SHUFFLE:
        return Shuffle(filter_.values[0] if filter_.values else 1)
    if filter_.number == FLETCHER32:
        return Fletcher32()
    return _library_codec(filter_.number)


@functools.cache
def _library_codec(number: int) -> Codec | None:
    """Of those that need a library, what there is."""
    if number == LZF:
        lzf = from_imagecodecs("lzf")
        return None if lzf is None else Compressor(lambda data, n: lzf(data, out=n))
    names = {BLOSC: "blosc", ZSTD: "zstd"}
    try:
        return codec_from({"id": names[number]}, np.dtype(np.uint8)) if number in names else None
    except DatasetError:
        return None


def decoded(stored: bytes, chain: Sequence[Codec], mask: int, n_bytes: int, where: str) -> np.ndarray:
    """The `n_bytes` of a chunk, from what is stored; codecs whose bit is set in `mask` were left out.

    Raises `CorruptDataError` if the length or the checksum does not match.
    """
    return decoded_bytes(
        [codec for i, codec in enumerate(chain) if not mask >> i & 1], stored, n_bytes, where
    )
