"""Channels as one picture, as the canvas draws them: each from black to its colour, added up.

The arithmetic is that of the canvas drawn with OpenGL: colour maps are tables of 1024 colours of 8 bits each,
read between their entries; each channel is rounded to 8 bits, then they are added up, at most to white.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import cmap

    from .contrast import Limits

_TABLE = 1024
"""Colours in the table of a colour map, as vispy makes it."""
_SHADES = 2**16
"""Places on a colour map that are told apart, between the colours of its table as well."""
_ADDED_UP_PIXELS = 8 * 1024**2
"""Added up at a time."""
LARGE, SMALL = 1e36, 1e-30
"""Between these magnitudes one can calculate with 32-bit floats."""
TOO_ALIKE = 2.0**-14
"""Of the largest value: what differs by less has fewer than 2**10 steps in 32-bit floats."""
_LEAST_SPAN = 1e-320
_Stops = tuple[bytes, bytes]
"""Of a colour map: places from 0 to 1, and their colours (n, 4)."""
_TABLED = (np.dtype(np.uint8), np.dtype(np.uint16))
COLOR = np.dtype("<u4")
"""Of a pixel: 8 bits each for blue, green, red and 255, as a `QImage` has them."""
_BLUE, _GREEN, _RED = (np.uint32(8 * i) for i in range(3))
"""Where they begin."""
BLACK = np.uint32(255 << 24)


class Layer(NamedTuple):
    """One channel: its pixels (Y, X) and how they are drawn."""

    pixels: np.ndarray
    limits: Limits
    colormap: cmap.Colormap
    gamma: float = 1.0


def composite(layers: Iterable[Layer], height: int, width: int) -> np.ndarray:
    """Return the picture of all layers, each `height` × `width`: (Y, X, 3) uint8. NaN is drawn as nothing."""
    layers = list(layers)
    picture = np.empty((height, width, 3), np.uint8)
    rows = max(1, _ADDED_UP_PIXELS // max(width, 1))  # colours take more memory than the pixels
    for top in range(0, height, rows):
        band = picture[top : top + rows]
        parts = (colored(each, each.pixels[top : top + rows], each.pixels.size) for each in layers)
        band[...] = as_bytes(add_up(parts, band.shape[:2]))[..., 2::-1]
    return picture


def drawn_composite(layers: Sequence[Layer], height: int, width: int) -> np.ndarray:
    """`composite` as a `QImage` has it: (Y, X, 4) uint8, blue, green, red, and 255."""
    return as_bytes(add_up((colored(each, each.pixels) for each in layers), (height, width)))


def add_up(colors: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return the sums of colours (Y, X), none of which gets brighter than white; black without any."""
    total: np.ndarray | None = None
    for each in colors:
        if total is None:
            total = each
            continue
        room = np.bitwise_not(each).view(np.uint8)
        np.minimum(room, total.view(np.uint8), out=room)
        room += each.view(np.uint8)
        total = room.view(COLOR)
    return np.full(shape, BLACK, COLOR) if total is None else total


def as_bytes(colors: np.ndarray) -> np.ndarray:
    """Colours (Y, X) as (Y, X, 4) uint8: blue, green, red, 255."""
    return colors.view(np.uint8).reshape(*colors.shape, 4)


def _is_worth_a_table(dtype: np.dtype, n: int) -> bool:
    return dtype in _TABLED and n > 2 ** (8 * dtype.itemsize - 1)


def colored(layer: Layer, pixels: np.ndarray, n: int = 0) -> np.ndarray:
    """Return the colours of pixels of a layer (Y, X), as `COLOR`; `n` pixels in all, if these are not all."""
    if _is_worth_a_table(pixels.dtype, n or pixels.size):
        table = _table(pixels.dtype, layer.limits, stops_of(layer.colormap), layer.gamma)
        return table.take(pixels)
    return _shades(stops_of(layer.colormap)).take(_places(pixels, layer.limits, layer.gamma))


@lru_cache(maxsize=64)
def _table(dtype: np.dtype, limits: Limits, stops: _Stops, gamma: float) -> np.ndarray:
    """The colours of every value of an unsigned dtype."""
    every = np.arange(2 ** (8 * dtype.itemsize)).astype(dtype)
    return _shades(stops).take(_places(every, limits, gamma))


def _places(pixels: np.ndarray, limits: Limits, gamma: float) -> np.ndarray:
    """Where on a colour map pixels are, from 0 to `_SHADES` - 1; NaN is at `_SHADES`."""
    low, high = limits
    values = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
    bright = values.astype(np.float64 if _are_doubles_needed(values.dtype, limits) else np.float32)
    is_nan = np.isnan(bright) if bright.dtype.kind == values.dtype.kind else None
    with np.errstate(over="ignore"):
        bright -= low
        bright /= max(high - low, _LEAST_SPAN)
    np.clip(bright, 0, 1, out=bright)
    if is_nan is not None:
        bright[is_nan] = 0
    if gamma != 1.0:
        bright **= gamma
    bright *= _SHADES - 1
    places: np.ndarray = np.rint(bright, out=bright).astype(np.intp)
    if is_nan is not None:
        places[is_nan] = _SHADES
    return places


def _are_doubles_needed(dtype: np.dtype, limits: Limits) -> bool:
    """Whether 32-bit floats have too few digits, or are too small, for values between these limits."""
    low, high = limits
    largest, span = max(abs(low), abs(high)), high - low
    is_precise = dtype.kind in "iuf" and dtype.itemsize >= 4 and dtype != np.dtype(np.float32)
    return largest > LARGE or span < SMALL or (is_precise and span < largest * TOO_ALIKE)


def stops_of(colormap: cmap.Colormap) -> _Stops:
    """Return a colour map as a key of a cache, which it is not itself; compared to others, it may raise."""
    stops = colormap.color_stops
    return np.asarray(stops.stops, float).tobytes(), np.asarray(stops.color_array, float).tobytes()


@lru_cache(maxsize=64)
def _shades(stops: _Stops) -> np.ndarray:
    """The colours of a colour map at all its places, and at last that of NaN: none."""
    x, colors = np.frombuffer(stops[0]), np.frombuffer(stops[1]).reshape(-1, 4)
    at = np.clip(np.linspace(0, 1, _SHADES) * _TABLE - 0.5, 0, _TABLE - 1)
    shades = np.full(_SHADES + 1, BLACK, COLOR)
    for lane, component in ((_RED, 0), (_GREEN, 1), (_BLUE, 2)):
        table = np.rint(np.interp(np.linspace(0, 1, _TABLE), x, colors[:, component]) * 255)
        shade = np.rint(np.interp(at, np.arange(_TABLE), table)).astype(COLOR)
        shades[:-1] |= shade << lane
    return shades
