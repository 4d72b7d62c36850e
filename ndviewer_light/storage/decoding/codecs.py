"""The codecs of chunks; each decodes within a size limit.

Nothing is decoded without a limit on the output, given to the library or checked in the header.
Codecs have the names used by numcodecs and imagecodecs.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import importlib
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MetadataError, UnsupportedError
from ..limits import MAX_CHUNK_BYTES
from ..printable import brief

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import JsonObject

    Buffer = bytes | memoryview | np.ndarray

_WORDS_AT_ONCE = 1 << 20


class DamagedError(Exception):
    """The bytes are not valid output of this codec."""


class Codec(ABC):
    """One encoding step from a chunk to its stored bytes."""

    @abstractmethod
    def stored_bytes(self, n: int) -> int | None:
        """The encoded size of `n` bytes; None if it depends on their values."""

    @abstractmethod
    def undo(self, data: memoryview, n: int) -> Buffer:
        """Decode; returns at most `n` bytes, else raises `DamagedError` or an error of the library."""


def need(library: str, extra: str, codec: str) -> Any:
    """Import the library of a codec. Raises `UnsupportedError` with installation instructions."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise UnsupportedError(
            f"{codec!r} needs {library}, which is not installed: pip install 'ndviewer_light[{extra}]'"
        ) from error


def view(data: Buffer) -> np.ndarray:
    """Any buffer as single bytes; arrays must be contiguous."""
    return data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)


# ---- compressors ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Compressor(Codec):
    """A compressor whose function takes the data and the maximum output size."""

    decode: Callable[[memoryview, int], Buffer]

    def stored_bytes(self, n: int) -> int | None:
        """Depends on the data."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        return self.decode(data, n)


@functools.cache
def _from_imagecodecs(name: str) -> Callable[..., bytes] | None:
    """The decoder of that name in imagecodecs, twice as fast as others; None if not installed."""
    try:
        library = importlib.import_module("imagecodecs")
    except ImportError:
        return None
    decode: Callable[..., bytes] | None = getattr(library, f"{name}_decode", None)
    return decode if getattr(getattr(library, name.upper(), None), "available", False) else None


def inflated(data: memoryview, n: int) -> Buffer:
    """The zlib format, one stream; trailing data is ignored, as in zlib."""
    if (fast := _from_imagecodecs("deflate")) is not None:
        with contextlib.suppress(RuntimeError):  # zlib explains why, or accepts what libdeflate rejects
            return fast(data, raw=False, out=n)
    stream = zlib.decompressobj()
    out = stream.decompress(data, n + 1)
    if len(out) <= n and not stream.eof:
        raise DamagedError("the compressed data is truncated")
    return out


def gunzipped(data: memoryview, n: int) -> Buffer:
    """The gzip format; consecutive members are concatenated."""
    is_one_member = int.from_bytes(data[-4:], "little") == n & 0xFFFFFFFF  # RFC 1952: the size in its trailer
    if is_one_member and (fast := _from_imagecodecs("gzip")) is not None:
        with contextlib.suppress(RuntimeError):  # as above
            return fast(data, out=n)
    parts: list[bytes] = []
    rest = bytes(data)
    while rest:
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(rest, n + 1))
        n -= len(parts[-1])
        if n < 0:
            break
        if not member.eof:
            raise DamagedError("the compressed data is truncated")
        rest = member.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _bz2(data: memoryview, n: int) -> Buffer:
    import bz2

    return _streamed(bz2.BZ2Decompressor, data, n)


def _lzma(data: memoryview, n: int) -> Buffer:
    import lzma

    return _streamed(lambda: lzma.LZMADecompressor(memlimit=512 * 1024**2), data, n)


def _streamed(new: Callable[[], Any], data: memoryview, n: int) -> Buffer:
    stream = new()
    out: bytes = stream.decompress(data, n + 1)
    while len(out) <= n and not stream.eof:
        if not (more := stream.decompress(b"", n + 1 - len(out))):
            raise DamagedError("the compressed data is truncated")
        out += more
    return out


BLOSC_HEAD = 16
"""The size of a blosc header in bytes."""


def judge_blosc(head: bytes | memoryview, stored: int, n: int) -> None:
    """Check the header of `stored` bytes of Blosc 1 that should decompress to at most `n`.

    The library allocates as much memory as the header declares. Raises `DamagedError`.
    """
    if len(head) < BLOSC_HEAD:
        raise DamagedError(f"{stored} bytes are too few for a blosc header")
    version, _, _, item, nbytes, block, cbytes = struct.unpack_from("<BBBBIII", head)
    if nbytes > n:
        raise DamagedError(f"its blosc header declares {nbytes:,} bytes, but a chunk of this array has {n:,}")
    if version not in (1, 2) or not item or not 0 < block <= max(nbytes, 1):
        raise DamagedError("its blosc header is invalid")
    if cbytes != stored:
        raise DamagedError(f"its blosc header declares {cbytes:,} stored bytes, but it has {stored:,}")


def _blosc(data: memoryview, n: int) -> Buffer:
    judge_blosc(data[:BLOSC_HEAD], len(data), n)
    decoded: bytes = need("numcodecs.blosc", "refs", "blosc").decompress(data)
    return decoded


def _lz4(data: memoryview, n: int) -> Buffer:
    """An LZ4 block preceded by its size, as numcodecs writes it."""
    size = int.from_bytes(bytes(data[:4]), "little", signed=True)
    if len(data) < 5 or not 0 < size <= n:
        raise DamagedError("its size does not match the chunk's")
    decoded: bytes = need("numcodecs.lz4", "refs", "lz4").decompress(data)
    return decoded


def _zstd(data: memoryview, n: int) -> Buffer:
    if (fast := _from_imagecodecs("zstd")) is not None:
        return fast(data, out=n)
    # into our own buffer: a frame may declare any size, or none
    into = np.empty(n, np.uint8)
    need("numcodecs.zstd", "refs", "zstd").decompress(data, into)
    return into


def _by_imagecodecs(name: str) -> Compressor:
    decode = getattr(need("imagecodecs", "tiff", f"imagecodecs_{name}"), f"{name}_decode")
    return Compressor(lambda data, n: decode(data, out=n))


# ---- filters that keep the length, or nearly -------------------------------------------------


@dataclass(frozen=True)
class Shuffle(Codec):
    """All first bytes of items, then all second bytes, …; the remainder stays at the end."""

    item: int

    def stored_bytes(self, n: int) -> int:
        """The same number."""
        return n

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        raw = view(data)
        count = len(raw) // self.item
        if self.item < 2 or count < 2:
            return data
        whole = count * self.item
        parts = raw[:whole].reshape(self.item, count)
        if self.item in (2, 4, 8):  # by shifting whole items: five times as fast as single bytes
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
    """A checksum after the bytes, as HDF5 writes it."""

    def stored_bytes(self, n: int) -> int:
        """Four more."""
        return n + 4

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`; raises for a checksum mismatch."""
        raw = view(data)
        if len(raw) < 4:
            raise DamagedError("it has no checksum")
        content, stored = raw[:-4], int.from_bytes(raw[-4:].tobytes(), "little")
        # 0 and 65535 are equivalent in this checksum
        if [half % 65535 for half in divmod(stored, 65536)] != list(_fletcher32(content)):
            raise DamagedError("its checksum does not match")
        return content


def _fletcher32(raw: np.ndarray) -> tuple[int, int]:
    """Both sums, modulo 65535, over big-endian words; the higher half of the checksum first."""
    low = high = 0
    n = len(raw) // 2
    for start in range(0, n, _WORDS_AT_ONCE):
        words = raw[2 * start : 2 * min(n, start + _WORDS_AT_ONCE)].view(">u2").astype(np.uint64)
        # each word counts in the second sum once for itself and once for every following word
        weights = np.arange(len(words), 0, -1, dtype=np.uint64)
        high = (high + low * len(words) + int((words * weights).sum())) % 65535
        low = (low + int(words.sum())) % 65535
    if len(raw) % 2:
        low = (low + (int(raw[-1]) << 8)) % 65535
        high = (high + low) % 65535
    return high, low


@dataclass(frozen=True)
class Unchanged(Codec):
    """A lossy filter that needs no decoding."""

    def stored_bytes(self, n: int) -> int:
        """The same number."""
        return n

    def undo(self, data: memoryview, n: int) -> Buffer:
        """The data, unchanged."""
        return data


@dataclass(frozen=True)
class Numbers(Codec):
    """A filter on numbers: `back` converts an array of `stored` to one of `dtype`."""

    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    back: Callable[[np.ndarray], np.ndarray]

    def stored_bytes(self, n: int) -> int:
        """The same count of numbers, of another type."""
        return n // self.dtype.itemsize * self.stored.itemsize

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        raw = view(data)
        if len(raw) % self.stored.itemsize or len(raw) // self.stored.itemsize * self.dtype.itemsize > n:
            raise DamagedError("its length does not match the chunk's")
        with np.errstate(all="ignore"):
            return np.ascontiguousarray(self.back(raw.view(self.stored)).astype(self.dtype, copy=False))


def _delta(config: JsonObject) -> Codec:
    dtype = _dtype(config, "dtype")
    return Numbers(dtype, _dtype(config, "astype", dtype), lambda raw: np.cumsum(raw, dtype=dtype))


def _fixed_scale_offset(config: JsonObject) -> Codec:
    dtype = _dtype(config, "dtype")
    scale, offset = _number(config, "scale"), _number(config, "offset")
    if scale == 0:
        raise MetadataError("the filter 'fixedscaleoffset' has a scale of 0")
    return Numbers(dtype, _dtype(config, "astype", dtype), lambda raw: raw / scale + offset)


def _astype(config: JsonObject) -> Codec:
    return Numbers(_dtype(config, "decode_dtype"), _dtype(config, "encode_dtype"), lambda raw: raw)


def _differences(config: JsonObject) -> Codec:
    """The delta of imagecodecs: along one axis of arrays of `shape`, with wrap-around."""
    dtype, shape, axis = _dtype(config, "dtype"), _shape(config), config.get("axis", -1)
    if config.get("dist", 1) != 1 or dtype.kind not in "ui" or axis not in range(-len(shape), len(shape)):
        raise UnsupportedError("this variant of 'imagecodecs_delta' is not supported")
    native = dtype.newbyteorder("=")
    return Numbers(dtype, dtype, lambda raw: np.cumsum(raw.reshape(shape), axis=axis, dtype=native))


def _float_predictor(config: JsonObject) -> Codec:
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
        # text only: numpy interprets nested lists as structures
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


# ---- pictures ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pixels(Codec):
    """A whole image file; `decode` returns (Y, X) or (Y, X, S), checked before."""

    decode: Callable[[memoryview], np.ndarray]
    dtype: np.dtype[Any]

    def stored_bytes(self, n: int) -> int | None:
        """Depends on the data."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        pixels = self.decode(data)
        if pixels.dtype.newbyteorder("=") != self.dtype.newbyteorder("="):
            raise DamagedError(f"its pixels are {pixels.dtype}, but the array's are {self.dtype}")
        return np.ascontiguousarray(pixels, dtype=self.dtype)


def _picture(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    from .pictures import decoded

    return Pixels(lambda data: decoded(bytes(data), "the picture"), dtype)


def _jpeg(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    """Complete files; parts of a TIFF lack the tables that they share."""
    parts = [config.get(key) for key in ("tables", "header")]
    spaces = [config.get(f"colorspace_{which}") for which in ("jpeg", "data")]
    if not any(parts) and all(space is None for space in spaces):
        return _picture(config, dtype)
    tables, header = (base64.b64decode(part) if isinstance(part, str) else None for part in parts)
    if not all(space is None or type(space) in (int, str) for space in spaces):
        raise MetadataError("'imagecodecs_jpeg' has an invalid colour space")
    from .pictures import judged_jpeg

    decode = need("imagecodecs", "tiff", "imagecodecs_jpeg").jpeg8_decode

    def pixels(data: memoryview) -> np.ndarray:
        raw = bytes(data)
        raw = raw if header is None else header + raw + b"\xff\xd9"
        judged_jpeg(raw, "the picture")
        found: np.ndarray = decode(raw, tables=tables, colorspace=spaces[0], outcolorspace=spaces[1])
        return found

    return Pixels(pixels, dtype)


def _tiff(config: JsonObject, dtype: np.dtype[Any]) -> Codec:
    page = config.get("index") or 0
    if type(page) is not int or page < 0:
        raise MetadataError(f"'imagecodecs_tiff' names page {brief(page)}")
    from .tiff_pages import decoded_page

    return Pixels(lambda data: decoded_page(bytes(data), page, "the picture"), dtype)


# ---- by name -------------------------------------------------------------------------------


def _needs_numcodecs(name: str, decode: Callable[[memoryview, int], Buffer]) -> Codec:
    need(f"numcodecs.{name}", "refs", name)  # to be reported when the dataset is opened
    return Compressor(decode)


def _zstd_codec(config: JsonObject) -> Codec:
    return Compressor(_zstd) if _from_imagecodecs("zstd") else _needs_numcodecs("zstd", _zstd)


def _lzma_codec(config: JsonObject) -> Codec:
    if config.get("format", 1) not in (1, 2) or config.get("filters"):
        raise UnsupportedError("'lzma' without its own header is not supported")
    return Compressor(_lzma)


def _shuffle(config: JsonObject) -> Codec:
    item = config.get("elementsize", 4)
    if type(item) is not int or not 1 <= item <= 256:
        raise MetadataError(f"'shuffle' is for items of {brief(item)} bytes")
    return Shuffle(item)


_BY_NAME: dict[str, Callable[[JsonObject], Codec]] = {
    "zlib": lambda config: Compressor(inflated),
    "gzip": lambda config: Compressor(gunzipped),
    "bz2": lambda config: Compressor(_bz2),
    "lzma": _lzma_codec,
    "blosc": lambda config: _needs_numcodecs("blosc", _blosc),
    "lz4": lambda config: _needs_numcodecs("lz4", _lz4),
    "zstd": _zstd_codec,
    "shuffle": _shuffle,
    "fletcher32": lambda config: Fletcher32(),
    "bitround": lambda config: Unchanged(),
    "delta": _delta,
    "fixedscaleoffset": _fixed_scale_offset,
    "astype": _astype,
    "imagecodecs_zlib": lambda config: Compressor(inflated),
    "imagecodecs_zstd": _zstd_codec,
    "imagecodecs_lzw": lambda config: _by_imagecodecs("lzw"),
    "imagecodecs_packbits": lambda config: _by_imagecodecs("packbits"),
    "imagecodecs_delta": _differences,
    "imagecodecs_floatpred": _float_predictor,
}
_PICTURES: dict[str, Callable[[JsonObject, np.dtype[Any]], Codec]] = {
    "imagecodecs_png": _picture,
    "imagecodecs_bmp": _picture,
    "imagecodecs_jpeg": _jpeg,
    "imagecodecs_jpeg8": _jpeg,
    "imagecodecs_tiff": _tiff,
}

ALLOWED = tuple(sorted((*_BY_NAME, *_PICTURES)))
"""Names of codecs that are decoded; any other name is refused, whatever library knows it."""


def codec_from(config: object, dtype: np.dtype[Any]) -> Codec:
    """The codec for a configuration ``{"id": …}``, for an array of the stored `dtype`.

    Raises `UnsupportedError` if it is not on the list or its library is not installed, else
    `MetadataError`; neither names the array.
    """
    name = config.get("id") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(name, str):
        raise MetadataError(f"invalid codec {ascii(config)[:80]}, expected an object with an id")
    if name in _BY_NAME:
        return _BY_NAME[name](config)
    if name in _PICTURES:
        return _PICTURES[name](config, dtype)
    raise UnsupportedError(f"codec {name[:80]!a} is not supported; supported are {', '.join(ALLOWED)}")


def most_stored(n: int) -> int:
    """An upper limit on the encoded size of `n` bytes, however badly they compress."""
    return min(n + n // 2 + 65536, MAX_CHUNK_BYTES)
