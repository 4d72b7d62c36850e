"""Dialogs in which a user chooses a dataset: a folder, a file, or an address. None of them blocks."""

from __future__ import annotations

from qtpy.QtCore import QObject, QPoint, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QMenu, QWidget

from .slots import safe_slot


class DatasetChooser(QObject):
    """Asks for a dataset in front of the window of `widget`; `chosen` emits its path or URL."""

    chosen = Signal(str)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._dialog: QFileDialog | QInputDialog | None = None
        self._menu: QMenu | None = None

    def show_menu(self, below: QWidget) -> None:
        """Offer folder, file and address in a menu below a widget."""
        if self._menu is None:
            self._menu = QMenu(self._widget)
            for text, choose in (
                ("Folder…", self.choose_folder),
                ("File…", self.choose_file),
                ("URL…", self.choose_url),
            ):
                self._menu.addAction(text).triggered.connect(choose)
        self._menu.popup(below.mapToGlobal(QPoint(0, below.height())))

    @safe_slot
    def choose_folder(self) -> None:
        """Ask for a folder."""
        dialog = self._dialog = QFileDialog(self._widget, "Open a dataset")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.fileSelected.connect(self.chosen)
        dialog.open()

    @safe_slot
    def choose_file(self) -> None:
        """Ask for a file."""
        dialog = self._dialog = QFileDialog(self._widget, "Open a file")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.chosen)
        dialog.open()

    @safe_slot
    def choose_url(self) -> None:
        """Ask for an address."""
        dialog = self._dialog = QInputDialog(self._widget)
        dialog.setWindowTitle("Open a URL")
        dialog.setLabelText("Address of a dataset (https://…, s3://…, gs://…):")
        dialog.setTextEchoMode(QLineEdit.EchoMode.Normal)
        dialog.resize(560, dialog.sizeHint().height())
        dialog.textValueSelected.connect(self._on_text)
        dialog.open()

    @safe_slot
    def _on_text(self, text: str) -> None:
        if text.strip():
            self.chosen.emit(text.strip())
