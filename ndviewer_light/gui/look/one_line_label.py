"""A label for text that comes from data: cut to the room there is, whole on hover; it never asks for room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from ..slots import safe_slot
from .theme import plain_tooltip

if TYPE_CHECKING:
    from collections.abc import Sequence

_TELLS_NOTHING = 3
"""Letters of a cut text, with the dots: "l…r"."""


class OneLineLabel(QLabel):
    """One line, shown literally; `mode` says which end is cut."""

    def __init__(
        self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._mode = mode
        self._tip = ""
        self._shorter: tuple[str, ...] = ()
        self._room = 0
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, text: str, tip: str = "", shorter: Sequence[str] = ()) -> None:
        """Show `text`; `tip` (default: the text) on hover.

        `shorter`: the same in fewer words, of which the first that fits is shown where the text does not.
        """
        if (text, tip, tuple(shorter)) != (self.text(), self._tip, self._shorter):
            self._tip, self._shorter = tip, tuple(shorter)
            self.setText(text)
            self.setToolTip(plain_tooltip(tip or text))

    @property
    def room(self) -> int:
        """The width that is wanted where there is enough, px; 0: none in particular."""
        return self._room

    def want_room(self, width: int) -> None:
        """Want this width, px, where there is enough."""
        self._room = width
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        hint = super().sizeHint()
        return QSize(self._room or hint.width(), hint.height())

    def shown(self) -> str:
        """The text as cut; nothing where hardly a letter of it fits."""
        metrics, width = self.fontMetrics(), self.contentsRect().width()
        texts = [text.replace("\n", " ") for text in (self.text(), *self._shorter)]
        text = next((each for each in texts if metrics.horizontalAdvance(each) <= width), texts[-1])
        cut = str(metrics.elidedText(text, self._mode, width))
        return "" if cut != text and len(cut) <= _TELLS_NOTHING else cut

    def minimumSizeHint(self) -> QSize:
        return QSize(10, self.fontMetrics().height())

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), self.shown())
        painter.end()
