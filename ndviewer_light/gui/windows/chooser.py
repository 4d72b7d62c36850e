"""Asks for a dataset in front of a window. Blocks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtWidgets import QWidget

    from .open_dialog import OpenDialog


class DatasetChooser(QObject):
    """`chosen` emits the path or address, and the name of its format, "" where it is to be recognised."""

    chosen = Signal(str, str)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self.dialog: OpenDialog | None = None
        """The dialog while it is open."""
        self.recent: Callable[[], Sequence[str]] = tuple
        """The recent datasets; none inside a host."""

    @safe_slot
    def ask(self) -> None:
        """Open the dialog; once, however often it is asked for."""
        if self.dialog is not None:
            self.dialog.raise_()
            return
        from .open_dialog import OpenDialog

        dialog = self.dialog = OpenDialog(self._widget.window() or self._widget, self.recent())
        dialog.chosen.connect(self.chosen)
        dialog.finished.connect(self._on_finished)
        dialog.open()

    @safe_slot
    def _on_finished(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()
