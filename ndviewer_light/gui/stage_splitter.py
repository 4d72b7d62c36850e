"""How the widgets of a stage are arranged: panels, picture and channels, which share the width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from .panels.narrow_window import NarrowWindow
from .panels.picture_room import PictureRoom

if TYPE_CHECKING:
    from .panels.channels import ChannelStrips
    from .panels.sliders import AxisSliders
    from .picture_pane import PicturePane


class StageSplitter(QSplitter):
    """The picture over the sliders, and beside it the channel strips. GUI thread only."""

    def __init__(self, picture: PicturePane, sliders: AxisSliders, strips: ChannelStrips) -> None:
        super().__init__()
        self._panels: QWidget | None = None
        left = QWidget()
        self._column = QVBoxLayout(left)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.picture_room = PictureRoom(picture)
        """The picture with what is put around it."""
        self._column.addWidget(self.picture_room, 1)
        self._column.addWidget(sliders)
        self.addWidget(left)
        right = QWidget()
        self._channels = QVBoxLayout(right)
        self._channels.setContentsMargins(0, 0, 0, 0)
        self._channels.setSpacing(0)
        self._channels.addWidget(strips, 1)
        self.addWidget(right)
        NarrowWindow(self, right)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.setCollapsible(0, False)

    def minimumSizeHint(self) -> QSize:
        """Without the panels: they are hidden where a window is narrow, and must not keep it from that."""
        least, panels = super().minimumSizeHint(), self._panels
        if panels is None or panels.isHidden():
            return least
        needed = max(panels.minimumWidth(), panels.minimumSizeHint().width()) + self.handleWidth()
        return QSize(least.width() - needed, least.height())

    def add_below(self, panel: QWidget) -> None:
        """Put a panel between the picture and the sliders."""
        self._column.insertWidget(1, panel)

    def add_left(self, panels: QWidget) -> None:
        """Put panels left of the picture."""
        self._panels = panels
        self.insertWidget(0, panels)
        self.setStretchFactor(0, 0)
        self.setStretchFactor(1, 1)
        self.setCollapsible(1, False)

    def add_below_channels(self, panel: QWidget) -> None:
        """Put a panel below the channel strips."""
        self._channels.addWidget(panel)
