"""The maps on the left: the wells of a plate, and fields at their stage positions.

Both are painted from `plate_layout`, answer clicks and arrow keys with `picked`, and never widen their panel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QFont, QPainter
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from ...engine.plate_grid import PlateLayout
from ...engine.state_codes import TimeState
from ..look.theme import colors_of, plain_tooltip
from ..slots import safe_slot
from .marks import draw_mark, draw_ring, draw_value
from .plate_layout import (
    PlateGeometry,
    StageGeometry,
    StagePlaces,
    map_height,
    plate_geometry,
    stage_geometry,
    stage_places,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qtpy.QtGui import QColor

    from ...model import Position
    from ..look.theme import PanelColors

_USUAL_WIDTH = 230
_STEPS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
_IN_ORDER = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1, Qt.Key.Key_Home: 0, Qt.Key.Key_End: 0}
"""To the one before, the one after, the first and the last."""


class PlaceMap(QWidget):
    """What both maps share. GUI thread only.

    `picked` is the well or field that was clicked, or reached with an arrow key. `text_of(index)` is what is
    said of one under the mouse.
    """

    picked = Signal(int)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.current = -1
        self.states: Sequence[TimeState] = ()
        self.values: Sequence[QColor | None] | None = None
        """The colour of a statistic of each, by index, in place of the states; None: none is chosen."""
        self.text_of: Callable[[int], str] = lambda index: ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setToolTip(
            "Click, or use the arrow keys and Page Up and Down, to go there"
        )  # where the mouse is beside all of them
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_current(self, index: int) -> None:
        """Mark what is in view."""
        if index != self.current:
            self.current = index
            self.setAccessibleDescription(self.text_of(index) if index >= 0 else "")
            self.update()

    def show_states(self, states: Sequence[TimeState]) -> None:
        """Show these states, by index; empty while nothing is known."""
        if states is not self.states:
            self.states = states
            self.update()

    def show_values(self, values: Sequence[QColor | None] | None) -> None:
        """Show statistics as these colours, or states again."""
        if values is not self.values:
            self.values = values
            self.update()

    def _draw(
        self, painter: QPainter, rect: QRectF, index: int, colors: PanelColors, *, is_round: bool
    ) -> None:
        """What is known of one well or field."""
        state = self.state_of(index)
        if self.values is not None:
            value = self.values[index] if index < len(self.values) else None
            draw_value(painter, rect, value, colors, is_round=is_round)
        elif state is not None:
            draw_mark(painter, rect, state, colors, is_round=is_round)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.groove)
            if is_round:
                painter.drawEllipse(rect)
            else:
                painter.drawRoundedRect(rect, 1.5, 1.5)

    # ---- by the map ------------------------------------------------------------------------

    def index_at(self, x: float, y: float) -> int | None:
        """What is drawn at a point, or None."""
        raise NotImplementedError

    def rect_of(self, index: int) -> QRectF | None:
        """Where something is drawn; None if it is not."""
        raise NotImplementedError

    def beside(self, index: int, down: int, right: int) -> int:
        """The next one in a direction."""
        raise NotImplementedError

    def every(self) -> Sequence[int]:
        """All that there are, in order."""
        raise NotImplementedError

    def paint(self, painter: QPainter, colors: PanelColors) -> None:
        """Draw everything but the ring."""
        raise NotImplementedError

    @property
    def is_round(self) -> bool:
        """Whether wells are drawn, rather than fields."""
        raise NotImplementedError

    def state_of(self, index: int) -> TimeState | None:
        """The state of one; None while it is not known."""
        return self.states[index] if 0 <= index < len(self.states) else None

    # ---- events ----------------------------------------------------------------------------

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = colors_of(self)
        self.paint(painter, colors)
        rect = self.rect_of(self.current)
        if rect is not None:
            draw_ring(painter, rect, colors, is_round=self.is_round, focus=self.hasFocus())
        painter.end()

    @safe_slot
    def mousePressEvent(self, event: Any) -> None:
        at = event.position() if hasattr(event, "position") else event.pos()
        index = self.index_at(at.x(), at.y())
        if index is not None and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(index)

    @safe_slot
    def keyPressEvent(self, event: Any) -> None:
        step, is_plain = _STEPS.get(event.key()), not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if is_plain and event.key() in _IN_ORDER:
            index = self._in_order(event.key())
        elif is_plain and step is not None:
            index = self.beside(max(self.current, 0), *step)
        else:
            super().keyPressEvent(event)
            return
        if index != self.current:
            self.picked.emit(index)

    def _in_order(self, key: Qt.Key) -> int:
        """Where a key leads that knows no directions: so all can be reached, whatever lies between them."""
        every = self.every()
        if not every:
            return self.current
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            return every[0] if key == Qt.Key.Key_Home else every[-1]
        at = every.index(self.current) if self.current in every else 0
        return every[min(max(at + _IN_ORDER[key], 0), len(every) - 1)]

    def event(self, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.ToolTip:
            self._show_tip(event)
            return True
        return bool(super().event(event))

    @safe_slot
    def _show_tip(self, event: Any) -> None:
        words = self.words_at(event.pos().x(), event.pos().y())
        QToolTip.showText(event.globalPos(), plain_tooltip(words) if words else self.toolTip(), self)

    def words_at(self, x: float, y: float) -> str:
        """What is said of what is drawn at a point; empty where nothing is."""
        index = self.index_at(x, y)
        return self.text_of(index) if index is not None else ""

    def minimumSizeHint(self) -> QSize:
        return QSize(24, 24)

    def sizeHint(self) -> QSize:
        return QSize(_USUAL_WIDTH, self.heightForWidth(_USUAL_WIDTH))

    @safe_slot(default=24)
    def heightForWidth(self, width: int) -> int:
        return round(self.wanted_height(width))

    def wanted_height(self, width: float) -> float:
        """How high it should be where it is so wide."""
        raise NotImplementedError


class PlateMap(PlaceMap):
    """The wells of a plate, or regions of any names in a grid."""

    is_round = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("wells of the plate", parent)
        self._layout = PlateLayout((), (), {})
        self._places: dict[int, tuple[int, int]] = {}
        self._listed: Mapping[tuple[int, int], str] = {}
        self._listed_state = TimeState.MISSING

    def show_layout(self, layout: PlateLayout, listed: Mapping[tuple[int, int], str]) -> None:
        """Show this plate; `listed` are the names of wells without images that it lists, by their places."""
        self._layout, self._places, self._listed = layout, layout.places, listed
        self.setAccessibleName("wells of the plate" if layout.is_plate else "regions")
        self.updateGeometry()
        self.update()

    def show_listed(self, state: TimeState) -> None:
        """What wells are that are listed and have no images: pending or missing. They cannot be gone to."""
        if state is not self._listed_state:
            self._listed_state = state
            self.update()

    def words_at(self, x: float, y: float) -> str:
        index, place = self.index_at(x, y), self._geometry().at(x, y)
        if index is None and place is not None and place in self._listed:
            return f"{self._listed[place]}\n{self._listed_state.value}"
        return super().words_at(x, y)

    def _label_font(self) -> QFont:
        font = QFont(self.font())
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 0.75)
        return font

    def _geometry(self, width: float | None = None) -> PlateGeometry:
        longest = max((len(row) for row in self._layout.rows), default=0)
        labels = (10.0 + 7.0 * longest, 16.0)
        return plate_geometry(self._layout, self.width() if width is None else width, labels)

    def wanted_height(self, width: float) -> float:
        geometry = self._geometry(width)
        return geometry.top + geometry.cell * max(geometry.n_rows, 1) + 4 if self._layout.wells else 0.0

    def index_at(self, x: float, y: float) -> int | None:
        place = self._geometry().at(x, y) if self._layout.wells else None
        return self._layout.wells.get(place) if place is not None else None

    def rect_of(self, index: int) -> QRectF | None:
        place = self._places.get(index)
        return None if place is None else self._rect(self._geometry(), *place)

    def beside(self, index: int, down: int, right: int) -> int:
        return self._layout.beside(index, down, right)

    def every(self) -> Sequence[int]:
        return sorted(self._layout.wells.values())

    @staticmethod
    def _rect(geometry: PlateGeometry, row: int, column: int) -> QRectF:
        x, y = geometry.center(row, column)
        size = max(geometry.cell - (4 if geometry.cell > 9 else 1), 1.5)
        rect = QRectF(0, 0, size, size)
        rect.moveCenter(QPointF(x, y))
        return rect

    def paint(self, painter: QPainter, colors: PanelColors) -> None:
        if not self._layout.wells:
            return
        geometry = self._geometry()
        is_small = geometry.cell <= 6
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, not is_small)
        for row in range(geometry.n_rows):
            for column in range(geometry.n_columns):
                well = self._layout.wells.get((row, column))
                if well is None and not self._layout.is_plate:
                    continue
                rect = self._rect(geometry, row, column)
                if well is None:
                    state = self._listed_state if (row, column) in self._listed else None
                    draw_mark(painter, rect, state, colors, is_round=not is_small)
                else:
                    self._draw(painter, rect, well, colors, is_round=not is_small)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._layout.is_plate:
            self._paint_labels(painter, geometry, colors)

    def _paint_labels(self, painter: QPainter, geometry: PlateGeometry, colors: PanelColors) -> None:
        painter.setFont(self._label_font())
        painter.setPen(colors.dim)
        step, middle = geometry.label_step, Qt.AlignmentFlag.AlignCenter
        widest = painter.fontMetrics().horizontalAdvance("00") + 3
        columns_step = max(step, -int(-widest // geometry.cell))
        for row in range(0, geometry.n_rows, step):
            y = geometry.center(row, 0)[1]
            painter.drawText(QRectF(0, y - 8, geometry.left - 2, 16), middle, self._layout.rows[row])
        for column in range(0, geometry.n_columns, columns_step):
            x = geometry.center(0, column)[0]
            painter.drawText(QRectF(x - 14, 0, 28, geometry.top - 1), middle, self._layout.columns[column])


class FieldMap(PlaceMap):
    """Fields at their stage positions: those of a well, or all of a run without wells."""

    is_round = False

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("fields of view", parent)
        self._places: StagePlaces | None = None
        self._geometry: StageGeometry | None = None
        self._rank: dict[int, int] = {}

    def show_fields(
        self, positions: Sequence[Position], among: tuple[int, ...], field_um: tuple[float, float] | None
    ) -> bool:
        """Show the fields `among` the positions; False, and nothing, if there is no map of them.

        `field_um` is the height and width of a field.
        """
        self._places = stage_places(positions, among, field_um)
        self.updateGeometry()
        self._arrange()
        self.update()
        return self._geometry is not None

    def _arrange(self) -> None:
        width, height = self.width(), self.height()
        places_um = self._places
        self._geometry = stage_geometry(places_um, width, height) if places_um is not None else None
        places = self._geometry.places if self._geometry is not None else ()
        self._rank = {p: i for i, (p, _, _) in enumerate(places)}

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    def wanted_height(self, width: float) -> float:
        return map_height(self._places, width)

    def index_at(self, x: float, y: float) -> int | None:
        return self._geometry.at(x, y) if self._geometry is not None else None

    def rect_of(self, index: int) -> QRectF | None:
        if self._geometry is None or index not in self._rank:
            return None
        return self._rect(*self._geometry.places[self._rank[index]][1:])

    def beside(self, index: int, down: int, right: int) -> int:
        return self._geometry.beside(index, down, right) if self._geometry is not None else index

    def every(self) -> Sequence[int]:
        return sorted(p for p, *_ in self._geometry.places) if self._geometry is not None else ()

    def _rect(self, x: float, y: float) -> QRectF:
        assert self._geometry is not None
        half_x, half_y = self._geometry.half_width, self._geometry.half_height
        return QRectF(x - half_x, y - half_y, 2 * half_x, 2 * half_y)

    def paint(self, painter: QPainter, colors: PanelColors) -> None:
        for p, x, y in self._geometry.places if self._geometry is not None else ():
            self._draw(painter, self._rect(x, y), p, colors, is_round=False)
