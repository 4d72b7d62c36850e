"""Decodes the filters applied to a chunk, never to more than a chunk's bytes.

Filters that cannot be decoded here are left to h5py, which decodes one chunk at a time.
Source: "HDF5 File Format Specification", filter pipeline message, and the list of registered filters.
"""

from __future__ import annotations

import functools
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import CorruptDataError, DatasetError
from ...storage.decoding.codecs import (
    Compressor,
    DamagedError,
    Fletcher32,
    Shuffle,
    codec_from,
    inflated,
    view,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...storage.decoding.codecs import Buffer, Codec

DEFLATE, SHUFFLE, FLETCHER32, LZF, BLOSC, ZSTD = 1, 2, 3, 32000, 32001, 32015

_MAX_CHECKSUMS = 16
_DECODERS_SAY = (DamagedError, zlib.error, RuntimeError, ValueError, TypeError, OSError, EOFError)


class Filter(NamedTuple):
    """One filter of a pipeline: its registered number, its parameters and its name."""

    number: int
    values: tuple[int, ...] = ()
    name: str = ""


def codecs(filters: Sequence[Filter]) -> tuple[Codec, ...] | None:
    """The decoders of all filters; None if one of them cannot be decoded here."""
    found = [_codec(filter_) for filter_ in filters]
    known = tuple(codec for codec in found if codec is not None)
    return known if len(known) == len(found) else None


def _codec(filter_: Filter) -> Codec | None:
    if filter_.number == DEFLATE:
        return Compressor(inflated)
    if filter_.number == SHUFFLE:
        return Shuffle(filter_.values[0] if filter_.values else 1)
    if filter_.number == FLETCHER32:
        return Fletcher32()
    return _library_codec(filter_.number)


@functools.cache
def _library_codec(number: int) -> Codec | None:
    """The filters that need a library, if installed."""
    names = {BLOSC: "blosc", ZSTD: "zstd"}
    if number in names:
        try:
            return codec_from({"id": names[number]}, np.dtype(np.uint8))
        except DatasetError:
            return None
    lzf = _lzf() if number == LZF else None
    return None if lzf is None else Compressor(lambda data, n: lzf(data, out=n))


def _lzf() -> Callable[..., Any] | None:
    try:
        from imagecodecs import lzf_decode
    except ImportError:
        return None
    decode: Callable[..., Any] = lzf_decode
    try:
        return decode if decode(b"\x07ndviewer", out=8) == b"ndviewer" else None
    except (RuntimeError, TypeError, ValueError):  # not installed
        return None


def decoded(stored: bytes, chain: Sequence[Codec], mask: int, n_bytes: int, where: str) -> Buffer:
    """Decode a stored chunk to `n_bytes`; codecs whose bit is set in `mask` were skipped.

    Raises `CorruptDataError` if the length or the checksum does not match.
    """
    data: Buffer = stored
    most = n_bytes + 4 * min(len(chain), _MAX_CHECKSUMS)  # checksums may be part of the compressed data
    try:
        for i in reversed(range(len(chain))):
            if not mask >> i & 1:
                data = chain[i].undo(view(data).data, most)
    except _DECODERS_SAY as error:
        raise CorruptDataError(f"{where} is damaged: {str(error).partition(chr(10))[0]}") from error
    if len(view(data)) != n_bytes:
        raise CorruptDataError(
            f"{where} is damaged: it does not decompress to the {n_bytes} bytes of a chunk"
        )
    return data
