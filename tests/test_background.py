"""Work in the background: what goes wrong delays it and is said; it never stays off, and it has an end."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from memory_source import TIMEOUT, Clock, Gate, MemorySource, wait_until

from ndviewer_light.engine.background_work import AFTER_FAILURE_SECONDS, BackgroundWork
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.short_turns import short_turns
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Iterator

K = PlaneKey()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set(monkeypatch)
    return clock


@pytest.fixture
def work():
    work = BackgroundWork("ndviewer-test-work", "doing what the test does")
    yield work
    work.close()


class NoThreads:
    """`threading.Thread.start` of the threads called `name` fails while `failing`."""

    def __init__(self, monkeypatch, name: str) -> None:
        self.failing = True
        self.failed = 0
        start = threading.Thread.start

        def start_or_fail(thread):
            if self.failing and thread.name == name:
                self.failed += 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_or_fail)


def idle(work: BackgroundWork) -> None:
    def ended() -> bool:
        with work._lock:
            return not work._is_running

    wait_until(ended)


def warnings_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# ---- the work itself -------------------------------------------------------------------------------


def test_work_is_done_by_one_thread_at_a_time(work, clock):
    gate = Gate()
    assert work.begin(gate, clock.now)
    gate.wait_for_one()
    assert not work.begin(gate, clock.now)
    gate.open()
    idle(work)
    assert work.begin(gate, clock.now)


def test_the_thread_is_kept_for_the_next_work_and_ends_when_it_is_closed(work, clock, monkeypatch):
    ran: list[threading.Thread] = []

    def note() -> None:
        ran.append(threading.current_thread())
        if len(ran) == 2:
            raise OSError("the thread lives on")

    for _ in range(3):
        assert work.begin(note, clock.now)
        idle(work)
        NoThreads(monkeypatch, "ndviewer-test-work")
        clock.now += 10
    assert ran == [ran[0]] * 3
    assert ran[0].is_alive()
    work.close()
    ran[0].join(TIMEOUT)
    assert not ran[0].is_alive()


@pytest.mark.parametrize("error", [OSError("disk gone"), ValueError(), SystemExit(3)], ids=repr)
def test_work_that_fails_is_begun_again_ever_later_and_goes_on(work, clock, caplog, error):
    def fail():
        raise error

    for seconds in [*AFTER_FAILURE_SECONDS, AFTER_FAILURE_SECONDS[-1]]:
        assert work.begin(fail, clock.now)
        idle(work)
        assert "doing what the test does" in work.trouble
        assert not work.begin(fail, clock.now + 0.9 * seconds)
        clock.now += seconds
    assert len(warnings_in(caplog)) == 1, "said once"
    done = threading.Event()
    assert work.begin(done.set, clock.now)
    assert done.wait(TIMEOUT)
    idle(work)
    assert work.trouble == ""
    assert work.can_begin(clock.now), "back-off is over"


def test_a_thread_that_cannot_be_started_delays_the_work_only(work, clock, caplog, monkeypatch):
    none = NoThreads(monkeypatch, "ndviewer-test-work")
    done = threading.Event()
    assert not work.begin(done.set, clock.now)
    assert not work.begin(done.set, clock.now)
    assert none.failed == 1
    assert "can't start new thread" in work.trouble
    clock.now += 1
    assert not work.begin(done.set, clock.now)
    assert none.failed == 2
    assert len(warnings_in(caplog)) == 1
    none.failing = False
    clock.now += 2
    assert work.begin(done.set, clock.now)
    assert done.wait(TIMEOUT)


def test_work_that_was_closed_is_not_begun_and_says_nothing(work, clock, caplog):
    gate = Gate()

    def fail_late():
        gate()
        raise OSError("closed under it")

    work.begin(fail_late, clock.now)
    gate.wait_for_one()
    work.close()
    gate.open()
    idle(work)
    assert not work.begin(gate, clock.now + 100)
    assert work.trouble == ""
    assert not warnings_in(caplog)


# ---- a dataset that is followed --------------------------------------------------------------------


def look_until(dataset, clock, condition) -> None:
    """Let a GUI poll while the clock goes on, until `condition`; looks are waited for."""
    for _ in range(200):
        clock.now += 0.25
        dataset.take_changes()
        idle(dataset._follower._work)
        if condition():
            return
    raise AssertionError("it never came true")


def test_the_disk_is_followed_again_after_threads_could_not_be_started(clock, monkeypatch, caplog):
    source = MemorySource()
    source.write(K, 1)
    none = NoThreads(monkeypatch, "ndviewer-look")
    with Dataset(source, live=True) as dataset:
        dataset.planes([K], wait=None)
        look_until(dataset, clock, lambda: none.failed >= 3)
        assert any("following the disk" in warning for warning in dataset.info.warnings)
        assert dataset.info is dataset.info, "the same object until more is known"
        assert [text for text in warnings_in(caplog) if "following the disk" in text] != []
        none.failing = False
        source.write(K, 2)
        look_until(dataset, clock, lambda: dataset.planes([K], wait=None)[0].pixels[0, 0] == 2)
        assert dataset.info is source.info, "and nothing is said any more"


def test_that_following_fails_and_works_again_is_news(clock, monkeypatch):
    none = NoThreads(monkeypatch, "ndviewer-look")
    with Dataset(MemorySource(), live=True) as dataset:
        said = []
        for _ in range(100):
            clock.now += 0.25
            none.failing = len(said) < 30
            said.append(dataset.take_changes().info)
            idle(dataset._follower._work)
    assert said.count(True) == 2


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), RuntimeError("any"), MemoryError()], ids=repr
)
@pytest.mark.parametrize("where", ["refresh", "read_plane"])
def test_the_disk_is_followed_again_after_a_look_raised_what_nobody_expects(clock, caplog, error, where):
    source = MemorySource()
    source.write(K, 1)
    failing = threading.Event()
    original = getattr(source, where)

    def fail_while_told(*args):
        if failing.is_set():
            raise error
        return original(*args)

    setattr(source, where, fail_while_told)
    with Dataset(source, live=True) as dataset:
        dataset.planes([K], wait=None)
        failing.set()
        look_until(dataset, clock, lambda: dataset._follower.trouble)
        assert dataset.info.warnings != ()
        failing.clear()
        source.write(K, 2)
        look_until(dataset, clock, lambda: dataset.planes([K], wait=None)[0].pixels[0, 0] == 2)
        assert dataset.info.warnings == ()


def test_a_plane_that_was_expected_when_no_thread_could_be_started_is_still_found(clock, monkeypatch):
    source = MemorySource()
    none = NoThreads(monkeypatch, "ndviewer-look")
    with Dataset(source, live=False) as dataset:  # only the notification is a reason to look
        dataset.notify(7, 0, 0, 0)
        look_until(dataset, clock, lambda: none.failed)
        none.failing = False
        look_until(dataset, clock, lambda: source.looks)
        assert (7, 0, 0, 0) in source.looks


def test_planes_are_read_again_after_their_thread_could_not_be_started(clock, monkeypatch):
    source = MemorySource()
    source.write(K, 0)
    none = NoThreads(monkeypatch, "ndviewer-read-again")
    with Dataset(source, live=True) as dataset:
        for i in range(1, 4):
            dataset.planes([K], wait=None)
            dataset.notify(*K)
            clock.now += i
            dataset.take_changes()
        assert none.failed == 3
        assert any("reading what was just written" in warning for warning in dataset.info.warnings)
        none.failing = False
        clock.now += 10
        reads = len(source.reads)
        dataset.notify(*K)
        dataset.take_changes()
        dataset.notify(*K)  # and nobody asks for it but the thread
        wait_until(lambda: len(source.reads) > reads)
        wait_until(lambda: not dataset._rereader.trouble)


def test_reading_again_that_failed_once_goes_on(clock, monkeypatch):
    source = MemorySource()
    source.write(K, 0)
    with Dataset(source, live=True) as dataset:
        request, failing = dataset._cache.request, threading.Event()

        def fail_while_told(*args, **more):
            if failing.is_set() and not more:  # the thread's, not the view's
                raise MemoryError
            return request(*args, **more)

        monkeypatch.setattr(dataset._cache, "request", fail_while_told)
        dataset.planes([K], wait=None)
        failing.set()
        dataset.notify(*K)
        dataset.take_changes()
        wait_until(lambda: dataset._rereader.trouble)
        failing.clear()
        clock.now += 10
        reads = len(source.reads)
        dataset.notify(*K)
        dataset.take_changes()
        dataset.notify(*K)
        wait_until(lambda: len(source.reads) > reads)
        wait_until(lambda: not dataset._rereader.trouble)


def test_after_close_no_thread_is_left_of_a_dataset_that_is_written_and_looked_at(clock):
    source = MemorySource()
    source.write(K, 1)
    dataset = Dataset(source, live=True)
    dataset.planes([K], wait=None)
    source.before_read = Gate()
    clock.now += 1
    dataset.notify(*K)
    dataset.take_changes()
    dataset.notify(*K)
    source.before_read.wait_for_one()
    source.before_read.open()
    dataset.close()
    assert [t.name for t in threading.enumerate() if t.name in ("ndviewer-look", "ndviewer-read-again")] == []


# ---- short turns of the interpreter ----------------------------------------------------------------


@pytest.fixture
def interval() -> Iterator[float]:
    """How long a turn is, as it was before the test."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_turns_are_short_as_long_as_anybody_needs_that(interval: float) -> None:
    first, second = short_turns(), short_turns()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < interval
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == interval


@pytest.mark.parametrize("wanted", [0.02, 0.0001])
def test_turns_that_the_host_has_set_meanwhile_stay(interval: float, wanted: float) -> None:
    with short_turns():
        sys.setswitchinterval(wanted)
        with short_turns():
            assert sys.getswitchinterval() == pytest.approx(wanted)
    assert sys.getswitchinterval() == pytest.approx(wanted)
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(min(wanted, 0.0005))
    assert sys.getswitchinterval() == pytest.approx(wanted)
