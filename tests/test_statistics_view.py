"""The statistics of a run in the window: shown where known, measured when asked, with nothing read before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.known_statistics import KnownStatistics
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.gui.places.wells import Wells
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.statistics.plotted_statistics import (
    StatisticSeries,
    in_order,
    over_time,
    values_of_wells,
)
from ndviewer_light.model import PlaneKey, PlaneStatistics, Position
from ndviewer_light.rendering.field_statistics import (
    color_table,
    shares_of,
    span_of,
    text_of,
    value_of,
    values_of_positions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot

    from ndviewer_light.gui.statistics.statistics_view import StatisticsView
    from ndviewer_light.gui.viewer import LightweightViewer

LEFT = Qt.MouseButton.LeftButton
POSITIONS = (Position("A1", 0), Position("A1", 1), Position("B2", 0))
TIMEOUT = 30_000


def known(means: dict[tuple[int, int, int, int], float]) -> KnownStatistics:
    statistics = KnownStatistics(lambda: memory_info())
    for key, mean in means.items():
        found = PlaneStatistics(100, 100, mean, high=4095.0, n_high=int(mean), is_unsigned=True)
        statistics.note(PlaneKey(*key), None, found, statistics.begin(PlaneKey(*key)))
    return statistics


def test_what_is_shown_of_which_planes() -> None:
    statistics = known({(0, 0, 1, 0): 10, (0, 2, 1, 0): 30, (1, 0, 1, 0): 50})
    info = memory_info(positions=POSITIONS)
    values = values_of_positions(statistics, info, "mean", 0, 1, 0)
    np.testing.assert_array_equal(values, [10, math.nan, 30])
    np.testing.assert_array_equal(values_of_wells(values, Wells(POSITIONS)), [10, 30])
    np.testing.assert_array_equal(values_of_wells([1, 4, math.nan], Wells(POSITIONS)), [2.5, math.nan])
    assert value_of(statistics, PlaneKey(0, 0, 1, 0), "saturated") == 0.1
    series = over_time(statistics, "mean", 2, 0, 1, 0)
    np.testing.assert_array_equal(series.values, [10, 50])
    ordered = in_order(statistics, "mean", 2, 3, 0, 1, 0)
    np.testing.assert_array_equal(ordered.values, [10, math.nan, 30, 50, math.nan, math.nan])
    assert ordered.places[3] == (1, 0)
    assert len(in_order(statistics, "mean", 7_000, 3, 1, 1, 0).places) == 3  # too many: of one time point


def test_colours_and_texts() -> None:
    assert span_of([math.nan, 3, 1]) == (1, 3) and span_of([math.nan]) is None
    assert shares_of([1, 2, 3, math.nan], (1, 3)) == [0, 0.5, 1, None]
    assert shares_of([7], (7, 7)) == [0.5] and shares_of([7], None) == [None]
    lightness = [QColor(*each).lightnessF() for each in color_table()[::32]]
    assert len(color_table()) == 256 and color_table()[0][2] > color_table()[0][1]
    assert lightness[0] < lightness[-1]
    assert [text_of(0, "saturated"), text_of(0.0123, "saturated")] == ["0 %", "1.2 %"]
    assert [text_of(math.nan, "mean"), text_of(12345.6, "mean"), text_of(1.23456, "focus")] == [
        "not known",
        "12,346",
        "1.235",
    ]


@pytest.fixture(name="panelled")
def a_viewer_with_panels(qtbot: QtBot) -> Iterator[LightweightViewer]:
    from ndviewer_light.gui.viewer import LightweightViewer

    widget = LightweightViewer(panels=True)
    qtbot.addWidget(widget)
    widget.resize(1200, 800)
    with qtbot.waitExposed(widget):
        widget.show()
    yield widget
    widget.close()


def shown(qtbot: QtBot, viewer: LightweightViewer, *, live: bool) -> tuple[MemorySource, StatisticsView]:
    source = MemorySource(memory_info(positions=POSITIONS, n_z=1, height=16, width=16))
    for t, p, c in np.ndindex(2, 3, 2):
        if not live or t == 0:
            source.write((t, p, c, 0), 100 + 10 * p + 50 * t + c)
    dataset = Dataset(source, path="", live=live)
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=TIMEOUT)
    settle(qtbot, viewer)
    return source, viewer._screen.tools.statistics


def color_at(viewer: LightweightViewer, well: int) -> QColor:
    plate = viewer._screen.side.panels.plate_map
    image = plate.grab().toImage()
    scale = image.width() / plate.width()
    center = plate.rect_of(well).center()
    return image.pixelColor(int(center.x() * scale), int(center.y() * scale))


def is_like(color: QColor, rgb: tuple[int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(color.getRgb()[:3], rgb, strict=True)) <= 3


@pytest.mark.each_binding
@pytest.mark.gl
def test_the_maps_are_coloured_by_what_is_known_and_measured(
    qtbot: QtBot, panelled: LightweightViewer
) -> None:
    viewer = panelled
    source, statistics = shown(qtbot, viewer, live=False)
    source.errors[PlaneKey(0, 1, 0, 0)] = CorruptDataError("damaged")
    reads = len(source.reads)
    qtbot.keyClick(viewer, Qt.Key.Key_Q)
    qtbot.waitUntil(lambda: statistics.panel.plot.plot is not None, timeout=TIMEOUT)
    np.testing.assert_array_equal(statistics.values, [100, math.nan, math.nan])  # what was seen
    assert len(source.reads) == reads and statistics.panel.c == 0
    assert statistics.panel.legend.texts == ("100", "")  # one value has one colour, not a scale
    legend = statistics.panel.legend.grab().toImage()
    assert is_like(legend.pixelColor(legend.width() - 12, legend.height() // 2), color_table()[128])
    statistics.panel.measure_asked.emit("map")
    qtbot.waitUntil(lambda: statistics.job.finished.is_set() and statistics.values[2] == 120, timeout=TIMEOUT)
    assert math.isnan(statistics.values[1])
    qtbot.waitUntil(lambda: "1 unreadable" in statistics.panel.words.text(), timeout=TIMEOUT)
    assert statistics.panel.legend.texts == ("100", "120")
    table = color_table()
    assert is_like(color_at(viewer, 0), table[0]) and is_like(color_at(viewer, 1), table[255])
    assert "Mean: 120" in viewer._screen.side.panels.plate_map.text_of(1)
    statistics.panel.measure_asked.emit("run")
    qtbot.waitUntil(lambda: statistics.job.finished.is_set() and statistics.job.done == 12, timeout=TIMEOUT)
    qtbot.waitUntil(
        lambda: np.array_equal(statistics.panel.plot.shown().get(1, []), [101, 151]), timeout=TIMEOUT
    )
    statistics.panel.along.setCurrentIndex(1)
    statistics.panel.chosen.emit()
    np.testing.assert_array_equal(statistics.panel.plot.shown()[0], [100, math.nan, 120, 150, 160, 170])
    plot = statistics.panel.plot.plot
    at = plot.getPlotItem().vb.mapViewToScene(plot.getPlotItem().vb.viewRect().center())
    at.setX(plot.getPlotItem().vb.mapViewToScene(type(at)(6.0, 0.0)).x())
    qtbot.mouseClick(plot.viewport(), LEFT, pos=QPoint(round(at.x()), round(at.y())))
    qtbot.waitUntil(lambda: (viewer.stage.view.t, viewer.stage.view.p) == (1, 2), timeout=TIMEOUT)
    statistics.panel.close_button.click()
    assert not is_like(color_at(viewer, 1), table[255]) and statistics.panel.isHidden()


@pytest.mark.gl
def test_while_a_run_is_written_numbers_arrive_with_its_planes(
    qtbot: QtBot, panelled: LightweightViewer
) -> None:
    source, statistics = shown(qtbot, panelled, live=True)
    statistics.toggle()
    statistics.panel.measure_asked.emit("run")
    qtbot.waitUntil(lambda: statistics.job.is_waiting, timeout=TIMEOUT)
    dataset = panelled.dataset
    assert (
        sum(dataset.statistics.get(PlaneKey(t, p, 0, 0)) is not None for t in (0, 1) for p in range(3)) == 3
    )
    source.write((1, 2, 0, 0), 999)
    dataset.notify(1, 2, 0, 0)
    qtbot.waitUntil(lambda: dataset.statistics.get(PlaneKey(1, 2, 0, 0)) is not None, timeout=TIMEOUT)
    assert dataset.statistics.get(PlaneKey(1, 2, 0, 0)).mean == 999
    source.write((0, 2, 0, 0), 7)  # written again
    dataset.notify(0, 2, 0, 0)

    def is_measured_again() -> bool:
        found = dataset.statistics.get(PlaneKey(0, 2, 0, 0))
        return found is not None and found.mean == 7

    qtbot.waitUntil(is_measured_again, timeout=TIMEOUT)
    statistics.panel.stop_asked.emit()
    qtbot.waitUntil(statistics.job.finished.is_set, timeout=TIMEOUT)


@pytest.mark.gl
def test_lines_of_a_plot_do_not_lead_over_times_that_were_not_measured(
    qtbot: QtBot, panelled: LightweightViewer
) -> None:
    _, statistics = shown(qtbot, panelled, live=False)
    qtbot.keyClick(panelled, Qt.Key.Key_Q)
    qtbot.waitUntil(lambda: statistics.panel.plot.plot is not None, timeout=TIMEOUT)
    drawn = statistics.panel.plot
    values = np.array([5.0, 5.0, math.nan, math.nan, 5.0, 5.0, math.nan, 5.0])
    series = {0: StatisticSeries(values, [(t, 0) for t in range(8)])}
    drawn.show_series(series, {0: "#00FF00"}, x_name="t", y_name="Mean", now=None)
    box = drawn.plot.getPlotItem().vb
    qtbot.waitUntil(lambda: box.width() > 50, timeout=TIMEOUT)

    def has_line(x: float) -> bool:
        image = drawn.plot.grab().toImage()
        scale = image.width() / drawn.plot.width()
        at = drawn.plot.mapFromScene(box.mapViewToScene(QPointF(x, 5.0)))
        column = round(at.x() * scale)
        rows = range(round(at.y() * scale) - 4, round(at.y() * scale) + 5)
        return any(image.pixelColor(column, y).green() > 100 for y in rows)

    qtbot.waitUntil(lambda: has_line(1.5), timeout=TIMEOUT)
    assert [has_line(x) for x in (1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5)] == [
        *(True, False, False, False),
        *(True, False, False),
    ]


@pytest.mark.gl
def test_when_planes_were_acquired_is_shown_without_measuring(
    qtbot: QtBot, panelled: LightweightViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {(t, p): 100.0 * t + 7 * p for t in range(2) for p in range(3)}
    monkeypatch.setattr(
        MemorySource, "acquired_s", lambda self, keys: [recorded[key.t, key.p] for key in keys]
    )
    source, statistics = shown(qtbot, panelled, live=False)
    reads = len(source.reads)
    qtbot.keyClick(panelled, Qt.Key.Key_Q)
    statistics.panel.statistic.setCurrentIndex(statistics.panel.statistic.findData("acquired_s"))
    statistics.panel.chosen.emit()
    qtbot.waitUntil(lambda: statistics.values == [0, 7, 14], timeout=TIMEOUT)
    assert statistics.panel.legend.texts == ("0 s", "14 s") and len(source.reads) == reads
    panelled.set_current_index("time", 1)
    qtbot.waitUntil(lambda: statistics.values == [100, 107, 114], timeout=TIMEOUT)
    assert statistics.panel.legend.texts == ("100 s", "114 s")  # in minutes they were the same
