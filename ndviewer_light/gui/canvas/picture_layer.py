"""What is drawn over the picture and leaves the mouse to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QWidget

from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtCore import QObject


class PictureLayer(QWidget):
    """Covers the widget it is over, follows its size; hidden at first. GUI thread only."""

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self._picture = picture
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setGeometry(picture.rect())
        picture.installEventFilter(self)
        self.hide()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._picture and event is not None and event.type() == QEvent.Type.Resize:
            self.setGeometry(self._picture.rect())
        return False
