"""The plot below the picture: what was measured below the selected shape, a curve per channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..look.one_line_label import OneLineLabel
from ..look.plots import LEAST_PLOT_HEIGHT_PX, PLOT_HEIGHT_PX, new_choice, new_plot, visible_color
from ..look.push_button import PushButton
from ..look.theme import Panel, plain_tooltip, set_role
from ..slots import safe_slot
from .channel_values import ChannelValues
from .drawn_shapes import ShapeKind
from .shape_texts import size_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .measured import Measured, PlotAxis

_POINTS_UP_TO = 200


class MeasurePanel(Panel):
    """GUI thread only. `along_chosen` emits "t" or "z"; shown by whoever gives it something to show."""

    along_chosen = Signal(str)
    export_clicked = Signal()
    close_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._measured: Measured | None = None
        self._hues: Mapping[int, str] = {}
        self._curves: dict[int, Any] = {}
        self.plot: Any = None
        """The pyqtgraph widget; None until something was measured."""
        self._marker: Any = None
        self._unit = 0  # which of the axes: 0 in units where they are known
        self.title = OneLineLabel()
        self.values = ChannelValues()
        self.gaps = QLabel()
        self.gaps.setTextFormat(Qt.TextFormat.PlainText)
        set_role(self.gaps, "dim")
        self.along = new_choice("Horizontal axis of the plot", self._on_along)
        self.units = new_choice("Units of the horizontal axis", self._on_units)
        self.export = self._button("CSV…", "Save these values as a table", self.export_clicked)
        self.close_button = self._button("Close", "Close the plot; the shape stays", self.close_clicked)
        row = QHBoxLayout()
        row.setContentsMargins(8, 5, 6, 0)
        row.setSpacing(6)
        row.addWidget(self.title, 1)
        for widget in (self.gaps, self.along, self.units, self.export, self.close_button):
            row.addWidget(widget)
        below = QHBoxLayout()
        below.setContentsMargins(8, 0, 8, 0)
        below.addWidget(self.values, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 2)
        self._column.setSpacing(3)
        self._column.addLayout(row)
        self._column.addLayout(below)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(LEAST_PLOT_HEIGHT_PX)
        self.setAccessibleName("Measured values")
        self.hide()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), PLOT_HEIGHT_PX)

    @property
    def measured(self) -> Measured | None:
        """What is shown."""
        return self._measured

    def show_values(self, measured: Measured, colors: Mapping[int, str], *, has_both: bool) -> None:
        """Show values in the colours of their channels; `has_both`: they can be plotted over t and over z."""
        self._measured, self._hues = measured, colors
        if self.plot is None:
            self._make_plot()
        size, *shorter = size_texts(measured.shape, measured.image)
        kind, of = measured.shape.kind.value, f"   {measured.stack_text}" if measured.stack_text else ""
        self.title.say(
            f"{kind}   {size}{of}",
            f"{kind}, {measured.position}: {size}{of}",
            [f"{kind}   {each}{of}" for each in shorter] + [f"{each}{of}" for each in (size, *shorter)],
        )
        self._say_gaps()
        self._offer_along(measured.along, has_both=has_both)
        self._draw()

    def clear(self) -> None:
        """Show nothing, and hide."""
        self._measured = None
        self.hide()

    # ---- parts -----------------------------------------------------------------------------

    def _button(self, text: str, tip: str, clicked: Any) -> QPushButton:
        button = PushButton(text)
        button.setAutoDefault(False)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        set_role(button, "bar")
        button.clicked.connect(lambda: clicked.emit())
        return button

    def _make_plot(self) -> None:
        self.plot, self._marker = new_plot(self, "Plot of the measured values")
        self._column.addWidget(self.plot, 1)

    def _say_gaps(self) -> None:
        assert self._measured is not None
        n, of = self._measured.n_gaps, self._measured.n
        self.gaps.setText(f"{n} of {of} missing" if n else "")
        self.gaps.setToolTip("Not written yet, not stored, unreadable, or outside the picture" if n else "")

    def _offer_along(self, along: str, *, has_both: bool) -> None:
        """What values can be plotted over, and in which units; hidden where there is no choice."""
        assert self._measured is not None
        wanted = [("over time", "t"), ("over z", "z")] if has_both and along != "line" else []
        _fill(self.along, wanted, next((i for i, (_, each) in enumerate(wanted) if each == along), 0))
        axes = self._measured.axes()
        self._unit = min(self._unit, len(axes) - 1)
        _fill(self.units, [(axis.name, axis.name) for axis in axes] if len(axes) > 1 else [], self._unit)

    def _axis(self) -> PlotAxis:
        assert self._measured is not None
        axes = self._measured.axes()
        return axes[min(self._unit, len(axes) - 1)]

    def _draw(self) -> None:
        import numpy as np
        import pyqtgraph as pg

        assert self._measured is not None
        measured, axis = self._measured, self._axis()
        for c in [c for c in self._curves if c not in measured.values]:
            self.plot.removeItem(self._curves.pop(c))
        for c, values in measured.values.items():
            color = visible_color(self._hues.get(c, "#FFFFFF"))
            curve = self._curves.get(c)
            if curve is None:
                curve = self._curves[c] = pg.PlotDataItem(connect="finite", antialias=True)
                self.plot.addItem(curve)
            has_points = measured.along != "line" and measured.n <= _POINTS_UP_TO
            is_there = np.isfinite(values).any()  # of nothing but gaps, bounds cannot be found
            curve.setData(
                axis.coordinates[: len(values)] if is_there else [],
                values if is_there else [],
                pen=pg.mkPen(color, width=1.5),
                symbol="o" if has_points else None,
                symbolSize=4,
                symbolBrush=color,
                symbolPen=None,
            )
        self.plot.setLabel("bottom", axis.name)
        is_mean = measured.shape.kind is ShapeKind.BOX
        self.plot.setLabel("left", "Mean intensity" if is_mean else "Intensity")
        if axis.coordinates.size > 1:
            self.plot.setXRange(float(axis.coordinates[0]), float(axis.coordinates[-1]), padding=0.02)
        self._marker.setVisible(axis.now is not None)
        if axis.now is not None:
            self._marker.setValue(axis.now)
        self._say_values()

    def _say_values(self) -> None:
        assert self._measured is not None
        measured, said, tips = self._measured, [], []
        for c in measured.values:
            value = measured.current(c)
            text = "missing" if math.isnan(value) else f"{value:.5g}"
            text = "" if measured.is_of_other_planes else text
            said.append((measured.names[c], text, visible_color(self._hues.get(c, "#FFFFFF")).name()))
            tips.append(f"{measured.names[c]}: {text}")
        self.values.show_values(said)
        what = "Mean along the line" if measured.along == "line" else "Of the plane in view"
        if measured.stack_text and measured.along != "line":
            what = f"Of {measured.stack_text}"
        self.values.setToolTip(plain_tooltip("\n".join([what, *tips])))

    def shown(self) -> dict[int, tuple[Any, Any]]:
        """The curves as plotted by channel: x and y; empty of nothing but gaps."""
        drawn = {c: (curve.xData, curve.yData) for c, curve in self._curves.items()}
        return {c: ((), ()) if x is None else (x, y) for c, (x, y) in drawn.items()}

    @safe_slot
    def _on_along(self, index: int) -> None:
        self.along_chosen.emit(str(self.along.itemData(index)))

    @safe_slot
    def _on_units(self, index: int) -> None:
        self._unit = index
        if self._measured is not None:
            self._draw()


def _fill(box: QComboBox, wanted: list[tuple[str, str]], current: int) -> None:
    if [(box.itemText(i), box.itemData(i)) for i in range(box.count())] != wanted:
        box.clear()
        for text, data in wanted:
            box.addItem(text, data)
    box.setVisible(bool(wanted))
    if wanted:
        box.setCurrentIndex(current)
