"""A thread that works for what is wanted last: nothing in between, nothing after the end, never stuck."""

from __future__ import annotations

import logging
import threading

import pytest
from memory_source import TIMEOUT, Gate, wait_until

from ndviewer_light.errors import CorruptDataError, ReadDroppedError
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.latest_wanted import LatestWanted

NAME = "ndviewer-test-latest"


class Work:
    """Notes what it was called for; waits at `gates` for those that have one."""

    def __init__(self) -> None:
        self.gates: dict[str, Gate] = {}
        self.begun: list[str] = []
        self.done: list[str] = []
        self.dropped: list[str] = []
        self.errors: dict[str, list[Exception]] = {}

    def hold(self, wanted: str) -> Gate:
        return self.gates.setdefault(wanted, Gate())

    def __call__(self, wanted: str, scope) -> None:
        self.begun.append(wanted)
        if wanted in self.gates:
            self.gates[wanted]()
        if self.errors.get(wanted):
            raise self.errors[wanted].pop(0)
        (self.dropped if scope.dropped else self.done).append(wanted)


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def latest(work):
    background = Background()
    latest = LatestWanted(background.run, NAME, work)
    yield latest
    latest.close()
    for gate in work.gates.values():
        gate.open()
    wait_until(lambda: not latest.is_busy)
    background.end()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_what_is_replaced_before_its_turn_is_never_worked_for(latest, work):
    gate = work.hold("a")
    latest.want("a")
    gate.wait_for_one()
    for wanted in "bcd":
        latest.want(wanted)
    assert latest.is_busy
    assert len(threads()) == 1
    gate.open()
    wait_until(lambda: not latest.is_busy)
    assert work.begun == ["a", "d"]
    assert (work.dropped, work.done) == (["a"], ["d"])


def test_the_thread_ends_with_the_work_and_begins_again(latest, work):
    for wanted in "ab":
        latest.want(wanted)
        wait_until(lambda: not latest.is_busy and not threads())
    assert work.done == ["a", "b"]


def test_the_same_wanted_again_is_worked_for_again(latest, work):
    gate = work.hold("a")
    latest.want("a")
    gate.wait_for_one()
    latest.want("a")
    gate.open()
    wait_until(lambda: not latest.is_busy)
    assert (work.dropped, work.done) == (["a"], ["a"])


def test_reads_for_an_earlier_view_end(latest, work):
    """A read that only ends when it is given up, as one from a server that does not answer."""
    given_up, reading = threading.Event(), threading.Event()

    class Read:
        def give_up(self) -> None:
            given_up.set()

        def not_wanted(self) -> ReadDroppedError:
            return ReadDroppedError("no longer needed")

    def read(wanted, scope):
        if wanted == "b":
            work.done.append(wanted)
            return
        scope.add(Read())
        reading.set()
        assert given_up.wait(TIMEOUT)
        raise ReadDroppedError("no longer needed")

    latest._work = read
    latest.want("a")
    assert reading.wait(TIMEOUT)
    latest.want("b")
    wait_until(lambda: not latest.is_busy)
    assert work.done == ["b"]


def test_nothing_is_worked_for_when_nothing_is_wanted(latest, work):
    gate = work.hold("a")
    latest.want("a")
    gate.wait_for_one()
    latest.want("b")
    latest.want(None)
    gate.open()
    wait_until(lambda: not latest.is_busy)
    assert work.begun == ["a"]


def test_nothing_is_worked_for_after_the_end(latest, work):
    gate = work.hold("a")
    latest.want("a")
    gate.wait_for_one()
    latest.close()
    latest.want("b")
    gate.open()
    wait_until(lambda: not latest.is_busy and not threads())
    assert (work.begun, work.dropped) == (["a"], ["a"])


def test_an_error_is_logged_and_ends_nothing(latest, work, caplog):
    work.errors["a"] = [CorruptDataError("damaged")]
    latest.want("a")
    wait_until(lambda: not latest.is_busy)
    assert [(each.levelno, str(each.exc_info[1])) for each in caplog.records] == [(logging.ERROR, "damaged")]
    latest.want("a")
    wait_until(lambda: not latest.is_busy)
    assert work.done == ["a"]


def test_reads_that_others_had_given_up_are_begun_again(latest, work):
    work.errors["a"] = [ReadDroppedError("given up by others")] * 2
    latest.want("a")
    wait_until(lambda: not latest.is_busy)
    assert (work.begun, work.done) == (["a"] * 3, ["a"])


def test_reads_that_are_given_up_again_and_again_do_not_keep_it_busy(latest, work):
    """At the end of the program no server is read from any more, however often it is tried."""
    work.errors["a"] = [ReadDroppedError("the program is exiting")] * 1000
    latest.want("a")
    wait_until(lambda: not latest.is_busy)
    assert 1 < len(work.begun) < 20
    latest.want("b")
    wait_until(lambda: not latest.is_busy)
    assert work.done == ["b"]


def test_where_there_are_no_threads_what_is_wanted_next_is_worked_for(work):
    is_failing = True

    def start(name, function):
        if is_failing:
            raise RuntimeError("can't start new thread")
        threading.Thread(target=function, name=name).start()

    latest = LatestWanted(start, NAME, work)
    latest.want("a")
    assert not latest.is_busy
    is_failing = False
    latest.want("b")
    wait_until(lambda: not latest.is_busy)
    assert work.done == ["b"]
