"""Canvases that are built and released in turn: the last is shown, nothing of the others stays."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from runs import load, planes_of, small_run, write
from screen import assert_shows, choose_limits, framebuffer, settle
from vispy.gloo import gl

from ndviewer_light.gui.canvas import gl_canvas
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import PlaneState

if TYPE_CHECKING:
    from pathlib import Path

    from simulate_acquisition import Run

pytestmark = pytest.mark.gl


def viewers_in(canvas: Any) -> list[Any]:
    """The ndv widgets on a canvas."""
    layout = canvas.layout()
    return [layout.itemAt(i).widget() for i in range(layout.count())]


def shown_run(qtbot: Any, viewer: Any, folder: Path) -> Run:
    """A small run, written and shown."""
    run = small_run(folder / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    return run


def new_viewer(qtbot: Any) -> LightweightViewer:
    """One that is made by what the environment says now."""
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    viewer.show()
    return viewer


@pytest.mark.each_binding
@pytest.mark.usefixtures("drawn_with_opengl")
def test_a_canvas_overtaken_while_it_is_built_is_not_used(
    qtbot: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shown_run(qtbot, viewer, tmp_path)
    build = gl_canvas.new_pictures
    built = []

    def build_slowly(*args: Any, **more: Any) -> Any:
        if not built:  # the event loop runs in there: the poll asks for another canvas meanwhile
            built.append("outer")
            viewer.stage._build()
        built.append("done")
        return build(*args, **more)

    monkeypatch.setattr(gl_canvas, "new_pictures", build_slowly)
    viewer.stage.canvas.clear()  # else it would be used again
    viewer.stage._build()
    assert built == ["outer", "done", "done"]
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    assert viewers_in(canvas) == [canvas.viewer.widget]
    viewer.load_fov(1, 1, 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 1, 1))


@pytest.mark.usefixtures("drawn_with_opengl")
def test_a_canvas_cleared_while_it_is_built_shows_nothing(
    qtbot: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown_run(qtbot, viewer, tmp_path)
    build, canvas = gl_canvas.new_pictures, viewer.stage.canvas

    def build_and_clear(*args: Any, **more: Any) -> Any:
        made = build(*args, **more)
        canvas.clear()
        return made

    canvas.clear()  # else it would be used again
    monkeypatch.setattr(gl_canvas, "new_pictures", build_and_clear)
    viewer.stage._build()
    assert canvas.viewer is None
    assert viewers_in(canvas) == []


@pytest.mark.each_binding
def test_a_released_canvas_leaves_nothing_in_graphics_memory(
    qtbot: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    """GL contexts are shared here, so what one has put into graphics memory outlives it."""
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")  # an image has a context of its own
    viewer = new_viewer(qtbot)
    shown_run(qtbot, viewer, tmp_path)
    scene = viewer.stage.canvas.viewer.canvas._canvas
    objects = scene.context.shared.parser._objects
    textures = [each.handle for each in objects.values() if type(each).__name__ == "GlirTexture2D"]
    scene.set_current()
    assert textures and all(gl.glIsTexture(handle) for handle in textures)
    viewer.stage.canvas.clear()
    other = gl_canvas.new_pictures(is_volume=False)  # any context that shares with it
    qtbot.addWidget(other.widget)
    other.widget.show()
    other_scene = other.canvas._canvas
    qtbot.waitUntil(lambda: other_scene.native.isValid())
    other_scene.set_current()
    assert not any(gl.glIsTexture(handle) for handle in textures)
    other.canvas.close()
    viewer.close()


def test_a_canvas_shown_again_before_its_first_frame_came_is_painted(
    qtbot: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")
    viewer = new_viewer(qtbot)
    run = shown_run(qtbot, viewer, tmp_path)
    canvas = viewer.stage.canvas
    canvas.clear()
    viewer.stage._build()
    assert not canvas.surface.updatesEnabled()
    viewer.stage._build()
    settle(qtbot, viewer)
    assert canvas.surface.updatesEnabled()
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.close()


@pytest.mark.each_binding
def test_what_is_painted_while_a_frame_arrives_is_all_of_the_frame_before(
    qtbot: Any, viewer: Any, tmp_path: Path
) -> None:
    """Of the next time point one channel cannot be read: its old plane stays as long as that of the other."""
    array = stores.create_array(tmp_path / "image" / "0", (2, 2, 1, 32, 32))
    left, right, dark = np.zeros((3, 32, 32), np.uint16)
    left[:, :16] = right[:, 16:] = 1000
    dark[0] = 1
    array[0, 0, 0], array[0, 1, 0], array[1, 0, 0], array[1, 1, 0] = left, right, dark, right
    stores.write_group(tmp_path / "image", stores.image_attributes(channels=["a", "b"], squid=False))
    chunk = stores.chunk_files(tmp_path / "image")[-1]
    chunk.write_bytes(chunk.read_bytes()[:50])
    stores.make_old(tmp_path)
    load(qtbot, viewer, tmp_path / "image")
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 1000)
    for t in (1, 0):  # both are in memory from here on
        viewer.set_current_index("t", t)
        settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    painted: list[tuple[PlaneState, tuple[bool, bool]]] = []

    def are_bright() -> tuple[bool, bool]:
        picture = framebuffer(viewer)
        middle = picture.shape[1] // 2
        return bool(picture[:, : middle - 2].max() > 100), bool(picture[:, middle + 2 :].max() > 100)

    assert are_bright() == (True, True)
    canvas.frame_arrived.connect(lambda: painted.append((canvas.frame.planes[1].state, are_bright())))
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    assert are_bright() == (False, False)
    assert painted[-1][0] is PlaneState.UNREADABLE
    assert all(left == right for _, (left, right) in painted)


def test_nothing_is_requested_while_a_frame_arrives(qtbot: Any, viewer: Any, tmp_path: Path) -> None:
    """Otherwise the frame is taken as shown, but never uploaded: its pixels come with the next one."""
    run = shown_run(qtbot, viewer, tmp_path)
    canvas = viewer.stage.canvas
    busy: list[bool] = []

    def refresh_once() -> None:
        if not busy:
            canvas.refresh()  # as when the position turns out to have other channels than were asked for
            busy.append(canvas.busy)

    arrived: list[Any] = []
    canvas.frame_arrived.connect(refresh_once)
    canvas.frame_arrived.connect(lambda: arrived.append(canvas.frame))
    viewer.set_current_index("t", 1)
    qtbot.waitUntil(lambda: len(arrived) > 1)  # what was asked for meanwhile is not forgotten
    assert busy == [False]
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 0, 0))


@pytest.mark.usefixtures("drawn_with_opengl")
def test_only_channels_that_have_changed_are_uploaded(
    qtbot: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To upload a plane takes the GUI thread longer than all else: of four channels, three rarely change."""
    run = shown_run(qtbot, viewer, tmp_path)
    canvas, uploads = viewer.stage.canvas, []
    for key, handle in canvas.viewer._handles.items():

        def set_data(data: Any, c: int = key, upload: Any = handle.set_data) -> None:
            uploads.append(c)
            upload(data)

        monkeypatch.setattr(handle, "set_data", set_data)
    canvas.refresh()
    settle(qtbot, viewer)
    assert uploads == []
    canvas.set_visible(0, False)
    settle(qtbot, viewer)
    canvas.set_visible(0, True)
    settle(qtbot, viewer)
    assert uploads == [], "it was not drawn, but its pixels stayed"
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    assert sorted(uploads) == [*range(len(run.channels))]
    assert_shows(viewer, planes_of(run, 1, 0, 0))


def test_a_channel_that_is_shown_again_is_not_drawn_as_it_was_before(
    qtbot: Any, viewer: Any, tmp_path: Path
) -> None:
    """Its pixels stay in graphics memory while it is hidden: by now, those of another time point."""
    array = stores.create_array(tmp_path / "image" / "0", (2, 2, 1, 32, 32))
    bright, dark = np.full((32, 32), 1000, np.uint16), np.zeros((32, 32), np.uint16)
    dark[0] = 1
    array[0, 0, 0], array[0, 1, 0], array[1, 0, 0], array[1, 1, 0] = bright, dark, dark, dark
    stores.write_group(tmp_path / "image", stores.image_attributes(channels=["a", "b"], squid=False))
    load(qtbot, viewer, tmp_path / "image")
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 1000)
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    assert framebuffer(viewer).max() > 100
    canvas.set_visible(0, False)
    settle(qtbot, viewer)
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    brightest: list[int] = []
    canvas.frame_arrived.connect(lambda: brightest.append(int(framebuffer(viewer).max())))
    canvas.set_visible(0, True)
    brightest.append(int(framebuffer(viewer).max()))
    settle(qtbot, viewer)
    brightest.append(int(framebuffer(viewer).max()))
    assert len(brightest) > 2
    assert max(brightest) < 100


@pytest.mark.each_binding
@pytest.mark.usefixtures("drawn_with_opengl")
def test_nothing_is_freed_while_the_canvas_is_painted(qtbot: Any, viewer: Any, tmp_path: Path) -> None:
    """What the collector frees may be a window that was closed, and then another context is current."""
    shown_run(qtbot, viewer, tmp_path)
    enabled: list[bool] = []
    scene = viewer.stage.canvas.viewer.canvas._canvas
    scene.events.draw.connect(lambda _: enabled.append(gc.isenabled()))
    scene.update()
    qtbot.waitUntil(lambda: bool(enabled))
    assert enabled == [False] * len(enabled)
    assert gc.isenabled()
