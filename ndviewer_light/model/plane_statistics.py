"""What is measured of one plane, and what several planes of a channel say about its detector."""

from __future__ import annotations

import math
from typing import NamedTuple

PERCENTILES = (1.0, 50.0, 99.9)
"""Of `PlaneStatistics.p1`, `p50` and `p99_9`."""

FEWEST_SATURATED = 4
"""Pixels: one of them at 1023 is chance."""

_DETECTOR_BITS = (8, 10, 12, 14, 16, 32)


class PlaneStatistics(NamedTuple):
    """What was measured of one plane, in pixel values; NaN where there is no such number.

    `n` pixels, of which `n_finite` are neither NaN nor infinite: everything else is of those. `low` and
    `high` are the lowest and highest value, `p1`, `p50` and `p99_9` percentiles (between two pixels,
    interpolated), `focus` the normalised variance; see `sources.statistics_of_pixels`. `n_high`: how many
    pixels have the highest value, if that may be the highest of a detector; 0 of a mask, which has no values
    but 0 and that one. `is_unsigned`: whether the values are those of a detector, from 0 on.
    """

    n: int
    n_finite: int
    mean: float = math.nan
    low: float = math.nan
    p1: float = math.nan
    p50: float = math.nan
    p99_9: float = math.nan
    high: float = math.nan
    focus: float = math.nan
    n_high: int = 0
    is_unsigned: bool = False

    def saturated(self, highest: float) -> float:
        """The fraction of the pixels at the highest value of the detector; NaN if it cannot have one.

        `highest` is the highest value in any plane of the channel, by which its depth is known.
        """
        if not self.is_unsigned or not self.n:
            return math.nan
        return saturated_fraction(self.n_high, self.n, self.high, highest)


def detector_top(highest: float) -> float:
    """The highest value of the detector from which values up to `highest` come: 4095 for 3000."""
    tops = (float(2**bits - 1) for bits in _DETECTOR_BITS)
    return next((top for top in tops if highest <= top), float(2**64 - 1))


def saturated_fraction(n_high: int, n: int, high: float, highest: float) -> float:
    """The fraction of `n` pixels that are saturated, if `n_high` of them have the value `high`.

    They are if that is the highest value of a detector that gives values up to `highest`.
    """
    is_at_top = high == detector_top(highest)
    return n_high / n if is_at_top and n_high >= min(FEWEST_SATURATED, n) else 0.0
