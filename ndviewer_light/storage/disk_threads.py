"""Threads that ask a disk, which may never answer: the end of the program does not wait for that."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from typing import TYPE_CHECKING

from .program_end import call_before_threads_are_awaited

if TYPE_CHECKING:
    from collections.abc import Callable

_AWAITED_AT_END_SECONDS = 2.0
"""A thread that the end of Python finds in compiled code may crash it; most have ended by then."""

_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_lock = threading.Lock()  # guards the one above


def disk_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that does `work`, to be started by the caller.

    Python would wait for ever for one of its own that hangs; for these it waits for two seconds.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    with _lock:
        _threads.add(thread)
    return thread


def _await_for_a_moment() -> None:
    deadline = time.monotonic() + _AWAITED_AT_END_SECONDS
    with _lock:
        threads = [thread for thread in _threads if thread.is_alive()]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


with contextlib.suppress(RuntimeError):  # imported while the program ends
    call_before_threads_are_awaited(_await_for_a_moment)
