"""Keys and mouse in the picture, as a person uses them: nothing that can be entered cannot be left."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QKeySequence, QWheelEvent
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from screen import activate, framebuffer, hover, press, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.keyboard.key_sheet import KeySheet
from ndviewer_light.gui.keyboard.keys import KEYS, MOUSE, Key
from ndviewer_light.gui.panels.playback import PlayMode, PlaySpeed
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import Position

PAGE = (Path(__file__).parents[1] / "docs" / "index.md").read_text()
LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.each_binding


def in_docs(heading: str) -> list[tuple[str, str]]:
    table = PAGE.partition(f"| {heading} | does |\n| --- | --- |\n")[2].partition("\n\n")[0]
    cells = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in table.splitlines()]
    return [(keys, re.sub(r" \(\[.*?\)\)| \(in the picture\)", "", does)) for keys, does in cells]


def test_what_is_held_with_several_keys_is_said_once():
    assert Key("x", ("Ctrl+Shift+Left", "Ctrl+Shift+Up"), "").named == "Ctrl Shift ← ↑"
    assert Key("x", ("Ctrl+G", "/"), "").named == "Ctrl G or /"
    assert Key("x", ("+", "="), "").named == "+ or ="
    assert Key("x", tuple("1234"), "").named == "1 … 4"
    assert Key("x", ("Ctrl+S",), "").named == "Ctrl S"


def test_the_docs_list_the_keys_that_are_bound():
    assert in_docs("key") == [(key.named, key.does) for key in KEYS]
    assert in_docs("mouse") == list(MOUSE)


def show(qtbot, viewer) -> MemorySource:
    """Two fields in A1 and one in B2, with pixels of 0.325 µm; no two planes have the same value."""
    positions = (Position("A1", 0), Position("A1", 1), Position("B2", 0))
    size = {"height": 96, "width": 128, "pixel_size_y_um": 0.325, "pixel_size_x_um": 0.325}
    source = MemorySource(memory_info(positions=positions, **size))
    for i, key in enumerate(itertools.product(range(2), range(3), range(2), range(2))):
        source.write(key, 100 + i)
    dataset = Dataset(source, path="/data/run")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return source


@pytest.fixture
def shown(qtbot, viewer):
    source = show(qtbot, viewer)
    picture = viewer.stage.canvas.surface
    activate(qtbot, viewer)
    qtbot.mouseClick(picture, LEFT)  # from here on the focus is in the picture
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    return viewer, picture, source


def turn_wheel(
    picture, notches: int, at: QPointF | None = None, modifiers=Qt.KeyboardModifier.NoModifier
) -> None:
    at = at or QPointF(picture.rect().center())
    for _ in range(abs(notches)):
        angle = QPoint(0, 120 if notches > 0 else -120)
        event = QWheelEvent(
            at,
            QPointF(picture.mapToGlobal(at.toPoint())),
            QPoint(),
            angle,
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(picture, event)


def scale(viewer) -> float:
    canvas = viewer.stage.canvas
    return canvas.scene().scale_of(canvas.visible_area())


@pytest.mark.gl
def test_the_scale_bar_is_that_of_the_picture_it_is_painted_over(qtbot, shown):
    viewer, picture, _ = shown
    turn_wheel(picture, 10)
    painted = viewer.stage.canvas.painted
    with qtbot.waitSignal(painted, timeout=20_000):
        viewer.stage.canvas.surface.update()
    assert viewer.stage.overlay.um_per_px() == pytest.approx(scale(viewer))
    assert viewer.stage.fit_button.isVisible() == (not viewer.stage.canvas.is_fitting)


@pytest.mark.gl
def test_a_picture_that_was_zoomed_or_pushed_away_comes_back(qtbot, shown):
    viewer, picture, _ = shown
    canvas, button = viewer.stage.canvas, viewer.stage.fit_button
    fit = scale(viewer)
    assert canvas.is_fitting
    assert button.isHidden()
    backs = (
        lambda: press(qtbot, Qt.Key.Key_R),
        lambda: qtbot.mouseDClick(picture, LEFT),
        lambda: qtbot.mouseClick(button, LEFT),
    )
    for back in backs:
        turn_wheel(picture, -30)
        assert scale(viewer) == pytest.approx(8 * fit, rel=0.01)
        qtbot.mousePress(picture, LEFT, pos=QPoint(20, 20))
        for x in (400, 4000):
            hover(picture, QPoint(x, x))
        qtbot.mouseRelease(picture, LEFT, pos=QPoint(4000, 4000))
        qtbot.waitUntil(button.isVisible, timeout=20_000)
        back()
        qtbot.waitUntil(button.isHidden, timeout=20_000)
        assert canvas.is_fitting
    turn_wheel(picture, 60)
    assert scale(viewer) < fit / 4
    qtbot.keyClick(picture, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert scale(viewer) == pytest.approx(0.325 * canvas.devicePixelRatioF())
    qtbot.keyClick(picture, Qt.Key.Key_Minus)
    assert scale(viewer) == pytest.approx(0.325 * 1.5 * canvas.devicePixelRatioF())
    qtbot.keyClick(picture, Qt.Key.Key_R)
    assert canvas.is_fitting


@pytest.mark.gl
def test_the_wheel_zooms_at_the_mouse_and_a_rectangle_is_shown_as_drawn(qtbot, shown):
    viewer, picture, _ = shown
    canvas = viewer.stage.canvas
    at = QPointF(picture.width() / 2 + 40, picture.height() / 2 - 30)
    to_world = canvas.camera.canvas_to_world
    before = to_world((at.x(), at.y()))[:2]
    turn_wheel(picture, 3, at)
    assert to_world((at.x(), at.y()))[:2] == pytest.approx(before, abs=0.05)
    qtbot.keyClick(picture, Qt.Key.Key_R)
    shift = Qt.KeyboardModifier.ShiftModifier
    center = picture.rect().center()
    ends = center - QPoint(60, 50), center + QPoint(60, 50)
    (left, top), (right, bottom) = (to_world((end.x(), end.y()))[:2] for end in ends)
    qtbot.mousePress(picture, LEFT, shift, ends[0])
    hover(picture, ends[1])
    qtbot.mouseRelease(picture, LEFT, shift, ends[1])
    area = canvas.visible_area()
    assert area.y == pytest.approx((top, bottom), abs=0.5)
    assert area.x[0] < left < right < area.x[1]
    # the mouse is still; what is said of the pixel under it is not
    status = viewer._screen.status
    for zoom in (Qt.Key.Key_R, Qt.Key.Key_Plus, Qt.Key.Key_Plus):
        before = viewer.stage.canvas.visible_area()
        qtbot.keyClick(picture, zoom)
        qtbot.waitUntil(lambda before=before: viewer.stage.canvas.visible_area() != before, timeout=20_000)
        x, y, _ = viewer.stage.canvas.camera.canvas_to_world((ends[1].x(), ends[1].y()))
        said = f"x {int(x // 0.325)}  y {int(y // 0.325)} "
        qtbot.waitUntil(lambda said=said: status.said("pointer").startswith(said), timeout=20_000)


@pytest.mark.gl
def test_keys_work_after_a_click_in_the_picture(qtbot, shown):
    viewer = shown[0]
    stage = viewer.stage

    def after(key, *modifiers):
        press(qtbot, key, *modifiers)
        return stage.view[:3]

    assert after(Qt.Key.Key_Right) == (1, 0, 0)
    assert after(Qt.Key.Key_Right) == (1, 0, 0)
    assert after(Qt.Key.Key_Up) == (1, 0, 1)
    assert after(Qt.Key.Key_Left) == (0, 0, 1)
    assert after(Qt.Key.Key_BracketRight) == (0, 1, 1)
    assert after(Qt.Key.Key_BraceRight) == (0, 2, 1)
    assert after(Qt.Key.Key_BraceRight) == (0, 2, 1)
    assert after(Qt.Key.Key_BraceLeft) == (0, 0, 1)
    assert after(Qt.Key.Key_BracketLeft) == (0, 0, 1)
    stage.sliders.slider("t").setFocus()
    assert after(Qt.Key.Key_Right) == (1, 0, 1)  # the slider's own
    after(Qt.Key.Key_Question)
    sheet = viewer.findChild(KeySheet)
    said = [each.accessibleName() for each in sheet.findChildren(QWidget)]
    for named, does in [*((key.named, key.does) for key in KEYS), *MOUSE]:
        assert said.count(f"{named}: {does}") == 1
    for width, beside in ((1250, 3), (800, 2), (400, 1)):
        sheet.resize(width, 500)
        qtbot.waitUntil(lambda n=beside: _columns(sheet) == n, timeout=20_000)
        qtbot.waitUntil(lambda: not any(map(_is_cut, sheet.findChildren(QLabel))), timeout=20_000)
    column = sheet.focusWidget()
    qtbot.keyClick(column, Qt.Key.Key_PageDown)
    assert column.verticalScrollBar().value() > 0, "without a mouse, too"
    qtbot.keyClick(column, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: viewer.findChild(KeySheet) is None, timeout=20_000)
    after(Qt.Key.Key_F1)
    qtbot.waitUntil(lambda: viewer.findChild(KeySheet) is not None, timeout=20_000)


def _columns(sheet: KeySheet) -> int:
    cards = [each for each in sheet.findChildren(QFrame) if each.property("role") == "card"]
    return len({card.mapTo(sheet, QPoint()).x() for card in cards})


def _is_cut(label: QLabel) -> bool:
    room = label.contentsRect()
    flags = Qt.TextFlag.TextWordWrap if label.wordWrap() else Qt.TextFlag.TextSingleLine
    needed = label.fontMetrics().boundingRect(room, flags, label.text())
    return needed.width() > room.width() or needed.height() > room.height()


@pytest.mark.gl
def test_one_goes_where_one_types_and_is_told_what_does_not_exist(qtbot, shown):
    viewer, picture, source = shown
    stage = viewer.stage
    box = stage.go_box
    qtbot.keyClick(picture, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is box.line, timeout=20_000)
    qtbot.keyClicks(box.line, "b2:0 t2 z2r")  # R is a letter here
    assert stage.canvas.is_fitting
    qtbot.keyClick(box.line, Qt.Key.Key_Return)
    assert box.words.text() == "There is no field 0 z2r in B2: it has only field 0"
    assert stage.view[:3] == (0, 0, 0)
    qtbot.keyClicks(box.line, "b2:0 t2 z2")  # what was typed is selected
    assert box.words.text().startswith("B2:0  t2  z2")
    qtbot.keyClick(box.line, Qt.Key.Key_Return)
    assert box.isHidden()
    assert stage.view[:3] == (1, 2, 1)
    frame = settle(qtbot, viewer)
    assert frame.planes[0].pixels[0, 0] == source.stored[1, 2, 0, 1][0, 0]
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    qtbot.keyClick(picture, Qt.Key.Key_Slash)
    qtbot.keyClick(box.line, Qt.Key.Key_Escape)
    assert box.isHidden()
    assert stage.view[:3] == (1, 2, 1)


@pytest.mark.gl
def test_channels_are_looked_at_one_by_one_also_in_gray(qtbot, shown):
    viewer, picture, _ = shown
    stage, strips = viewer.stage, viewer.stage.strips

    def is_gray() -> list[bool]:
        return [(np.ptp(look.colormap(1.0).rgba8[:3]) == 0) for look in stage.canvas.looks]

    assert is_gray() == [False, False]
    qtbot.keyClick(picture, Qt.Key.Key_Period)
    assert [strips.is_channel_visible(c) for c in range(2)] == [True, False]
    qtbot.keyClick(picture, Qt.Key.Key_G)
    assert is_gray() == [True, False]
    settle(qtbot, viewer)
    seen = framebuffer(viewer)
    assert seen.max() > 0 and (np.ptp(seen, axis=-1) == 0).all()
    qtbot.keyClick(picture, Qt.Key.Key_Comma)
    assert [strips.is_channel_visible(c) for c in range(2)] == [False, True]
    assert is_gray() == [False, True]
    qtbot.keyClick(picture, Qt.Key.Key_2)  # together again: in their colours
    assert strips.alone is None and is_gray() == [False, False]
    qtbot.keyClick(picture, Qt.Key.Key_1)
    qtbot.keyClick(picture, Qt.Key.Key_G)
    assert is_gray() == [False, False]


@pytest.mark.gl
def test_the_wheel_with_ctrl_goes_through_the_stack_and_time(qtbot, shown):
    viewer, picture, _ = shown
    stage, control = viewer.stage, Qt.KeyboardModifier.ControlModifier
    area = stage.canvas.visible_area()
    turn_wheel(picture, 1, modifiers=control)
    assert (stage.view.t, stage.view.z) == (0, 1)
    turn_wheel(picture, 3, modifiers=control)  # not over the end
    turn_wheel(picture, 1, modifiers=control | Qt.KeyboardModifier.ShiftModifier)
    assert (stage.view.t, stage.view.z) == (1, 1)
    turn_wheel(picture, -1, modifiers=control)
    assert stage.view.z == 0
    stage.sliders.toggle_projection()
    turn_wheel(picture, 1, modifiers=control)
    assert stage.view.projection is not None and stage.canvas.visible_area() == area


@pytest.mark.gl
def test_the_space_bar_plays_and_stops(qtbot, shown):
    viewer, picture, _ = shown
    sliders = viewer.stage.sliders
    sliders.playback.choose(PlaySpeed(60, PlayMode.ONCE))
    qtbot.keyClick(picture, Qt.Key.Key_Space)
    assert sliders.play_button("t").isChecked()
    qtbot.waitUntil(lambda: viewer.stage.view.t == 1 and not sliders.is_playing(), timeout=20_000)
    sliders.playback.choose(PlaySpeed(1))
    qtbot.keyClick(picture, Qt.Key.Key_Space)
    qtbot.keyClick(picture, Qt.Key.Key_Space)
    assert not sliders.is_playing()
    slider = sliders.slider("t")
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Space)  # it has no use for it
    assert sliders.is_playing()
    qtbot.keyClick(slider, Qt.Key.Key_Space)
    assert not sliders.is_playing()
    qtbot.keyClick(slider, Qt.Key.Key_Escape)
    assert stage_has_focus(viewer)
    low = viewer.stage.strips.strip(0).low
    before = low.text()
    low.setFocus()
    qtbot.keyClicks(low, "77")
    qtbot.keyClick(low, Qt.Key.Key_Escape)
    assert stage_has_focus(viewer) and low.text() == before


@pytest.mark.gl
def test_of_a_host_with_the_same_shortcuts_it_is_ours_in_the_picture_and_the_hosts_elsewhere(qtbot, shown):
    viewer, picture, _ = shown
    host, done = QMainWindow(), []
    qtbot.addWidget(host)
    field, inside = QLineEdit(), QWidget()
    column = QVBoxLayout(inside)
    column.addWidget(field)
    column.addWidget(viewer)
    host.setCentralWidget(inside)
    for keys in ("Right", "Ctrl+G", "R", "Ctrl+S"):
        action = host.menuBar().addMenu(keys).addAction(keys)
        action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda *_, keys=keys: done.append(keys))
    host.show()
    settle(qtbot, viewer)
    picture = viewer.stage.canvas.surface
    activate(qtbot, host)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    control = Qt.KeyboardModifier.ControlModifier
    qtbot.keyClick(picture, Qt.Key.Key_Right)
    assert viewer.stage.view.t == 1
    qtbot.keyClick(picture, Qt.Key.Key_G, control)
    assert viewer.stage.go_box.isVisible()
    qtbot.keyClick(viewer.stage.go_box.line, Qt.Key.Key_Escape)
    assert not done
    field.setFocus()
    qtbot.waitUntil(field.hasFocus, timeout=20_000)
    qtbot.keyClick(field, Qt.Key.Key_G, control)
    qtbot.keyClick(field, Qt.Key.Key_S, control)
    assert done == ["Ctrl+G", "Ctrl+S"]
    viewer.setParent(None)
    host.close()


def stage_has_focus(viewer) -> bool:
    focus, stage = QApplication.focusWidget(), viewer.stage.picture
    return focus is stage or stage.isAncestorOf(focus)


@pytest.mark.gl
def test_keys_work_in_the_window_wherever_the_focus_is(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    show(qtbot, window.viewer)
    turn_wheel(window.viewer.stage.canvas.surface, -3)
    assert not window.viewer.stage.canvas.is_fitting
    window.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_R)
    assert window.viewer.stage.canvas.is_fitting
    qtbot.keyClick(window, Qt.Key.Key_BraceRight, Qt.KeyboardModifier.ShiftModifier)
    assert window.viewer.stage.view.p == 2
    # a click on a button leaves the keys to the picture
    picture = window.viewer.stage.canvas.surface
    activate(qtbot, window)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    buttons = {each.text(): each for each in window.findChildren(QPushButton) if each.isVisible()}
    for text in ("Fit", "1:1", "Run", "2D"):
        qtbot.mouseClick(buttons[text], LEFT)
        assert QApplication.focusWidget() is picture
    qtbot.keyClick(picture, Qt.Key.Key_Right)
    assert window.viewer.stage.view.t == 1
    window.close()


def test_a_key_that_has_no_effect_says_why(qtbot, viewer):
    """One plane, and nothing else: many keys did nothing, and said nothing."""
    source = MemorySource(memory_info(positions=(Position("A1", 0),), n_t=1, n_z=1, height=48, width=64))
    for c in range(2):
        source.write((0, 0, c, 0), 100 + c)
    dataset = Dataset(source, path="/data/one")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/one"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    picture = viewer.stage.canvas.surface
    activate(qtbot, viewer)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    key, shift, ctrl = Qt.Key, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
    none = Qt.KeyboardModifier.NoModifier
    for name, modifier, said in (
        (key.Key_O, none, "There are no labels"),
        (key.Key_V, shift, "Only one z plane: no volume"),
        (key.Key_Z, none, "Only one z plane: there is nothing to project"),
        (key.Key_V, none, "Only one z plane: there are no sections"),
        (key.Key_Space, none, "Only one picture: there is nothing to play"),
        (key.Key_F, none, "Nothing to follow"),
        (key.Key_W, shift, "No warnings"),
        (key.Key_M, shift, "No shape is drawn: M offers some"),
        (key.Key_Right, ctrl, "No shape is drawn"),
        (key.Key_C, shift, "Channels are not side by side: C shows them so"),
        (key.Key_G, none, "A channel that is alone (1 … 9) is shown in gray from now on"),
        (key.Key_G, none, "A channel that is alone (1 … 9) is shown in its colour from now on"),
    ):
        viewer.status_label.say("message", "")
        qtbot.keyClick(picture, name, modifier)
        assert viewer.status_label.said("message").startswith(said), name
    qtbot.keyClick(picture, key.Key_W, shift)
    qtbot.keyClick(picture, key.Key_Plus)
    assert not viewer.status_label.said("message"), "it was said of another key"
    viewer.stage.strips.solo(0)  # what is said stays true also if one sees what the key does
    for said in ("in gray", "in its colour"):
        qtbot.keyClick(picture, key.Key_G)
        assert said in viewer.status_label.said("message")
