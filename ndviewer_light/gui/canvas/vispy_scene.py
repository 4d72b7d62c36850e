"""What vispy draws on a canvas of ndv, which hands out none of it: found by vispy's public names.

GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from vispy.gloo.context import canvasses
from vispy.gloo.globject import GLObject
from vispy.scene import ArcballCamera, ViewBox
from vispy.util.quaternion import Quaternion

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


class VispyScene:
    """The canvas of vispy that draws in `widget`, and what has been drawn since `first_id`; see `next_id`."""

    def __init__(self, widget: QWidget, first_id: int) -> None:
        self._first_id = first_id
        open_canvasses = (each for ref in canvasses if (each := ref()) is not None)
        self.canvas: Any = next((each for each in open_canvasses if each.native is widget), None)
        """None if ndv does not draw with vispy."""

    def nodes(self) -> list[Any]:
        """What is drawn: cameras, pictures, volumes, in the order in which they were added."""
        children = self.canvas.central_widget.children if self.canvas is not None else ()
        return [node for view in children if isinstance(view, ViewBox) for node in view.scene.children]

    def turn_camera(self, axes: np.ndarray, center: np.ndarray, edge: float) -> None:
        """See a volume from another side: the rows of `axes` point right, ahead and up on screen.

        `center` (x, y, z) is in the middle of the window, whose shorter edge spans `edge`.
        """
        views = self.canvas.central_widget.children if self.canvas is not None else ()
        for camera in [view.camera for view in views if isinstance(view, ViewBox)]:
            if isinstance(camera, ArcballCamera):
                camera.set_state(_quaternion=_quaternion(axes), center=tuple(center), scale_factor=edge)
                camera.view_changed()

    def keep_from_picking(self) -> None:
        """Have it give the mouse to the camera, without looking for what is below.

        For that it would draw all volumes once more: as a button is pressed, and for each notch of the wheel.
        """
        canvas = self.canvas
        if canvas is not None and hasattr(canvas, "visual_at"):
            view = next((each for each in canvas.central_widget.children if isinstance(each, ViewBox)), None)
            canvas.visual_at = lambda _at: view

    def keep_from_swapping(self) -> None:
        """Have it swap no buffers after each draw; Qt composes the widget's frame buffer itself.

        The swap reaches no screen, but waits for drawing to finish (40 ms in software) and blocks every other
        Python thread, including the host's writer.
        """
        if self.canvas is not None and hasattr(self.canvas, "swap_buffers"):
            self.canvas.events.draw.disconnect((self.canvas, "swap_buffers"))

    def delete_gl_objects(self) -> None:
        """Delete the textures, buffers and programs in its OpenGL context, which is current."""
        if self.canvas is None:
            return
        parser = self.canvas.context.shared.parser
        numbers = range(self._first_id, next_id())
        there = [number for number in numbers if parser.get_object(number) is not None]
        parser.parse([("DELETE", number) for number in there])
        parser.parse([])  # vispy notes until the next commands what was deleted


def _quaternion(axes: np.ndarray) -> Quaternion:
    """The turn that vispy's camera keeps; of its axis, y and z are the other way round."""
    x, y, z, w = _turn_to(axes)
    return Quaternion(w, x, z, y)


def _turn_to(axes: np.ndarray) -> np.ndarray:
    """The turn (x, y, z, w) that takes the axes of the world to the rows of `axes`, which are orthonormal."""
    (a, b, c), (d, e, f), (g, h, i) = axes
    # the eigenvector of the largest eigenvalue, which is as exact at half turns as elsewhere
    table = np.array(
        [
            [a - e - i, b + d, c + g, f - h],
            [b + d, e - a - i, f + h, g - c],
            [c + g, f + h, i - a - e, b - d],
            [f - h, g - c, b - d, a + e + i],
        ]
    )
    found: np.ndarray = np.linalg.eigh(table)[1][:, -1]
    return found


def next_id() -> int:
    """The number that vispy gives to the next texture, buffer or program of any canvas."""
    return int(GLObject().id) + 1
