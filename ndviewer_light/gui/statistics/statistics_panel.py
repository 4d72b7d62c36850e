"""The panel of statistics below the picture: what is shown, its colours, measuring, and the plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import (
    QHBoxLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ...model import how_many
from ...rendering.field_statistics import SHOWN_STATISTICS, scale_colors
from ..look.one_line_label import OneLineLabel
from ..look.plots import LEAST_PLOT_HEIGHT_PX, PLOT_HEIGHT_PX, new_choice
from ..look.push_button import PushButton
from ..look.short_names import without_beginning
from ..look.theme import Panel, colors_of, menu_of, plain_tooltip, set_role
from ..slots import safe_slot
from .statistics_plot import StatisticsPlot

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS_BAR_PX = 96
_LEAST_LEGEND_BAR_PX = 30
_ONE_COLOR_PX = 14
OVER_TIME, IN_ORDER = "over time", "in order acquired"


class ColorLegend(QWidget):
    """The colours of a statistic with the values at both ends. GUI thread only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.texts = ("", "")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_ends(self, low: str, high: str) -> None:
        """Write these values at its ends, or the only one; nothing is drawn without any."""
        if (low, high) != self.texts:
            self.texts = low, high
            self.setAccessibleName(
                f"colours from {low} to {high}" if high else low and f"the colour of {low}"
            )
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        beside = self._beside_bar()
        return QSize(self._bar_px + beside, self.fontMetrics().height() + 4) if beside else QSize(0, 0)

    @property
    def _bar_px(self) -> int:
        return _NUMBERS_BAR_PX if self.texts[1] else _ONE_COLOR_PX

    def _beside_bar(self) -> int:
        """How much of its width the values take; 0: there are none."""
        texts = sum(self.fontMetrics().horizontalAdvance(text) for text in self.texts)
        return texts + 14 if self.texts[0] else 0

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    @safe_slot
    def paintEvent(self, _event: Any) -> None:
        length = min(self.width() - self._beside_bar(), self._bar_px)
        least = min(_LEAST_LEGEND_BAR_PX, self._bar_px)
        if not self.texts[0] or length < least:  # a narrow window has no room for it
            return
        painter = QPainter(self)
        left = self.fontMetrics().horizontalAdvance(self.texts[0]) + 5
        bar = QRectF(left, 4, length, self.height() - 8)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        colors = scale_colors(self.texts)[::15]
        for i, color in enumerate(colors):
            gradient.setColorAt(i / max(len(colors) - 1, 1), QColor(*color))
        painter.fillRect(bar, gradient)
        painter.setPen(colors_of(self).dim)
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, left, self.height()), middle, self.texts[0])
        painter.drawText(QRectF(bar.right() + 5, 0, self.width(), self.height()), middle, self.texts[1])
        painter.end()


class StatisticsPanel(Panel):
    """GUI thread only. `chosen`: something else is to be shown; `measure_asked`: the "map" or the "run"."""

    chosen = Signal()
    measure_asked = Signal(str)
    stop_asked = Signal()
    close_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.statistic = new_choice("Which statistic is shown", self._on_chosen)
        for i, each in enumerate(SHOWN_STATISTICS):
            self.statistic.addItem(each.title, each.name)
            self.statistic.setItemData(i, plain_tooltip(each.tip), Qt.ItemDataRole.ToolTipRole)
        self.channel = new_choice("Of which channel the maps show it", self._on_chosen)
        self.channel.setMaximumWidth(180)
        self._offered: list[tuple[int, str]] = []
        self.along = new_choice("What it is plotted over", self._on_chosen)
        for text in (OVER_TIME, IN_ORDER):
            self.along.addItem(text, text)
        self.along.setMinimumContentsLength(len(IN_ORDER))  # its own hint leaves the last letter out
        self.legend = ColorLegend()
        self.words = OneLineLabel()
        set_role(self.words, "dim")
        self.measure = PushButton("Measure")
        self._measure_menu = menu_of(self.measure)
        self._of_map = self._measure_menu.addAction("")
        self._of_run = self._measure_menu.addAction("")
        self._of_map.triggered.connect(lambda *_: self.measure_asked.emit("map"))
        self._of_run.triggered.connect(lambda *_: self.measure_asked.emit("run"))
        self.measure.setMenu(self._measure_menu)
        self.stop = PushButton("Stop")
        self.stop.clicked.connect(lambda *_: self.stop_asked.emit())
        self.stop.hide()
        self.close_button = PushButton("Close")
        self.close_button.clicked.connect(lambda *_: self.close_clicked.emit())
        self.plot = StatisticsPlot()
        self._lay_out()
        self.setMinimumHeight(LEAST_PLOT_HEIGHT_PX)
        self.setAccessibleName("Plane statistics")
        self.hide()

    def _lay_out(self) -> None:
        tips = {
            self.measure: "Read planes and measure them, in the background",
            self.stop: "Stop measuring; what was measured is kept",
            self.close_button: "Close; what was measured is kept",
        }
        for button, tip in tips.items():
            button.setAutoDefault(False)
            button.setToolTip(tip)
            set_role(button, "bar")
        row = QHBoxLayout()
        row.setContentsMargins(8, 5, 6, 0)
        row.setSpacing(6)
        row.addWidget(self.statistic)
        row.addWidget(self.channel)
        row.addWidget(self.legend)
        row.addStretch(1)
        for widget in (self.measure, self.stop, self.close_button):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 2)
        column.setSpacing(3)
        below = QHBoxLayout()
        below.setContentsMargins(10, 0, 6, 0)
        below.addWidget(self.words, 1)
        below.addWidget(self.along)
        column.addLayout(row)
        column.addLayout(below)
        column.addWidget(self.plot, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), PLOT_HEIGHT_PX)

    # ---- what is chosen --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The statistic that is chosen, as tables call it."""
        return str(self.statistic.currentData())

    @property
    def title(self) -> str:
        """The same in words."""
        return self.statistic.currentText()

    @property
    def c(self) -> int | None:
        """The channel that is chosen; None if there is none."""
        data = self.channel.currentData()
        return None if data is None else int(data)

    @property
    def is_over_time(self) -> bool:
        """Whether the plot is over time."""
        return self.along.currentData() == OVER_TIME

    def offer_channels(self, channels: Sequence[tuple[int, str]], chosen: int | None) -> None:
        """Offer these channels, by index and name; `chosen` if none of them was chosen before."""
        if self._offered == list(channels):
            return
        before = dict(self._offered).get(self.c if self.c is not None else -1)
        self._offered = list(channels)
        self.channel.clear()
        names = [name for _, name in channels]
        for (c, name), short in zip(channels, without_beginning(names), strict=True):
            self.channel.addItem(short, c)
            self.channel.setItemData(self.channel.count() - 1, name, Qt.ItemDataRole.ToolTipRole)
        at = names.index(before) if before in names else -1
        self.channel.setCurrentIndex(at if at >= 0 else max(self.channel.findData(chosen), 0))
        self.channel.setVisible(len(channels) > 1)

    def offer_axes(self, n_t: int, n_p: int) -> None:
        """What can be plotted over, of so many time points and positions."""
        is_choice = n_t > 1 and n_p > 1
        if not is_choice:
            self.along.setCurrentIndex(0 if n_t > 1 else 1)
        self.along.setVisible(is_choice)

    def offer_measuring(self, n_map: int, n_run: int) -> None:
        """How many planes there are of the map, and of the run, to be measured."""
        self._of_map.setText(f"This time point and channel: {how_many(n_map, 'plane')}")
        self._of_run.setText(f"The whole run: {how_many(n_run, 'plane')}")

    def say(self, text: str, tip: str = "", *, is_measuring: bool) -> None:
        """What is known and what is being measured."""
        self.words.say(text, tip)
        self.measure.setVisible(not is_measuring)
        self.stop.setVisible(is_measuring)

    @safe_slot
    def _on_chosen(self, _index: int) -> None:
        self.chosen.emit()
