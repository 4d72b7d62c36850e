"""Guards against decompression bombs: refuses them before a decoder sees them.

imagecodecs' stream decoders stop when the page is full; those of the standard library,
which tifffile uses without it, do not. Image decoders obey the size inside the part, whatever the page
declares.
"""

from __future__ import annotations

import importlib
import importlib.util
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import LimitExceededError, UnsupportedError
from ...storage.limits import MAX_PLANE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader

    from tifffile import TiffPage

_MAX_PARTS = 10_000_000
_DEFLATE, _LZMA, _ZSTD = (8, 32946), (34925,), (50000, 34926)
_BOUNDED = (1, 5, 32773, 50001, 34927, *_DEFLATE, *_LZMA, *_ZSTD)
"""Streams, and WebP, which is never larger than 16,383 pixels a side."""

_JPEG = (7, 33007)
_JPEG_2000 = (33003, 33004, 33005, 34712)
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_HEAD = 4096


def refuse_bombs(page: TiffPage, file: BufferedReader, path: str, parts: Sequence[int] | None = None) -> None:
    """Raise `LimitExceededError` for a page that would take more memory to decode than any image should.

    Only these strips or tiles (None: all) are looked at. Raises `UnsupportedError` if the size cannot be
    determined.
    """
    counts = page.databytecounts if parts is None else [page.databytecounts[i] for i in parts]
    places = list(
        zip(page.dataoffsets if parts is None else [page.dataoffsets[i] for i in parts], counts, strict=False)
    )
    if len(counts) > _MAX_PARTS or max(counts, default=0) > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{path} is damaged: {len(counts)} strips or tiles of up to {max(counts)} bytes"
        )
    part = _nbytes(page)
    if part > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{path} has strips or tiles of {part} bytes; at most {MAX_PLANE_BYTES} are allowed"
        )
    compression = int(page.compression)
    if compression in _JPEG or compression in _JPEG_2000:
        size = _jpeg_size if compression in _JPEG else _jpeg_2000_size
        for offset, count in places:
            if (n := size(file, offset, count)) > MAX_PLANE_BYTES:
                raise LimitExceededError(f"{path} contains an embedded image of {n} bytes: too large")
    elif compression not in _BOUNDED:
        raise UnsupportedError(f"{path} uses the compression {page.compression!r}: not supported")
    elif compression in (*_DEFLATE, *_LZMA, *_ZSTD) and not _has_imagecodecs():
        _refuse_streams(places, file, compression, part, path)


def _nbytes(page: TiffPage) -> int:
    """The size in bytes of one decoded part of the page."""
    n = int(page.dtype.itemsize) if page.dtype is not None else 8
    for size in page.chunks:
        n *= int(size)
    return n


@cache
def _has_imagecodecs() -> bool:
    try:
        import imagecodecs  # noqa: F401  tifffile loads it as well
    except ImportError:
        return False
    return True


def _refuse_streams(
    places: Sequence[tuple[int, int]], file: BufferedReader, compression: int, part: int, path: str
) -> None:
    for offset, count in places:
        decoder = _decoder(compression)
        if decoder is None:  # tifffile will report the missing package
            return
        file.seek(offset)
        # tifffile decodes this again: slower, but only without imagecodecs
        if len(decoder.decompress(file.read(count), max_length=part + 1)) > part:
            raise LimitExceededError(
                f"{path} is damaged: it decompresses to more than the {part} bytes its header declares"
            )


def _decoder(compression: int) -> Any:
    if compression in _DEFLATE:
        import zlib

        return _Deflate(zlib.decompressobj())
    if compression in _LZMA:
        import lzma

        return lzma.LZMADecompressor()
    if compression in _ZSTD and importlib.util.find_spec("compression.zstd") is not None:
        return importlib.import_module("compression.zstd").ZstdDecompressor()
    return None


class _Deflate:
    """zlib's, with the argument named as in the others."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._stream.decompress(data, max_length))


def _jpeg_size(file: BufferedReader, offset: int, count: int) -> int:
    """Size in bytes of the image in a JPEG stream, from its frame header; 0 if it has none."""
    at, end = offset + 2, offset + count
    while at + 9 < end:
        file.seek(at)
        marker, kind, length, bits, height, width, samples = struct.unpack(">BBHBHHB", file.read(10))
        if marker != 0xFF:
            return 0
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return int(height * width * samples * (2 if bits > 8 else 1))
        # padding and markers without body
        at += 1 if kind == 0xFF else 2 if kind == 0x01 or 0xD0 <= kind <= 0xD8 else 2 + length
    return 0


def _jpeg_2000_size(file: BufferedReader, offset: int, count: int) -> int:
    """Size in bytes of a JPEG 2000 image, bare or in a JP2; too many if its header lacks the size."""
    file.seek(offset)
    head = file.read(min(count, _HEAD))
    start = head.find(_JPEG_2000_START)
    if start < 0 or start + 42 > len(head):
        return MAX_PLANE_BYTES + 1
    width, height = struct.unpack_from(">II", head, start + 8)
    (samples,) = struct.unpack_from(">H", head, start + 40)
    return int(width * height * samples * 2)
