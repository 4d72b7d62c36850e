"""Playing axes: how fast, what happens at the end, and how fast it really is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from qtpy.QtCore import QPoint, Qt

from ndviewer_light.gui.panels.playback import PlayMode, PlaySpeed
from ndviewer_light.gui.panels.sliders import AxisSliders
from ndviewer_light.gui.windows.window import LightweightMainWindow

LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.each_binding


@pytest.fixture
def sliders(qtbot):
    panel = AxisSliders()
    qtbot.addWidget(panel)
    panel.resize(900, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.set_sizes({"t": 6, "p": 4, "z": 8})
    return panel


def recorded(signal):
    calls = []
    signal.connect(lambda *args: calls.append(args))
    return calls


def choose_of_menu(qtbot, button, menu_of, text):
    """Open the menu of a play button at its right end, and click an entry."""
    qtbot.mouseClick(button, LEFT, pos=QPoint(button.width() - 3, button.height() // 2))
    qtbot.waitUntil(lambda: menu_of() is not None and menu_of().isVisible())
    menu = menu_of()
    action = next(each for each in menu.actions() if each.text().startswith(text))
    qtbot.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
    assert not button.isChecked()


def test_speed_and_what_happens_at_the_end_are_chosen_and_the_real_rate_is_said(qtbot, sliders):
    chosen, playback = recorded(sliders.playback.chosen), sliders.playback
    button = sliders.play_button("t")
    choose_of_menu(qtbot, button, lambda: playback.menu, "60 fps")
    choose_of_menu(qtbot, button, lambda: playback.menu, "Once")
    assert len(chosen) == 2 and playback.speed == PlaySpeed(60, PlayMode.ONCE)
    moves = recorded(sliders.moved)
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: not sliders.is_playing(), timeout=20_000)
    assert moves == [("t", i) for i in range(1, 6)]
    moves.clear()
    qtbot.mouseClick(button, LEFT)  # again from the beginning
    qtbot.waitUntil(lambda: not sliders.is_playing(), timeout=20_000)
    assert moves == [("t", i) for i in range(6)]
    playback.choose(PlaySpeed(60, PlayMode.BOUNCE))
    moves.clear()
    qtbot.mouseClick(button, LEFT)
    qtbot.waitUntil(lambda: len(moves) >= 8, timeout=20_000)
    assert [at for _, at in moves[:8]] == [4, 3, 2, 1, 0, 1, 2, 3]
    # what takes longer than the time between two pictures is played as fast as it can be, and that is said
    asked = [0]

    def busy() -> bool:
        asked[0] += 1
        return asked[0] % 20 != 0

    sliders.set_busy_check(busy)
    playback.choose(playback.speed)
    row = sliders._rows["t"]
    qtbot.waitUntil(lambda: "of the 60" in row.rate.toolTip(), timeout=20_000)
    rate = float(row.rate.text().split()[0])
    assert rate < 30 and rate == pytest.approx(playback.rate, rel=0.5)
    assert row.rate.text().endswith(" fps") and row.rate.shown() == row.rate.text(), "all of it"
    sliders.stop_playing()
    assert not row.rate.text()


def test_nothing_moves_when_playing_begins_and_ends(qtbot, sliders):
    sliders.set_value_text("t", lambda t: f"{t + 1} / 6   00:00:20")

    def places() -> list[tuple[int, int, int, int]]:
        sliders.layout().activate()
        return [each.geometry().getRect() for row in sliders._rows.values() for each in row.widgets]

    for width in (900, 330):
        sliders.resize(width, 120)
        before, row = places(), sliders._rows["t"]
        assert row.rate.isVisible() == (width == 900), "the slider comes first"
        shown = [each for each in row.widgets if each.isVisible()]
        assert all(a.geometry().right() < b.geometry().left() for a, b in pairwise(shown)), "side by side"
        sliders.playback.choose(PlaySpeed(60, PlayMode.BOUNCE))
        qtbot.mouseClick(sliders.play_button("t"), LEFT)
        assert places() == before
        qtbot.waitUntil(lambda row=row: row.rate.text().endswith(" fps"), timeout=20_000)
        assert "fps" in row.play.toolTip() and places() == before
        sliders.stop_playing()
        assert places() == before and "fps" not in row.play.toolTip()


def test_the_axis_played_last_is_played_again(sliders):
    sliders.toggle_play()
    assert sliders.play_button("t").isChecked()
    sliders.toggle_play()
    assert not sliders.is_playing()
    sliders.play_button("z").click()
    sliders.toggle_play()
    sliders.toggle_play()
    assert [axis for axis in "tpz" if sliders.play_button(axis).isChecked()] == ["z"]
    sliders.stop_playing()


@pytest.mark.parametrize("text", ["", "10", "x loop", "10 backwards", "-1 loop", "7 loop"])
def test_a_speed_that_makes_no_sense_is_the_usual_one(text):
    assert PlaySpeed.of_text(text) == PlaySpeed()
    assert PlaySpeed.of_text(PlaySpeed(30, PlayMode.BOUNCE).as_text()) == PlaySpeed(30, PlayMode.BOUNCE)


def test_windows_remember_how_fast_axes_are_played(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    sliders = window.viewer.stage.sliders
    sliders.set_sizes({"t": 6})
    assert sliders.playback.speed == PlaySpeed()
    choose_of_menu(qtbot, sliders.play_button("t"), lambda: sliders.playback.menu, "20 fps")
    window.close()
    other = LightweightMainWindow()
    qtbot.addWidget(other)
    assert other.viewer.stage.sliders.playback.speed == PlaySpeed(20)
    other.close()
