"""Plane statistics as colours of fields: which there are, of which planes, on which scale, and measuring them
for a picture.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import PlaneKey, channel_in
from .durations import duration_of
from .scene_overlays import FieldTints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine.dataset import Dataset
    from ..engine.known_statistics import KnownStatistics
    from ..model import DatasetInfo

COLORMAP = "viridis"
"""Its lightness rises evenly, and it can be read without telling red from green."""

ACQUIRED = "acquired_s"
"""The one that is looked up, not measured."""


class ShownStatistic(NamedTuple):
    """A statistic that can be chosen: its name in tables, and the words for it."""

    name: str
    title: str
    tip: str


SHOWN_STATISTICS = (
    ShownStatistic("mean", "Mean", "Mean of the pixels"),
    ShownStatistic("p50", "Median", "Half of the pixels are below"),
    ShownStatistic("p1", "1st percentile", "One pixel of 100 is below: the background"),
    ShownStatistic("p99_9", "99.9th percentile", "One pixel of 1,000 is above"),
    ShownStatistic("low", "Lowest", "The lowest pixel"),
    ShownStatistic("high", "Highest", "The highest pixel"),
    ShownStatistic("saturated", "Saturated", "Fraction of pixels at the highest value of the detector"),
    ShownStatistic("focus", "Focus", "Normalised variance: compare images of similar content"),
    ShownStatistic(ACQUIRED, "Acquired", "When it was acquired, in s since the run began"),
)

_MOST_FOR_SCALE = 20_000
"""Statistics that decide the scale of a film: of more, those of some time points."""
_DECIMALS_TO_TELL = 10
"""That are written to tell two values apart."""
_ONLY_SHARE = 0.5
"""Where a value lies on its scale that is the only one."""
TIMES_AT_ONCE = 512
"""Planes of which it is asked together when they were acquired."""


def value_of(statistics: KnownStatistics, key: PlaneKey, name: str) -> float:
    """A statistic of one plane; NaN if it is not known."""
    if name == ACQUIRED:
        return statistics.acquired_s(key)
    found = statistics.get(key)
    if found is None:
        return math.nan
    if name == "saturated":
        return found.saturated(statistics.highest(key.c))
    return float(getattr(found, name))


def values_of_positions(
    statistics: KnownStatistics, info: DatasetInfo, name: str, t: int, c: int, z: int
) -> list[float]:
    """One statistic of all positions at a time point, channel and z; of those with fewer z, of the last."""
    n = len(info.positions)
    if not info.images:
        return [value_of(statistics, PlaneKey(t, p, c, z), name) for p in range(n)]
    last = [info.image(p).n_z - 1 for p in range(n)]
    return [value_of(statistics, PlaneKey(t, p, c, min(z, last[p])), name) for p in range(n)]


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
        None
        if math.isnan(value)
        else _ONLY_SHARE
        if width <= 0
        else min(max((value - low) / width, 0.0), 1.0)
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


def ends_of(span: tuple[float, float] | None, name: str) -> tuple[str, str]:
    """What is written at the ends of the scale of a span; ("", "") without one.

    Of one value alone: that, and "". Two that differ are written with as many decimals as that takes.
    """
    if span is None:
        return "", ""
    low, high = (text_of(end, name) for end in span)
    if span[0] == span[1]:
        return low, ""
    return (low, high) if low != high else _told_apart(span, name)


def _told_apart(span: tuple[float, float], name: str) -> tuple[str, str]:
    factor, unit = {"saturated": (100, " %"), ACQUIRED: (1, " s")}.get(name, (1, ""))
    for spec in (*(f",.{decimals}f" for decimals in range(_DECIMALS_TO_TELL)), ".17g"):
        low, high = (f"{end * factor:{spec}}{unit}" for end in span)
        if low != high:
            break
    return low, high


def scale_colors(ends: tuple[str, str]) -> tuple[tuple[int, int, int], ...]:
    """The colours of a scale with these `ends_of`, from low to high; of one value alone: its colour."""
    table = color_table()
    return table if ends[1] else (table[round(_ONLY_SHARE * 255)],)


class FieldStatistic(NamedTuple):
    """A statistic by which fields are coloured: its name in `SHOWN_STATISTICS`, of a channel and a plane."""

    name: str
    c: int
    z: int


def statistic_named(text: str) -> ShownStatistic:
    """The one that is called so in tables ("p50") or in the window ("Median").

    Raises `ValueError` that says which there are.
    """
    for each in SHOWN_STATISTICS:
        if text.lower() in (each.name, each.title.lower()):
            return each
    there = ", ".join(each.name for each in SHOWN_STATISTICS)
    raise ValueError(f"there is no statistic {text!r}: choose one of {there}")


def planes_of_fields(info: DatasetInfo, t: int, c: int, z: int) -> list[PlaneKey]:
    """The planes by which fields are coloured, of fields that have them: see `values_of_positions`."""
    keys = []
    for p in range(len(info.positions)):
        image = info.image(p)
        if t < image.n_t and channel_in(image.channels, info.channels, c) is not None:
            keys.append(PlaneKey(t, p, c, min(z, image.n_z - 1)))
    return keys


def tints_of(dataset: Dataset, statistic: FieldStatistic, times: Sequence[int]) -> FieldTints:
    """The colours of fields at each of these time points, on one scale, of what is known now.

    They are looked up when they are asked for, in any thread; nothing is measured.
    """
    info = dataset.info

    def values(t: int) -> list[float]:
        return values_of_positions(dataset.statistics, info, statistic.name, t, statistic.c, statistic.z)

    some = times[:: max(1, len(times) * len(info.positions) // _MOST_FOR_SCALE)]
    span = span_of([value for t in some for value in values(t)])
    low, high = ends_of(span, statistic.name)
    table = color_table()
    return FieldTints(
        lambda t: [
            None if share is None else table[round(share * 255)] for share in shares_of(values(t), span)
        ],
        f"{statistic_named(statistic.name).title}, {info.channels[statistic.c].name}",
        low,
        high,
        scale_colors((low, high)),
    )


def measure_fields(
    dataset: Dataset,
    statistic: FieldStatistic,
    times: Sequence[int],
    progress: Callable[[int, int], None] = lambda done, expected: None,
) -> None:
    """Let the statistics of fields be known at these time points: measured, or looked up. Blocks.

    What was measured before, and is as it was, is not measured again. Of planes that are missing or cannot be
    read there is none. `progress(done, expected)` in this thread.
    """
    info = dataset.look_at_all() if not dataset.live else dataset.info
    keys = [key for t in times for key in planes_of_fields(info, t, statistic.c, statistic.z)]
    if statistic.name == ACQUIRED:
        for start in range(0, len(keys), TIMES_AT_ONCE):
            dataset.look_up_times(keys[start : start + TIMES_AT_ONCE])
        return
    done = 0
    for z in sorted({key.z for key in keys}):  # stacks of fewer planes have their last one
        positions = sorted({key.p for key in keys if key.z == z})
        n, before = sum(key.z == z for key in keys), done
        dataset.measured_table(
            statistic.c,
            list(times),
            positions,
            z,
            lambda some, _, before=before: progress(before + some, len(keys)),  # type: ignore[misc]
        )
        done += n
