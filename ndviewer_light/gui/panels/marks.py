"""Draws the state of a well or field: each state has a shape as well as a colour.

Blue, orange, and black or white can be told apart by people who are red-green colour-blind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QPainter, QPen

from ...engine.state_codes import TimeState

if TYPE_CHECKING:
    from qtpy.QtGui import QColor

    from ..look.theme import PanelColors

SHOWN_STATES = (
    TimeState.ACQUIRED,
    TimeState.PARTLY,
    TimeState.PENDING,
    TimeState.MISSING,
    TimeState.UNREADABLE,
    TimeState.UNKNOWN,
)
"""In the order of a legend."""
_TINY_PX = 7.0
"""Below it, shapes are reduced to what can still be seen."""


def draw_mark(
    painter: QPainter, rect: QRectF, state: TimeState | None, colors: PanelColors, *, is_round: bool
) -> None:
    """The state of what is at `rect`; None: there is nothing that a run could acquire."""
    if state is None:
        _outline(painter, rect, colors.groove, is_round)
    elif state is TimeState.ACQUIRED:
        _fill(painter, rect, colors.accent, is_round)
    elif state is TimeState.PARTLY:
        _half(painter, rect, colors.accent, is_round)
    elif state is TimeState.PENDING:
        _fill(painter, rect, colors.groove, is_round)
        if rect.width() >= _TINY_PX:
            _fill(painter, _shrunk(rect, 0.3), colors.faint, is_round)
    elif state is TimeState.MISSING:
        _outline(painter, rect, colors.warning, is_round, 1.6)
        if rect.width() >= _TINY_PX:
            painter.drawLine(_shrunk(rect, 0.6).bottomLeft(), _shrunk(rect, 0.6).topRight())
    elif state is TimeState.UNREADABLE:
        _cross(painter, rect, colors.text)
    else:
        _fill(painter, rect, colors.faint, is_round)


def draw_value(
    painter: QPainter, rect: QRectF, color: QColor | None, colors: PanelColors, *, is_round: bool
) -> None:
    """A number as a colour; an outline where it is not known."""
    if color is None:
        _outline(painter, rect, colors.faint if rect.width() >= _TINY_PX else colors.groove, is_round)
    else:
        _fill(painter, rect, color, is_round)


def draw_ring(painter: QPainter, rect: QRectF, colors: PanelColors, *, is_round: bool, focus: bool) -> None:
    """Around what is in view; a gap keeps it apart from what it is around. Thicker with the focus."""
    width = 2.4 if focus else 1.6
    _outline(painter, rect.adjusted(-1, -1, 1, 1), colors.window, is_round, 2.0)
    around = rect.adjusted(-1 - width, -1 - width, 1 + width, 1 + width)
    _outline(painter, around, colors.text, is_round, width)


def _shrunk(rect: QRectF, share: float) -> QRectF:
    small = QRectF(0, 0, rect.width() * share, rect.height() * share)
    small.moveCenter(rect.center())
    return small


def _shape(painter: QPainter, rect: QRectF, is_round: bool) -> None:
    painter.drawEllipse(rect) if is_round else painter.drawRoundedRect(rect, 1.5, 1.5)


def _fill(painter: QPainter, rect: QRectF, color: QColor, is_round: bool) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    _shape(painter, rect, is_round)


def _outline(painter: QPainter, rect: QRectF, color: QColor, is_round: bool, width: float = 1.0) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(color, width))
    inset = width / 2
    _shape(painter, rect.adjusted(inset, inset, -inset, -inset), is_round)


def _half(painter: QPainter, rect: QRectF, color: QColor, is_round: bool) -> None:
    painter.save()
    painter.setClipRect(QRectF(rect.left(), rect.top(), rect.width() / 2, rect.height()))
    _fill(painter, rect, color, is_round)
    painter.restore()
    _outline(painter, rect, color, is_round, 1.4)


def _cross(painter: QPainter, rect: QRectF, color: QColor) -> None:
    painter.setPen(QPen(color, 1.8))
    inner = _shrunk(rect, 0.8)
    for start, end in (
        (inner.topLeft(), inner.bottomRight()),
        (inner.topRight(), inner.bottomLeft()),
    ):
        painter.drawLine(QPointF(start), QPointF(end))
