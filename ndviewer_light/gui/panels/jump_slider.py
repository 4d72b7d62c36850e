"""A slider that goes where it is clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGES = {Qt.Key.Key_PageUp: 1, Qt.Key.Key_PageDown: -1}
"""As in any slider of Qt: up is more."""


class JumpSlider(QSlider):
    """A horizontal slider that jumps to a click, and moves one step per wheel notch."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._wheel_angle = 0
        self.page: Callable[[int], None] | None = None
        """What the page keys do, forwards (1) or backwards (-1); None: as in any slider."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(48)

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
