"""Decodes PNG, JPEG, BMP, GIF, WebP and JPEG 2000; headers are checked before anything is decoded.

Uses Pillow, which detects truncated files (libjpeg alone would fill the rest with grey). PNGs go through
imagecodecs where it is installed: Pillow takes the interpreter's lock for every 64 KiB, which many threads
that decode at the same time wait for, and has no 16-bit colour. JPEG 2000 needs imagecodecs.
"""

from __future__ import annotations

import contextlib
import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    UnsupportedError,
)
from ..file_kinds import looks_like
from ..limits import MAX_PLANE_BYTES
from . import jpeg_2000
from .animations import GIF_STARTS, MAX_WEBP_SIDE, begins_like_webp, canvas_of_webp, frames_of
from .orientation import ORIENTATION, UPRIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from PIL.Image import Image

PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2", ".j2k", ".j2c")

_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP")
_DTYPES = {
    "1": ("u1", 1),
    "L": ("u1", 1),
    "LA": ("u1", 2),
    "RGB": ("u1", 3),
    "RGBA": ("u1", 4),
    "I;16": ("u2", 1),
    "I;16B": ("u2", 1),
    "I;16L": ("u2", 1),
    "I;16N": ("u2", 1),
    "I": ("i4", 1),
    "F": ("f4", 1),
}
"""By Pillow's mode: dtype and samples per pixel; all others that can be shown become RGB."""
_AS_RGB = ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")

_WHILE_DECODED = np.dtype("i4")
"""What samples of JPEG 2000 are until they are all there."""

_BT601 = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def begins_like_a_picture(head: bytes) -> bool:
    """Whether a file that begins so is a picture of one of these formats."""
    is_bmp = head.startswith(b"BM") and head[6:10] == bytes(4)  # two letters alone could be any text
    is_framed = begins_like_webp(head) or jpeg_2000.begins_like_jpeg_2000(head)
    return is_bmp or is_framed or head.startswith((PNG_SIGNATURE, b"\xff\xd8\xff", *GIF_STARTS))


class Picture(NamedTuple):
    """The format of an image: rows, columns, dtype, samples per pixel."""

    height: int
    width: int
    dtype: np.dtype[Any]
    samples: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X), or (Y, X, S)."""
        return (self.height, self.width, self.samples)[: 3 if self.samples > 1 else 2]

    @property
    def nbytes(self) -> int:
        """The decoded size in bytes."""
        return self.height * self.width * self.samples * self.dtype.itemsize


def picture_in(file: BinaryIO, name: str) -> Picture:
    """The format from an image's header; no pixel is decoded.

    Raises `CorruptDataError`, `UnsupportedError` or `LimitExceededError`, each naming the file.
    """
    with damage_is_named(name):
        head = file.read(32)
        file.seek(0)
        return judged(_declared(file, head, name), name)


def _declared(file: BinaryIO, head: bytes, name: str) -> Picture:
    if jpeg_2000.begins_like_jpeg_2000(head):
        found = Picture(*jpeg_2000.declared(file, name))
        judged(found._replace(dtype=_WHILE_DECODED), name)
        return found
    if (deep := _deep_png(head)) is not None:
        return deep
    if begins_like_webp(head) and (canvas := canvas_of_webp(head)) is not None:
        judged(Picture(*canvas, np.dtype("u1"), 4), name)  # Pillow makes room for it before it says so
        if max(canvas) > MAX_WEBP_SIDE:  # and copies such rows for minutes
            raise LimitExceededError(f"{name} claims {canvas[1]}×{canvas[0]} pixels: too long for a WebP")
    with _opened(file, name) as image:
        found = _picture_of(image, head, name)
    if head.startswith(GIF_STARTS):
        file.seek(0)
        found = found._replace(samples=1 if frames_of(file.read(MAX_PLANE_BYTES)).is_grey else 3)
    return found


def orientation_in(file: BinaryIO, name: str) -> object:
    """The orientation in the Exif data of a picture, `UPRIGHT` if there is none. Raises nothing."""
    with contextlib.suppress(Exception):  # decoders raise many types; reading the picture says what is wrong
        file.seek(0)
        with _opened(file, name) as image:
            return image.getexif().get(ORIENTATION, UPRIGHT)
    return UPRIGHT


def decoded(data: bytes | memoryview, name: str) -> np.ndarray:
    """The pixels, (Y, X) or (Y, X, S), native byte order. Raises like `picture_in`. Any thread."""
    with damage_is_named(name):
        if (pixels := _usual_png(data)) is not None:
            return pixels
        picture = picture_in(io.BytesIO(data), name)
        if _deep_png(bytes(data[:32])) is not None:
            pixels = _deep_pixels(data, name)
        elif jpeg_2000.begins_like_jpeg_2000(bytes(data[:16])):
            pixels = jpeg_2000.pixels_of(data, name)
        else:
            with _opened(io.BytesIO(data), name) as image:
                pixels = _pixels_of(image, picture)
        return _fitting(pixels, picture, name)


def decoded_frames(data: bytes | memoryview, name: str, first: int, n: int) -> np.ndarray:
    """Up to `n` pictures of a GIF or WebP from `first` on, (N, Y, X) or (N, Y, X, S), as far as intact.

    All before them are decoded on the way. Raises like `picture_in` if the first is not. Any thread.
    """
    found: list[np.ndarray] = []
    with damage_is_named(name):
        picture = picture_in(io.BytesIO(data), name)
        with _opened(io.BytesIO(data), name) as image:
            for i in range(first, first + n):
                try:
                    image.seek(i)
                    found.append(_fitting(_pixels_of(image, picture), picture, name))
                except Exception:  # decoders raise many types for damaged files
                    if not found:
                        raise
                    break
    return np.stack(found)


def _fitting(pixels: np.ndarray, picture: Picture, name: str) -> np.ndarray:
    pixels = pixels.astype(picture.dtype, copy=False)
    if pixels.shape != picture.shape:
        raise CorruptDataError(
            f"{name} is damaged: its pixels have shape {pixels.shape} instead of {picture.shape}"
        )
    return pixels


def one_sample(pixels: np.ndarray, sample: int | None) -> np.ndarray:
    """(Y, X) of one colour, or with None the brightness, of (Y, X) or (Y, X, S)."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[-1] < 3:  # grey with alpha
        return np.ascontiguousarray(pixels[..., 0])
    if sample is not None:
        return np.ascontiguousarray(pixels[..., sample])
    brightness = sum(pixels[..., i] * np.float32(weight) for i, weight in enumerate(_BT601))
    if pixels.dtype.kind in "ui":
        brightness = np.rint(brightness)
    return np.asarray(brightness).astype(pixels.dtype)


def sane(picture: Picture, name: str) -> Picture:
    """Check that a format is that of an image, of whatever size, and return it."""
    if picture.height < 1 or picture.width < 1 or picture.samples < 1:
        raise CorruptDataError(f"{name} is damaged: invalid image size {picture.width}×{picture.height}")
    return picture


def judged(picture: Picture, name: str) -> Picture:
    """Check the format of an image that is decoded as a whole, and return it."""
    sane(picture, name)
    if picture.nbytes > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{name}: {picture.width}×{picture.height} pixels take {picture.nbytes} bytes; "
            f"at most {MAX_PLANE_BYTES} are supported"
        )
    return picture


_STARTS = (b"\x89PNG", b"\xff\xd8", b"BM", *GIF_STARTS)
_CUT_SHORT = ("runcated", "unpack requires", "unpack_from requires", "buffer is smaller", "unexpected end of")
"""Decoders' messages for a truncated file."""


@contextlib.contextmanager
def damage_is_named(name: str) -> Iterator[None]:
    """Turn any decoder error into a `DatasetError` that names the file."""
    try:
        yield
    except DatasetError:
        raise
    except MemoryError as error:
        raise LimitExceededError(f"{name}: not enough memory to read it") from error
    except Exception as error:  # decoders raise many types for damaged files
        reason = str(error)[:200] or type(error).__name__
        if any(word in reason for word in _CUT_SHORT):
            raise CorruptDataError(f"{name} is truncated: part of it is missing") from error
        if "imagecodecs" in reason:
            raise UnsupportedError(
                f"{name} needs an additional package: pip install 'ndviewer_light[tiff]'"
            ) from error
        if isinstance(error, NotImplementedError) or "not supported" in reason:
            raise UnsupportedError(f"{name} cannot be decoded: {reason}") from error
        raise CorruptDataError(f"{name} is damaged: it cannot be decoded ({reason})") from error


@contextlib.contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[Image]:
    import PIL.Image

    try:
        with PIL.Image.open(file, formats=_FORMATS) as image:
            yield image
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        most = 2 * (PIL.Image.MAX_IMAGE_PIXELS or 0)
        raise LimitExceededError(f"{name} claims more than {most:,} pixels: not decoded") from error
    except PIL.UnidentifiedImageError as error:
        raise CorruptDataError(_not_a_picture(file, name)) from error


def _not_a_picture(file: BinaryIO, name: str) -> str:
    file.seek(0)
    head = file.read(64)
    if not head:
        return f"{name} is empty (0 bytes): copy it again"
    if head.startswith(_STARTS) or begins_like_webp(head):
        return f"{name} is damaged: its header is invalid, or most of it is missing"
    return f"{name} is not a PNG, JPEG, BMP, GIF, WebP or JPEG 2000 file{looks_like(head)}"


def _picture_of(image: Image, head: bytes, name: str) -> Picture:
    if image.mode not in (*_DTYPES, *_AS_RGB):
        raise UnsupportedError(f"{name}: images of mode {image.mode} are not supported")
    dtype, samples = _DTYPES.get(image.mode, ("u1", 3))
    if image.mode == "I" and head.startswith(PNG_SIGNATURE):  # 16 bits in older versions of Pillow
        dtype = "u2"
    return Picture(image.height, image.width, np.dtype(dtype), samples)


def _pixels_of(image: Image, picture: Picture) -> np.ndarray:
    if image.mode == "1" or (image.format == "GIF" and picture.samples == 1):
        return np.asarray(image.convert("L"))
    if image.format == "GIF":  # some pictures of one may have a palette, others see-through pixels
        return np.asarray(image.convert("RGB"))
    return np.array(image if image.mode in _DTYPES else image.convert("RGB"))


# ---- by imagecodecs ------------------------------------------------------------------------

_SAMPLES_OF_COLOR_TYPE = {0: 1, 2: 3, 4: 2, 6: 4}
_MOST_USUAL_BYTES = 256 * 1024**2
_CHUNKS_BEFORE_PIXELS = 64 * 1024


def _usual_png(data: bytes | memoryview) -> np.ndarray | None:
    """The pixels of an intact PNG with samples of 8 or 16 bits; None where Pillow decodes, or complains."""
    head = bytes(data[:_CHUNKS_BEFORE_PIXELS])
    picture = _png_of_samples(head)
    if picture is None or not 0 < picture.nbytes <= _MOST_USUAL_BYTES:
        return None
    begins = head.find(b"IDAT")
    if begins < 0 or b"tRNS" in head[:begins]:  # the latter would be made into alpha
        return None
    try:
        from imagecodecs import png_decode

        pixels: np.ndarray = png_decode(data)  # type: ignore[arg-type]  # any buffer
    except (ImportError, RuntimeError, ValueError):
        return None
    return pixels if pixels.shape == picture.shape and pixels.dtype == picture.dtype else None


def _png_of_samples(head: bytes) -> Picture | None:
    """A PNG with samples of 8 or 16 bits; None for any other image."""
    if len(head) < 26 or not head.startswith(PNG_SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height, bits, color = struct.unpack(">IIBB", head[16:26])
    if bits not in (8, 16) or color not in _SAMPLES_OF_COLOR_TYPE:
        return None
    return Picture(height, width, np.dtype(f"u{bits // 8}"), _SAMPLES_OF_COLOR_TYPE[color])


def _deep_png(head: bytes) -> Picture | None:
    """A PNG with several 16-bit samples, which Pillow does not support; None for any other image."""
    found = _png_of_samples(head)
    return found if found is not None and found.samples > 1 and found.dtype == np.uint16 else None


def _deep_pixels(data: bytes | memoryview, name: str) -> np.ndarray:
    try:
        from imagecodecs import png_decode
    except ImportError as error:
        raise UnsupportedError(
            f"{name} is a 16-bit colour image, which needs an additional package: pip install "
            "'ndviewer_light[tiff]'"
        ) from error
    pixels: np.ndarray = png_decode(data)  # type: ignore[arg-type]  # any buffer
    return pixels


def judged_jpeg(data: bytes, name: str) -> Picture:
    """The format of a JPEG, also of one without tables. Raises like `picture_in`."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, samples = struct.unpack(">BHHB", data[at + 4 : at + 10])
            return judged(Picture(height, width, np.dtype("u1" if bits <= 8 else "u2"), samples), name)
        at += 1 if marker == 0xFF else 2 + length
    raise CorruptDataError(f"{name} is damaged: it has no JPEG header")
