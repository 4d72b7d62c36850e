"""Which numbers are shown of which planes: values for maps and plots, texts, colours. Pure; no Qt."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...model import PlaneKey
from ..view_texts import duration_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.known_numbers import KnownNumbers
    from ...model import DatasetInfo
    from ..places.wells import Wells

COLORMAP = "viridis"
"""Its lightness rises evenly, and it can be read without telling red from green."""

MOST_PLOTTED = 5_000
"""Planes of a channel that are plotted. Of more time points every n-th is; of more planes in the order of
acquisition, those of the time point in view are."""


ACQUIRED = "acquired_s"
"""The number that is looked up, not measured."""


class ShownNumber(NamedTuple):
    """A number that can be chosen: its name in tables, and the words for it."""

    name: str
    title: str
    tip: str


SHOWN_NUMBERS = (
    ShownNumber("mean", "Mean", "Mean of the pixels"),
    ShownNumber("p50", "Median", "Half of the pixels are below"),
    ShownNumber("p1", "1st percentile", "One pixel of 100 is below: the background"),
    ShownNumber("p99_9", "99.9th percentile", "One pixel of 1,000 is above"),
    ShownNumber("low", "Lowest", "The lowest pixel"),
    ShownNumber("high", "Highest", "The highest pixel"),
    ShownNumber("saturated", "Saturated", "Fraction of pixels at the highest value of the detector"),
    ShownNumber("focus", "Focus", "Normalised variance: compare images of similar content"),
    ShownNumber(ACQUIRED, "Acquired", "When it was acquired, in s since the run began"),
)


class NumberSeries(NamedTuple):
    """A number of one channel along an axis: `places` are (t, p) of each value, NaN where it is not known."""

    values: np.ndarray
    places: Sequence[tuple[int, int]]


def value_of(numbers: KnownNumbers, key: PlaneKey, name: str) -> float:
    """One number of one plane; NaN if it is not known."""
    if name == ACQUIRED:
        return numbers.acquired_s(key)
    found = numbers.get(key)
    if found is None:
        return math.nan
    if name == "saturated":
        return found.saturated(numbers.highest(key.c))
    return float(getattr(found, name))


def values_of_positions(
    numbers: KnownNumbers, info: DatasetInfo, name: str, t: int, c: int, z: int
) -> list[float]:
    """A number of every position at one time point, channel and z; positions with fewer z have their last."""
    n = len(info.positions)
    if not info.images:
        return [value_of(numbers, PlaneKey(t, p, c, z), name) for p in range(n)]
    last = [info.image(p).n_z - 1 for p in range(n)]
    return [value_of(numbers, PlaneKey(t, p, c, min(z, last[p])), name) for p in range(n)]


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


def span_of(values: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and highest of the values that are known; None if none is."""
    known = [value for value in values if not math.isnan(value)]
    return (min(known), max(known)) if known else None


def shares_of(values: Sequence[float], span: tuple[float, float] | None) -> list[float | None]:
    """Where each value lies between the ends of a span, 0 to 1; None if it is not known."""
    if span is None:
        return [None] * len(values)
    low, high = span
    width = high - low
    return [
        None if math.isnan(value) else 0.5 if width <= 0 else min(max((value - low) / width, 0.0), 1.0)
        for value in values
    ]


@lru_cache(maxsize=1)
def color_table() -> tuple[tuple[int, int, int], ...]:
    """256 colours (R, G, B) of the map, 0 to 255, from low to high."""
    import cmap  # here, as a window need not wait for it

    table = np.round(np.asarray(cmap.Colormap(COLORMAP).lut(256))[:, :3] * 255).astype(int)
    return tuple((int(r), int(g), int(b)) for r, g, b in table)


def text_of(value: float, name: str) -> str:
    """A value as it is written."""
    if math.isnan(value):
        return "not known"
    if name == "saturated":
        return "0 %" if value == 0 else f"{100 * value:.2g} %"
    if name == ACQUIRED:
        return duration_of(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
