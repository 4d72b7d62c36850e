"""The right-hand pane: 2D or 3D, and one strip of controls per channel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ...model import Channel
from ..keyboard.keys import keys_of
from ..look.push_button import PushButton
from ..look.short_names import common_beginning
from ..look.theme import Panel, heading_font, plain_tooltip, set_role
from ..slots import safe_slot
from .channel_strip import ChannelStrip
from .contrast_menu import ContrastButton
from .one_channel import OneChannelRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy as np
    from qtpy.QtGui import QResizeEvent

    from ...rendering.contrast import ContrastMode

PREFERRED_WIDTH_PX = 280
_STRIPS_KEPT = 4
"""So many strips are there, hidden if there are fewer channels, for the datasets to come."""
_NO_CHANNEL = Channel("")
_VOLUME_TIP = "The whole z stack as a volume"


class ChannelStrips(Panel):
    """Strips for the channels of one dataset.

    GUI thread only. `i` is the channel index. Setters are silent; a signal always means
    a user action.
    """

    mode_changed = Signal(bool)
    """True: the user chose 3D."""
    visible_changed = Signal(int, bool)
    shown_for_now = Signal(int, bool)
    """(i, visible): like `visible_changed`, while one channel is looked at alone; not to be remembered."""
    contrast_mode_chosen = Signal(int, object)
    """(i, `ContrastMode`)."""
    window_changed = Signal(int, float, float)
    """(i, low, high) in pixel values. Sent after ``contrast_mode_chosen(i, MANUAL)`` if it was not manual."""
    gamma_changed = Signal(int, float)
    color_changed = Signal(int, str)
    """(i, choice): ``"#RRGGBB"`` or a lookup table, see `color_menu`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strips: list[ChannelStrip] = []
        self._spare: list[ChannelStrip] = []  # for channels to come, after the others
        self._shown: list[int] = []
        self.on_before: dict[int, bool] = {}
        """While one channel is shown alone: which were on before, by channel; they come back with `solo`."""
        self._is_logarithmic = True
        self._list = QWidget()
        self._list.setAutoFillBackground(False)
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(8, 0, 8, 8)
        self._column.setSpacing(8)
        self._left_out = QLabel(self._list)
        self._left_out.setTextFormat(Qt.TextFormat.PlainText)
        self._left_out.setWordWrap(True)
        self._left_out.hide()
        set_role(self._left_out, "warning")
        self._column.addWidget(self._left_out)
        self._type = QLabel(self)
        self._type.setTextFormat(Qt.TextFormat.PlainText)
        self._type.setWordWrap(True)
        self._type.setContentsMargins(8, 0, 8, 0)
        self._type.hide()
        set_role(self._type, "dim")
        self._column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._make_header())
        self.one = OneChannelRow(self)
        """Where there are many channels: the slider through them."""
        self.one.picked.connect(self.show_alone)
        self.one.toggled.connect(self.solo)
        layout.addWidget(self.one)
        layout.addWidget(self._type)
        self._area = self._make_scroll_area()
        layout.addWidget(self._area, 1)
        self.setMinimumWidth(200)

    def _make_header(self) -> QHBoxLayout:
        title = self._title = QLabel("CHANNELS", self)
        title.setFont(heading_font(title))
        set_role(title, "dim")
        self._flat, self._volume = PushButton("2D", self), PushButton("3D", self)
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setContentsMargins(8, 8, 8, 0)
        row.setSpacing(6)
        row.addWidget(title)
        row.addStretch(1)
        self.contrast = ContrastButton(self)
        self.contrast.mode_chosen.connect(self._on_mode_of_all_chosen)
        self.contrast.logarithmic_chosen.connect(self._on_logarithmic_chosen)
        row.addWidget(self.contrast)
        for button, tip in ((self._flat, "Single plane"), (self._volume, _VOLUME_TIP)):
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setToolTip(tip)
            button.setAccessibleName(f"{button.text()}: {tip}")
            set_role(button, "chip")
            group.addButton(button)
            row.addWidget(button)
        self._flat.setChecked(True)
        self._is_3d = False
        self.why_not_3d = ""
        """Why 3D cannot be selected; "" if it can."""
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

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """The title gives way where the buttons beside it need all of the width."""
        super().resizeEvent(event)
        buttons = sum(each.sizeHint().width() + 6 for each in (self.contrast, self._flat, self._volume))
        self._title.setVisible(self._title.sizeHint().width() + buttons + 16 <= self.width())

    def sizeHint(self) -> QSize:
        return QSize(PREFERRED_WIDTH_PX, super().sizeHint().height())

    def set_channels(self, channels: Sequence[Channel]) -> None:
        """Show one strip per channel, on or off as it says; nothing is kept of what was set before.

        A channel with a display window starts with it, the limits of others follow what is seen of the run.
        """
        common = common_beginning([channel.name for channel in channels])
        strips, self._strips, self._spare = [*self._strips, *self._spare], [], []
        for i, channel in enumerate(channels):
            if i < len(strips):
                strips[i].begin(channel)
                strips[i].show()
            else:
                strips.append(self._make_strip(i, channel))
            strips[i].name.common = common
        n = len(channels)
        self._strips, self._spare = strips[:n], strips[n : max(n, _STRIPS_KEPT)]
        for strip in self._spare:
            strip.hide()
        for strip in strips[max(n, _STRIPS_KEPT) :]:
            self._column.removeWidget(strip)
            strip.hide()
            strip.deleteLater()
        self._shown = list(range(n))
        self.on_before.clear()
        self._offer_one()
        self._say_mode_of_all()

    @property
    def slices(self) -> list[Callable[[], object]]:
        """What makes strips for the datasets to come, as each takes milliseconds."""
        return [self._make_spare] * _STRIPS_KEPT

    def _make_spare(self) -> None:
        n = len(self._strips) + len(self._spare)
        if n < _STRIPS_KEPT:
            strip = self._make_strip(n, _NO_CHANNEL)
            strip.hide()
            self._spare.append(strip)

    def _offer_one(self) -> None:
        self.one.offer(self._shown, [strip.name.text() for strip in self._strips])
        self.one.show_alone(self.alone)

    def say_left_out(self, n: int) -> None:
        """Say below the strips that there are `n` more channels, which cannot be shown here."""
        plural = "s are" if n > 1 else " is"
        self._left_out.setText(f"{n} more channel{plural} not shown; scripts can read all of them.")
        self._left_out.setVisible(n > 0)

    def say_type(self, shown: str, others: Sequence[str]) -> None:
        """Say above the strips of which type of pixels their limits are; nothing without `others`."""
        said = (
            f"Limits for pixels of {shown}. Those of {' and '.join(others)} have their own." if others else ""
        )
        if said != self._type.text():
            self._type.setText(said)
            self._type.setVisible(bool(said))

    def _make_strip(self, i: int, channel: Channel) -> ChannelStrip:
        strip = ChannelStrip(channel, self._list)
        strip.histogram.set_logarithmic(self._is_logarithmic)
        self._column.insertWidget(i, strip)
        strip.visible_changed.connect(partial(self.visible_changed.emit, i))
        strip.visible_changed.connect(self._on_visible_chosen)
        strip.mode_chosen.connect(partial(self.contrast_mode_chosen.emit, i))
        strip.mode_chosen.connect(self._say_mode_of_all)
        strip.window_changed.connect(partial(self.window_changed.emit, i))
        strip.gamma_changed.connect(partial(self.gamma_changed.emit, i))
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
            self._offer_one()

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

    def toggle_3d(self) -> None:
        """Select 3D, or 2D again, as if it were clicked."""
        (self._flat if self._is_3d else self._volume).click()

    def set_3d_enabled(self, enabled: bool, why: str = "") -> None:
        """Enable or disable 3D; the tooltip says `why` not."""
        self.why_not_3d = "" if enabled else why
        self._volume.setEnabled(enabled)
        self._volume.setToolTip(f"{_VOLUME_TIP} ({keys_of('volume')})" if enabled else plain_tooltip(why))

    def set_window(self, i: int, low: float, high: float) -> None:
        """Show the contrast window of channel `i`, in pixel values; bounds widen to include it."""
        self._strips[i].set_window(low, high)

    def set_contrast_mode(self, i: int, mode: ContrastMode) -> None:
        """Show how the limits of channel `i` are chosen."""
        self._strips[i].set_mode(mode)
        self._say_mode_of_all()

    def set_gamma(self, i: int, gamma: float) -> None:
        """Show the exponent of the brightness of channel `i`."""
        self._strips[i].set_gamma(gamma)

    def set_saturated(self, i: int, fraction: float) -> None:
        """Say which fraction (0 to 1) of the pixels of channel `i` is saturated."""
        self._strips[i].set_saturated(fraction)

    def set_not_finite(self, i: int, nan: float, infinite: float) -> None:
        """Say which fractions (0 to 1) of the pixels of channel `i` are NaN and infinite."""
        self._strips[i].set_not_finite(nan, infinite)

    def set_visible_channel(self, i: int, visible: bool) -> None:
        """Show whether channel `i` is on."""
        self._strips[i].set_visible_channel(visible)
        self.one.show_alone(self.alone)

    def set_color(self, i: int, color: str) -> None:
        """Choose a colour ("#RRGGBB") or lookup table (see `color_menu`) for channel `i`."""
        self._strips[i].set_color(color)

    def set_range(self, i: int, low: float, high: float) -> None:
        """Set the pixel values spanned by the slider and histogram of channel `i`.

        Two ints mean integer data, floats mean steps of any size. The range of the actual data
        is more useful than that of the dtype: 12-bit data on 65,536 values is all at the left.
        """
        self._strips[i].set_range(low, high)

    def set_histogram(self, i: int, counts: np.ndarray | Sequence[float], low: float, high: float) -> None:
        """Draw `counts` (bins,): bins of equal width from `low` to `high`; none if it is empty."""
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

    def contrast_mode(self, i: int) -> ContrastMode:
        """How the limits of channel `i` are chosen."""
        return self._strips[i].mode

    def gamma_of(self, i: int) -> float:
        """The exponent of the brightness of channel `i`."""
        return self._strips[i].histogram.gamma

    def is_channel_visible(self, i: int) -> bool:
        """Whether channel `i` is on."""
        return bool(self._strips[i].on.isChecked())

    def color_of(self, i: int) -> str:
        """The colour of channel `i`, ``"#RRGGBB"``."""
        return str(self._strips[i].dot.color.name().upper())

    def chosen_color(self, i: int) -> str:
        """The colour or table that was chosen for channel `i`; empty while it is as the dataset wants it."""
        return self._strips[i].chosen_color

    def state_text(self, i: int) -> str:
        """The text last given to `set_state` for channel `i`."""
        return self._strips[i].state.said

    @property
    def alone(self) -> int | None:
        """The only channel that is on, of those whose strips are shown; None if there are others, or none."""
        on = [k for k in self._shown if self.is_channel_visible(k)]
        return on[0] if len(on) == 1 else None

    @safe_slot
    def solo(self, i: int) -> None:
        """Show only channel `i` and its strip; if it is alone, those that were on before. `shown_for_now`.

        Where it was alone from the first, all of them.
        """
        if self.alone != i:
            self.show_alone(i)
            return
        before = [k for k in self._shown if self.on_before.get(k, self.is_channel_visible(k))]
        self._show_these(before if set(before) - {i} else self.shown())
        self.on_before.clear()

    @safe_slot
    def show_alone(self, i: int) -> None:
        """Show only channel `i`, and its strip. Emits `shown_for_now`."""
        if self.alone is None or not self.on_before:  # not from one that is alone to the next
            self.on_before = {k: self.is_channel_visible(k) for k in self._shown}
        self._show_these([i])
        self._show_strip_soon()

    def _show_strip_soon(self) -> None:
        """Once the strips have their places."""
        QTimer.singleShot(0, self._show_strip)

    @safe_slot
    def _show_strip(self) -> None:
        if self.alone is not None:
            self._area.ensureWidgetVisible(self._strips[self.alone], 0, 8)

    def step_alone(self, step: int) -> None:
        """Show the next (1) or previous (-1) channel alone; the first or last while several are shown."""
        shown = self.shown()
        if not shown:
            return
        at = shown.index(self.alone) + step if self.alone is not None else (0 if step > 0 else -1)
        self.show_alone(shown[at % len(shown)])

    def _show_these(self, channels: Sequence[int]) -> None:
        for k in self.shown():
            if (k in channels) != self.is_channel_visible(k):
                self.set_visible_channel(k, k in channels)
                self.shown_for_now.emit(k, k in channels)

    @safe_slot
    def _on_visible_chosen(self, *_: object) -> None:
        self.on_before.clear()  # another choice
        self.one.show_alone(self.alone)

    @safe_slot
    def _say_mode_of_all(self, *_: object) -> None:
        self.contrast.say({strip.mode for strip in self._strips})

    @safe_slot
    def _on_mode_of_all_chosen(self, mode: ContrastMode) -> None:
        for i, strip in enumerate(self._strips):
            if strip.mode is not mode:
                strip.set_mode(mode)
                self.contrast_mode_chosen.emit(i, mode)
        self._say_mode_of_all()

    @safe_slot
    def _on_logarithmic_chosen(self, is_logarithmic: bool) -> None:
        self._is_logarithmic = is_logarithmic
        for strip in self._strips:
            strip.histogram.set_logarithmic(is_logarithmic)

    @safe_slot
    def _on_mode_clicked(self) -> None:
        if self._volume.isChecked() != self._is_3d:
            self._is_3d = self._volume.isChecked()
            self.mode_changed.emit(self._is_3d)
