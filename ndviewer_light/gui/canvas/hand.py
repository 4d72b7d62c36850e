"""Moves the picture by hand: wheel, drag, double click and keys, within the limits of `zoom`.

ndv's own cameras would let the picture be zoomed out to a dot and be pushed out of the window.
"""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from qtpy.QtCore import QEvent, QObject, QPointF, QRect, QSize, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QRubberBand

from ..slots import safe_slot
from .zoom import FURTHEST_OUT, drag_factor, wheel_factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qtpy.QtWidgets import QWidget

    from ...views.visible_area import VisibleArea
    from .zoom import Scene

PAN_SHARE = 1 / 8
"""How much of the window a key moves the picture."""
_LEAST_RECTANGLE_PX = 6
"""A smaller rectangle was a click."""
_STEP_MS = 12
"""vispy leaves out a move that comes within 10 ms of the one before."""


class MouseTool(Protocol):
    """What may take mouse events of the picture before they move it."""

    def take(self, event: Any, widget: QWidget) -> bool:
        """Whether the event was for it."""


class Movable(Protocol):
    """The picture as the hand sees it: what is shown of it, and a way to show another part."""

    def scene(self) -> Scene | None:
        """None in a volume, and while there is no picture."""

    def visible_area(self) -> VisibleArea | None:
        """What of the picture is on screen."""

    def show_area(self, area: VisibleArea) -> None:
        """Show another part."""

    def reset_view(self) -> None:
        """Fit the picture to the window."""

    def volume_scale(self) -> tuple[float, float] | None:
        """µm per screen pixel of a volume, now and where it fits; None if there is no volume."""


class Hand:
    """Answers mouse events of the picture with movements of it. GUI thread only."""

    def __init__(self, picture: Movable) -> None:
        self._picture = picture
        self._from: QPointF | None = None
        self._pressed_at: tuple[float, float] = (0.0, 0.0)  # µm, where the button went down
        self._band: QRubberBand | None = None

    def take(self, event: Any, widget: QWidget) -> bool:
        """Whether the event was for us; others are left to ndv."""
        kind = event.type()
        if kind == QEvent.Type.MouseButtonDblClick and event.button() == Qt.MouseButton.LeftButton:
            self._picture.reset_view()
            return True
        if kind == QEvent.Type.Wheel:
            return self._turn(event)
        if self._picture.scene() is None:
            return kind == QEvent.Type.MouseMove and self._is_not_for_vispy(event)
        if kind == QEvent.Type.MouseButtonPress:
            return self._press(event, widget)
        if kind == QEvent.Type.MouseMove and self._from is not None:
            return self._drag(event)
        if kind == QEvent.Type.MouseButtonRelease and self._from is not None:
            return self._release(event)
        return False

    # ---- a flat picture --------------------------------------------------------------------

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Enlarge the picture by `factor`; the point under `at` stays there, by default the centre."""
        scene, area = self._picture.scene(), self._picture.visible_area()
        if scene is not None and area is not None:
            place = area.center if at is None else _place(scene, area, at)
            self._picture.show_area(scene.zoomed(area, factor, place))

    def pan(self, right: int, down: int) -> None:
        """Show what lies in that direction (-1, 0 or 1 along each), an eighth of the window further."""
        scene, area = self._picture.scene(), self._picture.visible_area()
        if scene is not None and area is not None:
            x, y = right * scene.columns * PAN_SHARE, down * scene.rows * PAN_SHARE
            self._picture.show_area(scene.panned(area, -x, -y))

    def show_one_to_one(self, device_ratio: float) -> None:
        """Show one pixel of the data (of level 0) on one pixel of the screen; the centre stays."""
        scene, area = self._picture.scene(), self._picture.visible_area()
        if scene is not None and area is not None:
            self._picture.show_area(scene.area(area.center, scene.pixel_um * device_ratio))

    def _turn(self, event: Any) -> bool:
        angle = event.angleDelta().y() or event.angleDelta().x()
        if self._picture.scene() is None:
            return self._is_limit(enlarging=angle > 0)
        self.zoom(wheel_factor(angle), _position(event))
        return True

    def _press(self, event: Any, widget: QWidget) -> bool:
        scene, area = self._picture.scene(), self._picture.visible_area()
        if scene is None or area is None:
            return False
        self._from = _position(event)
        self._pressed_at = _place(scene, area, self._from)
        is_left = event.button() == Qt.MouseButton.LeftButton
        if is_left and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._band = QRubberBand(QRubberBand.Shape.Rectangle, widget)
            self._band.setGeometry(QRect(self._from.toPoint(), QSize()))
            self._band.show()
        return False  # the canvas takes the focus with it

    def _drag(self, event: Any) -> bool:
        scene, area, at = self._picture.scene(), self._picture.visible_area(), _position(event)
        if scene is None or area is None or self._from is None:
            return False
        if self._band is not None:
            self._band.setGeometry(QRect(self._from.toPoint(), at.toPoint()).normalized())
            return True
        moved, self._from = at - self._from, at
        if event.buttons() & (Qt.MouseButton.LeftButton | Qt.MouseButton.MiddleButton):
            self._picture.show_area(scene.panned(area, moved.x(), moved.y()))
        elif event.buttons() & Qt.MouseButton.RightButton:
            self._picture.show_area(scene.zoomed(area, drag_factor(moved.y()), self._pressed_at))
        return True

    def _release(self, event: Any) -> bool:
        self._from = None
        band, self._band = self._band, None
        scene, area = self._picture.scene(), self._picture.visible_area()
        if band is None:
            return False
        rectangle = band.geometry()
        band.hide()
        band.deleteLater()
        if scene is None or area is None or min(rectangle.width(), rectangle.height()) < _LEAST_RECTANGLE_PX:
            return False
        scale = scene.scale_of(area)
        wanted = max(rectangle.width() / scene.columns, rectangle.height() / scene.rows) * scale
        center = _place(scene, area, QPointF(rectangle.center()))
        self._picture.show_area(scene.area(center, wanted))
        return False

    # ---- a volume --------------------------------------------------------------------------

    def _is_limit(self, *, enlarging: bool) -> bool:
        """Whether a volume is as small, or as large, on screen as it may be."""
        scales = self._picture.volume_scale()
        if scales is None:
            return False
        now, fit = scales
        return now < fit / FURTHEST_OUT**2 if enlarging else now > fit * FURTHEST_OUT

    def _is_not_for_vispy(self, event: Any) -> bool:
        if not event.buttons() & Qt.MouseButton.RightButton:
            return False
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            return True  # vispy would draw in perspective, and measures and `reset_view` know of none
        return self._is_limit(enlarging=True) or self._is_limit(enlarging=False)


def _place(scene: Scene, area: VisibleArea, at: QPointF) -> tuple[float, float]:
    """The place in the picture under a point of the window, in µm."""
    scale = scene.scale_of(area)
    return area.x[0] + at.x() * scale, area.y[0] + at.y() * scale


def _position(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())


def drag_begun(press: Any, widget: QWidget) -> QMouseEvent:
    """A move to where a button was pressed.

    vispy turns a volume from the first move on. While it draws for long, that may be the only one.
    """
    at = _position(press)
    on_screen = QPointF(widget.mapToGlobal(at.toPoint()))
    none = Qt.MouseButton.NoButton
    return QMouseEvent(QEvent.Type.MouseMove, at, on_screen, none, press.buttons(), press.modifiers())


class Drags(QObject):
    """Drags with the left button from the middle of a widget, by which volumes are turned. GUI thread only.

    One after the other, and each in two steps: what follows sooner on the last move is lost on vispy.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: deque[Callable[[], None]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._step)

    def drag(self, widget: QWidget, right: float, down: float) -> None:
        """Drag by so many pixels, soon."""
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        start = QPointF(widget.rect().center())
        end = start + QPointF(right, down)
        begun = ((QEvent.Type.MouseButtonPress, start, left, left),)
        ended = (QEvent.Type.MouseMove, end, none, left), (QEvent.Type.MouseButtonRelease, end, left, none)
        self._steps += (partial(_send, widget, begun), partial(_send, widget, ended))
        if not self._timer.isActive():
            self._step()

    @safe_slot
    def _step(self) -> None:
        if self._steps:
            self._timer.start()
            self._steps.popleft()()
        else:
            self._timer.stop()


def _send(widget: QWidget, events: Iterable[tuple[Any, QPointF, Any, Any]]) -> None:
    with contextlib.suppress(RuntimeError):  # the widget was deleted meanwhile
        for kind, at, button, buttons in events:
            on_screen = QPointF(widget.mapToGlobal(at.toPoint()))
            event = QMouseEvent(kind, at, on_screen, button, buttons, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(widget, event)
