"""The choice between the datasets in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from ...storage.bytes import split_inner
from ..given_paths import short_name
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence


class DatasetChoices(QComboBox):
    """Lists datasets by their place in the file; hidden while there is no choice."""

    chosen = Signal(str)
    """The path of another one than that which is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still go to the picture
        self.setAccessibleName("Datasets in this file")
        self.setToolTip("This file contains several datasets")
        # names from data never widen the window
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._paths: tuple[str, ...] = ()
        self._shown = ""
        self.hide()
        self.activated.connect(self._on_activated)

    def offer(self, paths: Sequence[str], shown: str = "") -> None:
        """List these; the first is the one that is shown.

        Where one of those before is `shown`, which has no choices of its own, they stay: there is a way back.
        """
        self.hide()
        if len(paths) > 1:
            self._paths = self._paths if {*paths} == {*self._paths} else tuple(paths)  # in their order
            self._shown = paths[0]
        elif shown and shown in self._paths:
            self._shown = shown
        else:
            if shown:
                self._paths = ()
            return
        self.clear()
        for path in self._paths:
            self.addItem(split_inner(path)[1] or short_name(path), path)
        self.setCurrentIndex(self._paths.index(self._shown))
        self.show()

    @safe_slot
    def _on_activated(self, index: int) -> None:
        path = self.itemData(index)
        if path and path != self._shown:
            self.chosen.emit(path)
