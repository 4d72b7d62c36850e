"""The choice between the datasets in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from ...storage.bytes import split_inner
from ...storage.presentable import presentable
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence


class DatasetChoices(QComboBox):
    """Lists datasets by their place in the file; hidden while there is no choice."""

    chosen = Signal(str)
    """The path of another one than the first, which is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still go to the picture
        self.setAccessibleName("Datasets in this file")
        self.setToolTip("This file contains several datasets")
        # names from data never widen the window
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide()
        self.activated.connect(self._on_activated)

    def offer(self, paths: Sequence[str]) -> None:
        """List these; the first is the one that is shown."""
        self.clear()
        for path in paths:
            self.addItem(split_inner(path)[1] or presentable(path), path)
        self.setVisible(len(paths) > 1)

    @safe_slot
    def _on_activated(self, index: int) -> None:
        path = self.itemData(index)
        if path and index != 0:
            self.chosen.emit(path)
