"""Reading from servers in a forked process: refused where it would hang forever.

The threads of obstore and of the event loop are the parent's; a child using their remains would wait
for them, and break the connections that both share. So a process forked from a
process that has contacted a server gets an error, also where it was the host, by obstore;
one forked before that reads normally.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_OBSTORES_THREADS = "tokio-rt-worker"

_has_asked = False
_is_forked = False


def note_request() -> None:
    """Note that this process sends requests: from now on its forked children cannot."""
    global _has_asked
    _has_asked = True


def check_not_forked() -> None:
    """Raise `DatasetError` in a process forked from one that had contacted a server."""
    if _is_forked:
        raise DatasetError(
            "this process was forked after its parent had read from servers, and cannot read from them "
            "itself: start it with multiprocessing's 'spawn' or 'forkserver', or open the dataset with "
            "isolate=True"
        )


def _before_fork() -> None:
    """See whether the host has used obstore by itself, where the system lists threads by name."""
    global _has_asked
    if _has_asked or "obstore" not in sys.modules:
        return
    for task in Path("/proc/self/task").glob("*"):
        with contextlib.suppress(OSError):  # it has ended
            _has_asked = _has_asked or task.joinpath("comm").read_text().strip() == _OBSTORES_THREADS


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)


def after_fork(renew: Callable[[], Iterable[object]]) -> None:
    """Call `renew` in children, to recreate locks and threads; its result is never freed there.

    Freeing a connection shared with the parent would close it for both.
    """

    def in_child() -> None:
        global _is_forked
        _is_forked = _is_forked or _has_asked
        for thing in renew():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)
