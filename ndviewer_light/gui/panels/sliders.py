"""The T, Z and Field rows below the canvas: play button, name, slider, follow light and readable value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QToolButton, QWidget

from ..look.icon_files import icon
from ..look.theme import Panel, heading_font, set_role
from ..slots import safe_slot
from .axis_row import AxisRow
from .held_paint import HeldPaint
from .playback import Playback
from .projection_control import ProjectionControl
from .time_strip import TimeStrip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qtpy.QtGui import QResizeEvent

    from ...engine.projections import StackProjection
    from ...engine.state_codes import TimeState
    from ..following.follow import FollowMode
    from .follow_light import FollowLight

ROWS = (("t", "T", "time"), ("z", "Z", "z"), ("p", "Field", "field of view"))
"""Axis, name on screen, name for a screen reader; in the order of the rows."""
_ROOM_FOR_RATE_PX = 480


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
        grid = QGridLayout(self)
        grid.setContentsMargins(6, 4, 6, 4)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(2, 1)
        self._projection = ProjectionControl(self)
        self._projection.changed.connect(self._on_projection_changed)
        self._rows: dict[str, AxisRow] = {}
        for line, (axis, name, spoken) in enumerate(ROWS):
            if axis == "z":
                row = AxisRow(self, axis, self._projection.button, spoken, self._projection.range)
                grid.addWidget(self._projection.range, line, 2)
            else:
                row = AxisRow(self, axis, self._name(name), spoken)
            for column, widget in enumerate(row.widgets):
                grid.addWidget(widget, line, column)
            grid.setAlignment(row.value, Qt.AlignmentFlag.AlignRight)  # of different widths, see `measure`
            row.moved.connect(self.moved)
            row.play_started.connect(self.play_started)
            row.light_clicked.connect(self.light_clicked)
            self._rows[axis] = row
        self.playback = Playback(self, tuple(self._rows.values()))
        """How fast axes are played, and what happens at their end."""
        self._strip = TimeStrip(self)
        self._strip.picked.connect(self._on_time_picked)
        # in the row of the slider, below its handle: the rows stay equally far from each other
        grid.addWidget(self._strip, 0, 2, Qt.AlignmentFlag.AlignBottom)
        self._strip.raise_()
        self._strip.setVisible(False)
        self.held_paint = HeldPaint(self)
        """What holds changes that come with each frame, for the frame to be painted with them."""
        self._draw_icons()

    @safe_slot
    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Where there is little room, sliders come before what is said of playing."""
        super().resizeEvent(event)
        for row in self._rows.values():
            row.leave_room_for_rate(self.width() >= _ROOM_FOR_RATE_PX)

    def _name(self, name: str) -> QLabel:
        label = QLabel(name, self)
        label.setFont(heading_font(label))
        set_role(label, "dim")
        return label

    def set_sizes(self, sizes: Mapping[str, int]) -> None:
        """Set the axis lengths: ``{"t": 3, "p": 12, "z": 5}``; omitted axes keep theirs.

        An index beyond the new length becomes the last one, without `moved`.
        """
        if any(axis in self._rows and self._rows[axis].size != size for axis, size in sizes.items()):
            self.held_paint.hold()  # what is followed comes with a frame
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

        `index`, `set_index` and `moved` still count all of them. `page_of(index, step)` is where the page
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

    def say_values_again(self, axis: str) -> None:
        """What is said of the values of `axis` has changed."""
        self._rows[axis].measure()

    def set_busy_check(self, busy: Callable[[], bool]) -> None:
        """Skip playback steps while `busy()` is true, so that every frame is seen."""
        self.playback.busy = busy

    def is_playing(self) -> bool:
        """Whether any axis is playing."""
        return self.playback.is_on

    def toggle_play(self) -> None:
        """Play the axis that was played last, at first the first there is; or stop."""
        if self.is_playing():
            self.stop_playing()
            return
        rows = [row for row in self._rows.values() if row.size > 1 and row.play.isEnabled()]
        rows.sort(key=lambda row: row.axis != self.playback.last)  # the others as they lie below each other
        if rows:
            rows[0].play.setChecked(True)

    def stop_playing(self, axes: Iterable[str] | None = None) -> None:
        """Release the play buttons of these axes; by default every one."""
        for axis in self._rows if axes is None else axes:
            self._rows[axis].play.setChecked(False)

    def set_time_states(self, states: Sequence[TimeState], front: int | None = None) -> None:
        """Show below the T slider what is there of each time point; see `TimeStrip.set_states`."""
        self._strip.margin = self._rows["t"].slider.end_margin
        if tuple(states) != self._strip.states:
            self.held_paint.hold()
        self._strip.set_states(states, front)

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
