"""A question that is answered from the last look, while a thread looks again: the caller never blocks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .background_work import BackgroundWork

if TYPE_CHECKING:
    from collections.abc import Callable

A = TypeVar("A")

SHARE = 100
"""Looking again waits this many times as long as the last look took: about 1 % of a core."""
LOOK_AGAIN_BY_SECONDS = 60.0
"""But no longer: on a slow disk a look takes minutes, nearly all of which it waits."""
PLANES_PER_LOOK = 20_000


class RepeatedLook(Generic[A]):
    """The answer of the last look, and when to look again. Any thread.

    A look is begun when what it is about changes, or when the last one said that it was time. It runs in a
    thread of its own, calls `tell` as often as it likes, and `wait` at its end.
    """

    def __init__(self, thread_name: str, doing: str, at_least_s: float) -> None:
        """`doing` describes a look: "looking at the positions"; `at_least_s`: between two of them."""
        self._work = BackgroundWork(thread_name, doing)
        self._at_least_s = at_least_s
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._answer: A | None = None
        self._about: tuple[Any, ...] = ()  # what the last look was about
        self._again = float("inf")  # when to look again if that has not changed
        self._not_before = self._soon = 0.0
        self._began = 0.0
        self._epoch = 0

    def answer(
        self,
        about: tuple[object, ...],
        now: float,
        look: Callable[[int, bool], None],
        *,
        is_unknown: bool = False,
    ) -> A | None:
        """What the last look found, None before it found anything; begins one if it is time.

        `about`: what decides that a look is needed. `look(epoch, is_news)`: `epoch` is for `tell`, `is_news`
        whether it is about something else than the last. `now`: as `time.monotonic`. `is_unknown`: nothing is
        known of it, so that it is looked at sooner: after as long as the last look took.
        """
        with self._lock:
            answer, epoch = self._answer, self._epoch
            about = (epoch, *about)
            is_news = about != self._about
            not_before = min(self._soon, self._not_before) if is_unknown else self._not_before
            is_due = now >= not_before and (is_news or now >= self._again)
        if is_due and self._work.can_begin(now):
            with self._lock:  # before it begins: the look says when the next one is due
                self._about, self._again, self._began = about, float("inf"), now
            if not self._work.begin(lambda: self._look(look, epoch, is_news=is_news), now):
                with self._lock:
                    self._about = ()
        return answer

    def _look(self, look: Callable[[int, bool], None], epoch: int, *, is_news: bool) -> None:
        try:
            look(epoch, is_news)
        except BaseException:
            with self._lock:
                self._about = ()  # nobody knows yet: it is looked at again after a while
            raise

    def tell(self, answer: A, epoch: int) -> None:
        """A look has found this; what was found before `start_over` does not count."""
        with self._lock:
            if epoch == self._epoch and answer != self._answer:
                self._answer = answer

    @property
    def epoch(self) -> int:
        """Counts `start_over`; no lock."""
        return self._epoch

    @property
    def last(self) -> A | None:
        """What the last look found; no lock, and none is begun."""
        return self._answer

    def amend(self, answer: A, amended: A) -> A:
        """More is known than what the last look found; nothing happens if another look has found more.

        Returns what holds now of what was given.
        """
        with self._lock:
            if self._answer is answer and amended != answer:
                self._answer = amended
        return amended

    def wait(self, seconds: float) -> None:
        """A look has ended: the next one is due after so many seconds (inf: when something has changed)."""
        now = time.monotonic()
        with self._lock:
            self._not_before = now + self._at_least_s
            self._soon = now + max(now - self._began, 0.0)
            self._again = now + seconds

    def rest(self, seconds: float) -> None:
        """Wait within a look, unless it is to end."""
        self._work.closed.wait(seconds)

    def start_over(self) -> None:
        """Nothing found so far counts."""
        with self._lock:
            self._epoch += 1
            self._answer = None

    @property
    def is_closed(self) -> bool:
        """Whether a look is to end."""
        return self._work.closed.is_set()

    def close(self) -> None:
        """Look no more. Never blocks."""
        self._work.close()

    def join(self, deadline: float) -> None:
        """Wait for a look to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
