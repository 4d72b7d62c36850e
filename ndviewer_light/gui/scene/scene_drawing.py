"""The picture of what is in view of a scene, drawn in slices so that nothing waits.

When the view moves, what stays in view is shifted, and the rest is drawn, a few milliseconds at a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtGui import QImage, QPainter

from ...engine.scene import FieldScene, Viewport, visible_first
from ...model import PlaneState
from ..slots import safe_slot
from .scene_painting import (
    GROUND,
    draw_faded,
    draw_field,
    draw_label_parts,
    draw_marks,
    draw_value,
    draw_wells,
    field_rect,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qtpy.QtGui import QColor

    from .field_images import FieldImages

SLICE_SECONDS = 0.008
"""How long fields are drawn before the event loop has its turn."""


class SceneDrawing(QObject):
    """Draws `images` at their places. GUI thread only. `progressed` after a slice of what is on screen."""

    progressed = Signal()

    def __init__(self, images: FieldImages, parent: QObject) -> None:
        super().__init__(parent)
        self._images = images
        self._scene: FieldScene | None = None
        self._viewport: Viewport | None = None
        self.picture: QImage | None = None
        """What is on screen, drawn for the viewport `drawn_for`."""
        self.drawn_for: Viewport | None = None
        self._next: QImage | None = None  # what is being drawn, for another viewport
        self._next_for: Viewport | None = None
        self._is_stale = False
        self._todo: list[int] = []
        self._again: list[int] = []  # to be drawn with what lies over them, the last ones first
        self._awaited: set[int] = set()  # the same
        self._to_mark: list[int] = []  # drawn already, but for their marks
        self._values: Sequence[QColor | None] | None = None
        self._shows_values = True
        self._blends = False
        self._empty_wells = PlaneState.ABSENT
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._on_slice)

    @property
    def is_complete(self) -> bool:
        """Whether everything in view that there is has been drawn."""
        return not self._has_more and self._next is None and self.drawn_for == self._viewport

    @property
    def _has_more(self) -> bool:
        return bool(self._todo or self._to_mark or self._again)

    def clear(self) -> None:
        """Draw nothing."""
        self._scene = self._viewport = self.picture = self.drawn_for = self._next = self._next_for = None
        self._todo.clear()
        self._to_mark.clear()
        self._set_again(())
        self._timer.stop()

    def show(self, scene: FieldScene, viewport: Viewport) -> None:
        """Begin to draw what is in view now; until it is drawn, `picture` is the previous one."""
        self._scene, self._viewport = scene, viewport
        shift = _shift(self.drawn_for, viewport) if self._next is None else None
        if shift is not None and self.picture is not None and not self._is_stale:
            self._shift_by(*shift, scene, viewport)
        else:
            self._next = _empty(scene, viewport, self._empty_wells)
            self._next_for = viewport
            in_view = self._to_draw(visible_first(scene, viewport).tolist(), scene)
            # in their order where they overlap: later ones lie on top
            self._todo = sorted(in_view, reverse=True) if scene.has_overlaps else in_view[::-1]
            self._to_mark = []
            self._set_again(())
        self._is_stale = False
        self._timer.start()

    def show_anew(self, scene: FieldScene | None, viewport: Viewport | None) -> None:
        """Nothing of what was drawn before holds."""
        self._is_stale = True
        if scene is not None and viewport is not None:
            self.show(scene, viewport)

    def draw_again(self, changed: Iterable[int]) -> None:
        """Draw these fields again; where fields overlap, with what lies over and under them."""
        scene, viewport = self._scene, self._viewport
        if scene is None or viewport is None:
            return
        wanted = set(changed)
        if not wanted:
            return
        wanted.intersection_update(scene.within(viewport.edges).tolist())
        if scene.has_overlaps:
            self._set_again(wanted.union(self._again))
        else:
            self._todo = [*wanted.difference(self._todo), *self._todo]
        if (self._todo or self._again) and not self._timer.isActive():
            self._timer.start()

    def set_values(self, values: Sequence[QColor | None] | None) -> None:
        """Colour fields by a statistic, None where it is not known; or show pictures alone again."""
        before, self._values = self._values, values
        if not self._shows_values or before == values:
            return
        if before is None or values is None or len(before) != len(values):
            self.show_anew(self._scene, self._viewport)
        else:
            self.draw_again(p for p, (a, b) in enumerate(zip(before, values, strict=True)) if a != b)

    @property
    def shows_values(self) -> bool:
        """Whether statistics are shown over fields where there are any, or their pictures alone."""
        return self._shows_values

    def set_values_shown(self, shows: bool) -> None:
        """Show statistics over fields, or their pictures alone."""
        self._shows_values = shows
        self.show_anew(self._scene, self._viewport)

    def set_empty_wells(self, state: PlaneState) -> None:
        """What wells without images are: to come, or not there."""
        if state is not self._empty_wells:
            self._empty_wells = state
            if self._scene is not None and any(not well.fields for well in self._scene.wells):
                self.show_anew(self._scene, self._viewport)

    def set_blending(self, blends: bool) -> None:
        """Blend fields where they overlap, rather than show the later one."""
        if blends != self._blends:
            self._blends = blends
            self.show_anew(self._scene, self._viewport)

    def _shift_by(self, dx: int, dy: int, scene: FieldScene, viewport: Viewport) -> None:
        """Keep what stays in view, and draw the rest."""
        before, self.picture = self.picture, _empty(scene, viewport, self._empty_wells)
        assert before is not None
        painter = QPainter(self.picture)
        painter.drawImage(-dx, -dy, before)
        painter.end()
        self.drawn_for = viewport
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

    def _to_draw(self, positions: list[int], scene: FieldScene) -> list[int]:
        """Those that look otherwise than the ground: not those of a plate of which nothing is known yet."""
        if not scene.is_plate or (self._values is not None and self._shows_values):
            return positions
        return [p for p in positions if self._images.is_anything_known(p)]

    def _set_again(self, positions: Iterable[int]) -> None:
        self._again = sorted(positions, reverse=True)
        self._awaited = set(self._again)

    # ---- a slice ---------------------------------------------------------------------------

    @safe_slot
    def _on_slice(self) -> None:
        scene = self._scene
        target = self._next or self.picture
        viewport = self._next_for if self._next is not None else self.drawn_for
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
        if not self._has_more:
            self._timer.stop()
            if self._next is not None:
                self.picture, self.drawn_for = self._next, self._next_for
                self._next = self._next_for = None
        if self._next is None:
            self.progressed.emit()

    def _draw(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        if p >= len(scene):
            return
        image = self._images.as_drawn(scene, viewport, p)
        marks, details, labels = self._images.marks(p), self._images.details(p), self._images.labels(p)
        if image is None or not (self._blends and scene.has_overlaps):
            draw_field(painter, scene, viewport, p, image, marks, details)
        elif details:
            draw_faded(painter, scene, viewport, p, image, marks, details)
        else:
            draw_field(painter, scene, viewport, p, self._images.blended(scene, p, image), marks)
        if self._values is not None and self._shows_values and p < len(self._values):
            draw_value(painter, scene, viewport, p, self._values[p])
        if labels:
            draw_label_parts(painter, scene, viewport, p, labels)

    def _draw_marks(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        marks = self._images.marks(p)
        if marks is not None and p < len(scene):
            has_picture = self._images.image(p) is not None
            draw_marks(painter, scene, viewport, p, marks, has_picture=has_picture)

    def _draw_with_neighbours(self, painter: QPainter, scene: FieldScene, viewport: Viewport, p: int) -> None:
        """Draw a field and what lies over it, in order; where fields are blended, also what lies under it."""
        self._awaited.discard(p)
        if p >= len(scene):
            return
        near = over = scene.near(p)
        if not self._blends:  # those that are drawn later anyway need not be drawn now
            self._draw(painter, scene, viewport, p)
            over = [each for each in near if each > p and each not in self._awaited]
        painter.setClipRect(field_rect(scene, viewport, p))
        for each in over:
            self._draw(painter, scene, viewport, each)
        for each in near:
            marks = self._images.marks(each)
            if marks is not None and marks.state is not PlaneState.PRESENT:
                self._draw_marks(painter, scene, viewport, each)
        painter.setClipping(False)


def _empty(scene: FieldScene, viewport: Viewport, empty_wells: PlaneState) -> QImage:
    """The ground and the wells, without fields."""
    image = QImage(viewport.width, viewport.height, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.fillRect(image.rect(), GROUND)
    draw_wells(painter, scene, viewport, empty_wells)
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
