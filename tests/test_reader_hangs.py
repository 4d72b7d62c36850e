"""Files, servers and readers that hang: said in time, and they hold no other plane back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from isolated_image import K, disk_that_hangs_when_told, hang, image_on_disk, reading_now, wait_for_end  # noqa: F401
from memory_source import TIMEOUT, Gate, in_thread, wait_until

from ndviewer_light import errors, open_dataset
from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.isolation import spawned_process
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.isolation.spawned_process import READS_IN_FLIGHT
from ndviewer_light.model import PlaneKey, PlaneState
from tests import stress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = [PlaneKey(t, 0, c, z) for t in range(2) for c in range(2) for z in range(2)]
HUNG, FINE = KEYS[:READS_IN_FLIGHT], KEYS[READS_IN_FLIGHT:]


@pytest.fixture
def soon(monkeypatch) -> None:
    """Take for hung what takes half a second."""
    monkeypatch.setattr("ndviewer_light.isolation.client.HUNG_SECONDS", 0.5)
    monkeypatch.setattr("ndviewer_light.engine.read_workers.HUNG_SECONDS", 0.5)


@pytest.fixture
def dataset(image, soon) -> Iterator[Dataset]:
    with open_dataset(image, isolate=True, timeout=60) as opened:
        yield opened


@contextlib.contextmanager
def with_deadline(path: Path, seconds: float) -> Iterator[Dataset]:
    """The dataset, with a deadline for reads alone: a busy computer takes long to start a process."""
    source = IsolatedSource(str(path), timeout=seconds)
    source._readers._seconds = TIMEOUT
    source.start()
    with Dataset(source, path=str(path)) as opened:
        yield opened


def source_of(dataset: Dataset) -> IsolatedSource:
    source = dataset._source
    assert isinstance(source, IsolatedSource)
    return source


# ---- past the deadline -----------------------------------------------------------------------------------


def test_a_plane_that_hangs_is_an_error_that_names_it_and_the_reader_is_replaced(image):
    put_back = hang(image, K)
    with with_deadline(image, 1.0) as opened:
        pid = source_of(opened).pid
        with pytest.raises(
            errors.ReadTimeoutError, match=r"t=0 p=0 c=0 z=0 of .*image\.ome\.zarr timed out"
        ) as hung:
            opened.plane()
        assert isinstance(hung.value, TimeoutError)
        assert "after 1 s" in str(hung.value)
        wait_for_end(pid)
        np.testing.assert_array_equal(opened.plane(*FINE[0]), stores.plane(*FINE[0]))
        put_back()
        np.testing.assert_array_equal(opened.plane(*K), stores.plane())


@pytest.mark.parametrize("ask", ["plane", "refresh", "plane_shape"])
def test_a_reader_that_is_stopped_is_replaced_after_the_deadline(image, ask):
    with with_deadline(image, 1.0) as opened:
        pid = source_of(opened).pid
        os.kill(pid, signal.SIGSTOP)
        asking = {
            "plane": opened.plane,
            "refresh": opened.refresh,
            "plane_shape": lambda: source_of(opened).plane_shape(K),
        }[ask]
        with pytest.raises(errors.ReadTimeoutError, match="timed out after 1 s"):
            asking()
        wait_for_end(pid)
        np.testing.assert_array_equal(opened.plane(*FINE[0]), stores.plane(*FINE[0]))


def test_what_waits_beside_the_request_that_timed_out_is_sent_again(image):
    with with_deadline(image, 2.0) as opened:
        source = source_of(opened)
        os.kill(source.pid, signal.SIGSTOP)
        first = in_thread(source.read_plane, K)
        wait_until(lambda: len(reading_now(source)) == 1)
        time.sleep(0.5)  # so that it is the first that times out
        others = [in_thread(source.read_plane, key) for key in FINE]
        for key, other in zip(FINE, others, strict=True):
            np.testing.assert_array_equal(other.result(TIMEOUT), stores.plane(*key))
        with pytest.raises(errors.ReadTimeoutError):
            first.result(TIMEOUT)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", ["a.json", "a.ozx", "a.h5", "a.tif", "a.nd2", "a.png"])
def test_opening_what_hangs_ends(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(errors.DatasetError, match=name):
        IsolatedSource.open(str(tmp_path / name), timeout=2.0)


def test_while_it_is_opened_that_is_told_and_afterwards_not(image, monkeypatch):
    source = IsolatedSource(str(image), timeout=1.5)
    assert source.opening_since is None
    monkeypatch.setattr(spawned_process, "_BOOTSTRAP", "import time; time.sleep(60)")
    before = time.monotonic()
    starting = in_thread(source.start)
    wait_until(lambda: source.opening_since is not None)
    assert before <= source.opening_since <= time.monotonic()
    with pytest.raises(errors.ReadTimeoutError, match=r"opening .*image\.ome\.zarr timed out"):
        starting.result(TIMEOUT)
    assert source.opening_since is None
    source.close()


def test_a_plane_that_timed_out_is_tried_again_with_pauses_not_at_once(image):
    hang(image, K)
    with with_deadline(image, 0.5) as opened:
        pids = {source_of(opened).pid}
        [plane] = opened.planes([K], wait=None)
        assert plane.state is PlaneState.UNREADABLE
        assert "timed out" in plane.reason
        for _ in range(20):  # asked for at every frame, it is not read at every frame
            opened.planes([K], wait=0)
            pids.add(source_of(opened).pid)
        assert len(pids - {None}) <= 2


# ---- before the deadline ---------------------------------------------------------------------------------


def test_planes_that_hang_hold_back_no_other_plane(dataset, image):
    for key in HUNG:
        hang(image, key)
    hung = dataset.planes(HUNG, wait=0)
    assert [plane.state for plane in hung] == [PlaneState.LOADING] * len(HUNG)
    pid = source_of(dataset).pid
    for key in FINE:  # a view of all of them: nothing is given up
        view = [*HUNG, key]
        wait_until(lambda view=view: dataset.planes(view, wait=0)[-1].state is PlaneState.PRESENT)
        np.testing.assert_array_equal(dataset.planes(view, wait=0)[-1].pixels, stores.plane(*key))
    assert source_of(dataset).pid != pid
    assert all(dataset.waiting_since(key) is not None for key in HUNG)


def test_one_plane_that_hangs_beside_others_needs_no_other_process(dataset, image):
    hang(image, K)
    pid = source_of(dataset).pid
    dataset.planes([K], wait=0)
    wait_until(lambda: reading_now(source_of(dataset)))
    process = source_of(dataset)._readers.process
    process.patience = TIMEOUT  # others may wait for a busy computer
    for call in list(process._calls.values()):
        call.since -= 2 * TIMEOUT
    for key in (*FINE, *FINE):
        np.testing.assert_array_equal(source_of(dataset).read_plane(key), stores.plane(*key))
    assert source_of(dataset).pid == pid


def test_a_reader_that_is_stopped_holds_back_no_other_plane(dataset):
    stopped = source_of(dataset).pid

    def is_noticed(source: IsolatedSource) -> bool:
        process = source._readers.process  # None while it is being replaced
        return process is None or process.pid != stopped or process.has_hung_calls

    os.kill(stopped, signal.SIGSTOP)
    hung = in_thread(dataset.plane, *K)
    behind = in_thread(dataset.plane, *FINE[0])  # sent to the same process, a moment later
    np.testing.assert_array_equal(behind.result(TIMEOUT), stores.plane(*FINE[0])) if hung.done() else None
    for key in FINE[1:]:
        wait_until(lambda: is_noticed(source_of(dataset)))
        np.testing.assert_array_equal(in_thread(dataset.plane, *key).result(TIMEOUT), stores.plane(*key))
    os.kill(stopped, signal.SIGCONT)
    np.testing.assert_array_equal(behind.result(TIMEOUT), stores.plane(*FINE[0]))
    np.testing.assert_array_equal(hung.result(TIMEOUT), stores.plane())
    wait_for_end(stopped)  # nobody waits for it any more


@pytest.mark.parametrize("what", ["kills", "stops"])
def test_while_scrubbing_the_next_plane_comes_though_readers_fail(tmp_path, monkeypatch, caplog, what):
    # each read is given up long before its deadline: that alone has to tell that the process is of no use
    monkeypatch.setattr("ndviewer_light.isolation.client.HUNG_SECONDS", 1000.0)
    assert len(stress.waits(what, 2, tmp_path, deadline=0.5)) == 2
    assert all("ended unexpectedly (SIGKILL)" in message for message in caplog.messages)


# ---- the cache -------------------------------------------------------------------------------------------


def test_workers_whose_reads_hang_are_replaced(soon):
    gate, started = Gate(), []

    def read(key: PlaneKey, level: int) -> np.ndarray:
        started.append(key)
        if key.t == 0:
            gate(key)
        return np.zeros((2, 2), np.uint8)

    cache = PlaneCache(read, workers=2)
    hung = cache.request([PlaneKey(0, p, 0, 0) for p in range(3)])
    fine = cache.request([PlaneKey(1, p, 0, 0) for p in range(3)])
    for future in fine:
        assert future.result(TIMEOUT).shape == (2, 2)
    assert not any(future.done() for future in hung)
    gate.open()
    for future in hung:
        assert future.result(TIMEOUT).shape == (2, 2)
    wait_until(lambda: len(cache._workers.threads) <= 2)
    cache.close()


def test_since_when_a_plane_is_waited_for():
    gate = Gate()
    cache = PlaneCache(lambda key, level: gate(key) or np.zeros((2, 2), np.uint8), workers=1)
    before = time.monotonic()
    running, queued = cache.request([K, FINE[0]])
    gate.wait_for_one()
    for key in (K, FINE[0]):
        assert before <= cache.waiting_since(key) <= time.monotonic()
        assert cache.waiting_since(key, level=1) is None
    gate.open()
    running.result(TIMEOUT), queued.result(TIMEOUT)
    wait_until(lambda: cache.waiting_since(K) is None and cache.waiting_since(FINE[0]) is None)
    cache.close()


@pytest.mark.parametrize("others", [0, 1, 4])
def test_without_a_thread_to_read_with_the_planes_fail_and_later_ones_are_read(monkeypatch, others):
    start, left = threading.Thread.start, iter(range(others))

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("ndviewer-") and next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(self)

    cache = PlaneCache(lambda key, level: np.zeros((2, 2), np.uint8), workers=4)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        futures = cache.request(KEYS)
    for future in futures:
        error = future.exception(TIMEOUT)
        assert (error is None) if others else isinstance(error, errors.OutOfResourcesError)
    for key in FINE:
        assert cache.request([key]) is not None
        assert cache.read(key).shape == (2, 2)
    cache.close()


@pytest.mark.parametrize("joined_by", ["read", "request"])
def test_ctrl_c_in_one_thread_is_not_raised_in_those_that_wait_for_the_same_plane(joined_by):
    gate, raising = Gate(), [KeyboardInterrupt()]

    def read(key: PlaneKey, level: int) -> np.ndarray:
        gate(key)
        if raising:
            raise raising.pop()
        return np.ones((2, 2), np.uint8)

    cache = PlaneCache(read, workers=1)
    interrupted = in_thread(cache.read, K)
    gate.wait_for_one()
    joined = [
        in_thread(cache.read, K)
        if joined_by == "read"
        else in_thread(lambda: cache.request([K])[0].result(TIMEOUT))
        for _ in range(3)
    ]
    if joined_by == "read":
        wait_until(lambda: next(iter(cache._reading.values())).joined)
    else:
        time.sleep(0.1)
    gate.open()
    with pytest.raises(KeyboardInterrupt):
        interrupted.result(TIMEOUT)
    for each in joined:
        assert each.result(TIMEOUT).all()
    cache.close()


@pytest.mark.parametrize(
    "panic", [SystemExit(1), GeneratorExit(), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_whatever_a_worker_meets_is_an_error_of_the_plane_and_it_lives_on(panic):
    raising = [panic]

    def read(key: PlaneKey, level: int) -> np.ndarray:
        if raising:
            raise raising.pop()
        return np.ones((2, 2), np.uint8)

    cache = PlaneCache(read, workers=1)
    error = cache.request([K])[0].exception(TIMEOUT)
    assert isinstance(error, errors.DatasetError)
    assert type(panic).__name__ in str(error)
    assert cache.request([K])[0].result(TIMEOUT).all()
    cache.close()


@pytest.mark.parametrize(
    "odd", [(0, None, 0, 0), (0, "1", 0, 0), (0, 0, 0), (0, 1.5, 0, 0), (0, 2**70, 0, 0), [0]], ids=str
)
def test_a_notification_that_names_no_plane_costs_no_other_one(odd):
    versions = dict.fromkeys(KEYS, 0)
    cache = PlaneCache(lambda key, level: np.full((2, 2), versions[key], np.uint8))
    for key in KEYS:
        cache.read(key)
        versions[key] = 1
    for key in KEYS[:4]:
        cache.mark_stale(key)
    cache.mark_stale(odd)
    for key in KEYS[4:]:
        cache.mark_stale(key)
    assert [int(cache.read(key).max()) for key in KEYS] == [1] * len(KEYS)
    rows, _ = cache.take_notified()
    assert {tuple(row) for row in np.concatenate(rows).tolist()} >= set(map(tuple, KEYS))
    cache.close()
