"""A frame around what got the focus by keyboard and would not look different: pictures, what scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QPainter, QPen
from qtpy.QtWidgets import QWidget

from ..slots import safe_slot
from .theme import PLATE, colors_of

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

_BY_KEYBOARD = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)
_LINE_PX = 2


class TabFrame(QWidget):
    """Covers `framed` while that has the focus, unless it got it by the mouse. GUI thread only."""

    def __init__(self, framed: QWidget) -> None:
        super().__init__(framed)
        self._framed = framed
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        framed.installEventFilter(self)
        self.hide()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        framed = getattr(self, "_framed", None)  # taken by the collector while it deletes a window
        if framed is None or watched is not framed or event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.FocusIn:
            self._show(_reason(event) in _BY_KEYBOARD)
        elif kind in (QEvent.Type.FocusOut, QEvent.Type.MouseButtonPress):
            self._show(False)
        elif kind == QEvent.Type.Resize:
            self.setGeometry(framed.rect())
        return False

    def _show(self, shown: bool) -> None:
        self.setGeometry(self._framed.rect())
        self.setVisible(shown)
        if shown:
            self.raise_()
            self._framed.installEventFilter(self)  # the first to hear of the mouse, which others keep

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for inset, color in ((0, colors_of(self).accent), (_LINE_PX, PLATE)):
            painter.setPen(QPen(color, _LINE_PX, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
            line = inset + _LINE_PX // 2
            painter.drawRect(self.rect().adjusted(line, line, -line, -line))
        painter.end()


def _reason(event: Any) -> Qt.FocusReason:
    reason: Qt.FocusReason = event.reason()
    return reason
