"""What is written on the picture: chosen in the menu and by keys, seen on screen and in what is saved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from PIL import Image
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit
from screen import activate, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.canvas.written import Written
from ndviewer_light.gui.films.film_dialog import FilmDialog
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import PlaneKey, Position
from ndviewer_light.rendering.annotations import add_scale_bar
from ndviewer_light.rendering.scale_bar import NO_SCALE, BarLook
from ndviewer_light.rendering.time_stamps import time_text

INFO = memory_info(
    n_t=3, n_z=1, n_c=1, height=200, width=200, pixel_size_y_um=1.0, pixel_size_x_um=1.0, time_step_s=600.0,
    positions=(Position("A1", 0),),
)  # fmt: skip


@pytest.mark.parametrize("text", ["", "yes no auto", "yes no pink small", "1 2 auto small", None])
def test_what_settings_do_not_say_is_as_at_first(text):
    assert Written.of_text(text) == Written()


def test_settings_say_what_was_chosen():
    chosen = Written(position=False, time=True, bar=BarLook("black", "large"))
    assert Written.of_text(chosen.as_text()) == chosen


@pytest.mark.parametrize(
    ("look", "ink", "has_plate"),
    [
        pytest.param(BarLook(), (245, 246, 248), True, id="auto"),
        pytest.param(BarLook("white"), (255, 255, 255), False, id="white"),
        pytest.param(BarLook("black", "large"), (0, 0, 0), False, id="black-and-large"),
    ],
)
def test_the_bar_of_a_saved_picture_looks_as_chosen(look, ink, has_plate):
    picture = Image.new("RGB", (400, 400), (120, 130, 140))
    assert add_scale_bar(picture, 1.0, look)
    pixels = np.asarray(picture)
    inked = (pixels == ink).all(axis=2)
    lengths = inked.sum(axis=1)
    assert lengths.max() == (200 if look.size == "large" else 100)  # of 400 px of 1 µm: 200 µm, 100 µm
    beside = pixels[lengths.argmax(), np.flatnonzero(inked[lengths.argmax()])[0] - 3]
    assert (tuple(beside) != (120, 130, 140)) == has_plate


def test_no_bar_is_drawn_where_none_is_wanted():
    picture = Image.new("RGB", (400, 400))
    assert not add_scale_bar(picture, 1.0, BarLook(size="none"))
    assert not np.asarray(picture).any()


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def window(qtbot, window):
    """Our window with a run over time, of grey planes."""
    show(qtbot, window, INFO)
    return window


def show(qtbot, window, info) -> None:
    source = MemorySource(info)
    for t in range(info.n_t):
        source.write((t, 0, 0, 0), 500)
    dataset = Dataset(source, path="/data/run")
    window.viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: window.viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, window.viewer)


def choose(qtbot, window, text: str) -> None:
    """Press T, and click the entry that begins so."""
    picture = window.viewer.stage.canvas.surface
    picture.setFocus()
    QTest.keyClick(picture, Qt.Key.Key_T)
    menu = window.viewer._screen.tools.written.menu
    qtbot.waitUntil(menu.isVisible)
    entry = next(action for action in menu.actions() if action.text().startswith(text))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
    qtbot.waitUntil(lambda: not menu.isVisible())


def bright_rows(picture, left: int = 16, right: int = 70) -> int:
    """How many rows of the plate at the upper left have bright letters."""
    ink = QColor(200, 200, 200).lightness()
    columns = range(left, right)
    return sum(any(picture.pixelColor(x, y).lightness() > ink for x in columns) for y in range(12, 60))


def bar_of(window, color: str):
    """The rows and columns at the lower right that have exactly this colour."""
    overlay = window.viewer.stage.overlay
    picture = overlay.parentWidget().grab().toImage()
    place = QRect(
        QPoint(picture.width() // 3, picture.height() - 60), QPoint(picture.width() - 1, picture.height() - 1)
    )
    return [
        (y, x)
        for y in range(place.top(), place.bottom())
        for x in range(place.left(), place.right())
        if picture.pixelColor(x, y) == QColor(color)
    ]


@pytest.mark.each_binding
@pytest.mark.gl
def test_time_and_scale_bar_are_chosen_in_a_menu_seen_saved_and_remembered(qtbot, window, tmp_path):
    viewer, stage = window.viewer, window.viewer.stage
    before = bright_rows(stage.picture.grab().toImage())
    choose(qtbot, window, "Time")
    viewer._screen.move_along(t=2)
    settle(qtbot, viewer)
    assert "00:20:00" in stage.overlay.accessibleDescription()
    seen = viewer._screen.tools.snapshots._seen()
    assert bright_rows(seen) > before  # a second line of letters, in what is saved as well
    viewer._screen.tools.snapshots.save_to(str(tmp_path / "seen.png"), viewer.dataset, seen)
    qtbot.waitUntil(lambda: "Saved" in viewer.status_label.said("message"), timeout=20_000)
    with Image.open(tmp_path / "seen.png") as saved:
        lightest = np.asarray(saved.convert("L"))[12:60, 16:70].max(axis=1)
        assert saved.size == (seen.width(), seen.height())
        assert np.count_nonzero(lightest > 200) > before

    overlay = stage.overlay
    small = overlay.scale_bar()[0]
    choose(qtbot, window, "Scale bar: large")
    assert overlay.scale_bar()[0] >= 1.9 * small
    choose(qtbot, window, "Scale bar: black")
    stage.strips.set_window(0, 0, 500)
    black = bar_of(window, "#000000")
    rows = {y for y, _ in black}
    widths = [sum(1 for each, _ in black if each == y) for y in rows]
    assert max(widths) >= round(overlay.scale_bar()[0]) - 1

    dialog = FilmDialog(window, [("t", "Time", 3)], overlay.written)
    line = dialog.fps.findChild(QLineEdit)
    assert line.palette().base().color() == window.palette().base().color(), "not the application's"
    assert dialog.plan.inscription.bar == BarLook("black", "large")
    assert dialog.scale_bar.isChecked()

    following = LightweightMainWindow()
    qtbot.addWidget(following)
    assert following.viewer.stage.overlay.written == Written(time=True, bar=BarLook("black", "large"))
    following.close()
    QTest.keyClick(stage.canvas.surface, Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    assert not overlay.written.time


@pytest.mark.each_binding
@pytest.mark.gl
def test_where_the_size_of_pixels_is_unknown_no_scale_bar_is_offered_and_that_is_said(qtbot, window):
    show(qtbot, window, replace(INFO, pixel_size_y_um=None, pixel_size_x_um=None))
    viewer, picture = window.viewer, window.viewer.stage.canvas.surface
    choose(qtbot, window, "Time")
    menu = viewer._screen.tools.written.menu
    *_, bar = (action for action in menu.actions() if not action.isSeparator())
    assert (bar.text(), bar.isEnabled()) == (f"No scale bar: {NO_SCALE}", False)
    QTest.keyClick(picture, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    assert viewer.status_label.said("message") == f"No scale bar: {NO_SCALE}"
    assert viewer.stage.overlay.written.bar == BarLook()
    activate(qtbot, window)
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton)
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(picture, Qt.Key.Key_M, modifiers)
    dialog = viewer._screen.tools.films.dialog
    qtbot.waitUntil(dialog.isVisible, timeout=20_000)
    QTest.mouseClick(dialog.scale_bar, Qt.MouseButton.LeftButton)
    assert not dialog.plan.inscription.scale_bar
    assert dialog.scale_bar.toolTip() == f"No scale bar: {NO_SCALE}"
    dialog.reject()


@pytest.mark.gl
def test_the_time_of_the_picture_is_the_recorded_one_where_there_is_one(qtbot, viewer):
    asked: list[PlaneKey] = []

    class Recording(MemorySource):
        def acquired_s(self, keys):
            asked.extend(keys)
            return [None if key[0] > 1 else 3.2 + 700 * key[0] for key in keys]

    source = Recording(INFO)
    for t in range(INFO.n_t):
        source.write((t, 0, 0, 0), 500)
    viewer._screen.sessions.ask_for(Session(Dataset(source, path="/data/run"), "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == "/data/run", timeout=20_000)
    settle(qtbot, viewer)
    overlay, sliders = viewer.stage.overlay, viewer.stage.sliders
    viewer._screen.move_along(t=1)
    settle(qtbot, viewer)
    assert overlay.time() == "00:10:00" and not asked, "it is not written on the picture"
    overlay.set_written(Written(time=True))
    qtbot.waitUntil(lambda: overlay.time() == "00:11:43", timeout=20_000)
    assert sliders.value_text("t") == "2 / 3   00:11:43"
    n_asked = len(asked)
    viewer._screen.move_along(t=2)
    settle(qtbot, viewer)
    assert overlay.time() == "00:20:00", "by the time step, where nothing is recorded"
    assert sliders.value_text("t") == "3 / 3   00:20:00"
    viewer._screen.move_along(t=0)
    settle(qtbot, viewer)
    assert overlay.time() == "00:00:03" and len(asked) == n_asked, "all were looked up at once"


def test_times_are_said_as_far_as_they_are_known():
    assert time_text(2, INFO) == "00:20:00"
    assert time_text(2, memory_info(n_t=3)) == "t 3"
