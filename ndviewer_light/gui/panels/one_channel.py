"""A slider through many channels, each shown alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from ..look.one_line_label import OneLineLabel
from ..look.push_button import PushButton
from ..look.short_names import without_beginning
from ..look.theme import set_role
from ..slots import safe_slot
from .jump_slider import JumpSlider

if TYPE_CHECKING:
    from collections.abc import Sequence

MANY = 8
"""Up to so many channels, their keys and buttons are enough."""
_NAME_PX = 84


class OneChannelRow(QWidget):
    """Shown where there are more than `MANY` channels. `picked` with the channel to be shown alone.

    `toggled` with the channel of the slider: to be shown alone, or with those that were on before.
    """

    picked = Signal(int)
    toggled = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._channels: list[int] = []
        self._names: Sequence[str] = ()
        self.button = PushButton("One", self)
        self.button.setCheckable(True)
        self.button.setAutoDefault(False)
        tip = "One channel alone, or those shown before"
        self.button.setToolTip(tip)
        self.button.setAccessibleName(f"One: {tip}")
        set_role(self.button, "chip")
        self.button.clicked.connect(self._on_clicked)
        self.slider = JumpSlider(self)
        self.slider.setAccessibleName("One channel at a time")
        self.slider.setToolTip("Show one channel at a time: drag, wheel, or arrow keys (, . in the picture)")
        self.slider.valueChanged.connect(self._on_moved)
        self.name = OneLineLabel(Qt.TextElideMode.ElideMiddle, self)
        self.name.setFixedWidth(_NAME_PX)
        self.name.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self.button)
        row.addWidget(self.slider, 1)
        row.addWidget(self.name)
        self.hide()

    def offer(self, channels: Sequence[int], names: Sequence[str]) -> None:
        """Offer these channels; `names` are those of all."""
        self._channels, self._names = list(channels), names
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(len(channels) - 1, 0))
        self.setVisible(len(channels) > MANY)

    def show_alone(self, channel: int | None) -> None:
        """Say which channel is shown alone; None: several are, or none."""
        self.button.setChecked(channel is not None)
        if channel in self._channels:
            with QSignalBlocker(self.slider):
                self.slider.setValue(self._channels.index(channel))
        if channel is None or channel >= len(self._names):
            self.name.say("several on")
            return
        name, metrics = self._names[channel], self.name.fontMetrics()
        if metrics.horizontalAdvance(name) > _NAME_PX:
            name = without_beginning(self._names)[channel]
        self.name.say(name, self._names[channel])

    @safe_slot
    def _on_clicked(self, wants_one: bool) -> None:
        self.button.setChecked(not wants_one)  # pressed if one channel is alone, whatever comes of it
        if self.slider.value() < len(self._channels):
            self.toggled.emit(self._channels[self.slider.value()])

    @safe_slot
    def _on_moved(self, at: int) -> None:
        if at < len(self._channels):
            self.picked.emit(self._channels[at])
