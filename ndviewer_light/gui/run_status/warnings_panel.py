"""All warnings of a dataset in a list, from which each leads to what it is about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...model import WarningPlace, place_of
from ..look.push_button import PushButton
from ..look.theme import Panel, colors_of, plain_tooltip, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtCore import QObject
    from qtpy.QtGui import QResizeEvent

    from .warnings_log import Noted

_WHEN, _TEXT, _WHERE = range(3)
_WIDEST_PLACE = 0.3  # of the list
_NO_PLACE = "whole dataset"
_WHY_NO_PLACE = (
    "This is about the dataset as a whole, which is not on this computer: there is no folder to show"
)
_SHOW_FILE = "Show the folder of the file that this warning is about"
_WHY_NO_FILE = "The dataset is not on this computer: there is no folder to show"


class WarningsPanel(QDialog):
    """Lists warnings with the time at which each was noticed. Does not block the window below.

    Enter, a double click, a click on the place or "Go there" lead to what the selected one is about, by
    `place_chosen` (a `WarningPlace`); "Show file" by `file_chosen`, of a plane to the file it names. What
    is said of the dataset as a whole leads to its file or folder, `dataset_file`; where that is not on this
    computer, to nothing, and looks so.
    """

    place_chosen = Signal(object)
    file_chosen = Signal(str)

    def __init__(self, parent: QWidget, name_of: Callable[[WarningPlace], str]) -> None:
        super().__init__(parent)
        self._name_of = name_of
        self._texts: list[str] = []
        self._lines: list[str] = []
        self.dataset_file = ""
        self._rows_due = QTimer(
            self
        )  # Qt goes on with its layout after it has said that a column was resized
        self._rows_due.setSingleShot(True)
        self._rows_due.setInterval(0)
        self._rows_due.timeout.connect(self._on_rows_due)
        self.setWindowTitle("Warnings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setPalette(parent.palette())
        page = Panel(self)
        self.list = self._make_list()
        self.go = self._make_button("Go there", "Show what this warning is about (Enter)", self._on_go)
        self.show_file = self._make_button("Show file", _SHOW_FILE, self._on_show_file)
        copy = self._make_button("Copy all", "Copy all lines", self._on_copy)
        row = QHBoxLayout()
        row.addWidget(self.go)
        row.addWidget(self.show_file)
        row.addStretch(1)
        row.addWidget(copy)
        column = QVBoxLayout(page)
        column.addWidget(self.list)
        column.addLayout(row)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(page)
        room = parent.size()
        self.resize(min(720, max(room.width() - 40, 240)), min(300, max(room.height() - 80, 160)))

    def _make_list(self) -> QTableWidget:
        table = QTableWidget(0, 3)
        table.setAccessibleName("Warnings")
        table.setToolTip("A click on the underlined place, or Enter, shows it")
        table.setFrameShape(QFrame.Shape.NoFrame)
        table.setShowGrid(False)
        table.horizontalHeader().hide()
        table.verticalHeader().hide()
        table.horizontalHeader().setSectionResizeMode(_TEXT, QHeaderView.ResizeMode.Stretch)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)  # Tab goes on to the buttons
        table.setWordWrap(True)
        table.horizontalHeader().sectionResized.connect(self._on_column_resized)
        table.installEventFilter(self)
        table.currentCellChanged.connect(self._on_selected)
        table.cellClicked.connect(self._on_clicked)
        table.cellDoubleClicked.connect(self._on_double_clicked)
        return table

    def _make_button(self, text: str, tip: str, slot: Callable[[], None]) -> QPushButton:
        button = PushButton(text)
        button.setAutoDefault(False)
        button.setToolTip(tip)
        set_role(button, "chip")
        button.clicked.connect(slot)
        return button

    def show_warnings(self, noted: Mapping[str, Noted], current: Sequence[str]) -> None:
        """Show these with their times, and how often they came; those not `current` are marked as past.

        What is selected stays so; at first that is the last one.
        """
        holds = frozenset(current)
        rows = [
            (f"{when}  {n}×" if n > 1 else when, text if text in holds else f"(no longer)  {text}", text)
            for text, (when, n) in noted.items()
        ]
        at = self.list.currentRow()
        selected = self._texts[at] if 0 <= at < len(self._texts) else ""
        self._texts = [text for *_, text in rows]
        self._lines = [f"{when}  {said}" for when, said, _ in rows]
        self.list.setRowCount(len(rows))
        for i, (when, said, _) in enumerate(rows):
            place = self._place(i)
            named = "" if place is None else self._name(place)
            self.list.setItem(i, _WHEN, _item(when))
            self.list.setItem(i, _TEXT, self._text_item(said, named))
            self.list.setItem(i, _WHERE, _link(named) if named else self._no_place())
        if rows:
            row = self._texts.index(selected) if selected in self._texts else len(rows) - 1
            self.list.setCurrentCell(row, _TEXT)
        self._fit_rows()
        self._on_selected()

    @property
    def text(self) -> str:
        """All lines, as they are copied."""
        return "\n".join(self._lines)

    def _text_item(self, said: str, named: str) -> QTableWidgetItem:
        """What a warning says beside its place, of files within the dataset; all of it on hover."""
        short = said.replace(f"{named}: ", "", 1) if named else said
        if self.dataset_file:
            short = short.replace(os.path.join(self.dataset_file, ""), "")
        item = _item(short)
        if short != said:
            item.setToolTip(plain_tooltip(said))
        return item

    def _no_place(self) -> QTableWidgetItem:
        item = _item(_NO_PLACE)
        item.setToolTip(plain_tooltip(_WHY_NO_PLACE))
        item.setForeground(colors_of(self).dim)
        return item

    def _name(self, place: WarningPlace) -> str:
        named = self._name_of(place) if place.is_in_dataset else ""
        return named or os.path.basename(place.file.rstrip("/" + os.sep))

    def _fit_rows(self) -> None:
        self.list.resizeColumnToContents(_WHEN)
        self.list.resizeColumnToContents(_WHERE)
        widest = round(self.list.viewport().width() * _WIDEST_PLACE)
        self.list.setColumnWidth(_WHERE, min(self.list.columnWidth(_WHERE), widest))
        self.list.resizeRowsToContents()

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_rows()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Enter leads where the selected warning does; the list itself would do nothing."""
        is_key = event is not None and event.type() == QEvent.Type.KeyPress
        if is_key and _is_enter(event):
            self._go_to(self.list.currentRow())
            return True
        return False

    def _place(self, row: int) -> WarningPlace | None:
        if not 0 <= row < len(self._texts):
            return None
        return place_of(self._texts[row]) or (
            WarningPlace(file=self.dataset_file) if self.dataset_file else None
        )

    def _file(self, row: int) -> str:
        """The file or folder to show of a row; "" if there is none on this computer."""
        place = self._place(row)
        return "" if place is None else place.file or file_named(self._texts[row], self.dataset_file)

    def _go_to(self, row: int) -> None:
        place = self._place(row)
        if place is not None and place.is_in_dataset:
            self.place_chosen.emit(place)
        elif place is not None and place.file:
            self.file_chosen.emit(place.file)

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_column_resized(self, column: int, _before: int, _width: int) -> None:
        if column == _TEXT:
            self._rows_due.start()

    @safe_slot
    def _on_rows_due(self) -> None:
        self.list.resizeRowsToContents()

    @safe_slot
    def _on_selected(self, *_: int) -> None:
        place = self._place(self.list.currentRow())
        self.go.setEnabled(place is not None and place.is_in_dataset)
        has_file = bool(self._file(self.list.currentRow()))
        self.show_file.setEnabled(has_file)
        self.show_file.setToolTip(_SHOW_FILE if has_file else _WHY_NO_FILE)

    @safe_slot
    def _on_clicked(self, row: int, column: int) -> None:
        if column == _WHERE:
            self._go_to(row)

    @safe_slot
    def _on_double_clicked(self, row: int, column: int) -> None:
        if column != _WHERE:
            self._go_to(row)

    @safe_slot
    def _on_go(self) -> None:
        self._go_to(self.list.currentRow())

    @safe_slot
    def _on_show_file(self) -> None:
        file = self._file(self.list.currentRow())
        if file:
            self.file_chosen.emit(file)

    @safe_slot
    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.text)


def file_named(warning: str, dataset: str) -> str:
    """The file of a dataset that a warning names, with what is said after it; else the dataset itself.

    Where a name ends in a text nobody can tell; `folder_of` finds the folder that it is in.
    """
    at = warning.find(os.path.join(dataset, "")) if dataset else -1
    return warning[at:] if at >= 0 else dataset


def _is_enter(event: Any) -> bool:
    return event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)


def _item(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    return item


def _link(text: str) -> QTableWidgetItem:
    item = _item(text)
    font = item.font()
    font.setUnderline(True)
    item.setFont(font)
    return item
