"""Reads what is on a canvas whenever it is painted, without what lies over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QObject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ndviewer_light.gui.canvas.display import Canvas
    from ndviewer_light.gui.canvas.painted_pane import PaintedPane


def what_draws(canvas: Canvas) -> Any:
    """What an eye looks at: a canvas of ndv, or the pane that is painted on the CPU."""
    return getattr(canvas.viewer, "canvas", canvas.viewer)


class CanvasEye:
    """Calls `painted` after each paint of the canvas. GUI thread.

    Indices of pixels are those of the image: `um_per_pixel` (along y and x) says how the canvas counts.
    """

    def __init__(self, drawn: Any, um_per_pixel: tuple[float, float]) -> None:
        """`drawn`: see `what_draws`."""
        self._um = um_per_pixel
        self._drawn = drawn
        eye = _OfNdv if hasattr(drawn, "_canvas") else _OfPane
        self._eye = eye(drawn, self._on_paint)

    def stop(self) -> None:
        """Look no more."""
        self._eye.stop()

    def _on_paint(self) -> None:
        self.painted()

    def painted(self) -> None:
        """The canvas has just been painted; what is read now is what was painted."""
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the canvas."""
        return self._eye.size

    def picture(self) -> NDArray[np.uint8]:
        """The canvas (rows, columns, RGB), from the top left."""
        return self._eye.rows(0, self.size[0])

    def row(self, y: int) -> NDArray[np.uint8]:
        """One row (columns, RGB) of the canvas: cheaper than all of it."""
        return self._eye.rows(y, 1)[0]

    def on_canvas(self, xs: Sequence[float], ys: Sequence[float]) -> tuple[list[int], list[int]]:
        """Columns and rows of the canvas at which these columns and rows of the image are."""
        left, top, _ = self._eye.to_world((0, 0))
        right, bottom, _ = self._eye.to_world((100, 100))
        um_y, um_x = self._um
        return (
            [round((x * um_x - left) / (right - left) * 100) for x in xs],
            [round((y * um_y - top) / (bottom - top) * 100) for y in ys],
        )


class PaintCall(CanvasEye):
    """Calls after each paint."""

    def __init__(self, canvas: Canvas, call: Callable[[], None]) -> None:
        super().__init__(what_draws(canvas), (1.0, 1.0))
        self._call = call
        self.again()  # the paint that is awaited may have been a millisecond ago

    def again(self) -> None:
        """Have it painted."""
        self._eye.again()

    def painted(self) -> None:
        self._call()


class _OfNdv:
    """From the frame buffer."""

    def __init__(self, ndv_canvas: Any, on_paint: Callable[[], None]) -> None:
        self._canvas = ndv_canvas
        self._on_paint = on_paint
        self._events = ndv_canvas._canvas.events.draw
        self._events.connect(self._on_draw, position="last")
        self.to_world = ndv_canvas.canvas_to_world

    def stop(self) -> None:
        self._events.disconnect(self._on_draw)

    def again(self) -> None:
        self._canvas._canvas.update()

    def _on_draw(self, event: Any) -> None:
        self._on_paint()

    @property
    def size(self) -> tuple[int, int]:
        width, height = self._canvas._canvas.physical_size
        return height, width

    def rows(self, top: int, n: int) -> NDArray[np.uint8]:
        from vispy import gloo

        height, width = self.size
        return gloo.read_pixels((0, height - n - top, width, n), alpha=False)


class _OfPane(QObject):
    """From the picture that Qt is about to paint."""

    def __init__(self, pane: PaintedPane, on_paint: Callable[[], None]) -> None:
        super().__init__()
        self._pane = pane
        self._on_paint = on_paint
        self.to_world = pane.camera.canvas_to_world
        pane.installEventFilter(self)

    def stop(self) -> None:
        self._pane.removeEventFilter(self)

    def again(self) -> None:
        self._pane.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        shows = self._pane._made is not None and self._pane.is_up_to_date
        if event is not None and event.type() == QEvent.Type.Paint and shows:
            self._on_paint()
        return False

    @property
    def size(self) -> tuple[int, int]:
        ratio = self._pane.devicePixelRatioF()
        return round(self._pane.height() * ratio), round(self._pane.width() * ratio)

    def rows(self, top: int, n: int) -> NDArray[np.uint8]:
        made = self._pane._made
        if made is None or made.pixels is None:
            return np.zeros((n, self.size[1], 3), np.uint8)
        picture = made.pixels
        return picture[top : top + n, :, 2::-1]
