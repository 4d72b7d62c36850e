"""The line below the picture: shows the most important message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from ..look.texts_in_place import TextsInPlace
from ..look.theme import colors_of, plain_tooltip
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QMouseEvent

    from ..look.texts_in_place import Piece

    Choices = Sequence[Sequence[Piece]]

Topic = Literal["pointer", "trouble", "waiting", "message"]

_ORDER: tuple[Topic, ...] = ("pointer", "trouble", "waiting", "message")
"""Topics by priority: the pixel under the mouse, problems, waiting, other messages."""
_AGAIN_MS = 150
"""So long nothing is painted when the same is said again: one sees that it happened again."""
_FRESH_MS = 2500
"""How long a message that comes while the mouse is over the picture is shown instead of the pixel there."""


class StatusLine(QLabel):
    """One text per topic; the first non-empty one is shown, literally, cut at its end. GUI thread only.

    A message that is said again is shown as one that is new: what it says has happened again.
    `clicked` whenever it is clicked.
    """

    clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._said: dict[Topic, str] = {}
        self._details: dict[Topic, str] = {}
        self._choices: dict[Topic, Choices] = {}
        self._elsewhere: set[Topic] = set()
        self.n_messages = 0
        """How many were said so far, also the same again."""
        self._shown: Topic | None = None
        self._in_place = TextsInPlace()
        self._fresh = QTimer(self)
        self._fresh.setSingleShot(True)
        self._fresh.timeout.connect(self._show)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._show)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContentsMargins(8, 1, 8, 2)
        # changing text must not move the canvas, nor long text widen the window
        self.setFixedHeight(self.fontMetrics().height() + 6)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(
        self,
        topic: Topic,
        text: str,
        details: str = "",
        *,
        choices: Choices = (),
        is_elsewhere: bool = False,
    ) -> None:
        """Set the `text` of `topic`, or clear it if empty; `details` (default: the text) is the tooltip.

        With `choices`, the same in pieces with dots of colours, ever shorter, the first that fits is painted.
        `is_elsewhere`: a page above says it too; hosts can ask for it, and it is not painted a second time.
        """
        self.n_messages += topic == "message" and bool(text)
        (self._elsewhere.add if is_elsewhere else self._elsewhere.discard)(topic)
        if (text, details) == (self._said.get(topic, ""), self._details.get(topic, "")):
            if topic == "message" and text:
                self._say_again()
            return
        before = self._said.get(topic, "")
        self._said[topic], self._details[topic], self._choices[topic] = text, details, choices
        if not text:
            self._in_place = TextsInPlace()  # the mouse was elsewhere: texts need not stay where they were
        if topic == "message":
            self._note_message(text, before)
        self._show()

    def _say_again(self) -> None:
        if self._said.get("pointer") and "message" not in self._elsewhere:
            self._fresh.start(_FRESH_MS)
        self._again.start(_AGAIN_MS)
        self._show()

    def _note_message(self, text: str, before: str) -> None:
        """What a key has done is seen with the mouse over the picture too; not each step of progress."""
        if not text or "message" in self._elsewhere:
            self._fresh.stop()
        elif self._said.get("pointer") and _without_digits(text) != _without_digits(before):
            self._fresh.start(_FRESH_MS)

    @safe_slot
    def _show(self) -> None:
        order = (*_ORDER[1:], _ORDER[0]) if self._fresh.isActive() else _ORDER
        self._shown = next((each for each in order if self._said.get(each)), None)
        self.setText(self._said[self._shown] if self._shown is not None else "")
        tip = (self._details.get(self._shown) or self.text()) if self._shown is not None else ""
        self.setToolTip(plain_tooltip(tip) if tip else "")
        self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        if self._shown in self._elsewhere or (self._again.isActive() and self._shown == "message"):
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        choices = self._choices.get(self._shown, ()) if self._shown is not None else ()
        place = QRectF(self.contentsRect())
        self._in_place.paint(painter, place, choices or [[(self.text(), "")]], colors_of(self).text)
        painter.end()

    @safe_slot
    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        super().mouseReleaseEvent(event)
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit()

    def said(self, topic: Topic) -> str:
        """The text of `topic`, shown or not."""
        return self._said.get(topic, "")


def _without_digits(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())
