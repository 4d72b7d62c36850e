"""What changes along with the picture, again and again, is painted with it, not by itself beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, QTimer, Signal

from ..slots import safe_slot

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

_PACE_SECONDS = 1.0
"""Changes that follow each other as closely are held; a single one is painted at once."""
_LONGEST_MS = 250


class HeldPaint(QObject):
    """Holds the painting of a widget until `release`, or for a moment. GUI thread only.

    A window with a widget of OpenGL in it is composed anew whatever is painted in it, which costs 10 ms where
    there is no graphics card. What is below the mouse is painted at once.
    """

    released = Signal()
    """What was held is painted next."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._changed = float("-inf")
        self._awaits_paint = False
        widget.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_timeout)

    @property
    def is_held(self) -> bool:
        """Whether changes are not painted for now."""
        return self._timer.isActive()

    def hold(self) -> bool:
        """The widget is about to change; whether that is painted later."""
        now = time.monotonic()
        is_paced, self._changed = now - self._changed < _PACE_SECONDS, now
        is_free = not self.is_held and not self._awaits_paint
        if is_paced and is_free and not self._widget.underMouse():
            self._widget.setUpdatesEnabled(False)
            self._timer.start(_LONGEST_MS)
        elif not self.is_held:
            self._await_paint()
        return self.is_held

    def _await_paint(self) -> None:
        """Hold nothing before what has changed was painted.

        Qt paints when nothing else is to be done. What is held by then is erased with what is around it,
        or, if held over and over, is never painted.
        """
        self._awaits_paint = self._widget.isVisible()
        self._widget.update()

    def release(self) -> None:
        """Paint what has changed."""
        if self.is_held:
            self._timer.stop()
            self._on_timeout()

    @safe_slot(default=False)
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Paint:
            self._awaits_paint = False
        return False

    @safe_slot
    def _on_timeout(self) -> None:
        self._widget.setUpdatesEnabled(True)
        self._await_paint()
        self.released.emit()
