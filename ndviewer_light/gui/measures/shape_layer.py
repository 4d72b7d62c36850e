"""Paints the shapes over the picture, where they are in the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from ..canvas.picture_layer import PictureLayer
from ..look.theme import INK, PLATE
from .drawn_shapes import ShapeKind
from .shape_labels import ShapeText, placed_labels
from .shape_texts import size_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QFontMetrics
    from qtpy.QtWidgets import QWidget

    from ...engine.shapes import Spot
    from ...model import ImageInfo
    from ..canvas.zoom import Projection
    from .drawn_shapes import DrawnShape, DrawnShapes
    from .shape_labels import ShapeLabel

_HALO = QColor(0, 0, 0, 150)
_SELECTED = QColor(255, 214, 64)
_HANDLE_PX = 3.5
_CROSS_PX = 7.0


class ShapeLayer(PictureLayer):
    """The shapes, where they are in the view. GUI thread only.

    `bar_in(width, height)`: where the scale bar is in a picture of this size, which no text covers.
    """

    def __init__(
        self, picture: QWidget, shapes: DrawnShapes, bar_in: Callable[[int, int], QRectF | None]
    ) -> None:
        super().__init__(picture)
        self._bar_in = bar_in
        self._shapes = shapes
        self._projection: Projection | None = None
        self._image: ImageInfo | None = None
        self.setAccessibleName("Shapes on the picture")

    def show_in(self, projection: Projection | None, image: ImageInfo | None) -> None:
        """Draw shapes where they are in a view, of an image; None: nowhere, as in a volume."""
        is_shown = projection is not None and len(self._shapes) > 0
        if is_shown == self.isHidden():
            self.setVisible(is_shown)
        if (projection, image) != (self._projection, self._image):
            self._projection, self._image = projection, image
            self.refresh()

    def point_of(self, spot: Spot) -> QPointF | None:
        """Where a place on the plane is on screen."""
        return None if self._projection is None else QPointF(*self._projection.to_screen(*spot))

    def paint(self, painter: QPainter, width: int, height: int) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for shape in self._shapes:
            ends = self._ends_of(shape)
            if ends:
                self._draw(painter, shape, ends)
        for label in self.labels(painter.fontMetrics(), width, height):  # over all of them
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(PLATE)
            painter.drawRoundedRect(label.plate, 4, 4)
            painter.setPen(INK)
            painter.drawText(label.plate, Qt.AlignmentFlag.AlignCenter, label.text)

    def labels(self, metrics: QFontMetrics, width: int, height: int) -> list[ShapeLabel]:
        """What is written of the shapes in a picture of this size, and where; of the selected one first."""
        ordered = sorted(self._shapes, key=lambda shape: shape != self._shapes.selected)
        wanted = [
            ShapeText(shape.number, size_texts(shape, self._image), ends, _lines(shape, ends))
            for shape in ordered
            if (ends := self._ends_of(shape))
        ]
        return placed_labels(wanted, metrics, (width, height), self._bar_in(width, height))

    def _ends_of(self, shape: DrawnShape) -> list[QPointF]:
        """Where the ends of a shape are on screen; [] while nothing is."""
        points = [self.point_of(spot) for spot in shape.handles]
        ends = [point for point in points if point is not None]
        return ends if len(ends) == len(points) else []

    def _draw(self, painter: QPainter, shape: DrawnShape, ends: list[QPointF]) -> None:
        is_selected = shape == self._shapes.selected
        ink = _SELECTED if is_selected else INK
        for color, thickness in ((_HALO, 4.0), (ink, 1.6)):
            pen = QPen(color, thickness)
            if shape.kind is ShapeKind.DISTANCE and color is ink:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            if shape.kind is ShapeKind.BOX:
                painter.drawRect(QRectF(ends[0], ends[1]).normalized())
            else:
                for line in _lines(shape, ends):
                    painter.drawLine(*line)
        if is_selected and shape.kind is not ShapeKind.POINT:
            painter.setPen(QPen(_HALO, 1))
            painter.setBrush(_SELECTED)
            for point in ends:
                painter.drawEllipse(point, _HANDLE_PX, _HANDLE_PX)


def _lines(shape: DrawnShape, ends: Sequence[QPointF]) -> list[tuple[QPointF, QPointF]]:
    """The lines that are drawn of a shape with its ends at these places."""
    if shape.kind.is_line:
        return [(ends[0], ends[1])]
    if shape.kind is ShapeKind.BOX:
        a, b, right, left = ends
        return [(a, right), (right, b), (b, left), (left, a)]
    at, to_right, down = ends[0], QPointF(_CROSS_PX, 0), QPointF(0, _CROSS_PX)
    return [(at - to_right, at + to_right), (at - down, at + down)]
