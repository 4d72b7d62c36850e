"""One channel of the right-hand pane: its dot, name, Auto, On, histogram and contrast window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QPainter, QPen, QTextOption
from qtpy.QtWidgets import (
    QApplication,
    QColorDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..slots import safe_slot
from ..theme import colors_of, digits_font, plain_tooltip, set_role
from .window_slider import Histogram, ValueRange, WindowSlider

if TYPE_CHECKING:
    from ...model import Channel

_LONGEST_STATE = 200
_SOLO_KEYS = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier


class ElidedLabel(QWidget):
    """One line of plain text, shortened with an ellipsis if it does not fit."""

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
        line = " ".join(self._text.split())
        return str(self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, self.width()))

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


class _OnButton(QPushButton):
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
    auto_changed = Signal(bool)
    window_changed = Signal(float, float)
    color_changed = Signal(str)
    solo_clicked = Signal()

    def __init__(self, channel: Channel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = ValueRange()
        self.chosen_color = ""
        """``"#RRGGBB"`` of the colour that was chosen instead of what the dataset wants; else empty."""
        self._dialog: QColorDialog | None = None
        set_role(self, "card")
        self._make_widgets(channel.name)
        self._lay_out()
        self._connect()
        self._show_color(channel.color)
        self.on.setChecked(channel.visible)
        self.set_auto(channel.window is None)
        if channel.window is not None:
            self.set_window(*channel.window)
        self._write_numbers()

    def _make_widgets(self, name: str) -> None:
        self.name = ElidedLabel(name, self)
        self.dot = _Dot(self)
        self.dot.setAccessibleName(f"Colour of {name}")
        self.dot.setToolTip("Change colour")
        self.auto = QPushButton("Auto", self)
        self.auto.setAccessibleName(f"Automatic contrast of {name}")
        self.auto.setToolTip("Adjust contrast automatically")
        self.on = _OnButton("On", self)
        self.on.setAccessibleName(f"Show {name}")
        self.on.setToolTip("Show or hide this channel\nAlt or Ctrl + click: show only this channel")
        for button in (self.auto, self.on):
            button.setCheckable(True)
            button.setAutoDefault(False)
            set_role(button, "chip")
        self.histogram = Histogram(self.values, self)
        self.slider = WindowSlider(self.values, self)
        self.slider.setAccessibleName(f"Contrast window of {name}")
        self.low, self.high = (self._number_field(f"{which} of {name}") for which in ("Low", "High"))
        self.high.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.state = QLabel(self)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.state.setWordWrap(True)
        # a long file name must not widen the pane: it is shortened, with all of it in the tooltip
        self.state.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._details = ""
        copy = QAction("Copy details", self.state)
        copy.triggered.connect(self._on_copy_details)
        self.state.addAction(copy)
        self.state.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.state.hide()
        set_role(self.state, "warning")

    def _number_field(self, spoken: str) -> QLineEdit:
        field = QLineEdit(self)
        field.setFont(digits_font(self))
        field.setAccessibleName(spoken)
        field.setMinimumWidth(40)
        set_role(field, "number")
        return field

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self.dot)
        top.addWidget(self.name, 1)
        top.addWidget(self.auto)
        top.addWidget(self.on)
        numbers = QHBoxLayout()
        numbers.addWidget(self.low)
        numbers.addStretch(1)
        numbers.addWidget(self.high)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.state)
        column.addWidget(self.histogram)
        column.addWidget(self.slider)
        column.addLayout(numbers)

    def _connect(self) -> None:
        self.dot.clicked.connect(self._on_dot_clicked)
        self.auto.clicked.connect(self._on_auto_clicked)
        self.on.clicked.connect(self._on_on_clicked)
        self.on.solo_clicked.connect(self.solo_clicked)
        self.slider.moved.connect(self._on_slider_moved)
        self.low.editingFinished.connect(self._on_low_edited)
        self.high.editingFinished.connect(self._on_high_edited)

    def set_color(self, color: str) -> None:
        """Choose `color` ("#RRGGBB") for the channel; white if invalid."""
        self._show_color(color)
        self.chosen_color = str(self.dot.color.name().upper())

    def _show_color(self, color: str) -> None:
        self.dot.color = self.histogram.color = QColor(color if QColor(color).isValid() else "white")
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

    def set_auto(self, auto: bool) -> None:
        """Set whether Auto is shown as pressed."""
        self.auto.setChecked(auto)

    def set_visible_channel(self, visible: bool) -> None:
        """Set whether On is shown as pressed."""
        self.on.setChecked(visible)

    def set_state(self, text: str, details: str = "") -> None:
        """Show one line under the name about a problem with the channel; empty if there is none.

        `details` (default: the text) are its tooltip, and can be copied from its context menu.
        """
        self._details = details or text
        self.state.setText(text if len(text) <= _LONGEST_STATE else text[: _LONGEST_STATE - 1] + "…")
        self.state.setToolTip(plain_tooltip(self._details))
        self.state.setVisible(bool(text))

    @safe_slot
    def _on_copy_details(self) -> None:
        QApplication.clipboard().setText(self._details)

    def _show_values(self) -> None:
        self.slider.update()
        self.histogram.update()
        self._write_numbers()

    def _write_numbers(self) -> None:
        for field, value in zip((self.low, self.high), self.values.window, strict=True):
            if not (field.hasFocus() and field.isModified()):  # not while the user is typing
                field.setText(self.values.text(value))
                field.setCursorPosition(0)

    def _user_chose_window(self) -> None:
        if self.auto.isChecked():
            self.auto.setChecked(False)
            self.auto_changed.emit(False)
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

    def _take_number(self, field: QLineEdit, which: int) -> None:
        if not field.isModified():
            return
        field.setModified(False)
        before, value = self.values.window, _number(field.text())
        if value is not None:
            self.values.move(which, value)
        if self.values.window != before:
            self._user_chose_window()
        self._write_numbers()

    @safe_slot
    def _on_auto_clicked(self, checked: bool) -> None:
        self.auto_changed.emit(checked)

    @safe_slot
    def _on_on_clicked(self, checked: bool) -> None:
        self.visible_changed.emit(checked)

    @safe_slot
    def _on_dot_clicked(self) -> None:
        if self._dialog is None:
            self._dialog = QColorDialog(self)  # deleted with the strip
            self._dialog.setWindowTitle("Channel colour")
            self._dialog.colorSelected.connect(self._on_color_chosen)
        self._dialog.setCurrentColor(self.dot.color)
        self._dialog.open()

    @safe_slot
    def _on_color_chosen(self, color: QColor) -> None:
        self.set_color(color.name())
        self.color_changed.emit(color.name().upper())


def _number(text: str) -> float | None:
    """The finite number in `text`, with decimal point or comma; None if there is none."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
