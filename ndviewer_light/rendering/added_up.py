"""Channels as one picture, as the canvas draws them: each from black to its colour, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import cmap

    from .contrast import Limits

_STEPS = 1024  # of a colour map: finer than the 256 levels of a screen
_TABLED = (np.dtype(np.uint8), np.dtype(np.uint16))
_WORTH_A_TABLE = 2  # of so many pixels per possible value, the colour of each value is looked up


class Layer(NamedTuple):
    """One channel: its pixels (Y, X) and how they are drawn."""

    pixels: np.ndarray
    limits: Limits
    colormap: cmap.Colormap
    gamma: float = 1.0


def composite(layers: Iterable[Layer], height: int, width: int) -> np.ndarray:
    """Return the picture of all layers, each `height` × `width`: (Y, X, 3) uint8. NaN is drawn as nothing."""
    total = np.zeros((height, width, 3), np.float32)
    for layer in layers:
        total += _colored(layer)
    return np.rint(np.clip(total, 0, 1) * 255).astype(np.uint8)


def _colored(layer: Layer) -> np.ndarray:
    """The colours of one layer, (Y, X, 3) float32 from 0 to 1."""
    pixels = layer.pixels
    if pixels.dtype in _TABLED and pixels.size > _WORTH_A_TABLE * 2 ** (8 * pixels.dtype.itemsize):
        every = np.arange(2 ** (8 * pixels.dtype.itemsize)).astype(pixels.dtype)
        return np.take(_colored(layer._replace(pixels=every)), pixels, axis=0)
    low, high = layer.limits
    pixels = np.abs(pixels) if pixels.dtype.kind == "c" else pixels
    bright = (pixels.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-30))
    is_number = np.isfinite(bright)
    bright = np.clip(np.where(is_number, bright, 0), 0, 1)
    if layer.gamma != 1.0:
        bright **= np.float32(layer.gamma)
    table = np.asarray(layer.colormap.lut(_STEPS), np.float32)[:, :3]
    colors: np.ndarray = table[np.rint(bright * (_STEPS - 1)).astype(np.intp)]
    colors[~is_number] = 0
    return colors
