"""Reader processes that die, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import stores
from isolated_image import (
    SECOND,
    K,
    disk_that_hangs_when_told,  # noqa: F401
    hang,
    host,
    image_on_disk,  # noqa: F401
    reading_now,
    source_in_a_reader,  # noqa: F401
    wait_for_end,
)
from memory_source import TIMEOUT, Clock, in_thread, memory_info, wait_until

from ndviewer_light import errors
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.live.acquisition import announce_per_fov
from ndviewer_light.model import PlaneKey, PlaneState, announced_info


def wait_until_asked(opened: IsolatedSource, n: int = 1) -> None:
    """Block until `n` reads are under way."""
    wait_until(lambda: len(opened._readers.process._calls) >= n)


# ---- death -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noticed", [False, True], ids=["at once", "when it has been noticed"])
def test_a_reader_killed_between_reads_is_replaced_and_that_is_said(opened, noticed):
    opened.read_plane(K)
    pid, process = opened.pid, opened._readers.process
    os.kill(pid, signal.SIGKILL)
    if noticed:
        wait_for_end(pid)
        wait_until(lambda: not process.alive)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    assert opened.pid not in (None, pid)
    [notice] = opened.info.warnings
    assert "SIGKILL" in notice
    assert "a new one was started" in notice


def test_a_reader_killed_during_a_read_is_replaced_and_the_plane_is_right(opened, image):
    restore = hang(image, SECOND)
    reading = in_thread(opened.read_plane, SECOND)
    wait_until_asked(opened)
    os.kill(opened.pid, signal.SIGKILL)
    restore()
    np.testing.assert_array_equal(reading.result(TIMEOUT), stores.plane(*SECOND))
    assert "SIGKILL" in opened.info.warnings[0]


def test_everybody_who_waits_when_the_reader_dies_gets_their_plane(opened, caplog):
    keys = [PlaneKey(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]
    os.kill(opened.pid, signal.SIGSTOP)  # it takes requests, and answers none
    reads = [in_thread(opened.read_plane, key) for key in keys]
    wait_until_asked(opened, len(keys))
    os.kill(opened.pid, signal.SIGKILL)
    for key, reading in zip(keys, reads, strict=True):
        np.testing.assert_array_equal(reading.result(TIMEOUT), stores.plane(*key))
    assert len(caplog.records) == 1, "one death, however many noticed"


def test_a_plane_that_ends_the_reader_each_time_is_left_alone_and_the_others_are_not(
    opened, image, monkeypatch
):
    clock = Clock()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    restore = hang(image, K)
    reading = in_thread(opened.read_plane, K)
    pids = set()
    for _ in range(3):  # what a damaged plane does: whichever process reads it dies
        wait_until(lambda: opened.pid not in {None, *pids} and reading_now(opened) == ["read"])
        pids.add(opened.pid)
        os.kill(opened.pid, signal.SIGKILL)
        clock.now += 10
    with pytest.raises(errors.ReaderCrashedError, match=r"t=0 p=0 c=0 z=0 of .*image\.ome\.zarr.*3 times"):
        reading.result(TIMEOUT)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    pid = opened.pid
    with pytest.raises(errors.ReaderCrashedError, match="will retry in one minute"):
        opened.read_plane(K)
    assert opened.pid == pid, "it is not read at all"
    restore()
    clock.now += 61
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())


def test_what_was_read_beside_a_plane_that_ends_the_reader_is_delivered(opened, image, monkeypatch):
    monkeypatch.setattr("ndviewer_light.isolation.blame._ALONE_SECONDS", 0.5)
    restore = [hang(image, key) for key in (K, SECOND)]
    bad, good = in_thread(opened.read_plane, K), in_thread(opened.read_plane, SECOND)
    wait_until(lambda: len(reading_now(opened)) == 2)
    os.kill(opened.pid, signal.SIGKILL)  # either may have been it
    restore[1]()
    np.testing.assert_array_equal(good.result(TIMEOUT), stores.plane(*SECOND))
    pids = set()
    for _ in range(2):
        wait_until(lambda: opened.pid not in {None, *pids} and reading_now(opened) == ["read"])
        pids.add(opened.pid)
        os.kill(opened.pid, signal.SIGKILL)
    with pytest.raises(errors.ReaderCrashedError, match="3 times"):
        bad.result(TIMEOUT)


def test_a_reader_killed_over_and_over_from_outside_is_always_replaced(opened):
    for _ in range(6):
        np.testing.assert_array_equal(opened.read_plane(K), stores.plane())
        os.kill(opened.pid, signal.SIGKILL)
    np.testing.assert_array_equal(opened.read_plane(K), stores.plane())


def test_metadata_that_ends_the_reader_each_time_is_left_alone(image, monkeypatch):
    monkeypatch.setattr(
        "ndviewer_light.isolation.spawned_process._BOOTSTRAP", "import os, signal; os.kill(os.getpid(), 9)"
    )
    clock = Clock()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    source = IsolatedSource(str(image))
    with pytest.raises(errors.ReaderCrashedError, match=r"opening .*image\.ome\.zarr crashed .* 3 times"):
        source.start()
    monkeypatch.undo()
    monkeypatch.setattr("ndviewer_light.isolation.blame.time", clock)
    clock.now += 61
    source.start()
    np.testing.assert_array_equal(source.read_plane(K), stores.plane())
    source.close()


def test_a_dead_reader_leaves_no_open_files_behind(opened):
    def n_open() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc here")
    opened.read_plane(K)
    before = n_open()
    for _ in range(2):
        pid = opened.pid
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        opened.read_plane(K)
    wait_until(lambda: n_open() <= before)  # its pipe is closed by the thread that listened to it


def test_what_was_learned_of_a_run_survives_the_reader(tmp_path):
    path = tmp_path / "fov_0.ome.zarr"
    run = announce_per_fov([str(path)], stores.CHANNELS[:2], 2, ["A1:0"], stores.HEIGHT, stores.WIDTH)
    opened = IsolatedSource(run, announced_info(run))
    assert opened.plane_shape(K) is None
    stores.write_image(path)
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    learned = opened.info
    assert (learned.n_t, learned.dtype) == (2, np.uint16)
    pid = opened.pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    with contextlib.suppress(errors.ReaderCrashedError):  # if its death is noticed only now
        opened.start()
    seen = [opened.info]
    np.testing.assert_array_equal(opened.read_plane(SECOND), stores.plane(*SECOND))
    seen.append(opened.info)
    assert [(info.n_t, info.dtype) for info in seen] == [(2, np.uint16)] * 2, "sizes never shrink"
    opened.close()


def test_through_a_dataset_a_killed_reader_costs_a_message(image):
    source = IsolatedSource.open(str(image))
    with Dataset(source, path=str(image)) as dataset:
        assert dataset.planes([K], wait=None)[0].state is PlaneState.PRESENT
        os.kill(source.pid, signal.SIGKILL)
        [plane] = dataset.planes([SECOND], wait=None)
        np.testing.assert_array_equal(plane.pixels, stores.plane(*SECOND))
        assert dataset.take_changes().info, "the message is news"
        assert "SIGKILL" in dataset.info.warnings[0]


# ---- the end ---------------------------------------------------------------------------------------


def test_close_during_hung_reads_ends_them_at_once_and_leaves_no_process(opened, image, caplog):
    dataset = Dataset(opened)
    keys = [PlaneKey(t, 0, 0, z) for t in range(2) for z in range(2)]
    for key in keys:
        hang(image, key)
    waiting = in_thread(opened.read_plane, keys[0])
    in_view = in_thread(lambda: dataset.planes(keys[1:], wait=None))
    wait_until_asked(opened, len(keys))
    pid = opened.pid
    dataset.close()
    with pytest.raises(errors.DatasetError):
        waiting.result(TIMEOUT)
    assert [plane.pixels for plane in in_view.result(TIMEOUT)] == [None] * 3
    wait_for_end(pid)
    assert not caplog.records, "closing is no fault"


def test_a_closed_reader_reads_nothing_and_starts_nothing(opened):
    pid = opened.pid
    opened.close()
    opened.close()
    for asking in (opened.read_plane, opened.plane_shape):
        with pytest.raises(errors.DatasetError, match="closed"):
            asking(K)
    wait_for_end(pid)
    assert opened.pid is None


def test_closing_while_it_is_being_opened_leaves_no_process(image):
    for _ in range(5):
        opened = IsolatedSource(str(image), memory_info())
        starting = in_thread(opened.start)
        wait_until(lambda opened=opened: opened._readers.opening_since is not None)
        opened.close()
        with contextlib.suppress(errors.DatasetError):
            starting.result(TIMEOUT)


def test_the_reader_ends_when_its_host_is_killed(image):
    code = """
        import os, signal, sys
        from ndviewer_light.isolation.client import IsolatedSource
        reader = IsolatedSource.open(sys.argv[1])
        print(reader.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = host(code, str(image))
    assert done.returncode == -signal.SIGKILL
    wait_for_end(int(done.stdout))


def test_the_reader_ends_when_its_host_is_killed_but_a_fork_of_the_host_lives_on(image):
    code = """
        import os, signal, subprocess, sys, time
        from ndviewer_light.isolation.client import IsolatedSource
        reader = IsolatedSource.open(sys.argv[1])
        fork = os.fork()
        if fork == 0:  # it has inherited our end of the pipe
            os.close(1), os.close(2)
            time.sleep(60)
            os._exit(0)
        print(reader.pid, fork, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    done = host(code, str(image))
    pid, fork = map(int, done.stdout.split())
    try:
        wait_for_end(pid)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_a_host_that_forgets_to_close_still_ends(image):
    code = """
        import sys
        from ndviewer_light.isolation.client import IsolatedSource
        from ndviewer_light.isolation.spare import prestart
        reader = IsolatedSource.open(sys.argv[1])
        prestart()
        print(reader.pid)
    """
    done = host(code, str(image))
    assert (done.returncode, done.stderr) == (0, "")
    wait_for_end(int(done.stdout))
