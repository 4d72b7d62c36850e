"""What is repeated goes on: the poll backs off, says so, and is never off for good."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QObject
from runs import load, planes_of, small_run, write
from screen import assert_shows, settle

from ndviewer_light.gui.background import IDLE, Background
from ndviewer_light.gui.poll import (
    _IDLE_STEPS,
    HURRIED_INTERVAL_MS,
    IDLE_INTERVAL_MS,
    LONGEST_INTERVAL_MS,
    POLL_INTERVAL_MS,
    Poll,
)
from simulate_acquisition import announce_run, notify_plane


class NoThreads:
    """While it is on, no thread of ours can be started, as where a system has no room for more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        self.refused = 0
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if self.on and thread.name.startswith("ndviewer-"):
                self.refused += 1
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.fixture
def no_threads(monkeypatch):
    return NoThreads(monkeypatch)


@pytest.mark.each_binding
def test_a_step_that_fails_is_tried_ever_more_slowly_and_at_full_speed_once_it_succeeds(qtbot):
    parent = QObject()
    broken, intervals, recovered = [True], [], []

    def step() -> None:
        intervals.append(poll.interval_ms)
        if broken[0]:
            raise OSError("no room")

    poll = Poll(step, parent)
    poll.failed.connect(lambda reason: intervals.append(reason))
    poll.recovered.connect(lambda: recovered.append(True))
    poll.start()
    qtbot.waitUntil(lambda: intervals.count("no room") >= 5, timeout=20_000)
    poll.stop()
    waits = [each for each in intervals if each != "no room"]
    assert waits == [POLL_INTERVAL_MS * 2**i for i in range(len(waits))]
    for _ in range(10):
        poll._on_timeout()
    assert poll.interval_ms == LONGEST_INTERVAL_MS
    broken[0] = False
    poll._on_timeout()
    assert poll.interval_ms == POLL_INTERVAL_MS
    assert recovered == [True]


@pytest.mark.each_binding
def test_what_was_posted_is_called_though_what_was_posted_before_it_fails(qtbot, caplog):
    parent = QObject()
    called = []
    poll = Poll(lambda: called.append("step"), parent)
    for function in (lambda: called.append(1), lambda: 1 / 0, lambda: called.append(2)):
        poll.post(function)
    poll._on_timeout()
    assert called == [1, 2, "step"]
    assert "posted" in caplog.text


@pytest.mark.each_binding
def test_functions_wait_for_a_thread_and_none_is_lost(no_threads):
    background, done = Background(), threading.Semaphore(0)
    no_threads.on = True
    for _ in range(3):
        background.run("ndviewer-test", done.release)
    with pytest.raises(RuntimeError):
        background.start_waiting()
    assert not done.acquire(blocking=False)
    no_threads.on = False
    background.start_waiting()
    assert all(done.acquire(timeout=60) for _ in range(3))
    background.start_waiting()
    assert not done.acquire(blocking=False)


@pytest.mark.each_binding
def test_threads_are_kept_for_the_next_work_and_end_with_their_owner(no_threads, monkeypatch):
    background, ran, failed = Background(), [], []
    monkeypatch.setattr(threading, "excepthook", failed.append)

    def run(name, *, fails=False):
        done = threading.Event()

        def work() -> None:
            ran.append((threading.current_thread(), threading.current_thread().name))
            done.set()
            if fails:
                raise OSError("broken")

        background.run(name, work)
        assert done.wait(60)
        end = time.monotonic() + 60
        while any(each.name == name for each in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.01)

    run("ndviewer-first", fails=True)
    assert [str(args.exc_value) for args in failed] == ["broken"]
    kept = [each for each in threading.enumerate() if each.name.startswith(IDLE)]
    no_threads.on = True  # none is started any more, and none is needed
    run("ndviewer-second")
    assert [name for _, name in ran] == ["ndviewer-first", "ndviewer-second"]
    assert [ran[0][0]] * 2 == [thread for thread, _ in ran]
    background.end()
    for thread in kept:
        thread.join(60)
        assert not thread.is_alive()
    no_threads.on = False
    run("ndviewer-late")  # as what is closed when a widget ends
    assert ran[-1][1] == "ndviewer-late"


@pytest.mark.gl
def test_no_thread_for_a_while_is_said_and_then_everything_goes_on(qtbot, viewer, tmp_path, no_threads):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    no_threads.on = True
    viewer.refresh()
    viewer.load_dataset(str(run.folder))  # never raises
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: "can't start new thread" in viewer.status_label.text(), timeout=20_000)
    qtbot.waitUntil(lambda: no_threads.refused > 12, timeout=30_000)  # more than the ten of before
    no_threads.on = False
    qtbot.waitUntil(lambda: "can't start" not in viewer.status_label.text(), timeout=20_000)
    for plane in run.planes():
        notify_plane(viewer, run, plane)
    qtbot.waitUntil(lambda: viewer.dataset.info.n_t == 2, timeout=20_000)
    viewer.load_fov(2, 1, 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))


@pytest.mark.gl
def test_what_changed_while_the_poll_could_not_look_is_shown_when_it_can(
    qtbot, viewer, tmp_path, monkeypatch
):
    run = small_run(tmp_path / "run")
    write(run)
    announce_run(viewer, run)
    settle_at = time.monotonic() + 60
    while viewer.dataset is None and time.monotonic() < settle_at:
        qtbot.wait(10)
    dataset = viewer.dataset
    take = dataset.take_changes
    lost = []

    def take_and_lose():
        lost.append(take())
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "take_changes", take_and_lose)
        for plane in run.planes():
            notify_plane(viewer, run, plane)
        qtbot.waitUntil(lambda: any(each.in_view for each in lost), timeout=20_000)
        assert "MemoryError" in viewer.status_label.text()
    qtbot.waitUntil(lambda: "MemoryError" not in viewer.status_label.text(), timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


@pytest.mark.each_binding
def test_with_nothing_to_do_it_polls_rarely_until_something_happens(qtbot):
    parent, news, steps = QObject(), [False], []

    def step() -> bool:
        steps.append(1)
        return news[0]

    poll = Poll(step, parent)
    for _ in range(_IDLE_STEPS):
        assert poll.interval_ms == POLL_INTERVAL_MS
        poll._on_timeout()
    assert poll.interval_ms == IDLE_INTERVAL_MS
    news[0] = True
    poll._on_timeout()
    assert poll.interval_ms == POLL_INTERVAL_MS
    news[0] = False
    for _ in range(_IDLE_STEPS):
        poll._on_timeout()
    poll.wake()
    assert poll.interval_ms == POLL_INTERVAL_MS
    for _ in range(_IDLE_STEPS):
        poll._on_timeout()
    for says, interval in ((False, IDLE_INTERVAL_MS), (None, POLL_INTERVAL_MS)):
        poll.post(lambda says=says: says)
        poll._on_timeout()
        assert poll.interval_ms == interval


@pytest.mark.each_binding
def test_for_a_moment_after_something_was_asked_for_it_polls_more_often(qtbot, monkeypatch):
    monkeypatch.setattr("ndviewer_light.gui.poll._HURRIED_SECONDS", 1e6)
    parent, fails = QObject(), [False]

    def step() -> bool:
        if fails[0]:
            raise OSError("no room")
        return False

    poll = Poll(step, parent)
    poll.hurry()
    assert poll.interval_ms == HURRIED_INTERVAL_MS
    poll._on_timeout()
    assert poll.interval_ms == HURRIED_INTERVAL_MS
    fails[0] = True
    poll._on_timeout()
    poll.hurry()  # not what fails
    assert poll.interval_ms == 2 * POLL_INTERVAL_MS
    fails[0] = False
    poll._on_timeout()
    monkeypatch.setattr("ndviewer_light.gui.poll._HURRIED_SECONDS", -1.0)
    poll.hurry()  # the moment is over
    poll._on_timeout()
    assert poll.interval_ms == POLL_INTERVAL_MS
    for _ in range(_IDLE_STEPS):
        poll._on_timeout()
    assert poll.interval_ms == IDLE_INTERVAL_MS


@pytest.mark.each_binding
def test_what_is_posted_for_the_next_turn_does_not_wait_for_the_next_poll(qtbot) -> None:
    owner = QObject()
    poll = Poll(lambda: False, owner)
    intervals: list[int] = []

    def again() -> None:
        intervals.append(poll.interval_ms)
        if len(intervals) < 5:
            poll.post_for_next_turn(again)

    poll.start()
    poll.post_for_next_turn(again)
    qtbot.waitUntil(lambda: len(intervals) == 5 and poll.interval_ms == POLL_INTERVAL_MS)
    assert set(intervals) == {0}
    poll.stop()
