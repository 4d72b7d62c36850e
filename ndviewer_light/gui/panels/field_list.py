"""The fields of a well as a list: where their stage positions are not known. Any number of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ..look.theme import plain_tooltip
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_LINES = 8
_FIELD_LINE_PX = 18
"""A line is at least so high: it is clicked at."""


class _Fields(QAbstractListModel):
    """Names are asked for when they are drawn."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.fields: tuple[int, ...] = ()
        self.name_of: Callable[[int], str] = str
        self.text_of: Callable[[int], str] = str

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.fields)

    @safe_slot
    def data(self, index: QModelIndex, role: int = 0) -> Any:
        if not 0 <= index.row() < len(self.fields):
            return None
        p = self.fields[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.name_of(p)
        return plain_tooltip(self.text_of(p)) if role == Qt.ItemDataRole.ToolTipRole else None


class _NameDelegate(QStyledItemDelegate):
    """Draws names in the width that there is: by itself, Qt makes all rows as wide as the longest name."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(0, max(super().sizeHint(option, index).height(), _FIELD_LINE_PX))


class FieldList(QListView):
    """`picked` is the position chosen with the mouse or the arrow keys. GUI thread only."""

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields = _Fields(self)
        self._is_told = False  # the selection follows the view, not the user
        self.setModel(self._fields)
        self.setItemDelegate(_NameDelegate(self))
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names often differ at their ends only
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("fields of view")

    def show_fields(
        self, fields: tuple[int, ...], name_of: Callable[[int], str], text_of: Callable[[int], str]
    ) -> None:
        """Show these positions by name."""
        self._fields.beginResetModel()
        self._fields.fields, self._fields.name_of, self._fields.text_of = fields, name_of, text_of
        self._fields.endResetModel()
        lines = min(max(len(fields), 1), _MOST_LINES)
        self.setFixedHeight(lines * max(self.sizeHintForRow(0), _FIELD_LINE_PX) + 2 * self.frameWidth())

    def show_current(self, p: int) -> None:
        """Mark the position in view."""
        if p in self._fields.fields:
            index = self._fields.index(self._fields.fields.index(p))
            if index != self.currentIndex():
                self._is_told = True
                self.setCurrentIndex(index)
                self._is_told = False

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        self._on_current(current.row())

    @safe_slot
    def _on_current(self, row: int) -> None:
        if not self._is_told and 0 <= row < len(self._fields.fields):
            self.picked.emit(self._fields.fields[row])
