"""Memory that was freed is handed back to the system, where the allocator keeps it.

glibc gives each thread an arena, up to eight per core, and keeps what was freed there. Of a dataset that was
closed that is tens of megabytes, in pieces that the next dataset does not fit into, so that a program with
many runs would grow with each.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def hand_back() -> None:
    """Return freed pages to the system; some milliseconds, without the interpreter's lock. Any thread.

    Where the C library has no such call, nothing happens.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


class Turnover:
    """Counts what is made while as much is freed, and hands that back after so many bytes. Any thread."""

    def __init__(self, nbytes: int = 64 * 1024**2) -> None:
        self._nbytes = nbytes
        self._lock = threading.Lock()  # guards the following
        self._made = 0

    def add(self, nbytes: int) -> None:
        """So much was made; not for the GUI thread, as it may hand back."""
        with self._lock:
            self._made += nbytes
            is_due = self._made >= self._nbytes
            if is_due:
                self._made = 0
        if is_due:
            hand_back()


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim  # glibc's
        return found
    return None
