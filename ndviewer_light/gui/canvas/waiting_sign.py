"""The sign that a frame is awaited, in the corner of the picture. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QWidget

from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

_DUE_MS = 300
"""What takes so long has the sign over it; for every frame it would only flicker."""
_TURN_MS = 100
_SIZE = 18
_SIGN_MARGIN = 4
_COLOR = QColor(200, 205, 215, 210)


class WaitingSign(QWidget):
    """Part of a ring that goes round, shown over its parent once `begin` was a while ago."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Waiting for the picture")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedSize(_SIZE, _SIZE)
        self.hide()
        self._turns = 0
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(_DUE_MS)
        self._due.timeout.connect(self._appear)
        self._turning = QTimer(self)
        self._turning.setInterval(_TURN_MS)
        self._turning.timeout.connect(self._turn)

    def begin(self) -> None:
        """Something is awaited."""
        if not self._due.isActive() and self.isHidden():
            self._due.start()

    def end(self) -> None:
        """It is there, or awaited no more."""
        self._due.stop()
        if not self.isHidden():
            self._turning.stop()
            self.hide()

    @safe_slot
    def _appear(self) -> None:
        around = self.parentWidget()
        if around is not None:
            self.move(around.width() - _SIZE - _SIGN_MARGIN, _SIGN_MARGIN)
        self.raise_()
        self.show()
        self._turning.start()

    @safe_slot
    def _turn(self) -> None:
        self._turns += 1
        self.update()

    @safe_slot
    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(_COLOR, 2.5))
        inside = QRectF(2, 2, _SIZE - 4, _SIZE - 4)
        painter.drawArc(inside, -self._turns * 45 * 16, 270 * 16)  # sixteenths of a degree
        painter.end()
