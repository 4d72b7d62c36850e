"""The sheet of all keys, made from the table that binds them."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ..look.theme import Panel, heading_font, set_role
from .keys import KEYS, MOUSE


class KeySheet(QDialog):
    """Lists what keys and mouse do; Escape closes it. Does not block the window below."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setObjectName("keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setPalette(parent.palette())
        page = Panel(self)
        grid = QGridLayout(page)
        grid.setContentsMargins(18, 14, 18, 16)
        grid.setHorizontalSpacing(22)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(1, 1)
        self._heading(grid, "KEYS")
        self._note(grid, "In the picture: after a click in it, or with Tab. Tab goes through all controls.")
        for key in KEYS:
            in_picture = "  (in the picture)" if key.place == "picture" else ""
            self._line(grid, key.named, key.does + in_picture)
        self._heading(grid, "MOUSE")
        for what, does in MOUSE:
            self._line(grid, what, does)
        scroll = QScrollArea(self)
        scroll.setPalette(parent.palette())
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scroll)
        room = self.screen().availableGeometry().size()
        wanted = page.sizeHint()
        self.resize(min(wanted.width() + 24, room.width() - 40), min(wanted.height() + 4, room.height() - 80))

    def _heading(self, grid: QGridLayout, text: str) -> None:
        label = QLabel(text)
        label.setFont(heading_font(label))
        set_role(label, "dim")
        row = grid.rowCount()
        if row > 1:
            grid.setRowMinimumHeight(row, 30)
        grid.addWidget(label, row, 0, 1, 2, Qt.AlignmentFlag.AlignBottom)

    def _note(self, grid: QGridLayout, words: str) -> None:
        label = QLabel(words)
        set_role(label, "dim")
        grid.addWidget(label, grid.rowCount(), 0, 1, 2)

    def _line(self, grid: QGridLayout, keys: str, does: str) -> None:
        row = grid.rowCount()
        name = QLabel(keys)
        name.setTextFormat(Qt.TextFormat.PlainText)
        grid.addWidget(name, row, 0)
        words = QLabel(does)
        words.setTextFormat(Qt.TextFormat.PlainText)
        set_role(words, "dim")
        grid.addWidget(words, row, 1)
