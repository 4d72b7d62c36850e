"""Buttons that leave the focus where it is when they are clicked: keys still go to the picture."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QWidget


class PushButton(QPushButton):
    """A button beside the picture; by keyboard it gets the focus as any other."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._words = text
        self._is_in_words = True
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def setText(self, text: str | None) -> None:
        self._words = text or ""
        self._show_words()

    def put_in_words(self, on: bool) -> None:
        """Show its text; or, where room is short, its icon alone: then the text is said to screen readers."""
        if on != self._is_in_words:
            self._is_in_words = on
            self.setAccessibleName("" if on else self._words)
            self._show_words()

    def width_wanted(self, *, in_words: bool) -> int:
        """How wide it is with its text, or without."""
        shown, words = map(self.fontMetrics().horizontalAdvance, (self.text(), self._words))
        return self.sizeHint().width() - shown + (words if in_words or self.icon().isNull() else 0)

    def _show_words(self) -> None:
        super().setText(self._words if self._is_in_words or self.icon().isNull() else "")
