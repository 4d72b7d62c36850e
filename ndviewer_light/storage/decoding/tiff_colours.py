"""Colours of TIFF pages that are not stored as red, green and blue: palettes, CMYK, YCbCr. Pure functions.

Source of YCbCr: TIFF 6.0, section 21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import CorruptDataError, UnsupportedError
from ...model import how_many

if TYPE_CHECKING:
    from tifffile import TiffPage

    from .pictures import Picture

PALETTE, _SEPARATED, _YCBCR, _LAB = 3, 5, 6, (8, 9, 10)
_AS_STORED = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""Compressions that know no colours, as JPEG does, which decodes to red, green and blue by itself."""
_COEFFICIENTS, _REFERENCES = 529, 532
_LUMA = (0.299, 0.587, 0.114)


def colour_picture(picture: Picture, page: TiffPage, name: str) -> Picture:
    """The format of a page as RGB; raises `UnsupportedError` for colours of another kind."""
    if page.photometric == PALETTE and picture.samples == 1:
        return picture._replace(samples=3, dtype=np.dtype(np.uint8))
    if page.photometric == _SEPARATED:
        return picture._replace(samples=3)
    if page.photometric in _LAB:
        raise UnsupportedError(f"{name} has L*a*b* colours, which are not supported: save it as RGB")
    return picture


def in_colours(pixels: np.ndarray, page: TiffPage, name: str) -> np.ndarray:
    """(Y, X, 3) of pixels as stored; those that are RGB already, or RGBA, are returned."""
    if page.photometric == PALETTE and pixels.ndim == 2:
        table = _table(page)
        if table is None:
            raise CorruptDataError(f"{name} is damaged: its palette is missing")
        if pixels.dtype.kind not in "bu" or (pixels.size and int(pixels.max()) >= len(table)):
            raise CorruptDataError(
                f"{name} is damaged: its palette has {how_many(len(table), 'colour')}, and pixels more"
            )
        return table[pixels.astype(np.intp)]
    if page.photometric == _SEPARATED and pixels.ndim == 3 and pixels.shape[-1] == 4:
        return _of_cmyk(pixels)
    if page.photometric == _YCBCR and page.compression in _AS_STORED and pixels.shape[2:] == (3,):
        return _of_ycbcr(pixels, page)
    return pixels


def is_grey_palette(page: TiffPage) -> bool:
    """Whether the colours of a page's palette are all grey, or it has none."""
    table = _table(page)
    return table is None or bool((table[:, 0] == table[:, 1]).all() and (table[:, 1] == table[:, 2]).all())


def _table(page: TiffPage) -> np.ndarray | None:
    """(N, 3), 8 bits; the tag has 16, and some writers put 8 into it."""
    table = page.colormap
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[0] != 3:
        return None
    shift = 8 if table.max(initial=0) > 255 else 0
    return np.ascontiguousarray((table >> shift).astype(np.uint8).T)


def _of_cmyk(pixels: np.ndarray) -> np.ndarray:
    """Without a colour profile: what is left of white light after each ink."""
    if pixels.dtype.kind != "u":
        raise UnsupportedError(f"CMYK of type {pixels.dtype} is not supported")
    most = float(np.iinfo(pixels.dtype).max)
    left = 1 - pixels.astype(np.float32) / np.float32(most)
    colours: np.ndarray = np.rint(left[..., :3] * left[..., 3:] * np.float32(most))
    return colours.astype(pixels.dtype)


def _of_ycbcr(pixels: np.ndarray, page: TiffPage) -> np.ndarray:
    """Luma and two differences of colours, with the coefficients and ranges that the page says."""
    if pixels.dtype.kind != "u":
        raise UnsupportedError(f"YCbCr of type {pixels.dtype} is not supported")
    most = float(np.iinfo(pixels.dtype).max)
    middle = (most + 1) / 2
    red, green, blue = _numbers_of(page, _COEFFICIENTS, 3) or _LUMA
    usual = (0.0, most, middle, most, middle, most)
    black, white, black_b, white_b, black_r, white_r = _numbers_of(page, _REFERENCES, 6) or usual
    values = pixels.astype(np.float32)
    luma = (values[..., 0] - black) * (most / (white - black))
    found = np.empty_like(values)
    found[..., 0] = (values[..., 2] - black_r) * ((middle - 1) / (white_r - black_r)) * (2 - 2 * red) + luma
    found[..., 2] = (values[..., 1] - black_b) * ((middle - 1) / (white_b - black_b)) * (2 - 2 * blue) + luma
    found[..., 1] = (luma - blue * found[..., 2] - red * found[..., 0]) / green
    colours: np.ndarray = np.rint(found).clip(0, most).astype(pixels.dtype)
    return colours


def _numbers_of(page: TiffPage, tag: int, n: int) -> tuple[float, ...] | None:
    """The rational numbers of a tag; None if it has others, or ranges and shares that are empty."""
    said = page.tags.get(tag)
    values = np.array(said.value if said is not None else (), dtype=float).ravel()
    if values.size != 2 * n or not values[1::2].all():
        return None
    found = tuple(map(float, values[::2] / values[1::2]))
    is_sane = (
        all(0 < each < 1 for each in found)
        if n == len(_LUMA)
        else all(black < white for black, white in zip(found[::2], found[1::2], strict=True))
    )
    return found if is_sane else None
