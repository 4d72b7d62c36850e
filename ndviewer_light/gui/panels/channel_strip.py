"""One channel of the right-hand pane: its dot, name, contrast mode, On, histogram and contrast window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QTextOption
from qtpy.QtWidgets import (
    QColorDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...rendering.contrast import ContrastMode
from ..look.menu_key import MenuKey
from ..look.push_button import PushButton
from ..look.short_names import fitting_end
from ..look.theme import colors_of, digits_font, menu_of, plain_tooltip, set_role
from ..slots import safe_slot
from .color_menu import color_menu, dot_color, is_choice, is_reversed
from .contrast_menu import MODE_TIPS, add_modes, widest_mode
from .histogram import Histogram
from .number_field import NumberField
from .state_note import StateNote
from .window_slider import ValueRange, WindowSlider

if TYPE_CHECKING:
    from ...model import Channel

_UNSEEN = "Limits once it is on"
_WHERE_SET = "Limits and gamma are set with the slider below"
_SOLO_KEYS = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier


class ElidedLabel(QWidget):
    """One line of plain text, shortened in the middle if it does not fit: names often differ at their ends.

    Its first `common` letters, which other labels begin with as well, are left out first.
    """

    common = 0

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.set_text(text)

    def text(self) -> str:
        """The full text."""
        return self._text

    def shown_text(self) -> str:
        """The part that currently fits."""
        metrics, text = self.fontMetrics(), " ".join(self._text.split())

        def fits(part: str) -> bool:
            return int(metrics.horizontalAdvance(part)) <= self.width()

        if self.common and not fits(text):
            text = " ".join(fitting_end(self._text, self.common, fits).split())
        return str(metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, self.width()))

    def set_text(self, text: str) -> None:
        """Show `text`; the tooltip has all of it."""
        self._text = text
        self.setToolTip(plain_tooltip(text))
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._text), metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance("M…"), self.fontMetrics().height())

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        option = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        option.setWrapMode(QTextOption.WrapMode.NoWrap)
        painter.setPen(colors_of(self).text)
        painter.drawText(QRectF(self.rect()), self.shown_text(), option)
        painter.end()


class _Dot(QToolButton):
    """The channel's colour; click to choose another."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.color = QColor("white")
        self.setFixedSize(18, 18)
        set_role(self, "dot")

    @safe_slot
    def paintEvent(self, event: Any) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = QColor(colors_of(self).text)
        edge.setAlpha(110)  # a black or white channel still has an outline
        painter.setPen(QPen(edge, 1))
        painter.setBrush(self.color)
        painter.drawEllipse(QPointF(self.width() / 2, self.height() / 2), 5, 5)
        painter.end()


class _OnButton(PushButton):
    """Shows or hides the channel; with Alt or Ctrl, shows only this channel."""

    solo_clicked = Signal()

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and event.modifiers() & _SOLO_KEYS:
            self.solo_clicked.emit()
            event.accept()
        else:
            super().mousePressEvent(event)


class ChannelStrip(QFrame):
    """The controls of one channel. Setters are silent; signals report user actions."""

    visible_changed = Signal(bool)
    mode_chosen = Signal(object)
    """A `ContrastMode`."""
    window_changed = Signal(float, float)
    gamma_changed = Signal(float)
    color_changed = Signal(str)
    solo_clicked = Signal()

    def __init__(self, channel: Channel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = ValueRange()
        self.chosen_color = ""
        """What was chosen instead of what the dataset wants (see `color_menu`); else empty."""
        self._dialog: QColorDialog | None = None
        self._mode = self._automatic = ContrastMode.RUN
        set_role(self, "card")
        self._make_widgets()
        self._lay_out()
        self._connect()
        self._call(channel.name)
        self._show(channel)

    def begin(self, channel: Channel) -> None:
        """Be like a new strip for this channel: nothing is kept of what was set or shown."""
        if channel.name != self.name.text():
            self._call(channel.name)
        self.values.begin()
        self.chosen_color = ""
        if self._dialog is not None:
            self._dialog.close()
        self._automatic = ContrastMode.RUN
        self.histogram.set_counts((), 0, 1)
        self.histogram.set_gamma(1.0)
        self.set_saturated(0)
        self.set_not_finite(0, 0)
        self.set_state("")
        for field in (self.low, self.high):
            field.setModified(False)
        self._show(channel)

    def _show(self, channel: Channel) -> None:
        self._shown_color = channel.color + ("_r" if channel.inverted else "")
        self._show_color(self._shown_color)
        self.on.setChecked(channel.visible)
        self.set_mode(ContrastMode.RUN if channel.window is None else ContrastMode.MANUAL)
        if channel.window is not None:
            self.values.set_window(*channel.window)
        self._show_values()

    def _call(self, name: str) -> None:
        """Be the strip of the channel of this name."""
        self.name.set_text(name)
        self.dot.setAccessibleName(f"Colour of {name}")
        self.auto.setAccessibleName(f"Contrast of {name}")
        self.on.setAccessibleName(f"Show {name}")
        self.histogram.setAccessibleName(f"Histogram of {name}")
        self.slider.setAccessibleName(f"Limits of {name}")
        self.low.setAccessibleName(f"Low of {name}")
        self.high.setAccessibleName(f"High of {name}")

    def _make_widgets(self) -> None:
        self.name = ElidedLabel(parent=self)
        self.dot = _Dot(self)
        self.dot.setToolTip("Change colour")
        self.auto = PushButton(parent=self)
        self.auto.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.auto.setProperty("says", "mode")
        self.auto.setFixedWidth(widest_mode(self.auto) + 14)  # nothing moves when the mode changes
        self.on = _OnButton("On", self)
        self.on.setToolTip(
            "Show or hide this channel\nAlt or Ctrl + click: this channel alone; again: those shown before"
        )
        for button in (self.auto, self.on):
            button.setCheckable(True)
            button.setAutoDefault(False)
            set_role(button, "chip")
        self.histogram = Histogram(self.values, self)
        self.histogram.setToolTip("Drag the ends to set the limits, the middle to set gamma")
        self.slider = WindowSlider(self.values, self)
        self.slider.setToolTip(
            "Limits: drag an end, or what is between them; arrow keys move an end, with Ctrl ↑ ↓ change gamma"
        )
        self.low = self._number_field("Lower limit: values below it are black")
        self.high = self._number_field("Upper limit: values above it are fully bright")
        self.high.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.saturated = QLabel(self)
        self.saturated.setTextFormat(Qt.TextFormat.PlainText)
        self.saturated.setToolTip("Pixels at the highest value of the detector, in the plane in view")
        self.not_finite = QLabel(self)
        self.not_finite.setTextFormat(Qt.TextFormat.PlainText)
        self.not_finite.setToolTip(
            "Pixels without a number, in the plane in view: NaN is drawn black, inf as above all limits"
        )
        for label in (self.saturated, self.not_finite):
            set_role(label, "warning")
            label.hide()
        self.state = StateNote(self.histogram)

    def _number_field(self, tip: str) -> NumberField:
        field = NumberField(tip, self)
        field.setFont(digits_font(self))
        field.setMinimumWidth(40)
        field.setPlaceholderText("–")
        set_role(field, "number")
        return field

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self.dot)
        top.addWidget(self.name, 1)
        top.addWidget(self.saturated)
        top.addWidget(self.not_finite)
        top.addWidget(self.on)
        numbers = QHBoxLayout()
        numbers.setSpacing(2)
        numbers.addWidget(self.low, 1)
        numbers.addWidget(self.auto)
        numbers.addWidget(self.high, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.histogram)
        column.addWidget(self.slider)
        column.addLayout(numbers)

    def _connect(self) -> None:
        self.dot.clicked.connect(self._on_dot_clicked)
        self.auto.clicked.connect(self._on_auto_clicked)
        self.auto.customContextMenuRequested.connect(self._on_mode_menu)
        MenuKey(self.auto, lambda: self._on_mode_menu(self.auto.rect().bottomLeft()))
        self.histogram.moved.connect(self._on_slider_moved)
        self.histogram.gamma_moved.connect(self.gamma_changed)
        self.slider.gamma_stepped.connect(self.histogram.step_gamma)
        self.on.clicked.connect(self._on_on_clicked)
        self.on.solo_clicked.connect(self.solo_clicked)
        self.slider.moved.connect(self._on_slider_moved)
        self.low.editingFinished.connect(self._on_low_edited)
        self.high.editingFinished.connect(self._on_high_edited)

    def set_color(self, choice: str) -> None:
        """Choose a colour ("#RRGGBB") or lookup table for the channel; white if there is no such."""
        choice = choice if is_choice(choice) else "#FFFFFF"
        self._show_color(choice)
        self.chosen_color = self._shown_color = choice

    def _show_color(self, choice: str) -> None:
        self.dot.color = self.histogram.color = dot_color(choice)
        self.histogram.is_reversed = is_reversed(choice)
        self.dot.update()
        self.histogram.update()

    def set_window(self, low: float, high: float) -> None:
        """Set the contrast window in pixel values."""
        self.values.set_window(low, high)
        self._show_values()

    def set_range(self, low: float, high: float) -> None:
        """Set the range of the slider; two ints mean integer data."""
        self.values.set_bounds(low, high)
        self._show_values()

    def set_mode(self, mode: ContrastMode) -> None:
        """Show how the limits are chosen."""
        self._mode = mode
        if mode.is_automatic:
            self._automatic = mode
        self.auto.setText(mode.value)
        self.auto.setChecked(mode.is_automatic)
        self.auto.setToolTip(
            MODE_TIPS[mode]
            + "\nClick: "
            + ("keep these limits" if mode.is_automatic else f"automatic ({self._automatic.value.lower()})")
            + "; right-click: other modes"
        )

    @property
    def mode(self) -> ContrastMode:
        """How the limits are chosen, as shown."""
        return self._mode

    def set_gamma(self, gamma: float) -> None:
        """Show the exponent of the brightness curve."""
        self.histogram.set_gamma(gamma)

    def set_saturated(self, fraction: float) -> None:
        """Say how many pixels are saturated (0 to 1); nothing if none is."""
        self._mark(self.saturated, "sat", fraction)

    def set_not_finite(self, nan: float, infinite: float) -> None:
        """Say how many pixels (0 to 1) are NaN and how many are infinite; nothing if none is."""
        names = [name for name, fraction in (("NaN", nan), ("inf", infinite)) if fraction > 0]
        self._mark(self.not_finite, ", ".join(names), nan + infinite)

    @staticmethod
    def _mark(label: QLabel, what: str, fraction: float) -> None:
        label.setText(f"{what} {_percentage(fraction)}" if fraction > 0 else "")
        label.setVisible(fraction > 0)

    def set_visible_channel(self, visible: bool) -> None:
        """Set whether On is shown as pressed."""
        self.on.setChecked(visible)
        self._say_whether_seen()

    def set_state(self, text: str, details: str = "") -> None:
        """Say over the histogram what is wrong with the channel; empty if nothing is. See `StateNote`."""
        self.state.say(text, details)
        self._say_whether_seen()

    def _say_whether_seen(self) -> None:
        is_unseen = not self.values.is_known and not self.on.isChecked() and not self.state.said
        self.histogram.say(_UNSEEN if is_unseen else "")
        described = _UNSEEN if is_unseen else _WHERE_SET
        if described != self.histogram.accessibleDescription():
            self.histogram.setAccessibleDescription(described)

    def _show_values(self) -> None:
        self._say_whether_seen()
        self.slider.update()
        self.histogram.update()
        self._write_numbers()

    def _write_numbers(self) -> None:
        values = self.values
        for field, value in zip((self.low, self.high), values.window, strict=True):
            if values.is_known:
                field.say(values.texts(value), values.exact_text(value))
            else:
                field.say(("",), "")

    def _user_chose_window(self) -> None:
        if self._mode.is_automatic:
            self._choose_mode(ContrastMode.MANUAL)
        self._show_values()
        self.window_changed.emit(*self.values.window)

    @safe_slot
    def _on_slider_moved(self) -> None:
        self._user_chose_window()

    @safe_slot
    def _on_low_edited(self) -> None:
        self._take_number(self.low, 0)

    @safe_slot
    def _on_high_edited(self) -> None:
        self._take_number(self.high, 1)

    def _take_number(self, field: NumberField, which: int) -> None:
        if not field.isModified():
            return
        field.setModified(False)
        before, value = self.values.window, _number(field.text())
        if value is not None:
            self.values.type_in(which, value)
        if self.values.window != before:
            self._user_chose_window()
        self._write_numbers()
        if field.hasFocus():  # the next number replaces this one
            field.selectAll()

    @safe_slot
    def _on_auto_clicked(self, checked: bool) -> None:
        self._choose_mode(self._automatic if checked else ContrastMode.MANUAL)

    def _choose_mode(self, mode: ContrastMode) -> None:
        self.set_mode(mode)
        self.mode_chosen.emit(mode)

    @safe_slot
    def _on_mode_menu(self, at: Any) -> None:
        menu = menu_of(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_modes(menu, self._mode, self._choose_mode)
        menu.popup(self.auto.mapToGlobal(at))

    @safe_slot
    def _on_on_clicked(self, checked: bool) -> None:
        self._say_whether_seen()
        self.visible_changed.emit(checked)

    @safe_slot
    def _on_dot_clicked(self) -> None:
        menu = color_menu(self, self._shown_color, self._choose_color, self._choose_other_color)
        menu.popup(self.dot.mapToGlobal(self.dot.rect().bottomLeft()))

    def _choose_color(self, choice: str) -> None:
        self.set_color(choice)
        self.color_changed.emit(choice)

    @safe_slot
    def _choose_other_color(self) -> None:
        if self._dialog is None:
            self._dialog = QColorDialog(self)  # deleted with the strip
            self._dialog.setWindowTitle("Channel colour")
            self._dialog.colorSelected.connect(self._on_color_chosen)
        self._dialog.setCurrentColor(self.dot.color)
        self._dialog.open()

    @safe_slot
    def _on_color_chosen(self, color: QColor) -> None:
        self._choose_color(color.name().upper() + ("_r" if is_reversed(self._shown_color) else ""))


def _percentage(fraction: float) -> str:
    percent = 100 * fraction
    if percent >= 1:
        return f"{min(percent, 99 if fraction < 1 else 100):.0f} %"
    return f"{max(percent, 0.01):.1g} %"


def _number(text: str) -> float | None:
    """The finite number in `text`, with decimal point or comma; None if there is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
