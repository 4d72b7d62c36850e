"""`SingleFlight`: one does the work, the others wait. A model of threads, and interruptions at any moment."""

from __future__ import annotations

import contextlib
import gc
import queue
import signal
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ndviewer_light.errors import CorruptDataError, DatasetError, ReadDroppedError
from ndviewer_light.storage import single_flight
from ndviewer_light.storage.cancellation import CancelScope
from ndviewer_light.storage.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 60.0


class Asker:
    """A thread that asks for one key and does as it is told when it has to work."""

    def __init__(self, flights: SingleFlight[str, int], key: str) -> None:
        self.key = key
        self.works: queue.Queue[None] = queue.Queue()
        self.waits = threading.Event()
        self.checks = 0
        self.outcome: queue.Queue[int | BaseException] = queue.Queue()
        self.result: int | BaseException | None = None
        self._flights = flights
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._flights.do(self.key, self._work, self._check)
        except BaseException as error:  # noqa: BLE001  it is what is looked at
            self.result = error

    def _check(self) -> None:
        self.checks += 1
        self.waits.set()

    def _work(self) -> int:
        self.works.put(None)
        outcome = self.outcome.get(timeout=SOON)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def is_over(self) -> object:
        self._thread.join(SOON)
        assert not self._thread.is_alive()
        return self.result


class Interrupted(BaseException):
    """What concerns one thread alone."""


OF_ONE_ALONE = [KeyboardInterrupt, SystemExit, Interrupted, ReadDroppedError]


class Threads(RuleBasedStateMachine):
    """Any number of threads ask for a few keys; work ends well, in an error, or is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.poll_seconds = single_flight.POLL_SECONDS
        single_flight.POLL_SECONDS = SOON  # so that checks can be counted
        self.flights: SingleFlight[str, int] = SingleFlight()
        self.leaders: dict[str, Asker] = {}
        self.followers: dict[str, list[Asker]] = {}
        self.n = 0

    def busy(self) -> list[str]:
        return sorted(self.leaders)

    @precondition(lambda self: sum(map(len, self.followers.values())) < 8)
    @rule(key=st.sampled_from("abc"))
    def ask(self, key: str) -> None:
        asker = Asker(self.flights, key)
        if key in self.leaders:
            assert asker.waits.wait(SOON)
            assert asker.works.empty(), "two do the same work"
            self.followers[key].append(asker)
        else:
            asker.works.get(timeout=SOON)
            self.leaders[key], self.followers[key] = asker, []

    @precondition(lambda self: self.leaders)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.busy()))
        self.n += 1
        self.leaders[key].outcome.put(self.n)
        assert self.leaders[key].is_over() == self.n
        assert [follower.is_over() for follower in self.followers[key]] == [self.n] * len(self.followers[key])
        del self.leaders[key], self.followers[key]

    @precondition(lambda self: self.leaders)
    @rule(data=st.data(), error=st.sampled_from([CorruptDataError, ValueError, KeyError]))
    def fail(self, data: st.DataObject, error: type[Exception]) -> None:
        key = data.draw(st.sampled_from(self.busy()))
        raised = error("damaged")
        self.leaders[key].outcome.put(raised)
        for asker in (self.leaders[key], *self.followers[key]):
            assert asker.is_over() is raised
        del self.leaders[key], self.followers[key]

    @precondition(lambda self: self.leaders)
    @rule(data=st.data(), error=st.sampled_from(OF_ONE_ALONE))
    def give_up(self, data: st.DataObject, error: type[BaseException]) -> None:
        key = data.draw(st.sampled_from(self.busy()))
        raised = error()
        leader, followers = self.leaders.pop(key), self.followers.pop(key)
        checks = {id(each): each.checks for each in followers}
        leader.outcome.put(raised)
        assert leader.is_over() is raised
        if not followers:
            return
        end = time.monotonic() + SOON
        while not (next_ones := [each for each in followers if not each.works.empty()]):
            assert time.monotonic() < end, "nobody does the work now"
            time.sleep(0.001)
        (self.leaders[key],) = next_ones
        next_ones[0].works.get()
        self.followers[key] = [each for each in followers if each is not next_ones[0]]
        for each in self.followers[key]:  # once when it was given up, once when it waits again
            while each.checks < checks[id(each)] + 2:
                assert time.monotonic() < end, "it does not wait again"
                time.sleep(0.001)

    @invariant()
    def one_works_for_each_key(self) -> None:
        waiting = [asker for followers in self.followers.values() for asker in followers]
        assert all(asker.works.empty() and asker.result is None for asker in waiting)
        assert set(self.flights._flights) == set(self.leaders)

    def teardown(self) -> None:
        single_flight.POLL_SECONDS = self.poll_seconds
        for key in self.busy():
            for asker in (self.leaders[key], *self.followers[key]):
                asker.outcome.put(0)
        for key in self.busy():
            for asker in (self.leaders[key], *self.followers[key]):
                asker.is_over()


TestThreads = Threads.TestCase
TestThreads.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


# ---- several keys ----------------------------------------------------------------------------------


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Call it in a thread; what is returned waits for its result, or raises its error."""
    box: list[Any] = []

    def run() -> None:
        try:
            box.append(call())
        except BaseException as error:  # noqa: BLE001  raised where the result is asked for
            box.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(SOON)
        assert box, "it did not end"
        if isinstance(box[0], BaseException):
            raise box[0]
        return box[0]

    return result


def test_what_nobody_works_on_is_asked_for_at_once_and_what_is_there_is_handed_on_before_the_end() -> None:
    flights: SingleFlight[int, str] = SingleFlight()
    asked, first_is_there, go_on = [], threading.Event(), threading.Event()

    def work(keys: list[int]) -> Any:
        asked.append(keys)
        yield keys[0], f"<{keys[0]}>"
        first_is_there.set()
        assert go_on.wait(SOON)
        yield from ((key, f"<{key}>") for key in keys[1:])

    leader = in_thread(lambda: flights.do_many([1, 2, 2, 3], work))
    assert first_is_there.wait(SOON)
    assert flights.do(1, lambda: "again") == "again", "done and handed on: nothing is kept"
    waits = threading.Event()
    follower = in_thread(lambda: flights.do_many([3, 4], lambda keys: [(4, "<4>")], waits.set))
    assert waits.wait(SOON)
    go_on.set()
    assert leader() == {1: "<1>", 2: "<2>", 3: "<3>"}
    assert follower() == {3: "<3>", 4: "<4>"}
    assert asked == [[1, 2, 3]]


def test_two_that_want_the_same_in_another_order_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[int, int] = SingleFlight()
    both = threading.Barrier(2)

    def work(keys: list[int]) -> list[tuple[int, int]]:
        both.wait(SOON)
        return [(key, key) for key in keys]

    first = in_thread(lambda: flights.do_many([1, 2], work) and flights.do_many([3, 1], work))
    second = in_thread(lambda: flights.do_many([3, 4], work) and flights.do_many([4, 2], work))
    assert first() == {3: 3, 1: 1} and second() == {4: 4, 2: 2}


def test_a_key_for_which_nothing_is_brought_is_an_error_for_all_who_want_it() -> None:
    flights: SingleFlight[int, int] = SingleFlight()
    with pytest.raises(RuntimeError, match="no result for 2"):
        flights.do_many([1, 2], lambda keys: [(1, 1)])
    assert not flights._flights


def test_work_that_needs_itself_is_an_error_not_a_hang() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    with pytest.raises(RuntimeError, match="'a' depends on itself"):
        flights.do("a", lambda: flights.do("a", lambda: 1))
    with pytest.raises(RuntimeError, match="'a' depends on itself"):
        flights.do("a", lambda: flights.do_many(["b", "a"], lambda keys: [(key, 1) for key in keys])["b"])
    assert flights.do("a", lambda: flights.do("b", lambda: 1) + 1) == 2
    assert not flights._flights


def test_no_lock_is_held_while_anything_is_called() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    free = []

    def is_free() -> None:
        free.append(flights._lock.acquire(blocking=False))
        flights._lock.release()

    working, go_on = threading.Event(), threading.Event()

    def work() -> int:
        working.set()
        is_free()
        assert go_on.wait(SOON)
        return 1

    def check() -> None:
        is_free()
        go_on.set()

    leader = in_thread(lambda: flights.do("a", work))
    assert working.wait(SOON)
    assert flights.do("a", work, check) == leader() == 1
    assert len(free) >= 2 and all(free)


# ---- waiting ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
def test_waiting_ends_when_its_reads_are_dropped_or_its_check_says_so(apart: bool) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    working, go_on = threading.Event(), threading.Event()

    def work() -> int:
        working.set()
        assert go_on.wait(SOON)
        return 7

    leader = in_thread(lambda: flights.do("a", work))
    assert working.wait(SOON)
    scope = CancelScope()
    scope.drop()
    with scope, pytest.raises(ReadDroppedError, match="a: no longer needed"):
        flights.do("a", work, apart=apart)

    def closed() -> None:
        raise DatasetError("closed")

    with pytest.raises(DatasetError, match="closed"):
        flights.do("a", work, closed, apart=apart)
    go_on.set()
    assert leader() == 7


def test_work_apart_goes_on_for_others_when_its_first_leaves() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    working, go_on = threading.Event(), threading.Event()

    def work() -> int:
        working.set()
        assert go_on.wait(SOON)
        return 7

    def leave() -> None:
        assert working.wait(SOON)
        raise DatasetError("closed")

    with pytest.raises(DatasetError, match="closed"):
        flights.do("a", work, leave, apart=True)
    waits = threading.Event()
    other = in_thread(lambda: flights.do("a", lambda: 8, waits.set))
    assert waits.wait(SOON)
    go_on.set()
    assert other() == 7
    assert flights.do("a", lambda: 9, apart=True) == 9


def test_work_apart_that_ended_with_our_reads_is_not_begun_again() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    scope = CancelScope()
    began = []

    def work() -> int:
        began.append(threading.get_ident())
        scope.drop()
        raise ReadDroppedError("dropped")

    with scope, pytest.raises(ReadDroppedError):
        flights.do("a", work, apart=True)
    assert len(began) == 1
    assert not flights._flights


def test_an_error_apart_is_raised_to_whoever_waits_and_one_that_cannot_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flights: SingleFlight[str, int] = SingleFlight()

    def work() -> int:
        raise CorruptDataError("damaged")

    with pytest.raises(CorruptDataError):
        flights.do("a", work, apart=True)

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start"):
            flights.do("a", lambda: 1, apart=True)
    assert flights.do("a", lambda: 1, apart=True) == 1
    assert not flights._flights


# ---- interruptions at any moment -------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of callbacks it falls into
def test_an_interruption_at_any_moment_leaves_nothing_that_others_would_wait_for() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    rng = np.random.default_rng(1)
    interrupted = 0

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in rng.uniform(1e-6, 2e-4, 1000):
            with contextlib.suppress(Interrupted):
                try:
                    signal.setitimer(signal.ITIMER_REAL, delay)
                    for _ in range(20):
                        flights.do("a", lambda: 1)
                except Interrupted:
                    interrupted += 1
                    raise
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 100
    assert in_thread(lambda: flights.do("a", lambda: 2))() in (1, 2)
    assert flights._lock.acquire(timeout=SOON)
    flights._lock.release()


def test_an_error_does_not_keep_alive_what_its_work_held() -> None:
    """Not even until the garbage collector comes by: planes are large."""
    flights: SingleFlight[str, int] = SingleFlight()
    held: list[weakref.ref[np.ndarray]] = []

    def work() -> int:
        pixels = np.zeros(1000)
        held.append(weakref.ref(pixels))
        raise CorruptDataError("damaged")

    gc.disable()
    try:
        for apart in (False, True):
            with contextlib.suppress(CorruptDataError):
                flights.do("a", work, apart=apart)
        for thread in threading.enumerate():
            if thread.name == "ndviewer-single-flight":
                thread.join(SOON)
        assert [pixels() is None for pixels in held] == [True, True]
    finally:
        gc.enable()
