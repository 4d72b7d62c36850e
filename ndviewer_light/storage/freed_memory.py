"""Memory that was freed is handed back to the system, where the allocator keeps it.

glibc gives each thread an arena, up to eight per core, and keeps what was freed there. Of a dataset that was
closed that is tens of megabytes, in pieces that the next dataset does not fit into, so that a program with
many runs would grow with each.
"""

from __future__ import annotations

import contextlib
import functools
import sys
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


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim  # glibc's
        return found
    return None
