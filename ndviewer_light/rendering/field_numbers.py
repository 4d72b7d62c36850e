"""The numbers of a run as colours of fields: which there are, of which planes, on which scale, and measuring
them for a picture.
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
    from ..engine.known_numbers import KnownNumbers
    from ..model import DatasetInfo

COLORMAP = "viridis"
"""Its lightness rises evenly, and it can be read without telling red from green."""

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

_MOST_FOR_SCALE = 20_000
"""Numbers that decide the scale of a film: of more, those of some time points."""
TIMES_AT_ONCE = 512
"""Planes of which it is asked together when they were acquired."""


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


class FieldNumber(NamedTuple):
    """A number by which fields are coloured: its name in `SHOWN_NUMBERS`, of a channel and a plane."""

    name: str
    c: int
    z: int


def number_named(text: str) -> ShownNumber:
    """The number that is called so in tables ("p50") or in the window ("Median").

    Raises `ValueError` that says which there are.
    """
    for each in SHOWN_NUMBERS:
        if text.lower() in (each.name, each.title.lower()):
            return each
    there = ", ".join(each.name for each in SHOWN_NUMBERS)
    raise ValueError(f"there is no number {text!r}: choose one of {there}")


def planes_of_fields(info: DatasetInfo, t: int, c: int, z: int) -> list[PlaneKey]:
    """The planes whose numbers are those of fields, of fields that have them: see `values_of_positions`."""
    keys = []
    for p in range(len(info.positions)):
        image = info.image(p)
        if t < image.n_t and channel_in(image.channels, info.channels, c) is not None:
            keys.append(PlaneKey(t, p, c, min(z, image.n_z - 1)))
    return keys


def tints_of(dataset: Dataset, number: FieldNumber, times: Sequence[int]) -> FieldTints:
    """The colours of fields at each of these time points, on one scale, of what is known now.

    They are looked up when they are asked for, in any thread; nothing is measured.
    """
    info = dataset.info

    def values(t: int) -> list[float]:
        return values_of_positions(dataset.numbers, info, number.name, t, number.c, number.z)

    some = times[:: max(1, len(times) * len(info.positions) // _MOST_FOR_SCALE)]
    span = span_of([value for t in some for value in values(t)])
    low, high = ("", "") if span is None else (text_of(span[0], number.name), text_of(span[1], number.name))
    table = color_table()
    return FieldTints(
        lambda t: [
            None if share is None else table[round(share * 255)] for share in shares_of(values(t), span)
        ],
        f"{number_named(number.name).title}, {info.channels[number.c].name}",
        low,
        high,
        table,
    )


def measure_fields(
    dataset: Dataset,
    number: FieldNumber,
    times: Sequence[int],
    progress: Callable[[int, int], None] = lambda done, expected: None,
) -> None:
    """Let the numbers of fields be known at these time points: measured, or looked up. Blocks.

    What was measured before, and is as it was, is not measured again. Of planes that are missing or cannot be
    read there is no number. `progress(done, expected)` in this thread.
    """
    info = dataset.look_at_all() if not dataset.live else dataset.info
    keys = [key for t in times for key in planes_of_fields(info, t, number.c, number.z)]
    if number.name == ACQUIRED:
        for start in range(0, len(keys), TIMES_AT_ONCE):
            dataset.look_up_times(keys[start : start + TIMES_AT_ONCE])
        return
    done = 0
    for z in sorted({key.z for key in keys}):  # stacks of fewer planes have their last one
        positions = sorted({key.p for key in keys if key.z == z})
        n, before = sum(key.z == z for key in keys), done
        dataset.measured_table(
            number.c,
            list(times),
            positions,
            z,
            lambda some, _, before=before: progress(before + some, len(keys)),  # type: ignore[misc]
        )
        done += n
