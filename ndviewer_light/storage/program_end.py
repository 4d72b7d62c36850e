"""The end of the program: what still waits for a disk or a server is given up, and nothing waits for it.

Python awaits threads first, those of pools too, and then calls what `atexit` has; daemon threads it does not
await, and one that comes back to compiled code while Python ends crashes the process. So threads that may
wait for ever are those of `abandonable_thread`. Before Python ends they are told to end, and have a moment
for it.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  registers what awaits pools: of these, the last comes first
import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Working(Protocol):
    """What threads may wait for."""

    def give_up(self) -> None:
        """Begin nothing more, and end what is waited for. Any thread, waits for nothing that may hang."""


_AWAITED_AT_END_SECONDS = 2.0
"""For threads that hang in a system call; others have ended long before."""

_ending = threading.Event()
_lock = threading.RLock()  # guards the following; the collector may end what starts another thread
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_working: weakref.WeakSet[Working] = weakref.WeakSet()


def abandonable_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """A thread that does `work`, to be started by the caller: the end of the program does not wait for it."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    with _lock:
        _threads.add(thread)
    return thread


def is_ending() -> bool:
    """Whether the program ends: nothing more is begun, and who waits in a loop gives up."""
    return _ending.is_set()


def give_up_at_end(working: Working) -> None:
    """Have it give up when the program ends, unless it is gone by then."""
    with _lock:
        _working.add(working)


def give_up_everything() -> None:
    """For a program that ends now, whatever its threads are doing: every read ends, now and later."""
    if _ending.is_set():
        return
    _ending.set()
    with _lock:
        working, threads = list(_working), list(_threads)
    for each in working:
        try:
            each.give_up()
        except Exception:  # the others are to end all the same
            logger.exception("while the program ends")
    deadline = time.monotonic() + _AWAITED_AT_END_SECONDS
    for thread in threads:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def call_before_threads_are_awaited(function: Callable[[], None]) -> None:
    """Have `function` called when the main thread ends.

    Python waits for the threads of pools before it calls what `atexit` has: one that waits for a dataset to
    appear it would await for ever. Earlier comes only what this function of `threading` takes, the one that
    pools themselves use; it has no public name, and where a Python has none, nothing is called.
    """
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(function)


def _end_if_interrupted() -> None:
    """After Ctrl-C nobody waits for threads of a pool, as those of dask; else the program may want them."""
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        give_up_everything()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(give_up_everything)
with contextlib.suppress(RuntimeError):  # imported while the program ends
    call_before_threads_are_awaited(_end_if_interrupted)
