"""Which pixels are saturated, as a picture of marks in which single ones are seen however small it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..engine.label_planes import PictureArea

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK_RGB = (255, 0, 170)
"""The colour of saturated pixels: of no dye, no lookup table in use, and no part of the window."""


def saturated_pixels(planes: Sequence[tuple[np.ndarray, float]]) -> np.ndarray | None:
    """Which pixels (Y, X) of any plane have the highest value of its detector; None of no planes.

    `planes`: pixels of equal shape, and that value.
    """
    found: np.ndarray | None = None
    for pixels, top in planes:
        here = pixels >= pixels.dtype.type(top)
        found = here if found is None else found | here
    return found


def marks(
    saturated: np.ndarray, area: PictureArea, rows: int, columns: int
) -> tuple[np.ndarray, PictureArea] | None:
    """The marks (Y, X, 4) of what is seen of a picture in `rows` × `columns`, and the area they cover.

    Areas are in pixels of `saturated` (Y, X). Where several of these lie below a pixel of the screen, one is
    enough. None where nothing of the picture is seen.
    """
    height, width = saturated.shape
    top, bottom = max(math.floor(area.top), 0), min(math.ceil(area.bottom), height)
    left, right = max(math.floor(area.left), 0), min(math.ceil(area.right), width)
    if top >= bottom or left >= right:
        return None
    step_y = max(1, math.ceil((area.bottom - area.top) / max(rows, 1)))
    step_x = max(1, math.ceil((area.right - area.left) / max(columns, 1)))
    seen = saturated[top:bottom, left:right]
    if step_y > 1:
        seen = np.logical_or.reduceat(seen, np.arange(0, seen.shape[0], step_y), axis=0)
    if step_x > 1:
        seen = np.logical_or.reduceat(seen, np.arange(0, seen.shape[1], step_x), axis=1)
    picture = np.zeros((*seen.shape, 4), np.uint8)
    picture[seen] = (*MARK_RGB, 255)
    covered = PictureArea(left, top, left + seen.shape[1] * step_x, top + seen.shape[0] * step_y)
    return picture, covered
