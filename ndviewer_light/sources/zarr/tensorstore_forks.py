"""tensorstore in a forked process: refused where it would end the process.

Its threads do not live on in a forked process, and its first call there that needs one aborts. It does
not matter who used it: a host that writes with tensorstore forks such processes as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from typing import Any

from ...errors import DatasetError

_has_threads = False
"""Whether tensorstore has started threads in this process, or had in the one it was forked from."""

_is_forked = False
"""Whether this process was forked after that."""

_alive: weakref.WeakSet[Any] = weakref.WeakSet()
"""The contexts and arrays of tensorstore that we have opened."""


def note_alive(opened: Any) -> None:
    """Note a context or an array of tensorstore."""
    _alive.add(opened)


def check_not_forked() -> None:
    """Raise `DatasetError` in a process forked from one that used tensorstore, which would abort it."""
    global _has_threads
    if _is_forked:
        raise DatasetError(
            "this process was forked after its parent had used tensorstore, and cannot read Zarr itself "
            "(tensorstore would end it): start it with multiprocessing's 'spawn' or 'forkserver', or open "
            "datasets with isolate=True"
        )
    _has_threads = True


def _started() -> tuple[int, int]:
    """How many tasks its pools of threads have begun, and how many threads they have, as tensorstore says."""
    import tensorstore as ts

    said = ts.experimental_collect_matching_metrics("/tensorstore/thread_pool/")
    values = {each["name"].rpartition("/")[2]: each["values"][0]["value"] for each in said if each["values"]}
    return int(values.get("started", 0)), int(values.get("active", 0))


def _before_fork() -> None:
    """Ask whether anybody has used tensorstore; in a forked process it could not tell any more."""
    global _has_threads
    if not _has_threads and "tensorstore" in sys.modules:
        # half imported by another thread, or a version that keeps no count
        with contextlib.suppress(Exception):
            _has_threads = _started()[0] > 0


def _after_fork() -> None:
    """In a forked process: nothing of tensorstore is freed, as up to 0.1.78 that would end the process."""
    global _is_forked
    _is_forked = _is_forked or _has_threads
    if _is_forked:
        import ctypes

        with contextlib.suppress(RuntimeError):  # another thread was just adding one
            for each in list(_alive):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _was_forked_before() -> bool:
    """Whether this process, which imports this only now, was forked from one that used tensorstore.

    Its pools then say that they have threads, and there are none but Python's.
    """
    if "tensorstore" not in sys.modules:
        return False
    with contextlib.suppress(Exception):  # a system that does not list threads, as above
        return _started()[1] > 0 and len(os.listdir("/proc/self/task")) <= threading.active_count()
    return False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
    _is_forked = _was_forked_before()
