"""The panels left of the picture: plate or stage map, fields of the well, acquisition card. Only display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ...engine.state_codes import TimeState
from ..look.one_line_label import OneLineLabel
from ..look.scroll_area import ColumnScroll
from ..look.theme import Panel, colors_of, heading_font, set_role
from ..slots import safe_slot
from .field_list import FieldList
from .marks import SHOWN_STATES, draw_mark
from .place_map import FieldMap, PlateMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..places.acquisition_facts import Fact

WIDTH, LEAST_WIDTH = 250, 130
_MOST_FACTS = 16
_MARK_PX = 9
_WORDS = {
    TimeState.ACQUIRED: "acquired",
    TimeState.PARTLY: "in part",
    TimeState.PENDING: "pending",
    TimeState.MISSING: "missing",
    TimeState.UNREADABLE: "unreadable",
    TimeState.UNKNOWN: "not known",
}


class Legend(QWidget):
    """What the marks that are on a map mean; in one or two lines, whose height never changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._states: tuple[TimeState, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(2 * self.fontMetrics().height() + 4)

    @property
    def states(self) -> tuple[TimeState, ...]:
        """The states it explains."""
        return self._states

    def show_states(self, states: Sequence[TimeState]) -> None:
        """Explain the states that occur."""
        found = set(states)
        shown = tuple(state for state in SHOWN_STATES if state in found)
        if shown != self._states:
            self._states = shown
            self.setAccessibleName(", ".join(_WORDS[state] for state in shown))
            self.update()

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, metrics = colors_of(self), self.fontMetrics()
        x, y = 0.0, 1.0
        for state in self._states:
            words = _WORDS[state]
            width = _MARK_PX + 5 + metrics.horizontalAdvance(words) + 12
            if x > 0 and x + width - 12 > self.width():
                x, y = 0.0, y + metrics.height() + 1
            mark = QRectF(x, y + (metrics.height() - _MARK_PX) / 2, _MARK_PX, _MARK_PX)
            draw_mark(painter, mark, state, colors, is_round=True)
            painter.setPen(colors.dim)
            painter.drawText(QRectF(x + _MARK_PX + 5, y, width, metrics.height()), words)
            x += width
        painter.end()


class AcquisitionCard(QFrame):
    """Facts, a line each; the rows never ask for more room than there is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "card")
        grid = QGridLayout(self)
        grid.setContentsMargins(9, 7, 9, 7)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, OneLineLabel]] = []
        for row in range(_MOST_FACTS):
            name, value = QLabel(), OneLineLabel()
            set_role(name, "dim")
            grid.addWidget(name, row, 0)
            grid.addWidget(value, row, 1)
            self._rows.append((name, value))
        self._facts: list[Fact] = []
        self.show_facts([])

    @property
    def facts(self) -> list[Fact]:
        """What it says."""
        return self._facts

    def show_facts(self, facts: Sequence[Fact]) -> None:
        """Say these facts."""
        self._facts = list(facts[:_MOST_FACTS])
        for i, (name, value) in enumerate(self._rows):
            fact = self._facts[i] if i < len(self._facts) else None
            if fact is not None:
                name.setText(fact.name)
                value.say(fact.value, fact.more)
                value.setAccessibleName(fact.name)
            name.setVisible(fact is not None)
            value.setVisible(fact is not None)


class LeftPanels(Panel):
    """A column with everything, which scrolls where the window is low. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plate_heading, self.field_heading = self._heading("PLATE"), self._heading("FIELDS")
        self.plate_map, self.legend = PlateMap(), Legend()
        self.field_map, self.field_list = FieldMap(), FieldList()
        self.card = AcquisitionCard()
        self._has_map, self._has_list, self._with_statistics = True, False, False
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(10, 8, 8, 8)
        column.setSpacing(5)
        for widget in (
            self.plate_heading,
            self.plate_map,
            self.field_heading,
            self.field_map,
            self.field_list,
            self.legend,
            self._heading("ACQUISITION"),
            self.card,
        ):
            column.addWidget(widget)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(ColumnScroll(page, "Plate, fields and acquisition"))
        self.setMinimumWidth(LEAST_WIDTH)  # what is narrower than the window allows is hidden, see `Screen`

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, 400)

    def _heading(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setFont(heading_font(label))
        label.setMinimumHeight(20)
        set_role(label, "dim")
        return label

    def show_parts(self, *, plate: bool, fields: str) -> None:
        """Show the plate or not, and the fields as a ``"map"``, a ``"list"``, or not at all (``""``)."""
        self.plate_heading.setVisible(plate)
        self.plate_map.setVisible(plate)
        self.field_heading.setVisible(bool(fields))
        self.field_map.setVisible(fields == "map")
        self.field_list.setVisible(fields == "list")
        self._has_map, self._has_list = plate or fields == "map", fields == "list"
        self.show_statistics(self._with_statistics)

    def show_statistics(self, shown: bool) -> None:
        """Whether the maps show statistics, so that only the list, if there is one, has marks of states."""
        self._with_statistics = shown
        self.legend.setVisible(self._has_list or (self._has_map and not shown))

    def palette_changed(self) -> None:
        for widget in (
            getattr(self, name, None) for name in ("plate_map", "field_map", "field_list", "legend")
        ):
            if widget is not None:
                widget.update()
