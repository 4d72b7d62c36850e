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
    from ..background import Background
    from ..poll import Poll

_CURSOR_PX = 9.0
_CURSOR_GAP_PX = 3.0


class ChannelPane(PaintedPane):
    """A pane with an `overlay`, and a cross at the place the mouse is at in any pane. GUI thread only."""

    def __init__(self, background: Background, poll: Poll) -> None:
        super().__init__(background, poll)
        self.overlay = CanvasOverlay(self)
        self._cursor: tuple[float, float] | None = None

    def set_name(self, name: str) -> None:
        """Say what it shows."""
        self.overlay.set_position(name)
        self.setAccessibleName(name)

    def show_cursor(self, place: tuple[float, float] | None) -> None:
        """Mark a place in the world (x, y in µm); None: no place."""
        if place != self._cursor:
            self._cursor = place
            self.update()

    @safe_slot
    def paintEvent(self, event: Any) -> None:
        super().paintEvent(event)
        if self._cursor is None:
            return
        area, scale = self.area, (self.area.x[1] - self.area.x[0]) / max(self.width(), 1)
        at = QPointF((self._cursor[0] - area.x[0]) / scale, (self._cursor[1] - area.y[0]) / scale)
        painter = QPainter(self)
        for color, width in ((PLATE, 4.0), (INK, 1.5)):
            painter.setPen(QPen(color, width))
            for step in (QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)):
                painter.drawLine(at + step * _CURSOR_GAP_PX, at + step * _CURSOR_PX)
        painter.end()
