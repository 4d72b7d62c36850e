"""How fields, wells and what is written on them are drawn: functions of a painter. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QBrush, QColor, QFont, QImage, QLinearGradient, QPainter, QPen

from ...model import PlaneState
from ...rendering import scene_names
from ...rendering import scene_picture as colors
from ...rendering.scale_bar import BarLook, scale_bar
from ...rendering.scene_overlays import TINT_ALPHA, UNKNOWN_TINT
from ..canvas.written import paint_scale_bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.scene import FieldScene, Viewport
    from .scene_details import DetailTile

GROUND = QColor(*colors.GROUND)
_WELL = QColor(*colors.WELL)
_PENDING, _LINE = QColor(*colors.PENDING), QColor(*colors.PENDING_LINE)
_ABSENT = QColor(*colors.ABSENT)
_UNREADABLE, _CROSS = QColor(*colors.UNREADABLE), QColor(*colors.CROSS)
_NOT_WHOLE_MARK = QColor(255, 190, 92)
_DIM = QColor(*UNKNOWN_TINT)
_BAND, _LABEL = QColor(*scene_names.NAME_BAND), QColor(*scene_names.NAME_BAND_INK)
_INK, _PLATE = QColor(245, 246, 248), QColor(0, 0, 0, 165)
_RING = QColor(255, 255, 255, 200)
_NOT_WHOLE = (PlaneState.PENDING, PlaneState.ABSENT, PlaneState.FILLED)
"""States of fields that have a picture: a channel is missing, or all are the fill value."""
_LEGEND_PX, _ONE_COLOR_PX = 110, 12
_LEAST_HATCHED_PX = 7


class ValueLegend(NamedTuple):
    """What colours of fields mean: a title, the values at both ends ("" if not known), from low to high.

    Of one value alone, the high end is "", and there is one colour.
    """

    title: str
    low: str
    high: str
    colors: tuple[QColor, ...]


class Marks(NamedTuple):
    """What is known of a field: its state (None: nothing yet), why, and whether its picture is older."""

    state: PlaneState | None
    reason: str = ""
    is_old: bool = False


def field_rect(scene: FieldScene, viewport: Viewport, p: int) -> QRectF:
    """Where a field is, in whole device pixels: neighbours that touch share an edge."""
    left, top, right, bottom = scene.boxes(viewport)[p]
    return QRectF(left, top, right - left, bottom - top)


def draw_field(
    painter: QPainter,
    scene: FieldScene,
    viewport: Viewport,
    p: int,
    image: QImage | None,
    marks: Marks | None,
    details: Iterable[tuple[DetailTile, QImage]] = (),
) -> None:
    """Draw one field: its picture and finer parts of it, or what it is instead; then `draw_marks`."""
    rect = field_rect(scene, viewport, p)
    state = marks.state if marks is not None else None
    if image is None:
        _draw_state(painter, rect, state)
        return
    is_smaller = rect.width() < image.width()
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_smaller)
    painter.drawImage(rect, image)
    for tile, finer in details:
        painter.drawImage(_part_of(rect, tile), finer)
    if marks is not None and marks.is_old:
        painter.fillRect(rect, _DIM)


def draw_label_parts(
    painter: QPainter,
    scene: FieldScene,
    viewport: Viewport,
    p: int,
    parts: Iterable[tuple[DetailTile, QImage]],
) -> None:
    """Draw labels over a field: pictures with opacities of parts of it."""
    rect = field_rect(scene, viewport, p)
    for tile, image in parts:
        part = _part_of(rect, tile)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, part.width() < image.width())
        painter.drawImage(part, image)


def _part_of(rect: QRectF, tile: DetailTile) -> QRectF:
    return QRectF(
        rect.left() + tile.left * rect.width(),
        rect.top() + tile.top * rect.height(),
        tile.width * rect.width(),
        tile.height * rect.height(),
    )


def draw_marks(
    painter: QPainter, scene: FieldScene, viewport: Viewport, p: int, marks: Marks, *, has_picture: bool
) -> None:
    """Mark a field that is not whole, or cannot be read: over its neighbours, where these overlap."""
    rect, state = field_rect(scene, viewport, p), marks.state
    is_awaited = marks.is_old and state is PlaneState.PENDING
    if state is PlaneState.UNREADABLE:
        _draw_cross(painter, rect)
    elif has_picture and state in _NOT_WHOLE and not is_awaited and rect.width() >= _LEAST_HATCHED_PX:
        side = min(rect.width() / 5, 10.0)
        painter.fillRect(QRectF(rect.right() - side, rect.top(), side, side), _NOT_WHOLE_MARK)


def faded(image: QImage, depths: tuple[float, float, float, float]) -> QImage:
    """A picture that fades towards its left, top, right and bottom edge, over these shares of its size."""
    soft = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    _fade(soft, QRectF(soft.rect()), depths)
    return soft


def draw_faded(
    painter: QPainter,
    scene: FieldScene,
    viewport: Viewport,
    p: int,
    image: QImage,
    marks: Marks | None,
    details: Iterable[tuple[DetailTile, QImage]],
) -> None:
    """Like `draw_field`, of a field with finer parts, fading where it lies on earlier ones."""
    soft = QImage(viewport.width, viewport.height, QImage.Format.Format_ARGB32_Premultiplied)
    soft.fill(0)
    inner = QPainter(soft)
    draw_field(inner, scene, viewport, p, image, marks, details)
    inner.end()
    _fade(soft, field_rect(scene, viewport, p), scene.overlaps_of(p))
    painter.drawImage(0, 0, soft)


def _fade(image: QImage, rect: QRectF, depths: tuple[float, float, float, float]) -> None:
    """Make a picture transparent towards the edges of a rectangle in it."""
    painter = QPainter(image)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationIn)
    left, top, right, bottom = depths
    for share, start, step in (
        (left, rect.topLeft(), QPointF(left * rect.width(), 0)),
        (top, rect.topLeft(), QPointF(0, top * rect.height())),
        (right, rect.topRight(), QPointF(-right * rect.width(), 0)),
        (bottom, rect.bottomLeft(), QPointF(0, -bottom * rect.height())),
    ):
        if share > 0:
            ramp = QLinearGradient(start, start + step)
            ramp.setColorAt(0.0, QColor(0, 0, 0, 0))
            ramp.setColorAt(1.0, QColor(0, 0, 0, 255))
            painter.fillRect(image.rect(), ramp)  # beyond its end it stays opaque
    painter.end()


def _draw_state(painter: QPainter, rect: QRectF, state: PlaneState | None) -> None:
    if state is None or state is PlaneState.LOADING:
        painter.fillRect(rect, _WELL)
    elif state is PlaneState.UNREADABLE:
        painter.fillRect(rect, _UNREADABLE)
    elif state is PlaneState.ABSENT:
        painter.fillRect(rect, _ABSENT)
        if rect.width() >= _LEAST_HATCHED_PX:
            painter.setPen(QPen(_LINE, 1))
            painter.drawRect(rect.adjusted(0.5, 0.5, -0.5, -0.5))
    else:
        painter.fillRect(rect, _PENDING)
        if rect.width() >= _LEAST_HATCHED_PX:
            painter.fillRect(rect, QBrush(_LINE, Qt.BrushStyle.BDiagPattern))


def _draw_cross(painter: QPainter, rect: QRectF) -> None:
    painter.setPen(QPen(_CROSS, max(1.0, rect.width() / 40)))
    inner = rect.adjusted(1, 1, -1, -1)
    painter.drawLine(inner.topLeft(), inner.bottomRight())
    painter.drawLine(inner.bottomLeft(), inner.topRight())


def draw_wells(painter: QPainter, scene: FieldScene, viewport: Viewport, without_images: PlaneState) -> None:
    """Draw the ground of the wells of a plate that are in view, those `without_images` as in that state."""
    if not scene.is_plate:
        return
    left, top, right, bottom = viewport.edges
    for well in scene.wells:
        x0, y0, x1, y1 = well.edges
        if x0 < right and x1 > left and y0 < bottom and y1 > top:
            left_px, top_px, right_px, bottom_px = scene.well_box(well, viewport)
            rect = QRectF(left_px, top_px, right_px - left_px, bottom_px - top_px)
            painter.fillRect(rect, _WELL)
            if not well.fields:
                _draw_state(painter, rect, without_images)


def draw_labels(
    painter: QPainter, scene: FieldScene, viewport: Viewport, ratio: float, current: int, *, names: bool
) -> None:
    """Write rows and columns along the edges, and wells that are large enough; mark the current field."""
    own = viewport._replace(
        um_per_px=viewport.um_per_px * ratio,
        width=round(viewport.width / ratio),
        height=round(viewport.height / ratio),
    )
    font = QFont(painter.font())
    font.setPixelSize(scene_names.NAME_LETTERS_PX)
    painter.setFont(font)
    if 0 <= current < len(scene) and len(scene) > 1:
        painter.setPen(QPen(_RING, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(field_rect(scene, own, current).adjusted(-1.5, -1.5, 1.5, 1.5))
    if not names:
        return
    if scene.is_plate:
        _draw_edge_labels(painter, scene, own)
    for name, x, y in scene_names.names_in_wells(scene, own):
        _write(painter, x, y, name)


def _draw_edge_labels(painter: QPainter, scene: FieldScene, viewport: Viewport) -> None:
    painter.setPen(_LABEL)
    for name in scene_names.names_along_edges(scene, viewport):
        rect = QRectF(*name[1:])
        painter.fillRect(rect, _BAND)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, name.text)


def _write(painter: QPainter, x: float, y: float, text: str) -> None:
    width = painter.fontMetrics().horizontalAdvance(text) + 8
    rect = QRectF(x, y, width, scene_names.NAME_HIGH_PX)
    painter.fillRect(rect, _PLATE)
    painter.setPen(_INK)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)


def draw_value(
    painter: QPainter, scene: FieldScene, viewport: Viewport, p: int, color: QColor | None
) -> None:
    """Colour a field by a statistic; None: not known, so that its picture stays, dimmed."""
    tint = QColor(_DIM) if color is None else QColor(color.red(), color.green(), color.blue(), TINT_ALPHA)
    painter.fillRect(field_rect(scene, viewport, p), tint)


def draw_legend(painter: QPainter, legend: ValueLegend, height: int) -> None:
    """Write at the lower left what the colours of fields mean."""
    font = QFont(painter.font())
    font.setPixelSize(11)
    painter.setFont(font)
    measure = painter.fontMetrics().horizontalAdvance
    low, high = measure(legend.low), measure(legend.high)
    bar = (_LEGEND_PX if legend.high else _ONE_COLOR_PX) if legend.low else 0
    wide = max(measure(legend.title), low + high + bar + 10)
    plate = QRectF(10, height - 50, wide + 16, 40)
    painter.fillRect(plate, _PLATE)
    painter.setPen(_INK)
    inner = plate.adjusted(8, 3, -8, -3)
    top = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
    painter.drawText(inner, top, legend.title)
    if bar:
        bottom = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        painter.drawText(inner, bottom, legend.low)
        at = QRectF(inner.left() + low + 5, inner.bottom() - 12, bar, 10)
        gradient = QLinearGradient(at.topLeft(), at.topRight())
        for i, color in enumerate(legend.colors):
            gradient.setColorAt(i / max(len(legend.colors) - 1, 1), color)
        painter.fillRect(at, gradient)
        painter.drawText(QRectF(at.right() + 5, inner.top(), high + 2, inner.height()), bottom, legend.high)


def draw_scale_bar(painter: QPainter, um_per_px: float, width: int, height: int, look: BarLook) -> None:
    """Draw a scale bar at the lower right; `um_per_px` of logical pixels."""
    found = scale_bar(um_per_px, min(160.0, width * 0.3) * look.share)
    if found is not None:
        paint_scale_bar(painter, QPointF(width - 10, height - 10), *found, look)
