"""The line below the picture: shows the most important message."""

from __future__ import annotations

from typing import Literal

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from ..look.theme import plain_tooltip

Topic = Literal["pointer", "trouble", "waiting", "message"]

_ORDER: tuple[Topic, ...] = ("pointer", "trouble", "waiting", "message")
"""Topics by priority: the pixel under the mouse, problems, waiting, other messages."""


class StatusLine(QLabel):
    """One text per topic; the first non-empty one is shown, literally. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._said: dict[Topic, str] = {}
        self._details: dict[Topic, str] = {}
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContentsMargins(8, 1, 8, 2)
        # changing text must not move the canvas, nor long text widen the window
        self.setFixedHeight(self.fontMetrics().height() + 6)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, topic: Topic, text: str, details: str = "") -> None:
        """Set the `text` of `topic`, or clear it if empty; `details` (default: the text) is the tooltip."""
        if (text, details) == (self._said.get(topic, ""), self._details.get(topic, "")):
            return
        self._said[topic], self._details[topic] = text, details
        shown = next((each for each in _ORDER if self._said.get(each)), None)
        self.setText(self._said[shown] if shown is not None else "")
        self.setToolTip(
            plain_tooltip(self._details.get(shown) or self._said[shown]) if shown is not None else ""
        )

    def said(self, topic: Topic) -> str:
        """The text of `topic`, shown or not."""
        return self._said.get(topic, "")
