"""Where wells and fields are drawn: the geometry of plate and stage maps, and their states. Pure; no Qt.

Coordinates are logical pixels of the map's widget; rows, columns, wells and fields count from 0.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.placing import place_fields, stage_array, typical_step
from ...engine.state_codes import TimeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...engine.plate_grid import PlateLayout
    from ...model import Position

_LABEL_PX = 11.0
"""The least room of a row's or column's label; where there is less, only every other one is written."""


class PlateGeometry(NamedTuple):
    """A plate in a widget: where the first cell begins, and how wide and high one is."""

    left: float
    top: float
    cell: float
    n_rows: int
    n_columns: int

    def center(self, row: int, column: int) -> tuple[float, float]:
        """The middle of a cell."""
        return self.left + (column + 0.5) * self.cell, self.top + (row + 0.5) * self.cell

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """The row and column at a point, or None."""
        row, column = math.floor((y - self.top) / self.cell), math.floor((x - self.left) / self.cell)
        return (row, column) if 0 <= row < self.n_rows and 0 <= column < self.n_columns else None

    @property
    def label_step(self) -> int:
        """One in this many rows and columns has its label written."""
        return max(1, math.ceil(_LABEL_PX / self.cell))


def plate_geometry(layout: PlateLayout, width: float, labels: tuple[float, float]) -> PlateGeometry:
    """A plate as wide as `width` allows; `labels`: width of row labels, height of column labels."""
    n_rows, n_columns = len(layout.rows), len(layout.columns)
    left, top = labels if layout.is_plate else (0.0, 0.0)
    cell = min(max((width - left - 1) / max(n_columns, 1), 2.0), MAX_CELL_PX)
    if cell < _LEAST_ROUND_PX:  # small squares of different sizes would look like a pattern
        cell = float(math.floor(cell))
    return PlateGeometry(left, top, cell, n_rows, n_columns)


MAX_CELL_PX = 30.0
_LEAST_ROUND_PX = 9.0


class StageGeometry(NamedTuple):
    """Fields at their stage positions in a widget: x to the right and y down, as in the pictures."""

    scale: float
    left: float
    top: float
    places: tuple[tuple[int, float, float], ...]
    """(position, x, y) of each field's centre."""
    half_width: float
    half_height: float

    def at(self, x: float, y: float, slack: float = 6.0) -> int | None:
        """The position of the field at a point, the nearest if there are several, or None."""
        near = [
            (math.hypot(x - at_x, y - at_y), p)
            for p, at_x, at_y in self.places
            if abs(x - at_x) <= max(self.half_width, slack) and abs(y - at_y) <= max(self.half_height, slack)
        ]
        return min(near)[1] if near else None

    def beside(self, p: int, down: int, right: int) -> int:
        """The nearest field in a direction; the same one where there is none."""
        places = {each: (x, y) for each, x, y in self.places}
        if p not in places:
            return self.places[0][0]
        x, y = places[p]
        ahead = []
        for each, (at_x, at_y) in places.items():
            along = (at_x - x) * right + (at_y - y) * down
            aside = abs((at_x - x) * down) + abs((at_y - y) * right)
            if along > 0.5 and aside <= along:
                ahead.append((along + 2 * aside, each))
        return min(ahead)[1] if ahead else p


_MOST_HEIGHT = 0.64
"""Of a map of fields, as a share of its width: there must be room for the rest of the column."""
_LEAST_HALF_PX = 2.5
_MOST_HALF_PX = 40.0
MAP_MARGIN_PX = 4.0
_SHARE_DRAWN = 0.8
"""Of the way to the next field, what is drawn of one whose size is not known."""
_LEAST_STEP_UM = 1e-6


class StagePlaces(NamedTuple):
    """Where fields lie (position, x and y of the middle, in µm), and how wide and high each is drawn."""

    fields: tuple[tuple[int, float, float], ...]
    wide: float
    high: float


def stage_places(
    positions: Sequence[Position], among: Iterable[int], field_um: tuple[float, float] | None
) -> StagePlaces | None:
    """The fields `among` the positions, placed as the overview places them.

    None if the places of most are not known, or where stage coordinates cannot be believed. `field_um` is
    the height and width of a field.
    """
    among = tuple(among)
    stage = [(positions[p].x_um, positions[p].y_um) for p in among]
    known = stage_array(stage)
    known = known[np.isfinite(known).all(axis=1)]
    if 2 * len(known) <= len(stage):
        return None
    if field_um is None:
        side = _SHARE_DRAWN * typical_step(known)
        field_um = (side, side) if side > _LEAST_STEP_UM else (1.0, 1.0)
    placed = place_fields(stage, [field_um] * len(stage), row=False)
    if len(stage) > 1 and not placed.by_stage:
        return None
    high, wide = field_um
    places = zip(among, placed.middles.tolist(), strict=True)
    return StagePlaces(tuple((p, x, y) for p, (x, y) in places), wide, high)


def stage_geometry(places: StagePlaces, width: float, height: float) -> StageGeometry | None:
    """A map of these fields in a widget of that size; None if they cannot be drawn in it."""
    _, xs, ys = zip(*places.fields, strict=True)
    wide, high = places.wide, places.high
    span_x, span_y = max(xs) - min(xs) + wide, max(ys) - min(ys) + high
    room_x, room_y = (max(side - 2 * MAP_MARGIN_PX, 1.0) for side in (width, height))
    scale = min(room_x / (span_x or 1.0), room_y / (span_y or 1.0)) if span_x or span_y else 1.0
    if not math.isfinite(scale) or scale <= 0:
        return None
    left = (width - span_x * scale) / 2 + (wide / 2 - min(xs)) * scale
    top = (height - span_y * scale) / 2 + (high / 2 - min(ys)) * scale
    at = tuple((p, left + x * scale, top + y * scale) for p, x, y in places.fields)
    half_x, half_y = _half_size(xs, wide, scale), _half_size(ys, high, scale)
    return StageGeometry(scale, left, top, at, half_x, half_y)


def _half_size(places: Sequence[float], side: float, scale: float) -> float:
    """Half of what is drawn of a field: neighbours that overlap are drawn apart."""
    drawn = min(side, _step(places, 0.3 * side) or side)  # smaller steps are the stage's jitter
    return min(max(drawn * scale / 2 - 1.0, _LEAST_HALF_PX), _MOST_HALF_PX)


def _step(places: Sequence[float], least: float) -> float:
    """The smallest step between places that is more than `least`; 0 if there is none."""
    steps = (b - a for a, b in itertools.pairwise(sorted(places)))
    return min((step for step in steps if step > least), default=0.0)


def map_height(places: StagePlaces | None, width: float) -> float:
    """How high a map of this width should be for the shape of the scanned area, within limits."""
    if places is None:
        return 0.0
    _, xs, ys = zip(*places.fields, strict=True)
    span_x, span_y = max(xs) - min(xs), max(ys) - min(ys)
    share = span_y / span_x if span_x > 0 else 2.0
    return min(max(width * share, 70.0), width * _MOST_HEIGHT)


# ---- states ----------------------------------------------------------------------------------------


def state_of_all(states: Sequence[TimeState]) -> TimeState:
    """The state of a well, from those of its fields: acquired only if all are."""
    found = set(states)
    if len(found) == 1:
        return states[0]
    if not found:
        return TimeState.UNKNOWN
    if TimeState.UNREADABLE in found:
        return TimeState.UNREADABLE
    if TimeState.UNKNOWN in found:
        return TimeState.UNKNOWN
    if found <= {TimeState.PENDING, TimeState.MISSING}:
        return TimeState.MISSING
    return TimeState.PARTLY
