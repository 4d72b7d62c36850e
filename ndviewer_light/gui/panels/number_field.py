"""A number that is replaced by what is typed after one click on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QStyle, QStyleOptionFrame

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qtpy.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent
    from qtpy.QtWidgets import QWidget

_BESIDE_TEXT_PX = 2
"""Qt keeps so much free at both ends of the text in a line."""


class NumberField(QLineEdit):
    """The click that gives it the focus selects all of it; further ones place the cursor, as elsewhere.

    Esc brings back what was there before anything was typed. With the focus it has all digits, so that what
    is typed back is the same number; without, those that matter and fit.
    """

    _is_entered = False

    def __init__(self, tip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._tip = tip
        self._texts: Sequence[str] = ("",)
        self._exact = ""
        self.setToolTip(tip)

    def say(self, texts: Iterable[str], exact: str) -> None:
        """Show a number: the first of `texts` that fits, or `exact`; nothing while another one is typed."""
        self._texts, self._exact = tuple(texts), exact
        if not (self.hasFocus() and self.isModified()):
            self._show()

    def _show(self) -> None:
        options = QStyleOptionFrame()
        self.initStyleOption(options)
        kind = QStyle.SubElement.SE_LineEditContents
        room = self.style().subElementRect(kind, options, self).width() - 2 * _BESIDE_TEXT_PX
        width_of = self.fontMetrics().horizontalAdvance
        fitting = next((text for text in self._texts if width_of(text) <= room), self._texts[-1])
        wanted = self._exact if self.hasFocus() else fitting
        if wanted != self.text():
            self.setText(wanted)
            self.setCursorPosition(0)
        is_all = fitting == self._exact
        self.setToolTip(self._tip if is_all else f"{self._exact}\n{self._tip}")

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if not (self.hasFocus() and self.isModified()):
            self._show()

    @safe_slot
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            while self.isUndoAvailable():
                self.undo()
            self.setModified(False)
        super().keyPressEvent(event)

    @safe_slot
    def focusInEvent(self, event: QFocusEvent | None) -> None:
        self._show()
        super().focusInEvent(event)
        self._is_entered = event is not None and event.reason() == Qt.FocusReason.MouseFocusReason

    @safe_slot
    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self._show()

    @safe_slot
    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        super().mouseReleaseEvent(event)
        if self._is_entered and not self.hasSelectedText():
            self.selectAll()
        self._is_entered = False
