"""The Qt panels, as a user and a host meet them: real widgets, real mouse, real keys."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from memory_source import Clock
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QPalette, QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel, QSplitter, QVBoxLayout, QWidget
from screen import choose_in_menu

from ndviewer_light.gui import slots
from ndviewer_light.gui.canvas.overlay import CanvasOverlay
from ndviewer_light.gui.look.icon_files import ICONS, icon
from ndviewer_light.gui.look.short_names import common_beginning, without_beginning
from ndviewer_light.gui.look.theme import (
    PanelColors,
    apply_dark_theme,
    colors_of,
    menu_of,
    panel_style,
    plain_tooltip,
)
from ndviewer_light.gui.panels.channels import PREFERRED_WIDTH_PX, ChannelStrips
from ndviewer_light.gui.panels.narrow_window import NEEDED_PX, NarrowWindow
from ndviewer_light.gui.panels.sliders import AxisSliders
from ndviewer_light.gui.panels.window_slider import ValueRange
from ndviewer_light.gui.slots import LOGGED_FAILURES, safe_slot
from ndviewer_light.gui.windows.message_page import MessagePage
from ndviewer_light.model import Channel
from ndviewer_light.rendering.contrast import ContrastMode
from ndviewer_light.rendering.scale_bar import scale_bar

LEFT = Qt.MouseButton.LeftButton
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.each_binding
DAPI = Channel("DAPI 405", "#4D6BFF", window=(100.0, 2500.0))
GFP = Channel("GFP 488", "#1FFF00")
CY5 = Channel("Cy5 638", "#FF0033")


def shown(qtbot, widget, width=900, height=300):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.activateWindow()
    return widget


def recorded(signal):
    calls = []
    signal.connect(lambda *args: calls.append(args))
    return calls


def turn_wheel(widget, notches, focus=True):
    if focus:
        widget.setFocus()
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def run_python(code, **environment):
    """Run `code` in a fresh interpreter that knows the package; the finished process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# --- sliders -------------------------------------------------------------------------------------------


@pytest.fixture
def sliders(qtbot):
    panel = shown(qtbot, AxisSliders())
    panel.set_sizes({"t": 6, "p": 4, "z": 8})
    return panel


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


def timers_of(widget):
    from qtpy.QtCore import QTimer

    return widget.findChildren(QTimer)


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


# --- channels ------------------------------------------------------------------------------------------


@pytest.fixture
def strips(qtbot):
    pane = shown(qtbot, ChannelStrips(), 280, 900)
    pane.set_channels([DAPI, GFP, CY5])
    for i in range(3):
        pane.set_range(i, 0, 4095)
    QApplication.processEvents()
    return pane


def events_of(pane):
    """Everything `pane` tells, in order, as (signal, arguments…)."""
    calls = []
    names = ("visible_changed", "contrast_mode_chosen", "window_changed", "gamma_changed", "color_changed")
    for name in (*names, "mode_changed", "shown_for_now"):
        getattr(pane, name).connect(lambda *args, name=name: calls.append((name, *args)))
    return calls


def type_number(qtbot, field, text):
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_setters_are_silent_and_getters_agree(strips):
    told = events_of(strips)
    strips.set_window(1, 12.5, 900.25)
    strips.set_contrast_mode(1, ContrastMode.MANUAL)
    strips.set_gamma(1, 0.5)
    strips.set_visible_channel(1, False)
    strips.set_color(1, "#123456")
    strips.set_state(1, "not acquired")
    strips.set_3d(True)
    assert told == []
    assert strips.window_of(1) == (12.5, 900.25)
    assert (strips.contrast_mode(1), strips.gamma_of(1)) == (ContrastMode.MANUAL, 0.5)
    assert (strips.is_channel_visible(1), strips.is_3d()) == (False, True)
    assert (strips.color_of(1), strips.state_text(1)) == ("#123456", "not acquired")


def test_a_channel_with_a_window_starts_with_it_and_the_others_follow_the_run(strips):
    assert strips.window_of(0) == (100.0, 2500.0)
    modes = [strips.contrast_mode(i) for i in range(3)]
    assert modes == [ContrastMode.MANUAL, ContrastMode.RUN, ContrastMode.RUN]
    assert strips.contrast.text() == "Mixed"
    assert strips.window_of(1) == (0.0, 4095.0)


def test_a_typed_number_makes_contrast_manual_first_and_then_tells_the_window(qtbot, strips):
    told = events_of(strips)
    type_number(qtbot, strips.strip(1).low, "250")
    assert told == [("contrast_mode_chosen", 1, ContrastMode.MANUAL), ("window_changed", 1, 250.0, 4095.0)]
    assert strips.strip(1).low.text() == "250"


@pytest.mark.parametrize(
    ("end", "text", "window"),
    [
        pytest.param("low", "9999", (2500.0, 9999.0), id="low-above-high-becomes-the-high-end"),
        pytest.param("high", "3", (3.0, 100.0), id="high-below-low-becomes-the-low-end"),
        pytest.param("high", "70000", (100.0, 70000.0), id="beyond-the-range-is-allowed"),
        pytest.param("low", "200,0", (200.0, 2500.0), id="decimal-comma"),
        pytest.param("low", "abc", (100.0, 2500.0), id="not-a-number"),
        pytest.param("high", "inf", (100.0, 2500.0), id="infinite"),
        pytest.param("high", "nan", (100.0, 2500.0), id="nan"),
    ],
)
def test_low_stays_below_high_whatever_is_typed(qtbot, strips, end, text, window):
    told = events_of(strips)
    type_number(qtbot, getattr(strips.strip(0), end), text)
    assert strips.window_of(0) == window
    assert told == ([] if window == (100.0, 2500.0) else [("window_changed", 0, *window)])
    assert getattr(strips.strip(0), end).text() == str(int(window[end == "high"]))


def test_leaving_a_field_untouched_tells_nothing(strips):
    strips.set_window(0, 100.4, 2500.4)
    told = events_of(strips)
    strips.strip(0).low.setFocus()
    strips.strip(0).high.setFocus()
    strips.strip(1).low.setFocus()
    assert told == []
    assert strips.window_of(0) == (100.4, 2500.4)


def test_dragging_one_handle_leaves_the_other_exactly_where_it_was(qtbot, strips):
    strips.set_window(0, 100.4, 2500.0)
    slider = strips.strip(0).slider
    start = QPoint(round(slider.handle_x(1)), slider.height() // 2)
    qtbot.mousePress(slider, LEFT, pos=start)
    qtbot.mouseRelease(slider, LEFT, pos=start)
    told = events_of(strips)
    qtbot.mouseClick(slider, LEFT, pos=QPoint(slider.width() - 7, slider.height() // 2))
    assert told == [("window_changed", 0, 100.4, 4095.0)]


@pytest.mark.parametrize(
    ("bounds", "step"),
    [
        pytest.param((0, 255), 1.0, id="uint8"),
        pytest.param((0, 65535), 328.0, id="uint16"),
        pytest.param((0.0, 1.0), 0.005, id="float"),
        pytest.param((-2.0e-6, 2.0e-6), 2.0e-8, id="tiny-float"),
    ],
)
def test_arrow_keys_move_a_handle_in_steps_that_fit_the_data(qtbot, strips, bounds, step):
    strips.set_range(2, *bounds)
    strips.set_window(2, *bounds)
    slider = strips.strip(2).slider
    slider.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert strips.window_of(2) == (pytest.approx(bounds[0] + step), bounds[1])
    qtbot.keyClick(slider, Qt.Key.Key_Tab)  # to the other handle
    qtbot.keyClick(slider, Qt.Key.Key_Left)
    assert strips.window_of(2)[1] == pytest.approx(bounds[1] - step)


def test_the_wheel_over_a_slider_without_focus_is_left_to_the_list(strips):
    strips.strip(1).low.setFocus()
    told = events_of(strips)
    turn_wheel(strips.strip(0).slider, 1, focus=False)
    assert told == []


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier])
def test_solo_shows_one_channel_alone_and_again_shows_all(qtbot, strips, modifier):
    told = events_of(strips)
    qtbot.mouseClick(strips.strip(1).on, LEFT, modifier)
    assert told == [("shown_for_now", 0, False), ("shown_for_now", 2, False)]
    assert [strips.is_channel_visible(i) for i in range(3)] == [False, True, False]
    told.clear()
    qtbot.mouseClick(strips.strip(1).on, LEFT, modifier)
    assert told == [("shown_for_now", 0, True), ("shown_for_now", 2, True)]


def on(strips):
    return [i for i in range(len(strips)) if strips.is_channel_visible(i)]


def test_many_channels_have_a_slider_that_shows_one_of_them(qtbot, strips):
    assert strips.one.isHidden()
    strips.set_channels([Channel(f"C{i}", visible=i < 4) for i in range(20)])
    assert strips.one.isVisible() and strips.one.name.text() == "several on"
    qtbot.waitUntil(lambda: strips.one.name.geometry().right() < strips.width())
    shown = recorded(strips.shown_for_now)
    slider = strips.one.slider
    qtbot.mouseClick(slider, LEFT, pos=QPoint(slider.width() - 4, slider.height() // 2))
    assert on(strips) == [19] and strips.one.name.text() == "C19"
    assert shown == [*((i, False) for i in range(4)), (19, True)]
    strip = strips.strip(19)
    qtbot.waitUntil(lambda: not strip.visibleRegion().isEmpty())  # and its controls are there
    qtbot.keyClick(slider, Qt.Key.Key_Left)
    assert on(strips) == [18]
    strips.step_alone(1)
    strips.step_alone(1)
    assert on(strips) == [0] and slider.value() == 0
    strips.show_only(range(5, 20))  # at a position that has others
    assert slider.maximum() == 14
    strips.step_alone(-1)
    assert on(strips)[-1] == 19
    strips.strip(7).on.click()
    assert strips.one.name.text() == "several on"


def test_solo_on_a_hidden_channel_shows_it(qtbot, strips):
    strips.set_visible_channel(2, False)
    qtbot.mouseClick(strips.strip(2).on, LEFT, Qt.KeyboardModifier.ControlModifier)
    assert [strips.is_channel_visible(i) for i in range(3)] == [False, False, True]


def test_buttons_tell_what_the_user_chose(qtbot, strips):
    told = events_of(strips)
    qtbot.mouseClick(strips.strip(0).on, LEFT)
    qtbot.mouseClick(strips.strip(0).auto, LEFT)
    assert told == [("visible_changed", 0, False), ("contrast_mode_chosen", 0, ContrastMode.RUN)]


def test_2d_and_3d_exclude_each_other_and_tell_once(qtbot, strips):
    flat, volume = strips._flat, strips._volume
    told = events_of(strips)
    for button in (flat, volume, volume, flat):
        qtbot.mouseClick(button, LEFT)
    assert told == [("mode_changed", True), ("mode_changed", False)]
    strips.set_3d_enabled(False, "one plane is no <volume>")
    qtbot.mouseClick(volume, LEFT)
    assert len(told) == 2
    assert "&lt;volume&gt;" in volume.toolTip()


def test_the_dot_opens_a_dialog_that_blocks_nothing_and_tells_the_colour(qtbot, strips):
    told = events_of(strips)
    choose_in_menu(strips.strip(0).dot, "Other")
    dialog = strips.strip(0)._dialog
    assert dialog.isVisible()
    dialog.setCurrentColor(QColor("#00ffaa"))
    dialog.accept()
    assert told == [("color_changed", 0, "#00FFAA")]
    assert strips.color_of(0) == "#00FFAA"


@pytest.mark.parametrize("name", ["<img src=x>", "<b>DAPI</b>", "A & B", "a\nb", "", "x" * 5000])
def test_a_name_is_shown_to_the_letter(qtbot, strips, name):
    strips.set_channels([Channel(name)])
    label = strips.strip(0).name
    QApplication.processEvents()
    assert label.text() == name
    assert label.shown_text()[:3] == " ".join(name.split())[:3]
    assert "<img" not in label.toolTip()
    assert strips.width() == 280


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex"], "Fluorescence "),
        (["Fluorescence 405 nm Ex", "BF LED matrix full"], ""),
        (["GFP", "GFP 2"], ""),
        (["a b", "a b"], "a "),
        (["x-1", "x-2", "x"], ""),
        (["DAPI"], ""),
        (["", " "], ""),
        ([], ""),
    ],
)
def test_what_all_names_begin_with_is_left_out_where_they_do_not_fit(names, common):
    assert common_beginning(names) == len(common)
    assert without_beginning(names) == [f"…{name[len(common) :]}" if common else name for name in names]


def test_in_a_narrow_pane_channels_can_be_told_apart(qtbot):
    panel = shown(qtbot, ChannelStrips(), NEEDED_PX)
    panel.set_channels([Channel(f"Fluorescence {nm} nm Ex") for nm in (405, 488)])
    labels = [panel.strip(c).name for c in range(2)]
    qtbot.waitUntil(lambda: [each.shown_text()[:4] for each in labels] == ["…405", "…488"])
    assert labels[0].text() == "Fluorescence 405 nm Ex"
    panel.resize(500, 300)
    qtbot.waitUntil(lambda: labels[0].shown_text() == "Fluorescence 405 nm Ex")


@pytest.mark.parametrize("state", ["x" * 180, "/a/long/path" * 300, "not acquired"])
def test_a_long_state_keeps_the_strip_in_the_pane(qtbot, strips, state):
    strips.set_state(0, state)
    QApplication.processEvents()
    strip = strips.strip(0)
    assert strip.on.mapTo(strips, strip.on.rect().topRight()).x() < strips.width()
    assert strip.height() < 400
    assert state in strip.state.toolTip()


def test_tool_tips_do_not_read_markup():
    assert plain_tooltip("<img src=x>") == "<qt>&lt;img src=x&gt;</qt>"


def test_every_label_of_every_panel_that_shows_data_is_plain_text(qtbot, strips, sliders):
    strips.set_state(0, "<b>could not be read</b>")
    page = MessagePage()
    qtbot.addWidget(page)
    page.show_message("error", "<b>no</b>", "<i>why</i>")
    fixed = {"T", "Z", "FOV", "CHANNELS"}
    labels = [w for panel in (strips, sliders, page) for w in panel.findChildren(QLabel)]
    assert len(labels) >= 10
    assert all(w.textFormat() == Qt.TextFormat.PlainText for w in labels if w.text() not in fixed)
    assert page.detail.toPlainText() == "<i>why</i>"


def test_new_channels_replace_the_old_ones(strips):
    strips.set_channels([Channel(f"c{i}") for i in range(64)])
    assert len(strips) == 64
    strips.set_channels([])
    assert len(strips) == 0


def lit_columns(histogram):
    """X of the columns with colour, from the widget's own pixels just above its lower edge."""
    picture = histogram.grab().toImage()
    y = picture.height() - 3
    return [x for x in range(picture.width()) if picture.pixelColor(x, y).green() > 100]


def test_the_histogram_lies_over_the_values_of_the_slider(strips):
    strips.set_window(1, 0, 4095)
    counts = np.zeros(64)
    counts[:16] = 100
    strips.set_histogram(1, counts, 0, 4096)  # a quarter of the range
    histogram = strips.strip(1).histogram
    lit = [x for x in lit_columns(histogram) if 10 < x < histogram.width() - 10]
    assert lit
    assert max(lit) == pytest.approx(7 + (histogram.width() - 14) / 4, abs=3)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        pytest.param([], 0, 1, id="no-bins"),
        pytest.param([0, 0], 0, 1, id="all-zero"),
        pytest.param([1, np.nan, np.inf, -5], 0, 4095, id="no-numbers"),
        pytest.param([1, 2], 5, 5, id="no-width"),
        pytest.param([1, 2], np.nan, np.inf, id="no-bounds"),
        pytest.param([1, 2], -1e30, 1e30, id="far-wider-than-the-slider"),
    ],
)
def test_a_histogram_of_nothing_much_draws(strips, caplog, counts, low, high):
    strips.set_histogram(0, np.array(counts, dtype=float), low, high)
    assert not strips.strip(0).histogram.grab().isNull()
    assert caplog.records == []


def test_bounds_widened_by_a_window_come_back():
    values = ValueRange()
    values.set_bounds(0, 4095)
    values.set_window(0, 60000)
    assert values.bounds == (0.0, 60000.0)
    values.set_window(10, 200)
    assert values.bounds == (0.0, 4095.0)


@pytest.mark.parametrize("bad", [(np.nan, 1.0), (0.0, np.inf), (-1.7e308, 1.7e308)])
def test_a_window_that_is_no_number_changes_nothing(bad):
    values = ValueRange()
    values.set_window(1, 2)
    values.set_window(*bad)
    values.set_bounds(*bad)
    assert values.window == (1.0, 2.0)


@pytest.mark.parametrize(("low", "high"), [(5, 5), (5.0, 5.0), (0.0, 0.0), (9, 3), (1e12, 1e12)])
def test_a_constant_picture_still_has_a_window(low, high):
    values = ValueRange()
    values.set_bounds(low, high)
    values.set_window(low, high)
    assert values.window[0] < values.window[1]
    assert 0 <= values.fraction(low) <= 1


# --- overlay -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("um_per_px", "longest_px", "length_px", "label"),
    [
        pytest.param(0.325, 160, 50 / 0.325, "50 µm", id="20x"),
        pytest.param(1.0, 100, 100, "100 µm", id="exact"),
        pytest.param(1.0, 99.9, 50, "50 µm", id="just-below"),
        pytest.param(0.001, 160, 100, "100 nm", id="nm"),
        pytest.param(0.00625, 160, 160, "1 µm", id="one-um"),
        pytest.param(10, 160, 100, "1 mm", id="mm"),
        pytest.param(40, 160, 125, "5 mm", id="5-mm"),
        pytest.param(1e-6, 160, 100, "0.1 nm", id="below-nm"),
    ],
)
def test_scale_bar_is_the_longest_round_length_that_fits(um_per_px, longest_px, length_px, label):
    assert scale_bar(um_per_px, longest_px) == (pytest.approx(length_px), label)


@pytest.mark.parametrize("um_per_px", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_no_scale_bar_without_a_scale(um_per_px):
    assert scale_bar(um_per_px, 160) is None


@pytest.fixture
def canvas(qtbot):
    widget = QWidget()
    widget.setAutoFillBackground(True)
    palette = QPalette(widget.palette())
    palette.setColor(QPalette.ColorRole.Window, QColor("black"))
    widget.setPalette(palette)
    return shown(qtbot, widget, 640, 400)


def test_the_overlay_follows_its_canvas_and_lets_the_mouse_through(qtbot, canvas):
    overlay = CanvasOverlay(canvas)
    clicks = []
    canvas.mousePressEvent = lambda event: clicks.append(event)
    canvas.resize(500, 300)
    qtbot.waitUntil(lambda: overlay.width() == 500)
    assert overlay.geometry() == canvas.rect()
    qtbot.mouseClick(canvas.windowHandle(), LEFT, pos=QPoint(30, 30))
    assert len(clicks) == 1
    other = shown(qtbot, QWidget(), 200, 100)
    overlay.cover(other)
    assert overlay.geometry() == other.rect()
    assert overlay.isVisible()


def darkest(widget):
    picture = widget.grab().toImage()
    spots = [(x, y) for x in range(4, picture.width(), 31) for y in range(4, picture.height() // 3, 17)]
    return min(picture.pixelColor(x, y).lightness() for x, y in spots)


@pytest.mark.parametrize("kind", ["waiting", "absent", "error"])
def test_a_plane_that_is_not_there_is_never_black(canvas, kind):
    overlay = CanvasOverlay(canvas)
    assert darkest(canvas) == 0
    overlay.set_state(kind)
    assert darkest(canvas) > 30
    assert overlay.shown_text()
    overlay.set_state("none")
    assert darkest(canvas) == 0


def test_loading_shows_only_if_it_lasts(qtbot, canvas):
    overlay = CanvasOverlay(canvas)
    overlay.set_state("loading")
    assert not overlay.shows_badge()
    overlay.set_state("none")
    assert not overlay.shows_badge()
    overlay.set_state("loading")
    qtbot.waitUntil(overlay.shows_badge)
    overlay.set_state("loading", "Loading 3 of 4")
    assert overlay.shows_badge()  # more of the same: the wait does not begin again


def lit_rows(widget, left):
    """How many rows of pixels right of `left` hold something as bright as text."""
    picture = widget.grab().toImage()
    columns = range(left, picture.width() - 14)
    bright = [any(picture.pixelColor(x, y).green() > 200 for x in columns) for y in range(picture.height())]
    return sum(bright)


def test_a_badge_has_room_for_each_line(canvas):
    overlay = CanvasOverlay(canvas)
    overlay.set_state("partial", "GFP: not written yet")
    one = lit_rows(canvas, 400)
    overlay.set_state("partial", "GFP: not written yet\nCy5: damaged\nDAPI: damaged")
    assert lit_rows(canvas, 400) > 2 * one > 0


@pytest.mark.parametrize("kind", ["none", "loading", "partial", "filled", "waiting", "absent", "error"])
@pytest.mark.parametrize("size", [(640, 400), (60, 40), (1, 1)])
@pytest.mark.parametrize("text", ["/a/path/without/spaces" * 200, "a line\n" * 100, "", "\n"])
def test_any_state_draws_at_any_size(qtbot, canvas, caplog, kind, size, text):
    overlay = CanvasOverlay(canvas)
    overlay.set_position("manual0:12 · t 1 · z 3" * 5)
    overlay.set_um_per_px(0.325)
    overlay.set_state(kind, text)
    overlay.resize(*size)
    overlay._patience.stop()  # a loading badge at once
    assert not overlay.grab().isNull()
    assert caplog.records == []


def test_the_page_turns_a_ring_only_while_busy_and_seen(qtbot):
    page = shown(qtbot, MessagePage())
    page.show_message("busy", "Opening plate.ome.zarr", "/data/plate.ome.zarr")
    assert page.emblem.is_turning()
    page.hide()
    assert not page.emblem.is_turning()
    page.show()
    assert page.emblem.is_turning()
    page.show_message("error", "No")
    assert not page.emblem.is_turning()


def test_the_page_offers_what_it_is_told_to(qtbot):
    page = shown(qtbot, MessagePage())
    assert not page.retry_button.isVisible()
    page.show_message("error", "No", "because", retry=True, can_open=True)
    with qtbot.waitSignal(page.retry):
        qtbot.mouseClick(page.retry_button, LEFT)
    with qtbot.waitSignal(page.open_requested):
        qtbot.mouseClick(page.open_button, LEFT)


@pytest.mark.parametrize("length", [10, 300, 20_000])
def test_a_long_reason_stays_on_the_page(qtbot, length):
    page = shown(qtbot, MessagePage(), 500, 400)
    page.show_message("error", "No", "x" * length, retry=True)
    qtbot.waitUntil(lambda: page.retry_button.geometry().bottom() < page.height())
    assert page.width() == 500
    assert page.detail.toPlainText() == "x" * length


# --- theme ---------------------------------------------------------------------------------------------


def contrast(a, b):
    """WCAG contrast ratio of two colours."""

    def luminance(color):
        parts = [c / 255 for c in color.getRgb()[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def palette_of(window, text, base, accent):
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, color in ((roles.Window, window), (roles.WindowText, text), (roles.Base, base)):
        palette.setColor(role, QColor(color))
    palette.setColor(roles.Highlight, QColor(accent))
    return palette


PALETTES = [
    pytest.param(palette_of("#101114", "#dee1e6", "#181a1e", "#3da5ff"), id="ours"),
    pytest.param(palette_of("#efefef", "#000000", "#ffffff", "#308cc6"), id="light-host"),
    pytest.param(palette_of("#353535", "#ffffff", "#232323", "#2a82da"), id="dark-host"),
]


@pytest.mark.parametrize("palette", PALETTES)
def test_text_is_readable_under_any_palette(palette):
    colors = PanelColors.of(palette)
    for back in (colors.window, colors.card):
        assert contrast(colors.text, back) > 7
        assert contrast(colors.dim, back) > 4.5
        assert contrast(colors.warning, back) > 4.5
    assert contrast(colors.text, colors.accent_fill) > 4.5


LIGHT = palette_of("#efefef", "#000000", "#ffffff", "#308cc6")
DARK = palette_of("#101114", "#dee1e6", "#181a1e", "#3da5ff")


def test_panels_follow_the_palette_of_their_host(qtbot):
    host = QWidget()
    panel = ChannelStrips()
    panel.set_channels([DAPI])
    QVBoxLayout(host).addWidget(panel)
    shown(qtbot, host)
    for palette in (DARK, LIGHT, DARK):
        host.setPalette(palette)
        assert panel.styleSheet() == panel_style(palette)
        assert colors_of(panel.strip(0).slider) == PanelColors.of(palette)
    other = QWidget()
    qtbot.addWidget(other)
    other.setPalette(LIGHT)
    panel.setParent(other)
    assert panel.styleSheet() == panel_style(LIGHT)


def test_menus_have_the_colours_of_their_window_and_not_of_the_application(qtbot):
    host = shown(qtbot, QWidget())
    menu = menu_of(ChannelStrips(host))
    menu.addAction("Fit")
    for palette in (DARK, LIGHT):
        host.setPalette(palette)
        menu.popup(host.mapToGlobal(QPoint(10, 10)))
        qtbot.waitUntil(menu.isVisible)
        near_the_end = QPoint(menu.width() - 4, menu.height() // 2)
        lightness = menu.grab().toImage().pixelColor(near_the_end * menu.devicePixelRatioF()).lightness()
        assert (lightness < 128) == (palette is DARK)
        menu.close()


# --- narrow windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "has_title"), [(200, False), (PREFERRED_WIDTH_PX, True)])
def test_the_title_of_the_channels_gives_way_to_the_buttons_beside_it(qtbot, width, has_title):
    panel = shown(qtbot, ChannelStrips(), width)
    buttons = [panel.contrast, panel._flat, panel._volume]
    assert panel._title.isVisible() == has_title
    row = [panel._title] * has_title + buttons
    assert all(a.geometry().right() < b.geometry().left() for a, b in itertools.pairwise(row))
    assert all(each.width() >= each.sizeHint().width() for each in row)


def test_in_a_narrow_window_the_channels_leave_the_picture_its_room(qtbot):
    splitter, picture, channels = QSplitter(), QWidget(), ChannelStrips()
    splitter.addWidget(picture)
    splitter.addWidget(channels)
    splitter.setStretchFactor(0, 1)
    splitter.setStretchFactor(1, 0)
    NarrowWindow(splitter, channels)
    shown(qtbot, splitter, 600)

    def sizes(width):
        splitter.resize(width, 300)
        qtbot.waitUntil(lambda: sum(splitter.sizes()) == width - splitter.handleWidth())
        return splitter.sizes()

    assert sizes(600)[1] == NEEDED_PX
    assert sizes(1000)[1] == PREFERRED_WIDTH_PX
    splitter.setSizes([600, 400])
    chosen = splitter.sizes()[1]
    assert sizes(620)[1] == NEEDED_PX
    assert sizes(1000)[1] == chosen > PREFERRED_WIDTH_PX
    splitter.setSizes([1000, 0])  # closed by the user
    assert sizes(600)[1] == sizes(1000)[1] == 0


def test_the_dark_theme_reaches_panels_that_were_there_before(qtbot, qapp):
    panel = shown(qtbot, AxisSliders())
    palette, style = QPalette(qapp.palette()), qapp.style().objectName()
    apply_dark_theme(qapp)
    qapp.processEvents()
    try:
        assert panel.colors.window == QColor(16, 17, 20)
        assert panel.colors.accent == QColor(61, 165, 255)
    finally:
        qapp.setPalette(palette)
        qapp.setStyle(style)


# --- slots ---------------------------------------------------------------------------------------------


class Clumsy:
    def __init__(self):
        self.calls = 0

    @safe_slot
    def fails(self):
        self.calls += 1
        raise ValueError("oops")

    @safe_slot(default=False)
    def filters(self, _event):
        raise LookupError("gone")

    @safe_slot
    def leaves(self):
        raise SystemExit(3)

    @safe_slot
    def interrupted(self):
        raise KeyboardInterrupt


def test_a_failing_slot_logs_and_returns(caplog):
    assert Clumsy().fails() is None
    assert Clumsy().filters(object()) is False
    assert [r.getMessage() for r in caplog.records] == ["Clumsy.fails failed", "Clumsy.filters failed"]
    assert caplog.records[0].exc_info[0] is ValueError


def test_a_slot_that_keeps_failing_is_called_all_the_same_and_does_not_fill_the_log(caplog):
    caplog.set_level(logging.ERROR)
    clumsy, other = Clumsy(), Clumsy()
    for _ in range(LOGGED_FAILURES + 200):
        clumsy.fails()
    assert clumsy.calls == LOGGED_FAILURES + 200
    assert len(caplog.records) == LOGGED_FAILURES
    assert "once a minute" in caplog.records[-1].getMessage()
    other.fails()
    assert len(caplog.records) == LOGGED_FAILURES + 1


def test_a_slot_that_fails_now_and_then_is_logged_each_time(caplog, monkeypatch):
    caplog.set_level(logging.ERROR)
    clock = Clock()
    monkeypatch.setattr(slots, "time", clock)
    clumsy = Clumsy()
    for _ in range(2 * LOGGED_FAILURES):
        clumsy.fails()
        clock.now += slots.FORGIVEN_AFTER_S + 1
    assert len(caplog.records) == 2 * LOGGED_FAILURES


def test_a_slot_that_fails_all_day_is_logged_once_a_minute(caplog, monkeypatch):
    caplog.set_level(logging.ERROR)
    clock = Clock()
    monkeypatch.setattr(slots, "time", clock)
    clumsy = Clumsy()
    for _ in range(600):
        clumsy.fails()
        clock.now += 1
    assert LOGGED_FAILURES + 9 <= len(caplog.records) <= LOGGED_FAILURES + 10


@pytest.mark.parametrize(("name", "error"), [("leaves", SystemExit), ("interrupted", KeyboardInterrupt)])
def test_leaving_the_program_passes(name, error):
    with pytest.raises(error):
        getattr(Clumsy(), name)()


def test_arguments_a_slot_does_not_take_are_dropped():
    seen = []

    @safe_slot
    def one(value):
        seen.append(value)

    @safe_slot
    def none():
        seen.append("none")

    one(True, 2)
    none(True)
    assert seen == [True, "none"]


def test_a_failing_slot_does_not_end_the_process():
    code = """
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication, QPushButton
        from ndviewer_light.gui.slots import safe_slot

        class Button(QPushButton):
            {decorator}
            def on_clicked(self):
                raise RuntimeError("in a slot")

        app = QApplication([])
        button = Button()
        button.clicked.connect(button.on_clicked)
        QTimer.singleShot(0, button.click)
        QTimer.singleShot(50, app.quit)
        (app.exec if hasattr(app, "exec") else app.exec_)()
        print("alive")
    """
    undecorated = run_python(code.format(decorator=""))
    assert undecorated.returncode != 0, "an exception in a bare slot ends a PyQt process"
    decorated = run_python(code.format(decorator="@safe_slot"))
    assert (decorated.returncode, decorated.stdout.strip()) == (0, "alive")
    assert "in a slot" in decorated.stderr


# --- icons ---------------------------------------------------------------------------------------------


def ndv_icon_keys():
    """The icon keys in the sources of the installed ndv's Qt views."""
    folder = Path(importlib.util.find_spec("ndv").origin).parent / "views" / "_qt"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    return sorted(set(re.findall(r'"([a-z0-9]+:[a-z0-9]+(?:-[a-z0-9]+)*)"', text)))


def test_every_icon_of_ndv_is_bundled():
    keys = ndv_icon_keys()
    assert len(keys) >= 11
    assert [key for key in keys if not (ICONS / f"{key.replace(':', '--')}.svg").is_file()] == []


@pytest.mark.parametrize(
    "name", sorted({path.stem for path in ICONS.glob("*.svg")} - {"blank", "ndviewer-light"})
)
def test_an_icon_draws_in_the_colour_asked_for(qapp, name):
    picture = icon(name, "#ff8000").pixmap(32, 32).toImage()
    colors = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    drawn = [color for color in colors if color.alpha() > 200]
    assert drawn
    assert all(color.red() > 200 and color.blue() < 60 for color in drawn)


BANNED = """
    opened = []
    def audit(event, args):
        if event in ("socket.getaddrinfo", "socket.connect"):
            opened.append((event, args[-1] if event == "socket.connect" else args[0]))
            raise AssertionError(f"network: {event} {args}")
    import sys
    sys.addaudithook(audit)
"""


def test_building_a_viewer_opens_no_socket(tmp_path):
    code = (
        BANNED
        + """
    import warnings
    warnings.simplefilter("error")
    from qtpy.QtWidgets import QApplication
    app = QApplication([])
    from ndviewer_light.gui.look.icon_files import use_bundled_icons
    use_bundled_icons()
    use_bundled_icons()
    import ndv, numpy as np
    warnings.simplefilter("default")
    viewer = ndv.ArrayViewer(np.zeros((3, 2, 32, 32), np.uint16), channel_axis=1)
    viewer.show()
    app.processEvents()
    from superqt.iconify import QIconifyIcon
    icon = QIconifyIcon("bi:play-fill", color="#ff0000")
    picture = icon.pixmap(32, 32).toImage()
    print(picture.pixelColor(14, 16).name(), len(opened))
    viewer.close()
    """
    )
    done = run_python(code, PYCONIFY_CACHE=str(tmp_path), NDV_CANVAS_BACKEND="vispy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["#ff0000", "0"]


def test_a_host_keeps_its_own_icons_and_ndv_never_reaches_the_network(tmp_path):
    code = (
        BANNED
        + """
    from pathlib import Path
    import superqt.iconify
    from qtpy.QtWidgets import QApplication
    app = QApplication([])
    asked = []
    def of_the_host(*key, **options):
        asked.append((key, options.get("rotate")))
        return Path("none.svg")
    superqt.iconify.svg_path = of_the_host
    from ndviewer_light.gui.look.icon_files import use_bundled_icons
    use_bundled_icons()
    once = superqt.iconify.svg_path
    use_bundled_icons()
    assert superqt.iconify.svg_path is once
    from superqt.iconify import QIconifyIcon
    QIconifyIcon("host:logo")
    QIconifyIcon("bi", "play-fill", rotate=90)
    QIconifyIcon("bi", "play-fill")
    exec("QIconifyIcon('new:in-some-later-ndv')", {"__name__": "ndv.views._qt", "QIconifyIcon": QIconifyIcon})
    print(asked)
    """
    )
    done = run_python(code, PYCONIFY_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[(('host:logo',), None), (('bi', 'play-fill'), 90)]"
