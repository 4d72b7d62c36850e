"""The widget's end, however it comes: nothing of it stays, and what comes later does no harm."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import threading

import psutil
import pytest
from conftest import _our_threads, _reader_children
from qtpy import API_NAME
from qtpy.QtCore import QCoreApplication, QEvent, Qt, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow, QTabWidget, QVBoxLayout, QWidget
from runs import CHANNELS, load, planes_of, small_run, write
from screen import assert_shows, settle
from test_host import host

from ndviewer_light.gui import ends
from ndviewer_light.gui.look.plots import new_plot
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.windows.application import delete_windows
from ndviewer_light.gui.windows.launcher import LauncherWindow
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.isolation import spare
from simulate_acquisition import announce_run, notify_plane

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]

sip = importlib.import_module(f"{API_NAME}.sip")


def embedded(qtbot) -> tuple[QMainWindow, LightweightViewer]:
    """A host's window with the viewer two levels deep in it."""
    window, tabs, page, viewer = QMainWindow(), QTabWidget(), QWidget(), LightweightViewer()
    QVBoxLayout(page).addWidget(viewer)
    tabs.addTab(page, "viewer")
    window.setCentralWidget(tabs)
    window.resize(800, 500)
    with qtbot.waitExposed(window):
        window.show()
    return window, viewer


def delete_later(window: QMainWindow) -> None:
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def delete_on_close(window: QMainWindow) -> None:
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    window.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


WAYS = [delete_later, delete_on_close, sip.delete]


def nothing(qtbot, viewer, folder) -> None:
    pass


def opening_for_ever(qtbot, viewer, folder) -> None:
    (folder / "hung.ome.zarr").mkdir()
    os.mkfifo(folder / "hung.ome.zarr" / "zarr.json")
    viewer.load_dataset(str(folder / "hung.ome.zarr"))
    qtbot.waitUntil(lambda: bool(_reader_children()), timeout=20_000)


def just_opened(qtbot, viewer, folder) -> None:
    """Its canvas has yet to be built."""
    run = small_run(folder / "run")
    write(run)
    load(qtbot, viewer, run.folder)


def shown(qtbot, viewer, folder) -> None:
    just_opened(qtbot, viewer, folder)
    settle(qtbot, viewer)


def reading_for_ever(qtbot, viewer, folder) -> None:
    """The frame is under way, and will be when the widget is gone."""
    run = small_run(folder / "run")
    write(run)
    for c in range(2):
        chunk = folder / "run/zarr/A1/fov_1.ome.zarr/0/c/0" / str(c) / "0/0/0"
        chunk.unlink()
        os.mkfifo(chunk)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.load_fov(1)
    assert viewer.stage.canvas.busy


def opening_another(qtbot, viewer, folder) -> None:
    """What was shown before is kept for who cancels."""
    shown(qtbot, viewer, folder)
    opening_for_ever(qtbot, viewer, folder)


def failed_to_open(qtbot, viewer, folder) -> None:
    shown(qtbot, viewer, folder)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(folder / "nowhere"))


def run_going_on(qtbot, viewer, folder) -> None:
    run = small_run(folder / "run")
    write(run)
    announce_run(viewer, run)
    for plane in run.planes():
        notify_plane(viewer, run, plane)
    settle(qtbot, viewer)


def run_started_by_a_thread(qtbot, viewer, folder) -> None:
    """It waits to be put on screen."""
    thread = threading.Thread(target=announce_run, args=(viewer, small_run(folder / "run")))
    thread.start()
    thread.join()


def looking_again(qtbot, viewer, folder) -> None:
    shown(qtbot, viewer, folder)
    viewer.refresh()
    viewer.refresh()


STATES = [
    nothing, opening_for_ever, just_opened, shown, reading_for_ever, opening_another, failed_to_open,
    run_going_on, run_started_by_a_thread, looking_again,
]  # fmt: skip


@pytest.mark.parametrize("end", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_window_that_is_deleted_takes_reader_and_threads_with_it(qtbot, tmp_path, caplog, state, end):
    threads, readers = set(_our_threads()), set(_reader_children())
    window, viewer = embedded(qtbot)
    state(qtbot, viewer, tmp_path)
    caplog.clear()
    end(window)
    assert sip.isdeleted(viewer)
    for late in (lambda: viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0]), viewer.end_acquisition):
        late()  # a writer that has not heard of it
    announce_run(viewer, small_run(tmp_path / "later"))
    viewer.load_dataset(str(tmp_path))
    viewer.refresh()
    assert viewer.dataset is None
    assert viewer.get_fov_list() == []
    assert not viewer.is_push_mode_active()
    assert not viewer.go_to_well_fov("A1", 0)
    qtbot.waitUntil(
        lambda: not (set(_our_threads()) - threads) and not (set(_reader_children()) - readers),
        timeout=20_000,
    )
    qtbot.wait(50)  # what ndv had under way arrives: no slot may fail, no Qt warning come
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_next_dataset_finds_a_process_that_ends_with_the_last_viewer(qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(spare, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(spare, "_not_before", 0.0)
    run = small_run(tmp_path / "run")
    write(run)
    readers = set(_reader_children())
    window, viewer = embedded(qtbot)
    qtbot.waitUntil(lambda: spare._spare is not None, timeout=20_000)
    ready = spare._spare.pid
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    assert ready in _reader_children()
    qtbot.waitUntil(lambda: spare._spare is not None and spare._spare.pid != ready, timeout=20_000)
    assert {ready, spare._spare.pid} <= set(_reader_children()), "one for the next dataset as well"
    sip.delete(window)
    qtbot.waitUntil(lambda: not (set(_reader_children()) - readers), timeout=20_000)
    assert spare._spare is None and not spare._keepers


@pytest.mark.usefixtures("drawn_with_opengl")
def test_a_window_deleted_while_the_canvas_is_built_ends_quietly(qtbot, tmp_path, caplog, monkeypatch):
    window, viewer = embedded(qtbot)
    run = small_run(tmp_path / "run")
    write(run)
    qtbot.waitUntil(lambda: viewer.stage.canvas is not None, timeout=20_000)
    canvas = viewer.stage.canvas
    build = canvas._build_pictures

    def delete_and_build() -> None:  # the event loop runs while a canvas is built
        sip.delete(window)
        build()

    monkeypatch.setattr(canvas, "_build_pictures", delete_and_build)
    viewer.load_dataset(str(run.folder))
    qtbot.waitUntil(lambda: sip.isdeleted(viewer), timeout=20_000)
    qtbot.wait(50)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("in_a_window", [False, True])
def test_a_viewer_that_is_garbage_ends_by_itself(qtbot, tmp_path, in_a_window):
    """Collected in one piece, with all that refers to it: nothing of it may be called that is taken apart."""
    run = small_run(tmp_path / "run")
    write(run)
    readers = set(_reader_children())
    window, viewer = embedded(qtbot) if in_a_window else (None, LightweightViewer())
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(str(run.folder))
    if in_a_window:
        settle(qtbot, viewer)
        window.itself, viewer.window_of_it = window, window
    assert set(_reader_children()) - readers
    del viewer, window
    gc.collect()
    qtbot.waitUntil(lambda: not (set(_reader_children()) - readers), timeout=20_000)
    assert not ends._owners


def test_a_window_that_the_collector_finds_in_a_thread_stays_whole_until_qt_deletes_it(qtbot, tmp_path):
    """What it is made of was taken apart one by one, while Qt went on to call it."""
    others = set(ends._owners)  # of tests before, if the collector has not come by yet
    run = small_run(tmp_path / "run")
    write(run)
    window = LightweightMainWindow(str(run.folder))
    window.show()
    settle(qtbot, window.viewer)
    surface = window.viewer.stage.canvas.surface
    window.itself = window
    window.close()
    window.setObjectName("garbage")
    names = set(window.__dict__)
    del window

    def collect() -> None:
        collector = threading.Thread(target=gc.collect)
        collector.start()
        collector.join()

    def is_gone() -> bool:
        collect()  # again: what was still under way in a thread may have referred to it
        return ends._owners <= others and not ends._garbage

    collect()
    found = [each for each in QApplication.topLevelWidgets() if each.objectName() == "garbage"]
    assert [type(each) for each in found] == [LightweightMainWindow]
    assert set(found[0].__dict__) >= names and found[0].viewer.stage is not None
    del found
    qtbot.waitUntil(lambda: is_gone() and sip.isdeleted(surface), timeout=20_000)


def test_a_viewer_that_is_closed_where_no_event_loop_runs_leaves_no_canvas(qtbot, monkeypatch, tmp_path):
    """As in a cell of a notebook; the loop runs between cells."""
    monkeypatch.setenv("NDVIEWER_CANVAS", "gl")
    run = small_run(tmp_path / "run")
    write(run)
    window, viewer = embedded(qtbot)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    surface = viewer.stage.canvas.surface
    viewer.close()
    qtbot.waitUntil(lambda: sip.isdeleted(surface), timeout=20_000)
    sip.delete(window)


def test_at_the_end_of_the_program_what_qt_keeps_for_plots_is_left_to_qt(qtbot):
    """The layout of a plot has a window that nobody sees, and deletes it: a second time, where we did."""

    def hidden() -> list[QWidget]:
        return [each for each in QApplication.topLevelWidgets() if type(each) is QWidget]

    before = hidden()
    window = LightweightMainWindow()
    new_plot(window, "plot")
    window.show()
    qtbot.waitUntil(lambda: len(hidden()) > len(before), timeout=20_000)
    (of_plot,) = (each for each in hidden() if each not in before)
    ended = []
    window.destroyed.connect(lambda: ended.append("window"))
    of_plot.destroyed.connect(lambda: ended.append("of the plot"))
    delete_windows([of_plot, window])
    qtbot.waitUntil(lambda: len(ended) == 2, timeout=20_000)
    assert ended == ["window", "of the plot"]


def test_the_program_ends_after_a_name_was_typed_that_could_be_completed(tmp_path):
    """The list of completions was deleted, and again with its dialog: saving, then closing, was a crash."""
    program = f"""
import sys
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QListView
from ndviewer_light.gui.look.save_dialog import SaveDialog
from ndviewer_light.gui.windows.application import application
from ndviewer_light.gui.windows.launcher import LauncherWindow

app = application()
window = LauncherWindow()
window.show()
dialog = SaveDialog(window, "Save", {{"Picture (*.png)": ".png"}}, "a")
dialog.setOption(SaveDialog.Option.DontUseNativeDialog)
dialog.open()
name = dialog.findChild(QLineEdit)
name.clear()
QTest.keyClicks(name, {str(tmp_path)!r} + "/")


def end_once_completed():
    if any(isinstance(each, QListView) and each.isVisible() for each in QApplication.topLevelWidgets()):
        dialog.reject()
        window.close()
        app.quit()
    else:
        QTimer.singleShot(20, end_once_completed)


end_once_completed()
app.exec()
del name, dialog, window
print("ended")
"""
    (tmp_path / "folder").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


def test_the_garbage_of_a_launcher_takes_its_windows_along(qtbot, tmp_path):
    launcher = LauncherWindow()
    launcher.open_path(str(tmp_path))
    launcher.itself = launcher
    del launcher
    gc.collect()
    qtbot.waitUntil(lambda: not ends._owners, timeout=20_000)


def test_a_host_window_that_is_closed_and_shown_again_shows_what_it_did(qtbot, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    window, viewer = embedded(qtbot)
    announce_run(viewer, run)
    for plane in run.planes():
        notify_plane(viewer, run, plane)
    settle(qtbot, viewer)
    window.close()  # hides it: the viewer is no window of its own
    qtbot.wait(50)
    notify_plane(viewer, run, next(run.planes()))
    with qtbot.waitExposed(window):
        window.show()
    viewer.load_fov(2, 1, 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    delete_later(window)


@pytest.mark.parametrize("deleted", [True, False])
def test_a_host_that_ends_without_a_word_ends(tmp_path, deleted):
    run = small_run(tmp_path / "run")
    write(run)
    body = f"""
app = QApplication([])
import ndviewer_light
viewer = ndviewer_light.LightweightViewer({str(run.folder)!r})
window = QMainWindow(); window.setCentralWidget(viewer); window.show()
end = time.time() + 30
while viewer.dataset is None and time.time() < end:
    app.processEvents(); time.sleep(0.01)
print("reader", viewer.dataset._source.pid, flush=True)
if {deleted}:
    import importlib, qtpy
    importlib.import_module(qtpy.API_NAME + ".sip").delete(window)
"""
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    pid = int(result.stdout.split()[-1])
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_a_host_leaves_is_deleted_before_pyqt_goes_through_all_there_is(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    body = f"""
import atexit, importlib, qtpy
from qtpy.QtCore import QCoreApplication
sip = importlib.import_module(qtpy.API_NAME + ".sip")
app = QApplication([])
kept = []
def say():
    print([sip.isdeleted(each) for each in kept], QCoreApplication.instance() is not None, flush=True)
atexit.register(say)  # after PyQt's function, so called before it; before the viewer's, so called after it
import ndviewer_light
viewer = ndviewer_light.LightweightViewer({str(run.folder)!r})
window = QMainWindow(); window.setCentralWidget(viewer); window.show()
end = time.time() + 30
while viewer.ndv_viewer is None and time.time() < end:
    app.processEvents(); time.sleep(0.01)
kept += [viewer, viewer.stage.canvas]
"""
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.splitlines()[-1] == "[True, True] True"


@pytest.mark.parametrize("call", ["follow", "load_dataset"])
def test_a_program_ends_though_its_viewer_still_waits_for_what_is_not_there(tmp_path, call):
    path = str(tmp_path / "later.ome.zarr")
    body = f"""
import ndviewer_light
app = QApplication([])
viewer = ndviewer_light.LightweightViewer()
window = QMainWindow(); window.setCentralWidget(viewer); window.show()
failed = []
viewer.dataset_failed.connect(lambda path, reason: failed.append(reason))
viewer.{call}({path!r})
end = time.time() + 30
while not (failed or viewer.status_label.text().startswith("Waiting")) and time.time() < end:
    app.processEvents(); time.sleep(0.01)
window.close()
print("closed", viewer.status_label.text(), flush=True)
"""
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    said = f"Waiting for {path}" if call == "follow" else "Failed to load dataset"
    assert result.stdout.splitlines()[-1] == f"closed {said}"


@pytest.mark.parametrize("is_ahead", [False, True])
def test_no_module_of_qt_is_imported_in_a_thread(tmp_path, is_ahead):
    # PyQt looks for the class of whatever it wraps in all of them, also in one that is half imported
    body = """
import importlib.abc, threading
seen, done = [], []
class Note(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith(("PyQt5.", "PyQt6.")) and threading.get_ident() != threading.main_thread().ident:
            seen.append(name)
app = QApplication([])
sys.meta_path.insert(0, Note())
import ndviewer_light
end = time.time() + 60
if {is_ahead}:
    ndviewer_light.import_ahead()
    while any(each.name == "ndviewer-import" for each in threading.enumerate()) and time.time() < end:
        app.processEvents(); time.sleep(0.01)
viewer = ndviewer_light.LightweightViewer()
viewer.show()
while "vispy.app.backends._qt" not in sys.modules and time.time() < end:
    app.processEvents(); time.sleep(0.01)
while any(each.name == "ndviewer-import" for each in threading.enumerate()) and time.time() < end:
    app.processEvents(); time.sleep(0.01)
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.look import plots
plots.begin_import(Background(), lambda reason: done.append(reason))
while not done and time.time() < end:
    app.processEvents(); time.sleep(0.01)
print("vispy.app.backends._qt" in sys.modules, done, seen)
"""
    result = host(body.replace("{is_ahead}", str(is_ahead)), NDVIEWER_CANVAS="gl")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "True [''] []"


@pytest.mark.parametrize("to", ["nothing", "another dataset"])
def test_a_dataset_that_is_closed_while_it_is_built_up(qtbot, viewer, tmp_path, caplog, to):
    runs = [small_run(tmp_path / name) for name in ("run", "other")]
    for run in runs:
        write(run)
    load(qtbot, viewer, runs[0].folder)
    settle(qtbot, viewer)
    stage, happened = viewer.stage, []

    def meanwhile() -> None:
        happened.append(to)
        if to == "nothing":
            stage.clear()
        else:
            viewer.load_dataset(str(runs[1].folder))

    QTimer.singleShot(0, meanwhile)  # building lets the event loop run
    stage._on_build_due()
    qtbot.waitUntil(lambda: bool(happened), timeout=20_000)
    if to == "another dataset":
        qtbot.waitUntil(lambda: "other" in repr(viewer.dataset), timeout=20_000)
        settle(qtbot, viewer)
        assert_shows(viewer, planes_of(runs[1], 0, 0, 0))
    assert not caplog.records, caplog.text
