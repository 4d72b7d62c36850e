"""The fields of a well, any number of them, as a list with their states: where no map can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ..look.theme import colors_of, plain_tooltip
from ..slots import safe_slot
from .marks import draw_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.state_codes import TimeState

_MOST_LINES = 8
_FIELD_LINE_PX = 18
"""A line is at least so high: it is clicked at."""
_STATE_PX = 9


class _Fields(QAbstractListModel):
    """Names are asked for when they are drawn."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.fields: tuple[int, ...] = ()
        self.states: Sequence[TimeState | None] = ()  # of all positions; empty: not known
        self.name_of: Callable[[int], str] = str
        self.text_of: Callable[[int], str] = str

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.fields)

    def state_of(self, row: int) -> TimeState | None:
        """The state of the field in a row; None if it is not known, or nothing is to be acquired there."""
        p = self.fields[row] if 0 <= row < len(self.fields) else -1
        return self.states[p] if 0 <= p < len(self.states) else None

    @safe_slot
    def data(self, index: QModelIndex, role: int = 0) -> Any:
        if not 0 <= index.row() < len(self.fields):
            return None
        p = self.fields[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.name_of(p)
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            state = self.state_of(index.row())
            return state.value if state is not None else ""
        return plain_tooltip(self.text_of(p)) if role == Qt.ItemDataRole.ToolTipRole else None


class _NameDelegate(QStyledItemDelegate):
    """Draws names, and before them states, in the width that there is.

    By itself, Qt makes all rows as wide as the longest name.
    """

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self._view = view

    def initStyleOption(self, option: Any, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        if index.model().states:  # room for the mark
            option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration
            option.decorationSize = QSize(_STATE_PX, _STATE_PX)

    @safe_slot
    def paint(self, painter: Any, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        super().paint(painter, option, index)
        fields, widget = index.model(), self._view
        if not fields.states:
            return
        whole = QStyleOptionViewItem(option)
        self.initStyleOption(whole, index)
        place = widget.style().subElementRect(QStyle.SubElement.SE_ItemViewItemDecoration, whole, widget)
        mark = QRectF(0, 0, _STATE_PX, _STATE_PX)
        mark.moveCenter(QRectF(place).center())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = colors_of(widget)
        if option.state & QStyle.StateFlag.State_Selected:  # which may have the colour of the mark
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.window)
            painter.drawEllipse(mark.adjusted(-2, -2, 2, 2))
        draw_mark(painter, mark, fields.state_of(index.row()), colors, is_round=True)
        painter.restore()

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
        self._fit_height()

    def show_states(self, states: Sequence[TimeState | None]) -> None:
        """Show the states of all positions, those of which are listed; empty while nothing is known."""
        is_moved = bool(states) is not bool(self._fields.states)
        self._fields.states = states
        if is_moved:  # names have another place, and rows another height
            self.scheduleDelayedItemsLayout()
            self._fit_height()
        self.viewport().update()

    def _fit_height(self) -> None:
        lines = min(max(self._fields.rowCount(), 1), _MOST_LINES)
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
