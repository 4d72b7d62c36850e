"""Colours of TIFF pages that are not stored as red, green and blue: palettes and CMYK. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import CorruptDataError, UnsupportedError
from ...model import how_many

if TYPE_CHECKING:
    from tifffile import TiffPage

    from .pictures import Picture

PALETTE, _SEPARATED, _LAB = 3, 5, (8, 9, 10)


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
