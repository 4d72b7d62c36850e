"""The line below the picture: of all there is to say, the most important."""

from __future__ import annotations

from typing import Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from .theme import plain_tooltip

Topic = Literal["pointer", "trouble", "waiting", "message"]

_ORDER: tuple[Topic, ...] = ("pointer", "trouble", "waiting", "message")
"""What is under the mouse, while it is there; what keeps us from working; what is waited for; the rest."""


class StatusLine(QLabel):
    """A text per topic, the first of which that is not empty is shown, to the letter. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._said: dict[Topic, str] = {}
        self._details: dict[Topic, str] = {}
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContentsMargins(8, 1, 8, 2)
        # text that comes and goes must not move the canvas, nor a long one widen the window
        self.setFixedHeight(self.fontMetrics().height() + 6)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, topic: Topic, text: str, details: str = "") -> None:
        """Say `text` on `topic`, or no more if it is empty; `details` (default: the text) is the tool tip."""
        if (text, details) == (self._said.get(topic, ""), self._details.get(topic, "")):
            return
        self._said[topic], self._details[topic] = text, details
        shown = next((each for each in _ORDER if self._said.get(each)), None)
        self.setText(self._said[shown] if shown is not None else "")
        self.setToolTip(
            plain_tooltip(self._details.get(shown) or self._said[shown]) if shown is not None else ""
        )

    def said(self, topic: Topic) -> str:
        """What is said on `topic`, shown or not."""
        return self._said.get(topic, "")
