"""The left end of the status row while a run is on screen: state, progress, planes, size, rate, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.texts_in_place import GAP_PX, SteadyWidths
from ..look.theme import colors_of, digits_font, plain_tooltip
from ..slots import safe_slot

if TYPE_CHECKING:
    from .run_progress import RunNews

_RUN_BAR_PX = 150
_LEAST_BAR_PX = 60
_BAR_HEIGHT_PX = 12
_MOST_HEADLINE_PX = 210
_AT_ENDS_PX = 16


class RunBar(QWidget):
    """Paints as much of what is known as there is room for; the rest is said on hover. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._news: RunNews | None = None
        self._said: tuple[str, ...] = ()
        self._least = 0  # for the headline, as wide as it has been: what is beside it must not move
        self._steady = SteadyWidths()
        self.setFont(digits_font(self))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Run")
        self.hide()

    @property
    def news(self) -> RunNews | None:
        """What it says; None while no run is on screen."""
        return self._news

    def show_news(self, news: RunNews | None) -> None:
        """Say this of the run on screen; None: there is none."""
        self.setVisible(news is not None)
        said = () if news is None else (news.headline, *news.parts)
        if said != self._said:
            self._said = said
            text = "\n".join(said)
            self.setToolTip(plain_tooltip(text))
            self.setAccessibleDescription(text)
            self._keep_room()
            self.update()
        self._news = news

    def minimumSizeHint(self) -> QSize:
        return QSize(max(self._least, _LEAST_BAR_PX), self.fontMetrics().height())

    def sizeHint(self) -> QSize:
        return QSize(560, self.fontMetrics().height())

    def _keep_room(self) -> None:
        """Have room for the headline, also in a narrow window; it is the most important of the row."""
        wide = self.fontMetrics().horizontalAdvance(self._said[0]) if self._said else 0
        least = max(self._least, min(wide, _MOST_HEADLINE_PX) + _AT_ENDS_PX) if wide else 0
        if least != self._least:
            self._least = least
            self.updateGeometry()

    def shown(self) -> tuple[list[str], int]:
        """What fits: the headline and the parts, and how wide the bar is (0: none)."""
        texts, _, bar = self._placed()
        return texts, bar

    def _placed(self) -> tuple[list[str], list[int], int]:
        """What fits, how wide each of it is, and how wide the bar is.

        Texts keep the widths that they had, so that nothing moves while numbers change.
        """
        if self._news is None:
            return [], [], 0
        metrics = self.fontMetrics()
        headline = metrics.elidedText(self._said[0], Qt.TextElideMode.ElideRight, _MOST_HEADLINE_PX)
        texts = [headline, *self._said[1:]]
        own = [metrics.horizontalAdvance(text) for text in texts]
        widths = self._steady.of((self._news.state, self._news.is_quiet, self._news.paused > 0), own)
        room, wants_bar = self.width() - 8, self._news.share is not None
        if sum(widths) + GAP_PX * len(widths) + (_LEAST_BAR_PX + GAP_PX) * wants_bar > room:
            widths = own  # as they are now, all may fit
        room -= widths[0]
        n = 1
        for i, width in enumerate(widths[1:]):
            if width + GAP_PX + (_LEAST_BAR_PX + GAP_PX if wants_bar and i else 0) > room:
                break
            n += 1
            room -= width + GAP_PX
        bar = min(_RUN_BAR_PX, room - GAP_PX) if wants_bar else 0
        return texts[:n], widths[:n], bar if bar >= _LEAST_BAR_PX else 0

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        if self._news is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = colors_of(self)
        texts, widths, bar = self._placed()
        is_trouble = self._news.is_trouble
        x = 8.0
        for i, (text, width) in enumerate(zip(texts, widths, strict=True)):
            painter.setPen(colors.warning if i == 0 and is_trouble else colors.text)
            painter.drawText(QRectF(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            x += width + GAP_PX
            if i == 0 and bar:
                self._paint_bar(painter, x, bar)
                x += bar + GAP_PX
        painter.end()

    def _paint_bar(self, painter: QPainter, x: float, width: int) -> None:
        assert self._news is not None
        colors = colors_of(self)
        place = QRectF(x, (self.height() - _BAR_HEIGHT_PX) / 2, width, _BAR_HEIGHT_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.groove)
        painter.drawRoundedRect(place, 3, 3)
        filled = QRectF(place)
        filled.setWidth(place.width() * (self._news.share or 0.0))
        painter.setBrush(colors.warning if self._news.is_trouble else colors.accent)
        painter.drawRoundedRect(filled, 3, 3)
