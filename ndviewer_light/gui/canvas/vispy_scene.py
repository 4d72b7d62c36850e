"""What vispy draws on a canvas of ndv, which hands out none of it: found by vispy's public names.

GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vispy.gloo.context import canvasses
from vispy.gloo.globject import GLObject
from vispy.scene import ViewBox

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


def next_id() -> int:
    """The number that vispy gives to the next texture, buffer or program of any canvas."""
    return int(GLObject().id) + 1
