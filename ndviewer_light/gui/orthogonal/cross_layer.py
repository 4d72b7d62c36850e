"""The cross-hair over the picture; how it looks, here and in the sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QLineF, QPointF
from qtpy.QtGui import QColor, QPainter, QPen

from ..canvas.picture_layer import PictureLayer

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

CROSS = QColor(255, 214, 64)
_HALO = QColor(0, 0, 0, 120)
_CROSS_GAP_PX = 9.0
"""What is left free around its middle, so that what one looks at is seen."""


def draw_cross(painter: QPainter, at: QPointF, width: int, height: int) -> None:
    """Draw the lines through a point over a widget of that size."""
    x, y = at.x(), at.y()
    lines = [
        QLineF(0, y, x - _CROSS_GAP_PX, y),
        QLineF(x + _CROSS_GAP_PX, y, width, y),
        QLineF(x, 0, x, y - _CROSS_GAP_PX),
        QLineF(x, y + _CROSS_GAP_PX, x, height),
    ]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for color, thickness in ((_HALO, 3), (CROSS, 1)):
        painter.setPen(QPen(color, thickness))
        for line in lines:
            if line.x1() <= line.x2() and line.y1() <= line.y2():
                painter.drawLine(line)


class CrossLayer(PictureLayer):
    """The lines of the cross-hair, or nothing. GUI thread only."""

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self.at: QPointF | None = None
        """Where the middle of the cross-hair is, in pixels of the widget."""
        self.setAccessibleName("Cross-hair")

    def show_at(self, at: QPointF | None) -> None:
        """Draw it there; None: nowhere."""
        if at != self.at:
            self.at = at
            self.setVisible(at is not None)
            self.refresh()

    def paint(self, painter: QPainter, width: int, height: int) -> None:
        if self.at is not None:
            draw_cross(painter, self.at, width, height)
