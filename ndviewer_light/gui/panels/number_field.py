"""A number that is replaced by what is typed after one click on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit

from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtGui import QFocusEvent, QKeyEvent, QMouseEvent


class NumberField(QLineEdit):
    """The click that gives it the focus selects all of it; further ones place the cursor, as elsewhere.

    Esc brings back what was there before anything was typed.
    """

    _is_entered = False

    @safe_slot
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            while self.isUndoAvailable():
                self.undo()
            self.setModified(False)
        super().keyPressEvent(event)

    @safe_slot
    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self._is_entered = event is not None and event.reason() == Qt.FocusReason.MouseFocusReason

    @safe_slot
    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        super().mouseReleaseEvent(event)
        if self._is_entered and not self.hasSelectedText():
            self.selectAll()
        self._is_entered = False
