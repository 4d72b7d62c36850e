"""Where no graphics card draws, planes are drawn on the CPU by one canvas, and volumes by another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import Qt
from runs import load, planes_of, small_run, write
from screen import assert_shows, framebuffer, settle, stopped_reader

from ndviewer_light.gui.canvas import opengl
from ndviewer_light.gui.canvas.cpu_canvas import CpuCanvas
from ndviewer_light.gui.canvas.gl_canvas import GlCanvas
from ndviewer_light.gui.canvas.ray_canvas import RayCanvas
from ndviewer_light.gui.viewer import LightweightViewer

if TYPE_CHECKING:
    from qtpy.QtGui import QImage
    from runs import Run

REPO = Path(__file__).parents[1]
LEFT = Qt.MouseButton.LeftButton
pytestmark = [pytest.mark.gl, pytest.mark.each_binding]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = small_run(tmp_path / "run")
    write(run)
    return run


@pytest.fixture
def viewer(qtbot: Any, monkeypatch: Any) -> LightweightViewer:
    """On screen, and draws as is best here."""
    monkeypatch.setenv("NDVIEWER_CANVAS", "auto")
    if not opengl.draws_in_software():
        pytest.skip("a graphics card draws here")
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    viewer.resize(900, 600)
    with qtbot.waitExposed(viewer):
        viewer.show()
    return viewer


def click(qtbot: Any, viewer: LightweightViewer, *names: str) -> None:
    """Click the buttons "2D" and "3D" in this order."""
    for name in names:
        strips = viewer.stage.strips
        qtbot.mouseClick(strips._volume if name == "3D" else strips._flat, LEFT)


def test_a_volume_brings_another_canvas_and_planes_are_seen_as_before_when_it_is_left(
    qtbot: Any, viewer: LightweightViewer, run: Run
) -> None:
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    stage = viewer.stage
    assert isinstance(stage.canvas, CpuCanvas) and viewer._screen._row.drawing.isHidden()
    stage.canvas.zoom(2.0)
    area = stage.canvas.visible_area()
    for _ in range(2):
        click(qtbot, viewer, "3D")
        assert settle(qtbot, viewer).view.is_volume
        assert isinstance(stage.canvas, RayCanvas) and framebuffer(viewer).max() > 60
        click(qtbot, viewer, "2D")
        assert not settle(qtbot, viewer).view.is_volume
        assert isinstance(stage.canvas, CpuCanvas)
        qtbot.waitUntil(lambda: stage.canvas.visible_area().x == pytest.approx(area.x, abs=0.01))
        assert stage.canvas.visible_area().y == pytest.approx(area.y, abs=0.01)
    qtbot.waitUntil(lambda: stage.canvas.surface.is_up_to_date)
    stage.canvas.reset_view()
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: stage.canvas.surface.is_up_to_date)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.close()


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_whoever_changes_his_mind_sees_what_was_wanted_last(
    qtbot: Any, viewer: LightweightViewer, run: Run, n: int
) -> None:
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    click(qtbot, viewer, *["3D", "2D"] * (n // 2), *["3D"] * (n % 2))
    assert settle(qtbot, viewer).view.is_volume is (n % 2 == 1)
    qtbot.wait(200)  # what was called for before comes to nothing
    assert isinstance(viewer.stage.canvas, RayCanvas if n % 2 else CpuCanvas)
    viewer.close()


def test_the_next_dataset_begins_with_planes_and_a_link_to_a_volume_with_that(
    qtbot: Any, viewer: LightweightViewer, run: Run, tmp_path: Path
) -> None:
    load(qtbot, viewer, f"ndviewer:{run.folder}?volume=max")
    assert settle(qtbot, viewer).view.is_volume
    other = small_run(tmp_path / "other")
    write(other)
    load(qtbot, viewer, other.folder)
    assert not settle(qtbot, viewer).view.is_volume
    assert isinstance(viewer.stage.canvas, CpuCanvas)
    assert_shows(viewer, planes_of(other, 0, 0, 0))
    viewer.close()


def test_a_viewer_that_is_closed_while_a_volume_is_prepared_leaves_nothing(
    qtbot: Any, viewer: LightweightViewer, run: Run
) -> None:
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    click(qtbot, viewer, "3D")
    assert viewer.stage.canvas.progress == "preparing 3D"
    viewer.close()


def seen(viewer: LightweightViewer) -> QImage:
    """The middle of the picture, where nothing is written."""
    picture = viewer.stage.picture
    return picture.grab(picture.rect().adjusted(80, 80, -80, -80)).toImage()


@pytest.mark.parametrize("canvas", ["auto", "gl"])
def test_a_plane_is_seen_until_there_is_a_volume_and_how_far_that_is_read_is_said(
    qtbot: Any, monkeypatch: Any, viewer: LightweightViewer, tmp_path: Path, canvas: str
) -> None:
    run = small_run(tmp_path / "run", n_z=9)  # more than is read ahead
    write(run)
    if canvas == "gl":
        viewer.close()
        monkeypatch.setenv("NDVIEWER_CANVAS", canvas)
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        viewer.resize(900, 600)
        viewer.show()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    stage = viewer.stage
    plane = seen(viewer)
    with stopped_reader(viewer):
        qtbot.keyClick(stage.canvas.surface, Qt.Key.Key_V, Qt.KeyboardModifier.ShiftModifier)
        qtbot.waitUntil(lambda: stage.overlay.wait() == "reading the volume", timeout=20_000)
        assert isinstance(stage.canvas, GlCanvas if canvas == "gl" else RayCanvas) and stage.canvas.busy
        qtbot.wait(100)  # what it has by now would be painted
        assert seen(viewer) == plane
    assert settle(qtbot, viewer).view.is_volume
    qtbot.waitUntil(lambda: seen(viewer) != plane and not stage.overlay.wait(), timeout=20_000)
    qtbot.keyClick(stage.canvas.surface, Qt.Key.Key_V, Qt.KeyboardModifier.ShiftModifier)
    assert not settle(qtbot, viewer).view.is_volume
    viewer.close()


_PROGRAM = """
import sys
sys.path[:0] = [{repo!r}, {tests!r}]
from gl_host import Loop
from screen import settle
from ndviewer_light.gui.windows.application import application
from ndviewer_light.gui.windows.window import LightweightMainWindow
app, loop = application(), Loop()
window = LightweightMainWindow({folder!r})
window.show()
viewer = window.viewer
loop.waitUntil(lambda: viewer.stage.canvas is not None and viewer.dataset is not None)
settle(loop, viewer)
viewer.stage.strips.toggle_3d()
assert settle(loop, viewer).view.is_volume
print("imported", sorted({{"ndv", "vispy"}} & set(sys.modules)))
window.close()
"""


def test_planes_and_volumes_are_shown_without_ndv(viewer: LightweightViewer, run: Run) -> None:
    viewer.close()
    program = _PROGRAM.format(repo=str(REPO), tests=str(REPO / "tests"), folder=str(run.folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "imported []" in done.stdout, done.stderr[-3000:]
