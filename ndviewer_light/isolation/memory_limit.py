"""The memory limit of reader processes: enough for every plane, not enough to freeze the computer."""

from __future__ import annotations

import contextlib
import os
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LEAST_BYTES = 8 * 1024**3
"""The minimum: a plane of 1 GiB, stored, decoded and assembled, and four slots of that size."""

PER_CORE_BYTES = 128 * 1024**2
"""Added to it: address space that libraries reserve for their threads without using it."""

PART = 0.75  # of the computer's memory

_limit: int | None = None


def limit_memory() -> None:
    """Limit the address space of this process to three quarters of the installed memory.

    But to no less than `LEAST_BYTES` plus `PER_CORE_BYTES` for every core. A lower existing limit
    stays. Does nothing if the system has no such limit.
    """
    global _limit
    if resource is None or sys.platform == "darwin":  # where it is ignored
        return
    with contextlib.suppress(OSError, ValueError):
        least = LEAST_BYTES + (os.cpu_count() or 1) * PER_CORE_BYTES
        wanted = max(least, int(PART * _physical_bytes()))
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        set_before = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        _limit = min([wanted, *set_before])
        resource.setrlimit(resource.RLIMIT_AS, (_limit, hard))


def memory_limit() -> int | None:
    """The limit in bytes, or None."""
    return _limit


def _physical_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
