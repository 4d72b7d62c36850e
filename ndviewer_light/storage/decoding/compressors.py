"""Compressors, decoded by zlib, bz2 and lzma of Python, by numcodecs and by imagecodecs, each told a bound.

What is written by hand here bounds them: how much may come out of a stream, and what the headers of Blosc,
LZ4 and Zstandard say, which numcodecs would believe. For zlib, gzip, bz2 and lzma it calls Python's own
modules without a bound.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...model import how_many
from .codec import Codec, DamagedError, from_imagecodecs, need

if TYPE_CHECKING:
    from collections.abc import Callable

    from .codec import Buffer


@dataclass(frozen=True)
class Compressor(Codec):
    """A compressor whose function takes the data and the most that may come out."""

    decode: Callable[[memoryview, int], Buffer]

    def stored_bytes(self, n: int) -> int | None:
        """It depends."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        return self.decode(data, n)


def inflated(data: memoryview, n: int) -> Buffer:
    """The format of zlib, one stream; what follows it is ignored, as zlib does."""
    if (fast := from_imagecodecs("deflate")) is not None:
        with contextlib.suppress(RuntimeError):  # zlib says why, or reads what libdeflate will not
            decoded: bytes = fast(data, raw=False, out=n)
            return decoded
    stream = zlib.decompressobj()
    out = stream.decompress(data, n + 1)
    if len(out) <= n and not stream.eof:
        raise DamagedError("the compressed data is truncated")
    return out


def gunzipped(data: memoryview, n: int) -> Buffer:
    """The format of gzip; several members one after the other are one."""
    is_one_member = int.from_bytes(data[-4:], "little") == n & 0xFFFFFFFF  # RFC 1952: what its end says
    if is_one_member and (fast := from_imagecodecs("gzip")) is not None:
        with contextlib.suppress(RuntimeError):  # as above
            decoded: bytes = fast(data, out=n)
            return decoded
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


def bz2_decoded(data: memoryview, n: int) -> Buffer:
    """The format of bzip2, one stream."""
    import bz2

    return _streamed(bz2.BZ2Decompressor, data, n)


def lzma_decoded(data: memoryview, n: int) -> Buffer:
    """The formats of xz and lzma, one stream."""
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
"""Bytes of the header that every chunk of blosc begins with."""


def judge_blosc(head: bytes | memoryview, stored: int, n: int) -> None:
    """Judge the header of `stored` bytes of Blosc 1 that should come to at most `n`.

    The library takes as much memory as the header says, whatever is wanted of it. Raises `DamagedError`.
    """
    if len(head) < BLOSC_HEAD:
        raise DamagedError(f"it has {how_many(stored, 'byte')}, too few for a blosc header")
    version, _, _, item, nbytes, block, cbytes = struct.unpack_from("<BBBBIII", head)
    if nbytes > n:
        raise DamagedError(
            f"its blosc header declares {how_many(nbytes, 'byte')}, but a chunk of this array has {n:,}"
        )
    if version not in (1, 2) or not item or not 0 < block <= max(nbytes, 1):
        raise DamagedError("its blosc header is invalid")
    if cbytes != stored:
        raise DamagedError(f"its blosc header declares {cbytes:,} stored bytes, but it has {stored:,}")


class Blosc(Codec):
    """Blosc 1; the header of a chunk is judged before it is decoded."""

    fills_memory = True

    def stored_bytes(self, n: int) -> int | None:
        """It depends."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        judge_blosc(data[:BLOSC_HEAD], len(data), n)
        decoded: bytes = _blosc().decompress(data)
        return decoded

    def undo_into(self, data: memoryview, n: int, into: np.ndarray) -> Buffer:
        """See `Codec.undo_into`."""
        judge_blosc(data[:BLOSC_HEAD], len(data), n)
        size = int.from_bytes(data[4:8], "little")
        _blosc().decompress(data, into)
        return into[:size]


def _blosc() -> Any:
    return need("numcodecs.blosc", "refs", "blosc")


def lz4_decoded(data: memoryview, n: int) -> Buffer:
    """A block of LZ4 with its size before it, as numcodecs writes it."""
    size = int.from_bytes(bytes(data[:4]), "little", signed=True)
    if len(data) < 5 or not 0 < size <= n:
        raise DamagedError("its size does not match the chunk's")
    decoded: bytes = need("numcodecs.lz4", "refs", "lz4").decompress(data)
    return decoded


class Zstd(Codec):
    """Frames of Zstandard; numcodecs, where imagecodecs is not installed, takes one that says its size."""

    fills_memory = True

    def stored_bytes(self, n: int) -> int | None:
        """It depends."""
        return None

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`."""
        return self.undo_into(data, n, np.empty(n, np.uint8))

    def undo_into(self, data: memoryview, n: int, into: np.ndarray) -> Buffer:
        """See `Codec.undo_into`."""
        if (fast := from_imagecodecs("zstd")) is not None:
            decoded: np.ndarray = fast(data, out=into)  # the part of it that is filled
            return decoded
        said = _zstd_says(data)
        if said is not None and said > n:
            raise DamagedError(f"its zstd header declares {how_many(said, 'byte')}, expected at most {n:,}")
        # into a buffer of ours, whatever follows the first frame; no larger than that frame, because the
        # library does not tell how much of the buffer it has filled
        filled = into[: n if said is None else said]
        try:
            need("numcodecs.zstd", "refs", "zstd").decompress(data, filled)
        except RuntimeError as error:
            if said is None:  # damaged, or a numcodecs before 0.14
                raise DamagedError(
                    f"{error}; its zstd header does not declare its size: newer versions of numcodecs, "
                    "or imagecodecs, may read it"
                ) from error
            raise
        return filled


def _zstd_says(data: memoryview) -> int | None:
    """How many bytes the first frame comes to, None if it does not say (RFC 8878, 3.1.1.1)."""
    if len(data) < 5 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return None
    descriptor = data[4]
    is_single = descriptor >> 5 & 1
    size = (is_single, 2, 4, 8)[descriptor >> 6]
    at = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(data[at : at + size], "little") + 256 * (size == 2) if size else None


def by_imagecodecs(name: str) -> Compressor:
    """The compressor of that name of imagecodecs. Raises `UnsupportedError` without that library."""
    decode = getattr(need("imagecodecs", "tiff", f"imagecodecs_{name}"), f"{name}_decode")
    return Compressor(lambda data, n: decode(data, out=n))
