"""The pane of one channel, or of all: its picture, what is said over it, and where the mouse is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF
from qtpy.QtGui import QPainter, QPen

from ..canvas.overlay import CanvasOverlay
from ..canvas.painted_pane import PaintedPane
from ..look.theme import INK, PLATE
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..background import Background
    from ..canvas.picture_layer import PictureLayer

_CURSOR_PX = 9.0
_CURSOR_GAP_PX = 3.0


class ChannelPane(PaintedPane):
    """A pane with what lies over the picture, and a cross where the mouse is in any pane. GUI thread only."""

    def __init__(self, background: Background, layers: Sequence[PictureLayer]) -> None:
        super().__init__(background)
        self._layers_over = layers
        self.channel: int | None = None
        """What it shows; None: all channels together."""
        self.overlay = CanvasOverlay(self)
        self._cursor: tuple[float, float] | None = None

    def set_channel(self, channel: int | None, name: str, short: str = "") -> None:
        """Say what it shows; by its `short` name where there is no room for the other."""
        self.channel = channel
        self.overlay.set_name(name, short)
        self.setAccessibleName(name)

    def show_cursor(self, place: tuple[float, float] | None) -> None:
        """Mark a place in the world (x, y in µm); None: no place."""
        if place != self._cursor:
            self._cursor = place
            self.update()

    @safe_slot
    def paintEvent(self, event: Any) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        for layer in self._layers_over:
            if not layer.isHidden():
                painter.save()
                layer.paint_channel(painter, self.width(), self.height(), self.channel)
                painter.restore()
        if self._cursor is not None:
            self._paint_cursor(painter, self._cursor)
        painter.end()

    def _paint_cursor(self, painter: QPainter, place: tuple[float, float]) -> None:
        area, scale = self.area, (self.area.x[1] - self.area.x[0]) / max(self.width(), 1)
        at = QPointF((place[0] - area.x[0]) / scale, (place[1] - area.y[0]) / scale)
        for color, width in ((PLATE, 4.0), (INK, 1.5)):
            painter.setPen(QPen(color, width))
            for step in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)):
                painter.drawLine(at + step * _CURSOR_GAP_PX, at + step * _CURSOR_PX)
