"""How vispy draws the volumes of an ndv canvas, and the box around them: what ndv has no calls for.

The only module that touches vispy's volumes. GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from vispy import scene

from ...rendering.volume_look import ATTENUATION

if TYPE_CHECKING:
    from .ndv_pictures import ChannelPictures

_VISPYS = {"max": "mip", "attenuated": "attenuated_mip", "surface": "iso"}
"""What vispy calls the `VOLUMES`."""
_BOX_COLOR = (0.55, 0.58, 0.65, 0.9)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]


def set_method(pictures: ChannelPictures, method: str) -> None:
    """Draw all volumes so, by the first of one of `VOLUMES`; a surface lies in the middle of the limits."""
    is_changed = False  # drawing a volume again takes long without a graphics card
    for visual in _volumes(pictures):
        if visual.method != _VISPYS[method]:
            visual.method, visual.attenuation, is_changed = _VISPYS[method], ATTENUATION, True
        threshold = sum(visual.shared_program["clim"]) / 2  # as the shader sees values
        if method == "surface" and visual.threshold != threshold:
            visual.threshold, is_changed = threshold, True
    if is_changed:
        pictures.canvas.refresh()


def method_of(pictures: ChannelPictures) -> str | None:
    """How the volumes are drawn; None if there is none."""
    drawn = next((visual.method for visual in _volumes(pictures)), None)
    return next((method for method, vispys in _VISPYS.items() if vispys == drawn), None)


class VolumeBox:
    """The edges of the box that the volumes fill."""

    def __init__(self, pictures: ChannelPictures) -> None:
        self._pictures = pictures
        self._lines: Any = None
        self._ends: tuple[object, object] | None = None

    @property
    def was_shown(self) -> bool:
        """Whether it has ever been drawn."""
        return self._lines is not None

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
            world = self._pictures.world
            self._lines = scene.visuals.Line(points, _BOX_COLOR, connect="segments", parent=world)
            self._lines.interactive = False
        else:
            self._lines.set_data(points)
        self._lines.visible = True

    def hide(self) -> None:
        """Draw no box."""
        if self._lines is not None and self._lines.visible:
            self._lines.visible = False


def _volumes(pictures: ChannelPictures) -> list[Any]:
    return [visual for visual in pictures.visuals if isinstance(visual, scene.visuals.Volume)]
