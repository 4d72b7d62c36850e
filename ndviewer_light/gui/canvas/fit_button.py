"""The way back over the picture: shown while the picture does not fit the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtWidgets import QToolButton, QWidget

from ..keyboard.keys import keys_of
from ..look.theme import PanelColors, dark_palette
from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

BUTTON_MARGIN_PX = 12
"""Between a button over the picture and its edges."""
_TEMPLATE = """
QToolButton {{ background: rgba(0, 0, 0, 165); color: rgb(245, 246, 248); border: 1px solid {border};
    border-radius: 4px; padding: 3px 9px; }}
QToolButton:hover {{ border-color: {dim}; }}
QToolButton:pressed {{ border-color: {accent}; }}
"""


PICTURE_BUTTON_STYLE = _TEMPLATE.format_map(
    {name: color.name() for name, color in vars(PanelColors.of(dark_palette())).items()}
)
"""Of buttons over the picture, which is dark under any palette."""


class FitButton(QToolButton):
    """At the bottom left of `picture`; says how large the picture is shown. GUI thread only."""

    def __init__(self, picture: QWidget) -> None:
        super().__init__(picture)
        self._picture = picture
        self._left = self._below = BUTTON_MARGIN_PX
        self.setText("Fit")
        self.setToolTip(f"Fit the picture to the window ({keys_of('fit')}, or a double click)")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still go to the picture
        self.setStyleSheet(PICTURE_BUTTON_STYLE)
        picture.installEventFilter(self)
        self.hide()

    def show_if(self, needed: bool) -> None:
        """Show it while it is `needed`."""
        if needed == self.isHidden():
            self.setVisible(needed)
            self._settle()

    def leave_room(self, width: int, height: int = 0) -> None:
        """Leave so much room to its left, px, for what is always there, and below it."""
        self._left, self._below = BUTTON_MARGIN_PX + width, BUTTON_MARGIN_PX + height
        self._settle()

    @safe_slot(default=False)
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._picture and event is not None and event.type() == QEvent.Type.Resize:
            self._settle()
        return False

    def _settle(self) -> None:
        self.adjustSize()
        self.move(QPoint(self._left, self._picture.height() - self.height() - self._below))
        self.raise_()
