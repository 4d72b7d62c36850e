"""The wheel over the picture with Ctrl: through the stack, or through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from ..panels.sliders import AxisSliders

_NOTCH = 120


class AxisWheel:
    """A `MouseTool`: a step of z per notch; of time with Shift as well, or where there is only one plane."""

    def __init__(self, sliders: AxisSliders) -> None:
        self._sliders = sliders
        self._angle = 0

    def take(self, event: Any, widget: QWidget) -> bool:
        """Whether the event was for it."""
        if event.type() != QEvent.Type.Wheel or not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        self._angle += event.angleDelta().y() or event.angleDelta().x()
        notches = int(self._angle / _NOTCH)
        self._angle -= notches * _NOTCH
        is_time = event.modifiers() & Qt.KeyboardModifier.ShiftModifier or self._sliders.size("z") < 2
        slider = self._sliders.slider("t" if is_time else "z")
        if notches and not slider.isHidden():
            slider.setValue(slider.value() + notches)
        return True
