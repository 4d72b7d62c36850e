"""Questions to a disk, one by one; where each answer is waited for, as on a slow share, several at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")

_SLOW_S = 0.002
"""A local disk answers in microseconds, a share in the same room in less than a millisecond."""
_SLOW_ANSWERS = 2
"""One after the other: one alone may have been a busy core."""
_QUESTIONS_AT_ONCE = 8


def asked_together(ask: Callable[[_Question], _Answer], about: Iterable[_Question]) -> list[_Answer]:
    """What `ask` says of each, in order: it blocks on a disk, and may be called in other threads.

    Blocks until all answers are there.
    """
    questions = list(about)
    answers: list[_Answer] = []
    n_slow, began = 0, time.monotonic()
    for question in questions:
        answers.append(ask(question))
        before, began = began, time.monotonic()
        n_slow = n_slow + 1 if began - before > _SLOW_S else 0
        if n_slow == _SLOW_ANSWERS:
            break
    waiting = questions[len(answers) :]
    if waiting:
        with ThreadPoolExecutor(min(_QUESTIONS_AT_ONCE, len(waiting)), "ndviewer-asking") as pool:
            answers += pool.map(ask, waiting)
    return answers
