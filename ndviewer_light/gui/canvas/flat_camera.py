"""Which part of a flat picture is seen in a widget, as ndv's canvases answer it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...views.visible_area import VisibleArea
from .zoom import FIT_MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sight import Span


class FlatCamera:
    """A `Camera`: what was asked for is always seen, and what fits beside it in the window. One thread."""

    def __init__(self, refresh: Callable[[], None] = lambda: None) -> None:
        """`refresh` draws the picture again, where it is seen now."""
        self._x: Span = (0.0, 1.0)
        self._y: Span = (0.0, 1.0)
        self._width = self._height = 1
        self.refresh = refresh

    def set_size(self, width: int, height: int) -> None:
        """The window has this size, in logical pixels."""
        self._width, self._height = max(width, 1), max(height, 1)

    def set_range(self, x: Span | None = None, y: Span | None = None, *, margin: float = FIT_MARGIN) -> None:
        """See this part (µm), and `margin` of its size more at each side; None: as before."""
        before = self.area
        self._x = self._x if x is None else _with_margin(*x, margin)
        self._y = self._y if y is None else _with_margin(*y, margin)
        if self.area != before:
            self.refresh()

    @property
    def asked(self) -> VisibleArea:
        """What was asked for, and is seen whatever size the window becomes."""
        return VisibleArea(self._x, self._y)

    @property
    def scale(self) -> float:
        """µm per logical pixel."""
        (left, right), (top, bottom) = self._x, self._y
        return max((right - left) / self._width, (bottom - top) / self._height, 1e-12)

    @property
    def area(self) -> VisibleArea:
        """What is seen."""
        scale = self.scale
        x, y = sum(self._x) / 2, sum(self._y) / 2
        half_x, half_y = self._width * scale / 2, self._height * scale / 2
        return VisibleArea((x - half_x, x + half_x), (y - half_y, y + half_y))

    def canvas_to_world(self, pos_xy: tuple[float, float]) -> tuple[float, float, float]:
        """The place (x, y, 0) below a point of the window."""
        area, scale = self.area, self.scale
        return area.x[0] + pos_xy[0] * scale, area.y[0] + pos_xy[1] * scale, 0.0


def _with_margin(low: float, high: float, margin: float) -> Span:
    more = (high - low) * margin
    return low - more, high + more
