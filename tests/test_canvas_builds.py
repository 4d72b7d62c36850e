"""Canvases that are built and released in turn: the last is shown, nothing of the others stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ndv
import pytest
from runs import load, planes_of, small_run, write
from screen import assert_shows, settle
from vispy.gloo import gl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gl


def viewers_in(canvas: Any) -> list[Any]:
    """The ndv widgets on a canvas."""
    layout = canvas.layout()
    return [layout.itemAt(i).widget() for i in range(layout.count())]


def test_a_canvas_overtaken_while_it_is_built_is_not_used(
    qtbot: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    build = ndv.ArrayViewer
    built = []

    def build_slowly(*args: Any, **more: Any) -> Any:
        if not built:  # the event loop runs in there: the poll asks for another canvas meanwhile
            built.append("outer")
            viewer.stage._build()
        built.append("done")
        return build(*args, **more)

    monkeypatch.setattr(ndv, "ArrayViewer", build_slowly)
    viewer.stage._build()
    assert built == ["outer", "done", "done"]
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    assert viewers_in(canvas) == [canvas.viewer.widget()]
    viewer.load_fov(1, 1, 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 1, 1))


def test_a_canvas_cleared_while_it_is_built_shows_nothing(
    qtbot: Any, viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    build, canvas = ndv.ArrayViewer, viewer.stage.canvas

    def build_and_clear(*args: Any, **more: Any) -> Any:
        made = build(*args, **more)
        canvas.clear()
        return made

    monkeypatch.setattr(ndv, "ArrayViewer", build_and_clear)
    viewer.stage._build()
    assert canvas.viewer is None
    assert viewers_in(canvas) == []


def test_a_released_canvas_leaves_nothing_in_graphics_memory(qtbot: Any, viewer: Any, tmp_path: Path) -> None:
    """GL contexts are shared here, so what one has put into graphics memory outlives it."""
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    scene = viewer.stage.canvas.viewer._canvas._canvas
    objects = scene.context.shared.parser._objects
    textures = [each.handle for each in objects.values() if type(each).__name__ == "GlirTexture2D"]
    scene.set_current()
    assert textures and all(gl.glIsTexture(handle) for handle in textures)
    viewer.stage.canvas.clear()
    other = ndv.ArrayViewer()  # any context that shares with it
    qtbot.addWidget(other.widget())
    other.widget().show()
    other_scene = other._canvas._canvas
    qtbot.waitUntil(lambda: other_scene.native.isValid())
    other_scene.set_current()
    assert not any(gl.glIsTexture(handle) for handle in textures)
    other.close()
