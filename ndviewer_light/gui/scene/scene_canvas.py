"""Draws a scene of fields: by Qt on the CPU, at once from what there is, in slices so that nothing waits.

A picture of the whole viewport is kept and shifted or scaled when the view moves, so that every move shows
something at once; fields are then drawn into it again, a few milliseconds at a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, QRect, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QWidget

from ...engine.scene import FieldScene, Viewport, visible_first
from ...rendering.scale_bar import BarLook
from ..slots import safe_slot
from .scene_painting import (
    GROUND,
    Marks,
    ValueLegend,
    draw_faded,
    draw_field,
    draw_labels,
    draw_legend,
    draw_marks,
    draw_scale_bar,
    draw_value,
    draw_wells,
    faded,
    field_rect,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qtpy.QtGui import QColor

    from .field_pictures import FieldPicture
    from .scene_details import DetailTile

SLICE_SECONDS = 0.008
"""How long fields are drawn before the event loop has its turn."""
_PAINT_SECONDS = 0.04
"""While fields arrive, the widget is painted so often at most."""
IMAGES_BYTES = 256 * 1024**2
"""Of pictures in memory, beside those in view."""
_COARSE_PX = 48
_MARGIN_PX = 26
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
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)
        self.setAccessibleName("Overview of all fields")
        self.setAccessibleDescription("A double click, or Enter, opens the field under the mouse")
        self._scene: FieldScene | None = None
        self._viewport: Viewport | None = None  # in device pixels; None: fit as soon as there is a size
        self._is_fitting = True
        self._images: dict[int, QImage] = {}
        self._nbytes = 0
        self.coarse: set[int] = set()
        """Fields whose pictures were made coarser: they are made again when they come into view."""
        self._marks: dict[int, Marks] = {}
        self._details: dict[int, list[tuple[DetailTile, QImage]]] = {}
        self._um_per_pixel = 1.0  # of the data, the smallest
        self._bar_look = BarLook()
        self._current = -1
        self._shows_names = True
        self._backing: QImage | None = None
        self._drawn_for: Viewport | None = None
        self._next: QImage | None = None  # what is being drawn, for another viewport
        self._next_for: Viewport | None = None
        self._is_stale = False
        self._todo: list[int] = []
        self._again: list[int] = []  # to be drawn with what lies over them, the last ones first
        self._awaited: set[int] = set()  # the same
        self._to_mark: list[int] = []  # drawn already, but for their marks
        self._values: Sequence[QColor | None] | None = None
        self._legend: ValueLegend | None = None
        self._shows_values = True
        self._blends = False
        self._blended: dict[int, QImage] = {}
        self._drag: QPointF | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._on_slice)
        self._painted = 0.0
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
        return (
            not (self._todo or self._to_mark or self._again)
            and self._next is None
            and self._drawn_for == self._viewport
        )

    def show_scene(self, scene: FieldScene, um_per_pixel: float, viewport: Viewport | None = None) -> None:
        """Show this scene; `um_per_pixel` of the data limits how close one can look."""
        is_same = self._scene is not None and len(self._scene) <= len(scene)
        self._scene, self._um_per_pixel = scene, um_per_pixel
        if viewport is not None:
            self._viewport, self._is_fitting = viewport, False
        if self._is_fitting or not is_same:
            self.fit()
        else:
            self._draw_all_again()

    def set_bar_look(self, look: BarLook) -> None:
        """Draw the scale bar so."""
        self._bar_look = look
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._scene = self._viewport = self._backing = self._drawn_for = self._next = self._next_for = None
        self._is_fitting = True
        self._todo.clear()
        self._to_mark.clear()
        self._set_again(())
        self._timer.stop()
        self.forget_pictures()

    def forget_pictures(self) -> None:
        """Nothing is known of any field."""
        self._images.clear()
        self._nbytes = 0
        self.coarse.clear()
        self._blended.clear()
        self._marks.clear()
        self._details.clear()
        self._draw_all_again()

    def show_pictures(self, pictures: Iterable[FieldPicture]) -> None:
        """Draw these fields; a field without picture keeps its old one, dimmed, if it has one."""
        changed = []
        for each in pictures:
            before = self._marks.get(each.p)
            has_old = before is not None and before.is_old and each.p in self._images
            if each.pixels is not None:
                self._keep(each.p, _as_image(each.pixels))
                self.coarse.discard(each.p)
                self._details.pop(each.p, None)
                self._blended.pop(each.p, None)
                has_old = False
            elif not has_old:
                self._keep(each.p, None)
            self._marks[each.p] = Marks(each.state, each.reason, is_old=has_old)
            changed.append(each.p)
        self._make_room()
        self._draw_again(changed)

    def _keep(self, p: int, image: QImage | None) -> None:
        before = self._images.pop(p, None)
        self._nbytes -= 0 if before is None else _nbytes(before)
        if image is not None:
            self._images[p] = image
            self._nbytes += _nbytes(image)

    def _make_room(self) -> None:
        """Keep pictures that are not in view only coarsely, those made longest ago first."""
        if self._nbytes <= IMAGES_BYTES or self._scene is None or self._viewport is None:
            return
        in_view = set(self._scene.within(self._viewport.edges).tolist())
        for p in [p for p in self._images if p not in in_view and p not in self.coarse]:
            if self._nbytes <= IMAGES_BYTES * 3 // 4:
                return
            image = self._images[p]
            if max(image.width(), image.height()) > _COARSE_PX:
                self._keep(p, image.scaled(_COARSE_PX, _COARSE_PX, Qt.AspectRatioMode.KeepAspectRatio))
                self._blended.pop(p, None)
            self.coarse.add(p)

    def age_pictures(self, *, keep: bool) -> None:
        """Another time point: dim all pictures until their own arrive, or `keep` none."""
        self._details.clear()
        if not keep:
            self.forget_pictures()
            return
        self._marks = {p: Marks(None, "", is_old=True) for p in self._images}
        self._draw_all_again()

    def show_details(self, p: int, tiles: list[DetailTile]) -> None:
        """Draw parts of a field at a finer resolution; those of before that are not among them go."""
        known = dict(self._details.get(p, ()))
        self._details[p] = [(tile, known.get(tile) or _as_image(tile.pixels)) for tile in tiles]
        self._draw_again([p])

    def drop_details(self, keep: Iterable[int] = ()) -> None:
        """Forget parts at finer resolutions, but those of the fields to `keep`."""
        kept = set(keep)
        self._details = {p: tiles for p, tiles in self._details.items() if p in kept}

    def show_values(self, values: Sequence[QColor | None] | None, legend: ValueLegend | None = None) -> None:
        """Colour fields by a number, None where it is not known; or show pictures alone again."""
        before, self._values = self._values, values
        if legend != self._legend:
            self._legend = legend
            self.update()
        if not self._shows_values or before == values:
            return
        if before is None or values is None or len(before) != len(values):
            self._draw_all_again()
        else:
            self._draw_again([p for p, (a, b) in enumerate(zip(before, values, strict=True)) if a != b])

    def set_values_shown(self, shows: bool) -> None:
        """Show numbers over fields, or their pictures alone."""
        self._shows_values = shows
        self._draw_all_again()

    @property
    def legend(self) -> ValueLegend | None:
        """What the colours over fields mean; None where none are shown."""
        return self._legend if self._shows_values else None

    def mark_current(self, p: int) -> None:
        """Mark the field that the main view shows."""
        if p != self._current:
            self._current = p
            self.update()

    def image_of(self, p: int) -> QImage | None:
        """The picture of a field, if there is one."""
        return self._images.get(p)

    def marks_of(self, p: int) -> Marks | None:
        """What is known of a field."""
        return self._marks.get(p)

    # ---- where one looks -------------------------------------------------------------------

    def fit(self) -> None:
        """Show all of it."""
        if self._scene is not None and self.width() > 0 and self.height() > 0:
            width, height = self._size()
            margin = round(_MARGIN_PX * self.devicePixelRatioF())
            self._look_at(self._scene.fitting(width, height, margin))
            self._is_fitting = True

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
        self._is_fitting = False
        self._viewport = viewport
        self._make_room()
        self._redraw()
        self.moved.emit()

    # ---- drawing, in slices ----------------------------------------------------------------

    def _redraw(self) -> None:
        """Begin to draw what is in view now; until then what was drawn before is shown, moved."""
        viewport, scene = self._viewport, self._scene
        if viewport is None or scene is None:
            self.update()
            return
        shift = _shift(self._drawn_for, viewport) if self._next is None else None
        if shift is not None and self._backing is not None and not self._is_stale:
            self._shift_by(*shift, scene, viewport)
        else:
            self._next = _empty(scene, viewport)
            self._next_for = viewport
            in_view = visible_first(scene, viewport).tolist()
            # in their order where they overlap: later ones lie on top
            self._todo = sorted(in_view, reverse=True) if scene.has_overlaps else in_view[::-1]
            self._to_mark = []
            self._set_again(())
        self._is_stale = False
        self._timer.start()
        self.update()

    def _draw_all_again(self) -> None:
        """Nothing of what was drawn before holds."""
        self._is_stale = True
        self._redraw()

    def _shift_by(self, dx: int, dy: int, scene: FieldScene, viewport: Viewport) -> None:
        """Keep what stays in view, and draw the rest."""
        before, self._backing = self._backing, _empty(scene, viewport)
        assert before is not None
        painter = QPainter(self._backing)
        painter.drawImage(-dx, -dy, before)
        painter.end()
        self._drawn_for = viewport
        left, top, right, bottom = viewport.edges
        step = viewport.um_per_px
        new = {*self._todo, *self._again}
        for strip in (
            (right - dx * step if dx > 0 else left, top, right if dx > 0 else left - dx * step, bottom),
            (left, bottom - dy * step if dy > 0 else top, right, bottom if dy > 0 else top - dy * step),
        ):
            if strip[0] < strip[2] and strip[1] < strip[3]:
                new.update(scene.within(strip).tolist())
        if scene.has_overlaps:
            self._todo = []
            self._set_again(new)
        else:
            self._todo = list(new)

    def _draw_again(self, changed: list[int]) -> None:
        """Draw these fields again; where fields overlap, with what lies over and under them."""
        scene, viewport = self._scene, self._viewport
        if scene is None or viewport is None or not changed:
            return
        in_view = set(scene.within(viewport.edges).tolist())
        wanted = in_view.intersection(changed)
        if scene.has_overlaps:
            self._set_again(wanted.union(self._again))
        else:
            self._todo = [*wanted.difference(self._todo), *self._todo]
        if (self._todo or self._again) and not self._timer.isActive():
            self._timer.start()

    @safe_slot
    def _on_slice(self) -> None:
        scene = self._scene
        target = self._next or self._backing
        viewport = self._next_for if self._next is not None else self._drawn_for
        if scene is None or viewport is None or target is None:
            self._timer.stop()
            return
        end = time.perf_counter() + SLICE_SECONDS
        painter = QPainter(target)
        while self._todo and time.perf_counter() < end:
            p = self._todo.pop()
            self._draw(painter, scene, viewport, p)
            if scene.has_overlaps:  # over what is drawn later
                self._to_mark.append(p)
            else:
                self._draw_marks(painter, scene, viewport, p)
        while self._to_mark and not self._todo and time.perf_counter() < end:
            self._draw_marks(painter, scene, viewport, self._to_mark.pop())
        while self._again and not (self._todo or self._to_mark) and time.perf_counter() < end:
            self._draw_with_neighbours(painter, scene, viewport, self._again.pop())
        painter.end()
        if not (self._todo or self._to_mark or self._again):
            self._timer.stop()
            if self._next is not None:
                self._backing, self._drawn_for = self._next, self._next_for
                self._next = self._next_for = None
        if self._next is None:
            self._update_soon()

    def _set_again(self, positions: Iterable[int]) -> None:
        self._again = sorted(positions, reverse=True)
        self._awaited = set(self._again)

    def _update_soon(self) -> None:
        """Show what was drawn: where fields arrive all the time, not each time, as that takes longer."""
        left = _PAINT_SECONDS - (time.perf_counter() - self._painted)
        if left <= 0:
            self.update()
        elif not self._paint_timer.isActive():
            self._paint_timer.start(max(1, round(left * 1e3)))

    @safe_slot
    def _on_paint_due(self) -> None:
        self.update()

    def _draw(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        if p >= len(scene):
            return
        image, marks, details = self._images.get(p), self._marks.get(p), self._details.get(p, ())
        if image is None or not (self._blends and scene.has_overlaps):
            draw_field(painter, scene, viewport, p, image, marks, details)
        elif details:
            draw_faded(painter, scene, viewport, p, image, marks, details)
        else:
            draw_field(painter, scene, viewport, p, self._blended_image(scene, p, image), marks)
        if self._values is not None and self._shows_values and p < len(self._values):
            draw_value(painter, scene, viewport, p, self._values[p])

    def _draw_marks(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        marks = self._marks.get(p)
        if marks is not None and p < len(scene):
            draw_marks(painter, scene, viewport, p, marks, has_picture=p in self._images)

    def _draw_with_neighbours(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        """Draw a field and what lies over it, in order; where fields are blended, also what lies under it."""
        self._awaited.discard(p)
        if p >= len(scene):
            return
        left, top, right, bottom = scene.edges[p].tolist()
        near = scene.within((left, top, right, bottom)).tolist()
        over = near
        if not self._blends:  # those that are drawn later anyway need not be drawn now
            self._draw(painter, scene, viewport, p)
            over = [each for each in near if each > p and each not in self._awaited]
        painter.setClipRect(field_rect(scene, viewport, p))
        for each in over:
            self._draw(painter, scene, viewport, each)
        for each in near:
            self._draw_marks(painter, scene, viewport, each)
        painter.setClipping(False)

    def _blended_image(self, scene: FieldScene, p: int, image: QImage) -> QImage:
        """The picture of a field, transparent towards the edges where it lies on earlier ones."""
        known = self._blended.get(p)
        if known is None:
            known = self._blended[p] = faded(image, scene.overlaps_of(p))
        return known

    def show_names(self, shows: bool) -> None:
        """Write the names of rows, columns and wells, or not."""
        self._shows_names = shows
        self.update()

    def set_blending(self, blends: bool) -> None:
        """Blend fields where they overlap, rather than show the later one."""
        if blends != self._blends:
            self._blends = blends
            self._draw_all_again()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        self._painted = time.perf_counter()
        painter = QPainter(self)
        if self._backing is None or self._viewport is None or self._scene is None:
            painter.fillRect(self.rect(), GROUND)
            painter.end()
            return
        ratio = self.devicePixelRatioF()
        if self._drawn_for == self._viewport:
            painter.drawImage(QRect(0, 0, self.width(), self.height()), self._backing)
        else:
            painter.fillRect(self.rect(), GROUND)
            painter.drawImage(self._moved_rect(ratio), self._backing)
        draw_labels(painter, self._scene, self._viewport, ratio, self._current, names=self._shows_names)
        if self.legend is not None:
            draw_legend(painter, self.legend, self.height())
        if self._scene.is_in_um:
            um_per_px = self._viewport.um_per_px * ratio
            draw_scale_bar(painter, um_per_px, self.width(), self.height(), self._bar_look)
        painter.end()

    def _moved_rect(self, ratio: float) -> QRectF:
        """Where what was drawn for an earlier viewport is now, in pixels of the widget."""
        assert self._drawn_for is not None and self._viewport is not None
        left, top, right, bottom = self._drawn_for.edges
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
        self._tell_hover(at)

    @safe_slot
    def mouseReleaseEvent(self, event: Any) -> None:
        self._drag = None

    @safe_slot
    def leaveEvent(self, event: Any) -> None:
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
            p = self.field_at(QPointF(self.mapFromGlobal(self.cursor().pos())))
            self.activated.emit(self._current if p is None else p)
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


def _empty(scene: FieldScene, viewport: Viewport) -> QImage:
    """The ground and the wells, without fields."""
    image = QImage(viewport.width, viewport.height, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.fillRect(image.rect(), GROUND)
    draw_wells(painter, scene, viewport)
    painter.end()
    return image


def _shift(before: Viewport | None, after: Viewport) -> tuple[int, int] | None:
    """By how many whole pixels a viewport has moved; None if it has also changed otherwise."""
    if before is None or before[2:] != after[2:]:
        return None
    dx, dy = (after.x - before.x) / after.um_per_px, (after.y - before.y) / after.um_per_px
    is_whole = abs(dx - round(dx)) < 1e-3 and abs(dy - round(dy)) < 1e-3
    is_near = abs(dx) < after.width and abs(dy) < after.height
    return (round(dx), round(dy)) if is_whole and is_near else None


def _nbytes(image: QImage) -> int:
    return int(image.bytesPerLine()) * int(image.height())


def _place_of(event: Any) -> QPointF:
    return event.position() if hasattr(event, "position") else QPointF(event.pos())


def _as_image(pixels: Any) -> QImage:
    """A picture (Y, X, 4) for Qt, which keeps a copy."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()
