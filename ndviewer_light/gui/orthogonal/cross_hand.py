"""Moves the cross-hair with the mouse in the picture: a click puts it there, its lines can be dragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QPointF, Qt, Signal

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from ..canvas.display import Canvas
    from .cross_layer import CrossLayer

_CROSS_GRAB_PX = 5.0
"""How near to a line one takes it."""
_CLICK_PX = 3.0
"""A button that is let go within so many pixels was a click; more moves the picture."""


class CrossHand(QObject):
    """Takes mouse events that are for the cross-hair; others are left to the picture. GUI thread only.

    `moved(x, y)` in pixels of the picture; None of an axis that stays.
    """

    moved = Signal(object, object)

    def __init__(self, layer: CrossLayer, parent: QObject) -> None:
        super().__init__(parent)
        self._layer = layer
        self._canvas: Canvas | None = None
        self._pressed: QPointF | None = None
        self._taken: tuple[bool, bool] | None = None  # whether x, and y, follow the mouse
        self._has_cursor = False

    def set_canvas(self, canvas: Canvas) -> None:
        """Take the events of this canvas from now on, after other tools."""
        self._canvas = canvas
        canvas.tools.append(self)

    def take(self, event: Any, widget: QWidget) -> bool:
        """Whether the event was for the cross-hair."""
        kind = event.type()
        if self._layer.at is None or self._canvas is None or self._canvas.projection() is None:
            self.let_go()
            return False
        if kind == QEvent.Type.MouseButtonPress:
            return self._press(event)
        if kind == QEvent.Type.MouseMove:
            return self._move(event)
        if kind == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            return self._release(event)
        return False

    def let_go(self) -> None:
        """Nothing is dragged any more."""
        self._pressed = self._taken = None
        self._show_cursor(None)

    # ---- parts -----------------------------------------------------------------------------

    def _press(self, event: Any) -> bool:
        self._pressed = None
        is_plain = event.button() == Qt.MouseButton.LeftButton
        if not is_plain or event.modifiers() != Qt.KeyboardModifier.NoModifier:
            return False
        self._pressed = _position(event)
        self._taken = self._lines_at(self._pressed)
        return self._taken is not None

    def _move(self, event: Any) -> bool:
        at = _position(event)
        if not event.buttons() & Qt.MouseButton.LeftButton:
            self._show_cursor(self._lines_at(at))
            return False
        if self._taken is None:
            return False
        self._emit(at)
        return True

    def _release(self, event: Any) -> bool:
        pressed, taken, at = self._pressed, self._taken, _position(event)
        self._pressed = self._taken = None
        if pressed is None:
            return False
        far = at - pressed
        if taken is None and max(abs(far.x()), abs(far.y())) < _CLICK_PX:
            self.moved.emit(at.x(), at.y())
        return taken is not None

    def _emit(self, at: QPointF) -> None:
        assert self._taken is not None
        along_x, along_y = self._taken
        self.moved.emit(at.x() if along_x else None, at.y() if along_y else None)

    def _lines_at(self, at: QPointF) -> tuple[bool, bool] | None:
        """Whether the upright line, and the level one, are below a point; None if neither is."""
        cross = self._layer.at
        if cross is None:
            return None
        near = abs(at.x() - cross.x()) <= _CROSS_GRAB_PX, abs(at.y() - cross.y()) <= _CROSS_GRAB_PX
        return near if any(near) else None

    def _show_cursor(self, lines: tuple[bool, bool] | None) -> None:
        if self._canvas is None or (lines is None and not self._has_cursor):
            return
        self._has_cursor = lines is not None
        if lines is None:
            self._canvas.unsetCursor()
        else:
            self._canvas.setCursor(cursor_for(*lines))


def cursor_for(along_x: bool, along_y: bool) -> Qt.CursorShape:
    """What the mouse looks like over lines that it moves along x, along y, or both."""
    if along_x and along_y:
        return Qt.CursorShape.SizeAllCursor
    return Qt.CursorShape.SplitHCursor if along_x else Qt.CursorShape.SplitVCursor


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
