"""Buttons that leave the focus where it is when they are clicked: keys still go to the picture."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QWidget


class PushButton(QPushButton):
    """A button beside the picture; by keyboard it gets the focus as any other."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
