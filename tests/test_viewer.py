"""The widget on real stores: what opens, what is on screen, what a host can call."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from screen import assert_shows, framebuffer, settle

from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.window import LauncherWindow, LightweightMainWindow
from simulate_acquisition import Run, announce_run, notify_plane, plane_pixels

pytestmark = pytest.mark.gl

REPO = Path(__file__).parents[1]
LAYOUTS = ("per_fov", "hcs", "6d")
CHANNELS = ("Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex")


def small_run(folder: Path, layout: str = "per_fov", **more: object) -> Run:
    settings = {
        "layout": layout,
        "regions": ("A1", "B2"),
        "fovs": (2, 1),
        "channels": CHANNELS,
        "n_t": 2,
        "n_z": 2,
        "height": 96,
        "width": 128,
    }
    return Run(folder, **{**settings, **more})  # type: ignore[arg-type]


def write(run: Run, *options: str) -> subprocess.CompletedProcess[str]:
    """Write `run` in a process of its own, as a host does: this one never loads tensorstore."""
    return subprocess.run(writer_command(run, *options), check=True, capture_output=True, text=True)


def writer_command(run: Run, *options: str) -> list[str]:
    command = [sys.executable, str(REPO / "simulate_acquisition.py"), str(run.folder), "--no-view"]
    command += ["--layout", run.layout, "--regions", *run.regions, "--fovs", *map(str, run.fovs)]
    command += ["--channels", *run.channels, "--n-t", str(run.n_t), "--n-z", str(run.n_z)]
    command += ["--size", str(run.height), str(run.width), "--compression", run.compression]
    command += ["--dtype", run.dtype, "--seed", str(run.seed), "--rate", "0", *options]
    return command + (["--blank", *map(str, run.blank)] if run.blank else [])


def planes_of(run: Run, t: int, p: int, z: int) -> dict[str, np.ndarray]:
    return {channel: plane_pixels(run, t, p, z, channel) for channel in run.channels}


@pytest.fixture
def viewer(qtbot):
    widget = LightweightViewer()
    qtbot.addWidget(widget)
    widget.resize(900, 600)
    widget.show()
    qtbot.waitExposed(widget)
    yield widget
    widget.close()


def load(qtbot, viewer: LightweightViewer, path: Path) -> None:
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(str(path))


# ---- opened from disk --------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_opens_and_every_position_shows_its_own_pixels(qtbot, viewer, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    write(run)
    load(qtbot, viewer, run.folder)
    assert viewer.get_fov_list() == [
        {"region": "A1", "fov": 0},
        {"region": "A1", "fov": 1},
        {"region": "B2", "fov": 0},
    ]
    assert viewer.has_fov_dimension()
    for p, t, z in ((0, 0, 0), (2, 1, 1), (1, 1, 0)):
        assert viewer.set_current_index("fov", p)
        assert viewer.set_current_index("time", t)
        assert viewer.set_current_index("z", z)
        settle(qtbot, viewer)
        assert viewer.stage.overlay.state() == ("none", "")
        assert_shows(viewer, planes_of(run, t, p, z))


def test_channels_have_the_names_and_colours_of_the_data(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    strips = viewer.stage.strips
    assert [strips.color_of(c) for c in range(2)] == ["#20ADF8", "#1FFF00"]
    assert [channel.name for channel in viewer.dataset.info.channels] == list(CHANNELS)


def test_a_hidden_channel_is_neither_shown_nor_read(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips.strip(1).on.click()
    settle(qtbot, viewer)
    viewer.load_fov(1)
    frame = settle(qtbot, viewer)
    assert list(frame.planes) == [0]
    assert_shows(viewer, {CHANNELS[0]: plane_pixels(run, 0, 1, 0, CHANNELS[0])})


def test_contrast_set_by_hand_is_what_is_shown_and_stays_over_positions(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips.window_changed.emit(0, 300.0, 900.0)
    viewer.stage.strips.set_auto(0, False)
    viewer.stage.strips.set_window(0, 300.0, 900.0)
    viewer.load_fov(2)
    settle(qtbot, viewer)
    assert viewer.stage.canvas.limits(0) == (300.0, 900.0)
    assert_shows(viewer, planes_of(run, 0, 2, 0))


def test_sliders_say_where_we_are(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    viewer.load_fov(2, t=1, z=1)
    sliders = viewer.stage.sliders
    assert sliders.value_text("p") == "B2:0   3 / 3"
    assert sliders.value_text("t") == "2 / 2   00:00:10"
    assert sliders.value_text("z") == "2 / 2   +1.5 µm"


def test_a_volume_is_shown_with_voxels_to_scale_and_2d_comes_back_where_it_was(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    canvas.viewer._canvas.set_range(x=(5, 15), y=(5, 12), margin=0)
    before = canvas.viewer._canvas.canvas_to_world((50, 50))
    viewer.stage.strips._volume.click()
    frame = settle(qtbot, viewer)
    assert frame.view.is_volume
    assert canvas.viewer._resolved.visible_scales == (1.5, 0.325, 0.325)
    assert framebuffer(viewer).max() > 60
    viewer.stage.strips._flat.click()
    settle(qtbot, viewer)
    assert canvas.viewer._canvas.canvas_to_world((50, 50)) == pytest.approx(before, rel=0.01, abs=0.05)
    assert canvas.viewer._resolved.visible_scales == (0.325, 0.325)


def test_a_volume_at_lower_resolution_keeps_its_proportions(qtbot, viewer, tmp_path, monkeypatch):
    from ndviewer_light.gui import display

    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    monkeypatch.setattr(display, "MAX_VOLUME_BYTES", 4 * 50 * 70 * 2 * 2)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips._volume.click()
    frame = settle(qtbot, viewer)
    assert frame.downsampled == (1.0, 2.0, 2.0)
    assert viewer.stage.canvas.viewer._resolved.visible_scales == (1.5, 0.65, 0.65)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda path: None, "nothing at", id="no such path"),
        pytest.param(lambda path: path.mkdir(), "not a dataset", id="an empty folder"),
        pytest.param(lambda path: path.write_bytes(b"x"), "", id="a file"),
    ],
)
def test_what_cannot_be_opened_says_why_in_the_widget(qtbot, viewer, tmp_path, make, said):
    path = tmp_path / "thing"
    make(path)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(str(path))
    assert failed.args[0] == str(path)
    assert said in failed.args[1]
    assert str(path) in viewer._message.detail.toPlainText()
    assert viewer._pages.currentWidget() is viewer._message


def test_after_a_failure_trying_again_opens_what_is_there_now(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(run.folder))
    write(run)
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer._message.retry_button.click()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_missing_plane_is_hatched_and_the_rest_stays_usable(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    shutil.rmtree(tmp_path / "run" / "zarr" / "A1" / "fov_1.ome.zarr" / "0" / "c")
    load(qtbot, viewer, run.folder)
    viewer.load_fov(1)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "absent"
    viewer.load_fov(2)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "none"
    assert_shows(viewer, planes_of(run, 0, 2, 0))


def test_one_missing_channel_is_named(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    (tmp_path / "run" / "zarr" / "A1" / "fov_0.ome.zarr" / "0" / "c" / "0" / "1" / "0" / "0" / "0").unlink()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "partial"
    assert CHANNELS[1] in text
    assert viewer.stage.strips.state_text(1)
    assert not viewer.stage.strips.state_text(0)


def test_a_damaged_chunk_is_an_error_on_its_plane_only(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    for c in range(2):
        chunk = tmp_path / "run/zarr/A1/fov_0.ome.zarr/0/c/0" / str(c) / "0/0/0"
        chunk.write_bytes(chunk.read_bytes()[:50])
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "error"
    assert "damaged" in text
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 0, 0))


def test_killing_the_reader_costs_a_message_and_the_next_plane_shows(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    os.kill(viewer.dataset._source.pid, signal.SIGKILL)
    viewer.load_fov(2, t=1)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: "SIGKILL" in viewer.status_label.text(), timeout=10_000)
    assert_shows(viewer, planes_of(run, 1, 2, 0))


# ---- live --------------------------------------------------------------------------------------


def follow(qtbot, viewer: LightweightViewer, run: Run) -> None:
    """Write `run` in another process and push every plane it reports, from a thread of its own."""
    import json

    from simulate_acquisition import WrittenPlane

    writer = subprocess.Popen(writer_command(run, "--report"), stdout=subprocess.PIPE, text=True)

    def push() -> None:
        for line in writer.stdout:
            notify_plane(viewer, run, WrittenPlane(**json.loads(line)))

    thread = threading.Thread(target=push)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=60_000)
    thread.join()
    assert writer.wait(10) == 0
    writer.stdout.close()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", ["fast", "balanced"])
def test_a_run_pushed_from_another_process_ends_with_the_right_pixels(
    qtbot, viewer, tmp_path, layout, compression
):
    run = small_run(tmp_path / "run", layout, compression=compression)
    announce_run(viewer, run)
    assert viewer.is_push_mode_active()
    assert viewer.is_zarr_push_mode_active()
    viewer.load_fov(2)
    follow(qtbot, viewer, run)
    viewer.end_zarr_acquisition()
    viewer.end_acquisition()
    viewer.load_fov(2, t=1, z=1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    info = viewer.dataset.info
    assert (info.n_t, info.pixel_size_um, info.z_step_um, info.dtype) == (2, 0.325, 1.5, np.uint16)
    assert [channel.color for channel in info.channels] == ["#20ADF8", "#1FFF00"]


def test_the_last_planes_are_on_screen_after_the_end_without_another_call(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "waiting"
    write(run)
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    viewer.end_zarr_acquisition()
    viewer.end_acquisition()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_planes_nobody_announced_appear_by_themselves_while_the_run_is_on(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    write(run)
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.end_zarr_acquisition()


def test_notifications_before_the_store_exists_and_after_the_end_do_no_harm(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    for _ in range(2):
        for t in (1, 0):
            for channel in (*CHANNELS, "no such channel"):
                viewer.notify_zarr_frame(t, 0, 0, channel)
    qtbot.wait(300)
    viewer.end_zarr_acquisition()
    viewer.end_zarr_acquisition()
    write(run)
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_plane_written_again_is_shown_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    write(run)
    settle(qtbot, viewer)
    again = replace(run, folder=tmp_path / "again", seed=7)
    write(again)
    place = "zarr/A1/fov_0.ome.zarr/0/c/0/{}/0/0/0"
    for c, channel in enumerate(CHANNELS):
        shutil.copyfile(again.folder / place.format(c), tmp_path / "chunk")
        os.replace(tmp_path / "chunk", run.folder / place.format(c))
        viewer.notify_zarr_frame(0, 0, 0, channel)
    qtbot.wait(150)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(again, 0, 0, 0))
    viewer.end_zarr_acquisition()


def test_an_all_zero_plane_that_was_notified_is_black_and_one_that_was_not_is_hatched(
    qtbot, viewer, tmp_path
):
    run = small_run(tmp_path / "run", channels=CHANNELS[:1], blank=(0,))
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "none"
    assert framebuffer(viewer).max() == 0
    viewer.end_zarr_acquisition()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "absent"


def test_live_and_reopened_look_the_same(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    viewer.end_zarr_acquisition()
    viewer.load_fov(1, t=1, z=1)
    settle(qtbot, viewer)
    live = framebuffer(viewer).copy()
    load(qtbot, viewer, run.folder)
    viewer.load_fov(1, t=1, z=1)
    settle(qtbot, viewer)
    assert np.array_equal(live, framebuffer(viewer))


@pytest.mark.parametrize(
    ("start", "arguments", "said"),
    [
        ("start_zarr_acquisition", ([], ["c"], 1, [], 8, 8), "fov_paths must not be empty"),
        ("start_zarr_acquisition", (None, ["c"], 1, [], 8, 8), "fov_paths must not be empty"),
        ("start_zarr_acquisition_6d", ([], ["c"], 1, [], 8, 8), "region_paths"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [0], 8, 8), "positive"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [1, 2], 8, 8), "as many"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [1], 8, 8, ["a", "b"]), "as many"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused_and_changes_nothing(
    qtbot, viewer, tmp_path, start, arguments, said
):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    dataset = viewer.dataset
    with pytest.raises(ValueError, match=said):
        getattr(viewer, start)(*arguments)
    assert viewer.dataset is dataset
    assert not viewer.is_push_mode_active()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_new_run_shows_nothing_of_the_one_before(qtbot, viewer, tmp_path):
    first = small_run(tmp_path / "first", n_z=3)
    announce_run(viewer, first)
    follow(qtbot, viewer, first)
    viewer.load_fov(2, t=1, z=2)
    settle(qtbot, viewer)
    second = small_run(tmp_path / "second", "6d", regions=("C3",), fovs=(1,), n_t=1, n_z=1, seed=5)
    announce_run(viewer, second)
    assert viewer.stage.view[:3] == (0, 0, 0)
    assert viewer.get_fov_list() == [{"region": "C3", "fov": 0}]
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "waiting"
    assert not viewer.stage.sliders.slider("t").isVisible()
    assert not viewer.stage.sliders.slider("p").isVisible()
    follow(qtbot, viewer, second)
    viewer.end_zarr_acquisition()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(second, 0, 0, 0))


def test_opening_a_dataset_leaves_push_mode(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    load(qtbot, viewer, run.folder)
    assert not viewer.is_push_mode_active()
    assert not viewer.is_zarr_push_mode_active()
    assert viewer.has_fov_dimension()
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_navigation_by_well_is_by_exact_label(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    assert not viewer.go_to_well_fov("A1", 0)
    announce_run(viewer, run)
    assert viewer.go_to_well_fov("B2", 0)
    assert viewer.stage.view.p == 2
    assert not viewer.go_to_well_fov("B2", 1)
    assert not viewer.go_to_well_fov("b2", 0)
    assert viewer.stage.view.p == 2
    viewer.load_fov(99)
    viewer.load_fov(-1)
    assert viewer.stage.view.p == 2
    viewer.end_zarr_acquisition()


def test_indices_set_by_a_host_are_clamped_and_unknown_dimensions_refused(qtbot, viewer, tmp_path):
    assert not viewer.set_current_index("fov", 0)
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    assert viewer.set_current_index("fov", 99)
    assert viewer.stage.view.p == 2
    assert not viewer.set_current_index("nonsense", 0)
    assert viewer.set_current_index("channel", 1)
    settle(qtbot, viewer)


# ---- a host's life -----------------------------------------------------------------------------


def test_every_method_may_be_called_on_an_empty_and_on_a_closed_viewer(qtbot, tmp_path):
    widget = LightweightViewer()
    qtbot.addWidget(widget)
    for _ in range(2):
        widget.notify_zarr_frame(0, 0, 0, "c")
        widget.end_zarr_acquisition()
        widget.end_acquisition()
        widget.load_fov(0)
        widget.refresh()
        assert widget.get_fov_list() == []
        assert not widget.has_fov_dimension()
        assert not widget.is_push_mode_active()
        assert not widget.go_to_well_fov("A1", 0)
        widget.close()
    widget.start_zarr_acquisition([str(tmp_path / "a")], ["c"], 1, ["A1:0"], 8, 8)
    widget.load_dataset(str(tmp_path))
    assert widget.dataset is None


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
    qtbot.waitUntil(lambda: not launcher.viewer_windows, timeout=5_000)


def test_a_folder_dropped_on_the_window_is_opened(qtbot, tmp_path):
    from qtpy.QtCore import QMimeData, QPoint, Qt, QUrl
    from qtpy.QtGui import QDropEvent

    run = small_run(tmp_path / "run")
    write(run)
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(run.folder))])
    place = QPoint(5, 5)
    if os.environ.get("QT_API") == "pyqt6":
        from qtpy.QtCore import QPointF

        place = QPointF(place)
    event = QDropEvent(
        place, Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        window.dropEvent(event)
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
    body = _SHOW.format(path=str(run.folder)) + f"""
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
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "writer 0" in result.stdout


def test_moving_the_viewer_to_another_window_does_not_leave_a_black_canvas(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    body = _SHOW.format(path=str(run.folder)) + """
def brightest():
    image = viewer.stage.canvas._gl.grabFramebuffer()
    return max(image.pixelColor(x, y).lightness() for x in range(0, image.width(), 7) for y in range(0, image.height(), 7))
pump(lambda: brightest() > 60)
other = QMainWindow(); other.resize(600, 500)
other.setCentralWidget(viewer); other.show()
pump(shown)
pump(lambda: brightest() > 60)
viewer.setParent(None); viewer.show()
pump(lambda: brightest() > 60)
viewer.close()
print("seen")
"""
    result = host(body)
    assert result.returncode == 0, result.stderr
    assert "seen" in result.stdout


def test_an_exception_in_a_slot_of_ours_does_not_end_the_host(tmp_path):
    body = """
app = QApplication([])
import ndviewer_light
viewer = ndviewer_light.LightweightViewer()
viewer.show()
def broken(*args): raise RuntimeError("fault injected")
viewer._mailbox.put(broken)
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
while "pip install" not in viewer._message.detail.toPlainText() and time.time() < end:
    app.processEvents(); time.sleep(0.01)
print(viewer._message.detail.toPlainText())
viewer.start_zarr_acquisition(["/nowhere/a"], ["c"], 1, ["A1:0"], 8, 8)
viewer.end_zarr_acquisition()
viewer.close()
"""
    result = host(body)
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
import ndviewer_light.gui.application as a
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


def test_help_says_what_there_is():
    result = subprocess.run(
        [sys.executable, "-m", "ndviewer_light", "--help"], cwd=REPO, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0
    assert "launcher" in result.stdout
