"""Where it is written how large shapes are, so that each can be read: beside them, and on no other one."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QRectF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QPointF
    from qtpy.QtGui import QFontMetrics

_SIDES_PX = 13
"""Of the plate of a text beside it, both together."""
_RIGHT_PX, _BELOW_PX = 9, 7
"""From an end of a shape to its plate."""
_EDGE_PX = 2.0
"""From the plate to the edge of the picture, to the scale bar, and to the next plate."""


class ShapeText(NamedTuple):
    """What is to be said of a shape: in the first words for which there is room, beside one of its ends."""

    number: int
    texts: Sequence[str]
    ends: Sequence[QPointF]


class ShapeLabel(NamedTuple):
    """What is said of a shape, and where."""

    number: int
    text: str
    plate: QRectF


def placed_labels(
    wanted: Sequence[ShapeText], metrics: QFontMetrics, size: tuple[int, int], bar: QRectF | None
) -> list[ShapeLabel]:
    """Where to write all these in a picture of this size (width, height), the most important first.

    None is on the scale bar, on another one, or of a shape that is not in the picture. In short words, and
    beside another end, where there is no room otherwise; those for which there is none are left out.
    """
    placed: list[ShapeLabel] = []
    for shape in wanted:
        label = _label_of(shape, metrics, size, bar, [each.plate for each in placed])
        if label is not None:
            placed.append(label)
    return placed


def _label_of(
    shape: ShapeText,
    metrics: QFontMetrics,
    size: tuple[int, int],
    bar: QRectF | None,
    taken: Sequence[QRectF],
) -> ShapeLabel | None:
    around = _around(shape.ends)
    if not shape.texts[-1] or not around.intersects(QRectF(0, 0, *size)):
        return None
    first = fitting_text(metrics, shape.texts, size[0])
    ends = sorted(shape.ends, key=lambda end: -end.y())
    for text in dict.fromkeys((first, shape.texts[-1])):
        for end, is_above, is_left in product(ends, (False, True), (False, True)):
            plate = label_plate(metrics, text, end, size, bar, is_above=is_above, is_left=is_left)
            room = plate.adjusted(-_EDGE_PX, -_EDGE_PX, _EDGE_PX, _EDGE_PX)
            if not any(room.intersects(each) for each in taken):
                return ShapeLabel(shape.number, text, plate)
    return None


def _around(ends: Sequence[QPointF]) -> QRectF:
    """What the ends of a shape span, and a pixel around it: of a point as well."""
    xs, ys = [end.x() for end in ends], [end.y() for end in ends]
    return QRectF(min(xs) - 1, min(ys) - 1, max(xs) - min(xs) + 2, max(ys) - min(ys) + 2)


def fitting_text(metrics: QFontMetrics, texts: Sequence[str], width: int) -> str:
    """The first of these that fits into a picture of this width, or the last."""
    room = width - _SIDES_PX - 2 * _EDGE_PX
    return next((each for each in texts if metrics.horizontalAdvance(each) <= room), texts[-1])


def label_plate(
    metrics: QFontMetrics,
    text: str,
    end: QPointF,
    size: tuple[int, int],
    bar: QRectF | None,
    *,
    is_above: bool = False,
    is_left: bool = False,
) -> QRectF:
    """The plate of a text beside an end of a shape, within a picture of this size: to its lower right.

    Above the scale bar, or left of it, rather than on it.
    """
    width, height = size
    plate = QRectF(0, 0, metrics.horizontalAdvance(text) + _SIDES_PX, metrics.height() + 4)
    left = end.x() - _RIGHT_PX - plate.width() if is_left else end.x() + _RIGHT_PX
    top = end.y() - _BELOW_PX - plate.height() if is_above else end.y() + _BELOW_PX
    plate.moveLeft(min(max(left, _EDGE_PX), max(width - plate.width() - _EDGE_PX, _EDGE_PX)))
    plate.moveTop(min(max(top, _EDGE_PX), max(height - plate.height() - _EDGE_PX, _EDGE_PX)))
    if bar is not None and plate.intersects(bar):
        if bar.top() - plate.height() - _EDGE_PX >= _EDGE_PX:
            plate.moveBottom(bar.top() - _EDGE_PX)
        else:
            plate.moveRight(max(bar.left() - _EDGE_PX, plate.width() + _EDGE_PX))
    return plate
