"""Dialogs in which a user chooses a dataset: a folder, a file, or an address. None of them blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QPoint, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QMenu, QWidget

from ..look.theme import menu_of, plain_tooltip
from ..slots import safe_slot
from ..waiting import short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LONGEST_NAME = 60


class DatasetChooser(QObject):
    """Asks for a dataset in front of the window of `widget`; `chosen` emits its path or URL."""

    chosen = Signal(str)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._dialog: QFileDialog | QInputDialog | None = None
        self._menu: QMenu | None = None
        self.recent: Callable[[], Sequence[str]] = tuple
        """What was opened lately, for the menu; nothing inside a host."""

    def show_menu(self, below: QWidget) -> None:
        """Offer folder, file and address in a menu below a widget."""
        if self._menu is not None:
            self._menu.deleteLater()
        self._menu = menu_of(self._widget)
        self._menu.setToolTipsVisible(True)
        for text, choose in (
            ("Folder…", self.choose_folder),
            ("File…", self.choose_file),
            ("URL…", self.choose_url),
        ):
            self._menu.addAction(text).triggered.connect(choose)
        recent = self.recent()
        if recent:
            self._menu.addSeparator()
        for path in recent:
            self._offer(self._menu, path)
        self._menu.popup(below.mapToGlobal(QPoint(0, below.height())))

    @property
    def menu(self) -> QMenu | None:
        """The menu shown last."""
        return self._menu

    def _offer(self, menu: QMenu, path: str) -> None:
        name = short_name(path.rstrip("/\\"))
        action = menu.addAction(_shortened(name).replace("&", "&&"))
        action.setToolTip(plain_tooltip(path))
        action.triggered.connect(safe_slot(lambda: self.chosen.emit(path)))

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


def _shortened(name: str) -> str:
    """A name for a menu: the middle of a long one is left out."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
