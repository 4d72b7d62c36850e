"""The histogram of a channel, on which its limits and gamma can be dragged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.theme import PLOT_BACKGROUND
from ..slots import safe_slot
from .window_slider import MARGIN_PX, event_position, fraction_of, usable, x_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .window_slider import ValueRange

GAMMAS = (0.1, 5.0)
"""The exponents that can be chosen."""
_GAMMA_STEP = 1.1
_LOW, _HIGH, _GAMMA = 0, 1, 2
_GRAB_PX = 7
_FILL_ALPHA = 130
_FAINT_INK = QColor(150, 155, 165)


class Histogram(QWidget):
    """Counts in a channel's colour, over the range of the slider below, with the curve of brightness.

    The ends of the curve are the limits and can be dragged; its middle drags gamma, a double click on it
    makes it straight again.
    """

    moved = Signal(float, float)
    """(low, high) chosen by the user."""
    gamma_moved = Signal(float)
    """The exponent chosen by the user."""

    def __init__(self, values: ValueRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = values
        self.color = QColor("white")
        self.gamma = 1.0
        self.is_reversed = False
        """Whether low values are bright: the curve goes down."""
        self.said = ""
        """Why nothing is drawn."""
        self._is_logarithmic = True
        self._counts: np.ndarray = np.zeros(0)
        self._span = (0.0, 1.0)
        self._dragged: int | None = None
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(42)

    def set_counts(self, counts: np.ndarray | Sequence[float], low: float, high: float) -> None:
        """Show `counts`: bins of equal width over pixel values `low` to `high`; may be empty."""
        counts = np.nan_to_num(np.asarray(counts, dtype=np.float64).ravel(), nan=0.0, posinf=0.0, neginf=0.0)
        is_usable = usable(low, high) and high > low
        self._counts = np.clip(counts, 0, None) if is_usable else np.zeros(0)
        self._span = (float(low), float(high))
        self.update()

    def has_counts(self) -> bool:
        """Whether a histogram is drawn."""
        return bool(self._counts.any())

    def say(self, text: str) -> None:
        """Say why nothing is drawn; empty: nothing."""
        if text != self.said:
            self.said = text
            self.update()

    def set_logarithmic(self, is_logarithmic: bool) -> None:
        """Draw counts on a logarithmic scale, or a linear one."""
        self._is_logarithmic = is_logarithmic
        self.update()

    def set_gamma(self, gamma: float) -> None:
        """Draw the curve of this exponent."""
        self.gamma = gamma
        self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), PLOT_BACKGROUND)
        painter.setClipRect(self.rect())
        self._draw_counts(painter)
        if self.values.is_known:
            self._draw_window(painter)
        if self.said:
            painter.setPen(_FAINT_INK)
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.said)
        painter.end()

    # ---- dragging --------------------------------------------------------------------------

    def gamma_handle(self) -> QPointF:
        """The middle of the curve, px."""
        low, high = self._limits_x()
        return QPointF((low + high) / 2, self._curve_y(0.5))

    def _limits_x(self) -> tuple[float, float]:
        low, high = (x_of(self.values.fraction(value), self.width()) for value in self.values.window)
        return low, high

    def _grabbed(self, at: QPointF) -> int | None:
        """What a click there would drag: a limit, gamma, or nothing."""
        handle, (low, high) = self.gamma_handle(), self._limits_x()
        if high - low > 3 * _GRAB_PX and math.hypot(at.x() - handle.x(), at.y() - handle.y()) <= _GRAB_PX:
            return _GAMMA
        nearest, which = min((abs(at.x() - low), _LOW), (abs(at.x() - high), _HIGH))
        return which if nearest <= _GRAB_PX else None

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = self._grabbed(event_position(event))

    @safe_slot
    def mouseMoveEvent(self, event: Any) -> None:
        at = event_position(event)
        if self._dragged is None:
            shapes = {None: Qt.CursorShape.ArrowCursor, _GAMMA: Qt.CursorShape.SizeVerCursor}
            self.setCursor(shapes.get(self._grabbed(at), Qt.CursorShape.SizeHorCursor))
        else:
            self._drag_to(at)

    @safe_slot
    def mouseReleaseEvent(self, event: Any) -> None:
        if self._dragged is not None:
            self._drag_to(event_position(event))
        self._dragged = None

    def _drag_to(self, at: QPointF) -> None:
        if self._dragged == _GAMMA:
            self._drag_gamma(at.y())
        elif self._dragged is not None:
            before = self.values.window
            self.values.move(self._dragged, self.values.value(fraction_of(at.x(), self.width())))
            if self.values.window != before:
                self.update()
                self.moved.emit(*self.values.window)

    @safe_slot
    def mouseDoubleClickEvent(self, event: Any) -> None:
        if self._grabbed(event_position(event)) == _GAMMA:
            self._choose_gamma(1.0)

    def _drag_gamma(self, y: float) -> None:
        bottom, top = float(self.height() - 1), 2.0
        brightness = (bottom - y) / (bottom - top)
        brightness = min(0.97, max(0.03, 1.0 - brightness if self.is_reversed else brightness))
        self._choose_gamma(round(math.log(brightness) / math.log(0.5), 2))

    @safe_slot
    def step_gamma(self, steps: int) -> None:
        """The user makes the exponent larger, or smaller, in steps that look about equal."""
        self._choose_gamma(round(self.gamma * _GAMMA_STEP**steps, 2))

    def _choose_gamma(self, gamma: float) -> None:
        gamma = min(GAMMAS[1], max(GAMMAS[0], gamma))
        if gamma != self.gamma:
            self.set_gamma(gamma)
            self.gamma_moved.emit(gamma)

    # ---- drawing ---------------------------------------------------------------------------

    def _heights(self) -> np.ndarray:
        """(columns,) float: the tallest bin in each pixel column, 0 to 1; 0 if there is none."""
        columns = max(1, self.width() - 2 * MARGIN_PX)
        if not self._counts.any():
            return np.zeros(columns)
        counts = np.log1p(self._counts) if self._is_logarithmic else self._counts
        bottom, top = self.values.bounds
        edges = np.linspace(bottom, top, columns + 1)
        low, high = self._span
        bins = (edges - low) / (high - low) * len(counts)
        first = np.clip(np.floor(bins[:-1]).astype(np.int64), 0, len(counts) - 1)
        last = np.clip(np.ceil(bins[1:]).astype(np.int64), first + 1, len(counts))
        ends = np.stack([first, last], axis=1).ravel()
        heights = np.maximum.reduceat(np.append(counts, 0), ends)[::2]
        outside = (edges[1:] <= low) | (edges[:-1] >= high)
        return np.where(outside, 0.0, heights / counts.max())

    def _draw_counts(self, painter: QPainter) -> None:
        """As an image: filling a path of as many corners takes several times as long, for each plane."""
        heights, rows = self._heights(), self.height()
        tops = rows - heights * (rows - 4)
        pixels = np.empty((rows, len(heights), 4), np.uint8)
        pixels[..., :3] = self.color.getRgb()[:3]
        covered = np.clip(np.arange(1, rows + 1)[:, None] - tops, 0.0, 1.0)  # shares of each pixel
        pixels[..., 3] = np.rint(covered * _FILL_ALPHA)
        held = pixels.tobytes()  # which the image refers to
        image = QImage(held, len(heights), rows, 4 * len(heights), QImage.Format.Format_RGBA8888)
        painter.drawImage(QPointF(MARGIN_PX, 0), image)

    def _curve_y(self, share: float) -> float:
        """Where the curve is at a share (0 to 1) of the way from the low to the high limit, px."""
        bottom, brightness = self.height() - 1, share**self.gamma
        return float(bottom - (1.0 - brightness if self.is_reversed else brightness) * (bottom - 2))

    def _draw_window(self, painter: QPainter) -> None:
        low, high = self._limits_x()
        painter.setPen(QPen(self.color, 1.2))
        curve = QPainterPath(QPointF(low, self._curve_y(0.0)))
        steps = 1 if self.gamma == 1.0 else 24
        for step in range(1, steps + 1):
            curve.lineTo(low + (high - low) * step / steps, self._curve_y(step / steps))
        painter.drawPath(curve)
        if self.gamma != 1.0 or self.underMouse():
            painter.setBrush(self.color)
            painter.drawEllipse(self.gamma_handle(), 2.5, 2.5)
        painter.setPen(QPen(QColor(235, 237, 240), 1, Qt.PenStyle.DotLine))
        for x in (low, high):
            painter.drawLine(QPointF(x, 1), QPointF(x, self.height() - 1))
