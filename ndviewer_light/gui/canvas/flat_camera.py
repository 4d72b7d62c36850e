"""Which part of a flat picture is seen in a widget, as ndv's canvases answer it. Pure."""

from __future__ import annotations

from .zoom import FIT_MARGIN, VisibleArea


class FlatCamera:
    """What was asked for is always seen; what fits beside it in the window as well. One thread."""

    def __init__(self) -> None:
        self._x: tuple[float, float] = (0.0, 1.0)
        self._y: tuple[float, float] = (0.0, 1.0)
        self._width = self._height = 1

    def set_size(self, width: int, height: int) -> None:
        """The window has this size, in logical pixels."""
        self._width, self._height = max(width, 1), max(height, 1)

    def set_range(
        self,
        x: tuple[float, float] | None = None,
        y: tuple[float, float] | None = None,
        z: tuple[float, float] | None = None,
        margin: float = FIT_MARGIN,
    ) -> None:
        """See this part (µm), and `margin` of its size more at each side; None: as before."""
        self._x = self._x if x is None else _with_margin(*x, margin)
        self._y = self._y if y is None else _with_margin(*y, margin)

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


def _with_margin(low: float, high: float, margin: float) -> tuple[float, float]:
    more = (high - low) * margin
    return low - more, high + more
