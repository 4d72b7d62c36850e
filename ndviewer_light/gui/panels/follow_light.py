"""The light beside a slider: whether its axis follows the newest plane, or is pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QToolButton, QWidget

from ..following.follow import FollowMode
from ..look.icon_files import icon
from ..look.theme import set_role

if TYPE_CHECKING:
    from ..look.theme import PanelColors


class FollowLight(QToolButton):
    """A filled dot where the axis follows, a pin where it stays; `clicked` asks for the other one.

    `spoken` is the axis in words. GUI thread only.
    """

    def __init__(self, spoken: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spoken = spoken
        self._mode = FollowMode.PINNED
        self.setIconSize(QSize(14, 14))
        self.setFixedSize(22, 22)
        set_role(self, "dot")
        self._say()

    @property
    def mode(self) -> FollowMode:
        """What it shows."""
        return self._mode

    def set_mode(self, mode: FollowMode, colors: PanelColors) -> None:
        """Show whether the axis follows, in the colours of the panel."""
        if mode is not self._mode:
            self._mode = mode
            self._say()
        self.draw(colors)

    def draw(self, colors: PanelColors) -> None:
        """Draw it in these colours."""
        follows = self._mode is FollowMode.NEWEST
        drawing = icon("dot", colors.accent) if follows else icon("pin", colors.dim)
        self.setIcon(drawing)
        self.setText("" if not drawing.isNull() else "●" if follows else "○")

    def _say(self) -> None:
        follows = self._mode is FollowMode.NEWEST
        doing = "Follows the newest" if follows else "Pinned: stays where you put it"
        self.setToolTip(f"{doing}. Click to {'pin' if follows else 'follow the newest'} {self._spoken}")
        self.setAccessibleName(f"{self._spoken} {self._mode.value}")
