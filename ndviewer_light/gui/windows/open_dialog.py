"""The dialog in which a dataset is chosen: a folder, file, address or link, typed or looked for."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QStringListModel, Qt, QTimer, Signal
from qtpy.QtGui import QFocusEvent, QKeyEvent
from qtpy.QtWidgets import (
    QComboBox,
    QCompleter,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..latest_wanted import LatestWanted
from ..look.theme import Panel, color_placeholder, heading_font, plain_tooltip, set_role
from ..slots import safe_slot
from .path_completion import completions, format_choices, in_thread, path_typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QObject
    from qtpy.QtGui import QShowEvent

    from ...storage.cancellation import CancelScope

AUTOMATICALLY = "recognised automatically"
_TYPED_LOOK_MS = 40
"""How often to check for completions, which are found in a thread."""
_WIDTH_PX = 620
_RECENT_IN_SIGHT = 8
_TIP = "A folder, a file, an address (https://…, s3://…, gs://…), or a link to a view"


class OpenDialog(QDialog):
    """`chosen(path, format)`: what to open, "" for a format that is recognised. GUI thread only.

    Folders are listed, and the formats looked up, in threads; nothing here waits for a disk.
    """

    chosen = Signal(str, str)

    def __init__(self, parent: QWidget, recent: Sequence[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open")
        self.setPalette(parent.palette())
        self._recent = list(recent)
        self._found: deque[tuple[str, list[str]]] = deque()  # appended in threads: for which text, what
        self._formats: deque[list[str]] = deque()
        self._listing = LatestWanted(
            in_thread, "ndviewer-complete", partial(_complete, tuple(recent), self._found)
        )
        self.file_dialog: QFileDialog | None = None
        self.page = Panel(self)
        self.line = QLineEdit()
        self.line.setPlaceholderText("Folder, file or address")
        self.line.setAccessibleName("Folder, file or address")
        self.line.setToolTip(_TIP)
        set_role(self.line, "path")
        self._names = QStringListModel(self)
        self.completer = QCompleter(self._names, self)
        self.completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        self.line.setCompleter(self.completer)
        self._is_in_list = False  # whether keys went to one of its entries since something was typed
        self.folder = self._button("Folder…", "Browse for a folder")
        self.file = self._button("File…", "Browse for a file: ND2, HDF5, NWB, TIFF, MRC, zip, references")
        self.recent = QListWidget()
        self.recent.setAccessibleName("Recent datasets")
        self.recent.setToolTip("Recent datasets: double-click one, or press Enter, to open it again")
        self.recent.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.recent.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.format = QComboBox()
        self.format.setAccessibleName("Format")
        self.format.setToolTip("The format, in case name and first bytes are misleading")
        self.format.setPalette(self.palette())  # below a stylesheet it would have the application's
        self.format.addItem(AUTOMATICALLY, "")
        self.open_button = self._button("Open", "Open the dataset entered above")
        self.open_button.setDefault(True)
        self.cancel_button = self._button("Cancel", "Close without opening anything")
        self._fill_recent()
        self._lay_out()
        self._connect()
        self._timer = QTimer(self)
        self._timer.setInterval(_TYPED_LOOK_MS)
        self._timer.timeout.connect(self._on_look)
        self._timer.start()
        with contextlib.suppress(RuntimeError):  # no more threads: none is offered
            in_thread("ndviewer-formats", lambda: self._formats.append(format_choices()))
        self._on_text("")

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.setToolTip(tip)
        set_role(button, "chip")
        return button

    def _fill_recent(self) -> None:
        for path in self._recent:
            item = QListWidgetItem(path)
            item.setToolTip(plain_tooltip(path))
            self.recent.addItem(item)
        lines = min(max(len(self._recent), 3), _RECENT_IN_SIGHT)
        self.recent.setFixedHeight(lines * max(self.recent.sizeHintForRow(0), 18) + 6)

    def _lay_out(self) -> None:
        top, below = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.line, 1)
        top.addWidget(self.folder)
        top.addWidget(self.file)
        below.addWidget(QLabel("Format"))
        below.addWidget(self.format)
        below.addStretch(1)
        below.addWidget(self.cancel_button)
        below.addWidget(self.open_button)
        title = QLabel("RECENT")
        title.setFont(heading_font(title))
        set_role(title, "dim")
        column = QVBoxLayout(self.page)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(9)
        column.addLayout(top)
        column.addWidget(title)
        column.addWidget(self.recent)
        column.addLayout(below)
        title.setVisible(bool(self._recent))
        self.recent.setVisible(bool(self._recent))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.page)
        self.resize(min(_WIDTH_PX, self.screen().availableGeometry().width() - 40), self.sizeHint().height())

    def _connect(self) -> None:
        self.line.installEventFilter(self)
        self.recent.installEventFilter(self)
        self.line.textEdited.connect(self._on_edited)
        self.line.textChanged.connect(self._on_text)
        self.line.returnPressed.connect(self._on_return)
        self.completer.highlighted.connect(self._on_highlighted)
        self.folder.clicked.connect(self._on_folder)
        self.file.clicked.connect(self._on_file)
        self.recent.currentItemChanged.connect(self._on_recent)
        self.recent.itemActivated.connect(self._on_open)
        self.open_button.clicked.connect(self._on_open)
        self.cancel_button.clicked.connect(self.reject)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        color_placeholder(self.line, self.page.colors.dim)

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Down leads from the line to the list; keys that lead there select an entry, which Qt does not."""
        if watched is self.line and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Down and self._can_go_to_recent:
                self.recent.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return True
        elif watched is self.recent and isinstance(event, QFocusEvent) and event.gotFocus():
            by_mouse = event.reason() == Qt.FocusReason.MouseFocusReason
            if not by_mouse and self.recent.currentRow() < 0:
                self.recent.setCurrentRow(0)
        return False

    @property
    def _can_go_to_recent(self) -> bool:
        popup = self.completer.popup()
        return bool(self._recent) and (popup is None or not popup.isVisible())

    def done(self, result: int) -> None:
        """Close it: nothing is looked for any more."""
        self._timer.stop()
        super().done(result)

    # ---- parts -----------------------------------------------------------------------------

    @safe_slot
    def _on_look(self) -> None:
        if self._formats:
            for name in self._formats.popleft():
                self.format.addItem(name, name)
        if not self._found:
            return
        text, names = self._found.popleft()
        if text == self.line.text():
            self._names.setStringList(names)
            if names and names != [text] and self.line.hasFocus():
                self.completer.complete()

    @safe_slot
    def _on_highlighted(self, *_: object) -> None:
        self._is_in_list = True

    @safe_slot
    def _on_edited(self, text: str) -> None:
        self._is_in_list = False
        if text:
            self._listing.want(text)

    @safe_slot
    def _on_text(self, text: str) -> None:
        self.open_button.setEnabled(bool(text.strip()))

    @safe_slot
    def _on_recent(self, item: QListWidgetItem | None, _before: object = None) -> None:
        if item is not None:
            self.line.setText(item.text())

    @safe_slot
    def _on_return(self) -> None:
        popup = self.completer.popup()
        if self._is_in_list and popup is not None and popup.isVisible():
            return  # it is for the list, which completes the path
        self._on_open()

    @safe_slot
    def _on_open(self, *_: object) -> None:
        path = path_typed(self.line.text())
        if path:
            self.accept()
            self.chosen.emit(path, str(self.format.currentData()))

    @safe_slot
    def _on_folder(self) -> None:
        dialog = self._look_in_files("Open a folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.open()

    @safe_slot
    def _on_file(self) -> None:
        dialog = self._look_in_files("Open a file")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.open()

    def _look_in_files(self, title: str) -> QFileDialog:
        dialog = self.file_dialog = QFileDialog(self, title)
        dialog.fileSelected.connect(self._on_selected)
        return dialog

    @safe_slot
    def _on_selected(self, path: str) -> None:
        self.line.setText(os.path.normpath(path))
        self._on_open()


def _complete(
    recent: tuple[str, ...], found: deque[tuple[str, list[str]]], text: str, _scope: CancelScope
) -> None:
    """In a thread: list folders; knows no dialog, which may be closed before they are listed."""
    found.append((text, completions(text, recent)))
