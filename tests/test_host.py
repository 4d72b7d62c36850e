"""The widget in a host's life: any order of calls, many threads, windows, faults that must not end it."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from qtpy import API_NAME
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QWidget
from runs import CHANNELS, REPO, planes_of, small_run, write
from screen import assert_shows, settle

from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.windows.launcher import LauncherWindow
from ndviewer_light.gui.windows.window import LightweightMainWindow
from simulate_acquisition import announce_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gl


def call_every_method(viewer: LightweightViewer, tmp_path: Path) -> dict[str, object]:
    """Call each once, in the order of their names and back; what each returned last."""
    store, file = str(tmp_path / "a"), str(tmp_path / "a.tif")
    arguments: dict[str, tuple[object, ...]] = {
        "follow": (store,),
        "go_to_well_fov": ("A1", 0),
        "load_dataset": (store,),
        "load_fov": (0,),
        "notify_zarr_frame": (0, 0, 0, "c"),
        "register_image": (0, 0, 0, "c", file),
        "run": ([store], ["c"], 8, 8),
        "set_current_index": ("time", 0),
        "start_acquisition": (["c"], 1, 8, 8, ["A1:0"]),
        "start_zarr_acquisition": ([store], ["c"], 1, ["A1:0"], 8, 8),
        "start_zarr_acquisition_6d": ([store], ["c"], 1, [1], 8, 8),
        "use_cluster": ("tcp://127.0.0.1:9",),
        "watch": (store,),
    }
    names = sorted(
        name
        for name, member in vars(LightweightViewer).items()
        if not name.startswith("_") and not hasattr(QWidget, name) and inspect.isfunction(member)
    )
    assert arguments.keys() < set(names)
    return {name: getattr(viewer, name)(*arguments.get(name, ())) for name in (*names, *reversed(names))}


@pytest.mark.each_binding
@pytest.mark.parametrize("end", ["close", "delete"])
def test_every_method_may_be_called_before_the_first_event_and_after_the_end(qtbot, tmp_path, end):
    viewer = LightweightViewer()
    qtbot.addWidget(viewer)
    call_every_method(viewer, tmp_path)
    assert viewer.status_label.text() == f"Waiting for {tmp_path / 'a'}", "the last call wins"
    viewer.close()
    viewer = LightweightViewer()
    if end == "close":
        qtbot.addWidget(viewer)
        viewer.close()
    else:
        importlib.import_module(f"{API_NAME}.sip").delete(viewer)
    returned = call_every_method(viewer, tmp_path)
    assert not any(value for name, value in returned.items() if name != "run"), returned
    assert viewer.dataset is None and viewer.actions_by_name == {}


@pytest.mark.each_binding
def test_notifying_from_many_threads_while_the_viewer_is_closed_and_started(qtbot, tmp_path):
    run = small_run(tmp_path / "run")
    stop = threading.Event()
    viewers: list[LightweightViewer] = []
    errors: list[BaseException] = []

    def storm() -> None:
        try:
            while not stop.is_set():
                for viewer in viewers[-1:]:
                    viewer.notify_zarr_frame(0, 1, 1, CHANNELS[1])
                time.sleep(0)
        except BaseException as error:  # noqa: BLE001  reported below
            errors.append(error)

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        widget = LightweightViewer()
        qtbot.addWidget(widget)
        viewers.append(widget)
        announce_run(widget, run)
        qtbot.wait(60)
        widget.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_disk_that_hangs_while_opening_holds_up_neither_the_next_dataset_nor_the_end(
    qtbot, viewer, tmp_path
):
    (tmp_path / "hung.ome.zarr").mkdir()
    os.mkfifo(tmp_path / "hung.ome.zarr" / "zarr.json")  # whoever opens it waits for ever
    run = small_run(tmp_path / "run")
    write(run)
    viewer.load_dataset(str(tmp_path / "hung.ome.zarr"))
    qtbot.wait(1000)
    assert viewer.dataset is None
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(str(run.folder))
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.load_dataset(str(tmp_path / "hung.ome.zarr"))
    qtbot.wait(1000)
    viewer.close()  # no thread and no process may be left: the fixtures look


@pytest.mark.each_binding
def test_several_windows_show_several_datasets_at_once(qtbot, tmp_path):
    runs = [small_run(tmp_path / name, seed=i) for i, name in enumerate("ab")]
    launcher = LauncherWindow()
    qtbot.addWidget(launcher)
    launcher.show()
    for run in runs:
        write(run)
        launcher.open_path(str(run.folder))
    windows = list(launcher.viewer_windows)
    assert [window.windowTitle() for window in windows] == [
        "NDViewer Lightweight - a",
        "NDViewer Lightweight - b",
    ]
    for window, run in zip(windows, runs, strict=True):
        qtbot.waitUntil(lambda window=window: window.viewer.dataset is not None, timeout=20_000)
        settle(qtbot, window.viewer)
        assert_shows(window.viewer, planes_of(run, 0, 0, 0))
    for window in windows:
        window.close()
    qtbot.waitUntil(lambda: not launcher.viewer_windows)


def drop(window, *paths: str) -> None:
    """Drag the first of them over a window, and drop all: none, if its program does not hand them over."""
    place = QPoint(5, 5)
    if os.environ.get("QT_API") == "pyqt6":
        place = QPointF(place)
    how = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    over, dropped = QMimeData(), QMimeData()
    over.setUrls([QUrl("file:///a")])
    dropped.setUrls([QUrl.fromLocalFile(path) for path in paths])
    window.dragEnterEvent(QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, over, *how))
    window.dropEvent(QDropEvent(place, Qt.DropAction.CopyAction, dropped, *how))


@pytest.mark.each_binding
def test_a_folder_dropped_on_the_window_is_opened(qtbot, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        drop(window, str(run.folder))
    window.close()


@pytest.mark.parametrize("make", [LauncherWindow, LightweightMainWindow])
def test_why_nothing_that_was_dropped_is_opened_is_said(qtbot, make):
    window = make()
    qtbot.addWidget(window)
    window.show()
    status = window.status_label if make is LauncherWindow else window.viewer.status_label
    for paths, said in (([], "Nothing came from the program"), ([f"/{i}" for i in range(17)], "17 dropped")):
        drop(window, *paths)
        assert said in status.text()
    window.close()


HOST_SCRIPT = """
import faulthandler, os, sys, time
faulthandler.enable()
sys.path.insert(0, {repo!r})
from qtpy.QtWidgets import QApplication, QMainWindow
{body}
"""


def host(body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `body` as a host program of its own, with Python's default excepthook."""
    env = {**os.environ, "PYTHONWARNINGS": "", **environment}
    script = HOST_SCRIPT.format(repo=str(REPO), body=body)
    return subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120
    )


_SHOW = """
app = QApplication([])
hook = sys.excepthook
import ndviewer_light
viewer = ndviewer_light.LightweightViewer({path!r})
viewer.resize(500, 400)
window = QMainWindow(); window.setCentralWidget(viewer); window.show()
def pump(until, seconds=30):
    end = time.time() + seconds
    while not until() and time.time() < end:
        app.processEvents(); time.sleep(0.01)
    assert until()
def shown():
    canvas = viewer.stage.canvas
    frame = canvas.frame if canvas is not None else None
    return frame is not None and not canvas.busy and all(p.pixels is not None for p in frame.planes.values())
pump(shown)
"""


def test_a_host_can_fork_a_tensorstore_writer_after_viewing(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    body = (
        _SHOW.format(path=str(run.folder))
        + f"""
assert "tensorstore" not in sys.modules
assert sys.excepthook is hook
import multiprocessing
def writer(path):
    import tensorstore as ts
    ts.open({{"driver": "zarr3", "kvstore": {{"driver": "file", "path": path}}}}, create=True,
            dtype=ts.uint16, shape=[8, 8]).result()[...] = 7
process = multiprocessing.get_context("fork").Process(target=writer, args=({str(tmp_path / "w.zarr")!r},))
process.start(); process.join(30)
print("writer", process.exitcode)
viewer.close()
"""
    )
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "writer 0" in result.stdout


@pytest.mark.each_binding
def test_moving_the_viewer_to_another_window_does_not_leave_a_black_canvas(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    body = (
        _SHOW.format(path=str(run.folder))
        + """
def brightest():
    surface = viewer.stage.canvas.surface
    image = surface.grabFramebuffer() if hasattr(surface, "grabFramebuffer") else surface.grab().toImage()
    places = ((x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7))
    return max(image.pixelColor(x, y).lightness() for x, y in places)
pump(lambda: brightest() > 60)
other = QMainWindow(); other.resize(600, 500)
other.setCentralWidget(viewer); other.show()
pump(shown)
pump(lambda: brightest() > 60)
viewer.setParent(None); viewer.show()
pump(lambda: brightest() > 60)
viewer.close()
print("seen", flush=True)
os._exit(0)  # as Squid ends: what Mesa does when Python takes Qt down is not ours
"""
    )
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "seen" in result.stdout


@pytest.mark.each_binding
def test_an_exception_in_a_slot_of_ours_does_not_end_the_host(tmp_path):
    body = """
app = QApplication([])
import ndviewer_light
viewer = ndviewer_light.LightweightViewer()
viewer.show()
def broken(*args): raise RuntimeError("fault injected")
viewer._screen.poll.post(broken)
viewer.stage.overlay.set_position = broken
viewer.stage._show_view = broken
end = time.time() + 2
while time.time() < end:
    app.processEvents(); time.sleep(0.01)
viewer.stage.sliders.moved.emit("t", 0)
app.processEvents()
viewer.close()
print("alive")
"""
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "alive" in result.stdout
    assert "fault injected" in result.stderr


@pytest.mark.each_binding
def test_the_constructor_never_raises_and_says_what_is_missing(tmp_path):
    body = """
class NoNdv:
    def find_spec(self, name, path=None, target=None):
        if name == "ndv":
            raise ImportError("No module named 'ndv'")
sys.meta_path.insert(0, NoNdv())
app = QApplication([])
import ndviewer_light
viewer = ndviewer_light.LightweightViewer()
viewer.show()
end = time.time() + 10
while "pip install" not in viewer.status_label.text() and time.time() < end:
    app.processEvents(); time.sleep(0.01)
print(viewer.status_label.text())
viewer.start_zarr_acquisition(["/nowhere/a"], ["c"], 1, ["A1:0"], 8, 8)
viewer.end_zarr_acquisition()
viewer.close()
"""
    result = host(body, NDVIEWER_CANVAS="gl")  # else it is not needed where a program draws
    assert result.returncode == 0, result.stderr
    assert "pip install" in result.stdout


def test_the_command_line_opens_the_path_it_is_given(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    script = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
from ndviewer_light.__main__ import choose_binding, main
choose_binding()
from qtpy.QtCore import QTimer
import ndviewer_light.gui.windows.application as a
make = a.application
def application():
    app = make()
    def look():
        windows = [w for w in app.topLevelWidgets() if hasattr(w, "viewer") and w.viewer.dataset]
        if windows:
            print(windows[0].windowTitle(), windows[0].viewer.dataset.info.sizes)
            for w in app.topLevelWidgets(): w.close()
    timer = QTimer(app); timer.timeout.connect(look); timer.start(100)
    return app
a.application = application
main([{str(run.folder)!r}])
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "NDViewer Lightweight - run {'t': 2, 'p': 3, 'c': 2, 'z': 2, 'y': 96, 'x': 128}" in result.stdout


@pytest.mark.each_binding
def test_help_says_what_there_is():
    result = subprocess.run(
        [sys.executable, "-m", "ndviewer_light", "--help"],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    assert "launcher" in result.stdout


@pytest.mark.each_binding
def test_our_window_is_dark_with_readable_text_in_an_application_that_is_light(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    for panel in (window.viewer.stage.strips, window.viewer.stage.sliders):
        assert panel.colors.window.lightness() < 40
        assert panel.colors.text.lightness() > 180
    window.close()
