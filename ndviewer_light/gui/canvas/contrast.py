"""The contrast a plane suggests: a display window and a histogram, from a sample of its pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_SAMPLES = 65536
_LOW, _HIGH = 0.1, 99.9  # percentiles, so that a few hot or dead pixels do not matter
_BINS = 96


class Contrast(NamedTuple):
    """A display window (low, high) for a plane, its value range, and a histogram over that range."""

    window: tuple[float, float]
    range: tuple[float, float]
    counts: np.ndarray


def contrast_of(pixels: np.ndarray) -> Contrast:
    """Return what `pixels` (any shape, real numbers) suggests; NaN and infinities are ignored.

    A constant plane gets a window of width 1, so that it is neither black nor saturated by chance.
    """
    sample = _sample(pixels)
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
    if not sample.size:
        return Contrast((0.0, 1.0), (0.0, 1.0), np.zeros(_BINS, int))
    least, most = float(sample.min()), float(sample.max())
    low, high = (float(v) for v in np.percentile(sample, (_LOW, _HIGH)))
    counts, _ = np.histogram(sample, _BINS, (least, most if most > least else least + 1))
    return Contrast((low, high if high > low else low + 1), (least, most), counts)


def _sample(pixels: np.ndarray) -> np.ndarray:
    step = max(1, math.ceil((pixels.size / _SAMPLES) ** (1 / max(pixels.ndim, 1))))
    return pixels[(slice(None, None, step),) * pixels.ndim].ravel()
