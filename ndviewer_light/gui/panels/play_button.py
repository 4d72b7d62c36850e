"""The button that plays an axis; its right end opens the menu of speeds."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QPointF, QSize, Qt, Signal
from qtpy.QtGui import QPainter, QPolygonF
from qtpy.QtWidgets import QToolButton, QWidget

from ..look.menu_key import MenuKey
from ..look.theme import colors_of, set_role
from ..slots import safe_slot

_MENU_PX = 13


class PlayButton(QToolButton):
    """Checked while its axis is played. `menu_wanted`: also by the right button, and by keyboard."""

    menu_wanted = Signal()

    def __init__(self, spoken: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setIconSize(QSize(16, 16))
        self.setFixedSize(26 + _MENU_PX, 24)
        self.setAccessibleName(f"Play {spoken}")
        self._tip = f"Play {spoken}\nRight end, or ↓: how fast, and what happens at the end"
        self.setToolTip(self._tip)
        MenuKey(self, self.menu_wanted.emit)
        self.setProperty("opens", "menu")  # room for the arrow
        set_role(self, "chip")

    def say_rate(self, text: str) -> None:
        """Say in the tooltip how fast it is played."""
        self.setToolTip(f"{text}\n{self._tip}" if text else self._tip)

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        at = event.position() if hasattr(event, "position") else QPointF(event.pos())
        if event.button() == Qt.MouseButton.LeftButton and at.x() >= self.width() - _MENU_PX:
            self.menu_wanted.emit()
            return
        super().mousePressEvent(event)

    @safe_slot
    def contextMenuEvent(self, event: Any) -> None:
        event.accept()
        self.menu_wanted.emit()

    @safe_slot
    def paintEvent(self, event: Any) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colors = colors_of(self)
        painter.setBrush(colors.text if self.isEnabled() else colors.faint)
        x, y = self.width() - _MENU_PX + 5.0, self.height() / 2 + 1.0
        painter.drawPolygon(QPolygonF([QPointF(x - 3, y - 2), QPointF(x + 3, y - 2), QPointF(x, y + 2)]))
        painter.end()
