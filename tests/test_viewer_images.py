"""The widget on datasets whose positions differ, and on levels with sizes of their own."""

from __future__ import annotations

import image_stores
import numpy as np
import ome_tiff_dialects
import pytest
from image_stores import Made, halved, pixels
from PIL import Image
from qtpy.QtCore import Qt
from runs import load
from screen import assert_shows, choose_limits, framebuffer, settle
from stores import needs_zarr_3
from uploads import uploaded

from ndviewer_light.engine import regions
from ndviewer_light.gui.canvas import volume_reading
from ndviewer_light.gui.canvas.display import Canvas
from ndviewer_light.model import PlaneState

pytestmark = [pytest.mark.gl, needs_zarr_3]

FIRST = Made([pixels(1, 2, 1, 32, 40, seed=1)], ("DAPI", "GFP"), [(1, 0.65, 0.65)], ("0000FF", "00FF00"))
SECOND = Made(
    [pixels(1, 3, 4, 32, 40, seed=2)],
    ("Hoechst", "Cy5", "GFP"),
    [(2.0, 0.1625, 0.1625)],
    ("00FFFF", "FF00FF", "FFFF00"),
)


def shown_names(viewer):
    strips = viewer.stage.strips
    return [strips.strip(c).name.text() for c in range(len(strips)) if strips.strip(c).isVisibleTo(strips)]


@pytest.fixture
def plate(tmp_path):
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, SECOND]})
    return tmp_path / "plate.zarr"


def planes(made, z=0):
    return {name: made.levels[0][0, c, z] for c, name in enumerate(made.channels)}


def test_every_position_has_the_strips_the_scale_and_the_planes_of_its_own(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    settle(qtbot, viewer)
    stage = viewer.stage
    assert shown_names(viewer) == ["DAPI", "GFP"]
    assert_shows(viewer, planes(FIRST))
    um_per_px = stage.canvas.um_per_screen_pixel()
    viewer.load_fov(1)
    frame = settle(qtbot, viewer)
    qtbot.waitUntil(lambda: shown_names(viewer) == ["GFP", "Hoechst", "Cy5"])
    frame = settle(qtbot, viewer)
    assert frame.image.pixel_size_um == pytest.approx(0.1625)
    assert {viewer.dataset.info.channels[c].name for c in frame.planes} == set(SECOND.channels)
    assert stage.overlay.state() == ("none", "")
    assert_shows(viewer, planes(SECOND))
    # both fill the canvas: a pixel on screen spans a quarter of the µm
    assert stage.canvas.um_per_screen_pixel() == pytest.approx(um_per_px / 4, rel=0.01)
    assert stage.overlay.um_per_px() == pytest.approx(um_per_px / 4, rel=0.01)
    assert stage.sliders.size("z") == 4
    assert stage.sliders.value_text("z") == "1 / 4   +0.0 µm"
    stage.sliders.slider("z").setValue(3)
    settle(qtbot, viewer)
    assert stage.sliders.value_text("z") == "4 / 4   +6.0 µm"
    assert_shows(viewer, planes(SECOND, 3))
    viewer.load_fov(0)
    settle(qtbot, viewer)
    assert shown_names(viewer) == ["DAPI", "GFP"]
    assert stage.sliders.size("z") == 1
    assert_shows(viewer, planes(FIRST))
    assert stage.canvas.um_per_screen_pixel() == pytest.approx(um_per_px, rel=0.01)


def test_a_smaller_image_fills_the_canvas_although_channels_of_others_are_larger(qtbot, viewer, tmp_path):
    small = Made([pixels(1, 1, 1, 16, 20, seed=3)], ("Cy7",), [(1, 0.1, 0.1)])
    image_stores.write_plate(tmp_path / "plate.zarr", {"B/3": [FIRST, small]})
    load(qtbot, viewer, tmp_path / "plate.zarr")
    settle(qtbot, viewer)
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: shown_names(viewer) == ["Cy7"])
    settle(qtbot, viewer)
    assert_shows(viewer, planes(small))
    canvas = viewer.stage.canvas
    sides = canvas.surface.width(), canvas.surface.height()
    spans = [canvas.um_per_screen_pixel() * side for side in sides]
    assert min(spans[0] / (20 * 0.1), spans[1] / (16 * 0.1)) == pytest.approx(1.02, abs=0.03)


def test_contrast_and_visibility_follow_the_name_of_the_channel(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    settle(qtbot, viewer)
    strips = viewer.stage.strips
    choose_limits(viewer, 1, 20.0, 90.0)  # GFP
    strips.strip(0).on.click()  # DAPI off
    settle(qtbot, viewer)
    viewer.load_fov(1)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: len(strips) == 4)
    frame = settle(qtbot, viewer)
    assert viewer.stage.canvas.limits(1) == (20.0, 90.0)
    assert sorted(frame.planes) == [1, 2, 3]
    assert_shows(viewer, planes(SECOND))
    viewer.load_fov(0)
    frame = settle(qtbot, viewer)
    assert list(frame.planes) == [1]
    assert not strips.is_channel_visible(0)
    assert_shows(viewer, {"GFP": FIRST.levels[0][0, 1, 0]})


def test_a_z_asked_for_at_a_position_that_was_not_looked_at_is_shown_there(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    settle(qtbot, viewer)
    viewer.stage.go_to(p=1, z=2)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: viewer.stage.view.z == 2)
    settle(qtbot, viewer)
    assert_shows(viewer, planes(SECOND, 2))


def test_pixels_under_the_mouse_are_in_the_units_of_their_position(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    settle(qtbot, viewer)
    viewer.load_fov(1)
    settle(qtbot, viewer)
    said = []
    viewer.stage.hover_text.connect(said.append)
    viewer.stage._on_hovered((10, 20))
    assert said[-1].startswith("x 20  y 10   (3.2, 1.6 µm)")


def test_positions_of_different_dtypes_are_shown_in_their_own_values(qtbot, viewer, tmp_path):
    made = [
        Made([pixels(1, 1, 1, 32, 40, dtype=dtype, seed=i) * factor], ("A",), [(1, 0.5, 0.5)])
        for i, (dtype, factor) in enumerate(((np.uint8, 1), (np.uint16, 200), (np.float32, 0.001)))
    ]
    image_stores.write_series(tmp_path / "s.zarr", made)
    load(qtbot, viewer, tmp_path / "s.zarr")
    for p in (0, 1, 2, 0):
        viewer.load_fov(p)
        settle(qtbot, viewer)
        qtbot.waitUntil(lambda p=p: viewer.stage.canvas.frame.image == viewer.dataset.image(p))
        settle(qtbot, viewer)
        assert_shows(viewer, planes(made[p]))


# ---- volumes -------------------------------------------------------------------------------------


def shown_volume(qtbot, viewer, p=0):
    """The volume given to ndv (C, Z, Y, X), and its frame."""
    viewer.load_fov(p)
    settle(qtbot, viewer)
    if not viewer.stage.strips.is_3d():
        viewer.stage.strips._volume.click()
    frame = settle(qtbot, viewer)
    assert frame.view.is_volume
    volume, _ = uploaded(viewer.stage.canvas.frames)
    return volume, frame


def test_a_volume_of_a_level_that_halves_z_is_that_level_whole(qtbot, viewer, tmp_path, monkeypatch):
    first = pixels(1, 1, 20, 32, 32)
    levels = [first, halved(first), halved(halved(first))]
    scales = [(2.0 * s, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    image_stores.write(tmp_path / "i.zarr", Made(levels, ("A",), scales))
    monkeypatch.setattr(volume_reading, "MAX_VOLUME_BYTES", levels[1].nbytes)
    load(qtbot, viewer, tmp_path / "i.zarr")
    volume, frame = shown_volume(qtbot, viewer)
    np.testing.assert_array_equal(volume, levels[1][0])
    assert frame.downsampled == (2.0, 2.0, 2.0)
    assert viewer.stage.canvas.viewer.scales == (4.0, 1.0, 1.0)
    assert viewer.stage.overlay.state() == ("none", "")
    assert framebuffer(viewer).max() > 60


@pytest.mark.parametrize("size", [(4, 20, 24), (3, 48, 40)], ids=["smaller", "larger"])
def test_positions_of_another_size_are_volumes_of_their_own_size(qtbot, viewer, tmp_path, size):
    made = [
        Made([pixels(1, 2, *shape, seed=i)], ("A", "B"), [(1, 0.5, 0.5)])
        for i, shape in enumerate(((4, 32, 40), size))
    ]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made})
    load(qtbot, viewer, tmp_path / "p.zarr")
    for p in (0, 1, 0):
        volume, _ = shown_volume(qtbot, viewer, p)
        np.testing.assert_array_equal(volume, made[p].levels[0][0])
        assert viewer.stage.overlay.state() == ("none", "")


def test_a_position_with_fewer_levels_is_reduced_instead(qtbot, viewer, tmp_path, monkeypatch):
    first = pixels(1, 1, 4, 32, 40)
    levels = [first, halved(first, 1), halved(halved(first, 1), 1)]
    scales = [(1.0, 0.5 * s, 0.5 * s) for s in (1, 2, 4)]
    made = [Made(levels, ("A",), scales), Made(levels[:1], ("A",), scales[:1])]
    image_stores.write_plate(tmp_path / "p.zarr", {"A/1": made})
    monkeypatch.setattr(volume_reading, "MAX_VOLUME_BYTES", levels[1].nbytes)
    load(qtbot, viewer, tmp_path / "p.zarr")
    for p in range(2):
        volume, frame = shown_volume(qtbot, viewer, p)
        np.testing.assert_array_equal(volume, levels[1][0])
        assert frame.downsampled == (1.0, 2.0, 2.0)
        assert all(plane.state is PlaneState.PRESENT for plane in frame.planes.values())
        assert viewer.stage.overlay.state() == ("none", "")


@pytest.mark.parametrize(
    ("origins_um", "center"),
    [
        pytest.param((0.0, 0.0), 8.5, id="one pixel out of four"),
        pytest.param((0.0, 1.5 * 0.5), 10.0, id="an average over four"),
        pytest.param((), 10.0, id="nobody says"),
        pytest.param((0.0, 900.0), 10.0, id="nonsense"),
    ],
)
def test_a_level_is_drawn_where_its_metadata_says(qtbot, viewer, tmp_path, monkeypatch, origins_um, center):
    """Pixel (2, 2) of a level of a quarter of the size is bright: around which pixel of level 0 is that?"""
    monkeypatch.setattr(regions, "ONE_TILE_PIXELS", 1000)  # of larger images, the level that fits is drawn
    monkeypatch.setattr(Canvas, "_screen", lambda self: (16, 16))
    small = np.zeros((1, 1, 1, 16, 16), np.uint16)
    small[..., 2, 2] = 200
    scales = [(1.0, 0.5 * span, 0.5 * span) for span in (1, 4)]
    origins = [(0.0, um, um) for um in origins_um]
    levels = [np.zeros((1, 1, 1, 64, 64), np.uint16), small]
    made = Made(levels, ("A",), scales, ("FFFFFF",), translations=origins)
    image_stores.write(tmp_path / "i.zarr", made)
    load(qtbot, viewer, tmp_path / "i.zarr")
    frame = settle(qtbot, viewer)
    assert (frame.level, frame.downsampled) == (1, (1.0, 4.0, 4.0))
    choose_limits(viewer, 0, 0, 200)
    settle(qtbot, viewer)
    bright = np.argwhere(framebuffer(viewer).min(axis=-1) > 128)
    ratio = viewer.stage.canvas.surface.devicePixelRatioF()
    middle = (bright.min(axis=0) + bright.max(axis=0) + 1) / 2 / ratio
    x, y, _ = viewer.stage.canvas.camera.canvas_to_world((middle[1], middle[0]))
    assert (y / 0.5, x / 0.5) == pytest.approx((center, center), abs=0.3)
    assert frame.pixel(center, center) == (2, 2)
    assert frame.pixel(center - 2.1, center + 2.1) == (1, 3)


def test_a_warning_found_at_opening_stays_and_a_click_lists_all(qtbot, viewer, tmp_path):
    for name in ("img_t0.png", "img_t1.png", "img_t2.png", "other thing.jpg"):
        Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tmp_path / name)
    load(qtbot, viewer, tmp_path)
    settle(qtbot, viewer)
    button = viewer._screen._row.warnings
    assert button.isVisible()
    assert "other thing.jpg" in button.toolTip()
    viewer.status_label.say("message", "Something else")
    assert button.text() == f"{len(viewer.dataset.info.warnings)} warning"
    button.click()
    assert "other thing.jpg" in button.panel.text
    qtbot.keyClick(button.panel, Qt.Key.Key_Escape)
    assert button.panel is None
    (tmp_path / "clean").mkdir()
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(tmp_path / "clean" / "img_t0.png")
    load(qtbot, viewer, tmp_path / "clean")
    assert button.isHidden()
    assert button.noted == ()


def test_a_file_of_a_set_is_shown_at_its_own_position(qtbot, viewer, tmp_path):
    written = ome_tiff_dialects.mm_positions_same_xml(tmp_path)
    load(qtbot, viewer, written.paths[2])
    settle(qtbot, viewer)
    assert viewer.stage.view.p == 2
    assert_shows(viewer, {f"Ch{c}": written.expected.pixels[2][0, c, 0] for c in range(2)})
