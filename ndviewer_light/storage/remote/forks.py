"""Reading from servers in a process that was forked: refused at once where it would wait for ever.

The threads of obstore and of the event loop are the parent's; a child that uses what they left behind waits
for them, and takes the connections that both have out of service. So whoever was forked from a
process that has asked a server is told so; one forked before that reads as any other.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from ...errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_has_asked = False
_is_forked = False


def note_request() -> None:
    """A request is sent by this process: from now on its children cannot."""
    global _has_asked
    _has_asked = True


def check_not_forked() -> None:
    """Raise `DatasetError` in a process that was forked from one that had asked a server."""
    if _is_forked:
        raise DatasetError(
            "this process was forked after its parent had read from servers, and cannot read from them "
            "itself: start it with multiprocessing's 'spawn' or 'forkserver', or open the dataset with "
            "isolate=True"
        )


def after_fork(renew: Callable[[], Iterable[object]]) -> None:
    """Have `renew` called in children, to make locks and threads anew; what it returns is never freed there.

    Freeing a connection that the parent uses as well would end it for both.
    """

    def in_child() -> None:
        global _is_forked
        _is_forked = _is_forked or _has_asked
        for thing in renew():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)
