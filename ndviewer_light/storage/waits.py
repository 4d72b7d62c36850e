"""Waits that Ctrl-C ends in any case, half a second later at most.

Python looks for signals while it runs Python code, and when a signal interrupts a wait of its main thread.
One that comes just before that wait begins, or that another thread takes, interrupts nothing, and on Windows
none does: a wait without a timeout then goes on until what is waited for is there.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as WaitedLongEnough
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from concurrent.futures import Future

T = TypeVar("T")

AWAKE_AGAIN_SECONDS = 0.5
"""Then Python has a moment to look for signals."""


def wait_until_done(future: Future[T]) -> None:
    """Return once `future` has a result, has failed, or is cancelled."""
    while not future.done():
        with contextlib.suppress(WaitedLongEnough, CancelledError):
            future.exception(AWAKE_AGAIN_SECONDS)


def result_of(future: Future[T]) -> T:
    """The result of `future`, or what it raises; blocks."""
    wait_until_done(future)
    return future.result()


def wait_for(event: threading.Event) -> None:
    """Return once `event` is set."""
    while not event.wait(AWAKE_AGAIN_SECONDS):
        pass
