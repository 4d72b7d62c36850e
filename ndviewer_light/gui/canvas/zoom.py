"""Which part of the picture is shown: how far one can zoom and pan. Pure functions.

All lengths of the picture are in µm of level 0, as everything on the canvas; screens are in logical pixels.
"""

from __future__ import annotations

from typing import NamedTuple

from ...views.visible_area import VisibleArea

FURTHEST_OUT = 8.0
"""The picture is never smaller on screen than this fraction of what fits the window."""
FEWEST_PIXELS = 8.0
"""How many pixels of the data fill the shorter side of the window at the largest zoom."""
FIT_MARGIN = 0.01
"""What is left free at each side of a picture that fits the window, as a share of the picture."""
_PER_NOTCH = 1.23
"""How much a notch of the mouse wheel zooms."""
_PER_PIXEL = 1.007
"""How much dragging the right button by a pixel zooms."""


class Projection(NamedTuple):
    """How the plane lies on screen: what is at the upper left, µm per pixel of the screen and of the data."""

    left_um: float
    top_um: float
    scale: float
    um_y: float
    um_x: float

    def to_screen(self, y: float, x: float) -> tuple[float, float]:
        """Where a place on the plane (y, x, in pixels of level 0) is on screen: (x, y)."""
        return (x * self.um_x - self.left_um) / self.scale, (y * self.um_y - self.top_um) / self.scale

    def to_place(self, x: float, y: float) -> tuple[float, float]:
        """The place on the plane (y, x) below a point of the screen."""
        return (self.top_um + y * self.scale) / self.um_y, (self.left_um + x * self.scale) / self.um_x


class Scene(NamedTuple):
    """What a picture is shown in: its size and the size of its pixels in µm, the window in screen pixels."""

    height_um: float
    width_um: float
    pixel_um: float
    rows: int
    columns: int

    @property
    def fitting_scale(self) -> float:
        """µm per screen pixel at which the picture fits the window."""
        share = 1 + 2 * FIT_MARGIN
        return max(self.height_um * share / max(self.rows, 1), self.width_um * share / max(self.columns, 1))

    @property
    def scales(self) -> tuple[float, float]:
        """The smallest and the largest µm per screen pixel that can be chosen."""
        fit = self.fitting_scale
        nearest = FEWEST_PIXELS * self.pixel_um / max(min(self.rows, self.columns), 1)
        return min(nearest, fit), fit * FURTHEST_OUT

    def scale_of(self, area: VisibleArea) -> float:
        """µm per screen pixel while `area` fills the window."""
        return abs(area.x[1] - area.x[0]) / max(self.columns, 1)

    def area(self, center: tuple[float, float], scale: float) -> VisibleArea:
        """The part shown at this scale (within the limits), with a point of the picture at its centre.

        A centre beyond the edges of the picture is moved to them, so that some of it is always in sight.
        """
        nearest, furthest = self.scales
        scale = min(max(scale, nearest), furthest)
        x = min(max(center[0], 0.0), self.width_um)
        y = min(max(center[1], 0.0), self.height_um)
        half_x, half_y = self.columns * scale / 2, self.rows * scale / 2
        return VisibleArea((x - half_x, x + half_x), (y - half_y, y + half_y))

    @property
    def fitting(self) -> VisibleArea:
        """All of the picture."""
        return self.area((self.width_um / 2, self.height_um / 2), self.fitting_scale)

    def zoomed(self, area: VisibleArea, factor: float, at: tuple[float, float]) -> VisibleArea:
        """`area` enlarged on screen by `factor`; the point `at` stays where it is, unless limits forbid."""
        scale = self.scale_of(area)
        nearest, furthest = self.scales
        wanted = min(max(scale / factor, nearest), furthest)
        share = wanted / scale if scale else 1.0
        x, y = area.center
        return self.area((at[0] + (x - at[0]) * share, at[1] + (y - at[1]) * share), wanted)

    def panned(self, area: VisibleArea, right: float, down: float) -> VisibleArea:
        """`area` after the picture was dragged by so many screen pixels."""
        scale = self.scale_of(area)
        x, y = area.center
        return self.area((x - right * scale, y - down * scale), scale)

    def is_fitting(self, area: VisibleArea) -> bool:
        """Whether `area` is all of the picture, as large as it fits; to a pixel or so."""
        fit, scale = self.fitting, self.scale_of(area)
        (x, y), (fit_x, fit_y) = area.center, fit.center
        is_there = max(abs(x - fit_x), abs(y - fit_y)) <= 1.5 * scale
        return is_there and abs(scale / self.fitting_scale - 1) < 0.005


def wheel_factor(angle: float) -> float:
    """How much turning the wheel enlarges; `angle` as Qt counts it, 120 a notch, positive away from us."""
    return float(_PER_NOTCH ** (angle / 120))


def drag_factor(down: float) -> float:
    """How much dragging the right button down by so many pixels enlarges."""
    return float(_PER_PIXEL**-down)
