"""The plot of a statistic: a curve or points per channel, over time or in the order of acquisition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..look.plots import new_plot, visible_color
from ..look.theme import PLOT_BACKGROUND, mix
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QColor

    from .plotted_statistics import StatisticSeries

_WHOLE_TICKS = 12  # of more, pyqtgraph's own are whole numbers
_LINES_UP_TO = 2000  # of more values only points are drawn


class StatisticsPlot(QWidget):
    """GUI thread only. `picked(t, p)`: the plane of the value nearest to a click."""

    picked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot: Any = None
        """The pyqtgraph widget; None until there is something to plot."""
        self._curves: dict[int, Any] = {}
        self._series: dict[int, StatisticSeries] = {}
        self._marker: Any = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)

    def show_series(
        self,
        series: Mapping[int, StatisticSeries],
        colors: Mapping[int, str],
        *,
        x_name: str,
        y_name: str,
        now: int | None,
    ) -> None:
        """Plot a statistic of several channels in their colours; `now`: the index of what is in view."""
        if self.plot is None:
            self._make()

        for c in [c for c in self._curves if c not in series]:
            self.plot.removeItem(self._curves.pop(c))
        for c, each in series.items():
            self._draw(c, each, visible_color(colors.get(c, "#FFFFFF")))
        self._series = dict(series)
        n = max((len(each.places) for each in series.values()), default=1)
        self.plot.setXRange(1, max(n, 2), padding=0.02)
        whole = [[(i, str(i)) for i in range(1, n + 1)]] if n <= _WHOLE_TICKS else None
        self.plot.getAxis("bottom").setTicks(whole)
        self.plot.setLabel("bottom", x_name)
        self.plot.setLabel("left", y_name)
        self._marker.setVisible(now is not None)
        if now is not None:
            self._marker.setValue(now + 1)

    def shown(self) -> dict[int, np.ndarray]:
        """The values that are plotted, by channel, NaN where there is none."""
        return {c: each.values for c, each in self._series.items()}

    def _draw(self, c: int, each: StatisticSeries, color: QColor) -> None:
        import pyqtgraph as pg

        curve = self._curves.get(c)
        if curve is None:
            curve = self._curves[c] = pg.PlotDataItem(antialias=True)
            self.plot.addItem(curve)
        known = np.flatnonzero(np.isfinite(each.values))
        has_line = known.size <= _LINES_UP_TO
        curve.setData(
            known + 1 if known.size else [],
            each.values[known] if known.size else [],
            connect=_joined(known),
            pen=pg.mkPen(mix(color, PLOT_BACKGROUND, 0.45), width=1) if has_line else None,
            symbol="o",
            symbolSize=5 if has_line else 3,
            symbolBrush=color,
            symbolPen=None,
        )

    def _make(self) -> None:
        self.plot, self._marker = new_plot(self, "Plot of a plane statistic")
        self.plot.setCursor(Qt.CursorShape.PointingHandCursor)
        self.plot.scene().sigMouseClicked.connect(self._on_clicked)
        self.layout().addWidget(self.plot)

    @safe_slot
    def _on_clicked(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = self.plot.getPlotItem().vb.mapSceneToView(event.scenePos())
        place = self.place_at(at.x())
        if place is not None:
            self.picked.emit(*place)

    def place_at(self, x: float) -> tuple[int, int] | None:
        """The (t, p) nearest to a place on the axis, which counts from 1; None of an empty plot."""
        each = next(iter(self._series.values()), None)
        if each is None or not len(each.places):
            return None
        return each.places[min(max(round(x) - 1, 0), len(each.places) - 1)]


def _joined(known: np.ndarray) -> np.ndarray:
    """For each of these indices, whether a line leads to the next one: not over others between them."""
    return np.append(np.diff(known) == 1, False)[: known.size].astype(np.int32)
