"""Where a program draws instead of a graphics card, volumes are painted as an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from gl_host import assert_on_screen
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow, QOpenGLWidget
from runs import load, small_run, write
from screen import framebuffer, settle

from ndviewer_light.gui.canvas import opengl
from ndviewer_light.gui.canvas.image_surface import ImageSurface
from ndviewer_light.gui.viewer import LightweightViewer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runs import Run

pytestmark = pytest.mark.gl


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = small_run(tmp_path / "run")
    write(run)
    return run


@pytest.fixture
def new_viewer(qtbot: Any, monkeypatch: Any) -> Callable[[str, Run], LightweightViewer]:
    """Makes viewers on screen with a volume, painted as an image ("auto") or in a widget of OpenGL ("gl")."""

    def make(canvas: str, run: Run) -> LightweightViewer:
        monkeypatch.setenv("NDVIEWER_CANVAS", canvas)
        if canvas == "auto" and not opengl.paints_images():
            pytest.skip("a graphics card draws")
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        viewer.resize(900, 600)
        with qtbot.waitExposed(viewer):
            viewer.show()
        load(qtbot, viewer, run.folder)
        settle(qtbot, viewer)
        qtbot.mouseClick(viewer.stage.strips._volume, Qt.MouseButton.LeftButton)
        assert settle(qtbot, viewer).view.is_volume
        return viewer

    return make


def draws_of(viewer: LightweightViewer) -> list[Any]:
    """What is drawn from now on."""
    drawn: list[Any] = []
    viewer.ndv_viewer.canvas._canvas.events.draw.connect(drawn.append)
    return drawn


@pytest.mark.parametrize(
    ("renderer", "is_program"),
    [
        ("llvmpipe (LLVM 15.0.7, 256 bits)", True),
        ("Google SwiftShader", True),
        ("Apple Software Renderer", True),
        ("GDI Generic", True),
        ("D3D12 (Microsoft Basic Render Driver)", True),
        ("NVIDIA GeForce RTX 3060/PCIe/SSE2", False),
        ("Mesa Intel(R) UHD Graphics 620 (KBL GT2)", False),
        ("", False),
    ],
)
def test_what_draws_is_told_by_its_name(monkeypatch: Any, renderer: str, is_program: bool) -> None:
    monkeypatch.setattr(opengl, "_found", lambda: opengl._OpenGLFound("", renderer))
    monkeypatch.delenv("NDVIEWER_CANVAS", raising=False)
    assert opengl.paints_images() is is_program
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")
    assert not opengl.paints_images()


def test_the_window_has_no_widget_of_opengl_and_shows_the_volume(new_viewer: Any, run: Run) -> None:
    viewer = new_viewer("auto", run)
    assert isinstance(viewer.stage.canvas.surface, ImageSurface)
    assert viewer.findChildren(QOpenGLWidget) == []
    assert framebuffer(viewer).max() > 60
    assert_on_screen(viewer)


def test_the_volume_is_the_same_as_in_a_widget_of_opengl(new_viewer: Any, run: Run) -> None:
    image, widget = (framebuffer(new_viewer(canvas, run)) for canvas in ("auto", "gl"))
    assert image.shape == widget.shape
    assert image.max() > 60
    assert np.abs(image.astype(int) - widget).max() <= 1


def test_what_changes_over_the_picture_does_not_draw_it_again(qtbot: Any, new_viewer: Any, run: Run) -> None:
    viewer = new_viewer("auto", run)
    drawn, painted = draws_of(viewer), []
    viewer.stage.plane_moved.connect(lambda: painted.append(1))
    for name in ("first", "second"):
        viewer.stage.overlay.set_position(name)
        qtbot.wait(50)
    assert (drawn, painted) == ([], [])
    assert_on_screen(viewer)
    del drawn[:]  # the picture that it was compared with
    before = framebuffer(viewer)
    viewer.load_fov(1, 0, 0)
    settle(qtbot, viewer)
    assert drawn and painted
    assert (framebuffer(viewer) != before).any()
    assert_on_screen(viewer)


def test_a_larger_window_has_a_larger_picture(qtbot: Any, new_viewer: Any, run: Run) -> None:
    viewer = new_viewer("auto", run)
    before = framebuffer(viewer).shape
    viewer.resize(1200, 800)
    surface = viewer.stage.canvas.surface
    qtbot.waitUntil(lambda: surface.width() > before[1] and surface.is_up_to_date)
    settle(qtbot, viewer)
    assert framebuffer(viewer).shape == (surface.height(), surface.width(), 3)
    assert_on_screen(viewer)


def test_it_moves_to_another_window_as_it_is(qtbot: Any, new_viewer: Any, run: Run) -> None:
    viewer = new_viewer("auto", run)
    pictures, window = viewer.ndv_viewer, QMainWindow()
    qtbot.addWidget(window)
    window.resize(900, 640)
    window.setCentralWidget(viewer)
    with qtbot.waitExposed(window):
        window.show()
    viewer.load_fov(1, 0, 0)
    settle(qtbot, viewer)
    assert viewer.ndv_viewer is pictures
    assert_on_screen(viewer)
    viewer.close()
    viewer.setParent(None)
