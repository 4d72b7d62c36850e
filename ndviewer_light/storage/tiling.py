"""Which parts of a large plane are worth reading at once: whole chunks, 1–2 megapixels. Pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import LimitExceededError
from ..model import Level, Scale, Sizes
from .limits import MAX_PLANE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

TILE_PIXELS = 1536 * 1024
"""About how many pixels a tile of several chunks has; a single chunk may have more."""


def tile_of_chunks(chunk: tuple[int, int], plane: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of a tile of whole chunks, as square as they allow, in a plane of `plane` pixels.

    None if the plane is stored in one piece.
    """
    rows, columns = (max(1, min(part, whole)) for part, whole in zip(chunk, plane, strict=True))
    if (rows, columns) == plane:
        return None
    side = math.sqrt(TILE_PIXELS)
    down, across = max(1, round(side / rows)), max(1, round(side / columns))
    if rows > side:  # tall chunks: fewer of them side by side, and the other way round
        across = max(1, round(TILE_PIXELS / rows / columns))
    elif columns > side:
        down = max(1, round(TILE_PIXELS / columns / rows))
    return min(rows * down, plane[0]), min(columns * across, plane[1])


def check_whole_plane(shape: tuple[int, int], itemsize: int, where: str) -> None:
    """Raise `LimitExceededError`, which says what to read instead, for a plane too large to be read whole."""
    nbytes = math.prod(shape) * itemsize
    if nbytes > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{where}: a plane of {shape[0]} × {shape[1]} pixels takes {nbytes / 1024**3:.1f} GiB, more than "
            f"the {MAX_PLANE_BYTES / 1024**3:g} GiB that may be read at once: read a region of it, or a "
            "coarser level"
        )


def levels_by_size(shapes: Sequence[tuple[int, int]], n_z: int) -> tuple[Level, ...]:
    """The pyramid levels of planes of these `shapes` (Y, X), where nothing but sizes is known of them."""
    height, width = shapes[0]
    return tuple(
        Level(Sizes(n_z, y, x), Scale(1.0, scale_by_size(height, y), scale_by_size(width, x)))
        for y, x in shapes
    )


def scale_by_size(whole: int, part: int) -> float:
    """How many of `whole` samples one of `part` spans, where nothing else tells.

    Sizes are rounded up or down by whoever halves them: an integer scale that explains them is the scale.
    """
    scale = whole / part
    near = round(scale)
    return float(near) if near and part in (whole // near, -(-whole // near)) else scale
