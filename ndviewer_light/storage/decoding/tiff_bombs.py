"""Guards against decompression bombs in TIFF: a strip or tile is refused before a decoder sees it.

imagecodecs' stream decoders stop when the page is full; those of the standard library, which tifffile uses
without it, do not. Image decoders obey the size inside the part, whatever the page declares.
"""

from __future__ import annotations

import importlib
import importlib.util
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import LimitExceededError, UnsupportedError
from ...model import how_many
from ..limits import MAX_PLANE_BYTES
from .pictures import PNG_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Callable

    Peek = Callable[[int, int], bytes]

_DEFLATE, _LZMA, _ZSTD = (8, 32946), (34925,), (50000, 34926)
_CCITT = (2, 3, 4)
_BOUNDED = (1, 5, 32773, 50001, 34927, *_CCITT, *_DEFLATE, *_LZMA, *_ZSTD)
"""Streams, fax codes of rows as long as the page says, and WebP, which is never larger than 16,383 pixels a
side."""

_JPEG_2000_START = b"\xff\x4f\xff\x51"
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_JXR_START = b"II\xbc"
_JXR_SIDES = (0xBC80, 0xBC81)
_JXR_DIRECTORY_BYTES = 2 + 12 * 64
_TIFF_HEAD_BYTES = 4096


def check_part(compression: int, peek: Peek, count: int, declared: int, path: str) -> None:
    """Raise `LimitExceededError` for a strip or tile that would take more memory than any image should.

    `peek` reads (offset, length) of its `count` bytes, `declared` is its size by the page's tags. Raises
    `UnsupportedError` if the size cannot be determined.
    """
    size = _SIZES.get(compression)
    if size is not None:
        n = size(peek, count)
        if n is None:
            raise UnsupportedError(f"{path} contains an embedded image of unknown size: not decoded")
        if n > MAX_PLANE_BYTES:
            raise LimitExceededError(f"{path} contains an embedded image of {n} bytes: too large")
    elif compression not in _BOUNDED:
        raise UnsupportedError(f"{path} uses the compression {_name(compression)}: not supported")
    elif compression in (*_DEFLATE, *_LZMA, *_ZSTD) and not has_imagecodecs():
        _check_stream(compression, peek, count, declared, path)


def is_judged_by_its_parts(compression: int) -> bool:
    """Whether each part has to be looked at, since it has a size of its own or nothing bounds it."""
    if compression in (*_DEFLATE, *_LZMA, *_ZSTD):
        return not has_imagecodecs()
    return compression not in _BOUNDED


@cache
def has_imagecodecs() -> bool:
    """Whether imagecodecs is installed."""
    try:
        import imagecodecs  # noqa: F401  tifffile loads it as well
    except ImportError:
        return False
    return True


def _name(compression: int) -> str:
    return f"number {compression}"


def _check_stream(compression: int, peek: Peek, count: int, declared: int, path: str) -> None:
    decoder = _decoder(compression)
    if decoder is None:  # tifffile will report the missing package
        return
    # tifffile decodes this again: slower, but only without imagecodecs
    if len(decoder.decompress(peek(0, count), max_length=declared + 1)) > declared:
        raise LimitExceededError(
            f"{path} is damaged: it decompresses to more than the {how_many(declared, 'byte')} its "
            "header declares"
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


# ---- sizes by the headers of embedded images, in bytes; None if they do not say -------------------


def _jpeg_size(peek: Peek, count: int) -> int | None:
    """By the frame header of a JPEG stream; 0 if it has none."""
    at = 2
    while at + 9 < count:
        head = peek(at, 10)
        if len(head) < 10:
            return 0
        marker, kind, length, bits, height, width, samples = struct.unpack(">BBHBHHB", head)
        if marker != 0xFF:
            return 0
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return int(height * width * samples * (2 if bits > 8 else 1))
        # padding and markers without body
        at += 1 if kind == 0xFF else 2 if kind == 0x01 or 0xD0 <= kind <= 0xD8 else 2 + length
    return 0


def _jpeg_2000_size(peek: Peek, count: int) -> int | None:
    """Of a JPEG 2000 image, bare or in a JP2."""
    head = peek(0, min(count, _TIFF_HEAD_BYTES))
    start = head.find(_JPEG_2000_START)
    if start < 0 or start + 42 > len(head):
        return None
    width, height = struct.unpack_from(">II", head, start + 8)
    (samples,) = struct.unpack_from(">H", head, start + 40)
    return int(width * height * samples * 2)


def _png_size(peek: Peek, count: int) -> int | None:
    head = peek(0, min(count, 26))
    if len(head) < 26 or not head.startswith(PNG_SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height, bits = struct.unpack(">IIB", head[16:25])
    return int(width * height * 4 * (2 if bits > 8 else 1))


def _lerc_size(peek: Peek, count: int) -> int | None:
    """Of a LERC 2 blob (the header of https://github.com/Esri/lerc, version 2 and later), 8 bytes a value."""
    head = peek(0, min(count, 26))
    if len(head) < 26 or head[:6] != b"Lerc2 ":
        return None
    (version,) = struct.unpack_from("<i", head, 6)
    rows, columns, depth = struct.unpack_from("<iii", head, 14 if version >= 3 else 10)
    depth = depth if version >= 4 else 1
    if min(rows, columns, depth) < 1:
        return None
    return int(rows * columns * depth * 8)


def _jpeg_xl_size(peek: Peek, count: int) -> int | None:
    """By the SizeHeader of a JPEG XL codestream (ISO/IEC 18181-1), bare or in its container."""
    head = peek(0, min(count, _TIFF_HEAD_BYTES))
    if head.startswith(_JXL_STARTS[1]):
        at = next((at for box in (b"jxlc", b"jxlp") if (at := head.find(box)) > 0), -1)
        start = head.find(_JXL_STARTS[0], at) if at > 0 else -1
    else:
        start = 0 if head.startswith(_JXL_STARTS[0]) else -1
    if start < 0 or start + 12 > len(head):
        return None
    bits = _Bits(int.from_bytes(head[start + 2 : start + 16], "little"))
    is_small = bits.take(1)
    height = _jpeg_xl_side(bits, is_small)
    ratio = bits.take(3)
    if ratio == 0:
        width = _jpeg_xl_side(bits, is_small)
    else:
        across, down = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        width = height * across // down
    return width * height * 4 * 4


def _jpeg_xr_size(peek: Peek, count: int) -> int | None:
    """By the directory of a JPEG XR file (ITU-T T.832, annex A); four samples of 32 bits a pixel at most."""
    head = peek(0, min(count, 8))
    if len(head) < 8 or not head.startswith(_JXR_START):
        return None
    at = struct.unpack_from("<I", head, 4)[0]
    tags = peek(at, min(max(count - at, 0), _JXR_DIRECTORY_BYTES))
    sides: dict[int, int] = {}
    for place in range(2, min(len(tags), 2 + 12 * int.from_bytes(tags[:2], "little")) - 11, 12):
        tag, kind, _, value = struct.unpack_from("<HHII", tags, place)
        sides[tag] = value & {1: 0xFF, 3: 0xFFFF}.get(kind, 0xFFFFFFFF)
    if not all(sides.get(tag) for tag in _JXR_SIDES):
        return None
    return 16 * sides[_JXR_SIDES[0]] * sides[_JXR_SIDES[1]]


def _jpeg_xl_side(bits: _Bits, is_small: int) -> int:
    if is_small:
        return (bits.take(5) + 1) * 8
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


class _Bits:
    """Bits of a number, least significant first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, n: int) -> int:
        found, self._value = self._value & (1 << n) - 1, self._value >> n
        return found


_SIZES: dict[int, Callable[[Peek, int], int | None]] = {
    **dict.fromkeys((7, 33007), _jpeg_size),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg_2000_size),
    34933: _png_size,
    34887: _lerc_size,
    **dict.fromkeys((50002, 52546), _jpeg_xl_size),
    **dict.fromkeys((22610, 34934), _jpeg_xr_size),
}
