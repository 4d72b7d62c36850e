"""Drawing shapes and moving them with the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QPointF, Qt, Signal

from ...engine.shapes import Spot
from .drawn_shapes import ShapeKind, Taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from ..canvas.picture_layer import ShowsPlane
    from ..canvas.zoom import Projection
    from .drawn_shapes import DrawnShape, DrawnShapes

_MOUSE_EVENTS = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.MouseMove,
    QEvent.Type.MouseButtonRelease,
)
_PLACED_SHARE = 0.15
"""How far a shape in the middle of the picture reaches from there, of the shorter side."""
_NUDGE_PX = 5.0
_LEAST_DRAG_PX = 3.0
"""Less than this on screen is a click, by which no line or rectangle is meant."""


class ShapeHand(QObject):
    """Takes mouse events of the picture while a shape is drawn or moved; others are left to the picture.

    It is a tool of the canvas, and of the panes that may be shown instead; `shown_by()` is the one of them
    in which the plane is now. `changed` while a shape is drawn or moved, `drawn` once a new one is there.
    """

    changed = Signal()
    drawn = Signal()

    def __init__(
        self, shapes: DrawnShapes, shown_by: Callable[[], ShowsPlane | None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._shapes = shapes
        self._shown_by = shown_by
        self._kind: ShapeKind | None = None
        self._new: int | None = None  # being drawn
        self._taken: Taken | None = None
        self._pressed = QPointF()
        self._last: Spot = Spot(0, 0)
        self._with_cursor: ShowsPlane | None = None

    @property
    def kind(self) -> ShapeKind | None:
        """What is to be drawn next; None: the mouse moves the picture."""
        return self._kind

    @property
    def is_held(self) -> bool:
        """Whether a shape is being drawn or moved: its picture is to stay where it is below the mouse."""
        return self._new is not None or self._taken is not None

    def begin(self, kind: ShapeKind | None) -> None:
        """Let the next drag draw a shape; None: no longer."""
        if self._new is not None:
            self._shapes.remove(self._new)
        self._new = self._taken = None
        self._kind = kind
        self._show_cursor(Qt.CursorShape.CrossCursor if kind is not None else None)
        self.changed.emit()

    def place_in_middle(self, width: int, height: int) -> None:
        """Have the shape that is to be drawn in the middle of the picture, `width` × `height` px."""
        kind = self._kind
        if kind is None or self._projection() is None:
            return
        x, y, reach = width / 2, height / 2, min(width, height) * _PLACED_SHARE
        across = 0.0 if kind is ShapeKind.POINT else reach
        along = reach if kind is ShapeKind.BOX else 0.0
        a, b = QPointF(x - across, y - along), QPointF(x + across, y + along)
        self.begin(None)
        self._shapes.add(kind, self._spot(a), self._spot(b))
        self.drawn.emit()

    def nudge(self, right: int, down: int, *, end_only: bool) -> None:
        """Move the selected shape by some pixels of the screen (times -1, 0 or 1), or one end of it only."""
        shape, projection = self._shapes.selected, self._projection()
        if shape is None or projection is None:
            return
        step = max(1.0, _NUDGE_PX * projection.scale / projection.um_x)  # at least a pixel of the data
        by = Spot(down * step, right * step)
        to = Spot(shape.b.y + by.y, shape.b.x + by.x)
        self._shapes.replace(shape.moved(1 if end_only else None, to, by))
        self.changed.emit()

    def take(self, event: Any, widget: QWidget) -> bool:
        """Whether the event was for us."""
        kind = event.type()
        if kind not in _MOUSE_EVENTS or self._projection() is None:
            return False
        if kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick):
            is_plain = event.button() == Qt.MouseButton.LeftButton
            is_plain &= not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            return is_plain and self._press(_position(event), is_double=kind != QEvent.Type.MouseButtonPress)
        if kind == QEvent.Type.MouseMove:
            return self._move(_position(event), is_held=bool(event.buttons() & Qt.MouseButton.LeftButton))
        if kind == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            return self._release(_position(event))
        return False

    # ---- parts -----------------------------------------------------------------------------

    def _press(self, at: QPointF, *, is_double: bool) -> bool:
        spot = self._spot(at)
        self._pressed, self._last = at, spot
        if self._kind is not None:
            if not is_double or self._new is None:
                self._new = self._shapes.add(self._kind, spot, spot).number
                self.changed.emit()
            return True
        taken = self._at(at)
        if taken is None:
            return False
        self._taken = taken
        self._shapes.select(taken.number)
        self.changed.emit()
        return True

    def _move(self, at: QPointF, *, is_held: bool) -> bool:
        if not is_held or not self.is_held:
            if not is_held and self._kind is None:
                over = self._at(at)
                shape = Qt.CursorShape.SizeAllCursor if over is not None else None
                self._show_cursor(shape)
            return False
        self._drag(at)
        return True

    def _drag(self, at: QPointF) -> None:
        spot = self._spot(at)
        number = self._new if self._new is not None else self._taken.number if self._taken is not None else 0
        shape = self._shapes.of(number)
        if shape is not None:
            by = Spot(spot.y - self._last.y, spot.x - self._last.x)
            self._shapes.replace(self._dragged(shape, spot, by))
        self._last = spot
        self.changed.emit()

    def _dragged(self, shape: DrawnShape, spot: Spot, by: Spot) -> DrawnShape:
        if self._new is not None:
            return shape._replace(a=spot, b=spot) if shape.kind is ShapeKind.POINT else shape._replace(b=spot)
        assert self._taken is not None
        return shape.moved(self._taken.handle, spot, by)

    def _release(self, at: QPointF) -> bool:
        if not self.is_held:
            return False
        if at != self._pressed:
            self._drag(at)  # there may have been no move before it
        number, self._new, self._taken = self._new, None, None
        if number is None:
            self.changed.emit()
            return True
        far = at - self._pressed
        is_click = max(abs(far.x()), abs(far.y())) < _LEAST_DRAG_PX
        if is_click and self._kind is not ShapeKind.POINT:
            self._shapes.remove(number)  # another try
            self.changed.emit()
            return True
        self._kind = None
        self._show_cursor(None)
        self.drawn.emit()
        return True

    def _projection(self) -> Projection | None:
        shown = self._shown_by()
        return shown.projection() if shown is not None else None

    def _spot(self, at: QPointF) -> Spot:
        projection = self._projection()
        assert projection is not None
        return Spot(*projection.to_place(at.x(), at.y()))

    def _at(self, at: QPointF) -> Taken | None:
        projection = self._projection()
        if projection is None or not len(self._shapes):
            return None
        return self._shapes.at(at.x(), at.y(), lambda spot: projection.to_screen(*spot))

    def _show_cursor(self, shape: Qt.CursorShape | None) -> None:
        before, shown = self._with_cursor, self._shown_by() if shape is not None else None
        if before is not None and before is not shown:
            before.unsetCursor()
        self._with_cursor = shown
        if shown is not None and shape is not None:
            shown.setCursor(shape)


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
