"""Texts beside each other that stay where they are while one of them changes, with dots in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPen

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from qtpy.QtGui import QFontMetrics, QPainter

DOT_PX = 14
"""What a dot before a text takes."""
GAP_PX = 12
"""Between two texts."""
_RADIUS_PX = 4.0

Piece = tuple[str, str]
"""A text, and the colour ``"#RRGGBB"`` of the dot before it; "": it has none."""


class SteadyWidths:
    """The widths of texts beside each other: each only grows, as long as the texts are of one kind."""

    def __init__(self) -> None:
        self._kind: Hashable = None
        self._widths: list[int] = []

    def of(self, kind: Hashable, widths: Sequence[int]) -> list[int]:
        """The widths to give to texts of these widths."""
        if kind != self._kind or len(widths) != len(self._widths):
            self._kind, self._widths = kind, list(widths)
        self._widths = [max(pair) for pair in zip(self._widths, widths, strict=True)]
        return list(self._widths)


def width_of(piece: Piece, metrics: QFontMetrics) -> int:
    """How much room a text takes, with its dot."""
    text, color = piece
    return int(metrics.horizontalAdvance(text)) + (DOT_PX if color else 0)


def needed(widths: Sequence[int]) -> int:
    """The room that texts of these widths take beside each other."""
    return sum(widths) + GAP_PX * max(len(widths) - 1, 0)


class TextsInPlace:
    """Paints texts from left to right; what does not fit is cut at the right."""

    def __init__(self) -> None:
        self._steady = SteadyWidths()
        self._least = 0

    def paint(
        self, painter: QPainter, place: QRectF, choices: Sequence[Sequence[Piece]], ink: QColor
    ) -> None:
        """Paint the first of `choices`, which say the same ever shorter, that has fitted so far.

        Texts are as wide as they were; where that does not fit any more, each as wide as it is now.
        """
        metrics = painter.fontMetrics()
        at = min(self._least, len(choices) - 1)
        own = [width_of(piece, metrics) for piece in choices[at]]
        while at < len(choices) - 1 and needed(own) > place.width():
            at += 1
            own = [width_of(piece, metrics) for piece in choices[at]]
        self._least, pieces = at, choices[at]
        widths = self._steady.of((at, *(color for _, color in pieces)), own)
        if needed(widths) > place.width():
            widths = own
        x = place.left()
        for (text, color), width in zip(pieces, widths, strict=True):
            room = place.right() - x
            if room < DOT_PX:
                return
            left = x
            if color:
                _paint_dot(painter, QPointF(x + _RADIUS_PX + 1, place.center().y() + 0.5), color, ink)
                left += DOT_PX
            cut = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(place.right() - left))
            painter.setPen(ink)
            where = QRectF(left, place.top(), place.right() - left, place.height())
            painter.drawText(where, Qt.AlignmentFlag.AlignVCenter, cut)
            x += width + GAP_PX


def _paint_dot(painter: QPainter, middle: QPointF, color: str, ink: QColor) -> None:
    edge = QColor(ink)
    edge.setAlpha(110)  # one that is as dark as what is below it has an outline
    painter.setPen(QPen(edge, 1))
    painter.setBrush(QColor(color))
    painter.drawEllipse(middle, _RADIUS_PX, _RADIUS_PX)
