"""Which statistics are plotted, and those of wells; see `rendering.field_statistics`. Pure; no Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...model import PlaneKey
from ...rendering.field_statistics import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.known_statistics import KnownStatistics
    from ..places.wells import Wells

MOST_PLOTTED = 5_000
"""Planes of a channel that are plotted. Of more time points every n-th is; of more planes in the order of
acquisition, those of the time point in view are."""


class StatisticSeries(NamedTuple):
    """A statistic of one channel along an axis: `places` are (t, p) of each value, NaN if unknown."""

    values: np.ndarray
    places: Sequence[tuple[int, int]]


def values_of_wells(values: Sequence[float], wells: Wells) -> list[float]:
    """The median of the fields of each well that are known."""
    return [median([values[p] for p in wells.fields(well)]) for well in range(len(wells))]


def median(values: Sequence[float]) -> float:
    """The median of those that are known; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else math.nan


def over_time(statistics: KnownStatistics, name: str, n_t: int, p: int, c: int, z: int) -> StatisticSeries:
    """A statistic at every time point of one position; of many, at every n-th."""
    places = [(t, p) for t in range(0, n_t, -(-n_t // MOST_PLOTTED) or 1)]
    return StatisticSeries(_values(statistics, name, places, c, z), places)


def in_order(
    statistics: KnownStatistics, name: str, n_t: int, n_p: int, t: int, c: int, z: int
) -> StatisticSeries:
    """A statistic of every plane in the order of acquisition: by time point, then position."""
    times = range(n_t) if n_t * n_p <= MOST_PLOTTED else (t,)
    places = [(each, p) for each in times for p in range(n_p)]
    return StatisticSeries(_values(statistics, name, places, c, z), places)


def _values(
    statistics: KnownStatistics, name: str, places: Sequence[tuple[int, int]], c: int, z: int
) -> np.ndarray:
    return np.array([value_of(statistics, PlaneKey(t, p, c, z), name) for t, p in places], np.float64)
