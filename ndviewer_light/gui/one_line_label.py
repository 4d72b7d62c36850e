"""A label for text that comes from data: cut to the room there is, whole on hover; it never asks for room."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from .slots import safe_slot
from .theme import plain_tooltip


class OneLineLabel(QLabel):
    """One line, shown literally; `mode` says which end is cut."""

    def __init__(
        self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._mode = mode
        self._tip = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, text: str, tip: str = "") -> None:
        """Show `text`; `tip` (default: the text) on hover."""
        if (text, tip) != (self.text(), self._tip):
            self._tip = tip
            self.setText(text)
            self.setToolTip(plain_tooltip(tip or text))

    def shown(self) -> str:
        """The text as cut."""
        text = self.text().replace("\n", " ")
        return str(self.fontMetrics().elidedText(text, self._mode, self.contentsRect().width()))

    def minimumSizeHint(self) -> QSize:
        return QSize(10, self.fontMetrics().height())

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), self.shown())
        painter.end()
