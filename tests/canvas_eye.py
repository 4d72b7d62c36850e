"""Reads what is on an ndv canvas after each paint, from its frame buffer; the overlay is not in there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class CanvasEye:
    """Calls `painted` after each paint of the canvas. GUI thread.

    Indices of pixels are those of the image: `um_per_pixel` (along y and x) says how the canvas counts.
    """

    def __init__(self, ndv_canvas: Any, um_per_pixel: tuple[float, float]) -> None:
        self._canvas = ndv_canvas
        self._um = um_per_pixel
        self._events = ndv_canvas._canvas.events.draw
        self._events.connect(self._on_draw, position="last")

    def stop(self) -> None:
        """Look no more."""
        self._events.disconnect(self._on_draw)

    def _on_draw(self, event: Any) -> None:
        self.painted()

    def painted(self) -> None:
        """The canvas has just been painted; what is read now is what was painted."""
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the canvas."""
        width, height = self._canvas._canvas.physical_size
        return height, width

    def picture(self) -> NDArray[np.uint8]:
        """The canvas (rows, columns, RGB), from the top left."""
        from vispy import gloo

        height, width = self.size
        return gloo.read_pixels((0, 0, width, height), alpha=False)

    def row(self, y: int) -> NDArray[np.uint8]:
        """One row (columns, RGB) of the canvas: cheaper than all of it."""
        from vispy import gloo

        height, width = self.size
        return gloo.read_pixels((0, height - 1 - y, width, 1), alpha=False)[0]

    def on_canvas(self, xs: Sequence[float], ys: Sequence[float]) -> tuple[list[int], list[int]]:
        """Columns and rows of the canvas at which these columns and rows of the image are."""
        left, top, _ = self._canvas.canvas_to_world((0, 0))
        right, bottom, _ = self._canvas.canvas_to_world((100, 100))
        um_y, um_x = self._um
        return (
            [round((x * um_x - left) / (right - left) * 100) for x in xs],
            [round((y * um_y - top) / (bottom - top) * 100) for y in ys],
        )
