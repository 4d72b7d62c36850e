"""One thread does the work, the others wait and get its result or error."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import ReadDroppedError
from .cancellation import current_scope
from .program_end import abandonable_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

POLL_SECONDS = 0.25
"""How often a waiting thread checks whether to keep waiting."""

K = TypeVar("K")
V = TypeVar("V")


class _Flight(Generic[V]):
    """Work in progress for one key. Its fields are written by the leader, before it is `over`.

    Threads wait for a held lock, not for an `Event`, which is Python code, and an interruption inside
    leaves it locked for ever.
    """

    def __init__(self) -> None:
        self.over = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self.leader = threading.get_ident()
        self.values: list[V] = []  # one, once it has ended well
        self.error: Exception | None = None

    def end(self) -> None:
        """It is over; may be called twice."""
        self.over = True
        self._open_gate()

    def wait(self, seconds: float) -> None:
        """Return when it is over, or after a timeout."""
        if self._gate.acquire(timeout=seconds):
            self._open_gate()

    def _open_gate(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._gate.release()


class SingleFlight(Generic[K, V]):
    """Work by key, each done by one thread at a time, however many want it. Nothing is cached. Any thread.

    The first thread, the leader, does the work; those arriving meanwhile wait for it. An
    `Exception` is raised to all of them, except what concerns only the leader: if it is interrupted (Ctrl-C,
    any other `BaseException`), or its read is no longer wanted (`ReadDroppedError`), the next does the
    work.

    No lock is held while anything is called. Work must not ask for its own key, which is a `RuntimeError`,
    nor for one whose work may ask for its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[K, _Flight[V]] = {}

    def do(
        self, key: K, work: Callable[[], V], check: Callable[[], None] | None = None, *, apart: bool = False
    ) -> V:
        """The result of `work`, called here, or of the same work already started in another thread.

        `check` is called before waiting for another and every quarter of a second while doing so; what it
        raises ends the waiting, not the work. Waiting ends as well when the reads of this thread are dropped.
        `apart`: the work is done in a separate thread, so that the first caller may stop waiting as well; it
        belongs to that caller's `CancelScope`.
        """
        if not apart:
            return self.do_many([key], lambda _: [(key, work())], check)[key]
        while True:
            mine: dict[K, _Flight[V]] = {}
            flights: dict[K, _Flight[V]] = {}
            try:
                self._claim([key], mine, flights)
                if mine:
                    flights.update(mine)
                    self._start(dict(mine), work)
                    mine.clear()  # it is that thread's
            except BaseException:
                self._end(mine)
                raise
            if found := self._awaited(flights, check):
                return found[key]

    def do_many(
        self,
        keys: Iterable[K],
        work: Callable[[list[K]], Iterable[tuple[K, V]]],
        check: Callable[[], None] | None = None,
    ) -> dict[K, V]:
        """The results for these keys: `work` is called once with those not in progress.

        It yields keys with values, each passed on to waiting threads as soon as available. Otherwise
        like `do`.
        """
        found: dict[K, V] = {}
        wanted = list(dict.fromkeys(keys))
        while wanted:
            mine: dict[K, _Flight[V]] = {}
            others: dict[K, _Flight[V]] = {}
            try:
                self._claim(wanted, mine, others)
                if mine:
                    found.update(self._lead(mine, work))
            finally:
                try:
                    self._end(mine)
                finally:  # if that was interrupted
                    self._end(mine)
            found.update(self._awaited(others, check))  # after our own, so that nobody waits for us meanwhile
            wanted = [key for key in wanted if key not in found]
        return found

    # ---- the leader ------------------------------------------------------------------------------

    def _claim(self, keys: list[K], mine: dict[K, _Flight[V]], others: dict[K, _Flight[V]]) -> None:
        """Add the flights that the caller must lead to `mine`, those in progress to `others`.

        Nothing is returned, as an interruption may come between a return and its use.
        """
        with self._lock:
            for key in keys:
                flight = self._flights.get(key)
                if flight is None or flight.over:
                    mine[key] = self._flights[key] = _Flight()
                elif flight.leader == threading.get_ident():
                    raise RuntimeError(f"computing {key!r} depends on itself")
                else:
                    others[key] = flight

    def _lead(
        self, mine: Mapping[K, _Flight[V]], work: Callable[[list[K]], Iterable[tuple[K, V]]]
    ) -> dict[K, V]:
        done: dict[K, V] = {}
        try:
            for key, value in work(list(mine)):
                done[key] = value
                mine[key].values.append(value)
                self._end({key: mine[key]})
            if missing := mine.keys() - done.keys():
                raise RuntimeError(f"no result for {missing.pop()!r}")
        except ReadDroppedError:
            raise
        except Exception as error:
            _fail(mine, error)
            raise
        return done

    def _start(self, mine: dict[K, _Flight[V]], work: Callable[[], V]) -> None:
        """Lead in a separate thread, within this thread's scope."""
        scope = current_scope()
        _led_by(mine, 0)  # not by this thread, which may come again

        def lead() -> None:
            try:
                _led_by(mine, threading.get_ident())
                # waiting threads get the error
                with contextlib.suppress(Exception), scope or contextlib.nullcontext():
                    self._lead(mine, lambda keys: [(keys[0], work())])
            finally:
                self._end(mine)

        abandonable_thread(lead, "ndviewer-single-flight").start()

    def _end(self, flights: dict[K, _Flight[V]]) -> None:
        """Finish and release them: errors reference their frames, which must not reference them."""
        try:
            with self._lock:
                _remove(flights, self._flights)
        finally:
            for flight in flights.values():
                flight.end()
            flights.clear()

    # ---- the others ------------------------------------------------------------------------------

    def _awaited(self, flights: dict[K, _Flight[V]], check: Callable[[], None] | None) -> dict[K, V]:
        """What others bring, raising their errors; without those whose leader gave up for its own reasons."""
        found: dict[K, V] = {}
        flight: _Flight[V] | None = None
        try:
            while flights:
                key, flight = flights.popitem()
                while not flight.over:
                    _go_on(key, check)
                    flight.wait(POLL_SECONDS)
                if flight.error is not None:
                    raise flight.error
                if flight.values:
                    found[key] = flight.values[0]
                else:  # ours to do, unless nobody wants it any more
                    _go_on(key, check)
        finally:
            flight = None
            flights.clear()
        return found


def _remove(flights: Mapping[K, _Flight[V]], among: dict[K, _Flight[V]]) -> None:
    """Take flights out of a dict, unless others have taken their place.

    A function of its own: in Python 3.13 a `with` does not protect the jump back of a loop in it whose last
    statement is a condition, so that an interruption just there would leave the lock locked.
    """
    for key, flight in flights.items():
        if among.get(key) is flight:
            del among[key]


def _go_on(key: object, check: Callable[[], None] | None) -> None:
    """Raise what ends the waiting."""
    if check is not None:
        check()
    if (scope := current_scope()) is not None and scope.dropped:
        raise ReadDroppedError(f"{key}: no longer needed")


def _fail(flights: Mapping[K, _Flight[V]], error: Exception) -> None:
    for flight in flights.values():
        if not flight.over:
            flight.error = error


def _led_by(flights: Mapping[K, _Flight[V]], thread: int) -> None:
    for flight in flights.values():
        flight.leader = thread
