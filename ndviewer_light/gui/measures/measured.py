"""What was measured below one shape: values by channel, as they are plotted and as a table. Pure; no Qt."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...engine.shapes import box_of
from ...rendering.place_words import projection_text
from .shape_texts import um_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...engine.projections import StackProjection
    from ...model import ImageInfo
    from .drawn_shapes import DrawnShape

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


class PlotAxis(NamedTuple):
    """What values are plotted along: its name, the coordinate of each value, and of the plane in view."""

    name: str
    coordinates: np.ndarray
    now: float | None = None


class Measured(NamedTuple):
    """Values below a shape. `along`: "line", "t" or "z"; `at` is t, p, z; `names` those of all channels.

    `values` are float64 by channel: NaN is a gap, of what is missing, not written yet or unreadable. They are
    of single planes, or of a `projection` of stacks; over z always of planes, of which then none is in view.
    """

    shape: DrawnShape
    along: str
    at: tuple[int, int, int]
    position: str
    names: Sequence[str]
    image: ImageInfo | None
    values: Mapping[int, np.ndarray]
    projection: StackProjection | None = None

    @property
    def is_of_other_planes(self) -> bool:
        """Whether values are of single planes while a projection is in view."""
        return self.along == "z" and self.projection is not None

    @property
    def stack_text(self) -> str:
        """What of a stack the values are of; empty for the plane in view."""
        if self.projection is None or self.image is None:
            return ""
        return "single planes" if self.along == "z" else projection_text(self.projection, self.image.n_z)

    @property
    def n(self) -> int:
        """How many values a channel has."""
        return max((len(values) for values in self.values.values()), default=0)

    @property
    def n_gaps(self) -> int:
        """At how many places any channel has no value."""
        missing = np.zeros(self.n, bool)
        for values in self.values.values():
            missing |= np.isnan(values)
        return int(missing.sum())

    def current(self, c: int) -> float:
        """The value of a channel in view: of a line the mean along it. NaN if there is none."""
        values = self.values[c]
        if self.along == "line":
            numbers = values[np.isfinite(values)]
            return float(numbers.mean()) if numbers.size else math.nan
        if self.is_of_other_planes:
            return math.nan
        i = self.at[0] if self.along == "t" else self.at[2]
        return float(values[i]) if i < len(values) else math.nan

    def axes(self) -> list[PlotAxis]:
        """What values can be plotted along: in units first, where they are known."""
        if self.along == "line":
            shares = self.shape.line.shares()
            um = um_of(self.image)
            px = PlotAxis("Distance (px)", shares * self.shape.line.length_px)
            if um is None:
                return [px]
            return [PlotAxis("Distance (µm)", shares * self.shape.line.length_um(*um)), px]
        return self._time_axes() if self.along == "t" else self._z_axes()

    def _time_axes(self) -> list[PlotAxis]:
        indices, now = np.arange(self.n), self.at[0]
        plain = PlotAxis("Time point", indices + 1.0, now + 1.0)
        step = self.image.time_step_s if self.image is not None else None
        if step is None:
            return [plain]
        # the numbers that the acquisition gave to its time points tell of gaps in between
        numbers = np.asarray(self.image.times[: self.n] if self.image.times else indices, float)
        if len(numbers) != self.n:
            return [plain]
        seconds = numbers * step
        unit, per = _time_unit(float(seconds[-1]) if self.n else 0.0)
        here = float(seconds[now]) / per if now < self.n else None
        return [PlotAxis(f"Time ({unit})", seconds / per, here), plain]

    def _z_axes(self) -> list[PlotAxis]:
        indices, now = np.arange(self.n), self.at[2]
        if self.is_of_other_planes:
            return [each._replace(now=None) for each in self._replace(projection=None).axes()]
        plain = PlotAxis("z plane", indices + 1.0, now + 1.0)
        step = self.image.z_step_um if self.image is not None else None
        if step is None:
            return [plain]
        return [PlotAxis("z (µm)", indices * step, now * step), plain]


def _time_unit(longest_s: float) -> tuple[str, float]:
    if longest_s < 120:
        return "s", 1.0
    return ("min", 60.0) if longest_s < 7200 else ("h", 3600.0)


def table_of(measured: Measured) -> str:
    """What was measured as CSV text: a line of names, then a line for each place; gaps are empty cells.

    Each line says where it is from, so that tables can be joined.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads, rows = _places(measured)
    channels = list(measured.values)
    names = [_cell(f"{measured.names[c]}{'' if measured.along == 'line' else ' mean'}") for c in channels]
    writer.writerow(["position", *heads, *names])
    position = _cell(measured.position)
    for i, place in enumerate(rows):
        writer.writerow([position, *place, *(_number(measured.values[c][i]) for c in channels)])
    return out.getvalue()


def _places(measured: Measured) -> tuple[list[str], list[list[object]]]:
    """Names of the columns that say where values are from, and those columns; t and z count from 1."""
    t, _, z = measured.at
    shape, n = measured.shape, measured.n
    at_z: object = z + 1
    if measured.projection is not None and measured.image is not None:
        planes = measured.projection.planes_of(measured.image.n_z)
        at_z = f"{measured.projection.how} {planes[0] + 1}-{planes[-1] + 1}"
    if measured.along == "line":
        line, shares = shape.line, shape.line.shares()
        heads = ["t", "z", "x (px)", "y (px)", "distance (px)"]
        columns = [
            line.a.x + (line.b.x - line.a.x) * shares,
            line.a.y + (line.b.y - line.a.y) * shares,
            shares * line.length_px,
        ]
        um = um_of(measured.image)
        if um is not None:
            heads.append("distance (µm)")
            columns.append(shares * line.length_um(*um))
        return heads, [[t + 1, at_z, *(_number(column[i]) for column in columns)] for i in range(n)]
    heads = ["t", "z", "left (px)", "top (px)", "width (px)", "height (px)"]
    box = box_of(shape.a, shape.b, *_size(measured.image))
    where: list[object] = ["", "", "", ""] if box is None else [box.left, box.top, box.width, box.height]
    in_units = measured.axes()[:-1]
    heads += [axis.name[0].lower() + axis.name[1:] for axis in in_units]
    rows: list[list[object]] = []
    for i in range(n):
        place = (i + 1, at_z) if measured.along == "t" else (t + 1, i + 1)
        rows.append([*place, *where, *(_number(axis.coordinates[i]) for axis in in_units)])
    return heads, rows


def _size(image: ImageInfo | None) -> tuple[int, int]:
    return (image.height, image.width) if image is not None else (0, 0)


def _cell(text: str) -> str:
    """A name from a dataset as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{float(value):.10g}"
