"""Paints the shapes over the picture, where they are in the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen

from ..canvas.picture_layer import PictureLayer
from ..look.theme import INK, PLATE
from .drawn_shapes import ShapeKind
from .shape_texts import size_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtGui import QFontMetrics
    from qtpy.QtWidgets import QWidget

    from ...engine.shapes import Spot
    from ...model import ImageInfo
    from ..canvas.zoom import Projection
    from .drawn_shapes import DrawnShape, DrawnShapes

_HALO = QColor(0, 0, 0, 150)
_SELECTED = QColor(255, 214, 64)
_HANDLE_PX = 3.5
_CROSS_PX = 7.0
_LABEL_SIDES_PX = 13
"""Of the plate of a text beside it, both together."""


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
            self._draw(painter, shape, width, height)

    def _draw(self, painter: QPainter, shape: DrawnShape, width: int, height: int) -> None:
        points = [self.point_of(spot) for spot in shape.handles]
        if any(point is None for point in points):
            return
        ends = [point for point in points if point is not None]
        is_selected = shape == self._shapes.selected
        ink = _SELECTED if is_selected else INK
        for color, thickness in ((_HALO, 4.0), (ink, 1.6)):
            pen = QPen(color, thickness)
            if shape.kind is ShapeKind.DISTANCE and color is ink:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            self._outline(painter, shape, ends)
        if is_selected and shape.kind is not ShapeKind.POINT:
            painter.setPen(QPen(_HALO, 1))
            painter.setBrush(_SELECTED)
            for point in ends:
                painter.drawEllipse(point, _HANDLE_PX, _HANDLE_PX)
        metrics = painter.fontMetrics()
        text = fitting_text(metrics, size_texts(shape, self._image), width)
        if text:
            low = max(ends, key=lambda point: point.y())
            plate = label_plate(metrics, text, low, (width, height), self._bar_in(width, height))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(PLATE)
            painter.drawRoundedRect(plate, 4, 4)
            painter.setPen(INK)
            painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    def _outline(self, painter: QPainter, shape: DrawnShape, ends: list[QPointF]) -> None:
        if shape.kind.is_line:
            painter.drawLine(ends[0], ends[1])
        elif shape.kind is ShapeKind.BOX:
            painter.drawRect(QRectF(ends[0], ends[1]).normalized())
        else:
            at = ends[0]
            painter.drawLine(at - QPointF(_CROSS_PX, 0), at + QPointF(_CROSS_PX, 0))
            painter.drawLine(at - QPointF(0, _CROSS_PX), at + QPointF(0, _CROSS_PX))


def fitting_text(metrics: QFontMetrics, texts: Sequence[str], width: int) -> str:
    """The first of these that fits into a picture of this width, or the last."""
    room = width - _LABEL_SIDES_PX - 4
    return next((each for each in texts if metrics.horizontalAdvance(each) <= room), texts[-1])


def label_plate(
    metrics: QFontMetrics, text: str, low: QPointF, size: tuple[int, int], bar: QRectF | None
) -> QRectF:
    """Where is written what is to be said of a shape: beside its lowest end, within a picture of this size.

    Above the scale bar, or left of it, rather than on it.
    """
    width, height = size
    plate = QRectF(
        low.x() + 9, low.y() + 7, metrics.horizontalAdvance(text) + _LABEL_SIDES_PX, metrics.height() + 4
    )
    plate.moveLeft(min(max(plate.left(), 2.0), max(width - plate.width() - 2, 2.0)))
    plate.moveTop(min(max(plate.top(), 2.0), max(height - plate.height() - 2, 2.0)))
    if bar is not None and plate.intersects(bar):
        if bar.top() - plate.height() - 2 >= 2.0:
            plate.moveBottom(bar.top() - 2)
        else:
            plate.moveRight(max(bar.left() - 2, plate.width() + 2))
    return plate
