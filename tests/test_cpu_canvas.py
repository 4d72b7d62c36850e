"""The picture drawn on the CPU, where there is no OpenGL: the same picture, and all that one does with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cmap
import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy import QT6
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtWidgets import QApplication
from runs import CHANNELS, follow, load, planes_of, small_run, write
from screen import activate, assert_shows, choose_limits, drag, framebuffer, hover, settle, volume_method

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.label_planes import PictureArea
from ndviewer_light.gui.canvas.flat_camera import FlatCamera
from ndviewer_light.gui.canvas_start import CanvasStart
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import PlaneKey
from ndviewer_light.rendering.added_up import Layer, composite
from ndviewer_light.rendering.seen_layers import SeenLayers
from ndviewer_light.views.visible_area import VisibleArea
from simulate_acquisition import announce_run

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT = Qt.MouseButton.LeftButton
REPO = Path(__file__).parents[1]

# ---- the arithmetic ----------------------------------------------------------------------------


def layers(*dtypes: str, height: int = 60, width: int = 80) -> list[Layer]:
    random = np.random.default_rng(5)
    maps = [cmap.Colormap(["#000000", color]) for color in ("#FF8000", "#00C0FF", "#FFFFFF")]
    pixels = [random.integers(0, 4000, (height, width)).astype(dtype) for dtype in dtypes]
    return [Layer(each, (200.0, 3100.0), maps[i % 3], 1.0 + 0.3 * i) for i, each in enumerate(pixels)]


@pytest.mark.each_binding
def test_a_part_of_a_picture_is_that_part_of_the_whole_one_and_black_beside_it():
    shown = layers("u2", "f4", "u1")
    whole = composite(shown, 60, 80)
    for area, rows, columns in (
        (PictureArea(0, 0, 80, 60), 60, 80),
        (PictureArea(-10, -20, 90, 80), 200, 200),  # enlarged, with a margin
        (PictureArea(10.3, 5.1, 30.3, 15.1), 300, 600),  # enlarged
        (PictureArea(-8, 3, 152, 43), 20, 80),  # reduced
        (PictureArea(3, -5, 60, 90), 30, 500),  # reduced along y, enlarged along x
    ):
        picture = SeenLayers().picture(shown, area, rows, columns)
        y = np.floor(area.top + (np.arange(rows) + 0.5) * (area.bottom - area.top) / rows).astype(int)
        x = np.floor(area.left + (np.arange(columns) + 0.5) * (area.right - area.left) / columns).astype(int)
        inside = np.ix_((y >= 0) & (y < 60), (x >= 0) & (x < 80))
        wanted = np.zeros((rows, columns, 3), np.uint8)
        wanted[inside] = whole[np.ix_(y[(y >= 0) & (y < 60)], x[(x >= 0) & (x < 80)])]
        assert np.array_equal(picture[..., [2, 1, 0]], wanted)
        assert wanted.any()
    for beside in (shown, []):
        picture = SeenLayers().picture(beside, PictureArea(81, 0, 90, 60), 10, 10)
        assert not picture[..., :3].any() and (picture[..., 3] == 255).all()


def test_what_is_as_it_was_is_not_drawn_again_and_all_else_is(monkeypatch):
    from ndviewer_light.rendering import seen_layers

    drawn: list[Layer] = []
    colored = seen_layers.colored
    monkeypatch.setattr(
        seen_layers, "colored", lambda layer, part: drawn.append(layer) or colored(layer, part)
    )
    seen, area = SeenLayers(), PictureArea(0, 0, 80, 60)
    red, green, blue = layers("u2", "f4", "u1")

    def made(*shown: Layer, area: PictureArea = area, rows: int = 30) -> list[Layer]:
        drawn.clear()
        assert np.array_equal(seen.picture(shown, area, rows, 40), fresh(shown, area, rows))
        return drawn[: len(drawn) - len(shown)]

    def fresh(shown: tuple[Layer, ...], area: PictureArea, rows: int) -> np.ndarray:
        return SeenLayers().picture(shown, area, rows, 40)

    assert made(red, green, blue) == [red, green, blue]
    assert made(red, green, blue) == []
    other = green._replace(pixels=green.pixels * 2)
    assert [each is other for each in made(red, other, blue)] == [True]
    assert made(red._replace(limits=(0.0, 900.0)), other, blue) == [red._replace(limits=(0.0, 900.0))]
    assert made(red, other, blue._replace(gamma=2.0)) != []
    assert len(made(red, other, blue, rows=31)) == 3
    assert len(made(red, other, blue, area=PictureArea(1, 0, 80, 60))) == 3
    assert made(other, blue, area=PictureArea(1, 0, 80, 60)) == [other, blue]  # in other places


@pytest.mark.parametrize(("n_cores", "n_threads"), [(1, 0), (2, 0), (3, 2), (16, 3)])
def test_large_channels_are_coloured_by_threads_that_leave_a_core_to_others(monkeypatch, n_cores, n_threads):
    from ndviewer_light.rendering import seen_layers

    threads: dict[int, Layer] = {}
    colored, meeting = seen_layers.colored, threading.Barrier(max(n_threads, 1))

    def noted(layer: Layer, part: np.ndarray) -> np.ndarray:
        if threading.get_ident() not in threads:
            threads[threading.get_ident()] = layer
            meeting.wait(60)
        return colored(layer, part)

    monkeypatch.setattr(seen_layers, "colored", noted)
    monkeypatch.setattr(seen_layers.os, "cpu_count", lambda: n_cores)
    shown = layers("u2", "f4", "u1")
    area = PictureArea(0, 0, 80, 60)
    picture = SeenLayers().picture(
        [each._replace(pixels=each.pixels.repeat(8, 0).repeat(8, 1)) for each in shown],
        PictureArea(0, 0, 640, 480),
        480,
        640,
    )
    assert len(threads) == max(n_threads, 1)
    assert (threading.get_ident() in threads) is (n_threads == 0)
    monkeypatch.undo()
    assert np.array_equal(picture[::8, ::8], SeenLayers().picture(shown, area, 60, 80))


@pytest.mark.each_binding
def test_many_channels_add_up_to_white_and_no_further():
    white = cmap.Colormap(["#000000", "#FFFFFF"])
    shown = [Layer(np.full((4, 4), 900, "u2"), (0.0, 1000.0), white)] * 64
    assert (composite(shown, 4, 4) == 255).all()


@pytest.mark.each_binding
def test_a_camera_sees_what_was_asked_for_whatever_the_shape_of_the_window():
    camera = FlatCamera()
    camera.set_size(400, 100)
    camera.set_range((0.0, 10.0), (20.0, 30.0), margin=0.0)
    assert camera.area == VisibleArea((-15.0, 25.0), (20.0, 30.0))
    assert camera.canvas_to_world((200, 50)) == (5.0, 25.0, 0.0)
    camera.set_size(100, 200)
    assert camera.area == VisibleArea((0.0, 10.0), (15.0, 35.0))
    camera.set_range((0.0, 10.0), (0.0, 5.0), margin=0.1)
    assert camera.scale == pytest.approx(0.12)


# ---- the same picture as with OpenGL -----------------------------------------------------------


@pytest.fixture
def new_viewer(qtbot, monkeypatch) -> Callable[..., LightweightViewer]:
    """Makes viewers on screen, which draw with OpenGL or on the CPU."""
    made = []

    def make(canvas: str = "cpu") -> LightweightViewer:
        monkeypatch.setenv("NDVIEWER_CANVAS", canvas)
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        viewer.resize(900, 600)
        with qtbot.waitExposed(viewer):
            viewer.show()
        qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=20_000)
        assert type(viewer.stage.canvas).__name__ == {"cpu": "CpuCanvas", "gl": "GlCanvas"}[canvas]
        made.append(viewer)
        return viewer

    yield make
    for viewer in made:
        viewer.close()


@pytest.fixture
def cpu_viewer(new_viewer) -> LightweightViewer:
    return new_viewer("cpu")


def show(qtbot, viewer, source: MemorySource) -> Dataset:
    dataset = Dataset(source, path="/data/run")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return dataset


def source_of(planes: list[np.ndarray], **more: object) -> MemorySource:
    """One image with these channels."""
    height, width = planes[0].shape
    size = {"height": height, "width": width, "dtype": planes[0].dtype, **more}
    source = MemorySource(memory_info(n_t=1, n_p=1, n_c=len(planes), n_z=1, **size))
    for c, plane in enumerate(planes):
        source.stored[PlaneKey(0, 0, c, 0)] = plane
    return source


def whole_numbers() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 60_000, (151, 211)).astype("u2") for _ in range(4)]


def column_by_column() -> list[np.ndarray]:
    return [np.asfortranarray(each) for each in whole_numbers()]


def some_column_by_column() -> list[np.ndarray]:
    planes = whole_numbers()
    return [planes[0], *map(np.asfortranarray, planes[1:])]


def fractions() -> list[np.ndarray]:
    planes = [np.random.default_rng(2).normal(0, 1, (91, 121)).astype("f4") for _ in range(2)]
    planes[0][10:20, 10:30], planes[0][40:50, 10:30], planes[0][60:70, 10:30] = np.nan, np.inf, -np.inf
    return planes


def of_magnitude(largest: float, dtype: str, offset: float = 0.0) -> Callable[[], list[np.ndarray]]:
    """Values up to `largest`, from `offset` on, more than 32-bit floats or shaders can calculate with."""

    def planes() -> list[np.ndarray]:
        random = np.random.default_rng(3)
        return [(random.random((91, 121)) * largest + offset).astype(dtype) for _ in range(2)]

    return planes


@pytest.mark.each_binding
@pytest.mark.gl
@pytest.mark.parametrize(
    ("planes", "limits"),
    [
        (whole_numbers, (9_000.0, 51_000.0)),
        (column_by_column, (9_000.0, 51_000.0)),
        (some_column_by_column, (9_000.0, 51_000.0)),
        (fractions, (-1.5, 1.25)),
        (of_magnitude(3.3e38, "f4"), (2e37, 3e38)),
        (of_magnitude(1e300, "f8"), (1e299, 8e299)),
        (of_magnitude(1e-40, "f4"), (2e-41, 8e-41)),
        (of_magnitude(3e-200, "f8"), (0.0, 2e-200)),
        (of_magnitude(1000.0, "f8", offset=1e12), (1e12 + 100, 1e12 + 900)),
        (of_magnitude(200.0, "u4", offset=4e9), (4e9 + 20, 4e9 + 180)),
        (of_magnitude(1e6, "i8", offset=-(2.0**60)), (-(2.0**60) + 1e5, -(2.0**60) + 9e5)),
    ],
    ids=[
        "uint16",
        "stored transposed",
        "some of them stored transposed",
        "float32 with NaN and infinities",
        "near the largest float32",
        "beyond float32",
        "denormal float32",
        "below float32",
        "alike to nine digits",
        "high uint32",
        "low int64",
    ],
)
def test_a_picture_drawn_on_the_cpu_differs_by_one_grey_level_at_most(qtbot, new_viewer, planes, limits):
    pictures = []
    for kind in ("gl", "cpu"):
        viewer = new_viewer(kind)
        show(qtbot, viewer, source_of(planes(), pixel_size_y_um=0.5, pixel_size_x_um=0.5))
        canvas, controls = viewer.stage.canvas, viewer.stage.channels
        for c in range(len(planes())):
            controls.contrasts.set_limits(c, *limits)
            canvas.apply_contrast(c)
        canvas.set_gamma(0, 0.6)
        canvas.set_color(1, "viridis")
        taken = []
        for look in (
            canvas.reset_view,
            # 1:1, but no middle of a pixel of the screen on an edge between pixels of the data
            lambda canvas=canvas: canvas.show_area(canvas.scene().area((50.1, 37.2), 0.5)),
            lambda canvas=canvas: canvas.show_area(VisibleArea((11.03, 41.03), (5.11, 25.11))),
            lambda canvas=canvas: canvas.show_area(VisibleArea((-31.03, 140.91), (-25.11, 104.83))),
        ):
            look()
            settle(qtbot, viewer)
            qtbot.waitUntil(lambda canvas=canvas: getattr(canvas.surface, "is_up_to_date", True))
            taken.append(framebuffer(viewer).astype(int))
        pictures.append(taken)
    for gl, cpu in zip(*pictures, strict=True):
        assert gl.shape == cpu.shape
        assert gl.max() > 200
        assert np.abs(gl - cpu)[1:-1, 1:-1].max() <= 1  # vispy leaves the outermost pixels out


@pytest.mark.each_binding
def test_what_is_seen_is_what_is_in_the_data_also_of_other_planes_and_positions(qtbot, cpu_viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, cpu_viewer, run.folder)
    for p, t, z in ((0, 0, 0), (2, 1, 1), (1, 1, 0)):
        cpu_viewer.load_fov(p, t, z)
        settle(qtbot, cpu_viewer)
        assert cpu_viewer.stage.overlay.state() == ("none", "")
        assert_shows(cpu_viewer, planes_of(run, t, p, z))
    assert cpu_viewer.ndv_viewer is not None
    choose_limits(cpu_viewer, 0, 300.0, 900.0)
    cpu_viewer.stage.strips.strip(1).on.click()
    settle(qtbot, cpu_viewer)
    assert_shows(cpu_viewer, {CHANNELS[0]: planes_of(run, 1, 1, 0)[CHANNELS[0]]})


# ---- in the window -----------------------------------------------------------------------------


@pytest.mark.each_binding
def test_the_picture_is_moved_enlarged_and_fitted_by_hand_and_by_keys(qtbot, cpu_viewer):
    from test_keys import scale, turn_wheel

    show(qtbot, cpu_viewer, source_of(whole_numbers(), pixel_size_y_um=0.5, pixel_size_x_um=0.5))
    canvas, button = cpu_viewer.stage.canvas, cpu_viewer.stage.fit_button
    picture = canvas.surface
    fit, seen = scale(cpu_viewer), framebuffer(cpu_viewer)
    assert canvas.is_fitting
    activate(qtbot, cpu_viewer)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture)
    at = QPointF(picture.width() / 2 + 40, picture.height() / 2 - 30)
    before = canvas.camera.canvas_to_world((at.x(), at.y()))
    turn_wheel(picture, 4, at)
    assert canvas.camera.canvas_to_world((at.x(), at.y())) == pytest.approx(before)
    assert scale(cpu_viewer) < fit / 2
    middle = canvas.visible_area().center
    center = picture.rect().center()
    drag(picture, center, center + QPoint(15, 0), center + QPoint(30, 10))
    moved = canvas.visible_area().center
    assert moved == pytest.approx((middle[0] - 30 * scale(cpu_viewer), middle[1] - 10 * scale(cpu_viewer)))
    qtbot.waitUntil(lambda: picture.is_up_to_date and button.isVisible())
    assert (framebuffer(cpu_viewer) != seen).any()
    qtbot.keyClick(picture, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert scale(cpu_viewer) == pytest.approx(0.5 * canvas.devicePixelRatioF())
    for back in (
        lambda: qtbot.mouseDClick(picture, LEFT),
        lambda: qtbot.keyClick(picture, Qt.Key.Key_R),
        lambda: qtbot.mouseClick(button, LEFT),
    ):
        turn_wheel(picture, 3)
        qtbot.waitUntil(button.isVisible)
        back()
        qtbot.waitUntil(lambda: button.isHidden() and picture.is_up_to_date)
        assert np.array_equal(framebuffer(cpu_viewer), seen)
    cpu_viewer.resize(700, 500)
    qtbot.waitUntil(lambda: canvas.is_fitting and picture.is_up_to_date)


@pytest.mark.each_binding
def test_the_pixel_under_the_mouse_is_told_and_shapes_are_measured(qtbot, cpu_viewer):
    planes = whole_numbers()
    show(qtbot, cpu_viewer, source_of(planes, pixel_size_y_um=0.5, pixel_size_x_um=0.5))
    stage, picture = cpu_viewer.stage, cpu_viewer.stage.canvas.surface
    with qtbot.waitSignal(stage.hover_text) as said:
        x, y = stage.canvas.projection().to_screen(40.5, 100.5)
        hover(picture, QPointF(x, y).toPoint())
    assert all(str(plane[40, 100]) in said.args[0] for plane in planes)
    activate(qtbot, cpu_viewer)
    qtbot.mouseClick(picture, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture)
    qtbot.keyClick(picture, Qt.Key.Key_D)
    a, b = (QPointF(*stage.canvas.projection().to_screen(20, x)).toPoint() for x in (30, 130))
    drag(picture, a, (a + b) / 2, b)
    (shape,) = cpu_viewer._screen.tools.measuring.shapes
    assert shape.line.length_um(0.5, 0.5) == pytest.approx(50, abs=1)


def test_what_is_missing_is_hatched_and_comes_when_it_is_written(qtbot, cpu_viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(cpu_viewer, run)
    settle(qtbot, cpu_viewer)
    assert cpu_viewer.stage.overlay.state()[0] == "waiting"
    cpu_viewer.set_follow(t=True, p=True)
    follow(qtbot, cpu_viewer, run)
    qtbot.waitUntil(lambda: cpu_viewer.stage.view[:2] == (1, 2), timeout=20_000)
    settle(qtbot, cpu_viewer)
    qtbot.waitUntil(lambda: cpu_viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, cpu_viewer)
    assert_shows(cpu_viewer, planes_of(run, 1, 2, cpu_viewer.stage.view.z))
    cpu_viewer.end_zarr_acquisition()


def test_of_many_views_in_a_row_few_are_read_and_the_last_is_shown(qtbot, cpu_viewer):
    source = MemorySource(memory_info(n_t=200, n_c=1, n_z=1, n_p=1))
    for t in range(200):
        source.write((t, 0, 0, 0), t)
    show(qtbot, cpu_viewer, source)
    source.reads.clear()
    for t in range(200):  # without the event loop: as fast as a mouse never is
        cpu_viewer.stage.go_to(t=t)
    frame = settle(qtbot, cpu_viewer)
    assert frame.view.t == 199
    assert frame.planes[0].pixels[0, 0] == 199
    assert len({key.t for key in source.reads if 0 < key.t < 198}) < 20


@pytest.mark.each_binding
def test_a_frame_that_cannot_be_made_is_said_and_does_not_load_for_ever(
    qtbot, cpu_viewer, monkeypatch, caplog
):
    show(qtbot, cpu_viewer, source_of(whole_numbers()))

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("statistics failed")

    monkeypatch.setattr("ndviewer_light.gui.canvas.view_frames.contrast_of", fail)
    cpu_viewer.stage.canvas.frames._suggested.clear()
    cpu_viewer.stage.canvas.refresh()
    qtbot.waitUntil(lambda: cpu_viewer.stage.overlay.state()[0] == "error", timeout=20_000)
    assert "statistics failed" in cpu_viewer.stage.overlay.state()[1]
    monkeypatch.undo()
    cpu_viewer.stage.canvas.refresh()
    qtbot.waitUntil(lambda: cpu_viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    assert "showing" in caplog.text


def test_that_there_is_no_opengl_is_said_and_volumes_are_shown(qtbot, cpu_viewer, tmp_path):
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    load(qtbot, cpu_viewer, run.folder)
    settle(qtbot, cpu_viewer)
    row = cpu_viewer._screen._row
    assert row.drawing.isVisible()
    qtbot.mouseClick(row.drawing, LEFT)
    assert row.line.text().startswith("The picture is drawn without OpenGL: as requested")
    load(qtbot, cpu_viewer, f"ndviewer:{run.folder}?z=3&volume=surface:1-2")  # from somebody who has it
    frame = settle(qtbot, cpu_viewer)
    assert frame.view.is_volume and frame.view.part == (1, 2)
    assert volume_method(cpu_viewer) == "surface" and framebuffer(cpu_viewer).max() > 60
    assert row.line.said("message").startswith("Loaded: ")


def test_a_volume_wanted_before_it_is_known_what_draws_is_shown(qtbot, monkeypatch, tmp_path):
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    monkeypatch.setenv("NDVIEWER_CANVAS", "cpu")
    brought = []
    monkeypatch.setattr(CanvasStart, "begin", lambda start: brought.append(start))
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    viewer.show()
    load(qtbot, viewer, f"ndviewer:{run.folder}?volume=max&p=Z9:0")
    monkeypatch.undo()
    monkeypatch.setenv("NDVIEWER_CANVAS", "cpu")
    brought[0].begin()
    assert settle(qtbot, viewer).view.is_volume
    assert viewer._screen.status.said("message").endswith("position Z9:0")
    viewer.close()


def test_without_ndv_the_picture_is_drawn_and_it_is_said_how_to_get_it(qtbot, monkeypatch, tmp_path):
    def too_old() -> None:
        raise ImportError("ndv 0.4.1 is too old")

    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")
    monkeypatch.setattr("ndviewer_light.gui.canvas_start._check_ndv", too_old)
    run = small_run(tmp_path / "run")
    write(run)
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    viewer.show()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    assert "ndv 0.4.1 is too old. Install it with: pip" in viewer._screen._row.drawing.toolTip()
    viewer.close()


@pytest.mark.each_binding
def test_a_viewer_that_goes_while_a_frame_is_read_leaves_nothing(qtbot, new_viewer):
    viewer = new_viewer("cpu")
    source = MemorySource(memory_info(n_t=3, n_c=1, n_z=1, n_p=1))
    for t in range(3):
        source.write((t, 0, 0, 0), t)
    show(qtbot, viewer, source)
    viewer.stage.go_to(t=2)
    viewer.stage.canvas.surface.refresh()
    viewer.close()
    assert source.closed.wait(60)


# ---- where there is no OpenGL ------------------------------------------------------------------

_PROGRAM = """
import sys
import threading
sys.path[:0] = [{repo!r}, {tests!r}]
from pathlib import Path
from gl_host import Loop
from runs import planes_of, small_run
from screen import assert_shows, settle
from ndviewer_light.gui.windows.application import application
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.gui import canvas_start
app = application()
if {blind}:  # a context can be created, it seems
    canvas_start.why_no_opengl = lambda: ""
run, loop = small_run(Path({folder!r})), Loop()
window = LightweightMainWindow({folder!r})
window.show()
viewer = window.viewer
loop.waitUntil(lambda: type(viewer.stage.canvas).__name__ == "CpuCanvas" and viewer.dataset is not None)
settle(loop, viewer)
assert_shows(viewer, planes_of(run, 0, 0, 0))
picture = viewer.stage.picture
loop.wait(300)
seen = app.primaryScreen().grabWindow(0).toImage()
at = picture.mapToGlobal(picture.rect().center())
levels = [seen.pixelColor(at.x() + dx, at.y()).lightness() for dx in range(-150, 150, 3)]
print("seen", max(levels), viewer._screen._row.drawing.toolTip())
window.close()
"""

_EMPTY = """
import sys
import threading
sys.path[:0] = [{repo!r}, {tests!r}]
from gl_host import Loop
from qtpy.QtWidgets import QMessageBox
from ndviewer_light.gui.windows.application import application
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.gui import canvas_start
app, loop = application(), Loop()
canvas_start.why_no_opengl = lambda: ""  # a context can be created, it seems
window = LightweightMainWindow({folder!r})
window.show()
loop.waitUntil(lambda: window.findChild(QMessageBox) is not None)
box = window.findChild(QMessageBox)
loop.wait(300)
seen = app.primaryScreen().grabWindow(box.winId()).toImage()
levels = [seen.pixelColor(x, y).lightness() for x in range(seen.width()) for y in range(0, seen.height(), 3)]
print("seen", max(levels) - min(levels), box.text().replace(chr(10), " "))
window.close()
"""


@pytest.mark.each_binding
@pytest.mark.skipif(QT6, reason="a window of Qt 6 shows its picture after all")
def test_a_window_of_qt_5_that_stays_empty_is_told_of_beside_it(qapp_cls, tmp_path, monkeypatch):
    run = small_run(tmp_path / "run")
    write(run)
    monkeypatch.setenv("QT_XCB_GL_INTEGRATION", "none")
    monkeypatch.delenv("NDVIEWER_CANVAS", raising=False)
    program = _EMPTY.format(repo=str(REPO), tests=str(REPO / "tests"), folder=str(run.folder))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    said = next((line for line in done.stdout.splitlines() if line.startswith("seen")), "")
    assert said, done.stderr[-3000:]
    assert int(said.split()[1]) > 60  # there are letters in it
    assert "no OpenGL context could be created" in said and "ndviewer-light --canvas cpu" in said


@pytest.mark.each_binding
@pytest.mark.parametrize("is_blind", [False, True], ids=["told by the trial", "noticed when drawing"])
def test_a_window_without_opengl_shows_its_picture(qapp_cls, tmp_path, monkeypatch, is_blind):
    if is_blind and not QT6:
        pytest.skip("a window of Qt 5 that had a widget of OpenGL goes on to need it")
    run = small_run(tmp_path / "run")
    write(run)
    monkeypatch.setenv("QT_XCB_GL_INTEGRATION", "none")
    monkeypatch.delenv("NDVIEWER_CANVAS", raising=False)
    program = _PROGRAM.format(
        repo=str(REPO), tests=str(REPO / "tests"), folder=str(run.folder), blind=is_blind
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    said = next((line for line in done.stdout.splitlines() if line.startswith("seen")), "")
    assert said, done.stderr[-3000:]
    assert int(said.split()[1]) > 20
    assert "The picture is drawn without OpenGL" in said
    assert "drawn without OpenGL: no OpenGL context" in done.stderr
