"""Says over the histogram of a channel why it is not simply there; nothing moves when that comes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QRect, Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QApplication, QLabel

from ..look.theme import plain_tooltip, set_role
from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

_LONGEST = 200
_PADDING_PX = 4


class StateNote(QLabel):
    """Lies at the upper left of `over`, as large as its text; what does not fit is in its tooltip.

    All of it can be copied from its context menu. GUI thread only.
    """

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self._said = self._details = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setMargin(_PADDING_PX // 2)
        copy = QAction("Copy details", self)
        copy.triggered.connect(safe_slot(self._copy))
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        set_role(self, "note")
        over.installEventFilter(self)
        self.hide()

    @property
    def said(self) -> str:
        """What it says, also what there is no room for."""
        return self._said

    def say(self, text: str, details: str = "") -> None:
        """Say a text, which is also the `details` unless there are others; nothing if it is empty."""
        self._said, self._details = text, details or text
        self.setToolTip(plain_tooltip(self._details))
        self._place()
        self.setVisible(bool(text))

    def _copy(self) -> None:
        QApplication.clipboard().setText(self._details)

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        width, height = self._over.width() - 2 * _PADDING_PX, self._over.height() - _PADDING_PX
        shown, end = self._said, _LONGEST
        while self._size_of(shown, width).height() > height and end > 1:
            end = min(end, len(shown)) - 4
            shown = self._said[: max(end, 1)].rstrip() + "…"
        size = self._size_of(shown, width)
        self.setText(shown)
        self.setGeometry(2, 2, size.width() + _PADDING_PX + 2, size.height() + _PADDING_PX)

    def _size_of(self, text: str, width: int) -> QRect:
        room = QRect(0, 0, max(width - _PADDING_PX, 1), 10_000)
        flags = int(Qt.AlignmentFlag.AlignLeft) | int(Qt.TextFlag.TextWordWrap | Qt.TextFlag.TextWrapAnywhere)
        return self.fontMetrics().boundingRect(room, flags, text)
