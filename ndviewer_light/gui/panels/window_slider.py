"""Choosing a contrast window: a slider with two handles over a range of pixel values.

Implemented here because superqt 0.9's range sliders ignore the keyboard, do not move between handles by Tab,
and lose a window outside a narrower range: (100, 3000) in 0 to 50 becomes (50, 50). A contrast
window must survive a dimmer plane, and the slider must work without a mouse.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.theme import colors_of
from ..slots import safe_slot
from .number_text import exact_text, number_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

MARGIN_PX = 7
"""From the edge to where the range begins: half a handle. The histogram keeps the same margin."""
_STEPS = 200
_LOW, _HIGH = 0, 1


class ValueRange:
    """A window (low, high) of pixel values within bounds, both kept consistent. Pure; no Qt.

    `low < high` always; a user's move keeps them `step` apart: 1 for integer data, a
    hundred-thousandth of the bounds otherwise.
    """

    def __init__(self) -> None:
        self._wanted: tuple[float, float]
        self.begin()

    def begin(self) -> None:
        """Forget everything that was set."""
        self.integer = True
        self._wanted = (0.0, 65535.0)
        self.bounds = self.window = self._wanted
        self._window_given = False

    @property
    def is_known(self) -> bool:
        """Whether there is a window: until one is set, it is as wide as can be, and means nothing."""
        return self._window_given

    @property
    def step(self) -> float:
        """The smallest window width."""
        if self.integer:
            return 1.0
        return max((self.bounds[1] - self.bounds[0]) * 1e-5, 1e-300)

    def set_bounds(self, low: float, high: float) -> None:
        """Set the bounds, widened to include the window; ints mean integer data.

        Until a window is set, it equals the bounds.
        """
        kinds = (int, np.integer)
        if not usable(low, high):
            return
        self.integer = isinstance(low, kinds) and isinstance(high, kinds)
        self._wanted = (float(low), _above(float(low), float(high), self.integer))
        if not self._window_given:
            self.window = self._wanted
        self.bounds = self._wanted
        self._hold_window()

    def set_window(self, low: float, high: float) -> None:
        """Set the window; the high end is raised if it is not above the low end."""
        if not usable(low, high):
            return
        self._window_given = True
        self.window = (float(low), _above(float(low), float(high), self.integer))
        self.bounds = self._wanted  # undo widening by an earlier window
        self._hold_window()

    def type_in(self, which: int, value: float) -> None:
        """Set one end to `value` as typed: beyond the other end, the two change places."""
        if not math.isfinite(value):
            return
        other = self.window[1 - which]
        self.set_window(min(value, other), max(value, other))

    def move(self, which: int, value: float) -> None:
        """Move one end to `value`, stopping short of the other."""
        if not math.isfinite(value):
            return
        self._window_given = True
        low, high = self.window
        if which == _LOW:
            self.window = (min(value, high - self.step), high)
        else:
            self.window = (low, max(value, low + self.step))
        self._hold_window()

    def shift_from(self, window: tuple[float, float], by: float) -> None:
        """Set `window`, shifted as a whole."""
        self._window_given = True
        self.window = (window[0] + by, window[1] + by)

    def _hold_window(self) -> None:
        self.bounds = (min(self.bounds[0], self.window[0]), max(self.bounds[1], self.window[1]))

    def fraction(self, value: float) -> float:
        """The position of `value` between the bounds, 0 to 1."""
        low, high = self.bounds
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def value(self, fraction: float) -> float:
        """The value at `fraction` of the bounds, whole for integer data."""
        low, high = self.bounds
        value = low + min(1.0, max(0.0, fraction)) * (high - low)
        return float(round(value)) if self.integer else value

    def texts(self, value: float) -> Iterator[str]:
        """One end of the window for display, ever shorter; see `number_texts`."""
        return number_texts(value, self.window[1] - self.window[0], is_whole=self.integer)

    def exact_text(self, value: float) -> str:
        """All digits of a value."""
        return exact_text(value, is_whole=self.integer)


def _above(low: float, high: float, integer: bool) -> float:
    """`high`, or the next value above `low` if it is not above."""
    if integer:
        return max(high, low + 1.0)
    return high if high > low else low + max(abs(low) * 1e-5, 1e-9)


def usable(low: float, high: float) -> bool:
    """Whether a range of pixel values can be shown."""
    return math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)


class WindowSlider(QWidget):
    """A slider with two handles.

    Dragging or the wheel moves the nearer handle; dragging between them moves both. On the keyboard, Tab goes
    from the low handle to the high one, and arrows, Page Up and Down, Home and End move it.
    """

    moved = Signal(float, float)
    """(low, high) chosen by the user."""
    gamma_stepped = Signal(int)
    """Ctrl and an arrow up (1) or down (-1) was pressed, which move no end."""

    def __init__(self, values: ValueRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = values
        self._active = _LOW
        self._drag_from: tuple[float, tuple[float, float]] | None = None
        self._both = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        return QSize(160, 18)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, 18)

    def handle_x(self, which: int) -> float:
        """The x position of handle 0 (low) or 1 (high), px."""
        return x_of(self.values.fraction(self.values.window[which]), self.width())

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        colors = colors_of(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, low, high = self.height() / 2, self.handle_x(_LOW), self.handle_x(_HIGH)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.groove)
        painter.drawRoundedRect(QRectF(1, middle - 2, self.width() - 2, 4), 2, 2)
        painter.setBrush(colors.accent if self.isEnabled() and self.values.is_known else colors.groove)
        painter.drawRect(QRectF(low, middle - 2, max(0.0, high - low), 4))
        for which, x in ((_LOW, low), (_HIGH, high)):
            focused = self.hasFocus() and which == self._active
            painter.setPen(QPen(colors.accent if focused else colors.dim, 2 if focused else 1))
            painter.setBrush(colors.handle)
            painter.drawEllipse(QPointF(x, middle), 5.5, 5.5)
        painter.end()

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        x = _event_x(event)
        low, high = self.handle_x(_LOW), self.handle_x(_HIGH)
        self._both = low + 10 < x < high - 10
        self._active = self._nearer(x)
        self._drag_from = (x, self.values.window)
        if not self._both:
            self._drag_to(x)
        self.update()

    @safe_slot
    def mouseMoveEvent(self, event: Any) -> None:
        if self._drag_from is not None:
            self._drag_to(_event_x(event))

    @safe_slot
    def mouseReleaseEvent(self, _event: Any) -> None:
        self._drag_from = None

    @safe_slot
    def wheelEvent(self, event: Any) -> None:
        if not self.hasFocus():  # leave the wheel to the surrounding list
            event.ignore()
            return
        self._nudge(event.angleDelta().y() / 120)
        event.accept()

    @safe_slot
    def keyPressEvent(self, event: Any) -> None:
        key = Qt.Key
        steps = {
            key.Key_Left: -1, key.Key_Down: -1, key.Key_Right: 1, key.Key_Up: 1,
            key.Key_PageDown: -_STEPS / 10, key.Key_PageUp: _STEPS / 10,
            key.Key_Home: -math.inf, key.Key_End: math.inf,
        }.get(event.key())  # fmt: skip
        with_ctrl = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if with_ctrl and event.key() in (key.Key_Up, key.Key_Down):
            self.gamma_stepped.emit(1 if event.key() == key.Key_Up else -1)
        elif steps is None:
            super().keyPressEvent(event)
        elif math.isinf(steps):
            self._move(self._active, self.values.bounds[steps > 0])
        else:
            self._nudge(steps)

    def focusNextPrevChild(self, forward: bool) -> bool:
        wanted = _HIGH if forward else _LOW
        if self.hasFocus() and self._active != wanted:
            self._active = wanted
            self.update()
            return True
        return bool(super().focusNextPrevChild(forward))

    @safe_slot
    def focusInEvent(self, event: Any) -> None:
        if event.reason() == Qt.FocusReason.TabFocusReason:
            self._active = _LOW
        elif event.reason() == Qt.FocusReason.BacktabFocusReason:
            self._active = _HIGH
        super().focusInEvent(event)

    def _nearer(self, x: float) -> int:
        low, high = self.handle_x(_LOW), self.handle_x(_HIGH)
        if abs(low - high) < 1:  # handles on top of each other: the side of the click decides
            return _LOW if x < low else _HIGH
        return _LOW if abs(x - low) <= abs(x - high) else _HIGH

    def _drag_to(self, x: float) -> None:
        start, window = self._drag_from or (x, self.values.window)
        if not self._both:
            self._move(self._active, self.values.value(fraction_of(x, self.width())))
            return
        bottom, top = self.values.bounds
        shift = (x - start) / max(1, self.width() - 2 * MARGIN_PX) * (top - bottom)
        shift = min(max(shift, bottom - window[0]), top - window[1])
        before = self.values.window
        self.values.shift_from(window, round(shift) if self.values.integer else shift)
        self._tell_if_other_than(before)

    def _nudge(self, steps: float) -> None:
        bottom, top = self.values.bounds
        by = max((top - bottom) / _STEPS, self.values.step) * steps
        by = math.copysign(max(1.0, round(abs(by))), by) if self.values.integer and by else by
        self._move(self._active, min(top, max(bottom, self.values.window[self._active] + by)))

    def _move(self, which: int, value: float) -> None:
        before = self.values.window
        self.values.move(which, value)
        self._tell_if_other_than(before)

    def _tell_if_other_than(self, before: tuple[float, float]) -> None:
        if self.values.window != before:
            self.update()
            self.moved.emit(*self.values.window)


def x_of(fraction: float, width: int) -> float:
    """The x position of a fraction of the range in a widget `width` px wide."""
    return MARGIN_PX + fraction * max(1, width - 2 * MARGIN_PX)


def fraction_of(x: float, width: int) -> float:
    """The inverse of `x_of`."""
    return (x - MARGIN_PX) / max(1, width - 2 * MARGIN_PX)


def event_position(event: Any) -> QPointF:
    """Where a mouse event happened, px: Qt 5 and Qt 6 name it differently."""
    return event.position() if hasattr(event, "position") else QPointF(event.pos())


def _event_x(event: Any) -> float:
    return float(event_position(event).x())
