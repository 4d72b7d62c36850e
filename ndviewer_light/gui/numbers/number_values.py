"""Which numbers are plotted, and those of wells; see `rendering.field_numbers`. Pure; no Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...model import PlaneKey
from ...rendering.field_numbers import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.known_numbers import KnownNumbers
    from ..places.wells import Wells

MOST_PLOTTED = 5_000
"""Planes of a channel that are plotted. Of more time points every n-th is; of more planes in the order of
acquisition, those of the time point in view are."""


class NumberSeries(NamedTuple):
    """A number of one channel along an axis: `places` are (t, p) of each value, NaN where it is not known."""

    values: np.ndarray
    places: Sequence[tuple[int, int]]


def values_of_wells(values: Sequence[float], wells: Wells) -> list[float]:
    """The median of the fields of each well that are known."""
    return [median([values[p] for p in wells.fields(well)]) for well in range(len(wells))]


def median(values: Sequence[float]) -> float:
    """The median of those that are known; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def over_time(numbers: KnownNumbers, name: str, n_t: int, p: int, c: int, z: int) -> NumberSeries:
    """A number at every time point of one position; of many, at every n-th."""
    places = [(t, p) for t in range(0, n_t, -(-n_t // MOST_PLOTTED) or 1)]
    return NumberSeries(_values(numbers, name, places, c, z), places)


def in_order(numbers: KnownNumbers, name: str, n_t: int, n_p: int, t: int, c: int, z: int) -> NumberSeries:
    """A number of every plane in the order of acquisition: by time point, then position."""
    times = range(n_t) if n_t * n_p <= MOST_PLOTTED else (t,)
    places = [(each, p) for each in times for p in range(n_p)]
    return NumberSeries(_values(numbers, name, places, c, z), places)


def _values(
    numbers: KnownNumbers, name: str, places: Sequence[tuple[int, int]], c: int, z: int
) -> np.ndarray:
    return np.array([value_of(numbers, PlaneKey(t, p, c, z), name) for t, p in places], np.float64)
