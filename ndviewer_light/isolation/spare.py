"""A spare reader process for the next dataset: starting one takes half a second."""

from __future__ import annotations

import logging
import os
import threading

from ..errors import DatasetError, DatasetGoneError
from .reader_process import ReaderProcess

logger = logging.getLogger(__name__)

_spare: ReaderProcess | None = None
_spare_lock = threading.Lock()


def prestart() -> None:
    """Start a reader process in advance for the next dataset. Any thread; returns at once."""
    try:
        threading.Thread(target=_make_spare, name="ndviewer-reader-start").start()
    except RuntimeError as error:
        logger.debug("could not start a reader process in advance: %s", error)


def _make_spare() -> None:
    global _spare
    with _spare_lock:
        if _spare is not None and _spare.alive:
            return
        try:
            _spare = ReaderProcess()
        except (DatasetError, RuntimeError) as error:
            # Python 3.12 and later cannot start threads during shutdown
            logger.debug("could not start a reader process in advance: %s", error)


def take_process() -> ReaderProcess:
    """The spare process, or a new one. Raises `OutOfResourcesError` if none can be started."""
    global _spare
    with _spare_lock:
        process, _spare = _spare, None
    return process if process is not None and process.alive else ReaderProcess()


def discard_spare() -> None:
    """End the spare process, if there is one."""
    global _spare
    with _spare_lock:
        process, _spare = _spare, None
    if process is not None:
        process.kill(DatasetGoneError("this reader process is no longer needed"))


def _after_fork() -> None:
    """For a forked process: the spare belongs to the parent, and perhaps the lock, too."""
    global _spare, _spare_lock
    _spare, _spare_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
