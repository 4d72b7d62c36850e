"""Who waits for what is being read: when nobody does any more, the reads end and make room for others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..errors import ReadDroppedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_JOINED_ATTEMPTS = 8  # of a read whose requests others had begun and gave up each time


class Cancellable(Protocol):
    """A read under way that can be given up."""

    def give_up(self) -> None:
        """End it soon; its thread gets `ReadDroppedError`. Any thread, never blocks."""

    def not_wanted(self) -> ReadDroppedError:
        """What its thread is told then."""


class CancelScope:
    """What somebody waits for, a plane for one: the reads done within ``with scope:`` belong to it.

    When nobody waits any more, `drop` makes them end soon with `ReadDroppedError` and gives what they
    occupied of the network to others. It concerns these reads only, never others of the same plane.
    Reads in the background give way to all others. Any thread.
    """

    def __init__(self, *, background: bool = False) -> None:
        self.background = background
        self._lock = threading.Lock()
        self.dropped = False
        self._reads: set[Cancellable] = set()

    def drop(self) -> None:
        """End all reads that belong to this wish, now and later."""
        with self._lock:
            self.dropped = True
            reads = list(self._reads)
        for read in reads:
            read.give_up()

    def run(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, called in this scope; raises `ReadDroppedError` once it was dropped.

        Requests to servers are shared: those that `read` had joined may end because whoever had begun them
        gave them up. Then it is called again and begins them itself.
        """
        for _ in range(_JOINED_ATTEMPTS - 1):
            try:
                with self:
                    return read()
            except ReadDroppedError:
                if self.dropped:
                    raise
        with self:
            return read()

    def add(self, read: Cancellable) -> None:
        """Let `read` end with this wish; raises `ReadDroppedError` if it has."""
        with self._lock:
            if self.dropped:
                raise read.not_wanted()
            self._reads.add(read)

    def remove(self, read: Cancellable) -> None:
        """`read` is done."""
        with self._lock:
            self._reads.discard(read)

    def __enter__(self) -> CancelScope:
        _here.wishes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _here.wishes.remove(self)


class _Here(threading.local):
    def __init__(self) -> None:
        self.wishes: list[CancelScope] = []


_here = _Here()


def current_wish() -> CancelScope | None:
    """The wish that reads of this thread belong to now."""
    return _here.wishes[-1] if _here.wishes else None
