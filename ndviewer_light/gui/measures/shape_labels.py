"""Where it is written how large shapes are, so that each can be read: beside them, on no other one, and on no
line where there is another place.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
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
    """What is to be said of a shape: in the first words for which there is room, beside one of its ends.

    `lines`: those that are drawn of it, from one point to another.
    """

    number: int
    texts: Sequence[str]
    ends: Sequence[QPointF]
    lines: Sequence[tuple[QPointF, QPointF]]


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
    beside another end, where there is no room otherwise, or it would cover a line; where there is no room at
    all, they are left out.
    """
    placed: list[ShapeLabel] = []
    lines = _Lines([line for shape in wanted for line in shape.lines])
    for shape in wanted:
        label = _label_of(shape, metrics, size, bar, [each.plate for each in placed], lines)
        if label is not None:
            placed.append(label)
    return placed


def _label_of(
    shape: ShapeText,
    metrics: QFontMetrics,
    size: tuple[int, int],
    bar: QRectF | None,
    taken: Sequence[QRectF],
    lines: _Lines,
) -> ShapeLabel | None:
    around = _around(shape.ends)
    if not shape.texts[-1] or not around.intersects(QRectF(0, 0, *size)):
        return None
    first = fitting_text(metrics, shape.texts, size[0])
    ends = sorted(shape.ends, key=lambda end: -end.y())
    on_a_line: ShapeLabel | None = None
    for text in dict.fromkeys((first, shape.texts[-1])):
        for end, is_above, is_left in product(ends, (False, True), (False, True)):
            plate = label_plate(metrics, text, end, size, bar, is_above=is_above, is_left=is_left)
            room = plate.adjusted(-_EDGE_PX, -_EDGE_PX, _EDGE_PX, _EDGE_PX)
            if any(room.intersects(each) for each in taken):
                continue
            label = ShapeLabel(shape.number, text, plate)
            if not lines.cross(room):
                return label
            on_a_line = on_a_line or label
    return on_a_line


class _Lines:
    """The lines of all shapes."""

    def __init__(self, lines: Sequence[tuple[QPointF, QPointF]]) -> None:
        ends = np.array([[a.x(), a.y(), b.x(), b.y()] for a, b in lines], float).reshape(-1, 2, 2)
        self._start = ends[:, 0]
        self._low, self._high = ends.min(axis=1), ends.max(axis=1)
        along = ends[:, 1] - ends[:, 0]
        self._across = np.stack([-along[:, 1], along[:, 0]], axis=1)

    def cross(self, rect: QRectF) -> bool:
        """Whether any of them has a part in a rectangle."""
        low, high = (rect.left(), rect.top()), (rect.right(), rect.bottom())
        near = ((self._low <= high) & (self._high >= low)).all(axis=1)
        if not near.any():
            return False
        corners = np.array([low, high, (low[0], high[1]), (high[0], low[1])])
        sides = ((corners - self._start[near, None]) * self._across[near, None]).sum(axis=2)
        return bool(((sides.min(axis=1) <= 0) & (sides.max(axis=1) >= 0)).any())


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
