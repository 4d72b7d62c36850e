"""The strips of channels: what is set and told, names, limits, histograms."""

from __future__ import annotations

import numpy as np
import pytest
from panel_eye import (
    DAPI,
    LEFT,
    recorded,
    shown,
    sliders_in_a_window,  # noqa: F401
    turn_wheel,
)
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QStyle, QStyleOptionButton
from screen import choose_in_menu

from ndviewer_light.gui.look.one_line_label import OneLineLabel
from ndviewer_light.gui.look.short_names import common_beginning, without_beginning
from ndviewer_light.gui.look.theme import plain_tooltip
from ndviewer_light.gui.panels.channels import ChannelStrips
from ndviewer_light.gui.panels.narrow_window import NEEDED_PX
from ndviewer_light.gui.panels.window_slider import ValueRange
from ndviewer_light.gui.windows.message_page import MessagePage
from ndviewer_light.model import Channel
from ndviewer_light.rendering.contrast import ContrastMode

pytestmark = pytest.mark.each_binding


GFP = Channel("GFP 488", "#1FFF00")
CY5 = Channel("Cy5 638", "#FF0033")


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


@pytest.mark.parametrize("mode", ContrastMode)
def test_no_word_on_a_button_is_cut(strips, mode):
    for i in range(3):
        strips.set_contrast_mode(i, mode)
    QApplication.processEvents()
    option = QStyleOptionButton()
    for button in strips.findChildren(QPushButton):
        button.initStyleOption(option)
        room = button.style().subElementRect(QStyle.SubElement.SE_PushButtonContents, option, button).width()
        assert button.fontMetrics().horizontalAdvance(button.text()) <= room, button.text()


def test_what_is_typed_after_one_click_takes_the_place_of_a_limit(qtbot, strips):
    strips.set_window(0, 12, 900)
    field = strips.strip(0).high
    strips.activateWindow()
    for text in ("3000", "2500"):
        qtbot.mouseClick(field, LEFT)
        qtbot.waitUntil(lambda: QApplication.focusWidget() is field, timeout=20_000)
        qtbot.keyClicks(field, text)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        assert field.text() == text
        assert field.selectedText() == text
        strips.strip(0).slider.setFocus()
    qtbot.mouseClick(field, LEFT)
    qtbot.mouseClick(field, LEFT, pos=field.rect().center())  # a second one places the cursor
    assert not field.selectedText()


@pytest.mark.parametrize(
    ("bounds", "window", "texts"),
    [
        ((-0.1, 1.3), (0.1185623, 0.8833249), ("0.1186", "0.8833")),
        ((0.0, 0.9), (2.1167e-30, 0.81237), ("0", "0.8124")),  # next to nothing
        ((0.0, 1e-30), (1.0806e-33, 9.9901e-31), ("1.1e-33", "9.99e-31")),
        ((0.0, 1e-40), (1.0725e-43, 9.9891e-41), ("1.1e-43", "9.989e-41")),  # denormal as 32-bit floats
        ((0.0, 2e-5), (0.0, 2e-5), ("0", "2e-5")),
        ((0.0, 6e38), (0.0, 6e38), ("0", "6e38")),
        ((0.0, 1e6), (0.25, 123456.789), ("0", "123457")),
        ((0, 2**64 - 1), (0, 2**64 - 1), ("0", "1.845e19")),
        ((0, 4_000_000_000), (12, 65535), ("12", "65535")),
    ],
)
def test_limits_are_written_with_the_digits_that_matter_and_typed_back_with_all(qtbot, bounds, window, texts):
    pane = shown(qtbot, ChannelStrips(), 280, 400)
    pane.set_channels([DAPI])
    pane.set_range(0, *bounds)
    pane.set_window(0, *window)
    strip = pane.strip(0)
    fields = strip.low, strip.high
    QApplication.processEvents()
    assert tuple(field.text() for field in fields) == texts
    before = pane.window_of(0)
    pane.activateWindow()
    for field, value in zip(fields, before, strict=True):
        qtbot.mouseClick(field, LEFT)
        qtbot.waitUntil(field.hasFocus, timeout=20_000)
        assert float(field.text()) == value and field.selectedText() == field.text()
        typed = field.text()
        qtbot.keyClicks(field, typed)
        qtbot.keyClick(field, Qt.Key.Key_Return)
        assert pane.window_of(0) == before and field.text() == typed
    qtbot.keyClick(strip.high, Qt.Key.Key_Tab)
    assert tuple(field.text() for field in fields) == texts
    for field, text, value in zip(fields, texts, before, strict=True):
        assert float(text) == value or float(field.toolTip().split()[0]) == value


@pytest.mark.parametrize("width", [NEEDED_PX, 230, 280])
@pytest.mark.parametrize(
    "high", [65535, 12_345_678, 4_000_000_001, 2**64 - 1, 0.8833249, 1234.5678, -9.99e-31]
)
def test_limits_are_not_cut_however_narrow_the_pane_is(qtbot, width, high):
    pane = shown(qtbot, ChannelStrips(), 280, 400)
    pane.set_channels([DAPI])
    pane.set_range(0, -0.5 * abs(high) if isinstance(high, float) else 0, abs(high))
    pane.set_window(0, -abs(high) / 3 if isinstance(high, float) else 12, abs(high))
    pane.resize(width, 400)
    QApplication.processEvents()
    for field in (pane.strip(0).low, pane.strip(0).high):
        assert field.fontMetrics().horizontalAdvance(field.text()) <= field.width() - 10
        if not field.toolTip().startswith(("Lower", "Upper")):  # not all digits are shown
            assert float(field.text()) == pytest.approx(float(field.toolTip().split()[0]), rel=0.1)


def test_strips_that_are_used_for_the_next_run_are_like_new_ones(qtbot, strips):
    made = [strips.strip(i) for i in range(3)]
    strips.set_window(0, 12, 900)
    qtbot.mouseClick(made[1].on, LEFT)
    made[1].set_color("magma")
    strips.set_gamma(1, 0.5)
    strips.set_saturated(1, 0.25)
    strips.set_state(2, "not acquired")
    strips.set_histogram(2, [1, 5, 2], 0, 4095)
    type_number(qtbot, made[2].high, "2000")
    qtbot.keyClicks(made[0].low, "77")  # not finished
    strips.show_only([0, 1])
    told = events_of(strips)
    channels = [Channel(DAPI.name, "#00FF00"), GFP, Channel(CY5.name, "#FF0033", window=(100, 2000))]
    strips.set_channels(channels)
    assert [strips.strip(i) for i in range(3)] == made
    assert not told
    other = shown(qtbot, ChannelStrips(), 280, 900)
    other.set_channels(channels)
    for pane in (strips, other):
        pane.setFocus()
        QApplication.processEvents()
    for i in range(3):
        for what in ("window_of", "range_of", "contrast_mode", "gamma_of", "is_channel_visible", "color_of"):
            assert getattr(strips, what)(i) == getattr(other, what)(i), (what, i)
        seen, fresh = (pane.strip(i).grab().toImage() for pane in (strips, other))
        assert seen == fresh, i


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


def test_the_curve_of_an_inverted_channel_goes_down_and_is_dragged_where_it_is(strips):
    histogram = strips.strip(1).histogram
    strips.set_gamma(1, 0.5)
    up = histogram.gamma_handle().y()
    strips.set_color(1, "#00FF00_r")
    down = histogram.gamma_handle().y()
    assert up < histogram.height() / 2 < down
    histogram._drag_gamma(down)
    assert histogram.gamma == pytest.approx(0.5, abs=0.02)
    strips.set_color(1, "#00FF00")
    assert histogram.gamma_handle().y() == pytest.approx(up, abs=0.5)


def test_a_channel_that_was_never_seen_has_no_limits_and_says_when_it_will(qtbot, strips):
    strip = strips.strip(1)
    assert (strip.low.text(), strip.high.text(), strip.histogram.said) == ("", "", "")
    qtbot.mouseClick(strip.on, LEFT)
    assert strip.histogram.said == "Limits once it is on"
    strips.set_state(1, "not acquired")
    assert not strip.histogram.said
    strips.set_state(1, "")
    strips.set_window(1, 12, 900)
    assert (strip.low.text(), strip.high.text(), strip.histogram.said) == ("12", "900", "")


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


def test_after_a_channel_alone_those_are_back_that_were_on(qtbot, strips):
    def solo(i):
        qtbot.mouseClick(strips.strip(i).on, LEFT, Qt.KeyboardModifier.ControlModifier)

    qtbot.mouseClick(strips.strip(1).on, LEFT)
    for way in ([2, 2], [1, 1], [0, 1, 2, 2], [1, 0, 0]):  # also through several, and one that was off
        for i in way:
            solo(i)
        assert on(strips) == [0, 2], way
    strips.step_alone(1)
    strips.step_alone(1)
    solo(strips.alone)
    assert on(strips) == [0, 2]
    solo(0)
    qtbot.mouseClick(strips.strip(1).on, LEFT)  # another choice
    solo(0)
    solo(0)
    assert on(strips) == [0, 1]
    qtbot.mouseClick(strips.strip(1).on, LEFT)
    solo(2)
    solo(2)
    assert on(strips) == [0], "it was alone before"
    solo(0)
    assert on(strips) == [0, 1, 2], "it was alone from the first"


def test_a_channel_alone_at_one_position_and_those_that_were_on_at_another(strips):
    strips.set_channels([Channel(f"C{i}", visible=i != 1) for i in range(6)])
    strips.show_only(range(3))
    strips.solo(2)
    strips.show_only(range(3, 6))
    assert on(strips) == [2, 3, 4, 5]
    strips.show_only(range(3))
    strips.solo(2)
    assert on(strips) == [0, 2, 3, 4, 5]


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
    strips.one.button.click()
    assert on(strips) == [0, 1, 2, 3] and not strips.one.button.isChecked()
    strips.one.button.click()
    assert on(strips) == [0] and strips.one.button.isChecked() and strips.one.name.text() == "C0"
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
        (["Dye A", "Dye B"], ""),
        (["long marker name 1", "long marker name 12"], "long marker "),
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
    panel.set_channels([Channel(f"A rather long name of marker number {c}") for c in range(2)])
    labels = [panel.strip(c).name for c in range(2)]
    panel.resize(NEEDED_PX, 300)
    qtbot.waitUntil(lambda: labels[0].shown_text() == "…number 0", timeout=20_000)
    panel.resize(NEEDED_PX + 90, 300)  # as many whole words as there is room for
    qtbot.waitUntil(lambda: "marker number 0" in labels[0].shown_text(), timeout=20_000)


def test_names_that_differ_at_their_ends_are_told_apart(qtbot):
    panel = shown(qtbot, ChannelStrips(), NEEDED_PX)
    names = [f"Antibody against a protein of a very long name {each}" for each in "AB"]
    panel.set_channels([*map(Channel, names), Channel("DAPI")])
    labels = [panel.strip(c).name for c in range(2)]
    qtbot.waitUntil(lambda: labels[0].shown_text() != labels[1].shown_text())
    assert [each.shown_text()[-1] for each in labels] == ["A", "B"]


def test_the_strip_of_a_channel_that_is_shown_alone_is_in_sight(qtbot):
    panel = shown(qtbot, ChannelStrips(), 280, 400)
    panel.set_channels([Channel(f"channel {c}") for c in range(12)])

    def is_in_sight(c: int) -> bool:
        strip = panel.strip(c)
        top = strip.mapTo(panel, QPoint(0, 0)).y()
        return top >= 0 and top + strip.height() <= panel.height()

    qtbot.waitUntil(lambda: is_in_sight(0) and not is_in_sight(8), timeout=20_000)
    panel.solo(8)  # as the key 9 does
    qtbot.waitUntil(lambda: is_in_sight(8), timeout=20_000)
    panel.show_alone(0)
    qtbot.waitUntil(lambda: is_in_sight(0), timeout=20_000)


@pytest.mark.parametrize(("width", "text"), [(300, "lab.zarr"), (22, ""), (1, "")])
def test_a_name_of_which_hardly_a_letter_fits_is_not_shown(qtbot, width, text):
    label = OneLineLabel(Qt.TextElideMode.ElideMiddle)
    qtbot.addWidget(label)
    label.say("lab.zarr")
    label.resize(width, 20)
    assert label.shown() == text


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
    fixed = {"T", "Z", "Field", "CHANNELS"}
    labels = [w for panel in (strips, sliders, page) for w in panel.findChildren(QLabel)]
    assert len(labels) >= 10
    assert all(w.textFormat() == Qt.TextFormat.PlainText for w in labels if w.text() not in fixed)
    assert page.detail.toPlainText() == "<i>why</i>"


def test_fields_are_called_so_beside_their_slider_as_everywhere_else(sliders):
    assert {label.text() for label in sliders.findChildren(QLabel)} >= {"T", "Field"}


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


def test_a_bar_of_half_the_counts_is_half_as_high_and_of_the_colour_of_the_channel(strips):
    strips.set_window(1, 0, 4095)
    histogram = strips.strip(1).histogram
    histogram.set_logarithmic(False)
    strips.set_histogram(1, [50.0, 100.0], 0, 4095)
    picture, height = histogram.grab().toImage(), histogram.height()
    quarter, background = (histogram.width() - 14) // 4, picture.pixelColor(2, 2)
    for x, share in ((7 + quarter, 0.5), (7 + 3 * quarter, 1.0)):
        lit = [y for y in range(height) if picture.pixelColor(x, y).green() > background.green() + 40]
        assert lit == list(range(round(height - share * (height - 4)), height))
        part = 130 / 255
        for seen, ground, color in zip(
            picture.pixelColor(x, height - 2).getRgb()[:3],
            background.getRgb()[:3],
            histogram.color.getRgb()[:3],
            strict=True,
        ):
            assert seen == pytest.approx(ground + part * (color - ground), abs=2)


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
