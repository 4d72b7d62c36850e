"""Each frame's way from the disk to the screen: over the picture, in the log, and what is counted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import Qt
from runs import load, small_run, write
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.run_status.latency import STEPS, FrameLatency, LatencyLog, percentiles
from ndviewer_light.model import PlaneKey
from tests.live_writers.process import WriterProcess
from tests.live_writers.registry import WRITERS

REPO = Path(__file__).parents[1]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_percentiles_are_of_what_is_known():
    assert percentiles([None, *map(float, range(1, 101))]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert percentiles([None, 7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}
    assert percentiles([None]) is None


def test_the_log_has_a_line_per_frame_and_the_percentiles_last(tmp_path):
    frame = FrameLatency(3, 1, 2, 0, None, 10.0, 5.0, 15.0)
    with LatencyLog(tmp_path / "log.jsonl") as log:
        log.add(frame)
        log.add(frame._replace(written_noticed_ms=4.0, total_ms=19.0))
    first, second, last = lines_of(tmp_path / "log.jsonl")
    assert first == frame._asdict()
    assert second["total_ms"] == 19.0
    assert last["frames"] == 2
    assert last["written_noticed_ms"]["p50"] == 4.0
    assert last["total_ms"] == {"p50": 15.0, "p95": 19.0, "p99": 19.0}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_log_that_cannot_be_written_says_so_and_ends(caplog):
    with LatencyLog("/dev/full") as log:
        log.add(FrameLatency(3, 1, 2, 0, None, 10.0, 5.0, 15.0))
    assert [each.getMessage() for each in caplog.records] == [
        "/dev/full is not written any further: No space left on device"
    ]


def test_reads_and_notifications_of_what_is_in_view_are_noted_and_taken_once():
    key = PlaneKey(1, 0, 1, 0)
    source = MemorySource(memory_info())
    source.write(key, 7)
    with Dataset(source, live=True) as dataset:
        dataset.mark_written((0, 0, 0, 0))  # not in view
        before = time.monotonic()
        dataset.planes([key], wait=None)
        dataset.mark_written(key)
        assert [told for told, _ in dataset.times.take_notified()] == [key]
        (read,) = dataset.times.take_read()
        assert (read.key, read.level, read.written) == (key, 0, None)
        assert before <= read.asked <= read.done <= time.monotonic()
        assert dataset.times.take_read() == dataset.times.take_notified() == []


@pytest.mark.gl
def test_the_key_shows_and_hides_the_ways_of_the_frames_drawn(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    overlay = viewer.stage.overlay
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert overlay.latency() == ""
    qtbot.keyClick(viewer, Qt.Key.Key_L)
    qtbot.waitUntil(lambda: "noticed → read" in overlay.latency())
    assert overlay.latency().startswith("written → noticed ?")  # it was written before it was opened
    assert overlay.latency() in overlay.accessibleDescription()
    qtbot.keyClick(viewer, Qt.Key.Key_L)
    assert overlay.latency() == ""


def check_steps(frame):
    steps = [frame[step] or 0.0 for step in STEPS]
    assert min(steps) >= 0
    assert sum(steps[:3]) == pytest.approx(steps[3], abs=0.01)


@pytest.mark.gl
def test_a_frame_of_an_announced_run_is_logged_from_its_notification_on(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    with viewer.run(run.fov_paths, run.channels, run.height, run.width, 1, run.fov_labels) as handle:
        settle(qtbot, viewer)
        with LatencyLog(tmp_path / "log.jsonl") as log:
            viewer.latencies.log = log
            write(run)
            for c in range(len(run.channels)):
                handle.notify(c=c)
            qtbot.waitUntil(lambda: bool((tmp_path / "log.jsonl").read_text()), timeout=20_000)
            viewer.latencies.log = None
    *frames, summary = lines_of(tmp_path / "log.jsonl")
    assert summary["frames"] == len(frames) > 0
    place = {"t": 0, "p": 0, "z": 0, "level": 0, "written_noticed_ms": None}
    for frame in frames:
        assert {name: frame[name] for name in place} == place
        check_steps(frame)


@pytest.mark.gl
def test_what_is_followed_by_its_path_alone_is_logged_from_the_write_on(qtbot, viewer, tmp_path):
    path, plan = tmp_path / "run.ome.zarr", WRITERS["tensorstore-v3"].plan(16, rate=5.0)
    log = LatencyLog(tmp_path / "log.jsonl")
    viewer.latencies.log = log
    viewer.follow(path)
    writer = WriterProcess("tensorstore-v3", path, plan)
    try:
        qtbot.waitUntil(lambda: '"t": 7' in (tmp_path / "log.jsonl").read_text(), timeout=40_000)
    finally:
        writer.stop()
        log.close()
    *frames, summary = lines_of(tmp_path / "log.jsonl")
    for frame in frames:
        check_steps(frame)
    assert frames[-1]["written_noticed_ms"] is not None
    assert summary["written_noticed_ms"]["p50"] >= 0


@pytest.mark.gl
def test_the_program_logs_until_it_is_asked_to_end(tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "ndviewer_light", "--latency-log", str(log), str(run.folder)]
    with subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, errors
    *frames, summary = lines_of(log)
    assert summary["frames"] == len(frames) >= 1
    refused = subprocess.run(
        [*command[:4], str(tmp_path / "no" / "log")], cwd=REPO, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 1
    assert "--latency-log" in refused.stderr
    assert "Traceback" not in refused.stderr and "Errno" not in refused.stderr
