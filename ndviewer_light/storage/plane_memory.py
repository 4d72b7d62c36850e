"""Memory that a plane is read into: who hands it on may lend the memory it will be handed on in.

A copy of a plane takes about as long as to read it from the system's cache. Lent memory is used again for
other planes, so only what has an end that is certain may be read into it: one chunk, after which nothing is
written there any more, whether it succeeds or not.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


class LentMemory(Protocol):
    """Memory for one plane, lent to the thread that reads it."""

    def take(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray | None:
        """An array in it, not initialised, in the memory order "C" or "F"; None if it does not fit."""


class _Lent(threading.local):
    memory: LentMemory | None = None


_here = _Lent()


@contextlib.contextmanager
def lent(memory: LentMemory) -> Iterator[None]:
    """Within, the first `plane_memory` of this thread is in `memory`."""
    _here.memory = memory
    try:
        yield
    finally:
        _here.memory = None


def plane_memory(shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
    """A new array, not initialised, for a plane that is read in one piece: lent, or of its own."""
    memory, _here.memory = _here.memory, None  # for one array: another one may be in it already
    found = None if memory is None else memory.take(shape, dtype, order)
    return np.empty(shape, dtype, order) if found is None else found  # type: ignore[call-overload]
