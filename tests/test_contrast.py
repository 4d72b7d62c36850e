"""Contrast: what planes and runs suggest, how it is chosen, and what is kept for the next run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPoint, Qt
from screen import choose_limits, screen_pixels, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.label_planes import PictureArea
from ndviewer_light.errors import MetadataError
from ndviewer_light.gui.canvas.canvas_view import View
from ndviewer_light.gui.canvas.view_frames import Frame
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.view_texts import readout_at
from ndviewer_light.model import Channel, ImageInfo, Plane, PlaneState, Position
from ndviewer_light.rendering.contrast import (
    CLIPS,
    ChannelContrasts,
    ContrastMode,
    SeenContrast,
    contrast_of,
    detector_top,
)
from ndviewer_light.rendering.saturation_picture import marks, saturated_pixels
from ndviewer_light.views.channel_choices import MOST_CHOICES, ChannelChoices

RAMP = np.arange(1000, 2000, dtype="u2").reshape(20, 50)


# ---- what one plane suggests -------------------------------------------------------------------


def test_limits_leave_out_few_pixels_at_each_end():
    contrast = contrast_of(np.arange(10_001, dtype="u2").reshape(73, 137))
    assert contrast.range == (0.0, 10_000.0)
    assert contrast.windows[0.0] == (0.0, 10_000.0)
    for clip in CLIPS[1:]:
        assert contrast.windows[clip] == pytest.approx((100 * clip, 10_000 - 100 * clip), abs=1)


@pytest.mark.parametrize(
    ("pixels", "brightness"),
    [
        pytest.param(np.zeros((4, 5), "u2"), 0, id="nothing"),
        pytest.param(np.full((4, 5), 100, "u2"), 0.5, id="an-offset"),
        pytest.param(np.full((4, 5), 65535, "u2"), 1, id="saturated"),
        pytest.param(np.full((4, 5), 4095, "u2"), 1, id="12-bits-saturated"),
        pytest.param(np.full((1, 1), 77, "u1"), 0.5, id="one-pixel"),
        pytest.param(np.full((4, 5), 200_000, "f4"), 0.5, id="a-float"),
        pytest.param(np.full((4, 5), -3.5, "f4"), 0.5, id="negative"),
        pytest.param(np.full((4, 5), 2**63 + 5, "u8"), 0.5, id="64-bits"),
        pytest.param(np.full((4, 5), 2**64 - 1, "u8"), 1, id="64-bits-saturated"),
        pytest.param(np.full((4, 5), 3.4e38, "f4"), 0.5, id="nearly-the-largest-32-bit-float"),
        pytest.param(np.full((4, 5), -3.4e38, "f4"), 0.5, id="the-lowest-32-bit-float"),
        pytest.param(np.full((4, 5), 1e300, "f8"), 0.5, id="beyond-32-bit-floats"),
        pytest.param(np.full((4, 5), 1e-44, "f4"), 0.5, id="a-denormal"),
        pytest.param(np.full((4, 5), np.nan, "f4"), None, id="not-a-number"),
    ],
)
def test_a_plane_of_one_value_is_black_only_if_that_is_0_and_white_only_if_saturated(pixels, brightness):
    contrast = contrast_of(pixels)
    low, high = contrast.window
    assert high > low
    if brightness is not None:
        assert (float(pixels.flat[0]) - low) / (high - low) == pytest.approx(brightness)
        assert contrast.counts.sum() == pixels.size


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("shape", [(1,), (2,), (7, 1), (64, 64), (300, 400), (3, 50, 60)])
@pytest.mark.parametrize("most", [2, 3, 40, 256, 60_000])
def test_values_that_are_counted_suggest_the_same_as_all_one_by_one(dtype, shape, most):
    pixels = np.random.default_rng(most).integers(0, min(most, 256 if dtype == "u1" else most), shape)
    counted, one_by_one = contrast_of(pixels.astype(dtype)), contrast_of(pixels.astype("u4"))
    assert counted.windows == one_by_one.windows and counted.range == one_by_one.range
    assert counted.span == one_by_one.span and np.array_equal(counted.counts, one_by_one.counts)
    assert (counted.n, counted.n_top) == (one_by_one.n, one_by_one.n_top)


def test_values_of_any_size_have_limits_that_are_numbers_and_a_histogram():
    ramp = np.linspace(-1, 1, 1000).reshape(20, 50)
    for largest, dtype in ((3.4e38, "f4"), (1e-40, "f4"), (1e-300, "f8"), (1.7e308, "f8"), (1e12, "f8")):
        contrast = contrast_of((ramp * largest).astype(dtype))
        low, high = contrast.window
        assert low < high and np.isfinite(high - low)
        assert np.count_nonzero(contrast.counts) > 90, "spread over all bins"


def test_pixels_without_numbers_are_counted_and_do_not_decide_about_limits():
    pixels = RAMP.astype("f4")
    pixels[0, :10], pixels[1, :20] = np.nan, np.inf
    contrast = contrast_of(pixels)
    assert (contrast.nan, contrast.infinite, contrast.is_empty) == (0.01, 0.02, False)
    nothing = contrast_of(np.full((20, 50), np.nan))
    assert (nothing.nan, nothing.is_empty) == (1, True)
    for planes in ((contrast, nothing), (nothing, contrast)):
        for mode in (ContrastMode.RUN, ContrastMode.FULL):
            assert seen_ones(*planes).limits(mode, 0.1) == seen_ones(contrast).limits(mode, 0.1)
    for mode in ContrastMode.RUN, ContrastMode.FULL, ContrastMode.PLANE:
        assert seen_ones(nothing).limits(mode, 0.1) == (0, 1)
    assert seen_ones(nothing).range is None


def test_complex_numbers_suggest_what_their_magnitudes_do():
    turned = RAMP * np.exp(1j * np.arange(50))
    assert contrast_of(turned).window == pytest.approx(contrast_of(np.abs(turned)).window)


def test_values_that_floats_barely_tell_apart_have_a_histogram():
    labels = np.array([[1_234_567, 1_234_570]], "f4")
    assert contrast_of(labels).counts.sum() == 2
    assert contrast_of(np.array([[2.0**63, 2.0**63 + 2048]], "f8")).counts.sum() == 2


def test_where_nearly_all_pixels_are_equal_the_others_are_seen():
    pixels = np.full((100, 100), 7, "u2")
    pixels[50, 50] = 900
    assert contrast_of(pixels).window == (7.0, 900.0)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 255), (255, 255), (256, 1023), (3000, 4095), (65535, 65535)]
)
def test_a_detector_has_the_fewest_bits_that_its_values_need(highest, top):
    assert detector_top(highest) == top


# ---- what a run suggests -----------------------------------------------------------------------


def seen_ones(*contrasts) -> SeenContrast:
    so_far = SeenContrast()
    for contrast in contrasts:
        so_far.add(contrast)
    return so_far


def seen(*planes) -> SeenContrast:
    so_far = SeenContrast()
    for plane in planes:
        so_far.add(contrast_of(plane))
    return so_far


def test_the_limits_of_a_run_hold_all_its_planes_and_flat_ones_do_not_count():
    dark, bright, closed = RAMP // 10, RAMP * 2, np.full_like(RAMP, 60_000)
    so_far = seen(closed, dark, bright, dark)
    assert so_far.limits(ContrastMode.RUN, 0.0) == (100.0, 3998.0)
    assert so_far.limits(ContrastMode.PLANE, 0.0) == (100.0, 199.0)
    assert so_far.limits(ContrastMode.FULL, 0.0) == (0.0, 65535.0)
    so_far.start_with_last()
    assert so_far.limits(ContrastMode.RUN, 0.0) == (100.0, 199.0)
    assert seen(closed).limits(ContrastMode.RUN, 0.0) == (0.0, 120_000.0)
    assert seen(RAMP - 1500.0).limits(ContrastMode.FULL, 0.0) == (-500.0, 499.0)


def test_saturation_is_judged_at_the_depth_of_the_detector():
    twelve_bits = np.minimum(RAMP * 3, 4095)
    part = np.count_nonzero(twelve_bits == 4095) / twelve_bits.size
    assert part > 0.3
    assert seen(twelve_bits).saturated == pytest.approx(part)
    assert seen(RAMP * 30, twelve_bits).saturated == 0, "there were higher values"
    one = RAMP.copy()
    one[0, 0] = 4095
    assert seen(one).saturated == 0, "one pixel is chance"
    assert seen(np.full((1, 1), 255, "u1")).saturated == 1
    mask = np.where(RAMP > 1300, 255, 0).astype("u1")
    assert seen(mask).saturated == 0, "a mask is of no detector"
    mask[0, 0] = 1
    assert seen(mask).saturated > 0.3


def test_manual_limits_are_those_on_screen_until_others_are_chosen():
    contrasts = ChannelContrasts()
    assert contrasts.limits(0) is None
    contrasts.of(0).add(contrast_of(RAMP))
    shown = contrasts.limits(0)
    contrasts.set_mode(0, ContrastMode.MANUAL)
    contrasts.of(0).add(contrast_of(RAMP * 9))
    assert contrasts.limits(0) == shown
    contrasts.set_limits(0, 5, 6)
    assert contrasts.limits(0) == (5, 6)
    contrasts.set_mode(0, ContrastMode.RUN)
    assert contrasts.limits(0)[1] > shown[1]


# ---- what is kept ------------------------------------------------------------------------------


def test_choices_go_to_a_file_and_come_back():
    choices = ChannelChoices()
    choices.choose(("GFP", 0), visible=False, mode=ContrastMode.MANUAL, limits=(1.5, 777.0), dtype="uint16")
    choices.choose(("GFP", 1), gamma=0.5, color="#00FF00")
    again = ChannelChoices()
    again.choose(("GFP", 1), visible=True)
    assert again.take_json(json.loads(json.dumps(choices.as_json()))) == 2
    assert again.of(("GFP", 0)) == choices.of(("GFP", 0))
    assert (again.of(("GFP", 1)).gamma, again.of(("GFP", 1)).visible) == (0.5, True)


def test_what_somebody_else_chose_is_shown_and_not_kept():
    choices, gfp = ChannelChoices(), ("GFP", 0)
    choices.choose(gfp, mode=ContrastMode.MANUAL, limits=(1.0, 2.0), dtype="uint16", gamma=0.5)
    before, own = choices.as_json(), choices.of(gfp)
    choices.lend(gfp, replace(own, limits=(7.0, 9.0), gamma=None, visible=False))
    assert choices.of(gfp) == replace(own, limits=(7.0, 9.0), visible=False)
    assert choices.as_json() == before
    choices.choose(gfp, visible=True)
    assert choices.of(gfp) == replace(own, limits=(7.0, 9.0), visible=True)
    choices.start_over()
    assert choices.of(gfp) == replace(own, visible=True)


@pytest.mark.parametrize(
    "document",
    [
        *(None, 3, "", [], {}, {"channels": 3}, {"channels": [3]}, {"channels": {}}),
        {"channels": [{"name": "a", "limits": "x"}]},
        {"channels": [{"name": "a", "contrast": "loud"}]},
    ],
)
def test_a_file_of_something_else_is_refused_with_a_sentence(document):
    with pytest.raises(MetadataError, match="no channel settings"):
        ChannelChoices().take_json(document)


def test_of_a_strange_file_only_what_makes_sense_is_taken():
    choices = ChannelChoices()
    strange = {"name": "a" * 9999, "limits": [5, 1], "gamma": -1, "color": "red;", "visible": "yes"}
    many = [{"name": f"n{i}", "gamma": 2} for i in range(2 * MOST_CHOICES)]
    choices.take_json({"channels": [strange]})
    assert list(choices._of.values()) == [type(choices.of(("", 0)))()]
    choices.take_json({"channels": many})
    assert len(choices._of) == MOST_CHOICES


# ---- in the window -----------------------------------------------------------------------------


def show(qtbot, viewer, planes, **facts):
    """Show `planes` {(t, c): pixels} of one position in the viewer."""
    n_t, n_c = (1 + max(each) for each in zip(*planes, strict=True))
    height, width = next(iter(planes.values())).shape
    dtype = np.result_type(*planes.values())
    named = tuple(Channel(name, "#FFFFFF") for name in ("DAPI", "GFP")[:n_c])
    facts = {"channels": named, "height": height, "width": width, "dtype": dtype, **facts}
    source = MemorySource(memory_info(n_t=n_t, n_p=1, n_z=1, **facts))
    for (t, c), pixels in planes.items():
        source.write((t, 0, c, 0), pixels)
    dataset = Dataset(source, path="/somewhere/run")
    viewer._screen.sessions.ask_for(Session(dataset, dataset.path))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return viewer.stage


def brightness(viewer):
    return float(np.median(screen_pixels(viewer).max(axis=-1)))


@pytest.mark.gl
def test_brightness_can_be_compared_over_a_run_and_the_mode_is_said(qtbot, viewer):
    means = [10, 40, 160, 640, 2560, 10240]
    noise = np.random.default_rng(0).integers(0, 8, (64, 64))
    stage = show(qtbot, viewer, {(t, 0): (mean + noise).astype("u2") for t, mean in enumerate(means)})
    for t in [*range(6), *range(6)]:
        stage.go_to(t=t)
        settle(qtbot, viewer)
    strip = stage.strips.strip(0)
    assert (strip.auto.text(), stage.strips.contrast.text()) == ("Run", "Run")
    low, high = stage.strips.window_of(0)
    assert low <= 18 and high >= 10240
    bright = []
    for t in range(6):
        stage.go_to(t=t)
        settle(qtbot, viewer)
        assert stage.strips.window_of(0) == (low, high)
        bright.append(brightness(viewer))
    assert bright == sorted(bright) and bright[-1] > 200 > 30 > bright[2]
    stage.strips.contrast.mode_chosen.emit(ContrastMode.PLANE)
    stage.go_to(t=0)
    settle(qtbot, viewer)
    assert strip.auto.text() == "Plane"
    assert stage.strips.window_of(0)[1] <= 18
    qtbot.mouseClick(strip.auto, Qt.MouseButton.LeftButton)
    assert (strip.auto.text(), strip.auto.isChecked()) == ("Manual", False)
    qtbot.mouseClick(strip.auto, Qt.MouseButton.LeftButton)
    assert strip.auto.text() == "Plane"


@pytest.mark.gl
def test_a_saturated_frame_is_white_and_said_and_a_missing_one_has_no_histogram(qtbot, viewer):
    stage = show(qtbot, viewer, {(0, 0): np.full((32, 32), 65535, "u2"), (2, 0): np.full((32, 32), 9, "u2")})
    assert brightness(viewer) == 255
    strip = stage.strips.strip(0)
    assert strip.saturated.text() == "sat 100 %"
    assert strip.histogram.has_counts()
    stage.go_to(t=1)
    assert settle(qtbot, viewer).planes[0].state is not PlaneState.PRESENT
    assert not strip.histogram.has_counts()
    assert strip.saturated.text() == ""


@pytest.mark.gl
@pytest.mark.each_binding
def test_values_close_together_far_from_zero_have_the_slider_for_themselves(qtbot, viewer):
    far = np.arange(1_234_567, 1_234_571, dtype="u4").repeat(64).reshape(16, 16)
    stage = show(qtbot, viewer, {(0, 0): far, (1, 0): far - 1_234_560})
    strip = stage.strips.strip(0)
    assert strip.values.window == (1_234_567, 1_234_570)
    handles = [strip.slider.handle_x(which) for which in (0, 1)]
    assert handles[1] - handles[0] > strip.slider.width() / 3, "either can be dragged"
    lower = round(handles[0] - (handles[1] - handles[0]) / 3)
    qtbot.mouseClick(strip.slider, Qt.MouseButton.LeftButton, pos=QPoint(lower, strip.slider.height() // 2))
    assert strip.values.window == (1_234_566, 1_234_570) and strip.mode is ContrastMode.MANUAL
    stage.go_to(t=1)
    settle(qtbot, viewer)
    assert stage.strips.range_of(0) == (0, 1_234_570), "what was seen since"


@pytest.mark.gl
@pytest.mark.each_binding
def test_a_plane_of_nan_is_not_black_without_a_word(qtbot, viewer):
    ramp, some = RAMP.astype("f4"), RAMP.astype("f4")
    some[:5] = np.nan
    nothing = np.full_like(ramp, np.nan)
    planes = {(0, 0): nothing, (0, 1): ramp, (1, 0): some, (1, 1): ramp, (2, 0): ramp, (2, 1): ramp}
    stage = show(qtbot, viewer, planes)
    strips, strip, said = stage.strips, stage.strips.strip(0), "no numbers: all pixels are NaN"
    assert strips.state_text(0) == said and strips.state_text(1) == ""
    assert stage.overlay.state() == ("partial", f"DAPI: {said}")
    assert strip.not_finite.text() == "NaN 100 %" and strip.not_finite.isVisible()
    assert (strip.low.text(), strip.high.text()) == ("", ""), "there are no limits"
    qtbot.mouseClick(strips.strip(1).on, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    assert stage.overlay.state() == ("partial", said.capitalize().replace("nan", "NaN"))
    qtbot.keyClick(stage.sliders.slider("t"), Qt.Key.Key_Right)
    settle(qtbot, viewer)
    assert strip.not_finite.text() == "NaN 25 %" and stage.overlay.state() == ("none", "")
    assert strips.state_text(0) == "" and strips.window_of(0)[0] > 1000, "those of the numbers there are"
    qtbot.keyClick(stage.sliders.slider("t"), Qt.Key.Key_Right)
    settle(qtbot, viewer)
    assert not strip.not_finite.isVisible()
    limits = strips.window_of(0)
    qtbot.keyClick(stage.sliders.slider("t"), Qt.Key.Key_Left)
    qtbot.keyClick(stage.sliders.slider("t"), Qt.Key.Key_Left)
    settle(qtbot, viewer)
    assert strips.state_text(0) == said and strips.window_of(0) == limits


@pytest.mark.gl
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(3e38, "f4"), (-3e38, "f4"), (1e300, "f8"), (1e-42, "f4"), (2**63, "u8"), (10**15, "i8"), (7.5, "f4")],
)
def test_a_constant_is_grey_whatever_its_size(qtbot, viewer, value, dtype):
    stage = show(qtbot, viewer, {(0, 0): np.full((20, 50), value, dtype)})
    assert brightness(viewer) == pytest.approx(127, abs=2)
    low, high = stage.strips.window_of(0)
    assert low <= value <= high


@pytest.mark.gl
def test_what_was_chosen_holds_for_the_next_run_with_channels_of_these_names(qtbot, viewer):
    planes = {(0, c): RAMP + 10 * c for c in range(2)}
    stage = show(qtbot, viewer, planes)
    choose_limits(viewer, 1, 3.0, 777.0)
    stage.strips.strip(1).on.click()
    stage.strips.strip(0).gamma_changed.emit(0.5)
    stage = show(qtbot, viewer, planes)
    assert [stage.strips.is_channel_visible(c) for c in range(2)] == [True, False]
    assert stage.strips.contrast_mode(0) is ContrastMode.RUN
    assert (stage.strips.contrast_mode(1), stage.strips.window_of(1)) == (ContrastMode.MANUAL, (3.0, 777.0))
    assert stage.canvas.limits(1) == (3.0, 777.0)
    assert stage.strips.gamma_of(0) == 0.5
    assert list(settle(qtbot, viewer).planes) == [0]
    stage = show(qtbot, viewer, {at: (pixels // 10).astype("u1") for at, pixels in planes.items()})
    assert stage.strips.contrast_mode(1) is ContrastMode.RUN, "limits of 16 bits mean nothing in 8"
    assert not stage.strips.is_channel_visible(1)
    menu = stage.strips.contrast.menu()
    menu.popup(stage.strips.contrast.mapToGlobal(QPoint()))
    entry = next(each for each in menu.actions() if each.text() == "Reset all channels")
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry).center())
    assert viewer.status_label.said("message").startswith("All channels are reset")
    settle(qtbot, viewer)
    assert stage.strips.is_channel_visible(1)
    assert stage.strips.gamma_of(0) == 1.0
    assert sorted(settle(qtbot, viewer).planes) == [0, 1]
    numbered = (Channel("0", "#FFFFFF"),)
    show(qtbot, viewer, {(0, 0): RAMP}, channels=numbered)
    choose_limits(viewer, 0, 3.0, 777.0)
    stage = show(qtbot, viewer, {(0, 0): RAMP}, channels=numbered)
    assert stage.strips.contrast_mode(0) is ContrastMode.RUN, "every dataset has a channel 0"


@pytest.mark.gl
def test_a_run_of_which_all_channels_were_hidden_in_another_is_not_a_black_picture(qtbot, viewer):
    stage = show(qtbot, viewer, {(0, c): RAMP for c in range(2)})
    stage.strips.solo(1)
    assert [stage.strips.is_channel_visible(c) for c in range(2)] == [False, True]
    stage = show(qtbot, viewer, {(0, 0): RAMP})
    assert stage.strips.is_channel_visible(0)
    assert list(settle(qtbot, viewer).planes) == [0]


@pytest.mark.gl
def test_what_was_on_before_a_channel_was_shown_alone_comes_back_in_a_run_that_grows(qtbot, viewer):
    channels = tuple(Channel(f"marker {i}", "#FFFFFF") for i in range(12))
    stage = show(qtbot, viewer, {(0, c): RAMP + c for c in range(12)}, channels=channels)
    qtbot.keyClick(stage.picture, Qt.Key.Key_6)
    assert list(settle(qtbot, viewer).planes) == [5]
    stage.channels.take_info(replace(viewer.dataset.info, n_t=2))
    qtbot.keyClick(stage.picture, Qt.Key.Key_6)
    assert sorted(settle(qtbot, viewer).planes) == [0, 1, 2, 3], "not all of them"


@pytest.mark.gl
def test_choices_are_exported_and_imported_and_kept_only_if_wanted(qtbot, viewer, tmp_path):
    planes = {(0, c): RAMP + 10 * c for c in range(2)}
    stage = show(qtbot, viewer, planes)
    files, status = viewer._screen.tools.choice_files, viewer.status_label
    files.export_to(str(tmp_path / "shown.json"))  # how they are shown, though nothing was chosen
    qtbot.waitUntil(lambda: status.said("message") == "Exported 2 channels to shown.json")
    said = json.loads((tmp_path / "shown.json").read_text())["channels"]
    assert [(each["visible"], each["contrast"], "limits" in each) for each in said] == [
        (True, "run", False)
    ] * 2
    choose_limits(viewer, 1, 3.0, 777.0)
    stage.strips.strip(0).on.click()
    files.export_to(str(tmp_path / "c.json"))
    qtbot.waitUntil(lambda: status.said("message") == "Exported 2 channels to c.json")
    stage.strips.contrast.reset_chosen.emit()
    assert stage.strips.is_channel_visible(0)
    assert stage.strips.contrast_mode(1) is ContrastMode.RUN
    files.import_from(str(tmp_path / "c.json"))
    qtbot.waitUntil(lambda: status.said("message") == "Imported 2 channels from c.json")
    assert list(settle(qtbot, viewer).planes) == [1]
    assert stage.canvas.limits(1) == stage.strips.window_of(1) == (3.0, 777.0)
    (tmp_path / "d.json").write_text("{}")
    files.import_from(str(tmp_path / "d.json"))
    qtbot.waitUntil(lambda: status.said("message") == "d.json has no channel settings of the viewer")
    files.import_from(str(tmp_path / "e.json"))
    qtbot.waitUntil(lambda: status.said("message").startswith("e.json could not be read: No such file"))
    stage.strips.contrast.remember_chosen.emit(False)
    stage = show(qtbot, viewer, planes)
    assert stage.strips.is_channel_visible(0)
    assert stage.strips.contrast_mode(1) is ContrastMode.RUN


@pytest.mark.each_binding
@pytest.mark.gl
def test_gamma_and_limits_are_dragged_on_the_histogram(qtbot, viewer):
    stage = show(qtbot, viewer, {(0, 0): RAMP})
    histogram, strip = stage.strips.strip(0).histogram, stage.strips.strip(0)
    at = histogram.gamma_handle().toPoint()
    before = brightness(viewer)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseMove(histogram, QPoint(at.x(), 8))
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=QPoint(at.x(), 8))
    assert histogram.gamma < 0.5
    qtbot.waitUntil(lambda: brightness(viewer) > before + 40)
    low, high = stage.strips.window_of(0)
    start = QPoint(round(strip.slider.handle_x(1)), 5)
    qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(histogram, start - QPoint(40, 0))
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton, pos=start - QPoint(40, 0))
    assert stage.strips.window_of(0)[0] == low and stage.strips.window_of(0)[1] < high - 100
    assert stage.canvas.limits(0) == stage.strips.window_of(0)
    assert strip.auto.text() == "Manual"
    qtbot.mouseDClick(histogram, Qt.MouseButton.LeftButton, pos=histogram.gamma_handle().toPoint())
    assert histogram.gamma == 1.0


@pytest.mark.gl
def test_of_many_channels_a_few_are_on_and_none_is_left_out_without_a_word(qtbot, viewer):
    channels = tuple(Channel(f"marker {i}", "#FFFFFF") for i in range(70))
    stage = show(qtbot, viewer, {(0, c): RAMP + c for c in range(70)}, channels=channels)
    assert sorted(settle(qtbot, viewer).planes) == [0, 1, 2, 3]
    assert stage.strips._left_out.text() == "6 more channels are not shown; scripts can read all of them."
    assert not stage.strips._left_out.isHidden()


def test_values_under_the_mouse_are_exact_and_have_names():
    planes = {
        0: Plane(PlaneState.PRESENT, np.full((4, 4), 1_234_567, "u4")),
        1: Plane(PlaneState.PRESENT, np.full((4, 4), 0.1, "f4")),
        2: Plane(PlaneState.PENDING),
    }
    frame = Frame(View(), planes, {})
    names = ["DAPI", "a name that is much longer than anybody reads", "Cy5"]
    assert str(readout_at(frame, names, 2, 1)) == ("x 1  y 2   DAPI 1234567 | a name that is much lon… 0.1")
    assert readout_at(frame, names, 9, 1) is None
    # pixels are said in µm in the field and on the stage, whose coordinates are those of its middle
    frame = frame._replace(image=ImageInfo((), 1, 1, 4, 4, np.dtype("u4"), 0.5, 0.25))
    readout = readout_at(frame, names, 2, 1, Position("A1", 0, x_um=1000.0, y_um=-20.0))
    assert readout.where == "x 1  y 2   (0.2, 1.0 µm)"
    assert readout.more == ("stage 999.9, -19.8 µm",)
    assert [c for c, _ in readout.values] == [0, 1]
    assert not readout_at(frame, names, 2, 1, Position("A1", 0)).more


def test_marks_of_saturated_pixels_keep_single_ones_however_small_the_picture_is():
    pixels = np.zeros((900, 1300), np.uint16)
    pixels[7, 1100] = pixels[899, 1299] = 4095
    pixels[3, 3] = 4094
    mask = saturated_pixels([(pixels, 4095.0), (np.zeros_like(pixels), 4095.0)])
    assert mask.sum() == 2
    picture, covered = marks(mask, PictureArea(-650, -450, 1950, 1350), 100, 200)
    found = {tuple(index) for index in np.argwhere(picture[..., 3] == 255)}
    step_y, step_x = (
        (covered.bottom - covered.top) / picture.shape[0],
        (covered.right - covered.left) / picture.shape[1],
    )
    assert found == {(int(7 // step_y), int(1100 // step_x)), (int(899 // step_y), int(1299 // step_x))}
    picture, covered = marks(mask, PictureArea(1090.5, 2.5, 1110.5, 12.5), 400, 800)
    assert (covered, picture.shape) == (PictureArea(1090, 2, 1111, 13), (11, 21, 4))
    assert np.argwhere(picture[..., 3]).tolist() == [[5, 10]]
    assert marks(mask, PictureArea(1400, 0, 1500, 10), 10, 10) is None
    assert saturated_pixels([]) is None
