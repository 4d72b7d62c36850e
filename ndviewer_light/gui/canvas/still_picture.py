"""What was on screen, kept there until a canvas has something to draw: a plane until there is a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap

from .picture_layer import PictureLayer

if TYPE_CHECKING:
    from qtpy.QtGui import QPainter
    from qtpy.QtWidgets import QWidget


class StillPicture(PictureLayer):
    """Covers the canvas with what was seen of it, or of the one before. GUI thread only."""

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self._pixmap = QPixmap()
        self.setAccessibleName("The picture until the next one is there")

    def keep(self, surface: QWidget) -> None:
        """Show from now on what is seen of a widget."""
        self._pixmap = surface.grab()
        self.show()

    def drop(self) -> None:
        """The next picture is there, or is not awaited any more."""
        if not self.isHidden():
            self.hide()
            self._pixmap = QPixmap()

    def paint(self, painter: QPainter, width: int, height: int) -> None:
        size = self._pixmap.size() / self._pixmap.devicePixelRatio()
        painter.fillRect(0, 0, width, height, Qt.GlobalColor.black)
        painter.drawPixmap((width - size.width()) // 2, (height - size.height()) // 2, self._pixmap)
