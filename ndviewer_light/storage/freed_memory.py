"""Memory that was freed is handed back to the system, where the allocator keeps it.

glibc gives each thread an arena, up to eight per core, and keeps what was freed there. Of a dataset that was
closed that is tens of megabytes, in pieces that the next dataset does not fit into, so that a program with
many runs would grow with each. Of what lies at the end of an arena, up to 64 MB, not even `malloc_trim` hands
anything back: so what is large and made in threads gets memory of its own. The last few pieces of that are
kept for the next arrays of the same size, because a new piece is zeroed by the system first, which takes as
long as to copy a plane into it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import mmap
import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGE = 1024**2
"""Smaller arrays are no worse in the allocator's memory, and quicker to have."""
_LARGEST_SPARE = 16 * 1024**2
"""Bytes; larger pieces are not kept."""
_ROWS = 64
"""Compared at a time."""

_spare: deque[mmap.mmap] = deque(maxlen=4)
"""Pieces of memory that nobody uses, the newest last. Any thread may call its methods at any time."""


def hand_back() -> None:
    """Return freed pages to the system; some milliseconds, without the interpreter's lock. Any thread.

    Where the C library has no such call, only those of `array_of_its_own` are returned.
    """
    _spare.clear()
    trim = _trim()
    if trim is not None:
        trim(0)


def array_of_its_own(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new array, not initialised, in memory of its own.

    The system has that again when nobody uses it and a few more were freed, or `hand_back` was called.
    """
    return _mapped(shape, dtype) if _is_worth_it(shape, dtype) else np.empty(shape, dtype)


def zeros_of_their_own(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`array_of_its_own`, of zeros."""
    return _mapped(shape, dtype, anew=True) if _is_worth_it(shape, dtype) else np.zeros(shape, dtype)


def _is_worth_it(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    return math.prod(shape) * dtype.itemsize >= _LARGE and sys.platform.startswith("linux")


def _mapped(shape: tuple[int, ...], dtype: np.dtype, *, anew: bool = False) -> np.ndarray:
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = None if anew else _taken(n_bytes)
    if memory is None:
        memory = mmap.mmap(-1, n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # where the system has no large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    # the base of the array and of all its views: it ends with the last of them
    use: np.ndarray = np.ndarray(n_bytes, np.uint8, buffer=memory)
    if n_bytes <= _LARGEST_SPARE:
        weakref.finalize(use, _spare.append, memory).atexit = False
    return use.view(dtype).reshape(shape)


def _taken(n_bytes: int) -> mmap.mmap | None:
    """A spare piece of this size, which is the caller's from now on."""
    for _ in range(len(_spare)):
        try:
            memory = _spare.pop()
        except IndexError:  # another thread was quicker
            return None
        if len(memory) == n_bytes:
            return memory
        _spare.appendleft(memory)  # of another size: among those that go first
    return None


def are_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal; without an array of the answers for each number, as large as they are."""
    if one.flags.f_contiguous and other.flags.f_contiguous:  # compared as they lie in memory
        one, other = one.T, other.T
    if one.shape != other.shape or not one.ndim:
        return np.array_equal(one, other)
    parts = range(0, len(one), _ROWS)
    return all(np.array_equal(one[i : i + _ROWS], other[i : i + _ROWS]) for i in parts)


def has_memory_of_its_own(array: np.ndarray) -> bool:
    """Whether an array is one of `array_of_its_own`, or a view of it, and nothing else is in its memory."""
    base = array.base
    if not isinstance(base, np.ndarray):  # of arrays made of bytes it is those
        return False
    return base.nbytes == array.nbytes and isinstance(base.base, mmap.mmap)


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
