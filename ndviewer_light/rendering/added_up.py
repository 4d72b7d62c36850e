"""Channels as one picture, as the canvas draws them: each from black to its colour, added up.

The arithmetic is that of the canvas drawn with OpenGL: colour maps are tables of 1024 colours of 8 bits each,
read between their entries; each channel is rounded to 8 bits, then they are added up, at most to white.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.transpose import c_ordered, is_transposed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import cmap

    from ..engine.label_planes import PictureArea
    from .contrast import Limits

_TABLE = 1024
"""Colours in the table of a colour map, as vispy makes it."""
_SHADES = 2**16
"""Places on a colour map that are told apart, between the colours of its table as well."""
_ADDED_UP_PIXELS = 4 * 1024**2
"""Added up at a time."""
LARGE, SMALL = 1e36, 1e-30
"""Between these magnitudes one can calculate with 32-bit floats."""
TOO_ALIKE = 2.0**-14
"""Of the largest value: what differs by less has fewer than 2**10 steps in 32-bit floats."""
_LEAST_SPAN = 1e-320
_Stops = tuple[bytes, bytes]
"""Of a colour map: places from 0 to 1, and their colours (n, 4)."""
_TABLED = (np.dtype(np.uint8), np.dtype(np.uint16))
_BLUE, _GREEN, _RED = range(3)
"""The lanes of 16 bits of a colour in 64: room for the sum of 257 channels. As a `QImage` has them."""
_OPAQUE = np.uint64(255 << 48)
"""In the fourth lane."""


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
    rows = max(1, _ADDED_UP_PIXELS // max(width, 1))  # sums take eight times as much memory as the pixels
    for top in range(0, height, rows):
        band = picture[top : top + rows]
        total = np.zeros(band.shape[:2], np.uint64)
        for layer in layers:
            total += _colored(layer, layer.pixels[top : top + rows], layer.pixels.size)
        band[...] = _channels(total)[..., [_RED, _GREEN, _BLUE]]
    return picture


def drawn_composite(layers: Sequence[Layer], height: int, width: int) -> np.ndarray:
    """`composite` as a `QImage` has it: (Y, X, 4) uint8, blue, green, red, and 255."""
    if len(layers) == 1:  # nothing to add up: the colours are looked up as they are drawn
        return _drawn(layers[0]).view(np.uint8).reshape(height, width, 4)
    total = np.full((height, width), _OPAQUE, np.uint64)
    for layer in layers:
        total += _colored(layer, layer.pixels)
    return _channels(total)


def seen_composite(layers: Sequence[Layer], area: PictureArea, rows: int, columns: int) -> np.ndarray:
    """Return what is seen of layers of equal shape: (rows, columns, 4) uint8, blue, green, red, and 0.

    `area`, in pixels of the layers, fills the picture; of each of its pixels, the pixel of the data below its
    middle is drawn, and black beside the data.
    """
    picture = np.zeros((rows, columns, 4), np.uint8)
    if not layers:
        return picture
    height, width = layers[0].pixels.shape
    y, x = (
        _Sampled.of(area.top, area.bottom, rows, height),
        _Sampled.of(area.left, area.right, columns, width),
    )
    if y is None or x is None:
        return picture
    total = np.zeros((y.n_read, x.n_read), np.uint64)
    for layer in layers:
        total += _colored(layer, _seen(layer.pixels, y, x))
    shown = _channels(total).view(np.uint32)[..., 0]
    shown = x.spread(y.spread(shown, 0), 1)
    picture.view(np.uint32)[y.start : y.stop, x.start : x.stop, 0] = shown
    return picture


class _Sampled(NamedTuple):
    """Which pixels along one axis of the data are seen from `start` to before `stop` of the picture.

    The first of them, and which of those that are read is seen at each: the data are read at `step` pixels
    where they are seen enlarged (`spread_at`), else at those that are seen (`read_at`).
    """

    start: int
    stop: int
    first: int
    n_read: int
    read_at: np.ndarray | None
    spread_at: np.ndarray | None

    @classmethod
    def of(cls, low: float, high: float, n: int, size: int) -> _Sampled | None:
        """Of `n` pixels that show the data (of `size`) from `low` to `high`; None if nothing is seen."""
        at = np.floor(low + (np.arange(n) + 0.5) * ((high - low) / max(n, 1)))
        seen = np.flatnonzero((at >= 0) & (at < size))
        if not seen.size:
            return None
        start, stop = int(seen[0]), int(seen[-1]) + 1
        indices = at[start:stop].astype(np.intp)
        first, last = int(indices[0]), int(indices[-1])
        if last - first + 1 <= indices.size:  # enlarged: colours are found once for each pixel of the data
            return cls(start, stop, first, last - first + 1, None, indices - first)
        return cls(start, stop, first, indices.size, indices, None)

    def read(self, pixels: np.ndarray, axis: int) -> np.ndarray:
        """The pixels of the data for which colours are needed."""
        if self.read_at is not None:
            return pixels.take(self.read_at, axis)
        return pixels[(slice(None),) * axis + (slice(self.first, self.first + self.n_read),)]

    def spread(self, picture: np.ndarray, axis: int) -> np.ndarray:
        """Their colours where they are seen."""
        return picture if self.spread_at is None else picture.take(self.spread_at, axis)


def _seen(pixels: np.ndarray, y: _Sampled, x: _Sampled) -> np.ndarray:
    """The pixels for which colours are needed, in C order."""
    if is_transposed(pixels):  # numpy would turn all of them to take a few
        return c_ordered(y.read(x.read(pixels.T, 0), 1).T)
    return x.read(y.read(pixels, 0), 1)


def _channels(total: np.ndarray) -> np.ndarray:
    """The colours (Y, X) of sums in lanes: (Y, X, 4) uint8."""
    lanes = total.astype("<u8", copy=False).view("<u2").reshape(*total.shape, 4)
    colors: np.ndarray = np.minimum(lanes, 255).astype(np.uint8)
    return colors


def _drawn(layer: Layer) -> np.ndarray:
    """The colours of a layer (Y, X), 8 bits for each of blue, green, red and 255 in 32."""
    pixels, stops = layer.pixels, _stops(layer.colormap)
    if _is_worth_a_table(pixels.dtype, pixels.size):
        return _drawn_table(pixels.dtype, layer.limits, stops, layer.gamma).take(pixels)
    return _drawn_shades(stops).take(_places(pixels, layer.limits, layer.gamma))


@lru_cache(maxsize=64)
def _drawn_table(dtype: np.dtype, limits: Limits, stops: _Stops, gamma: float) -> np.ndarray:
    return _as_drawn(_table(dtype, limits, stops, gamma))


@lru_cache(maxsize=64)
def _drawn_shades(stops: _Stops) -> np.ndarray:
    return _as_drawn(_shades(stops))


def _as_drawn(colors: np.ndarray) -> np.ndarray:
    """Colours in lanes (n), as one channel alone is drawn."""
    drawn: np.ndarray = _channels(colors + _OPAQUE).view(np.uint32)[..., 0]
    return drawn


def _is_worth_a_table(dtype: np.dtype, n: int) -> bool:
    return dtype in _TABLED and n > 2 ** (8 * dtype.itemsize - 1)


def _colored(layer: Layer, pixels: np.ndarray, n: int = 0) -> np.ndarray:
    """The colours of pixels of a layer (Y, X), in lanes; `n` pixels in all, if these are not all."""
    if _is_worth_a_table(pixels.dtype, n or pixels.size):
        table = _table(pixels.dtype, layer.limits, _stops(layer.colormap), layer.gamma)
        return table.take(pixels)
    return _shades(_stops(layer.colormap)).take(_places(pixels, layer.limits, layer.gamma))


@lru_cache(maxsize=64)
def _table(dtype: np.dtype, limits: Limits, stops: _Stops, gamma: float) -> np.ndarray:
    """The colours of every value of an unsigned dtype, in lanes."""
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


def _stops(colormap: cmap.Colormap) -> _Stops:
    """A colour map as a key of a cache, which it is not itself."""
    stops = colormap.color_stops
    return np.asarray(stops.stops, float).tobytes(), np.asarray(stops.color_array, float).tobytes()


@lru_cache(maxsize=64)
def _shades(stops: _Stops) -> np.ndarray:
    """The colours of a colour map at all its places, in lanes, and at last that of NaN: none."""
    x, colors = np.frombuffer(stops[0]), np.frombuffer(stops[1]).reshape(-1, 4)
    at = np.clip(np.linspace(0, 1, _SHADES) * _TABLE - 0.5, 0, _TABLE - 1)
    shades = np.zeros(_SHADES + 1, np.uint64)
    for lane, component in ((_RED, 0), (_GREEN, 1), (_BLUE, 2)):
        table = np.rint(np.interp(np.linspace(0, 1, _TABLE), x, colors[:, component]) * 255)
        shade = np.rint(np.interp(at, np.arange(_TABLE), table)).astype(np.uint64)
        shades[:-1] |= shade << np.uint64(16 * lane)
    return shades
