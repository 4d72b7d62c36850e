"""Slides in the widget: the level that fits is drawn as one picture, at its place, in µm of level 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import slides
from qtpy.QtCore import QPointF
from runs import load
from screen import framebuffer, settle

from ndviewer_light.engine.overview import OVERVIEW, SIDE
from ndviewer_light.model import PlaneState, Region

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.gl

UM = 0.325
STORED = ((0, 0), (1, 3), (16, 16))


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40,000² with six levels."""
    path = tmp_path_factory.mktemp("slide") / "slide.ome.zarr"
    slides.write_slide(path, 40_000, 6)
    return path


def on_screen(viewer, row: float, column: float) -> tuple[float, float]:
    """Where a place of level 0, in pixels, is on the canvas: x, y in logical pixels."""
    to_world = viewer.stage.canvas.camera.canvas_to_world
    (x0, y0, _), (x1, y1, _) = to_world((0, 0)), to_world((100, 100))
    return (column * UM - x0) / (x1 - x0) * 100, (row * UM - y0) / (y1 - y0) * 100


def said_at(viewer, row: int, column: int) -> tuple[str, tuple[int, int]]:
    """What is said of the place on screen where that pixel of level 0 is, and the place it is found at."""
    canvas, said, found = viewer.stage.canvas, [], []
    x, y = on_screen(viewer, row, column)
    viewer.stage.hover_text.connect(said.append)
    canvas.hovered.connect(found.append)
    canvas._hover(QPointF(x, y))
    viewer.stage.hover_text.disconnect(said.append)
    canvas.hovered.disconnect(found.append)
    return said[0], found[0]


def test_a_slide_is_shown_at_the_level_that_fits(qtbot, viewer, slide):
    load(qtbot, viewer, slide)
    frame = settle(qtbot, viewer)
    assert frame.level == 5
    assert frame.downsampled == (1, 32, 32)
    assert viewer.stage.overlay.state() == ("none", "")
    np.testing.assert_array_equal(frame.planes[0].pixels, slides.pixels(Region(0, 0, 1250, 1250), 5))


def test_hover_scale_bar_and_picture_are_those_of_level_0(qtbot, viewer, slide):
    load(qtbot, viewer, slide)
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    per_pixel = canvas.um_per_screen_pixel()
    gl = canvas.surface
    fitted = 40_000 * UM / min(gl.width(), gl.height())
    assert per_pixel == pytest.approx(fitted, rel=0.05)
    assert viewer.stage.overlay.um_per_px() == pytest.approx(per_pixel)
    for row, column in ((20_250, 10_250), (250, 39_750)):
        said, (y, x) = said_at(viewer, row, column)
        span = per_pixel / UM  # no screen pixel is hit more exactly
        assert abs(y - row) <= span and abs(x - column) <= span
        value = slides.pixels(Region(y // 32 * 32, x // 32 * 32, 1, 1))[0, 0]
        assert said == f"x {x}  y {y}   ({x * UM:.1f}, {y * UM:.1f} µm)   {value}"
    picture = framebuffer(viewer).astype(int).max(axis=-1)
    low, high = viewer.stage.strips.window_of(0)
    ratio = gl.devicePixelRatioF()
    rows = np.arange(1_750, 40_000, 3_000)
    columns = np.arange(2_250, 40_000, 3_500)
    shown, expected = [], []
    for row in rows:
        for column in columns:
            x, y = on_screen(viewer, row, column)
            shown.append(picture[int(y * ratio), int(x * ratio)])
            value = float(slides.pixels(Region(row, column, 1, 1))[0, 0])
            expected.append(round(float(np.clip((value - low) / (high - low), 0, 1)) * 255))
    wrong = np.abs(np.array(shown) - expected) > 6
    assert wrong.mean() < 0.1, "a picture at another place than the data"


def test_outside_the_slide_nothing_is_said(qtbot, viewer, slide):
    load(qtbot, viewer, slide)
    settle(qtbot, viewer)
    assert said_at(viewer, 40_500, 100)[0] == ""
    assert said_at(viewer, 100, -500)[0] == ""


def test_a_larger_window_gets_a_larger_level_and_keeps_the_zoom(qtbot, viewer, slide):
    load(qtbot, viewer, slide)
    assert settle(qtbot, viewer).level == 5
    canvas = viewer.stage.canvas
    canvas.camera.set_range(x=(1000.0, 3000.0), y=(1000.0, 3000.0), margin=1e-9)
    before = canvas.visible_area()
    viewer.resize(1000, 700)
    assert settle(qtbot, viewer).level == 5
    viewer.resize(2000, 1700)
    qtbot.waitUntil(lambda: canvas.frame.level == 4, timeout=20_000)
    frame = settle(qtbot, viewer)
    np.testing.assert_array_equal(frame.planes[0].pixels, slides.pixels(Region(0, 0, 2500, 2500), 4))
    after = canvas.visible_area()
    centre = [sum(side) / 2 for side in (*before,)]
    assert [sum(side) / 2 for side in (*after,)] == pytest.approx(centre, rel=0.02)


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Path]:
    slides.write_slide(tmp_path / "flat.ome.zarr", 17_000, chunks=STORED)
    yield tmp_path / "flat.ome.zarr"


def test_without_levels_an_overview_is_built_and_says_how_far_it_is(qtbot, viewer, flat):
    said = set()
    load(qtbot, viewer, flat)
    stage = viewer.stage

    def done() -> bool:
        said.add(viewer._screen.status.said("waiting"))
        frame = stage.canvas.frame if stage.canvas is not None else None
        return frame is not None and frame.planes[0].state is PlaneState.PRESENT

    qtbot.waitUntil(done, timeout=60_000)
    frame = settle(qtbot, viewer)
    assert frame.level == OVERVIEW
    step = -(-17_000 // SIDE)
    assert frame.downsampled == (1, step, step)
    part = slides.pixels(Region(0, 0, 1024, 1024))[::step, ::step]
    np.testing.assert_array_equal(frame.planes[0].pixels[: part.shape[0], : part.shape[1]], part)
    assert any(text.startswith("building an overview: ") and text.endswith(" of 289 tiles") for text in said)
    viewer._screen._waits.say()
    assert viewer._screen.status.said("waiting") == ""
    said_here, (y, x) = said_at(viewer, 500, 500)
    assert said_here.endswith(f"   {frame.planes[0].pixels[frame.pixel(y + 0.5, x + 0.5)]}")
