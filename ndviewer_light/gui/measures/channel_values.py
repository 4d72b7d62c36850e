"""A row of channels with a value of each: names as long as there is room for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from ..look.short_names import without_beginning
from ..look.texts_in_place import DOT_PX, Piece, TextsInPlace, needed, width_of
from ..look.theme import colors_of
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_NAME = "…W"


class ChannelValues(QWidget):
    """Paints (name, value, colour) of each channel. GUI thread only; never asks for width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: list[tuple[str, str, str]] = []
        self._texts = TextsInPlace()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_values(self, values: Sequence[tuple[str, str, str]]) -> None:
        """Show (name, value, colour ``"#RRGGBB"``) of each channel."""
        if list(values) != self._values:
            self._values = list(values)
            self.setAccessibleDescription("\n".join(f"{name}: {value}" for name, value, _ in self._values))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self.fontMetrics().height() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(20, self.sizeHint().height())

    def shown(self) -> list[Piece]:
        """The texts as they are painted: without what all names begin with, or cut, where room is short."""
        names = [name for name, _, _ in self._values]
        for shorter in (names, without_beginning(names)):
            pieces = self._pieces(shorter)
            if needed([width_of(piece, self.fontMetrics()) for piece in pieces]) <= self.width():
                return pieces
        cut = self._cut(without_beginning(names))
        tells = all(name.strip("…") for name in cut)
        return self._pieces(cut if tells else [""] * len(cut))  # the colours tell which is which

    def _pieces(self, names: Sequence[str]) -> list[Piece]:
        each = zip(names, self._values, strict=True)
        return [(f"{name} {value}".strip(), color) for name, (_, value, color) in each]

    def _cut(self, names: Sequence[str]) -> list[str]:
        """Names cut at their end, all to as much room as there is for each."""
        metrics = self.fontMetrics()
        taken = needed([metrics.horizontalAdvance(f" {value}") + DOT_PX for _, value, _ in self._values])
        room = (self.width() - taken) // max(len(names), 1)
        room = max(room, metrics.horizontalAdvance(_LEAST_NAME))
        return [str(metrics.elidedText(name, Qt.TextElideMode.ElideRight, room)) for name in names]

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._texts.paint(painter, QRectF(self.rect()), [self.shown()], colors_of(self).text)
        painter.end()
