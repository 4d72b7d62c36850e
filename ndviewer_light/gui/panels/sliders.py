"""The T, Z and FOV rows below the canvas: play button, name, slider, follow light and readable value."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSignalBlocker, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QWidget,
)

from ..look.icon_files import icon
from ..look.one_line_label import OneLineLabel
from ..look.theme import (
    Panel,
    digits_font,
    heading_font,
    set_role,
)
from ..slots import safe_slot
from .follow_light import FollowLight
from .projection_control import ProjectionControl
from .time_strip import TimeStrip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ...engine.projections import StackProjection
    from ...engine.state_codes import TimeState
    from ..following.follow import FollowMode

logger = logging.getLogger(__name__)

SLIDER_PLAY_INTERVAL_MS = 100
ROWS = (("t", "T", "time"), ("z", "Z", "z"), ("p", "FOV", "field of view"))
"""Axis, name on screen, name for a screen reader; in the order of the rows."""
_MEASURED_TEXTS = 64
_PAGES = {Qt.Key.Key_PageUp: 1, Qt.Key.Key_PageDown: -1}
"""As in any slider of Qt: up is more."""
_WIDEST_VALUE = 200
"""px; a longer text is cut where the window is narrow."""


class JumpSlider(QSlider):
    """A horizontal slider that jumps to a click, and moves one step per wheel notch."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._wheel_angle = 0
        self.page: Callable[[int], None] | None = None
        """What the page keys do, forwards (1) or backwards (-1); None: as in any slider."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(60)

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        x = round(event.position().x() if hasattr(event, "position") else event.pos().x())
        if event.button() == Qt.MouseButton.LeftButton and not self._handle_contains(x):
            self.setValue(self._value_at(x))
        super().mousePressEvent(event)  # the handle is now under the mouse: a drag may follow

    @safe_slot
    def wheelEvent(self, event: Any) -> None:
        delta = event.angleDelta()
        self._wheel_angle += delta.y() or delta.x()
        notches = int(self._wheel_angle / 120)
        self._wheel_angle -= notches * 120
        self.setValue(self.value() + notches)
        event.accept()

    @safe_slot
    def keyPressEvent(self, event: Any) -> None:
        step = _PAGES.get(event.key())
        if self.page is not None and step is not None:
            self.page(step)
        else:
            super().keyPressEvent(event)

    def _rects(self) -> tuple[Any, Any]:
        option, control = QStyleOptionSlider(), QStyle.ComplexControl.CC_Slider
        self.initStyleOption(option)
        groove = self.style().subControlRect(control, option, QStyle.SubControl.SC_SliderGroove, self)
        handle = self.style().subControlRect(control, option, QStyle.SubControl.SC_SliderHandle, self)
        return groove, handle

    @property
    def end_margin(self) -> int:
        """How far from its ends the handle is centred on the first and last value, in pixels."""
        _, handle = self._rects()
        return int(handle.width()) // 2

    def _handle_contains(self, x: int) -> bool:
        _, handle = self._rects()
        return bool(handle.left() <= x <= handle.right())

    def _value_at(self, x: int) -> int:
        groove, handle = self._rects()
        span = groove.width() - handle.width()
        at = x - groove.left() - handle.width() // 2
        return int(QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), at, span))


class _Row(QObject):
    """The five widgets of one axis and their interaction.

    `name` takes the place of the name of the axis. `instead` is shown in the place of the slider, and nothing
    played, once it is `set_aside`.
    """

    moved = Signal(str, int)
    playing_changed = Signal()
    play_started = Signal(str)
    light_clicked = Signal(str)

    def __init__(
        self,
        panel: AxisSliders,
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
        self.play = QToolButton(panel)
        self.play.setCheckable(True)
        self.play.setIconSize(QSize(16, 16))
        self.play.setFixedSize(26, 24)
        self.play.setAccessibleName(f"Play {spoken}")
        self.play.setToolTip(f"Play {spoken}")
        set_role(self.play, "chip")
        self.slider = JumpSlider(panel)
        self.slider.setRange(0, 0)
        self.slider.setAccessibleName(spoken)
        self.slider.setToolTip(f"Go through {spoken}: drag, wheel, or arrow keys")
        self.light = FollowLight(spoken, panel)
        self.has_light = False
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
        return (self.play, self.name, self.slider, self.light, self.value)

    def show(self, visible: bool) -> None:
        if not visible:
            self.play.setChecked(False)
        for widget in self.widgets:
            widget.setVisible(visible and (widget is not self.light or self.has_light))
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

    def step(self) -> None:
        self.slider.setValue((self.slider.value() + 1) % (self.slider.maximum() + 1))

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
        step = max(1, self.size // _MEASURED_TEXTS)
        samples = [*range(0, self.size, step), self.size - 1]
        metrics = self.value.fontMetrics()
        self._take_width(max(metrics.horizontalAdvance(self.text(i)) for i in samples) + 2)
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


class AxisSliders(Panel):
    """Rows for time, z and position; a row shows while its axis has more than one value.

    GUI thread only. Axes are ``"t"``, ``"z"`` and ``"p"``, indices count from 0.
    """

    moved = Signal(str, int)
    """(axis, index): the user, or play, moved a slider. Never sent for `set_index` or `set_sizes`."""
    play_started = Signal(str)
    """The axis that starts to play."""
    projection_changed = Signal()
    """The user projects the stack in another way."""
    light_clicked = Signal(str)
    """The axis whose follow light was clicked; `set_follow_mode` changes the light."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._busy: Callable[[], bool] = lambda: False
        self._timer = QTimer(self)
        self._timer.setInterval(SLIDER_PLAY_INTERVAL_MS)
        self._timer.timeout.connect(self._play_step)
        grid = QGridLayout(self)
        grid.setContentsMargins(6, 4, 6, 4)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(2, 1)
        self._projection = ProjectionControl(self)
        self._projection.changed.connect(self._on_projection_changed)
        self._rows: dict[str, _Row] = {}
        for line, (axis, name, spoken) in enumerate(ROWS):
            if axis == "z":
                row = _Row(self, axis, self._projection.button, spoken, self._projection.range)
                grid.addWidget(self._projection.range, 2 * line, 2)
            else:
                row = _Row(self, axis, self._name(name), spoken)
            for column, widget in enumerate(row.widgets):
                grid.addWidget(widget, 2 * line, column)
            grid.setAlignment(row.value, Qt.AlignmentFlag.AlignRight)  # of different widths, see `measure`
            row.playing_changed.connect(self._on_playing_changed)
            row.moved.connect(self.moved)
            row.play_started.connect(self.play_started)
            row.light_clicked.connect(self.light_clicked)
            self._rows[axis] = row
        self._strip = TimeStrip(self)
        self._strip.picked.connect(self._on_time_picked)
        grid.addWidget(self._strip, 1, 2)
        self._strip.setVisible(False)
        self._draw_icons()

    def _name(self, name: str) -> QLabel:
        label = QLabel(name, self)
        label.setFont(heading_font(label))
        set_role(label, "dim")
        return label

    def set_sizes(self, sizes: Mapping[str, int]) -> None:
        """Set the axis lengths: ``{"t": 3, "p": 12, "z": 5}``; omitted axes keep theirs.

        An index beyond the new length becomes the last one, without `moved`.
        """
        for axis, size in sizes.items():
            if axis in self._rows:
                self._rows[axis].resize(size)
                if axis == "z":
                    self._projection.resize(size)
        self._strip.setVisible(self._rows["t"].size > 1)

    def set_index(self, axis: str, index: int) -> None:
        """Show `index` (clamped to the axis) without emitting `moved`."""
        self._rows[axis].go_to(index)

    def index(self, axis: str) -> int:
        """The current index of `axis`."""
        return self._rows[axis].index

    @property
    def projection(self) -> StackProjection | None:
        """How the stack is projected; None: one plane is shown, as where there is only one."""
        return self._projection.projection if self._rows["z"].size > 1 else None

    def show_projection(self, projection: StackProjection | None) -> None:
        """Project the stack so, without emitting `projection_changed`."""
        self._projection.show(projection)
        self._set_aside()

    def show_volume(self, is_volume: bool) -> None:
        """Let the row of z clip a volume, or show planes again."""
        if is_volume != self._projection.is_volume:
            self._projection.show_volume(is_volume)
            self._set_aside()

    def begin_anew(self) -> None:
        """Another dataset: one plane of a stack, and all of a volume."""
        self._projection.begin_anew()
        self._set_aside()

    def _set_aside(self) -> None:
        shown = self._projection
        self._rows["z"].set_aside(shown.is_volume or shown.projection is not None)

    def toggle_projection(self) -> None:
        """Project the stack, as it was done last, or show one plane of it again."""
        if self._rows["z"].size > 1 and not self._projection.is_volume:
            self._projection.toggle()

    @property
    def projection_control(self) -> ProjectionControl:
        """What is in the Z row for it."""
        return self._projection

    @safe_slot
    def _on_projection_changed(self) -> None:
        self._set_aside()
        self.projection_changed.emit()

    def group_size(self, axis: str) -> int | None:
        """How many indices the slider of `axis` runs over, if not over all."""
        return self._rows[axis].group_size

    def set_groups(
        self,
        axis: str,
        group_of: Callable[[int], Sequence[int]] | None,
        page_of: Callable[[int, int], int] | None = None,
    ) -> None:
        """Let the slider of `axis` run over the indices that belong with the one in view; None: over all.

        `index`, `set_index` and `moved` go on counting all of them. `page_of(index, step)` is where the page
        keys lead, forwards (1) or backwards (-1).
        """
        self._rows[axis].group_by(group_of, page_of)

    def size(self, axis: str | None = None) -> Any:
        """The number of values of `axis`; without an axis, the widget's QSize."""
        return super().size() if axis is None else self._rows[axis].size

    def slider(self, axis: str) -> QSlider:
        """The slider of `axis`, for hosts that set focus or tooltips."""
        return self._rows[axis].slider

    def play_button(self, axis: str) -> QToolButton:
        """The play button of `axis`."""
        return self._rows[axis].play

    def value_text(self, axis: str) -> str:
        """The text shown in the row of `axis`."""
        return str(self._rows[axis].value.text())

    def set_value_text(self, axis: str, text_of: Callable[[int], str]) -> None:
        """Show `text_of(index)` in the row of `axis`; "3 / 6" if it raises. Call again when it changes."""
        self._rows[axis].name_values(text_of)

    def set_busy_check(self, busy: Callable[[], bool]) -> None:
        """Skip playback steps while `busy()` is true, so that every frame is seen."""
        self._busy = busy

    def is_playing(self) -> bool:
        """Whether any axis is playing."""
        return any(row.play.isChecked() for row in self._rows.values())

    def stop_playing(self, axes: Iterable[str] | None = None) -> None:
        """Release the play buttons of these axes; by default every one."""
        for axis in self._rows if axes is None else axes:
            self._rows[axis].play.setChecked(False)

    def set_time_states(self, states: Sequence[TimeState]) -> None:
        """Show below the T slider what is there of each time point; nothing while that is unknown."""
        self._strip.margin = self._rows["t"].slider.end_margin
        self._strip.set_states(states)

    @property
    def time_strip(self) -> TimeStrip:
        """The bar below the T slider."""
        return self._strip

    def show_lights(self, shown: bool) -> None:
        """Show the follow lights, or none: where nothing new can come, there is nothing to follow."""
        for row in self._rows.values():
            if row.has_light != shown:
                row.has_light = shown
                row.light.setVisible(shown and row.size > 1)

    def set_follow_mode(self, axis: str, mode: FollowMode) -> None:
        """Show in the light of `axis` whether it follows the newest plane."""
        if self._rows[axis].light.mode is not mode:
            self._rows[axis].light.set_mode(mode, self.colors)

    def light(self, axis: str) -> FollowLight:
        """The follow light of `axis`."""
        return self._rows[axis].light

    def palette_changed(self) -> None:
        if hasattr(self, "_rows"):
            self._draw_icons()

    def _draw_icons(self) -> None:
        for row in self._rows.values():
            drawing = icon("play", self.colors.text, checked="pause")
            row.play.setIcon(drawing)
            row.play.setText("▶" if drawing.isNull() else "")
            row.light.draw(self.colors)

    @safe_slot
    def _on_time_picked(self, index: int) -> None:
        self._rows["t"].slider.setValue(index)

    @safe_slot
    def _on_playing_changed(self) -> None:
        if not self.is_playing():
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start()

    @safe_slot
    def _play_step(self) -> None:
        if self._busy():
            return
        for row in self._rows.values():
            if row.play.isChecked():
                row.step()
