"""How vispy draws the volumes of an ndv canvas, and the box around them: what ndv has no calls for.

The only module that touches vispy's volumes. GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from vispy import scene

from .ndv_private import visuals_of, world_of

if TYPE_CHECKING:
    from ndv.views.bases import ArrayCanvas

METHODS = ("mip", "attenuated_mip", "iso")
"""Brightest value along the ray; the same, darker behind what is bright; a surface where values are high."""
_ATTENUATION = 1.0
_BOX_COLOR = (0.55, 0.58, 0.65, 0.9)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


def set_method(canvas: ArrayCanvas, method: str) -> None:
    """Draw all volumes of an ndv canvas so, one of `METHODS`; a surface lies in the middle of the limits."""
    is_changed = False  # drawing a volume again takes long without a graphics card
    for visual in _volumes(canvas):
        if visual.method != method:
            visual.method, visual.attenuation, is_changed = method, _ATTENUATION, True
        threshold = sum(visual.shared_program["clim"]) / 2  # as the shader sees values
        if method == "iso" and visual.threshold != threshold:
            visual.threshold, is_changed = threshold, True
    if is_changed:
        canvas.refresh()


def method_of(canvas: ArrayCanvas) -> str | None:
    """How the volumes are drawn; None if there is none."""
    return next((str(visual.method) for visual in _volumes(canvas)), None)


def place_of(visual: Any, corner: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """Where vispy has to put a picture or volume (x, y, z, 0) that begins at a corner (z, y, x), in µm.

    A picture begins with the edge of its first pixel, a volume with the middle of its first voxel.
    """
    z, y, x = corner
    if not isinstance(visual, scene.visuals.Volume):
        return x, y, 0.0, 0.0
    half_x, half_y, half_z = (float(step) / 2 for step in visual.transform.scale[:3])
    return x + half_x, y + half_y, z + half_z, 0.0


class VolumeBox:
    """The edges of the box that a volume fills, in the world of one ndv canvas."""

    def __init__(self, canvas: ArrayCanvas) -> None:
        self._canvas = canvas
        self._lines: Any = None
        self._ends: tuple[object, object] | None = None

    @property
    def corners(self) -> np.ndarray | None:
        """Where the corners are (x, y, z) in µm; None if there is no box."""
        return None if self._lines is None or not self._lines.visible else self._corners

    def show(self, low: tuple[float, float, float], high: tuple[float, float, float]) -> None:
        """Draw the box between two corners (x, y, z), in µm."""
        if self._lines is not None and self._lines.visible and self._ends == (low, high):
            return
        self._ends = low, high
        ends = np.array([low, high], np.float32)
        self._corners = np.array([[ends[i >> axis & 1, axis] for axis in range(3)] for i in range(8)])
        points = self._corners[np.array(_EDGES).ravel()]
        if self._lines is None:
            parent = world_of(self._canvas)
            self._lines = scene.visuals.Line(points, _BOX_COLOR, connect="segments", parent=parent)
            self._lines.interactive = False
        else:
            self._lines.set_data(points)
        self._lines.visible = True

    def hide(self) -> None:
        """Draw no box."""
        if self._lines is not None and self._lines.visible:
            self._lines.visible = False


def _volumes(canvas: ArrayCanvas) -> list[Any]:
    return [visual for visual in visuals_of(canvas) if isinstance(visual, scene.visuals.Volume)]
