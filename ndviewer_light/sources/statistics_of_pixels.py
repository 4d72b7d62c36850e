"""Works out `PlaneStatistics` where a plane was decoded: in 1 to 2 ms for 2048² pixels of uint16.

Mean, lowest and highest value and saturated pixels are those of all pixels. Percentiles and focus of a
plane of more than 768² pixels are those of every n-th row and column, 150,000 pixels at least: a full
histogram would take 8 ms. So many place the median within 0.26 % of its rank and the 99.9th percentile
within 0.017 % (two standard errors of a random sample), and the variance within 0.8 %.

The focus measure is the normalised variance, the variance of the pixels divided by their mean (Y. Sun,
S. Duthaler and B. J. Nelson, Autofocusing in computer microscopy: selecting the optimal focus algorithm,
Microscopy Research and Technique 65, 139-149, 2004, where it did best of 18 overall). It is divided by the
brightness, so that fields and time points can be compared, and needs no neighbours, so that NaN, tiles and
the order in memory make no difference. Those of Brenner (1976) and Vollath (1987) are steeper near the focus,
but follow the brightness. Like all of them it compares images of similar content; an offset of the camera
lowers it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..model import PERCENTILES, PlaneStatistics, detector_top

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE_PIXELS = 512 * 512
"""About as many count for percentiles and focus: each row and column, or each second, third, …"""
_ROW_PIXELS = 65536
"""The sum of so many uint16 fits into a uint32."""
_BLOCK_PIXELS = 8 * _ROW_PIXELS
"""What is gone through together: as much as the processor's cache holds."""


def statistics_of(pixels: np.ndarray) -> PlaneStatistics:
    """Measure one plane: (Y, X) in any memory order, of any dtype; NaN and infinities are left out.

    Of dtypes without an order (complex numbers) all are NaN. Any thread; takes some 20 MB beside the
    plane, and a copy of it if it has NaN.
    """
    parts = StatisticsOfParts(pixels.size)
    parts.add(pixels)
    return parts.statistics()


class StatisticsOfParts:
    """Measures a plane of which there are only parts at a time: tiles that do not overlap. One thread.

    `n`: pixels of the whole plane.
    """

    def __init__(self, n: int) -> None:
        self._step = max(1, round(math.sqrt(n / _SAMPLE_PIXELS)))
        self._n = self._n_finite = self._n_high = 0
        self._is_unsigned = self._is_mask = True
        self._sums: list[float] = []
        self._low, self._high = math.inf, -math.inf
        self._samples: list[np.ndarray] = []

    def add(self, part: np.ndarray) -> None:
        """Measure one part (Y, X)."""
        self._n += part.size
        part = _native(part)
        if part.dtype.kind not in "uif" or not part.size:
            self._is_unsigned = False
            return
        values = _finite(part.ravel(order="K"))
        self._is_unsigned &= part.dtype.kind == "u"
        if not values.size:
            return
        self._n_finite += values.size
        for i in range(0, values.size, _BLOCK_PIXELS):
            block = values[i : i + _BLOCK_PIXELS]
            self._low = min(self._low, block.min().item())
            self._note_high(block, block.max().item())
            self._sums.append(_sum(block))
        self._samples.append(_finite(part[(slice(None, None, self._step),) * part.ndim].ravel(order="K")))

    def _note_high(self, values: np.ndarray, high: float) -> None:
        if high > self._high:
            self._is_mask &= self._high <= 0
            self._high, self._n_high = high, 0
        if self._is_mask and self._is_unsigned:  # 0 and one other value
            self._is_mask = np.count_nonzero(values) in (0, np.count_nonzero(values == self._high))
        if high == self._high and self._is_unsigned and high == detector_top(high):
            self._n_high += int(np.count_nonzero(values == values.dtype.type(high)))

    def statistics(self) -> PlaneStatistics:
        """What all parts together are."""
        if not self._n_finite:
            return PlaneStatistics(self._n, 0)
        sample = self._samples[0] if len(self._samples) == 1 else np.concatenate(self._samples)
        if not sample.size:  # the few finite pixels are between those that are sampled
            percentiles, focus = [math.nan] * len(PERCENTILES), math.nan
        else:
            percentiles, focus = _of_small(sample) if _is_small(sample) else _of_any(sample)
        p1, p50, p99_9 = percentiles
        return PlaneStatistics(
            self._n,
            self._n_finite,
            sum(self._sums) / self._n_finite,
            float(self._low),
            p1,
            p50,
            p99_9,
            float(self._high),
            focus,
            0 if self._is_mask and not self._low else self._n_high,
            self._is_unsigned,
        )


def _native(pixels: np.ndarray) -> np.ndarray:
    """The pixels in a dtype that can be calculated with, without a copy where that is possible."""
    if pixels.dtype.kind == "b":
        return pixels.view(np.uint8)
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize == 2:
        return pixels.astype(np.float32)
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))


def _finite(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return values
    is_finite = np.isfinite(values)
    return values if is_finite.all() else values[is_finite]


def _is_small(values: np.ndarray) -> bool:
    return values.dtype.kind in "ui" and values.dtype.itemsize <= 2


def _sum(values: np.ndarray) -> float:
    if values.dtype.kind != "u" or not _is_small(values):
        with np.errstate(over="ignore", invalid="ignore"):
            return float(values.sum(dtype=np.int64 if _is_small(values) else np.float64))
    whole = values.size - values.size % _ROW_PIXELS
    # half the time of a sum of 64 bits
    sums = np.add.reduce(values[:whole].reshape(-1, _ROW_PIXELS), axis=1, dtype=np.uint32)
    return float(int(sums.sum(dtype=np.uint64)) + int(values[whole:].sum(dtype=np.uint32)))


def _of_small(sample: np.ndarray) -> tuple[list[float], float]:
    """Percentiles and focus of at most 16 bits, by a histogram."""
    least = int(sample.min())
    counts = np.bincount(sample)[least:] if least >= 0 else np.bincount(sample.astype(np.int64) - least)
    up_to, n = np.cumsum(counts), sample.size
    percentiles = [
        _between(n, each, lambda k: least + float(np.searchsorted(up_to, k, "right"))) for each in PERCENTILES
    ]
    values = np.arange(counts.size, dtype=np.float64) + least
    mean = float((counts * values).sum()) / n
    variance = float((counts * (values - mean) ** 2).sum()) / n
    return percentiles, _normalised(variance, mean)


def _of_any(sample: np.ndarray) -> tuple[list[float], float]:
    """The same of any dtype, by sorting."""
    ordered = np.sort(sample)
    percentiles = [_between(ordered.size, each, lambda k: float(ordered[k])) for each in PERCENTILES]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(ordered.mean(dtype=np.float64))
        return percentiles, _normalised(float(ordered.var(dtype=np.float64)), mean)


def _between(n: int, percentile: float, value_at: Callable[[int], float]) -> float:
    """A percentile of `n` values by their ranks, interpolated as `numpy.percentile` does."""
    at = (n - 1) * percentile / 100
    k = int(at)
    value, share = value_at(k), at - k
    return value + (value_at(k + 1) - value) * share if share > 0 and k + 1 < n else value


def _normalised(variance: float, mean: float) -> float:
    """The normalised variance; NaN where the mean is not above 0, so that it says nothing."""
    focus = variance / mean if mean > 0 else math.nan
    return focus if math.isfinite(focus) else math.nan
