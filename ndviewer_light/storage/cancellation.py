"""Who waits for what is being read: when nobody does any more, the reads end and make room for others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..errors import ReadDroppedError


class Cancellable(Protocol):
    """A read under way that can be given up."""

    def give_up(self) -> None:
        """End it soon; its thread gets `ReadDroppedError`. Any thread, never blocks."""

    def not_wanted(self) -> ReadDroppedError:
        """What its thread is told then."""


class CancelScope:
    """What somebody waits for, a plane for one: the reads done within ``with wish:`` belong to it.

    When nobody waits any more, `drop` makes them end at once with `ReadDroppedError` and gives what they
    occupied of the network to others. Reads in the background give way to all others. Any thread.
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
