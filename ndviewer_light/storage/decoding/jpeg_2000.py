"""JPEG 2000 files (JP2, and codestreams alone): what their header declares; their pixels by imagecodecs.

Pillow scales 12 bits to 16, and cuts colours of 16 bits to 8. Source: ISO/IEC 15444-1 (boxes, marker SIZ).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from ...errors import CorruptDataError, UnsupportedError
from ...model import how_many

if TYPE_CHECKING:
    from typing import Any, BinaryIO

CODESTREAM = b"\xff\x4f\xff\x51"
JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_MOST_BOXES = 64
_MOST_SAMPLES = 4
_SIZ_BYTES = 42


def begins_like_jpeg_2000(head: bytes) -> bool:
    """Whether a file that begins so is a JPEG 2000 image."""
    return head.startswith((CODESTREAM, JP2_SIGNATURE))


def declared(file: BinaryIO, name: str) -> tuple[int, int, np.dtype[Any], int]:
    """Rows, columns, dtype and samples by the header of an image, which is read from its beginning.

    Raises `CorruptDataError`, and `UnsupportedError` for samples that are neither grey nor colours.
    """
    colours = _to_codestream(file)
    head = file.read(_SIZ_BYTES)
    if len(head) < _SIZ_BYTES or not head.startswith(CODESTREAM):
        raise CorruptDataError(f"{name} is damaged, or cut short: it has no JPEG 2000 header")
    right, bottom, left, top = struct.unpack_from(">4I", head, 8)
    (samples,) = struct.unpack_from(">H", head, 40)
    if samples > _MOST_SAMPLES:
        raise UnsupportedError(f"{name}: JPEG 2000 of {how_many(samples, 'sample')} a pixel is not supported")
    parts = file.read(3 * samples)
    if len(parts) < 3 * samples or not samples or not all(parts[1::3] + parts[2::3]):
        raise CorruptDataError(f"{name} is damaged, or cut short: it has no JPEG 2000 header")
    bits = max((part & 0x7F) + 1 for part in parts[::3])
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    dtype = np.dtype(f"{'i' if parts[0] & 0x80 else 'u'}{size}")
    across, down = parts[1], parts[2]
    height, width = -(-bottom // down) - -(-top // down), -(-right // across) - -(-left // across)
    return height, width, dtype, colours or samples


def pixels_of(data: bytes | memoryview, name: str) -> np.ndarray:
    """The pixels (Y, X) or (Y, X, S), whose header was judged before. Raises like `declared`."""
    try:
        from imagecodecs import jpeg2k_decode
    except ImportError as error:
        raise UnsupportedError(
            f"{name} is a JPEG 2000 image, which needs an additional package: pip install "
            "'ndviewer_light[tiff]'"
        ) from error
    try:
        pixels: np.ndarray = jpeg2k_decode(bytes(data))
    except (RuntimeError, ValueError) as error:
        raise CorruptDataError(
            f"{name} is damaged, or cut short: JPEG 2000 that cannot be decoded"
        ) from error
    return pixels


def _to_codestream(file: BinaryIO) -> int:
    """Go to where the codestream begins; how many colours a pixel has if there is a palette, else 0."""
    if file.read(len(JP2_SIGNATURE)) != JP2_SIGNATURE:
        file.seek(0)
        return 0
    colours, at = 0, len(JP2_SIGNATURE)
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack_from(">I4s", head)
        inside = at + 8
        if length == 1 and len(head) == 16:
            length, inside = struct.unpack_from(">Q", head, 8)[0], at + 16
        if kind == b"jp2c":
            file.seek(inside)
            break
        if kind == b"pclr" and len(head) > 10:
            colours = head[10]
        if length < inside - at:  # 0: up to the end of the file
            break
        at = inside if kind == b"jp2h" else at + length
    return colours
