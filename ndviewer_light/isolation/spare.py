"""A spare reader process for the next dataset: starting one takes a fifth of a second."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ..errors import DatasetGoneError, OutOfResourcesError
from ..storage.program_end import is_ending
from ..storage.waits import result_of
from .spawned_process import SpawnedProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from .reader_process import ReaderProcess

logger = logging.getLogger(__name__)

_REST_SECONDS = 3.0
"""After one was taken, until the next is started: what is being opened comes first."""
_RESTART_SECONDS = 60.0
"""After one was started, until another one is in its place, should it have died or not have come up."""

_lock = threading.Lock()  # guards the following; nothing waits while holding it
_spare: SpawnedProcess | None = None
_starting: Future[SpawnedProcess | None] | None = None
_keepers: set[object] = set()
_not_before = 0.0  # `time.monotonic`


def prestart(in_thread: Callable[[Callable[[], None]], None] | None = None) -> None:
    """Start a reader process in advance for the next dataset. Any thread; returns at once.

    `in_thread` runs a function in a thread; without it, one is started for this.
    """
    global _starting, _not_before
    with _lock:
        if _starting is not None or (_spare is not None and _spare.alive):
            return
        mine = _starting = Future()
        _not_before = time.monotonic() + _RESTART_SECONDS
    try:
        (in_thread or _in_a_new_thread)(lambda: _start(mine))
    except RuntimeError as error:
        _give_up(mine, error)


def _in_a_new_thread(job: Callable[[], None]) -> None:
    threading.Thread(target=job, name="ndviewer-reader-start").start()


def _start(mine: Future[SpawnedProcess | None]) -> None:
    global _spare, _starting
    if not mine.set_running_or_notify_cancel():
        return  # who needed one did not wait for a thread
    try:
        process = SpawnedProcess()
    except Exception as error:  # noqa: BLE001  whoever waits for it has to be answered
        # for one, Python 3.12 and later cannot start threads during shutdown
        _give_up(mine, error)
        return
    dead = None
    with _lock:
        if _starting is mine:
            dead, _starting, _spare = _spare, None, process
    if dead is not None:
        dead.discard()
    mine.set_result(process)


def _give_up(mine: Future[SpawnedProcess | None], why: Exception) -> None:
    global _starting
    logger.debug("could not start a reader process in advance: %s", why)
    with _lock:
        if _starting is mine:
            _starting = None
    mine.set_result(None)


def keep_ready(keeper: object, in_thread: Callable[[Callable[[], None]], None]) -> None:
    """See to it that there is a spare process until `keep_no_more`; `in_thread` runs a function in a thread.

    To be called again and again: what was taken is replaced some seconds later. Any thread; returns at once.
    """
    global _not_before
    now = time.monotonic()
    if keeper not in _keepers:
        with _lock:
            _keepers.add(keeper)
            _not_before = max(_not_before, now + _REST_SECONDS)
    if now >= _not_before:
        prestart(in_thread)


def keep_no_more(keeper: object) -> None:
    """It needs no spare process any more; once nobody does, there is none. Any thread; returns at once."""
    with _lock:
        was_one = keeper in _keepers
        _keepers.discard(keeper)
        is_over = was_one and not _keepers
    if is_over:
        discard_spare()


def take_process() -> ReaderProcess:
    """The spare process, or a new one. Raises `OutOfResourcesError` if none can be started."""
    if is_ending():
        raise OutOfResourcesError("no reader process is started any more: the program is ending")
    from .reader_process import ReaderProcess  # here, as it imports much: the process starts meanwhile

    process, starting = _take()
    if starting is not None and not starting.cancel():
        try:
            process = result_of(starting)
        except BaseException:  # Ctrl-C
            starting.add_done_callback(_end_started)
            raise
    if process is not None and not process.alive:
        process.discard()
        process = None
    return ReaderProcess(process)


def discard_spare() -> None:
    """End the spare process, if there is one. Any thread; returns at once."""
    process, starting = _take()
    if process is not None:
        _end(process)
    if starting is not None and not starting.cancel():
        starting.add_done_callback(_end_started)


def _take() -> tuple[SpawnedProcess | None, Future[SpawnedProcess | None] | None]:
    """The spare process, and the one that is being started; both belong to the caller from now on."""
    global _spare, _starting, _not_before
    with _lock:
        process, _spare = _spare, None
        starting = None
        if process is None:
            starting, _starting = _starting, None
        _not_before = time.monotonic() + _REST_SECONDS
    return process, starting


def _end_started(starting: Future[SpawnedProcess | None]) -> None:
    process = starting.result()
    if process is not None:
        _end(process)


def _end(process: SpawnedProcess) -> None:
    from .reader_process import ReaderProcess

    with contextlib.suppress(OutOfResourcesError):  # no thread for it any more: then it has ended, too
        ReaderProcess(process).kill(DatasetGoneError("this reader process is no longer needed"))


def _after_fork() -> None:
    """For a forked process: the spare belongs to the parent, and perhaps the lock, too."""
    global _spare, _starting, _lock
    _spare, _starting, _lock = None, None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
