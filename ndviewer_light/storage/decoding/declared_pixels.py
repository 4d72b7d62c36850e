"""How many pixels the headers of JPEG 2000, JPEG XL, JPEG XR and LERC declare, known before they are decoded.

Sources: ISO/IEC 15444-1 (boxes, SIZ), ISO/IEC 18181-1 (SizeHeader) and 18181-2 (boxes), ITU-T T.832 Annex A
(tags), the specification of Lerc2. Pure functions on bytes; damaged headers raise `DamagedError`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .codec import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable

_J2K_START = b"\xff\x4f\xff\x51"
_JXL_START = b"\xff\x0a"
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_JXR_WIDTH, _JXR_HEIGHT = 0xBC80, 0xBC81
_MAX_BOXES = 64


def _jpeg2k(data: bytes) -> tuple[int, int]:
    stream = data if data.startswith(_J2K_START) else _box(data, b"jp2c")
    if not stream.startswith(_J2K_START):
        raise DamagedError("it has no JPEG 2000 header")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    return bottom - top, right - left


def _jpegxl(data: bytes) -> tuple[int, int]:
    stream = data
    if not data.startswith(_JXL_START):
        stream = _box(data, b"jxlc") or _box(data, b"jxlp")[4:]
    if not stream.startswith(_JXL_START):
        raise DamagedError("it has no JPEG XL header")
    bits, at = int.from_bytes(stream[2:18], "little"), 0

    def take(n: int) -> int:
        nonlocal at
        value = bits >> at & ((1 << n) - 1)
        at += n
        return value

    def length(is_small: int) -> int:
        return (1 + take(5)) * 8 if is_small else 1 + take((9, 13, 18, 30)[take(2)])

    is_small = take(1)
    height = length(is_small)
    ratio = take(3)
    if not ratio:
        return height, length(is_small)
    across, down = _JXL_RATIOS[ratio - 1]
    return height, height * across // down


def _jpegxr(data: bytes) -> tuple[int, int]:
    if not data.startswith(b"II\xbc"):
        raise DamagedError("it has no JPEG XR header")
    at = struct.unpack_from("<I", data, 4)[0]
    sizes: dict[int, int] = {}
    for i in range(struct.unpack_from("<H", data, at)[0]):
        tag, kind, _, value = struct.unpack_from("<HHII", data, at + 2 + 12 * i)
        sizes[tag] = value & 0xFF if kind == 1 else value & 0xFFFF if kind == 3 else value
    return sizes.get(_JXR_HEIGHT, 0), sizes.get(_JXR_WIDTH, 0)


def _lerc(data: bytes) -> tuple[int, int]:
    if not data.startswith(b"Lerc2 "):
        raise DamagedError("it has no LERC version 2 header")
    has_checksum = struct.unpack_from("<i", data, 6)[0] >= 3
    height, width = struct.unpack_from("<ii", data, 14 if has_checksum else 10)
    return height, width


_DECLARED: dict[str, Callable[[bytes], tuple[int, int]]] = {
    **{"jpeg2k": _jpeg2k, "jpegxl": _jpegxl, "jpegxr": _jpegxr, "lerc": _lerc},
}
DECLARED = tuple(_DECLARED)
"""The names that imagecodecs has for formats known here."""


def declared_pixels(name: str, data: bytes) -> int:
    """Rows times columns of a picture in one of the formats `DECLARED`."""
    try:
        height, width = _DECLARED[name](data)
    except struct.error:
        raise DamagedError("its header is incomplete") from None
    if height < 1 or width < 1:
        raise DamagedError(f"its header declares {width} × {height} pixels")
    return height * width


def _box(data: bytes, wanted: bytes) -> bytes:
    """The content of a box of an ISO file; b"" if there is none."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        end = at + length if length else len(data)
        if kind == wanted:
            return data[at + head : end]
        if end <= at:
            break
        at = end
    return b""
