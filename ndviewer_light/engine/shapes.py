"""Lines and rectangles on a plane, and the arithmetic of the pixels below them. Pure; NumPy only.

Places are (y, x) in pixels of level 0: the pixel at row 0, column 0 reaches from 0.0 to 1.0 in both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SEGMENT_PX = 256.0
"""A long line is read in pieces of this length: what lies between its ends is not read."""
_BAND_PIXELS = 4 * 1024**2
"""A large rectangle is added up in bands of so many pixels."""


class Spot(NamedTuple):
    """A place on a plane, in pixels."""

    y: float
    x: float


class Line(NamedTuple):
    """A straight line between two places."""

    a: Spot
    b: Spot

    @property
    def length_px(self) -> float:
        """Its length in pixels."""
        return math.hypot(self.b.y - self.a.y, self.b.x - self.a.x)

    def length_um(self, um_y: float, um_x: float) -> float:
        """Its length in µm, of pixels of this size."""
        return math.hypot((self.b.y - self.a.y) * um_y, (self.b.x - self.a.x) * um_x)

    @property
    def n_samples(self) -> int:
        """How many values its profile has: one a pixel, its ends included."""
        return max(2, math.ceil(self.length_px) + 1)

    def shares(self) -> np.ndarray:
        """Where on the line its samples are, from 0 to 1."""
        return np.linspace(0.0, 1.0, self.n_samples)


def line_values(line: Line, height: int, width: int, read: Callable[[Region], np.ndarray]) -> np.ndarray:
    """Return the values along a line, (samples,) float64, by bilinear interpolation; NaN outside the plane.

    `read` returns the pixels of a region of the plane, which is `height` × `width`.
    """
    shares = line.shares()
    ys = line.a.y + (line.b.y - line.a.y) * shares
    xs = line.a.x + (line.b.x - line.a.x) * shares
    values = np.full(len(shares), np.nan)
    inside = (ys >= 0) & (ys <= height) & (xs >= 0) & (xs <= width)
    step = max(1, round(_SEGMENT_PX))
    for start in range(0, len(shares), step):
        here = np.flatnonzero(inside[start : start + step]) + start
        if not len(here):
            continue
        # between the middles of four pixels; beyond an edge, the last pixel is repeated
        y, x = np.clip(ys[here] - 0.5, 0, height - 1), np.clip(xs[here] - 0.5, 0, width - 1)
        top, left = int(y.min()), int(x.min())
        bottom, right = min(int(y.max()) + 2, height), min(int(x.max()) + 2, width)
        pixels = read(Region(top, left, bottom - top, right - left))
        values[here] = _between(_real(pixels), y - top, x - left)
    return values


def _between(pixels: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear interpolation at fractional indices."""
    height, width = pixels.shape
    row, column = y.astype(np.intp), x.astype(np.intp)
    below, right = np.minimum(row + 1, height - 1), np.minimum(column + 1, width - 1)
    down, across = y - row, x - column
    upper = pixels[row, column] * (1 - across) + pixels[row, right] * across
    lower = pixels[below, column] * (1 - across) + pixels[below, right] * across
    values: np.ndarray = upper * (1 - down) + lower * down
    return values


def box_of(a: Spot, b: Spot, height: int, width: int) -> Region | None:
    """The pixels whose middle lies between two corners, at least one; None outside the plane."""
    rows = _pixels_between(a.y, b.y, height)
    columns = _pixels_between(a.x, b.x, width)
    if rows is None or columns is None:
        return None
    return Region(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])


def _pixels_between(a: float, b: float, size: int) -> tuple[int, int] | None:
    low, high = min(a, b), max(a, b)
    first, end = math.ceil(low - 0.5), math.floor(high - 0.5) + 1
    if end <= first:  # narrower than a pixel: the one it is in
        first = math.floor((low + high) / 2)
        end = first + 1
    first, end = max(first, 0), min(end, size)
    return (first, end) if first < end else None


def mean_of(box: Region, read: Callable[[Region], np.ndarray]) -> float:
    """The mean of the pixels of a box; those that are no number are left out, NaN if all are."""
    total, n = 0.0, 0
    for band in _bands(box):
        pixels = _real(read(band))
        numbers = pixels[np.isfinite(pixels)]
        total += float(numbers.sum())
        n += numbers.size
    return total / n if n else math.nan


def _bands(box: Region) -> Iterator[Region]:
    rows = max(1, _BAND_PIXELS // box.width)
    for top in range(box.top, box.top + box.height, rows):
        yield Region(top, box.left, min(rows, box.top + box.height - top), box.width)


def _real(pixels: np.ndarray) -> np.ndarray:
    """Pixels as float64; the magnitude of complex ones."""
    return (np.abs(pixels) if pixels.dtype.kind == "c" else pixels).astype(np.float64)
