"""Viewer and writer in processes of their own: when one is killed, the other goes on with what is true."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from runs import load
from screen import settle

from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.storage.disk_cache import default_folder
from ndviewer_light.storage.small_documents import SmallDocuments
from tests.live_writers.plan import write_run
from tests.live_writers.registry import WRITERS
from tests.stamps import read_stamp

pytestmark = [
    pytest.mark.gl,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no process can be killed like this here"),
]

REPO = Path(__file__).parents[1]
PATIENCE_S = 60.0


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def kept_view(path):
    """What a viewer of `path` has written about its view."""
    return SmallDocuments(Path(default_folder(), "views")).get(str(path)) or {}


def kill_viewer_that_shows(path, log):
    """Start the program, kill it once it has followed what is new; its reader processes end as well."""
    command = [sys.executable, "-m", "ndviewer_light", "watch", "--latency-log", str(log), str(path)]
    with subprocess.Popen(command, cwd=REPO) as process:
        try:
            wait_for(lambda: log.exists() and log.read_text().count("\n") >= 2)
            wait_for(lambda: "t" in kept_view(path).get("followed", ()))
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert children
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, gone


def stamp_in(frame, c):
    """Which plane the pixels of a channel say that they are; all three bands agree."""
    bands = set(read_stamp(frame.planes[c].pixels).bands)
    assert len(bands) == 1, bands
    return bands.pop()


def check_plane(qtbot, viewer, t, n_c):
    viewer.load_fov(0, t, 0)
    frame = settle(qtbot, viewer)
    assert [plane.state for plane in frame.planes.values()] == [PlaneState.PRESENT] * n_c
    assert [stamp_in(frame, c)[:4] for c in range(n_c)] == [(t, 0, c, 0) for c in range(n_c)]


# writes a plane every 0.1 s until it is told that it is enough, then the rest of the time point; says which
_UNTIL_TOLD = """
import sys, time
from pathlib import Path
from tests.live_writers.registry import WRITERS
from tests.stamps import Stamp, stamped

path, entry = Path(sys.argv[1]), WRITERS["tensorstore-v3"]
plan = entry.plan(10_000)
writer = entry.make(path, plan)
writer.begin()
for index in plan.indices():
    writer.write(index, stamped(Stamp(*index, 0, 0), plan.height, plan.width, plan.dtype))
    print(*index, flush=True)
    if index[2] == plan.n_c - 1 and Path(sys.argv[2]).exists():
        break
    time.sleep(0.1)
writer.end()
"""


def test_killing_viewers_does_not_touch_the_writer_and_the_next_viewer_has_the_whole_run(
    qtbot, viewer, tmp_path
):
    path, enough = tmp_path / "run.ome.zarr", tmp_path / "enough"
    command = [sys.executable, "-c", _UNTIL_TOLD, str(path), str(enough)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as writer:
        try:
            for n in range(2):
                kill_viewer_that_shows(path, tmp_path / f"{n}.jsonl")
                assert writer.poll() is None, "the writer was to be at work still"
            viewer.remember_views()
            load(qtbot, viewer, path)
            enough.touch()
            said, _ = writer.communicate(timeout=60)
        finally:
            writer.kill()
    assert writer.returncode == 0
    written = [tuple(map(int, line.split())) for line in said.splitlines()]
    n_t, n_c = written[-1][0] + 1, 2
    assert written == [(t, 0, c, 0) for t in range(n_t) for c in range(n_c)]
    qtbot.waitUntil(lambda: viewer.dataset.info.n_t == n_t, timeout=30_000)
    qtbot.waitUntil(
        lambda: viewer.stage.view.t == n_t - 1, timeout=30_000
    )  # it follows as the killed one did
    report = viewer.dataset.report()
    assert (report.expected, report.present) == (n_t * n_c, n_t * n_c)
    for t in (0, n_t // 2, n_t - 1):
        check_plane(qtbot, viewer, t, n_c)
    assert not [file for file in path.rglob("*") if "lock" in file.name]


# shows a dataset, looks closer at one time point of one channel, and says how
_LOOKS_CLOSER = """
import json, sys
from qtpy.QtCore import QTimer
from ndviewer_light.gui.windows.application import application
from ndviewer_light.views.visible_area import VisibleArea
from ndviewer_light.gui.windows.window import LightweightMainWindow

app = application()
window = LightweightMainWindow(sys.argv[1])
window.show()
viewer, stage = window.viewer, window.viewer.stage

def look():
    canvas = stage.canvas
    if canvas is None or not canvas.is_complete or canvas.busy or canvas.visible_area() is None:
        return
    timer.stop()
    viewer.load_fov(0, 1, 0)
    stage.strips.strip(0).on.click()
    stage.strips.set_window(1, 20, 300)
    stage.strips.window_changed.emit(1, 20, 300)
    (left, right), (top, bottom) = canvas.visible_area()
    canvas.show_area(VisibleArea((4.0, 4 + (right - left) / 4), (6.0, 6 + (bottom - top) / 4)))
    print(json.dumps([window.width(), window.height()]), flush=True)

timer = QTimer()
timer.timeout.connect(look)
timer.start(50)
app.exec() if hasattr(app, "exec") else app.exec_()
"""


def test_the_view_of_a_killed_viewer_is_that_of_the_next_one(qtbot, tmp_path):
    path = tmp_path / "run.ome.zarr"
    entry = WRITERS["tensorstore-fixed"]
    write_run(entry.make(path, entry.plan(8)))
    command = [sys.executable, "-c", _LOOKS_CLOSER, str(path)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        try:
            width, height = json.loads(process.stdout.readline())
            wait_for(lambda: kept_view(path).get("area") is not None and kept_view(path)["t"] == 1)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    kept = np.reshape(kept_view(path)["area"], (2, 2))
    window = LightweightMainWindow(str(path))
    qtbot.addWidget(window)
    window.resize(width, height)
    window.show()
    settle(qtbot, window.viewer)
    stage = window.viewer.stage

    def shows_what_was_kept() -> bool:  # what comes into the window late makes the picture a little smaller
        shown = np.array(stage.canvas.visible_area())
        in_the_middle = np.allclose(shown.mean(axis=1), kept.mean(axis=1), atol=0.05)
        return in_the_middle and np.allclose(np.ptp(shown, axis=1), np.ptp(kept, axis=1), rtol=0.3)

    qtbot.waitUntil(shows_what_was_kept, timeout=30_000)
    assert stage.view[:3] == (1, 0, 0)
    assert [stage.strips.is_channel_visible(c) for c in range(2)] == [False, True]
    assert stage.strips.contrast_mode(1).value == "Manual"
    assert stage.canvas.limits(1) == (20, 300)


# writes two time points and a channel of the third, then half of the file of its second channel, and says so
_HALF = """
import sys, time
from pathlib import Path
from tests.live_writers.registry import WRITERS
from tests.stamps import Stamp, stamped

path, entry = Path(sys.argv[1]), WRITERS["tensorstore-fixed"]
plan = entry.plan(8)
writer = entry.make(path, plan)
writer.begin()
for index in list(plan.indices())[: 2 * plan.n_c + 1]:
    writer.write(index, stamped(Stamp(*index, 0, 0), plan.height, plan.width, plan.dtype))
whole = path / "0" / "c" / "1" / "0" / "0" / "0" / "0"
half = path / "0" / "c" / "2" / "1" / "0" / "0" / "0"
half.parent.mkdir(parents=True)
file = half.open("wb")
file.write(whole.read_bytes()[: whole.stat().st_size // 2])
file.flush()
print("half", flush=True)
time.sleep(600)
"""


def test_killing_the_writer_within_a_plane_leaves_what_was_written_and_says_that_the_rest_is_missing(
    qtbot, viewer, tmp_path
):
    path = tmp_path / "run.ome.zarr"
    viewer.watch(str(path))
    command = [sys.executable, "-c", _HALF, str(path)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout.readline() == "half\n"
            qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=30_000)
        finally:
            writer.send_signal(signal.SIGKILL)
        assert writer.wait(30) == -signal.SIGKILL
    n_c = len(viewer.dataset.info.channels)
    assert (n_c, viewer.dataset.info.n_t) == (2, 4)
    for t in (0, 1):
        check_plane(qtbot, viewer, t, n_c)

    viewer.load_fov(0, 2, 0)  # a whole channel, and one of which half was written
    said = f"{viewer.dataset.channels[1]}: could not be read"
    qtbot.waitUntil(lambda: viewer.stage.overlay.state() == ("partial", said), timeout=30_000)
    frame = settle(qtbot, viewer)
    assert [plane.state for plane in frame.planes.values()] == [PlaneState.PRESENT, PlaneState.UNREADABLE]
    assert stamp_in(frame, 0)[:4] == (2, 0, 0, 0)
    assert frame.planes[1].pixels is None

    viewer.load_fov(0, 3, 0)  # nothing of it was written: no black picture
    said = ("Nothing stored (empty or not acquired)", "Not written yet")
    qtbot.waitUntil(lambda: viewer.stage.overlay.shown_text() in said, timeout=30_000)
    frame = settle(qtbot, viewer)
    states = {plane.state for plane in frame.planes.values()}
    assert states <= {PlaneState.ABSENT, PlaneState.PENDING}
    assert all(plane.pixels is None for plane in frame.planes.values())

    report = viewer.dataset.report()
    assert (report.expected, report.present, report.unreadable) == (8, 5, 1)
    missing = {viewer.dataset.state(PlaneKey(3, 0, c, 0)) for c in range(n_c)}
    assert missing <= {PlaneState.ABSENT, PlaneState.PENDING}
