"""The picture, and what is put right of it, below it and in the corner between; borders are dragged."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QSplitter

from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

_BORDER_PX = 5


class PictureRoom(QSplitter):
    """Two columns of the same heights, the right one and the lower row hidden at first. GUI thread only.

    `dragged` when the user moves a border, `double_clicked` when one is double clicked.
    """

    dragged = Signal()
    double_clicked = Signal()

    def __init__(self, picture: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._columns = QSplitter(Qt.Orientation.Vertical), QSplitter(Qt.Orientation.Vertical)
        self._columns[0].addWidget(picture)
        left, right = self._columns
        for column, other in ((left, right), (right, left)):
            self.addWidget(column)
            column.splitterMoved.connect(partial(self._on_row_moved, column, other))
        for splitter in (self, *self._columns):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(_BORDER_PX)
        self.splitterMoved.connect(self._on_column_moved)
        self._columns[1].hide()
        self._around: tuple[QWidget, ...] = ()

    def put_around(self, beside: QWidget, below: QWidget, corner: QWidget) -> None:
        """Put these right of the picture, below it, and between the two."""
        self._around = (beside, below, corner)
        self._columns[0].addWidget(below)
        self._columns[1].addWidget(beside)
        self._columns[1].addWidget(corner)
        below.hide()
        for splitter in (self, *self._columns):
            splitter.setStretchFactor(0, 1)  # what room there is, the picture takes
            splitter.setStretchFactor(1, 0)
            handle = splitter.handle(1)
            if handle is not None:
                handle.setToolTip("Drag to resize; double click: as large as the stack is")
                handle.installEventFilter(self)

    def show_around(self, shown: bool) -> None:
        """Show what is around the picture, or the picture alone."""
        for widget in self._around:
            widget.setVisible(shown)
        self._columns[1].setVisible(shown)

    def set_thickness(self, right: int, lower: int) -> None:
        """Give what is around the picture this width, and this height, in logical pixels."""
        self.setSizes([max(self.width() - right - _BORDER_PX, 1), right])
        for column in self._columns:
            column.setSizes([max(self.height() - lower - _BORDER_PX, 1), lower])

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.MouseButtonDblClick:
            self.double_clicked.emit()
            return True
        return False

    @safe_slot
    def _on_row_moved(self, moved: QSplitter, other: QSplitter) -> None:
        """The other column has the same heights."""
        other.setSizes(moved.sizes())
        self.dragged.emit()

    @safe_slot
    def _on_column_moved(self, *_: object) -> None:
        self.dragged.emit()
