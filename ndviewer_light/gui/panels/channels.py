"""The right-hand pane: 2-D or 3-D, and one strip of controls per channel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from ..slots import safe_slot
from ..theme import Panel, heading_font, plain_tooltip, set_role
from .channel_strip import ChannelStrip

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np

    from ...model import Channel

PREFERRED_WIDTH_PX = 280


class ChannelStrips(Panel):
    """Strips for the channels of one dataset.

    GUI thread only. `i` is the channel index. Setters are silent; a signal always means
    a user action.
    """

    mode_changed = Signal(bool)
    """True: the user chose 3-D."""
    visible_changed = Signal(int, bool)
    auto_changed = Signal(int, bool)
    window_changed = Signal(int, float, float)
    """(i, low, high) in pixel values. Sent after ``auto_changed(i, False)`` where Auto was on."""
    color_changed = Signal(int, str)
    """(i, "#RRGGBB")."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strips: list[ChannelStrip] = []
        self._shown: list[int] = []
        self._list = QWidget()
        self._list.setAutoFillBackground(False)
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(8, 0, 8, 8)
        self._column.setSpacing(8)
        self._column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._make_header())
        layout.addWidget(self._make_scroll_area(), 1)
        self.setMinimumWidth(200)

    def _make_header(self) -> QHBoxLayout:
        title = QLabel("CHANNELS", self)
        title.setFont(heading_font(title))
        set_role(title, "dim")
        self._flat, self._volume = QPushButton("2D", self), QPushButton("3D", self)
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setContentsMargins(8, 8, 8, 0)
        row.setSpacing(6)
        row.addWidget(title)
        row.addStretch(1)
        for button, tip in ((self._flat, "Single plane"), (self._volume, "The whole z stack as a volume")):
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setToolTip(tip)
            button.setAccessibleName(f"{button.text()}: {tip}")
            set_role(button, "chip")
            group.addButton(button)
            row.addWidget(button)
        self._flat.setChecked(True)
        self._is_3d = False
        self._flat.clicked.connect(self._on_mode_clicked)
        self._volume.clicked.connect(self._on_mode_clicked)
        return row

    def _make_scroll_area(self) -> QScrollArea:
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self._list)
        area.viewport().setAutoFillBackground(False)
        self._list.setAutoFillBackground(False)  # setWidget turns it on
        return area

    def sizeHint(self) -> QSize:
        return QSize(PREFERRED_WIDTH_PX, super().sizeHint().height())

    def set_channels(self, channels: Sequence[Channel]) -> None:
        """Create one strip per channel, on or off as it says; nothing is kept from previous strips.

        A channel with a display window starts with it, the others with Auto.
        """
        for strip in self._strips:
            self._column.removeWidget(strip)
            strip.hide()
            strip.deleteLater()
        self._strips = [self._make_strip(i, channel) for i, channel in enumerate(channels)]
        self._shown = list(range(len(self._strips)))

    def _make_strip(self, i: int, channel: Channel) -> ChannelStrip:
        strip = ChannelStrip(channel, self._list)
        self._column.insertWidget(i, strip)
        strip.visible_changed.connect(partial(self.visible_changed.emit, i))
        strip.auto_changed.connect(partial(self.auto_changed.emit, i))
        strip.window_changed.connect(partial(self.window_changed.emit, i))
        strip.color_changed.connect(partial(self.color_changed.emit, i))
        strip.solo_clicked.connect(partial(self.solo, i))
        return strip

    def show_only(self, indices: Collection[int]) -> None:
        """Show the strips of these channels; the others keep what was chosen for them."""
        shown = [i for i in range(len(self._strips)) if i in indices]
        if shown != self._shown:
            self._shown = shown
            for i, strip in enumerate(self._strips):
                strip.setVisible(i in indices)

    def shown(self) -> list[int]:
        """The channels whose strips are shown."""
        return list(self._shown)

    def __len__(self) -> int:
        return len(self._strips)

    def __bool__(self) -> bool:
        return True  # the pane stays even if empty

    def strip(self, i: int) -> ChannelStrip:
        """The widgets of channel `i`."""
        return self._strips[i]

    def is_3d(self) -> bool:
        """Whether 3D is selected."""
        return self._is_3d

    def set_3d(self, is_3d: bool) -> None:
        """Show 2D or 3D as selected."""
        self._is_3d = is_3d
        (self._volume if is_3d else self._flat).setChecked(True)

    def set_3d_enabled(self, enabled: bool, why: str = "") -> None:
        """Enable or disable 3-D; the tooltip says `why` not."""
        self._volume.setEnabled(enabled)
        self._volume.setToolTip("The whole z stack as a volume" if enabled else plain_tooltip(why))

    def set_window(self, i: int, low: float, high: float) -> None:
        """Show the contrast window of channel `i`, in pixel values; bounds widen to include it."""
        self._strips[i].set_window(low, high)

    def set_auto(self, i: int, auto: bool) -> None:
        """Show whether the contrast of channel `i` is automatic."""
        self._strips[i].set_auto(auto)

    def set_visible_channel(self, i: int, visible: bool) -> None:
        """Show whether channel `i` is on."""
        self._strips[i].set_visible_channel(visible)

    def set_color(self, i: int, color: str) -> None:
        """Choose `color` ("#RRGGBB") for channel `i`."""
        self._strips[i].set_color(color)

    def set_range(self, i: int, low: float, high: float) -> None:
        """Set the pixel values spanned by the slider and histogram of channel `i`.

        Two ints mean integer data, floats mean steps of any size. The range of the actual data
        is more useful than that of the dtype: 12-bit data on 65,536 values is all at the left.
        """
        self._strips[i].set_range(low, high)

    def set_histogram(self, i: int, counts: np.ndarray, low: float, high: float) -> None:
        """Draw `counts` (bins,): bins of equal width from `low` to `high`."""
        self._strips[i].histogram.set_counts(counts, low, high)

    def set_state(self, i: int, text: str, details: str = "") -> None:
        """Show a problem with channel `i` ("not acquired"), `details` on request; empty if none."""
        self._strips[i].set_state(text, details)

    def window_of(self, i: int) -> tuple[float, float]:
        """(low, high) of channel `i`, exactly as set or chosen."""
        return self._strips[i].values.window

    def range_of(self, i: int) -> tuple[float, float]:
        """The range of the slider of channel `i`."""
        return self._strips[i].values.bounds

    def is_auto(self, i: int) -> bool:
        """Whether Auto is on for channel `i`."""
        return bool(self._strips[i].auto.isChecked())

    def is_channel_visible(self, i: int) -> bool:
        """Whether channel `i` is on."""
        return bool(self._strips[i].on.isChecked())

    def color_of(self, i: int) -> str:
        """The colour of channel `i`, ``"#RRGGBB"``."""
        return str(self._strips[i].dot.color.name().upper())

    def chosen_color(self, i: int) -> str:
        """The colour that was chosen for channel `i`; empty while it is shown as the dataset wants it."""
        return self._strips[i].chosen_color

    def state_text(self, i: int) -> str:
        """The text last given to `set_state` for channel `i`."""
        return str(self._strips[i].state.text())

    @safe_slot
    def solo(self, i: int) -> None:
        """Show only channel `i`, or all if it was the only one. Emits `visible_changed` like a click."""
        alone = [self.is_channel_visible(k) == (k == i) for k in self.shown()]
        for k in self.shown():
            visible = all(alone) or k == i
            if visible != self.is_channel_visible(k):
                self.set_visible_channel(k, visible)
                self.visible_changed.emit(k, visible)

    @safe_slot
    def _on_mode_clicked(self) -> None:
        if self._volume.isChecked() != self._is_3d:
            self._is_3d = self._volume.isChecked()
            self.mode_changed.emit(self._is_3d)
