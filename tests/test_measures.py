"""Lines, rectangles and points on the picture: what is below them, drawn by hand, plotted, exported."""

from __future__ import annotations

import csv
import itertools
import math
import sys
import threading

import numpy as np
import pytest
import screen
from hypothesis import given
from hypothesis import strategies as st
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPointF, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics
from qtpy.QtWidgets import QApplication, QComboBox, QMenu
from screen import activate, choose_in_menu, press, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.projections import StackProjection
from ndviewer_light.engine.shape_values import box_series, line_profiles
from ndviewer_light.engine.shapes import Line, Spot, box_of, line_values, mean_of
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.gui.look.one_line_label import OneLineLabel
from ndviewer_light.gui.measures.drawn_shapes import DrawnShape, DrawnShapes, ShapeKind
from ndviewer_light.gui.measures.measure_panel import visible_color
from ndviewer_light.gui.measures.measured import table_of
from ndviewer_light.gui.measures.shape_labels import fitting_text, label_plate
from ndviewer_light.gui.measures.shape_texts import size_texts
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import PlaneKey, Position, Region
from ndviewer_light.rendering.saturation_picture import MARK_RGB

LEFT = Qt.MouseButton.LeftButton
HEIGHT, WIDTH = 96, 128
N_T, N_Z = 4, 3

# ---- arithmetic ------------------------------------------------------------------------------------


def ramp(height: int, width: int) -> np.ndarray:
    """10 more a row, 1 more a column: bilinear interpolation of it is exact."""
    return (10 * np.arange(height)[:, None] + np.arange(width)).astype(np.uint16)


def test_a_profile_is_interpolated_between_the_middles_of_pixels():
    pixels = ramp(600, 700)
    regions = []

    def read(region: Region) -> np.ndarray:
        assert region.within(600, 700)
        regions.append(region)
        return pixels[region.slices]

    line = Line(Spot(2.5, 3.5), Spot(590.5, 680.5))
    values = line_values(line, 600, 700, read)
    assert len(values) == line.n_samples == math.ceil(line.length_px) + 1
    ys, xs = (np.linspace(a, b, len(values)) - 0.5 for a, b in zip(line.a, line.b, strict=True))
    np.testing.assert_allclose(values, 10 * ys + xs)
    assert sum(region.height * region.width for region in regions) < 600 * 700 / 2  # not all of the plane
    outside = line_values(Line(Spot(-3, 4.5), Spot(5, 4.5)), 600, 700, read)
    assert np.isnan(outside[:3]).all()
    np.testing.assert_allclose(outside[3:], [4, 9, 19, 29, 39, 49])  # at the edge the last pixel goes on
    assert np.isnan(line_values(Line(Spot(0, 800), Spot(9, 900)), 600, 700, read)).all()


@given(*[st.floats(-20, 60) for _ in range(4)])
def test_a_box_has_the_pixels_whose_middle_is_in_it_and_their_mean(y0, x0, y1, x1):
    pixels = ramp(30, 40)
    box = box_of(Spot(y0, x0), Spot(y1, x1), 30, 40)
    ys, xs = np.arange(30) + 0.5, np.arange(40) + 0.5
    (top, bottom), (left, right) = sorted((y0, y1)), sorted((x0, x1))
    rows, columns = (ys >= top) & (ys <= bottom), (xs >= left) & (xs <= right)
    if rows.any() and columns.any():
        assert box is not None and box.within(30, 40)
        assert mean_of(box, lambda region: pixels[region.slices]) == pytest.approx(
            pixels[np.ix_(rows, columns)].mean()
        )
    elif box is not None:  # narrower than a pixel: the one it is in
        assert min(box.height, box.width) == 1


def test_what_is_no_number_has_no_part_in_a_mean():
    pixels = np.array([[1.0, np.nan], [np.inf, 3.0]], np.float32)
    assert mean_of(Region(0, 0, 2, 2), lambda region: pixels[region.slices]) == 2
    assert math.isnan(mean_of(Region(0, 1, 1, 1), lambda region: pixels[region.slices]))
    assert mean_of(Region(0, 0, 1, 2), lambda region: np.array([[3 + 4j, 0]])) == 2.5


def a_source(**more: object) -> MemorySource:
    """Two fields; every plane is 100 t + 10 z + c; none stored at t 1; (t 2, c 1, z 0) is damaged."""
    size = {"height": HEIGHT, "width": WIDTH, "pixel_size_y_um": 0.5, "pixel_size_x_um": 0.5}
    positions = (Position("A1", 0), Position("A1", 1))
    source = MemorySource(
        memory_info(n_t=N_T, n_z=N_Z, positions=positions, time_step_s=30.0, z_step_um=2.0, **size, **more)
    )
    for t in range(N_T):
        for c in range(2):
            for z in range(N_Z):
                if t != 1:
                    source.write((t, 0, c, z), 100 * t + 10 * z + c)
    source.errors[PlaneKey(2, 0, 1, 0)] = CorruptDataError("damaged")
    return source


def test_what_is_missing_or_damaged_is_a_gap_and_not_zero():
    with Dataset(a_source()) as dataset:
        box = Region(10, 10, 5, 6)
        over_t = box_series(dataset, (0, 0, 0), (0, 1), box, "t")
        np.testing.assert_array_equal(over_t[0], [0, np.nan, 200, 300])
        np.testing.assert_array_equal(over_t[1], [1, np.nan, np.nan, 301])
        over_z = box_series(dataset, (3, 0, 0), (1,), box, "z")
        np.testing.assert_array_equal(over_z[1], [301, 311, 321])
        profiles = line_profiles(dataset, (1, 0, 0), (0,), Line(Spot(1, 1), Spot(9, 1)))
        assert np.isnan(profiles[0]).all() and len(profiles[0]) == 9


def test_only_gaps_and_what_is_new_are_read_again_and_it_can_be_cancelled():
    source = a_source()
    with Dataset(source) as dataset:
        known = {}
        box = Region(0, 0, 2, 2)
        box_series(dataset, (0, 0, 0), (0,), box, "t", known=known)
        assert known == {(0, 0): 0.0, (0, 2): 200.0, (0, 3): 300.0}
        source.write((1, 0, 0, 0), 7)
        dataset.notify(1, 0, 0, 0)
        source.write((2, 0, 0, 0), 9)  # not looked at: nobody says that it has changed
        found = box_series(dataset, (0, 0, 0), (0,), box, "t", known=known)
        np.testing.assert_array_equal(found[0], [0, 7, 200, 300])
        dataset.notify(2, 0, 0, 0)
        found = box_series(dataset, (0, 0, 0), (0,), box, "t", known=known, anew=frozenset({2}))
        np.testing.assert_array_equal(found[0], [0, 7, 9, 300])
        found = box_series(dataset, (0, 0, 0), (1,), box, "t", cancelled=lambda: True)
        assert np.isnan(found[1]).all()


def test_a_shape_is_taken_by_its_handles_and_edges_where_it_is_on_screen():
    shapes = DrawnShapes()
    box = shapes.add(ShapeKind.BOX, Spot(10, 20), Spot(30, 60))
    line = shapes.add(ShapeKind.PROFILE, Spot(0, 0), Spot(0, 100))

    def to_screen(spot: Spot) -> tuple[float, float]:
        return spot.x * 4, spot.y * 4

    assert shapes.at(80 + 3, 40 - 4, to_screen) == (box.number, 0)
    assert shapes.at(240, 40, to_screen) == (box.number, 2)  # the upper right corner
    assert shapes.at(160, 42, to_screen) == (box.number, None)
    assert shapes.at(160, 80, to_screen) is None  # within it one drags the picture
    assert shapes.at(300, 5, to_screen) == (line.number, None)
    moved = box.moved(2, Spot(5, 70), Spot(0, 0))
    assert (moved.a, moved.b) == (Spot(5, 20), Spot(30, 70))
    assert box.moved(None, Spot(0, 0), Spot(-1, 2)).a == Spot(9, 22)
    shapes.remove(line.number)
    assert shapes.selected == box


def test_curves_of_dark_colours_can_be_seen_on_black():
    for color in ("#0000FF", "#000000", "#400000"):
        r, g, b, _ = visible_color(color).getRgbF()
        assert 0.299 * r + 0.587 * g + 0.114 * b > 0.27
    assert visible_color("#00FF00") == QColor("#00FF00")


def test_what_is_said_of_a_shape_is_not_on_the_scale_bar_and_shorter_where_there_is_little_room(qtbot):
    metrics, image = QFontMetrics(QFont()), a_source().info.groups[0]
    said = size_texts(DrawnShape(0, ShapeKind.DISTANCE, Spot(0, 0), Spot(0, 40)), image)
    assert said == ["20.00 µm  (40.0 px)", "20.00 µm"]
    for width, height in ((380, 180), (380, 50), (200, 180)):
        bar = QRectF(width - 112, height - 42, 100, 30)
        for x in range(0, width, 40):
            for y in (0, height // 2, height):
                plate = label_plate(metrics, said[1], QPointF(x, y), (width, height), bar)
                assert not plate.intersects(bar) and QRectF(0, 0, width, height).contains(plate)
    for width, text in ((400, said[0]), (metrics.horizontalAdvance(said[1]) + 20, said[1]), (10, said[1])):
        assert fitting_text(metrics, said, width) == text
    label = OneLineLabel()
    qtbot.addWidget(label)
    label.say(said[0], "", said[1:])
    label.resize(metrics.horizontalAdvance(said[1]) + 4, 20)
    assert label.shown() == said[1]
    label.resize(metrics.horizontalAdvance(said[0]) + 4, 20)
    assert label.shown() == said[0]


# ---- in the window ---------------------------------------------------------------------------------


def show(qtbot, viewer, source: MemorySource, *, live: bool = False) -> Dataset:
    dataset = Dataset(source, path="/data/run", live=live)
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    picture = viewer.stage.canvas.surface
    activate(qtbot, viewer)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    return dataset


def drag(viewer, start: Spot, end: Spot) -> None:
    projection = viewer.stage.canvas.projection()
    a, b = (QPointF(*projection.to_screen(*spot)).toPoint() for spot in (start, end))
    screen.drag(viewer.stage.canvas.surface, a, (a + b) / 2, b)


def _drawn(values) -> list:
    """Of nothing but gaps, nothing is drawn."""
    return [] if np.isnan(values).all() else values


def wait_for(qtbot, panel, wanted) -> None:
    """Until the curves show these values (NaN for gaps) along their axis."""

    def is_shown() -> bool:
        shown = panel.shown() if panel.plot is not None else {}
        return set(shown) == set(wanted) and all(
            np.array_equal(np.round(shown[c][1], 6), np.round(_drawn(values), 6), equal_nan=True)
            for c, values in wanted.items()
        )

    qtbot.waitUntil(is_shown, timeout=20_000)


@pytest.mark.each_binding
@pytest.mark.gl
def test_a_line_is_drawn_plotted_moved_exported_and_removed(qtbot, viewer, tmp_path):
    source = a_source()
    source.stored[PlaneKey(0, 0, 0, 0)] = ramp(HEIGHT, WIDTH)
    hooks = sys.excepthook, threading.excepthook
    show(qtbot, viewer, source)
    measuring, stage = viewer._screen.tools.measuring, viewer.stage
    panel, picture = measuring.panel, viewer.stage.picture
    before = stage.canvas.visible_area()
    press(qtbot, Qt.Key.Key_I)
    qtbot.waitUntil(measuring._prepare_plots, timeout=20_000)
    middle = stage.canvas.surface.rect().center()
    qtbot.mousePress(stage.canvas.surface, LEFT, pos=middle)
    assert measuring.hand.is_held and len(measuring.shapes) == 1
    measuring.step()  # as it is polled
    assert measuring._job is None, "the plot would move the picture below the mouse"
    qtbot.mouseRelease(stage.canvas.surface, LEFT, pos=middle)  # no line is meant by a click
    drag(viewer, Spot(20.5, 30.5), Spot(20.5, 90.5))
    (shape,) = measuring.shapes
    assert stage.canvas.visible_area() == before  # the picture has not been moved
    qtbot.waitUntil(panel.isVisible, timeout=20_000)
    assert panel.minimumSizeHint().width() < 300, "a narrow window stays as wide as it is"
    x, y = panel.shown()[0]
    assert x[-1] == pytest.approx(shape.line.length_um(0.5, 0.5)) == pytest.approx(30, abs=0.5)
    np.testing.assert_allclose(
        y, 10 * (shape.a.y - 0.5) + np.linspace(shape.a.x, shape.b.x, len(y)) - 0.5, atol=0.6
    )
    assert panel._curves[0].opts["pen"].color() == visible_color(stage.strips.color_of(0))
    choose(panel.units, "Distance (px)")
    assert panel.shown()[0][0][-1] == pytest.approx(shape.line.length_px)
    assert (hooks[0], hooks[1]) == (sys.excepthook, threading.excepthook)
    # it is on the picture, in the colour of what is selected
    middle = measuring.layer.point_of(Spot(shape.a.y, (shape.a.x + shape.b.x) / 2)).toPoint()
    ratio = picture.devicePixelRatioF()
    seen = picture.grab().toImage().pixelColor(middle * ratio)
    assert seen.red() > 150 and seen.green() > 120 and seen.blue() < 150
    # another channel, another plane, another end
    stage.strips.strip(1).on.click()
    wait_for(qtbot, panel, {0: y})
    press(qtbot, Qt.Key.Key_Right)
    wait_for(qtbot, panel, {0: np.full(len(y), np.nan)})
    assert panel.gaps.text() == f"{len(y)} of {len(y)} missing"
    press(qtbot, Qt.Key.Key_Left)
    wait_for(qtbot, panel, {0: y})
    qtbot.waitUntil(lambda: stage.canvas.projection() is not None)
    drag(viewer, shape.b, Spot(60.5, 90.5))
    moved = measuring.shapes.selected
    assert moved.number == shape.number and moved.b.y == pytest.approx(60.5, abs=0.5) and moved.a == shape.a
    qtbot.waitUntil(lambda: len(panel.shown()[0][1]) == moved.line.n_samples, timeout=20_000)
    with open(export(qtbot, measuring, tmp_path), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["position", "t", "z", "x (px)", "y (px)", "distance (px)", "distance (µm)", "c0"]
    assert len(rows) == moved.line.n_samples + 1
    np.testing.assert_allclose([float(row[-1]) for row in rows[1:]], panel.shown()[0][1])
    press(qtbot, Qt.Key.Key_Delete)
    assert not len(measuring.shapes) and panel.isHidden()


def choose(box: QComboBox, text: str) -> None:
    """Choose an entry as the keyboard does."""
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())
    assert box.currentText() == text


def export(qtbot, measuring, folder) -> str:
    measuring.panel.export.click()
    dialog = measuring._dialog
    qtbot.waitUntil(dialog.isVisible)
    dialog.setDirectory(str(folder))
    dialog.selectFile("values.csv")
    dialog.accept()
    said = measuring._stage.window().status_label
    qtbot.waitUntil(lambda: said.said("message") == "Saved values.csv", timeout=20_000)
    return str(folder / "values.csv")


def lines_on(layer, shapes) -> list[tuple[QPointF, QPointF]]:
    """The lines and edges of shapes, where they are on screen."""
    found = []
    for shape in shapes:
        a, b, *others = (
            layer.point_of(spot) for spot in (shape.handles * 2 if len(shape.handles) == 1 else shape.handles)
        )
        ends = [a, others[0], b, others[1], a] if others else [a, b]
        found += itertools.pairwise(ends)
    return found


@pytest.mark.each_binding
@pytest.mark.gl
def test_what_is_written_of_shapes_close_to_each_other_can_be_read(qtbot, viewer):
    show(qtbot, viewer, a_source())
    measuring, canvas = viewer._screen.tools.measuring, viewer.stage.canvas
    for key, start, end in (
        ("D", Spot(40, 40), Spot(44, 70)),
        ("D", Spot(42, 40), Spot(45, 72)),
        ("X", Spot(45, 71), Spot(45, 71)),
        ("X", Spot(44, 72), Spot(44, 72)),
        ("D", Spot(50, 2), Spot(60, 8)),
    ):
        press(qtbot, getattr(Qt.Key, f"Key_{key}"))
        drag(viewer, start, end)
    layer, picture = measuring.layer, viewer.stage.picture
    metrics = QFontMetrics(layer.font())

    def labels() -> dict[int, QRectF]:
        return {each.number: each.plate for each in layer.labels(metrics, picture.width(), picture.height())}

    assert set(labels()) == {1, 2, 3, 4, 5}
    for one, other in itertools.combinations(labels().values(), 2):
        assert not one.intersects(other)
    measuring.shapes.add(ShapeKind.BOX, Spot(52, 12), Spot(70, 40))  # an edge where the label of 5 would be
    assert set(labels()) == {1, 2, 3, 4, 5, 6}
    elsewhere = [
        plate for number, plate in labels().items() if number != 4
    ]  # there is no other place for that
    for plate, (start, end) in itertools.product(elsewhere, lines_on(layer, measuring.shapes)):
        assert not any(plate.contains(start + (end - start) * share) for share in np.linspace(0, 1, 400))
    measuring.shapes.remove(6)
    for number in (2, 4):  # that of the selected one is where it would be without the others
        measuring.shapes.select(number)
        low = max((layer.point_of(spot) for spot in measuring.shapes.of(number).handles), key=QPointF.y)
        assert labels()[number].topLeft() == low + QPointF(9, 7)
    for _ in range(12):  # where there is no room for all, some are left out
        measuring.shapes.add(ShapeKind.POINT, Spot(45, 71), Spot(45, 71))
    assert 5 <= len(labels()) < len(measuring.shapes)
    before = labels()
    assert measuring.shapes.selected.number in before
    canvas.zoom(40)  # the middle of the picture: what is far away is not written at its edge
    qtbot.waitUntil(lambda: 5 not in labels(), timeout=20_000)


@pytest.mark.each_binding
@pytest.mark.gl
def test_a_rectangle_and_a_point_are_plotted_over_time_and_z_as_a_run_goes_on(qtbot, viewer):
    source = a_source()
    dataset = show(qtbot, viewer, source, live=True)
    measuring, panel = viewer._screen.tools.measuring, viewer._screen.tools.measuring.panel
    press(qtbot, Qt.Key.Key_B)
    drag(viewer, Spot(10, 10), Spot(40, 50))
    nan = np.nan
    wait_for(qtbot, panel, {0: [0, nan, 200, 300], 1: [1, nan, nan, 301]})
    np.testing.assert_allclose(panel.shown()[0][0], [0, 30, 60, 90])
    assert panel.title.text().startswith("Rectangle   20.00 × 15.00 µm")
    assert panel.gaps.text() == "2 of 4 missing"
    source.write((1, 0, 0, 0), 50)  # of a plane that is not in view
    dataset.notify(1, 0, 0, 0)
    wait_for(qtbot, panel, {0: [0, 50, 200, 300], 1: [1, nan, nan, 301]})
    source.write((0, 0, 1, 0), 9)  # of the plane in view
    dataset.notify(0, 0, 1, 0)
    wait_for(qtbot, panel, {0: [0, 50, 200, 300], 1: [9, nan, nan, 301]})
    choose(panel.along, "over z")
    wait_for(qtbot, panel, {0: [0, 10, 20], 1: [9, 11, 21]})
    np.testing.assert_allclose(panel.shown()[0][0], [0, 2, 4])
    press(qtbot, Qt.Key.Key_X)
    qtbot.mouseClick(viewer.stage.canvas.surface, LEFT, pos=viewer.stage.canvas.surface.rect().center())
    assert measuring.shapes.selected.kind is ShapeKind.POINT
    qtbot.waitUntil(lambda: panel.title.text().startswith("Point"), timeout=20_000)
    wait_for(qtbot, panel, {0: [0, 10, 20], 1: [9, 11, 21]})
    viewer.stage.go_to(p=1)
    wait_for(qtbot, panel, {0: [nan] * 3, 1: [nan] * 3})
    press(qtbot, Qt.Key.Key_D)  # the panel stays, and with it the picture where it is
    height = viewer.stage.picture.height()
    drag(viewer, Spot(20, 20), Spot(50, 60))
    qtbot.waitUntil(lambda: panel.title.text().startswith("Distance   2"), timeout=20_000)
    assert not panel.isHidden() and viewer.stage.picture.height() == height
    press(qtbot, Qt.Key.Key_M, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: panel.title.text().startswith("Rectangle"), timeout=20_000)
    assert not panel.isHidden() and viewer.stage.picture.height() == height
    panel.close_button.click()
    assert panel.isHidden() and len(measuring.shapes) == 3
    dataset.end()


@pytest.mark.gl
def test_reading_does_not_hold_the_window_and_ends_when_it_is_no_longer_wanted(qtbot, viewer):
    source, held, reading = a_source(), threading.Event(), threading.Event()

    def hold(key: PlaneKey) -> None:
        if key.t == 2:
            reading.set()
            held.wait(20)

    source.before_read = hold
    show(qtbot, viewer, source)
    measuring, panel = viewer._screen.tools.measuring, viewer._screen.tools.measuring.panel
    press(qtbot, Qt.Key.Key_B)
    drag(viewer, Spot(10, 10), Spot(40, 50))
    qtbot.waitUntil(reading.is_set, timeout=20_000)  # the event loop runs meanwhile
    press(qtbot, Qt.Key.Key_Delete)
    assert not len(measuring.shapes)
    held.set()
    qtbot.wait(50)
    assert panel.isHidden()


@pytest.mark.gl
def test_a_distance_is_said_on_the_picture_and_drawing_can_be_given_up(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    show(qtbot, window.viewer, a_source())
    measuring, canvas = window.viewer._screen.tools.measuring, window.viewer.stage.canvas
    choose_in_menu(window.bar.measure, "Distance")
    assert measuring.hand.kind is ShapeKind.DISTANCE
    press(qtbot, Qt.Key.Key_Escape)
    assert measuring.hand.kind is None
    before = canvas.visible_area()
    drag(window.viewer, Spot(20, 20), Spot(50, 60))
    assert canvas.visible_area() != before  # without a tool, the picture is moved
    press(qtbot, Qt.Key.Key_R)
    press(qtbot, Qt.Key.Key_D)
    qtbot.mouseClick(canvas.surface, LEFT, pos=canvas.surface.rect().center())  # no line is meant by a click
    assert not len(measuring.shapes) and measuring.hand.kind is ShapeKind.DISTANCE
    drag(window.viewer, Spot(20, 20), Spot(50, 60))
    (shape,) = measuring.shapes
    assert shape.line.length_um(0.5, 0.5) == pytest.approx(25, abs=0.6)
    assert measuring.panel.isHidden() and not measuring.layer.isHidden()
    press(qtbot, Qt.Key.Key_M)
    menu = next(each for each in window.findChildren(QMenu) if each.isVisible())
    menu.close()
    window.viewer.stage.strips._volume.click()
    qtbot.waitUntil(measuring.layer.isHidden, timeout=20_000)  # shapes lie on a plane
    press(qtbot, Qt.Key.Key_D)
    assert measuring.hand.kind is None
    assert window.viewer.status_label.said("message").endswith("choose 2D first")
    press(qtbot, Qt.Key.Key_W)
    press(qtbot, Qt.Key.Key_D)
    assert window.viewer.status_label.said("message").endswith("leave the overview (W) first")
    window.close()


@pytest.mark.each_binding
@pytest.mark.gl
def test_saturated_pixels_are_marked_where_they_are(qtbot, viewer):
    source = a_source()
    bright = ramp(HEIGHT, WIDTH)
    bright[40:50, 60:70] = 4095  # of a 12-bit sensor
    source.stored[PlaneKey(0, 0, 1, 0)] = bright
    show(qtbot, viewer, source)
    stage, picture = viewer.stage, viewer.stage.picture
    marked = viewer._screen.tools.saturation

    def color_at(y: float, x: float) -> tuple[int, int, int]:
        point = QPointF(*stage.canvas.projection().to_screen(y, x)).toPoint()
        return picture.grab().toImage().pixelColor(point * picture.devicePixelRatioF()).getRgb()[:3]

    assert color_at(45, 65) != MARK_RGB
    press(qtbot, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: color_at(45, 65) == MARK_RGB, timeout=20_000)
    assert color_at(45, 72) != MARK_RGB and color_at(38, 65) != MARK_RGB
    assert stage.overlay.note() == "saturated: c1 0.81 %"
    press(qtbot, Qt.Key.Key_Plus)
    qtbot.waitUntil(lambda: color_at(48.5, 69.5) == MARK_RGB, timeout=20_000)
    assert color_at(50.5, 69.5) != MARK_RGB
    stage.strips.strip(1).on.click()  # a hidden channel is not marked
    qtbot.waitUntil(lambda: stage.overlay.note() == "saturated: none", timeout=20_000)
    qtbot.waitUntil(marked.layer.isHidden, timeout=20_000)
    stage.strips.strip(1).on.click()
    qtbot.waitUntil(marked.layer.isVisible, timeout=20_000)
    stage.go_to(t=3)  # without saturated pixels
    qtbot.waitUntil(lambda: stage.overlay.note() == "saturated: none", timeout=20_000)
    assert marked.layer.isHidden()
    stage.go_to(t=0)
    qtbot.waitUntil(marked.layer.isVisible, timeout=20_000)
    viewer._screen.tools.scene.show()  # the overview covers the picture, and what is drawn on it
    qtbot.waitUntil(marked.layer.isHidden, timeout=20_000)
    viewer._screen.tools.scene.leave()
    qtbot.waitUntil(marked.layer.isVisible, timeout=20_000)
    stage.canvas.surface.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is stage.canvas.surface, timeout=20_000)
    press(qtbot, Qt.Key.Key_S, Qt.KeyboardModifier.ShiftModifier)
    assert marked.layer.isHidden() and stage.overlay.note() == ""


@pytest.mark.gl
def test_the_scale_bar_and_the_position_over_the_picture_can_be_changed_and_left_out(qtbot, viewer):
    show(qtbot, viewer, a_source())
    overlay, picture = viewer.stage.overlay, viewer.stage.picture
    qtbot.waitUntil(lambda: overlay.scale_bar() is not None, timeout=20_000)
    small, with_label = overlay.scale_bar()[0], picture.grab().toImage()
    shift = Qt.KeyboardModifier.ShiftModifier
    press(qtbot, Qt.Key.Key_B, shift)
    assert overlay.scale_bar()[0] > 1.5 * small
    press(qtbot, Qt.Key.Key_B, shift)
    assert overlay.scale_bar() is None
    press(qtbot, Qt.Key.Key_B, shift)
    assert overlay.scale_bar()[0] == small
    press(qtbot, Qt.Key.Key_P, shift)
    without = picture.grab().toImage()
    corner = QRect(12, 12, 60, 14)
    assert without.copy(corner) != with_label.copy(corner)
    press(qtbot, Qt.Key.Key_P, shift)
    assert picture.grab().toImage().copy(corner) == with_label.copy(corner)


def slices(c: int) -> np.ndarray:
    """(T, Z, Y, X): values that differ everywhere, with a bright spot that moves with z."""
    values = np.random.default_rng(c).integers(0, 500, (2, 4, 24, 30)).astype(np.uint16)
    for z in range(4):
        values[:, z, 4 * z : 4 * z + 6, 5 : 12 + z] += 1000
    return values


@pytest.mark.gl
def test_below_a_projection_what_is_shown_is_measured_and_over_z_it_is_said_that_planes_are(qtbot, viewer):
    size = {"height": 24, "width": 30, "pixel_size_y_um": 0.5, "pixel_size_x_um": 0.5}
    source = MemorySource(memory_info(n_t=2, n_p=1, n_c=2, n_z=4, **size))
    stacks = {c: slices(c) for c in range(2)}
    for t, c, z in np.ndindex(2, 2, 4):
        if (t, z) != (1, 3):  # which is left out of the projection, as it is of the picture
            source.stored[PlaneKey(t, 0, c, z)] = stacks[c][t, z]
    show(qtbot, viewer, source)
    panel = viewer._screen.tools.measuring.panel
    projection = StackProjection("max", 1, 3)
    viewer.stage.show_projection(projection)
    settle(qtbot, viewer)
    shown = {c: [stacks[c][0, 1:4].max(axis=0), stacks[c][1, 1:3].max(axis=0)] for c in range(2)}
    press(qtbot, Qt.Key.Key_B)
    drag(viewer, Spot(4, 3), Spot(16, 20))
    box = viewer._screen.tools.measuring.shapes.selected
    part = box_of(box.a, box.b, 24, 30)
    rows, columns = (
        slice(part.top, part.top + part.height),
        slice(part.left, part.left + part.width),
    )
    wait_for(qtbot, panel, {c: [each[rows, columns].mean() for each in shown[c]] for c in range(2)})
    assert panel.title.text().endswith("max of z 2–4")
    assert table_of(panel.measured).splitlines()[1].split(",")[1:3] == ["1", "max 2-4"]
    choose(panel.along, "over z")
    wait_for(qtbot, panel, {c: stacks[c][0, :, rows, columns].mean(axis=(1, 2)) for c in range(2)})
    assert panel.title.text().endswith("single planes")
    assert not panel._marker.isVisible()

    press(qtbot, Qt.Key.Key_I)
    drag(viewer, Spot(2, 2), Spot(20, 26))
    line = viewer._screen.tools.measuring.shapes.selected.line
    expected = {c: line_values(line, 24, 30, of_array(shown[c][0])) for c in range(2)}
    wait_for(qtbot, panel, expected)
    assert panel.title.text().endswith("max of z 2–4")
    viewer.stage.show_projection(None)
    wait_for(qtbot, panel, {c: line_values(line, 24, 30, of_array(stacks[c][0, 0])) for c in range(2)})


def of_array(pixels: np.ndarray):
    return lambda region: pixels[
        region.top : region.top + region.height, region.left : region.left + region.width
    ]
