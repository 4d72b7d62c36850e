"""The thin bar below the T slider: what of the position in view is there at each time point."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QRectF, Qt, Signal
from qtpy.QtGui import QBrush, QPainter
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from ...engine.state_codes import TimeState
from ...model import how_many
from ..look.theme import colors_of
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..look.theme import PanelColors

HEIGHT = 6
_LEAST_CELL_PX = 3.0
"""However many time points there are, one that is not wholly there can be seen."""
_ORDER = (
    TimeState.UNKNOWN,
    TimeState.PENDING,
    TimeState.ACQUIRED,
    TimeState.PARTLY,
    TimeState.MISSING,
    TimeState.UNREADABLE,
)
"""What is drawn first; what is drawn later may cover it."""
_BEING_WRITTEN = "being written"
_MARKED = (TimeState.PARTLY, TimeState.MISSING, TimeState.UNREADABLE)


class TimeStrip(QWidget):
    """Draws a state for each time point, told apart by shape as well as colour; `picked` is one clicked on.

    `margin` is how far from its ends the slider's handle is centred on the first and last time point.
    GUI thread only.
    """

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.margin = 7
        self._states: tuple[TimeState, ...] = ()
        self._front: int | None = None
        self._runs: list[tuple[TimeState | None, int, int]] = []  # first and last time point; None: the front
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("time points acquired")

    @property
    def states(self) -> tuple[TimeState, ...]:
        """What it shows; empty while nothing is known."""
        return self._states

    def set_states(self, states: Sequence[TimeState], front: int | None = None) -> None:
        """Show these states, one per time point; none while nothing is known.

        `front`: the time point that is just being written, of which the rest is not missing.
        """
        states = tuple(states)
        if (states, front) == (self._states, self._front):
            return
        self._states, self._front, self._runs, at = states, front, [], 0
        looks = [None if t == front else state for t, state in enumerate(states)]
        for state, same in groupby(looks):
            n = len(list(same))
            self._runs.append((state, at, at + n - 1))
            at += n
        self.setAccessibleDescription(self.summary())
        self.update()

    def summary(self) -> str:
        """All of it in words: "38 of 40 time points acquired, 2 nothing stored"."""
        if not self._states:
            return ""
        settled = [state for t, state in enumerate(self._states) if t != self._front]
        counts = {state: settled.count(state) for state in TimeState}
        others = [f"1 {_BEING_WRITTEN}"] * (len(settled) < len(self._states))
        others += [
            f"{n} {state.value}" for state, n in counts.items() if n and state is not TimeState.ACQUIRED
        ]
        acquired = f"{counts[TimeState.ACQUIRED]} of {how_many(len(self._states), 'time point')} acquired"
        return ", ".join([acquired, *others])

    def text_at(self, x: float) -> str:
        """What a tooltip says there: "t 18: nothing stored"."""
        index = self._index_at(x)
        if index is None:
            return ""
        said = _BEING_WRITTEN if index == self._front else self._states[index].value
        return f"t {index + 1}: {said}\n{self.summary()}"

    # ---- where -----------------------------------------------------------------------------

    def _cell(self) -> float:
        return (self.width() - 2 * self.margin) / max(len(self._states) - 1, 1)

    def _index_at(self, x: float) -> int | None:
        if not self._states:
            return None
        index = round((x - self.margin) / max(self._cell(), 1e-6))
        return min(max(index, 0), len(self._states) - 1)

    def _place(self, state: TimeState | None, first: int, last: int) -> QRectF:
        cell = self._cell()
        left = max(self.margin + (first - 0.5) * cell, 0.0)
        right = min(self.margin + (last + 0.5) * cell, float(self.width()))
        if state in _MARKED and right - left < _LEAST_CELL_PX:
            middle = (left + right) / 2
            left, right = middle - _LEAST_CELL_PX / 2, middle + _LEAST_CELL_PX / 2
        return QRectF(left, 0, max(right - left, 0.0), HEIGHT)

    # ---- events ----------------------------------------------------------------------------

    @safe_slot
    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        colors = colors_of(self)
        for state in (*_ORDER, None):
            for each, first, last in self._runs:
                if each is state:
                    _draw(painter, state, self._place(state, first, last), colors)
        painter.end()

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        x = event.position().x() if hasattr(event, "position") else event.pos().x()
        index = self._index_at(x)
        if index is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(index)

    def event(self, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.ToolTip:
            self._show_tip(event)
            return True
        return bool(super().event(event))

    @safe_slot
    def _show_tip(self, event: Any) -> None:
        QToolTip.showText(event.globalPos(), self.text_at(event.pos().x()), self)


def _draw(painter: QPainter, state: TimeState | None, place: QRectF, colors: PanelColors) -> None:
    """Acquired is a bar, missing one in the warning colour below it, in part both, unreadable a tall one.

    What is being written (None) is a bar with a gap in it.

    Blue, orange, and black or white can be told apart by people who are red-green colour-blind; all differ in
    shape.
    """
    lower = QRectF(place.left(), HEIGHT - 3, place.width(), 3)
    middle = QRectF(place.left(), 1.5, place.width(), 3)
    if state is TimeState.ACQUIRED:
        painter.fillRect(middle, colors.accent)
    elif state is None:
        painter.fillRect(QRectF(place.left(), 1, place.width(), 1), colors.accent)
        painter.fillRect(QRectF(place.left(), 4, place.width(), 1), colors.accent)
    elif state is TimeState.MISSING:
        painter.fillRect(lower, colors.warning)
    elif state is TimeState.PARTLY:
        painter.fillRect(QRectF(place.left(), 0, place.width(), 3), colors.accent)
        painter.fillRect(lower, colors.warning)
    elif state is TimeState.UNREADABLE:
        painter.fillRect(place, colors.text)
    elif state is TimeState.PENDING:
        painter.fillRect(QRectF(place.left(), 2.5, place.width(), 1), colors.groove)
    else:
        painter.fillRect(middle, QBrush(colors.faint, Qt.BrushStyle.Dense6Pattern))
