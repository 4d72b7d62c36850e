"""Runs as `with` blocks, and following what a writer writes by the writer itself or its path."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from memory_source import wait_until
from runs import CHANNELS, planes_of, small_run, write
from screen import assert_shows, settle

pytestmark = pytest.mark.gl


def started(viewer, run):
    return viewer.run(
        [Path(path) for path in run.fov_paths],
        run.channels,
        run.height,
        run.width,
        num_z=run.n_z,
        labels=run.fov_labels,
    )


@pytest.mark.each_binding
def test_a_run_notified_by_index_and_name_from_a_thread_is_shown(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")

    def acquire() -> None:
        with started(viewer, run) as handle:
            write(run)
            said.append(handle.notify(t=1, p=2, c=0, z=1))
            said.append(handle.notify(t=1, p=2, c=CHANNELS[1], z=1))
            said.append(handle.active)
        said.append(handle.active)

    said: list[bool] = []
    thread = threading.Thread(target=acquire)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=60_000)
    assert said == [True, True, True, False]
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.info.n_t == 2, timeout=20_000)
    assert not viewer.dataset.live
    viewer.load_fov(2, t=1, z=1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    assert [position.label for position in viewer.dataset.info.positions] == ["A1:0", "A1:1", "B2:0"]


def test_an_exception_ends_the_run_and_goes_on(viewer, tmp_path):
    with pytest.raises(RuntimeError, match="the stage is stuck"), started(viewer, small_run(tmp_path)) as run:
        assert viewer.dataset.live
        raise RuntimeError("the stage is stuck")
    assert not run.active
    assert not viewer.dataset.live


def test_what_is_no_plane_of_the_run_is_ignored(viewer, tmp_path):
    with started(viewer, small_run(tmp_path)) as run:
        outside = [{"t": -1}, {"p": 3}, {"c": 2}, {"c": -1}, {"c": "GFP"}, {"z": 2}, {"z": "a"}, {"c": None}]
        assert [run.notify(**each) for each in outside] == [False] * len(outside)
    with pytest.raises(ValueError, match="must not be empty"):
        viewer.run([], ["GFP"], 8, 8)


def test_a_run_that_was_replaced_has_no_effect_on_the_next(viewer, tmp_path):
    first = started(viewer, small_run(tmp_path / "first"))
    second = viewer.run([tmp_path / "second" / "0"], ["GFP"], 8, 8)
    wait_until(lambda: not first.active)  # it is closed in a thread
    assert not first.notify(t=0)
    first.end()
    assert second.active
    assert viewer.dataset.live
    viewer.close()
    wait_until(lambda: not second.active)
    assert not second.notify()
    assert not viewer.run(["a"], ["GFP"], 8, 8).active


# ---- follow ----------------------------------------------------------------------------------


def named(path):
    return {
        "path": path,
        "text": str(path),
        "stream": SimpleNamespace(_settings=SimpleNamespace(output_path=str(path), root_path="elsewhere")),
        "settings": SimpleNamespace(output_path="", root_path=str(path)),
        "writer": SimpleNamespace(path=path),
    }


@pytest.mark.parametrize("form", ["path", "text", "stream", "settings", "writer"])
def test_what_names_its_path_is_followed_there(viewer, tmp_path, form):
    viewer.follow(named(tmp_path / "run.ome.zarr")[form])
    assert viewer.dataset_path == str(tmp_path / "run.ome.zarr")
    assert viewer.status_label.text() == f"Waiting for {tmp_path / 'run.ome.zarr'}"


def test_what_names_no_path_is_refused_on_screen(qtbot, viewer):
    with qtbot.waitSignal(viewer.dataset_failed) as failed:
        viewer.follow(SimpleNamespace(output_path=None))
    assert "Expected the path or URL of a dataset, not a SimpleNamespace" in " ".join(
        [*failed.args, viewer._screen.message.detail.toPlainText()]
    )


@pytest.mark.parametrize("value", [np.zeros((3, 8, 8)), 5, ["/a"]])
def test_load_dataset_of_what_is_no_path_says_so_and_raises_nothing(qtbot, viewer, value):
    with qtbot.waitSignal(viewer.dataset_failed):
        viewer.load_dataset(value)
    assert "Expected the path or URL of a dataset" in viewer._screen.message.detail.toPlainText()


def test_a_stream_of_ome_writers_is_followed_to_its_newest_plane(qtbot, viewer, tmp_path):
    omew = pytest.importorskip("ome_writers")
    settings = omew.AcquisitionSettings(
        root_path=str(tmp_path / "run.ome.zarr"),
        dimensions=[
            omew.Dimension(name="t", count=None, type="time", chunk_size=1),
            omew.Dimension(name="y", count=64, type="space"),
            omew.Dimension(name="x", count=64, type="space"),
        ],
        dtype="uint16",
        format=omew.OmeZarrFormat(backend="zarr-python"),
    )
    with omew.create_stream(settings) as stream:
        viewer.follow(stream)
        stream.append(np.full((64, 64), 100, np.uint16))
        qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=30_000)
        settle(qtbot, viewer)
        for t in range(1, 4):
            stream.append(np.full((64, 64), 100 + t, np.uint16))
    qtbot.waitUntil(lambda: viewer.stage.view.t == 3, timeout=30_000)
    frame = settle(qtbot, viewer)
    assert frame.planes[0].pixels.max() == frame.planes[0].pixels.min() == 103
