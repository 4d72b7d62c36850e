"""How much memory a reader process may have: enough for every plane, not enough to freeze the computer."""

from __future__ import annotations

import contextlib
import os
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LEAST_BYTES = 16 * 1024**3
"""Never less: four planes of 1 GiB, each as chunks, decoded, and in its slot, and 3 GiB of address space that
libraries reserve without using it."""

PART = 0.75  # of the computer's memory

_limit: int | None = None


def limit_memory() -> None:
    """Limit the address space of this process to three quarters of the memory there is, or `LEAST_BYTES`.

    A lower limit that was set before stays. Does nothing where the system knows no such limit.
    """
    global _limit
    if resource is None or sys.platform == "darwin":  # where it is not heeded
        return
    with contextlib.suppress(OSError, ValueError):
        wanted = max(LEAST_BYTES, int(PART * _physical_bytes()))
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        set_before = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        _limit = min([wanted, *set_before])
        resource.setrlimit(resource.RLIMIT_AS, (_limit, hard))


def memory_limit() -> int | None:
    """The limit in bytes, None if there is none."""
    return _limit


def _physical_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
