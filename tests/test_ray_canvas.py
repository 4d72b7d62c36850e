"""Where no graphics card draws, volumes are drawn on the CPU, in a thread."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from gl_host import assert_on_screen
from panel_eye import turn_wheel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QOpenGLWidget
from runs import load, small_run, write
from screen import drag, framebuffer, settle

from ndviewer_light.gui.canvas import ray_pane
from ndviewer_light.gui.canvas.ray_canvas import RayCanvas
from ndviewer_light.gui.canvas.ray_pictures import RayPictures
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.rendering.volume_layers import coarser
from ndviewer_light.rendering.volume_rays import FIRST_SIGHT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
pytestmark = pytest.mark.gl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = small_run(tmp_path / "run", n_z=5)
    write(run)
    return run.folder


@pytest.fixture
def new_viewer(qtbot: Any, monkeypatch: Any, folder: Path) -> Callable[[str], LightweightViewer]:
    """Makes viewers on screen with a volume, drawn on the CPU ("cpu") or with OpenGL ("gl")."""

    def make(canvas: str) -> LightweightViewer:
        monkeypatch.setenv("NDVIEWER_CANVAS", canvas)
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        viewer.resize(900, 600)
        viewer.show()
        qtbot.waitExposed(viewer)
        load(qtbot, viewer, folder)
        settle(qtbot, viewer)
        qtbot.mouseClick(viewer.stage.strips._volume, LEFT)
        assert settle(qtbot, viewer).view.is_volume
        return viewer

    return make


@pytest.fixture
def viewer(new_viewer: Any) -> LightweightViewer:
    return new_viewer("cpu")


def seen(viewer: LightweightViewer) -> np.ndarray:
    """Right, down, how far off the middle, width and height."""
    sight = viewer.stage.canvas.volume_sight(of_part=True)
    return np.array([*sight.right, *sight.down, *sight.off_middle, sight.width, sight.height])


@pytest.mark.each_binding
def test_no_opengl_is_needed_and_the_volume_is_on_screen(qtbot: Any, viewer: LightweightViewer) -> None:
    assert isinstance(viewer.stage.canvas, RayCanvas)
    assert viewer.findChildren(QOpenGLWidget) == []
    assert framebuffer(viewer).max() > 60
    assert_on_screen(viewer)
    before = framebuffer(viewer).shape
    viewer.resize(1200, 800)
    qtbot.waitUntil(lambda: viewer.stage.canvas.surface.width() > before[1])
    settle(qtbot, viewer)
    surface = viewer.stage.canvas.surface
    assert framebuffer(viewer).shape == (surface.height(), surface.width(), 3)
    assert viewer.stage.canvas.is_fitting
    viewer.load_fov(1, 0, 0)
    other = framebuffer(viewer)
    assert settle(qtbot, viewer).view.p == 1
    assert (framebuffer(viewer) != other).any()


def test_it_looks_as_with_opengl(new_viewer: Any) -> None:
    cpu, gl = (new_viewer(canvas) for canvas in ("cpu", "gl"))
    np.testing.assert_allclose(seen(cpu), seen(gl), rtol=1e-4, atol=1e-4)
    ours, theirs = (framebuffer(each).astype(float)[80:-80, 80:-80] for each in (cpu, gl))
    assert ours.shape == theirs.shape and ours.max() > 60
    blocks = [each[:320, :448].reshape(20, 16, 28, 16, 3).mean(axis=(1, 3)) for each in (ours, theirs)]
    alike = np.corrcoef(*(each.ravel() for each in blocks))[0, 1]
    assert alike > 0.95, "voxels are interpolated here, but they are where they are with OpenGL"


@pytest.mark.each_binding
def test_a_volume_is_seen_tilted_at_first_and_moved_by_the_mouse(
    qtbot: Any, viewer: LightweightViewer
) -> None:
    surface, canvas = viewer.stage.canvas.surface, viewer.stage.canvas
    first = seen(viewer)
    np.testing.assert_allclose(first[:6], [*FIRST_SIGHT.right, *FIRST_SIGHT.down], atol=1e-6)
    at = surface.rect().center()
    drag(surface, at, at + QPoint(40, 0), at + QPoint(80, 10))
    turned = seen(viewer)
    assert np.abs(turned[:6] - first[:6]).max() > 0.2 and turned[8] == pytest.approx(first[8])
    turn_wheel(surface, 3)
    closer = seen(viewer)
    assert closer[8] < 0.8 * first[8]
    drag(surface, at, at + QPoint(0, 20), at + QPoint(0, 40), button=RIGHT)
    assert seen(viewer)[8] > closer[8]
    drag(surface, at, at + QPoint(30, 0), at + QPoint(50, 0), modifiers=Qt.KeyboardModifier.ShiftModifier)
    assert seen(viewer)[6] == pytest.approx(50 * seen(viewer)[8] / surface.width())
    settle(qtbot, viewer)
    assert viewer.stage.fit_button.isVisible()
    qtbot.keyClick(surface, Qt.Key.Key_R)
    np.testing.assert_allclose(seen(viewer), first, atol=1e-6)
    assert canvas.is_fitting


def test_while_it_moves_it_is_drawn_coarsely_which_is_said(
    qtbot: Any, monkeypatch: Any, viewer: LightweightViewer
) -> None:
    surface, fine = viewer.stage.canvas.surface, framebuffer(viewer)
    monkeypatch.setattr(ray_pane, "BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(ray_pane, "REST_MS", 600_000)
    at = surface.rect().center()
    drag(surface, at, at + QPoint(40, 0))
    qtbot.waitUntil(lambda: surface.step == 8, timeout=20_000)
    said = viewer.stage.canvas.progress
    assert re.fullmatch(r"drawn as \d+ × \d+ × 1 while it moves", said)
    qtbot.waitUntil(lambda: viewer.stage.overlay.wait() == said, timeout=20_000)
    monkeypatch.setattr(ray_pane, "REST_MS", 0)
    drag(surface, at, at - QPoint(40, 0))
    settle(qtbot, viewer)
    assert surface.step == 1 and viewer.stage.canvas.progress == ""
    assert np.abs(framebuffer(viewer).astype(int) - fine).mean() < 2, "turned there and back"


def test_the_plane_is_called_a_plane_until_the_volume_is_drawn(
    qtbot: Any, monkeypatch: Any, viewer: LightweightViewer
) -> None:
    stage, may_go_on, make = viewer.stage, threading.Event(), RayPictures.make
    qtbot.mouseClick(stage.strips._flat, LEFT)
    settle(qtbot, viewer)

    def slow(*arguments: Any) -> Any:
        may_go_on.wait(20)
        return make(*arguments)

    monkeypatch.setattr(RayPictures, "make", slow)
    qtbot.mouseClick(stage.strips._volume, LEFT)
    qtbot.waitUntil(lambda: stage.overlay.wait() == "drawing the volume", timeout=20_000)
    assert stage.picture.still.isVisible() and "3D" not in stage.overlay.position()
    may_go_on.set()
    assert settle(qtbot, viewer).view.is_volume
    assert stage.picture.still.isHidden() and "3D" in stage.overlay.position()
    qtbot.waitUntil(lambda: stage.overlay.wait() == "", timeout=20_000)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_voxels_are_taken_together_as_the_brightest_of_them(step: int) -> None:
    voxels = np.random.default_rng(0).integers(0, 60_000, (7, 9, 10)).astype(np.uint16)
    starts = [range(0, n, step) for n in voxels.shape]
    expected = [
        [[voxels[z : z + step, y : y + step, x : x + step].max() for x in starts[2]] for y in starts[1]]
        for z in starts[0]
    ]
    np.testing.assert_array_equal(coarser(voxels, step), expected)
