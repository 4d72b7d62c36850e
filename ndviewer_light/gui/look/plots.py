"""Plots below the picture: all look alike. pyqtgraph is imported when the first one is wanted."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox

from ..qt_modules import import_of_qt
from .theme import PLOT_BACKGROUND, mix

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from ..background import Background

PLOT_HEIGHT_PX = 210
LEAST_PLOT_HEIGHT_PX = 130
PLOT_INK = QColor(176, 181, 190)
_AXIS_PX = 58
_LEAST_CHOICE_PX = 64
"""So wide a box is at least: in a narrow window its text is cut rather than the window made wider."""
_LEAST_LIGHT = 0.28
_OF_QT = ("QtSvg", "QtOpenGLWidgets", "QtTest", "uic")
"""What pyqtgraph imports of Qt."""


def begin_import(background: Background, imported: Callable[[str], None]) -> None:
    """Import pyqtgraph in a thread, since it is slow. GUI thread.

    `imported(reason)` is called at the end, in that thread: why there are no plots, or "".
    """
    import_of_qt(_OF_QT)

    def load() -> None:
        try:
            import_plots()
        except ImportError as error:
            imported(str(error))
        else:
            imported("")

    background.run("ndviewer-import-plots", load)


def import_plots() -> None:
    """Import pyqtgraph; slow the first time. Leaves the hooks of the program as they are."""
    hooks = sys.excepthook, threading.excepthook
    try:
        import pyqtgraph  # noqa: F401
    finally:
        sys.excepthook, threading.excepthook = hooks


def new_plot(parent: QWidget, name: str) -> tuple[Any, Any]:
    """A pyqtgraph `PlotWidget` without curves, and its vertical line, which marks where the view is."""
    import_plots()
    import pyqtgraph as pg

    plot = pg.PlotWidget(parent, background=PLOT_BACKGROUND, enableMenu=False)
    menu = plot.getPlotItem().ctrlMenu  # is never shown; nobody would delete it
    menu.setParent(plot, menu.windowFlags())
    plot.setAccessibleName(name)
    plot.setMinimumHeight(60)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys still go to the picture
    plot.setMouseEnabled(x=False, y=False)  # all of it is always in sight
    plot.hideButtons()
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(pg.mkPen(mix(PLOT_INK, PLOT_BACKGROUND, 0.4)))
        axis.setTextPen(pg.mkPen(PLOT_INK))
        axis.enableAutoSIPrefix(False)
    plot.getAxis("left").setWidth(_AXIS_PX)  # the plot stays where it is, however long numbers are
    plot.showGrid(x=True, y=True, alpha=0.12)
    marker = pg.InfiniteLine(angle=90, pen=pg.mkPen(PLOT_INK, style=Qt.PenStyle.DotLine))
    marker.setZValue(-10)
    plot.addItem(marker, ignoreBounds=True)
    return plot, marker


def new_choice(name: str, chosen: Any) -> QComboBox:
    """A box to choose what is plotted; `chosen(index)` when the user does."""
    box = QComboBox()
    box.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still go to the picture
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.setMinimumWidth(_LEAST_CHOICE_PX)
    box.activated.connect(chosen)
    return box


def visible_color(color: str) -> QColor:
    """The colour of a channel, lighter where it is too dark to be seen as a line on black."""
    wanted = QColor(color)
    light = (0.299 * wanted.redF() + 0.587 * wanted.greenF() + 0.114 * wanted.blueF()) or 0.0
    if light >= _LEAST_LIGHT:
        return wanted
    return mix(wanted, QColor("white"), (_LEAST_LIGHT - light) / (1.0 - light))
