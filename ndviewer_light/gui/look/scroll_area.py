"""A column that scrolls where there is no room for it, also by keyboard."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

from ..slots import safe_slot
from .tab_frame import TabFrame


class ColumnScroll(QScrollArea):
    """Takes the focus by Tab only while there is something to scroll. GUI thread only."""

    def __init__(self, page: QWidget, name: str, parent: QWidget | None = None) -> None:
        """`name`: what is in it, for screen readers."""
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(page)
        self.viewport().setAutoFillBackground(False)
        page.setAutoFillBackground(False)  # setWidget turns it on
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.verticalScrollBar().rangeChanged.connect(self._on_range_changed)
        TabFrame(self)

    @safe_slot
    def _on_range_changed(self, _least: int, most: int) -> None:
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus if most > 0 else Qt.FocusPolicy.NoFocus)
