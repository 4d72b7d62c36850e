"""Sections beside the picture as a person uses them: what is painted where, clicks, live growth, gaps."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from memory_source import Gate, MemorySource, memory_info
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QImage, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from runs import load, small_run, write
from screen import choose_limits, drag, expected_colors, hover, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.canvas.overlay import TILE_COLORS
from ndviewer_light.gui.orthogonal.cross_readout import CrossReadout, place_lines
from ndviewer_light.gui.orthogonal.section_sight import SectionSight, thickness_px, z_from_um
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import Channel, PlaneKey, Position

pytestmark = pytest.mark.gl

N_Z, HEIGHT, WIDTH = 6, 24, 40
LIMITS = 0.0, 1000.0
LEFT = Qt.MouseButton.LeftButton


def pixels(t: int = 0, c: int = 0, z: int = 0) -> np.ndarray:
    """Different along every axis; rows, columns and planes can be told apart on screen."""
    y, x = np.indices((HEIGHT, WIDTH))
    return (20 * y + 10 * x + 90 * z + 50 * c + 30 * t).astype(np.uint16)


def stack(t: int = 0, c: int = 0) -> np.ndarray:
    return np.stack([pixels(t, c, z) for z in range(N_Z)])


def source_of(n_z: int = N_Z, n_t: int = 2, window: tuple[float, float] | None = LIMITS) -> MemorySource:
    facts = {
        "height": HEIGHT,
        "width": WIDTH,
        "pixel_size_y_um": 0.5,
        "pixel_size_x_um": 0.5,
        "z_step_um": 1.0,
    }
    facts |= {"positions": (Position("A1", 0),)}
    if window is not None:
        colors = ("#FF0000", "#00FF00")
        facts["channels"] = tuple(Channel(f"c{c}", colors[c], window=window) for c in range(2))
    source = MemorySource(memory_info(n_t=n_t, n_z=n_z, **facts))
    for t in range(n_t):
        for c in range(2):
            for z in range(n_z):
                source.stored[PlaneKey(t, 0, c, z)] = pixels(t, c, z)
    return source


def show(qtbot, viewer, source, **more) -> Dataset:
    dataset = Dataset(source, path="/data/stack", **more)
    viewer._screen.sessions.ask_for(Session(dataset, "/data/stack"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    viewer.resize(1000, 700)
    settle(qtbot, viewer)
    return dataset


def turn_on(qtbot, viewer):
    """Press the key in the picture, and wait until the sections are there."""
    viewer.activateWindow()
    QTest.keyClick(viewer.stage.canvas.surface, Qt.Key.Key_V)
    view = viewer._screen.tools.orthogonal
    assert view.is_on
    wait_for(qtbot, viewer)
    return view


def wait_for(qtbot, viewer) -> None:
    """Wait until everything wanted is in the panes, and painted."""
    settle(qtbot, viewer)
    view = viewer._screen.tools.orthogonal
    qtbot.waitUntil(lambda: view.is_complete and view._made_of != (), timeout=20_000)
    qtbot.wait(60)
    qtbot.waitUntil(lambda: view.is_complete, timeout=20_000)


@pytest.fixture
def source():
    return source_of()


@pytest.fixture
def shown(qtbot, viewer, source):
    """A viewer of a stack with sections beside it, both channels between the same limits."""
    show(qtbot, viewer, source)
    turn_on(qtbot, viewer)
    return viewer


def grabbed(widget) -> np.ndarray:
    """What a widget shows: (rows, columns, RGB) in its logical pixels."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    assert image.width() == widget.width()
    bits = image.constBits()
    bits.setsize(image.bytesPerLine() * image.height())
    rows = np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).astype(int)


def in_pane(pane, n_along: int, n_z: int = N_Z) -> np.ndarray:
    """The colour a quarter into every voxel of a section, beside the lines of the cross-hair: (Z, N, RGB)."""
    picture = grabbed(pane)
    found = np.full((n_z, n_along, 3), -1)
    for z in range(n_z):
        for along in range(n_along):
            at = pane.point_of(along + 0.25, z + 0.25)
            if 0 <= at.x() < pane.width() and 0 <= at.y() < pane.height():
                found[z, along] = picture[int(at.y()), int(at.x())]
    return found


def colors_of(sections: dict[int, np.ndarray]) -> np.ndarray:
    names = {0: "#FF0000", 1: "#00FF00"}
    return expected_colors({str(c): (each, names[c], *LIMITS) for c, each in sections.items()}).astype(int)


def assert_sections(viewer, t: int = 0, channels: tuple[int, ...] = (0, 1)) -> None:
    """Both panes show the sections through the cross-hair, but for what its lines and the names cover."""
    view = viewer._screen.tools.orthogonal
    _, row, column = view.place
    for pane, wanted in (
        (view.xz, colors_of({c: stack(t, c)[:, row] for c in channels})),
        (view.yz, colors_of({c: stack(t, c)[:, :, column] for c in channels})),
    ):
        found = in_pane(pane, wanted.shape[1])
        is_seen = (found >= 0).all(axis=-1)
        is_right = np.abs(found - wanted).max(axis=-1) <= 3
        assert is_seen.mean() > 0.9
        assert is_right[is_seen].mean() > 0.9, f"{pane.accessibleName()}: {is_right[is_seen].mean():.0%}"


def in_picture(viewer, row: float, column: float) -> QPoint:
    """Where the middle of a pixel is on the canvas."""
    x, y = viewer.stage.canvas.projection().to_screen(row + 0.5, column + 0.5)
    return QPoint(round(x), round(y))


def click(viewer, row: float, column: float) -> None:
    QTest.mouseClick(viewer.stage.canvas.surface, LEFT, pos=in_picture(viewer, row, column))


def said(viewer) -> str:
    return viewer._screen.status.said("message")


# ---- what is shown -------------------------------------------------------------------------------


def test_what_is_said_of_the_stack_is_wrapped_where_the_corner_is_narrow(qtbot):
    corner = CrossReadout()
    qtbot.addWidget(corner)
    corner.say(["x 41.6 µm"], ["4 not written yet"], "")
    metrics = corner.fontMetrics()
    corner.resize(metrics.horizontalAdvance("not written") + 24, 200)
    assert corner.shown()[0] == ("x 41.6 µm", True)
    assert " ".join(text for text, _ in corner.shown()[1:]) == "4 not written yet"
    corner.resize(400, 200)
    assert corner.shown() == [("x 41.6 µm", True), ("4 not written yet", False)]


@pytest.mark.each_binding
def test_sections_are_to_scale_beside_the_picture(qtbot, shown):
    assert_sections(shown)
    view, canvas = shown._screen.tools.orthogonal, shown.stage.canvas
    scale = canvas.projection().scale
    a, b = view.xz.point_of(0, 0), view.xz.point_of(WIDTH, N_Z)
    assert abs((b.x() - a.x()) * scale - 0.5 * WIDTH) < 1e-6
    assert abs((b.y() - a.y()) * scale - 1.0 * N_Z) < 1e-6  # planes are twice as far apart as pixels
    # each column of the picture is above that of the section, each row left of it
    for column in (0, 13, WIDTH):
        on_screen = view.xz.mapTo(shown, view.xz.point_of(column, 0).toPoint()).x()
        x, _ = canvas.projection().to_screen(0, column)
        assert abs(canvas.surface.mapTo(shown, QPoint(round(x), 0)).x() - on_screen) <= 1
    for row in (0, 11, HEIGHT):
        on_screen = view.yz.mapTo(shown, view.yz.point_of(row, 0).toPoint()).y()
        _, y = canvas.projection().to_screen(row, 0)
        assert abs(canvas.surface.mapTo(shown, QPoint(0, round(y))).y() - on_screen) <= 1
    assert view.corner.lines == ("x 10.0 µm", "y 6.0 µm", "z 0.0 µm", "6 planes")


@pytest.mark.parametrize("canvas", ["gl", "cpu"])
def test_a_click_in_the_picture_moves_the_cross_hair_and_reads_nothing(qtbot, monkeypatch, source, canvas):
    monkeypatch.setenv("NDVIEWER_CANVAS", canvas)
    shown = LightweightViewer()
    qtbot.addWidget(shown)
    shown.show()
    qtbot.waitUntil(lambda: shown.stage.canvas is not None, timeout=20_000)
    assert type(shown.stage.canvas).__name__.lower() == f"{canvas}canvas"
    show(qtbot, shown, source)
    turn_on(qtbot, shown)
    view = shown._screen.tools.orthogonal
    source.reads.clear()
    click(shown, 3, 31)
    assert view.place == (0, 3, 31)
    wait_for(qtbot, shown)
    assert_sections(shown)
    assert view.corner.lines[:2] == ("x 15.5 µm", "y 1.5 µm")
    at = view.layer.at - QPointF(in_picture(shown, 3, 31))
    assert max(abs(at.x()), abs(at.y())) <= 1
    assert source.reads == []
    shown.close()


def test_a_line_can_be_dragged_and_anything_else_moves_the_picture(qtbot, shown):
    view, canvas = shown._screen.tools.orthogonal, shown.stage.canvas
    start = in_picture(shown, 5, 20)  # on the upright line, away from the level one
    drag(canvas.surface, start, start + QPoint(-20, 9), in_picture(shown, 9, 8))
    assert view.place == (0, 12, 8)
    area, before = canvas.visible_area(), view.xz.point_of(0, 0)
    start = in_picture(shown, 4, 30)
    drag(canvas.surface, start, start + QPoint(20, 5), start + QPoint(60, 10))
    assert view.place == (0, 12, 8)
    assert canvas.visible_area() != area
    qtbot.waitUntil(lambda: abs(view.xz.point_of(0, 0).x() - before.x() - 60) <= 1, timeout=20_000)
    wait_for(qtbot, shown)
    assert view.place == (0, 12, 8)


@pytest.mark.each_binding
def test_clicks_drags_and_arrow_keys_in_a_section_move_z_too(qtbot, shown, source):
    view = shown._screen.tools.orthogonal
    source.reads.clear()
    QTest.mouseClick(view.xz, LEFT, pos=view.xz.point_of(7.5, 4.5).toPoint())
    assert view.place == (4, 12, 7)
    assert shown.stage.sliders.index("z") == 4
    settle(qtbot, shown)
    drag(view.yz, *(view.yz.point_of(row, z).toPoint() for row, z in ((12.5, 4.5), (8.5, 3.5), (2.5, 1.5))))
    assert view.place == (1, 2, 7)
    wait_for(qtbot, shown)
    assert shown.stage.canvas.frame.view.z == 1
    assert_sections(shown)
    for pane, key, place in (
        (view.xz, Qt.Key.Key_Right, (1, 2, 8)),
        (view.xz, Qt.Key.Key_Down, (2, 2, 8)),
        (view.yz, Qt.Key.Key_Up, (2, 1, 8)),
        (view.yz, Qt.Key.Key_Left, (1, 1, 8)),
    ):
        QTest.keyClick(pane, key)
        assert view.place == place
    assert source.reads == []  # all planes are in memory


def test_the_slider_moves_the_cross_hair_along_z(qtbot, shown):
    view = shown._screen.tools.orthogonal
    before = view.xz._cross
    shown.stage.sliders._rows["z"].slider.setValue(5)
    assert view.xz._cross == (before[0], 5)
    assert view.corner.lines[2] == "z 5.0 µm"


def test_sections_are_drawn_like_the_picture(qtbot, shown, source):
    strips = shown.stage.strips
    source.reads.clear()
    QTest.mouseClick(strips.strip(1).on, LEFT)
    wait_for(qtbot, shown)
    assert_sections(shown, channels=(0,))
    QTest.mouseClick(strips.strip(1).on, LEFT)
    wait_for(qtbot, shown)
    assert_sections(shown)
    assert source.reads == []
    choose_limits(shown, 0, 0.0, 10_000.0)
    choose_limits(shown, 1, 0.0, 10_000.0)
    wait_for(qtbot, shown)
    assert in_pane(shown._screen.tools.orthogonal.xz, WIDTH)[0, 1].max() <= 20


def test_planes_beside_the_one_in_view_count_for_the_contrast_of_the_run(qtbot, viewer):
    show(qtbot, viewer, source_of(window=None))
    before = viewer.stage.strips.window_of(0)
    turn_on(qtbot, viewer)
    low, high = viewer.stage.strips.window_of(0)
    assert low <= before[0]
    assert high > before[1] + 300  # the brightest plane is 450 brighter
    assert viewer.stage.canvas.limits(0) == (low, high)


@pytest.mark.each_binding
def test_the_wheel_over_a_section_zooms_and_the_mouse_says_what_is_there(qtbot, shown):
    view, canvas = shown._screen.tools.orthogonal, shown.stage.canvas
    scale = canvas.projection().scale
    at = view.xz.point_of(25.5, 2.5)
    place = QPointF(view.xz.mapToGlobal(at.toPoint()))
    none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False
    QApplication.sendEvent(view.xz, QWheelEvent(at, place, QPoint(), QPoint(0, 240), *none))
    qtbot.waitUntil(lambda: canvas.projection().scale < scale / 1.4, timeout=20_000)
    qtbot.waitUntil(lambda: abs(view.xz.point_of(25.5, 2.5).x() - at.x()) <= 2, timeout=20_000)
    hover(view.xz, view.xz.point_of(25.5, 2.5))
    qtbot.waitUntil(lambda: "x 25  y 12  z 3" in shown._screen.status.said("pointer"), timeout=20_000)
    text = shown._screen.status.said("pointer")
    assert f"c0 {pixels(0, 0, 2)[12, 25]} | c1 {pixels(0, 1, 2)[12, 25]}" in text
    assert "z 2.0 µm" in text
    mouse = view.xz.point_of(25.5, 2.5)
    qtbot.keyClick(canvas.surface, Qt.Key.Key_Plus)  # the mouse is still; what is under it is not
    qtbot.waitUntil(lambda: int(view.xz.place_of(mouse)[0]) != 25, timeout=20_000)

    def is_said() -> bool:
        return shown._screen.status.said("pointer").startswith(f"x {int(view.xz.place_of(mouse)[0])} ")

    qtbot.waitUntil(is_said, timeout=20_000)


# ---- what is not there ---------------------------------------------------------------------------


@pytest.mark.each_binding
def test_missing_and_unreadable_planes_are_hatched_and_counted(qtbot, viewer, source, caplog):
    for c in range(2):
        del source.stored[PlaneKey(c=c, z=2)]
        source.errors[PlaneKey(c=c, z=4)] = OSError("disk error")
    del source.stored[PlaneKey(c=1, z=5)]
    caplog.set_level(logging.ERROR)
    show(qtbot, viewer, source)
    view = turn_on(qtbot, viewer)
    assert view.corner.lines[3:] == ("7 of 12 planes", "2 unreadable", "3 nothing stored")
    assert "disk error" in view.corner.toolTip()
    found, grab = in_pane(view.xz, WIDTH), grabbed(view.xz)
    for z, kind in ((2, "absent"), (4, "error")):
        ground = list(TILE_COLORS[kind].getRgb()[:3])
        assert (found[z] == ground).all(axis=-1).mean() > 0.6
        rows = [int(view.xz.point_of(0, z + share).y()) for share in (0.2, 0.8)]
        band = grab[rows[0] : rows[1], int(view.xz.point_of(3, 0).x()) : int(view.xz.point_of(17, 0).x())]
        assert (band != ground).any(axis=-1).mean() > 0.05  # the hatch
    one = colors_of({0: stack(0, 0)[:, 12]})
    assert (np.abs(found[5] - one[5]).max(axis=-1) <= 3).mean() > 0.9  # the channel that is there
    both = colors_of({c: stack(0, c)[:, 12] for c in range(2)})
    assert (np.abs(found[3] - both[3]).max(axis=-1) <= 3).mean() > 0.9


def test_planes_of_a_run_are_added_as_they_are_written(qtbot, viewer, source):
    late = [PlaneKey(c=c, z=z) for z in (3, 4, 5) for c in range(2)]
    kept = {key: source.stored.pop(key) for key in late}
    dataset = show(qtbot, viewer, source, live=True)
    for key in source.stored:  # what was announced is not compared with the disk
        dataset.mark_written(key)
    view = turn_on(qtbot, viewer)
    assert view.corner.lines[3:] == ("3 of 6 planes", "3 not written yet")
    ground = list(TILE_COLORS["waiting"].getRgb()[:3])
    assert (in_pane(view.yz, HEIGHT)[4] == ground).all(axis=-1).mean() > 0.6
    source.reads.clear()
    for key in late[:4]:
        source.stored[key] = kept[key]
        dataset.mark_written(key)
    qtbot.waitUntil(lambda: view.corner.lines[3:] == ("5 of 6 planes", "1 not written yet"), timeout=20_000)
    for key in late[4:]:
        source.stored[key] = kept[key]
        dataset.mark_written(key)
    qtbot.waitUntil(lambda: view.corner.lines[3:] == ("6 planes",), timeout=20_000)
    wait_for(qtbot, viewer)
    assert_sections(viewer)
    assert set(source.reads) == set(late)


def test_progress_is_said_and_another_time_point_ends_the_reading(qtbot, viewer, source):
    gate = Gate()
    held = lambda key: gate() if key.t == 0 and key.z == 3 else None  # noqa: E731
    source.before_read = held
    show(qtbot, viewer, source)
    QTest.keyClick(viewer.stage.canvas.surface, Qt.Key.Key_V)
    view = viewer._screen.tools.orthogonal
    qtbot.waitUntil(lambda: view.seen is not None and view.seen.n_read >= 6, timeout=20_000)
    gate.wait_for_one()
    qtbot.waitUntil(lambda: "of 12 planes" in view.progress, timeout=20_000)
    qtbot.waitUntil(lambda: view.progress in viewer._screen.status.said("waiting"), timeout=20_000)
    viewer._screen.move_along(t=1)
    wait_for(qtbot, viewer)
    assert_sections(viewer, t=1)
    assert view.progress == ""
    gate.open()


# ---- on and off ----------------------------------------------------------------------------------


def test_what_is_kept_is_given_back_when_the_sections_are_left(qtbot, shown):
    dataset, view = shown.dataset, shown._screen.tools.orthogonal
    most = dataset._cache._max_bytes
    assert dataset._cache.max_bytes == most - 2 * N_Z * HEIGHT * WIDTH * 2
    QTest.keyClick(shown.stage.canvas.surface, Qt.Key.Key_V)
    assert not view.is_on
    assert view.xz.isHidden()
    assert view.layer.isHidden()
    assert dataset._cache.max_bytes == most
    assert dataset._beside.view.shown.keys == ()
    click(shown, 3, 3)
    assert view.layer.isHidden()


@pytest.mark.parametrize(
    ("leave", "back", "why"),
    [
        ("_volume", "_flat", "2D"),
        ("projection", "projection", "a plane"),
    ],
    ids=["3D", "projection"],
)
def test_sections_come_back_once_there_is_a_single_plane_again(qtbot, shown, leave, back, why):
    view, strips = shown._screen.tools.orthogonal, shown.stage.strips

    def press(name):
        if name == "projection":
            QTest.keyClick(shown.stage.canvas.surface, Qt.Key.Key_Z)
        else:
            QTest.mouseClick(getattr(strips, name), LEFT)

    click(shown, 3, 3)
    place = view.place
    shown._screen.status.say("message", "")
    press(leave)
    qtbot.waitUntil(lambda: not view.is_on, timeout=20_000)
    assert said(shown) == "" and view.xz.isHidden()
    view.toggle()
    assert not view.is_on
    assert why in said(shown), "asked for while it cannot be"
    settle(qtbot, shown)
    press(back)
    qtbot.waitUntil(lambda: view.is_on and not view.xz.isHidden(), timeout=20_000)
    assert view.place == place


@pytest.mark.parametrize("cover", ["overview", "split"])
def test_sections_come_back_after_what_covered_the_picture_and_nobody_is_told_off(qtbot, shown, cover):
    view = shown._screen.tools.orthogonal
    click(shown, 3, 3)
    place = view.place
    shown._screen.status.say("message", "")
    shown.actions_by_name[cover]()
    qtbot.waitUntil(lambda: not view.is_on, timeout=20_000)
    assert view.xz.isHidden() and said(shown) == ""
    view.toggle()
    assert not view.is_on and "first" in said(shown), "asked for while it cannot be"
    shown.actions_by_name[cover]()
    qtbot.waitUntil(lambda: view.is_on and not view.xz.isHidden(), timeout=20_000)
    assert view.place == place
    shown.actions_by_name["orthogonal"]()
    shown.actions_by_name[cover]()
    shown.actions_by_name[cover]()
    qtbot.wait(300)
    assert not view.is_on, "they were closed before"


def test_one_plane_has_no_sections(qtbot, viewer):
    show(qtbot, viewer, source_of(n_z=1))
    QTest.keyClick(viewer.stage.canvas.surface, Qt.Key.Key_V)
    assert not viewer._screen.tools.orthogonal.is_on
    assert said(viewer) == "Only one z plane: there are no sections to show"


def test_another_dataset_is_shown_with_its_own_sections(qtbot, shown):
    other = source_of(n_t=1)
    for key in list(other.stored):
        other.write(key, 700)
    show(qtbot, shown, other)
    view = shown._screen.tools.orthogonal
    assert view.is_on
    wait_for(qtbot, shown)
    assert {int(each) for each in view.seen.pixels[0].ravel()} == {700}
    assert view.place == (0, HEIGHT // 2, WIDTH // 2)


def test_the_picture_as_seen_has_the_sections(qtbot, shown):
    seen = shown._screen.tools.snapshots._seen()
    room = shown.stage.splitter.picture_room
    assert seen.width() >= room.width() > shown.stage.picture.width() + 100
    view = shown._screen.tools.orthogonal
    at = view.xz.mapTo(room, view.xz.point_of(30.25, 3.25).toPoint())
    color = seen.pixelColor(at)
    wanted = colors_of({c: stack(0, c)[:, 12] for c in range(2)})[3, 30]
    assert np.abs(np.array(color.getRgb()[:3]) - wanted).max() <= 3


# ---- pure ----------------------------------------------------------------------------------------


def test_panes_are_as_thick_as_the_stack_but_leave_the_picture_its_room():
    assert thickness_px(1.0, 100.0, 100.0, (600, 900)) == 116
    assert thickness_px(500.0, 100.0, 100.0, (600, 900)) == 240
    assert 116 < thickness_px(40.0, 200.0, 200.0, (900, 900)) < 240
    assert thickness_px(1.0, 100.0, 100.0, (100, 100)) == 40


def test_a_stack_that_is_thicker_than_its_pane_moves_only_as_far_as_needed():
    assert z_from_um(0.0, 10.0, 30.0, 5.0) == -10.0  # it fits: in the middle
    begin = z_from_um(0.0, 100.0, 40.0, 20.0)
    assert begin == 0.0
    moved = z_from_um(begin, 100.0, 40.0, 60.0)
    assert moved < 60.0 < moved + 40.0
    assert z_from_um(moved, 100.0, 40.0, 50.0) == moved
    assert z_from_um(moved, 100.0, 40.0, 99.0) == 60.0


def test_places_are_said_in_um_where_sizes_are_known():
    sight = SectionSight(2.0, -1.0, 0.25, 0.5, 2.0)
    assert sight.to_screen(8, 1) == (8.0, 12.0)
    assert sight.to_place(8.0, 12.0) == (8.0, 1.0)
    assert place_lines((1, 2, 3), None) == ["x 3 px", "y 2 px", "z 2"]


# ---- as large as wanted, as it was left, and on the button ---------------------------------------


def test_borders_are_dragged_and_a_double_click_gives_back_what_fits(qtbot, shown):
    view, room = shown._screen.tools.orthogonal, shown.stage.splitter.picture_room
    before = view.yz.width(), view.xz.height()
    column = room.handle(1)
    start = column.rect().center()
    drag(column, start, start - QPoint(30, 0), start - QPoint(30, 0))
    assert view.yz.width() >= before[0] + 30 and view.xz.height() == before[1]
    row = view.yz.parentWidget().handle(1)  # beside the YZ section: the XZ section goes with it
    start = row.rect().center()
    drag(row, start, start - QPoint(0, 20), start - QPoint(0, 20))
    assert view.xz.height() == view.corner.height() >= before[1] + 20
    wider = view.yz.width()
    assert view.corner.width() == wider
    qtbot.waitUntil(lambda: view.yz.height() == shown.stage.picture.height(), timeout=20_000)
    wait_for(qtbot, shown)
    assert_sections(shown)
    shown.resize(1100, 740)  # what was chosen stays
    qtbot.waitUntil(lambda: room.width() > 600, timeout=20_000)
    assert view.yz.width() == wider
    view.toggle()
    view.toggle()
    assert view.yz.width() == wider
    QTest.mouseDClick(column, LEFT)
    assert view.yz.width() < wider


def test_links_and_windows_that_remember_show_the_sections_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    viewer.remember_views()
    viewer.resize(1000, 700)
    load(qtbot, viewer, f"ndviewer:{run.folder}?z=2&sections=30,17")
    view = viewer._screen.tools.orthogonal
    assert view.shown_at == (30, 17)
    qtbot.waitUntil(lambda: view.is_on and view.place == (1, 30, 17), timeout=20_000)
    wait_for(qtbot, viewer)
    viewer._screen.copy_link()
    link = QApplication.clipboard().text()
    assert "&sections=30,17" in link
    documents, key = viewer._screen.views._documents, str(run.folder)
    viewer.close()
    qtbot.waitUntil(lambda: (documents.get(key) or {}).get("sections") == [30, 17], timeout=20_000)
    again = LightweightViewer()
    qtbot.addWidget(again)
    again.resize(1000, 700)
    again.show()
    again.remember_views()
    load(qtbot, again, run.folder)
    qtbot.waitUntil(lambda: again._screen.tools.orthogonal.place[1:] == (30, 17), timeout=20_000)
    assert again._screen.tools.orthogonal.is_on
    load(qtbot, again, f"ndviewer:{run.folder}?z=2")  # of somebody who had none
    settle(qtbot, again)
    assert not again._screen.tools.orthogonal.is_on
    load(qtbot, again, f"ndviewer:{run.folder}?volume=max&sections=30,17")
    settle(qtbot, again)
    assert not again._screen.tools.orthogonal.is_on
    QTest.mouseClick(again.stage.strips._flat, LEFT)
    qtbot.waitUntil(lambda: again._screen.tools.orthogonal.is_on, timeout=20_000)
    assert again._screen.tools.orthogonal.place[1:] == (30, 17)
    again.close()


def test_the_button_looks_pressed_while_the_sections_are_shown(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    viewer = window.viewer
    button = window.bar.showing["orthogonal"]
    QTest.mouseClick(button, LEFT)  # there is nothing to show sections of
    assert not button.isChecked()
    show(qtbot, viewer, source_of())
    turn_on(qtbot, viewer)
    qtbot.waitUntil(button.isChecked, timeout=20_000)
    QTest.mouseClick(button, LEFT)
    assert not button.isChecked() and not viewer._screen.tools.orthogonal.is_on
    QTest.mouseClick(button, LEFT)
    assert button.isChecked() and viewer._screen.tools.orthogonal.is_on
    viewer.stage.strips._volume.click()
    qtbot.waitUntil(lambda: not button.isChecked(), timeout=20_000)
    viewer.stage.strips._flat.click()
    qtbot.waitUntil(button.isChecked, timeout=20_000)
    viewer.load_dataset("/nothing/there")
    qtbot.waitUntil(lambda: not viewer.contents.pages.is_stage, timeout=20_000)
    qtbot.waitUntil(lambda: not any(each.isChecked() for each in window.bar.showing.values()), timeout=20_000)
    assert viewer.contents.cancel_opening()
    qtbot.waitUntil(button.isChecked, timeout=20_000)
    QTest.mouseClick(button, LEFT)
    for name in ("split", "overview", "statistics"):
        each = window.bar.showing[name]
        QTest.mouseClick(each, LEFT)
        assert each.isChecked(), name
        QTest.mouseClick(each, LEFT)
        assert not each.isChecked(), name
    window.close()
