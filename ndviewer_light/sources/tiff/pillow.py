"""PNG and BMP images, which Squid writes where asked to, through Pillow."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from ...errors import LimitExceededError, UnsupportedError
from .faults import Picture, check_picture, faults_are_named, open_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

_FORMATS = ("PNG", "BMP")
_DTYPES = {
    "1": ("|b1", 1),
    "L": ("|u1", 1),
    "LA": ("|u1", 2),
    "RGB": ("|u1", 3),
    "RGBA": ("|u1", 4),
    "I;16": ("<u2", 1),
    "I;16B": ("<u2", 1),
    "I": ("<i4", 1),
    "F": ("<f4", 1),
}
"""By Pillow's mode: dtype and samples per pixel; what has a palette becomes RGB."""


def picture(path: str) -> Picture:
    """What the file says of its pixels; none are decoded."""
    with _opened(path) as image:
        return _picture(image, path)


def read(path: str) -> np.ndarray:
    """The pixels, (Y, X) or (Y, X, S). Raises `FileMissingError` or a `DatasetError`."""
    with _opened(path) as image:
        judged = _picture(image, path)
        pixels = np.asarray(image if image.mode in _DTYPES else image.convert("RGB"))
        return pixels.astype(judged.dtype, copy=True)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image]:
    with faults_are_named(path), open_file(path) as file:
        import PIL.Image

        try:
            with PIL.Image.open(file, formats=_FORMATS) as image:
                yield image
        except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
            raise LimitExceededError(f"{path} is larger than any image should be: {error}") from error


def _picture(image: Image, path: str) -> Picture:
    dtype, samples = _DTYPES.get(image.mode, ("|u1", 3))
    if (
        image.format == "PNG" and image.mode == "I"
    ):  # as older Pillows have it; PNG knows no more than 16 bits
        dtype = "<u2"
    found = Picture(image.height, image.width, np.dtype(dtype).newbyteorder("="), samples)
    check_picture(found, path)
    if image.mode not in (*_DTYPES, "P", "PA", "CMYK"):
        raise UnsupportedError(f"{path}: images of mode {image.mode} cannot be shown")
    return found
