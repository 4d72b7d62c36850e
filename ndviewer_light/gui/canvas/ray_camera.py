"""From where a volume is seen in a widget, as ndv's canvases answer it, and how it is turned. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...rendering.volume_rays import VolumeSight

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...rendering.volume_rays import Xyz
    from .sight import Span

_DEGREES = 180.0
"""So far a drag over the shorter edge of the window turns a volume."""


class RayCamera:
    """A `Camera` that looks at `center` (x, y, z), in µm; the shorter edge of the window spans `edge`."""

    def __init__(self, refresh: Callable[[], None] = lambda: None) -> None:
        """`refresh` draws the picture again, as it is seen now."""
        self._sight = VolumeSight()
        self._center = np.zeros(3)
        self._edge = 1.0
        self._width = self._height = 1
        self.refresh = refresh

    def set_size(self, width: int, height: int) -> None:
        """The window has this size, in logical pixels."""
        self._width, self._height = max(width, 1), max(height, 1)

    @property
    def scale(self) -> float:
        """µm per logical pixel."""
        return self._edge / min(self._width, self._height)

    def sight_of(self, middle: Xyz) -> VolumeSight:
        """From where a volume with its middle there is seen; all of the window."""
        off = np.array([self._sight.right, self._sight.down]) @ (np.array(middle) - self._center)
        width, height = self._width * self.scale, self._height * self.scale
        return self._sight._replace(off_middle=(float(off[0]), float(off[1])), width=width, height=height)

    def canvas_to_world(self, pos_xy: tuple[float, float]) -> tuple[float, float, float]:
        """The place (x, y, z) below a point of the window, as far away as what it looks at."""
        right, down = pos_xy[0] - self._width / 2, pos_xy[1] - self._height / 2
        x, y, z = (self._center + self._moved(right, down)).tolist()
        return x, y, z

    def set_range(self, x: Span | None = None, y: Span | None = None, *, margin: float = 0.0) -> None:
        """Nothing: what is seen of a volume is set by `turn_camera`."""

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See it from another side, see `Drawn`."""
        right, _, up = np.asarray(axes, float)
        self._sight = VolumeSight(_xyz(right), _xyz(-up))
        self._center, self._edge = np.array(center, float), edge
        self.refresh()

    def turn(self, right: float, down: float) -> None:
        """Turn the volume as if what is in front were dragged by so many pixels."""
        per_pixel = _DEGREES / min(self._width, self._height)
        turned = self._sight.turned(-right * per_pixel).tilted(-down * per_pixel)
        across = _unit(np.array(turned.right))  # errors would add up
        along = np.array(turned.down)
        self._sight = VolumeSight(_xyz(across), _xyz(_unit(along - (along @ across) * across)))
        self.refresh()

    def pan(self, right: float, down: float) -> None:
        """Move the volume by so many pixels."""
        self._center = self._center - self._moved(right, down)
        self.refresh()

    def zoom(self, factor: float) -> None:
        """Enlarge what is in the middle of the window."""
        self._edge /= factor
        self.refresh()

    def _moved(self, right: float, down: float) -> np.ndarray:
        moved: np.ndarray = (
            np.array([right, down]) * self.scale @ np.array([self._sight.right, self._sight.down])
        )
        return moved


def _unit(vector: np.ndarray) -> np.ndarray:
    found: np.ndarray = vector / np.linalg.norm(vector)
    return found


def _xyz(vector: np.ndarray) -> Xyz:
    x, y, z = vector.tolist()
    return x, y, z
