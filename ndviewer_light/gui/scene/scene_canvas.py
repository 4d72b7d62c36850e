"""Shows a scene of fields, drawn by Qt on the CPU: where one looks, the mouse and the keys.

What was drawn is shifted or scaled when the view moves, so that every move shows something at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, QPointF, QRect, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QCursor, QPainter
from qtpy.QtWidgets import QWidget

from ...engine.scene import FieldScene, Viewport
from ...rendering.scale_bar import BarLook
from ..canvas.hand import PAN_SHARE
from ..look.tab_frame import TabFrame
from ..slots import safe_slot
from .field_images import FieldImages
from .scene_changes import has_same_ground
from .scene_drawing import SceneDrawing
from .scene_painting import GROUND, Marks, ValueLegend, draw_labels, draw_legend, draw_scale_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qtpy.QtGui import QColor, QImage

    from ...model import PlaneState
    from .field_pictures import FieldPicture
    from .scene_details import DetailTile

_PAINT_SECONDS = 0.04
"""While fields arrive, the widget is painted so often at most."""
_CANVAS_MARGIN_PX = 26
_MARK_MARGIN_PX = 12
_BAR_ROOM_PX, _LEGEND_ROOM_PX = 18, 28
"""Below that, where all is in view: the scale bar, or the legend, covers no field."""
_CLOSEST_PX = 40.0
"""One pixel of the data is drawn at most so large."""
_ZOOM_PER_NOTCH = 1.25


class SceneCanvas(QWidget):
    """All fields at their places. GUI thread only; reads nothing.

    `moved` tells that another part is in view; `activated(p)` that a field was double-clicked, or Enter was
    pressed over it; `hovered` the place under the mouse in µm (x, y), None beside the canvas.
    """

    moved = Signal()
    activated = Signal(int)
    hovered = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        TabFrame(self)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)
        self.setAccessibleName("Overview of all fields")
        self.setAccessibleDescription("Enter opens the field that is marked, or the one under the mouse")
        self.images = FieldImages()
        """Pictures of fields, and what is known of them."""
        self._drawing = SceneDrawing(self.images, self)
        self._drawing.progressed.connect(self._update_soon)
        self._scene: FieldScene | None = None
        self._viewport: Viewport | None = None  # in device pixels; None: fit as soon as there is a size
        self._is_fitting = True
        self._um_per_pixel = 1.0  # of the data, the smallest
        self._bar_look = BarLook()
        self._current = -1
        self.current_of: Callable[[], int] = lambda: self._current
        """The field in view by now, which may not be marked yet."""
        self._pointed: int | None = None  # the field under the mouse, until another one is gone to by keys
        self._mouse_at = QPoint()
        self._shows_names = True
        self._legend: ValueLegend | None = None
        self._drag: QPointF | None = None
        self._painted = 0.0
        self._paint_seconds = _PAINT_SECONDS
        self._paint_timer = QTimer(self)
        self._paint_timer.setSingleShot(True)
        self._paint_timer.timeout.connect(self._on_paint_due)

    # ---- what is shown ---------------------------------------------------------------------

    @property
    def scene(self) -> FieldScene | None:
        """The fields and their places."""
        return self._scene

    @property
    def viewport(self) -> Viewport | None:
        """What is looked at, in device pixels; None before there is a scene."""
        return self._viewport

    @property
    def is_fitting(self) -> bool:
        """Whether all of it is in view, as after `fit`."""
        return self._is_fitting

    @property
    def is_complete(self) -> bool:
        """Whether everything in view that there is has been drawn."""
        return self._drawing.is_complete

    def show_scene(self, scene: FieldScene, um_per_pixel: float, viewport: Viewport | None = None) -> None:
        """Show this scene; `um_per_pixel` of the data limits how close one can look."""
        before = self._scene
        is_same = before is not None and len(before) <= len(scene)
        self._scene, self._um_per_pixel = scene, um_per_pixel
        if before is not None and not has_same_ground(before, scene):
            self._drawing.show_anew(None, None)  # also where the same part of it is looked at
        if viewport is not None:
            self._viewport, self._is_fitting = viewport, False
        if self._is_fitting or not is_same:
            self.fit()
        else:
            self._draw_all_again()

    def set_bar_look(self, look: BarLook) -> None:
        """Draw the scale bar so."""
        self._bar_look = look
        if self._is_fitting:
            self.fit()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._scene = self._viewport = None
        self._is_fitting = True
        self._drawing.clear()
        self.forget_pictures()

    def forget_pictures(self) -> None:
        """Nothing is known of any field."""
        self.images.clear()
        self._draw_all_again()

    def show_pictures(self, pictures: Iterable[FieldPicture]) -> None:
        """Draw these fields; a field without picture keeps its old one, dimmed, if it has one."""
        changed = self.images.take(pictures)
        self._make_room()
        self._drawing.draw_again(changed)

    def _make_room(self) -> None:
        if self._scene is not None and self._viewport is not None:
            self.images.make_room(self._scene, self._viewport)

    def age_pictures(self, *, keep: bool) -> None:
        """Another time point: dim all pictures until their own arrive, or `keep` none."""
        if not keep:
            self.forget_pictures()
            return
        self.images.age()
        self._draw_all_again()

    def show_details(self, p: int, tiles: list[DetailTile]) -> None:
        """Draw these parts of a field at a finer resolution, and drop the previous ones that are not among
        them.
        """
        self.images.set_details(p, tiles)
        self._drawing.draw_again([p])

    def show_labels(self, p: int, tiles: Sequence[DetailTile]) -> None:
        """Draw labels over a field, instead of the previous ones; see `FieldImages.set_labels`."""
        self.images.set_labels(p, tiles)
        self._drawing.draw_again([p])

    def drop_labels(self, keep: Iterable[int] = ()) -> None:
        """Draw no labels over fields, but those of the fields to `keep`."""
        self._drawing.draw_again(self.images.drop_labels(keep))

    def show_values(self, values: Sequence[QColor | None] | None, legend: ValueLegend | None = None) -> None:
        """Colour fields by a statistic, None where it is not known; or show pictures alone again."""
        had_legend = self.legend is not None
        if legend != self._legend:
            self._legend = legend
            self.update()
        self._drawing.set_values(values)
        if self._is_fitting and had_legend != (self.legend is not None):
            self.fit()

    def set_values_shown(self, shows: bool) -> None:
        """Show statistics over fields, or their pictures alone."""
        self._drawing.set_values_shown(shows)
        if self._is_fitting:
            self.fit()
        self.update()

    def set_blending(self, blends: bool) -> None:
        """Blend fields where they overlap, rather than show the later one."""
        self._drawing.set_blending(blends)

    def set_empty_wells(self, state: PlaneState) -> None:
        """What wells are that the plate lists and that have no images: to come, or not there."""
        self._drawing.set_empty_wells(state)

    @property
    def legend(self) -> ValueLegend | None:
        """What the colours over fields mean; None where none are shown."""
        return self._legend if self._drawing.shows_values else None

    def mark_current(self, p: int, *, keep_in_view: bool = True) -> None:
        """Mark the field that the main view shows; to keep it in view, move by as little as that takes."""
        if p != self._current:
            self._current, self._pointed = p, None
            if (
                keep_in_view
                and self._viewport is not None
                and self._scene is not None
                and p < len(self._scene)
            ):
                margin = _MARK_MARGIN_PX * self.devicePixelRatioF()
                moved = self._viewport.with_in_view(self._scene.image(p), margin)
                if moved != self._viewport:
                    self._look_at(moved)
            self.update()

    def image_of(self, p: int) -> QImage | None:
        """The picture of a field, if there is one."""
        return self.images.image(p)

    def marks_of(self, p: int) -> Marks | None:
        """What is known of a field."""
        return self.images.marks(p)

    # ---- where one looks -------------------------------------------------------------------

    def fit(self) -> None:
        """Show all of it."""
        viewport = self.fitting
        if viewport is not None:
            self._look_at(viewport)
            self._is_fitting = True

    @property
    def fitting(self) -> Viewport | None:
        """What is looked at where all of it is in view; None while there is nothing to see."""
        if self._scene is None or self.width() <= 0 or self.height() <= 0:
            return None
        (width, height), ratio = self._size(), self.devicePixelRatioF()
        below = round(self._room_below() * ratio) if height > 4 * _CANVAS_MARGIN_PX * ratio else 0
        found = self._scene.fitting(width, height - below, round(_CANVAS_MARGIN_PX * ratio))
        return found._replace(y=found.y + below / 2 * found.um_per_px, height=height)

    def _room_below(self) -> int:
        assert self._scene is not None
        if self.legend is not None:
            return _LEGEND_ROOM_PX
        return _BAR_ROOM_PX if self._scene.is_in_um and self._bar_look.share else 0

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Enlarge what is at a point of the widget, else its middle."""
        viewport = self._viewport
        if viewport is None or self._scene is None:
            return
        ratio = self.devicePixelRatioF()
        x, y = (at.x() * ratio, at.y() * ratio) if at else (viewport.width / 2, viewport.height / 2)
        widest = self._scene.fitting(*self._size()).um_per_px * 2
        scale = min(max(viewport.um_per_px / factor, self._um_per_pixel / _CLOSEST_PX), widest)
        place = viewport.to_scene(x, y)
        dx, dy = (x - viewport.width / 2) * scale, (y - viewport.height / 2) * scale
        self._look_at(viewport._replace(x=place[0] - dx, y=place[1] - dy, um_per_px=scale))

    def pan(self, right: int, down: int) -> None:
        """Show what lies in that direction (-1, 0 or 1 along each), an eighth of the window further."""
        viewport = self._viewport
        if viewport is not None and self._scene is not None:
            x = viewport.x + right * PAN_SHARE * viewport.width * viewport.um_per_px
            y = viewport.y + down * PAN_SHARE * viewport.height * viewport.um_per_px
            self._look_at(viewport._replace(x=x, y=y))

    def show_one_to_one(self) -> None:
        """Show one pixel of the data on one pixel of the screen."""
        if self._viewport is not None:
            self.zoom(self._viewport.um_per_px / self._um_per_pixel)

    def look_at_field(self, p: int) -> None:
        """Show one field as large as it fits."""
        if self._scene is not None and p < len(self._scene):
            image = self._scene.image(p)
            width, height = self._size()
            scale = max(image.width / width, image.height / height) * 1.1
            middle = (image.left + image.right) / 2, (image.top + image.bottom) / 2
            self._look_at(Viewport(*middle, scale, width, height))

    def look_at_area(self, left: float, right: float, top: float, bottom: float) -> None:
        """Show this part, in µm, as large as it fits, as far as one can zoom."""
        if self._scene is not None:
            width, height = self._size()
            widest = self._scene.fitting(width, height).um_per_px * 2
            scale = max((right - left) / width, (bottom - top) / height, self._um_per_pixel / _CLOSEST_PX)
            middle = (left + right) / 2, (top + bottom) / 2
            self._look_at(Viewport(*middle, min(scale, widest), width, height))

    def _size(self) -> tuple[int, int]:
        ratio = self.devicePixelRatioF()
        return max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))

    def _look_at(self, viewport: Viewport) -> None:
        """Look there; the middle stays among the fields, so that nobody loses them."""
        self._is_fitting = False
        if self._scene is not None:
            left, top, right, bottom = self._scene.bounds
            x, y = min(max(viewport.x, left), right), min(max(viewport.y, top), bottom)
            viewport = viewport._replace(x=x, y=y)
        self._viewport = viewport
        self._make_room()
        self._redraw()
        self.moved.emit()

    # ---- drawing ---------------------------------------------------------------------------

    def _redraw(self) -> None:
        if self._viewport is not None and self._scene is not None:
            self._drawing.show(self._scene, self._viewport)
        self.update()

    def _draw_all_again(self) -> None:
        """Nothing of what was drawn before holds."""
        self._drawing.show_anew(self._scene, self._viewport)
        self.update()

    @safe_slot
    def _update_soon(self) -> None:
        """Show what was drawn: where fields arrive all the time, not each time, as that takes longer."""
        left = self._paint_seconds - (time.perf_counter() - self._painted)
        if left <= 0:
            self.update()
        elif not self._paint_timer.isActive():
            self._paint_timer.start(max(1, round(left * 1e3)))

    def paint_rarely(self, seconds: float) -> None:
        """While fields arrive, paint at most so often from now on; 0: as often as is worth it."""
        before, self._paint_seconds = self._paint_seconds, max(seconds, _PAINT_SECONDS)
        if self._paint_seconds < before and self._paint_timer.isActive():  # what waits is shown earlier
            self._paint_timer.stop()
            self._update_soon()

    @safe_slot
    def _on_paint_due(self) -> None:
        self.update()

    def show_names(self, shows: bool) -> None:
        """Write the names of rows, columns and wells, or not."""
        self._shows_names = shows
        self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        self._painted = time.perf_counter()
        painter = QPainter(self)
        drawn = self._drawing.picture
        if drawn is None or self._viewport is None or self._scene is None:
            painter.fillRect(self.rect(), GROUND)
            painter.end()
            return
        ratio = self.devicePixelRatioF()
        if self._drawing.drawn_for == self._viewport:
            painter.drawImage(QRect(0, 0, self.width(), self.height()), drawn)
        else:
            painter.fillRect(self.rect(), GROUND)
            painter.drawImage(self._moved_rect(ratio), drawn)
        draw_labels(painter, self._scene, self._viewport, ratio, self._current, names=self._shows_names)
        if self.legend is not None:
            draw_legend(painter, self.legend, self.height())
        if self._scene.is_in_um:
            um_per_px = self._viewport.um_per_px * ratio
            draw_scale_bar(painter, um_per_px, self.width(), self.height(), self._bar_look)
        painter.end()

    def _moved_rect(self, ratio: float) -> QRectF:
        """Where what was drawn for an earlier viewport is now, in pixels of the widget."""
        drawn_for = self._drawing.drawn_for
        assert drawn_for is not None and self._viewport is not None
        left, top, right, bottom = drawn_for.edges
        x0, y0 = self._viewport.to_screen(left, top)
        x1, y1 = self._viewport.to_screen(right, bottom)
        return QRectF(x0 / ratio, y0 / ratio, (x1 - x0) / ratio, (y1 - y0) / ratio)

    # ---- events ----------------------------------------------------------------------------

    @safe_slot
    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        if self._scene is None:
            return
        if self._viewport is None or self._is_fitting:
            self.fit()
        else:
            width, height = self._size()
            self._look_at(self._viewport._replace(width=width, height=height))

    @safe_slot
    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._pointed, self._mouse_at = None, QCursor.pos()

    @safe_slot
    def wheelEvent(self, event: Any) -> None:
        notches = event.angleDelta().y() / 120
        at = event.position() if hasattr(event, "position") else QPointF(event.pos())
        if notches:
            self.zoom(_ZOOM_PER_NOTCH**notches, at)
        event.accept()

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        self.setFocus()
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag = _place_of(event)

    @safe_slot
    def mouseMoveEvent(self, event: Any) -> None:
        at = _place_of(event)
        if self._drag is not None and self._viewport is not None:
            ratio = self.devicePixelRatioF()
            step, self._drag = self._drag - at, at
            scale = self._viewport.um_per_px * ratio
            x, y = self._viewport.x + step.x() * scale, self._viewport.y + step.y() * scale
            self._look_at(self._viewport._replace(x=x, y=y))
        on_screen = self.mapToGlobal(at.toPoint())
        if on_screen != self._mouse_at:  # Qt tells where the mouse rests, too
            self._mouse_at, self._pointed = on_screen, self.field_at(at)
        self._tell_hover(at)

    @safe_slot
    def mouseReleaseEvent(self, event: Any) -> None:
        self._drag = None

    @safe_slot
    def leaveEvent(self, event: Any) -> None:
        self._pointed = None
        self.hovered.emit(None)

    @safe_slot
    def mouseDoubleClickEvent(self, event: Any) -> None:
        self._drag = None
        p = self.field_at(_place_of(event))
        if p is not None:
            self.activated.emit(p)

    @safe_slot
    def keyPressEvent(self, event: Any) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            now = self.current_of()
            was_moved = now != self._current  # by keys, a moment ago
            self.activated.emit(now if was_moved or self._pointed is None else self._pointed)
        else:
            super().keyPressEvent(event)

    def field_at(self, at: QPointF) -> int | None:
        """The field at a point of the widget."""
        if self._scene is None or self._viewport is None:
            return None
        ratio = self.devicePixelRatioF()
        return self._scene.at(*self._viewport.to_scene(at.x() * ratio, at.y() * ratio))

    def _tell_hover(self, at: QPointF) -> None:
        if self._viewport is not None:
            ratio = self.devicePixelRatioF()
            self.hovered.emit(self._viewport.to_scene(at.x() * ratio, at.y() * ratio))


def _place_of(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
