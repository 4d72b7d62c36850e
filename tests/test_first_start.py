"""The first run in a host: what it needs is imported and built ahead, in slices between the host's events."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QMainWindow, QTabWidget, QWidget
from runs import load
from screen import assert_shows, choose_limits, settle
from vispy import scene

import ndviewer_light
from ndviewer_light.gui import parts_ahead
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.canvas import warm_up
from ndviewer_light.gui.canvas.opengl import WINDOW_PREPARED, draws_in_software
from ndviewer_light.gui.panels import channels
from ndviewer_light.gui.panels.channel_strip import ChannelStrip
from ndviewer_light.gui.poll import HURRIED_INTERVAL_MS
from ndviewer_light.gui.scene.scene_view import SceneView
from ndviewer_light.gui.screen import Screen
from ndviewer_light.gui.tools_later import ToolsLater
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import PlaneState

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.gl

ROOT = Path(__file__).resolve().parents[1]

_FIRST_RUN = """
import importlib.abc, json, subprocess, sys, threading
from pathlib import Path
from typing import TYPE_CHECKING
from tests.benchmarks.widget import Window
import numpy as np, tifffile
window = Window(400, 300)
gui, seen = threading.get_ident(), set()
class Note(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if threading.get_ident() == gui:
            seen.add(name)
sys.meta_path.insert(0, Note())
programs, start = [], subprocess.Popen.__init__
def noted(self, args, *more, **named):
    if threading.get_ident() == gui and args[0] != sys.executable:
        programs.append(args[0])
    start(self, args, *more, **named)
subprocess.Popen.__init__ = noted
folder, channels = Path(sys.argv[1]), ["BF LED matrix full", "Fluorescence 488 nm Ex"]
window.viewer.start_acquisition(channels, 1, 64, 64, ["A1:0"])
window.run(0.1)
for channel in channels:
    path = folder / "0" / f"A1_0_0_{channel.replace(' ', '_')}.tiff"
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, np.full((64, 64), 7, np.uint16))
    window.viewer.register_image(0, 0, 0, channel, str(path))
window.wait(window.shows_pixels)
window.close()
sys.stdout.write(json.dumps([sorted(seen), programs]))
"""


def run_alone(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a program of its own, from the root of the repository."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.each_binding
def test_the_gui_thread_imports_nothing_and_runs_no_program_when_the_first_run_starts(
    tmp_path: Path,
) -> None:
    done = run_alone(_FIRST_RUN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    imported, programs = json.loads(done.stdout)
    assert programs == []
    libraries = {name.partition(".")[0] for name in imported}
    large = {"ndv", "vispy", "numpy", "cmap", "superqt", "psygnal", "pydantic", "scipy", "OpenGL", "PIL"}
    assert not large & libraries


_AHEAD = """
import gc, importlib.abc, json, sys, threading
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QApplication
import ndviewer_light
order = sys.argv[1]
app = QApplication([]) if order != "before the application" else None
gui, by_gui, passes, interval = threading.get_ident(), [], [], sys.getswitchinterval()
class Note(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if threading.get_ident() == gui:
            by_gui.append(name)
sys.meta_path.insert(0, Note())
gc.collect()
gc.callbacks.append(lambda phase, said: passes.append(said["generation"]))
ndviewer_light.import_ahead()
called = list(by_gui)
threads = [each for each in threading.enumerate() if each.name == "ndviewer-import"]
if order != "while it is imported":
    while any(each.is_alive() for each in threads):
        QCoreApplication.processEvents()
by_gui.clear()
from ndviewer_light import LightweightViewer
from ndviewer_light.core import LightweightViewer
imported = list(by_gui)
for each in threads:
    each.join()
app = app or QApplication([])
viewer = LightweightViewer()
viewer.close()
turns = sys.getswitchinterval() == interval
sys.stdout.write(json.dumps([called, imported, 2 in passes, turns, gc.isenabled()]))
"""


@pytest.mark.each_binding
@pytest.mark.parametrize("order", ["ahead", "before the application", "while it is imported"])
def test_the_widget_is_imported_ahead_in_a_thread(order: str) -> None:
    done = run_alone(_AHEAD, order)
    assert (done.returncode, done.stderr) == (0, "")
    called, imported, had_full_pass, has_turns_as_before, is_collecting = json.loads(done.stdout)
    assert not {"numpy", "ndviewer_light.gui.viewer", "ndviewer_light.engine"} & set(called)
    assert imported == [] or order == "while it is imported"
    assert not had_full_pass
    assert has_turns_as_before
    assert is_collecting


_PARTS_AHEAD = """
import sys, time
from qtpy.QtCore import QCoreApplication
from qtpy.QtWidgets import QApplication
import ndviewer_light
app = QApplication([])
ndviewer_light.import_ahead()
from ndviewer_light.gui import parts_ahead
until = time.monotonic() + 60
while len(parts_ahead._ready) < len(parts_ahead._MADE) and time.monotonic() < until:
    QCoreApplication.processEvents()
ready = dict(parts_ahead._ready)
viewers = [ndviewer_light.LightweightViewer() for _ in range(int(sys.argv[1]))]
for kind, part in ready.items():
    assert [part] == viewers[0].findChildren(kind) if viewers else kind in parts_ahead._ready, kind
    assert not viewers or viewers[1].findChildren(kind) not in ([], [part]), kind
print(len(ready), len(parts_ahead._ready))
"""


@pytest.mark.each_binding
@pytest.mark.parametrize(("n_viewers", "n_left"), [(0, 5), (2, 0)])
def test_parts_are_made_ahead_for_the_first_widget(n_viewers: int, n_left: int) -> None:
    done = run_alone(_PARTS_AHEAD, str(n_viewers))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"5 {n_left}\n")


@pytest.mark.each_binding
def test_a_widget_that_cannot_be_imported_ahead_is_left_to_its_import(qtbot, qapp, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ndviewer_light.gui.viewer", None)
    timers = set(qapp.findChildren(QTimer))
    ndviewer_light.import_ahead()  # an exception in the thread would fail the test
    qtbot.waitUntil(lambda: set(qapp.findChildren(QTimer)) <= timers)
    assert not parts_ahead._ready, "no parts are made of what cannot be imported"
    for thread in [each for each in threading.enumerate() if each.name == "ndviewer-import"]:
        thread.join(30)
    with pytest.raises(ImportError):
        importlib.import_module("ndviewer_light.gui.viewer")


@pytest.mark.each_binding
def test_what_a_run_does_not_need_is_made_after_it_has_started(qtbot, monkeypatch) -> None:
    made, make = [], Screen._make_tools
    monkeypatch.setattr(Screen, "_make_tools", lambda self: made.append(self) or make(self))

    def started(*, is_at_once: bool) -> LightweightViewer:
        made.clear()
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        if not is_at_once:
            assert "fit" in viewer.actions_by_name  # needs them all
        viewer.show()
        viewer.start_acquisition(["DAPI"], 3, 64, 64, ["A1:0"])
        assert viewer.dataset is not None
        assert len(made) == (not is_at_once)
        qtbot.waitUntil(lambda: bool(made) and viewer.stage.canvas is not None, timeout=30_000)
        return viewer

    def widgets(viewer: LightweightViewer) -> list[tuple[str, str, bool]]:
        found = viewer.stage.findChildren(QWidget)
        return sorted((type(each).__name__, each.objectName(), each.isVisible()) for each in found)

    later, before = started(is_at_once=True), started(is_at_once=False)
    # what follows from the run comes a little later in one than in the other
    qtbot.waitUntil(
        lambda: later.stage.canvas.isVisible() and widgets(later) == widgets(before), timeout=30_000
    )


@pytest.mark.each_binding
def test_the_events_of_the_host_come_between_the_tools(qtbot, monkeypatch) -> None:
    rounds, seen = [0], []
    make = ToolsLater._make_now

    def watched(self: ToolsLater) -> None:
        seen.append(rounds[0])
        make(self)

    monkeypatch.setattr(ToolsLater, "_make_now", watched)
    timer = QTimer()
    timer.timeout.connect(lambda: rounds.__setitem__(0, rounds[0] + 1))
    timer.start(0)
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=30_000)
    timer.stop()
    assert len(seen) >= 5
    assert len(set(seen)) == len(seen)


@pytest.mark.each_binding
def test_the_tools_that_were_made_end_with_a_viewer_that_is_closed_meanwhile(qtbot, monkeypatch) -> None:
    ended: list[SceneView] = []
    end = SceneView.end
    monkeypatch.setattr(SceneView, "end", lambda self: ended.append(self) or end(self))
    steps, make = [], ToolsLater._make_now

    def watched(self: ToolsLater) -> None:
        make(self)
        steps.append(1)
        if len(steps) == 2:
            viewer.close()

    monkeypatch.setattr(ToolsLater, "_make_now", watched)
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    qtbot.waitUntil(lambda: len(steps) == 2, timeout=30_000)
    assert len(ended) == 1
    assert len(steps) == 2


def test_the_strips_of_four_channels_are_made_ahead_and_used_again(qtbot, monkeypatch) -> None:
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    viewer.show()
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=30_000)
    strips = viewer.stage.strips
    monkeypatch.setattr(channels, "ChannelStrip", None)  # no more of them
    for names in (["a", "b"], ["c", "d", "e", "f"], ["g"]):
        viewer.start_acquisition(names, 1, 64, 64, ["A1:0"])
        shown = [each for each in strips.findChildren(ChannelStrip) if not each.isHidden()]
        assert sorted(each.name.text() for each in shown) == names
        assert sorted(each.on.accessibleName() for each in shown) == [f"Show {name}" for name in names]
    viewer.close()


@pytest.fixture
def first_in_process(monkeypatch) -> None:
    """No canvas has been built ahead here."""
    monkeypatch.setattr(warm_up, "_has_built", False)


@pytest.fixture(params=["gl", "auto"])
def has_widget_of_opengl(request, monkeypatch) -> bool:
    """Whether the picture is in one; where a program draws, it is drawn on the CPU, unless "gl" is set."""
    monkeypatch.setenv("NDVIEWER_CANVAS", request.param)
    return request.param == "gl" or not draws_in_software()


@pytest.mark.each_binding
@pytest.mark.usefixtures("first_in_process", "drawn_with_opengl")
def test_the_events_of_the_host_come_between_the_slices(qtbot, monkeypatch) -> None:
    rounds, seen, intervals = [0], [], []
    step = warm_up.WarmUp.step

    def watched(self: warm_up.WarmUp) -> bool:
        seen.append(rounds[0])
        intervals.append(viewer._screen.poll.interval_ms)
        return step(self)

    monkeypatch.setattr(warm_up.WarmUp, "step", watched)
    timer = QTimer()
    timer.timeout.connect(lambda: rounds.__setitem__(0, rounds[0] + 1))
    timer.start(0)
    hook = sys.excepthook
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=30_000)
    timer.stop()
    assert len(seen) >= 5
    assert all(a < b for a, b in pairwise(seen))
    # they need turns of the event loop, not time, but for the window
    assert set(intervals[1:]) == {0, HURRIED_INTERVAL_MS}
    assert sys.excepthook is hook


@pytest.mark.each_binding
@pytest.mark.usefixtures("first_in_process", "drawn_with_opengl")
def test_a_canvas_is_built_ahead_once_in_a_process(qtbot, monkeypatch) -> None:
    built: list[scene.SceneCanvas] = []

    class Noted(scene.SceneCanvas):
        def __init__(self, *arguments: object, **more: object) -> None:
            built.append(self)
            super().__init__(*arguments, **more)

    monkeypatch.setattr(scene, "SceneCanvas", Noted)
    for is_first in (True, False):
        viewer = LightweightViewer()
        qtbot.addWidget(viewer)
        qtbot.waitUntil(lambda viewer=viewer: viewer.stage.canvas is not None, timeout=30_000)
        assert bool(built) is is_first
        assert [each.isHidden() for each in prepared(viewer)] == [True]
        built.clear()


def test_a_picture_takes_pixels_of_another_type_in_the_next_dataset(
    qtbot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    for i, kind in enumerate((np.uint16, np.uint8, np.float32)):
        pixels = np.arange(1024).reshape(32, 32).astype(np.uint8).astype(kind)
        array = stores.create_array(tmp_path / f"{i}" / "0", (1, 1, 1, 32, 32), dtype=np.dtype(kind).name)
        array[0, 0, 0] = pixels
        stores.write_group(tmp_path / f"{i}", stores.image_attributes(channels=["a"], squid=False))
        load(qtbot, viewer, tmp_path / f"{i}")
        settle(qtbot, viewer)
        choose_limits(viewer, 0, 0, 255)
        settle(qtbot, viewer)
        assert_shows(viewer, {"a": pixels})


@pytest.mark.each_binding
def test_a_canvas_that_cannot_be_warmed_up_is_built_all_the_same(
    qtbot, monkeypatch, tmp_path, first_in_process
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise RuntimeError("no canvas")

    write_image(tmp_path / "image", 1)
    with monkeypatch.context() as patched:
        patched.setattr(scene, "SceneCanvas", fail)
        warming = warm_up.WarmUp()
        assert [warming.step(), warming.step(), warming.step()] == [True, False, False]
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    load(qtbot, viewer, tmp_path / "image")
    settle(qtbot, viewer)


def prepared(widget: QWidget) -> list[QWidget]:
    return [each for each in widget.findChildren(QWidget) if each.objectName() == WINDOW_PREPARED]


@pytest.mark.each_binding
def test_the_first_run_leaves_the_window_of_the_host_as_it_is(
    qtbot, tmp_path, has_widget_of_opengl: bool
) -> None:
    write_image(tmp_path / "image", 1)
    window, tabs = QMainWindow(), QTabWidget()
    qtbot.addWidget(window)
    window.setCentralWidget(tabs)
    tabs.addTab(QLabel("host"), "host")
    window.resize(800, 600)
    with qtbot.waitExposed(window):
        window.show()
    viewer = LightweightViewer()
    tabs.setCurrentIndex(tabs.addTab(viewer, "viewer"))
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=30_000)
    before = int(window.winId())
    assert [each.isHidden() for each in prepared(viewer)] == [True] * has_widget_of_opengl
    load(qtbot, viewer, tmp_path / "image")
    settle(qtbot, viewer)
    assert int(window.winId()) == before
    viewer.close()


@pytest.mark.each_binding
def test_where_opengl_does_not_work_the_window_is_left_alone(qtbot, monkeypatch) -> None:
    monkeypatch.setattr(warm_up, "why_no_opengl", lambda: "there is none")
    widget = QWidget()
    qtbot.addWidget(widget)
    assert list(warm_up._prepare_window(widget)) == []
    assert prepared(widget) == []


@pytest.mark.each_binding
@pytest.mark.usefixtures("drawn_with_opengl")
@pytest.mark.parametrize("how", ["closed", "deleted"])
def test_a_widget_that_ends_while_its_canvas_is_prepared_leaves_nothing(
    qtbot, monkeypatch, first_in_process, how: str
) -> None:
    begun: list[warm_up.WarmUp] = []
    step = warm_up.WarmUp.step

    def stuck(self: warm_up.WarmUp) -> bool:
        begun.append(self)
        return True if self._parts else step(self)

    monkeypatch.setattr(warm_up.WarmUp, "step", stuck)
    viewer = LightweightViewer()
    qtbot.waitUntil(lambda: bool(begun) and bool(begun[0]._parts), timeout=30_000)
    if how == "closed":
        viewer.close()
    viewer.deleteLater()
    qtbot.waitUntil(lambda: not begun[0]._parts, timeout=30_000)


def write_image(path: Path, n_c: int) -> None:
    array = stores.create_array(path / "0", (1, n_c, 1, 32, 32))
    for c in range(n_c):
        array[0, c, 0] = np.full((32, 32), 100 + c, np.uint16)
    names = [f"c{c}" for c in range(n_c)]
    stores.write_group(path, stores.image_attributes(channels=names, squid=False))


@pytest.mark.usefixtures("drawn_with_opengl")
def test_the_first_frames_bring_two_channels_each(qtbot, viewer: LightweightViewer, tmp_path: Path) -> None:
    write_image(tmp_path / "image", 5)
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=30_000)
    canvas, drawn, before_each = viewer.stage.canvas, [], [0]

    def note() -> None:
        states = [plane.state for plane in canvas.frame.planes.values()]
        drawn.append((states.count(PlaneState.PRESENT), len(canvas.viewer.visuals)))

    canvas.frame_arrived.connect(lambda: before_each.append(len(canvas.viewer.visuals)))
    canvas.frame_shown.connect(note)  # of frames that follow at once only the last
    load(qtbot, viewer, tmp_path / "image")
    qtbot.waitUntil(lambda: bool(drawn) and drawn[-1][0] == 5 and not canvas.busy, timeout=30_000)
    assert [n_images for _, n_images in drawn if n_images] == sorted(n for _, n in drawn if n)
    assert max(b - a for a, b in pairwise([*before_each, len(canvas.viewer.visuals)])) <= 2
    assert drawn[-1] == (5, 5)
    assert all(n_present <= n_images for n_present, n_images in drawn)


def test_a_frame_that_is_there_as_soon_as_it_is_requested_is_shown(
    qtbot, monkeypatch, viewer: LightweightViewer, tmp_path: Path
) -> None:
    run = Background.run

    def run_at_once(self: Background, name: str, function: Callable[[], None]) -> None:
        if name == "ndviewer-frame":
            function()
        else:
            run(self, name, function)

    monkeypatch.setattr(Background, "run", run_at_once)
    write_image(tmp_path / "image", 5)
    load(qtbot, viewer, tmp_path / "image")
    settle(qtbot, viewer)
    shown, canvas = [], viewer.stage.canvas
    canvas.frame_shown.connect(lambda: shown.append(canvas.frame.view))
    canvas.refresh()
    qtbot.waitUntil(lambda: bool(shown) and canvas.is_complete, timeout=30_000)
