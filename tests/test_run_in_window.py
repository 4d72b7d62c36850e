"""A run that a host announces, in our own window: its title, its keys, and what must not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from runs import small_run, write
from screen import activate, on_screen, press, settle

from ndviewer_light.gui.windows.window import LightweightMainWindow
from simulate_acquisition import announce_run, notify_plane

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.gl


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.each_binding
@pytest.mark.parametrize("layout", ["hcs", "per_fov", "6d", "images"])
def test_the_title_is_the_name_of_the_run(qtbot: QtBot, tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path / "drug screen", layout)
    write(run)
    window = LightweightMainWindow()
    with on_screen(qtbot, window, 1100, 700):
        announce_run(window.viewer, run)
        plane = next(iter(run.planes()))
        notify_plane(window.viewer, run, plane)
        qtbot.waitUntil(lambda: window.windowTitle().endswith("- drug screen"), timeout=20_000)
        assert str(tmp_path / "drug screen") in window.bar.name.toolTip()
        announce_run(window.viewer, small_run(tmp_path / "next", layout))
        names = {"hcs": "next", "per_fov": "next", "6d": "next", "images": "NDViewer Lightweight"}
        qtbot.waitUntil(lambda: window.windowTitle().endswith(names[layout]), timeout=20_000)


@pytest.mark.each_binding
def test_keys_work_in_a_run_before_anything_was_clicked(qtbot: QtBot, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", "hcs")
    write(run)
    window = LightweightMainWindow()
    with on_screen(qtbot, window, 1100, 700):
        activate(qtbot, window)
        announce_run(window.viewer, run)
        for plane in run.planes():
            notify_plane(window.viewer, run, plane)
        settle(qtbot, window.viewer)
        activate(qtbot, window)  # Qt makes a window anew for OpenGL, which loses the focus
        assert not window.bar.isAncestorOf(QApplication.focusWidget())
        press(qtbot, Qt.Key.Key_Space)
        assert window.chooser.dialog is None
        qtbot.waitUntil(window.viewer.stage.sliders.is_playing, timeout=20_000)


def test_nothing_moves_when_planes_come(qtbot: QtBot, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", "hcs")
    window = LightweightMainWindow()
    with on_screen(qtbot, window, 1100, 700):
        announce_run(window.viewer, run)
        settle(qtbot, window.viewer)
        strips = window.viewer.stage.strips
        assert strips.state_text(0) == "not written yet"
        assert strips.strip(0).state.isVisible()
        before = [strips.strip(c).geometry() for c in range(2)]
        write(run)
        for plane in run.planes():
            notify_plane(window.viewer, run, plane)
        qtbot.waitUntil(lambda: not strips.state_text(0), timeout=20_000)
        settle(qtbot, window.viewer)
        assert [strips.strip(c).geometry() for c in range(2)] == before


@pytest.mark.each_binding
def test_keys_go_on_working_when_what_has_the_focus_is_closed(qtbot: QtBot, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", "hcs")
    write(run)
    window = LightweightMainWindow(str(run.folder))
    with on_screen(qtbot, window, 1200, 800):
        settle(qtbot, window.viewer)
        activate(qtbot, window)
        tools, stage = window.viewer.contents.tools, window.viewer.stage

        def is_in_picture() -> bool:
            focus = QApplication.focusWidget()
            return focus is stage.picture or (focus is not None and stage.picture.isAncestorOf(focus))

        stage.picture.setFocus()
        for key in (Qt.Key.Key_W, Qt.Key.Key_C):  # there and back
            press(qtbot, key)
            qtbot.waitUntil(lambda: stage.picture.is_covered, timeout=20_000)
            press(qtbot, key)
            qtbot.waitUntil(lambda: not stage.picture.is_covered, timeout=20_000)
            qtbot.waitUntil(is_in_picture, timeout=20_000)
        press(qtbot, Qt.Key.Key_V)
        view = tools.orthogonal
        qtbot.waitUntil(lambda: view.xz.isVisible(), timeout=20_000)
        view.xz.setFocus()
        press(qtbot, Qt.Key.Key_V)
        qtbot.waitUntil(is_in_picture, timeout=20_000)
        press(qtbot, Qt.Key.Key_Q)
        tools.statistics.panel.along.setFocus()
        press(qtbot, Qt.Key.Key_Q)
        qtbot.waitUntil(is_in_picture, timeout=20_000)
        stage.sliders.play_button("z").setFocus()
        press(qtbot, Qt.Key.Key_Z)  # a projection is not played
        qtbot.waitUntil(is_in_picture, timeout=20_000)
        window.viewer.contents.side.panels.plate_map.setFocus()
        press(qtbot, Qt.Key.Key_P)
        qtbot.waitUntil(is_in_picture, timeout=20_000)
        press(qtbot, Qt.Key.Key_Space)
        assert window.chooser.dialog is None and stage.sliders.is_playing()


def test_maps_and_sliders_show_the_same_field_while_a_run_is_followed(qtbot: QtBot, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", "hcs")
    write(run)
    window = LightweightMainWindow(str(run.folder))
    with on_screen(qtbot, window, 1200, 800):
        settle(qtbot, window.viewer)
        side, held = window.viewer.contents.side, window.viewer.stage.sliders.held_paint
        heading = side.panels.field_heading
        side.panels.underMouse = lambda: False  # wherever another test has left it
        qtbot.waitUntil(lambda: heading.text() == "FIELDS OF A1", timeout=20_000)
        held.release()
        window.viewer.stage.sliders.repaint()
        held.hold()
        held.hold()  # painted with the frame that comes next, or a moment later
        window.viewer.load_fov(2)
        side.step()
        if held.is_held:
            assert heading.text() == "FIELDS OF A1"
        held.release()
        qtbot.waitUntil(lambda: heading.text() == "FIELDS OF B2", timeout=20_000)
