"""The left end of the status row while a run is on screen: state, progress, planes, size, rate, time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.texts_in_place import GAP_PX, SteadyWidths
from ..look.texts_in_place import needed as needed_width
from ..look.theme import colors_of, digits_font, plain_tooltip
from ..slots import safe_slot

if TYPE_CHECKING:
    from .run_progress import RunNews

_RUN_BAR_PX = 150
_LEAST_BAR_PX = 60
_BAR_HEIGHT_PX = 12
_MOST_HEADLINE_PX = 210
_EDGES_PX = 8


class RunBar(QWidget):
    """Paints as much of what is known as there is room for; the rest is said on hover. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._news: RunNews | None = None
        self._said: tuple[str, ...] = ()
        self._needed = 0, 0  # for what matters, in full and shortest: see `needed`
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
            self._note_needed(news)
            self.update()
        self._news = news

    def sizeHint(self) -> QSize:
        return QSize(560, self.fontMetrics().height())

    def needed(self, *, shortest: bool) -> int:
        """The room for the headline and the counts of planes; 0 while no run is on screen.

        It only grows while one is: what is beside it must not move.
        """
        return self._needed[shortest]

    def _note_needed(self, news: RunNews | None) -> None:
        needed = 0, 0
        if news is not None:
            forms = ((self._headline(news.headline), *news.counts), news.shortest)
            wide = (
                _EDGES_PX + needed_width(list(map(self.fontMetrics().horizontalAdvance, f))) for f in forms
            )
            in_full, shortest = map(max, zip(self._needed, wide, strict=True))
            needed = in_full, shortest
        if needed != self._needed:
            self._needed = needed
            self.updateGeometry()

    def _wide(self, *texts: str) -> int:
        return _EDGES_PX + needed_width([self.fontMetrics().horizontalAdvance(text) for text in texts])

    def _headline(self, text: str) -> str:
        return self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, _MOST_HEADLINE_PX)

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
        room, wants_bar = self.width() - _EDGES_PX, self._news.share is not None
        texts = [self._headline(self._said[0]), *self._said[1:]]
        n_counts = 1 + len(self._news.counts)
        is_short = self._wide(*texts[:n_counts]) > self.width()
        if is_short:
            texts[:n_counts] = self._news.shortest
        own = [metrics.horizontalAdvance(text) for text in texts]
        kind = self._news.state, self._news.is_quiet, self._news.paused > 0, is_short
        widths = self._steady.of(kind, own)
        if sum(widths) + GAP_PX * len(widths) + (_LEAST_BAR_PX + GAP_PX) * wants_bar > room:
            widths = own  # as they are now, all may fit
        room -= widths[0]
        n = 1
        for i, width in enumerate(widths[1:]):
            if width + GAP_PX + (_LEAST_BAR_PX + GAP_PX if wants_bar and i + 1 >= n_counts else 0) > room:
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
