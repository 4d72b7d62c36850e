"""One row of the sliders: the widgets of an axis, and their interaction."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.one_line_label import OneLineLabel
from ..look.theme import digits_font, set_role
from ..slots import safe_slot
from .follow_light import FollowLight
from .jump_slider import JumpSlider
from .play_button import PlayButton

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

_MEASURED_TEXTS = 64
_ALIKE_DIGITS = str.maketrans("123456789", "000000000")
"""Digits are as wide as each other: of texts that differ in these only, one is measured."""
_WIDEST_VALUE = 200
"""px; a longer text is cut where the window is narrow."""
_WIDEST_RATE = "0.0 fps"


class AxisRow(QObject):
    """The widgets of one axis and their interaction.

    `name` takes the place of the name of the axis. `instead` is shown in the place of the slider, and nothing
    played, once it is `set_aside`.
    """

    moved = Signal(str, int)
    playing_changed = Signal()
    play_started = Signal(str)
    light_clicked = Signal(str)

    def __init__(
        self,
        panel: QWidget,
        axis: str,
        name: QWidget,
        spoken: str,
        instead: QWidget | None = None,
    ) -> None:
        super().__init__(panel)
        self.axis = axis
        self.name = name
        self.instead = instead
        self._is_aside = False
        self.size = 1
        self._group_of: Callable[[int], Sequence[int]] | None = None
        self._page_of: Callable[[int, int], int] | None = None
        self._group: Sequence[int] | None = None  # the indices the slider runs over, if not all
        self._text_of: Callable[[int], str] | None = None
        self.play = PlayButton(spoken, panel)
        self.slider = JumpSlider(panel)
        self.slider.setRange(0, 0)
        self.slider.setAccessibleName(spoken)
        self.slider.setToolTip(f"Go through {spoken}: drag, wheel, or arrow keys")
        self.light = FollowLight(spoken, panel)
        self.has_light = False
        self.has_rate = False
        self.rate = OneLineLabel(parent=panel)
        """How fast it is played: its room is kept, for nothing to move when that begins or ends."""
        self.rate.setFont(digits_font(self.rate))
        self.rate.setFixedWidth(self.rate.fontMetrics().horizontalAdvance(_WIDEST_RATE) + 2)
        self.rate.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.rate.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.value = OneLineLabel(parent=panel)
        self.value.setFont(digits_font(self.value))
        self.value.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.play.toggled.connect(self._on_play_toggled)
        self.slider.valueChanged.connect(self._on_value_changed)
        self.light.clicked.connect(self._on_light_clicked)
        self.show(False)

    @property
    def widgets(self) -> tuple[QWidget, ...]:
        return (self.play, self.name, self.slider, self.light, self.rate, self.value)

    def show(self, visible: bool) -> None:
        if not visible:
            self.play.setChecked(False)
        for widget in self.widgets:
            is_there = {self.light: self.has_light, self.rate: self.has_rate}.get(widget, True)
            widget.setVisible(visible and is_there)
        if self.instead is not None:
            self.slider.setVisible(visible and not self._is_aside)
            self.instead.setVisible(visible and self._is_aside)

    def set_aside(self, is_aside: bool) -> None:
        """Show `instead` in the place of the slider, or the slider again."""
        self._is_aside = is_aside
        if is_aside:
            self.play.setChecked(False)
        self.play.setEnabled(not is_aside)
        self.light.setEnabled(not is_aside)
        self.show(self.size > 1)
        self.measure()

    @property
    def index(self) -> int:
        """The index, of all values of the axis."""
        at = int(self.slider.value())
        return at if self._group is None else int(self._group[min(at, len(self._group) - 1)])

    @property
    def group_size(self) -> int | None:
        return None if self._group is None else len(self._group)

    def resize(self, size: int) -> None:
        """Set the number of values; the index stays if possible."""
        if max(1, size) == self.size:
            return  # called whenever anything has grown, and measuring texts takes a millisecond
        index, self.size = self.index, max(1, size)
        self._run_over(min(index, self.size - 1))
        self.show(self.size > 1)
        self.measure()

    def group_by(
        self,
        group_of: Callable[[int], Sequence[int]] | None,
        page_of: Callable[[int, int], int] | None,
    ) -> None:
        """Let the slider run over the indices that `group_of` gives for the one in view; None: over all."""
        index, self._group_of, self._page_of = self.index, group_of, page_of
        self.slider.page = self._turn_page if page_of is not None else None
        self._run_over(index)
        self.write_value()

    def _turn_page(self, step: int) -> None:
        index = self._page_of(self.index, step) if self._page_of is not None else self.index
        if index != self.index:
            self.go_to(index)
            self.moved.emit(self.axis, index)

    def _run_over(self, index: int) -> None:
        group = self._group_of(index) if self._group_of is not None else None
        self._group = group if group and index in group else None
        n = self.size if self._group is None else len(self._group)
        with QSignalBlocker(self.slider):
            self.slider.setMaximum(max(n, 1) - 1)
            self.slider.setValue(index if self._group is None else self._group.index(index))
        self.slider.setPageStep(max(1, n // 10))

    def go_to(self, index: int) -> None:
        """Move without emitting a signal."""
        if self._group_of is not None:
            self._run_over(min(max(index, 0), self.size - 1))
        with QSignalBlocker(self.slider):
            self.slider.setValue(index if self._group is None else self.slider.value())
        self.write_value()

    def leave_room_for_rate(self, is_there: bool) -> None:
        """Have room for saying how fast it is played, or none, where the sliders are narrow."""
        if is_there != self.has_rate:
            self.has_rate = is_there
            self.rate.setVisible(is_there and self.size > 1)

    def say_rate(self, text: str, tip: str = "", *, is_slow: bool = False) -> None:
        """Say how fast it is played; `tip` also where there is no room for that."""
        self.play.say_rate(tip)
        self.rate.say(text, tip)
        role = "warning" if is_slow else "dim"
        if self.rate.property("role") != role:
            set_role(self.rate, role)
            style = self.rate.style()
            style.unpolish(self.rate)  # for the property to be looked at again
            style.polish(self.rate)

    def name_values(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self.measure()

    def text(self, index: int) -> str:
        if self._text_of is not None:
            try:
                return str(self._text_of(index))
            except (LookupError, ValueError, TypeError, AttributeError):
                # the data may lag behind or be ahead of the slider: show the index regardless
                logger.debug("no text for index %d", index, exc_info=True)
        return f"{index + 1} / {self.size}"

    def measure(self) -> None:
        """Reserve room for the widest text, so that the slider does not jump while dragged."""
        if self.size == 1:  # it is not shown
            self.write_value()
            return
        step = max(1, self.size // _MEASURED_TEXTS)
        samples = [*range(0, self.size, step), self.size - 1]
        metrics = self.value.fontMetrics()
        texts = {self.text(i).translate(_ALIKE_DIGITS) for i in samples}
        widest = max(map(metrics.horizontalAdvance, texts))
        self._take_width(widest + 2)
        self.write_value()

    def _take_width(self, needed: int) -> None:
        """Names from data may be of any length: the window must not grow with them."""
        self.value.setMinimumWidth(min(needed, _WIDEST_VALUE))
        self.value.want_room(needed)

    def write_value(self) -> None:
        text = self.text(self.index)
        self.value.say(text)
        needed = self.value.fontMetrics().horizontalAdvance(self.value.text()) + 2
        if needed > self.value.room:
            self._take_width(needed)
        self.slider.setAccessibleDescription(text)

    @safe_slot
    def _on_value_changed(self) -> None:
        self.write_value()
        self.moved.emit(self.axis, self.index)

    @safe_slot
    def _on_play_toggled(self, playing: bool) -> None:
        self.playing_changed.emit()
        if playing:
            self.play_started.emit(self.axis)

    @safe_slot
    def _on_light_clicked(self) -> None:
        self.light_clicked.emit(self.axis)
