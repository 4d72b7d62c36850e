"""Pixel values as textures have them: of 8 or 16 bits, or 32-bit floats, moved to where these can tell them.

Pure; no Qt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...rendering.added_up import LARGE, SMALL, TOO_ALIKE
from ...rendering.contrast import sample_of

if TYPE_CHECKING:
    from ...model import DatasetInfo
    from ...rendering.contrast import Limits

_BEYOND = 1e37
_LOOKED_AT = 4096
_NEARLY_ALL = (1, 99)  # percentiles


class TextureScale(NamedTuple):
    """A texture has (value - `offset`) * `factor`."""

    offset: float = 0.0
    factor: float = 1.0

    def limits(self, limits: Limits) -> Limits:
        """The limits of pixel values, as the texture has them; the high one is the higher one there too."""
        low, high = (min(max((each - self.offset) * self.factor, -_BEYOND), _BEYOND) for each in limits)
        return low, max(high, float(np.nextafter(np.float32(low), np.float32(np.inf))))


AS_THEY_ARE = TextureScale()


def shown_dtype(dtype: np.dtype | None) -> np.dtype:
    """The dtype of the texture: uint8, uint16 or float32."""
    if dtype is None:
        return np.dtype(np.uint16)
    if dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        return dtype
    return np.dtype(np.uint8 if dtype == np.dtype(bool) else np.float32)


def common_shown_dtype(info: DatasetInfo) -> np.dtype:
    """The dtype of textures that hold the pixels of every position known so far."""
    return np.result_type(*(shown_dtype(image.dtype) for image in info.groups))


def shown_pixels(pixels: np.ndarray, scale: TextureScale = AS_THEY_ARE) -> np.ndarray:
    """`pixels` in the dtype for display; complex ones as magnitude."""
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
    with np.errstate(over="ignore"):  # what few pixels have beyond the others is infinite beside these
        if scale != AS_THEY_ARE:
            pixels = (pixels.astype(np.float64) - scale.offset) * scale.factor
        return pixels.astype(shown_dtype(pixels.dtype), copy=False)


def texture_scale(pixels: np.ndarray) -> TextureScale:
    """How these are best moved into a texture: nearly always as they are.

    Not where nearly all are larger or smaller than shaders can calculate with, or alike to so many digits
    that 32-bit floats do not tell them apart.
    """
    if shown_dtype(pixels.dtype) != np.dtype(np.float32):
        return AS_THEY_ARE
    sample = sample_of(pixels, _LOOKED_AT).astype(np.float64)
    sizes = np.abs(sample[sample != 0])
    if not sizes.size:
        return AS_THEY_ARE
    low, high = np.percentile(sample, _NEARLY_ALL).tolist()
    smallest, largest = np.percentile(sizes, _NEARLY_ALL).tolist()
    offset = low if 0 < high - low < largest * TOO_ALIKE and pixels.dtype != np.dtype(np.float32) else 0.0
    reach = high - low if offset else largest
    if (reach if offset else smallest) > LARGE or reach < SMALL:
        exponent = min(max(math.frexp(reach)[1], -1000), 1000)
        return TextureScale(offset, math.ldexp(1.0, -exponent))
    return TextureScale(offset)
