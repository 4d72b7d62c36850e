"""Questions to a disk, one by one; where each answer is waited for, as on a slow share, several at a time."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from .cancellation import CancelScope, current_scope
from .program_end import abandonable_thread, is_ending
from .time_spent import Stopwatch
from .waits import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")

_SLOW_S = 0.002
"""A local disk answers in microseconds, a share in the same room in less than a millisecond.

What this thread computes of it, as for a folder with many files, is not waited for.
"""
_SLOW_ANSWERS = 2
"""One after the other: one alone may have been a busy core."""
_SLOW_FOR_S = 30.0
"""For so long a disk that was slow is taken to be slow, unless its answers come at once meanwhile."""
_QUESTIONS_AT_ONCE = 16
"""Each waits for most of its time; what a share in the same building says at once."""

_slow_until = float("-inf")  # by `time.monotonic`; only a hint, so without a lock


def asked_together(ask: Callable[[_Question], _Answer], about: Iterable[_Question]) -> list[_Answer]:
    """What `ask` says of each, in order: it blocks on a disk, and may be called in other threads.

    Blocks until all answers are there; raises the first error of `ask`, in order.
    """
    questions = list(about)
    if len(questions) > 1 and time.monotonic() < _slow_until:
        return _asked_of_slow(ask, questions)
    answers: list[_Answer] = []
    n_slow = 0
    for question in questions:
        watch = Stopwatch()
        answers.append(ask(question))
        n_slow = n_slow + 1 if watch.spent().waited > _SLOW_S else 0
        if n_slow == _SLOW_ANSWERS:
            _note(is_slow=True)
            break
    waiting = questions[len(answers) :]
    return answers + _asked_of_slow(ask, waiting) if waiting else answers


def asked_at_once(
    ask: Callable[[_Question], _Answer], about: Iterable[_Question], at_once: int, name: str
) -> list[_Answer]:
    """The same, with `at_once` questions at a time in threads of this name, however quick the answers are.

    Of servers, too. They belong to the `CancelScope` of this thread, or end when it is interrupted. Unlike
    those of a `ThreadPoolExecutor`, the end of the program does not wait for them.
    """
    questions = list(about)
    return _Together(ask, questions, at_once, name).answers() if questions else []


def _asked_of_slow(ask: Callable[[_Question], _Answer], questions: Sequence[_Question]) -> list[_Answer]:
    together = _Together(ask, questions, _QUESTIONS_AT_ONCE, "ndviewer-asking")
    answers = together.answers()
    _note(is_slow=together.slowest_s > _SLOW_S)
    return answers


def _note(*, is_slow: bool) -> None:
    global _slow_until
    _slow_until = time.monotonic() + _SLOW_FOR_S if is_slow else float("-inf")


class _Together(Generic[_Question, _Answer]):
    """Questions that threads take in order, each the next one; none after one that failed."""

    def __init__(
        self, ask: Callable[[_Question], _Answer], questions: Sequence[_Question], at_once: int, name: str
    ) -> None:
        self._ask = ask
        self._questions = questions
        self._at_once = at_once
        self._name = name
        self._given_scope = current_scope()
        self._scope = self._given_scope or CancelScope()
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._n_wanted = len(questions)
        self._n_taken = 0
        self._n_answered = 0
        self.slowest_s = 0.0
        """For how long an answer was waited for, once all are there."""
        self._answers: dict[int, _Answer] = {}
        self._errors: dict[int, BaseException] = {}
        self._done = threading.Event()

    def answers(self) -> list[_Answer]:
        """Ask all, and wait. This thread asks nothing, so that Ctrl-C ends its waiting."""
        try:
            for _ in range(min(self._at_once, len(self._questions))):
                abandonable_thread(self._take, self._name).start()
        except RuntimeError:  # no more threads: this one asks what the others do not
            self._take()
        try:
            wait_for(self._done)
        except BaseException:  # Ctrl-C: nobody waits for what is being asked
            if self._given_scope is None:
                self._scope.drop()
            raise
        finally:
            with self._lock:
                self._n_wanted = 0
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._answers[i] for i in range(len(self._questions))]

    def _take(self) -> None:
        while (i := self._next()) is not None:
            watch = Stopwatch()
            try:
                self._answers[i] = self._scope.run(partial(self._ask, self._questions[i]))
            except BaseException as error:  # noqa: BLE001  whoever asked gets it
                self._errors[i] = error
            with self._lock:
                self.slowest_s = max(self.slowest_s, watch.spent().waited)
                self._n_answered += 1
                if self._errors:
                    self._n_wanted = min(self._n_wanted, self._n_taken)
                if self._n_answered >= self._n_wanted:
                    self._done.set()

    def _next(self) -> int | None:
        with self._lock:
            if self._n_taken >= self._n_wanted or is_ending():
                return None
            self._n_taken += 1
            return self._n_taken - 1
