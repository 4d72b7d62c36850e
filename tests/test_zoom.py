"""How far a picture can be zoomed and pushed: it is never lost, whatever is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndviewer_light.gui.canvas.zoom import Scene, drag_factor, wheel_factor

SCENE = Scene(height_um=325.0, width_um=650.0, pixel_um=0.325, rows=500, columns=800)

lengths = st.floats(0.01, 1e6)
scenes = st.builds(Scene, lengths, lengths, st.floats(0.001, 100), st.integers(1, 3000), st.integers(1, 3000))
movements = st.lists(
    st.tuples(st.sampled_from(["zoom", "pan"]), st.floats(-5000, 5000), st.floats(-5000, 5000)), max_size=30
)


def test_what_fits_is_all_of_the_picture_and_as_large_as_can_be():
    area = SCENE.fitting
    assert SCENE.is_fitting(area)
    assert area.x == pytest.approx((-6.5, 656.5))
    assert area.center == pytest.approx((325.0, 162.5))
    assert not SCENE.is_fitting(SCENE.panned(area, 30, 0))
    assert not SCENE.is_fitting(SCENE.zoomed(area, 1.02, area.center))


def test_zoom_ends_at_an_eighth_of_the_fit_and_at_eight_pixels_across():
    area = SCENE.fitting
    for _ in range(30):  # notches
        area = SCENE.zoomed(area, wheel_factor(-120), (0.0, 0.0))
    assert SCENE.scale_of(area) == pytest.approx(SCENE.fitting_scale * 8)
    for _ in range(80):
        area = SCENE.zoomed(area, wheel_factor(120), (100.0, 100.0))
    assert area.y[1] - area.y[0] == pytest.approx(8 * 0.325)


def test_a_notch_forth_and_back_is_where_it_was_and_the_point_under_the_mouse_stays():
    area, at = SCENE.fitting, (500.0, 40.0)
    nearer = SCENE.zoomed(area, wheel_factor(360), at)
    before = (at[0] - area.x[0]) / SCENE.scale_of(area), (at[1] - area.y[0]) / SCENE.scale_of(area)
    after = (at[0] - nearer.x[0]) / SCENE.scale_of(nearer), (at[1] - nearer.y[0]) / SCENE.scale_of(nearer)
    assert after == pytest.approx(before)
    assert SCENE.is_fitting(SCENE.zoomed(nearer, wheel_factor(-360), at))


def test_dragging_moves_the_picture_with_the_mouse_and_down_is_out():
    area = SCENE.zoomed(SCENE.fitting, 4, (325.0, 162.5))
    moved = SCENE.panned(area, 100, -50)
    scale = SCENE.scale_of(area)
    assert moved.center == pytest.approx((325.0 - 100 * scale, 162.5 + 50 * scale))
    assert drag_factor(10) < 1 < drag_factor(-10)


def test_one_pixel_can_be_shown():
    scene = Scene(1.0, 1.0, 1.0, 600, 800)
    assert scene.is_fitting(scene.zoomed(scene.fitting, 100, (0.5, 0.5)))


@given(scenes, movements)
def test_whatever_is_done_some_of_the_picture_is_in_sight(scene, movements):
    area = scene.fitting
    for kind, a, b in movements:
        area = scene.zoomed(area, 2 ** (a / 1000), (b, a)) if kind == "zoom" else scene.panned(area, a, b)
        nearest, furthest = scene.scales
        assert nearest * 0.999 <= scene.scale_of(area) <= furthest * 1.001
        (x, y), slack = area.center, 1e-6 * (scene.width_um + scene.height_um)
        assert -slack <= x <= scene.width_um + slack
        assert -slack <= y <= scene.height_um + slack
