"""The sliders of axes: real widgets, real mouse, real keys."""

from __future__ import annotations

import pytest
from panel_eye import (
    LEFT,
    recorded,
    shown,
    sliders_in_a_window,  # noqa: F401
    turn_wheel,
)
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLabel

from ndviewer_light.gui.panels.sliders import AxisSliders

pytestmark = pytest.mark.each_binding


def test_a_row_is_hidden_until_its_axis_has_two_values(qtbot):
    panel = shown(qtbot, AxisSliders())
    assert not any(panel.slider(axis).isVisible() for axis in "tpz")
    panel.set_sizes({"t": 1, "p": 2, "z": 1})
    assert [axis for axis in "tpz" if panel.slider(axis).isVisible()] == ["p"]
    panel.set_sizes({"t": 1, "p": 1, "z": 1})
    assert not any(panel.slider(axis).isVisible() for axis in "tpz")


def test_index_stays_when_an_axis_grows_and_is_clamped_when_it_shrinks(sliders):
    moves = recorded(sliders.moved)
    sliders.set_index("t", 4)
    sliders.set_sizes({"t": 9})
    assert (sliders.index("t"), sliders.size("t")) == (4, 9)
    sliders.set_sizes({"t": 3})
    assert (sliders.index("t"), sliders.value_text("t")) == (2, "3 / 3")
    assert moves == []


@pytest.mark.parametrize(
    ("key", "index"),
    [
        pytest.param(Qt.Key.Key_Right, 4, id="right"),
        pytest.param(Qt.Key.Key_Left, 2, id="left"),
        pytest.param(Qt.Key.Key_Home, 0, id="home"),
        pytest.param(Qt.Key.Key_End, 7, id="end"),
    ],
)
def test_keys_move_the_slider_in_focus_and_tell(qtbot, sliders, key, index):
    sliders.set_index("z", 3)
    moves = recorded(sliders.moved)
    qtbot.keyClick(sliders.slider("z"), key)
    assert moves == [("z", index)]
    assert sliders.index("z") == index


@pytest.mark.parametrize(("notches", "index"), [(1, 4), (-1, 2), (2, 5)])
def test_one_notch_of_the_wheel_is_one_step(sliders, notches, index):
    sliders.set_index("z", 3)
    moves = recorded(sliders.moved)
    turn_wheel(sliders.slider("z"), notches)
    assert moves == [("z", index)]


def test_a_click_on_the_groove_goes_there(qtbot, sliders):
    moves = recorded(sliders.moved)
    slider = sliders.slider("p")
    qtbot.mouseClick(slider, LEFT, pos=QPoint(slider.width() - 8, slider.height() // 2))
    assert moves == [("p", 3)]


def test_a_programmatic_move_is_silent_and_shows_its_text(sliders):
    moves = recorded(sliders.moved)
    sliders.set_value_text("z", lambda i: f"{i + 1} / 8   {i * 1.5:+.1f} µm")
    sliders.set_index("z", 4)
    assert sliders.value_text("z") == "5 / 8   +6.0 µm"
    assert moves == []


def test_a_text_that_fails_falls_back_to_the_number(sliders):
    sliders.set_value_text("p", lambda i: ["A1:0"][i])
    sliders.set_index("p", 2)
    assert sliders.value_text("p") == "3 / 4"


@pytest.mark.parametrize("width", [900, 420, 300])
def test_the_value_is_never_cut_off(qtbot, sliders, width):
    sliders.set_value_text("p", lambda i: f"manual0:{i + 9}   {i + 1} / 4")
    sliders.set_index("p", 3)
    sliders.resize(width, 120)
    label = next(w for w in sliders.findChildren(QLabel) if w.text().startswith("manual0:12"))
    qtbot.waitUntil(lambda: label.geometry().right() <= sliders.width())
    assert label.width() >= label.fontMetrics().horizontalAdvance(label.text())


def test_play_steps_round_and_stops(qtbot, sliders):
    sliders.set_index("p", 2)
    moves = recorded(sliders.moved)
    qtbot.mouseClick(sliders.play_button("p"), LEFT)
    qtbot.waitUntil(lambda: len(moves) >= 3)
    assert moves[:3] == [("p", 3), ("p", 0), ("p", 1)]
    sliders.stop_playing()
    assert not sliders.is_playing()
    assert not sliders.play_button("p").isChecked()
    assert not any(timer.isActive() for timer in timers_of(sliders))


def timers_of(sliders):
    """What may step; holding paint for a frame has a timer of its own."""
    from qtpy.QtCore import QTimer

    return [timer for timer in sliders.findChildren(QTimer) if timer.parent() is not sliders.held_paint]


def test_play_skips_steps_while_busy(qtbot, sliders):
    asked, busy = [], [True]
    sliders.set_busy_check(lambda: asked.append(1) or busy[0])
    moves = recorded(sliders.moved)
    sliders.play_button("t").click()
    qtbot.waitUntil(lambda: len(asked) >= 3)
    assert moves == []
    busy[0] = False
    qtbot.waitUntil(lambda: len(moves) >= 1)
    assert moves[0] == ("t", 1)
    sliders.stop_playing()


def test_the_timer_runs_only_while_something_plays(sliders):
    assert not any(timer.isActive() for timer in timers_of(sliders))
    sliders.play_button("t").click()
    sliders.play_button("z").click()
    sliders.play_button("t").click()
    assert any(timer.isActive() for timer in timers_of(sliders))
    sliders.set_sizes({"z": 1})  # the axis that plays goes away
    assert not any(timer.isActive() for timer in timers_of(sliders))
