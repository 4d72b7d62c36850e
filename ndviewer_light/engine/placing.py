"""Where the fields of a group lie, by their stage coordinates as far as these can be believed. Pure.

Lengths in µm; x to the right and y down, as in the pictures. Stage coordinates are taken for the middle of
a field.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 0.06
"""The gap between neighbours that are placed in a grid, as a share of their size."""

_NEAREST = 0.02
_FARTHEST = 800.0
"""Neighbouring fields are at least, and at most, so many of their sizes apart; else the unit is wrong.

Sites of high magnification in wells of 40 mm are 600 apart, tiles in nm by mistake nearly 1,000."""
_UNITS = ((1.0, ""), (1e3, "mm"), (1e6, "m"), (1e-3, "nm"))
_FIELDS_SAMPLED = 96
_FAR_OUT = 20.0
"""A field so many times farther from the middle than nine in ten of the others is not there."""
_NO_COORDINATE = 1e13
_LARGEST_STAGE_UM = 1e6
"""Nor is one that is a metre away, where most others are not: of a few fields the above says nothing."""


class PlacedFields(NamedTuple):
    """The middles (n, 2: x, y) of fields, and what has to be said of how they were found."""

    middles: np.ndarray
    notes: tuple[str, ...] = ()
    by_stage: bool = False


def place_fields(
    stage: Sequence[tuple[float | None, float | None]], sizes: Sequence[tuple[float, float]], *, row: bool
) -> PlacedFields:
    """Place fields of these `sizes` (height, width) by stage coordinates (x, y), else in a grid.

    Those without coordinates follow below the others in a row. `row`: where there are none at all, place
    them in one row rather than in a grid.
    """
    if not sizes:
        return PlacedFields(np.zeros((0, 2)))
    places = stage_array(stage)
    extent = np.array([(width, height) for height, width in sizes], float)
    known = np.isfinite(places).all(axis=1)
    side = float(np.median(extent))
    notes: list[str] = []
    n_stated = int(known.sum())
    if n_stated > 1 and not _differ(places[known]):
        known[:] = False
        notes.append("all stage coordinates are the same: placed in a grid")
    elif n_stated > 1:
        factor, unit = _unit(places[known], side)
        if factor is None:
            known[:] = False
            notes.append("stage coordinates do not fit the size of the fields: placed in a grid")
        elif unit:
            places *= factor
            notes.append(f"stage coordinates are taken for {unit}, as in µm all fields would be {_how(unit)}")
        far = known & _far_out(places, known, side) if known.any() else ~known
        if known.any() and far.any():
            known &= ~far
            notes.append(f"{_counted(int(far.sum()))} stage coordinates far from all others")
    if not known.any():
        return PlacedFields(_grid(extent, 1 if row else None), tuple(notes))
    n_lost = int((~known).sum())
    if n_lost:
        if n_stated < len(places):
            notes.append(f"{_counted(len(places) - n_stated)} no usable stage coordinates")
        notes[-1] += ": placed in a row below the others"
        _place_below(places, extent, known)
    return PlacedFields(places, tuple(notes), by_stage=True)


def stage_array(stage: Sequence[tuple[float | None, float | None]]) -> np.ndarray:
    """The coordinates (n, 2: x, y), NaN where there are none, or none that a stage can have in any unit."""
    places = np.array([(math.nan if x is None else x, math.nan if y is None else y) for x, y in stage], float)
    places = places.reshape(-1, 2)
    places[~(np.abs(places) < _NO_COORDINATE)] = math.nan
    return places


def _counted(n: int) -> str:
    return f"{n} field{'s have' if n > 1 else ' has'}"


def _how(unit: str) -> str:
    return "far apart" if unit == "nm" else "at one place"


def _differ(places: np.ndarray) -> bool:
    return bool((np.ptp(places, axis=0) > 0).any())


def _unit(places: np.ndarray, side: float) -> tuple[float | None, str]:
    """The factor and name of the unit in which neighbours are a sensible distance apart; None without one."""
    step = typical_step(places) / side if side > 0 else 1.0
    for factor, unit in _UNITS:
        if _NEAREST <= step * factor <= _FARTHEST:
            return factor, unit
    return None, ""


def typical_step(places: np.ndarray) -> float:
    """The median distance from a field to the nearest that lies elsewhere."""
    some = places[:: max(1, len(places) // _FIELDS_SAMPLED)]
    nearest = []
    for place in some:
        away = np.hypot(*(places - place).T)
        away = away[away > 0]
        if len(away):
            nearest.append(float(away.min()))
    return float(np.median(nearest)) if nearest else 0.0


def _far_out(places: np.ndarray, known: np.ndarray, side: float) -> np.ndarray:
    middle = np.median(places[known], axis=0)
    away = np.abs(places - middle).max(axis=1)
    usual = float(np.quantile(away[known], 0.9)) if known.sum() > 4 else math.inf
    most = float(np.median(away[known]))
    if known.sum() > 2 and most < _LARGEST_STAGE_UM:
        usual = min(usual, max(_LARGEST_STAGE_UM / _FAR_OUT, most))
    return np.asarray(np.nan_to_num(away, nan=0.0) > _FAR_OUT * max(usual, side))


def _grid(extent: np.ndarray, n_rows: int | None) -> np.ndarray:
    """The middles of fields in reading order, in about as many rows as columns."""
    n = len(extent)
    pitch = extent.max(axis=0) * (1 + GAP)
    n_columns = -(-n // n_rows) if n_rows else max(1, math.ceil(math.sqrt(n)))
    rows, columns = np.divmod(np.arange(n), n_columns)
    return np.stack([columns * pitch[0], rows * pitch[1]], axis=1)


def _place_below(places: np.ndarray, extent: np.ndarray, known: np.ndarray) -> None:
    half = extent / 2
    left = float((places - half)[known, 0].min())
    bottom = float((places + half)[known, 1].max())
    pitch = extent.max(axis=0) * (1 + GAP)
    lost = np.flatnonzero(~known)
    n_columns = max(
        1, int((float((places + half)[known, 0].max()) - left) // pitch[0]), math.isqrt(len(lost))
    )
    rows, columns = np.divmod(np.arange(len(lost)), n_columns)
    places[lost, 0] = left + (columns + 0.5) * pitch[0]
    places[lost, 1] = bottom + (rows + 1.0) * pitch[1]
