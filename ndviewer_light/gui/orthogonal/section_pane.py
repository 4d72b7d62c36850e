"""A pane with a section through the stack: painted on the CPU, to scale with the picture beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QImage, QPainter, QPen
from qtpy.QtWidgets import QWidget

from ...model import PlaneState
from ..canvas.overlay import TILE_COLORS
from ..look.theme import INK, PLATE, PLOT_BACKGROUND
from ..slots import safe_slot
from .cross_layer import CROSS, draw_cross

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent, QMouseEvent, QWheelEvent

    from ...engine.stack_beside import StackGrid
    from ...rendering.section_picture import SectionPicture
    from .section_sight import SectionSight

_KIND_OF = {PlaneState.PENDING: "waiting", PlaneState.ABSENT: "absent", PlaneState.UNREADABLE: "error"}
"""Which hatched ground stands for planes without pixels, as on the canvas; others are still being read."""
_STEPS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_HATCH_PX = 7


class SectionPane(QWidget):
    """Shows the section along x below the picture (z downwards), or along y right of it (z to the right).

    GUI thread only. `picked(along, z)` while the left button is held: a place in voxels of level 0.
    `stepped(along, z)` for an arrow key. `hovered` with the place under the mouse, or None outside.
    `zoomed(factor, along, z)` for the wheel, at that place.
    """

    picked = Signal(float, float)
    stepped = Signal(int, int)
    hovered = Signal(object)
    zoomed = Signal(float, float, float)

    def __init__(self, name: str, *, is_upright: bool) -> None:
        """`is_upright`: z goes to the right, for a pane beside the picture."""
        super().__init__()
        self._name = name
        self._is_upright = is_upright
        self._image: QImage | None = None
        self._bytes = b""  # which the image refers to
        self._grid: StackGrid | None = None
        self._without: tuple[PlaneState | None, ...] = ()
        self._sight: SectionSight | None = None
        self._cross: tuple[float, float] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(f"{name} through the cross-hair: a click or drag, or arrow keys, move it")
        self._pointed: QPointF | None = None  # where the mouse is
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(f"Section {name}")

    def show_section(self, section: SectionPicture | None, grid: StackGrid | None) -> None:
        """Show a section of a stack; None: nothing yet."""
        self._image, self._grid = None, grid
        self._without = () if section is None else section.without
        if section is not None:
            pixels = section.pixels.swapaxes(0, 1) if self._is_upright else section.pixels
            height, width = pixels.shape[:2]
            self._bytes = pixels.tobytes()
            self._image = QImage(self._bytes, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.update()

    def show_at(self, sight: SectionSight | None, cross: tuple[float, float] | None) -> None:
        """Show it in this place, with the cross-hair at a place in voxels (along the axis, z)."""
        if (sight, cross) != (self._sight, self._cross):
            self._sight, self._cross = sight, cross
            self.update()
        if self._pointed is not None:  # the mouse is still, and over something else now
            self.hovered.emit(self.place_of(self._pointed))

    @property
    def is_drawn(self) -> bool:
        """Whether there is a section in it."""
        return self._image is not None and self._sight is not None

    @property
    def thickness(self) -> int:
        """How many pixels it has along z."""
        return self.width() if self._is_upright else self.height()

    def point_of(self, along: float, z: float) -> QPointF:
        """Where a place in voxels of level 0 is in the pane."""
        assert self._sight is not None
        a, b = self._sight.to_screen(along, z)
        return QPointF(b, a) if self._is_upright else QPointF(a, b)

    def place_of(self, at: QPointF) -> tuple[float, float] | None:
        """The place in voxels of level 0 (along the axis, z) at a point; None while nothing is shown."""
        if self._sight is None:
            return None
        along, z = (at.y(), at.x()) if self._is_upright else (at.x(), at.y())
        return self._sight.to_place(along, z)

    # ---- painting --------------------------------------------------------------------------

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), PLOT_BACKGROUND)
        if self._sight is not None and self._grid is not None:
            if self._image is not None:
                painter.drawImage(self._rect_of(0, len(self._grid.zs)), self._image)
            for first, end, kind in self._bands():
                self._hatch(painter, self._rect_of(first, end), kind)
        if self._sight is not None and self._cross is not None:
            along, z = self._cross
            draw_cross(painter, self.point_of(along + 0.5, z + 0.5), self.width(), self.height())
        self._draw_name(painter)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(QPen(CROSS, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _rect_of(self, first: int, end: int) -> QRectF:
        """Where planes of the grid lie, from `first` up to `end`."""
        grid = self._grid
        assert grid is not None
        axis = 1 if self._is_upright else 2
        (top, thick), (begin, span) = ((grid.corner[i], grid.spans[i]) for i in (0, axis))
        a = self.point_of(begin, top + first * thick)
        b = self.point_of(begin + grid.shape[axis] * span, top + end * thick)
        return QRectF(a, b).normalized()

    def _bands(self) -> list[tuple[int, int, str]]:
        """Planes that lie side by side and are without pixels for the same reason: first, end, kind."""
        found: list[tuple[int, int, str]] = []
        for i, state in enumerate(self._without):
            kind = _KIND_OF.get(state) if state is not None else None
            if kind is None:
                continue
            if found and found[-1][1:] == (i, kind):
                found[-1] = (found[-1][0], i + 1, kind)
            else:
                found.append((i, i + 1, kind))
        return found

    def _hatch(self, painter: QPainter, where: QRectF, kind: str) -> None:
        ground = TILE_COLORS[kind]
        where = where.intersected(QRectF(self.rect()))
        if where.isEmpty():
            return
        painter.save()
        painter.setClipRect(where)
        painter.fillRect(where, ground)
        painter.setPen(QPen(ground.lighter(170), 1))
        for x in range(int(where.left() - where.height()), int(where.right()) + 1, _HATCH_PX):
            # the same lines in every band, wherever it begins
            x -= (x - int(where.bottom())) % _HATCH_PX
            painter.drawLine(QPointF(x, where.bottom()), QPointF(x + where.height() + 1, where.top() - 1))
        painter.restore()

    def _draw_name(self, painter: QPainter) -> None:
        metrics = painter.fontMetrics()
        plate = QRectF(6, 6, metrics.horizontalAdvance(self._name) + 12, metrics.height() + 4)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(INK)
        painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, self._name)

    # ---- mouse and keys --------------------------------------------------------------------

    @safe_slot
    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrow keys move the cross-hair by a pixel or a plane; others are for the viewer."""
        if event is None:
            return
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            event.ignore()
            return
        right, down = step
        self.stepped.emit(*((down, right) if self._is_upright else (right, down)))

    @safe_slot
    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pick(_position(event))

    @safe_slot
    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._pick(_position(event))
        self._pointed = _position(event)
        self.hovered.emit(self.place_of(self._pointed))

    def _pick(self, at: QPointF) -> None:
        place = self.place_of(at)
        if place is not None:
            self.picked.emit(*place)

    @safe_slot
    def leaveEvent(self, _event: Any) -> None:
        self._pointed = None
        self.hovered.emit(None)

    @safe_slot
    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is None:
            return
        from ..canvas.zoom import wheel_factor

        place = self.place_of(event.position())
        angle = event.angleDelta().y() or event.angleDelta().x()
        if place is not None and angle:
            self.zoomed.emit(wheel_factor(angle), *place)
        event.accept()


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
