"""Averages over squares of pixels, in the dtype of the pixels. Pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .transpose import is_transposed


def step_for(longest: int, edge: int) -> int:
    """How many pixels are averaged along each axis so that at least `edge`, and less than twice, remain."""
    return max(1, longest // max(edge, 1))


def shrunk(pixels: np.ndarray, step: int) -> np.ndarray:
    """Averages over squares of `step` × `step` pixels, in the dtype of `pixels` (integers are rounded).

    Rows and columns at the far edges that do not fill a square are averaged separately.
    """
    if step <= 1:
        return pixels
    if is_transposed(pixels):  # averaged as it lies in memory
        turned: np.ndarray = shrunk(pixels.T, step).T
        return turned
    height, width = pixels.shape
    rows, columns = height // step * step, width // step * step
    downs = [each for each in (slice(0, rows), slice(rows, height)) if each.start < each.stop]
    acrosses = [each for each in (slice(0, columns), slice(columns, width)) if each.start < each.stop]
    parts = [[_even(pixels[down, across], step) for across in acrosses] for down in downs]
    return parts[0][0] if len(parts) == len(parts[0]) == 1 else np.block(parts)


def _even(pixels: np.ndarray, step: int) -> np.ndarray:
    """The same where whole squares fill the rows and columns, or one axis is shorter than a square."""
    height, width = pixels.shape
    down, across = min(step, height), min(step, width)
    kind = pixels.dtype.kind
    if kind == "b":
        return _even(pixels.astype(np.uint8) * 255, step) > 127
    n = down * across
    of_row: Any = pixels.dtype.type
    of_square: Any = pixels.dtype.type
    if kind == "f" and pixels.dtype.itemsize < 4:
        of_row = of_square = np.float32
    elif kind in "iu":
        # mostly cameras use a part of 16 bits: sums are made in a third of the time where they fit into these
        most = int(pixels.max()) if kind == "u" and pixels.dtype.itemsize <= 2 else None
        of_row, of_square = _wide(pixels.dtype, down, most), _wide(pixels.dtype, n + 1, most)
    # rows first: each sum is over whole rows, one after the other in memory
    total: np.ndarray = pixels[0::down].astype(of_row)
    for i in range(1, down):
        total += pixels[i::down]
    total = total.reshape(total.shape[0], -1, across)
    summed: np.ndarray = total[:, :, 0].astype(of_square)
    for i in range(1, across):
        summed += total[:, :, i]
    averages: np.ndarray = summed / n if kind in "fc" else (summed + of_square(n // 2)) // of_square(n)
    return averages.astype(pixels.dtype)


def _wide(dtype: np.dtype, n: int, most: int | None) -> type:
    """An integer type that holds the sum of `n` values; `most` is the highest of them, if that is known."""
    if most is not None and most * n <= np.iinfo(np.uint16).max:
        return np.uint16
    bits = dtype.itemsize * 8 + int(n).bit_length()
    if dtype.kind == "u":
        return np.uint32 if bits <= 32 else np.uint64
    return np.int32 if bits <= 32 else np.int64
