"""Cancelling reads: when nobody is waiting for them any more, they end and make room for others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..errors import ReadDroppedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_JOINED_ATTEMPTS = 8  # for a read whose shared requests were cancelled by others each time


class Cancellable(Protocol):
    """A read in progress that can be cancelled."""

    def give_up(self) -> None:
        """End it soon; its thread gets `ReadDroppedError`. Any thread, never blocks."""

    def not_wanted(self) -> ReadDroppedError:
        """The error for its thread in that case."""


class CancelScope:
    """The scope of one result, for example a plane: reads within ``with scope:`` belong to it.

    When nobody is waiting any more, `drop` ends them soon with `ReadDroppedError` and frees their share
    of the network. It affects only these reads, never others of the same plane.
    Background reads give way to all others. Any thread.
    """

    def __init__(self, *, background: bool = False) -> None:
        self.background = background
        self._lock = threading.Lock()
        self.dropped = False
        self._reads: set[Cancellable] = set()

    def drop(self) -> None:
        """End all reads in this scope, now and later."""
        with self._lock:
            self.dropped = True
            reads = list(self._reads)
        for read in reads:
            read.give_up()

    def run(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, called in this scope; raises `ReadDroppedError` once it was dropped.

        Requests to servers are shared: those that `read` had joined may end because their initiator
        cancelled them. Then it is called again and starts them itself.
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
        """Add `read` to this scope; raises `ReadDroppedError` if it has ended."""
        with self._lock:
            if self.dropped:
                raise read.not_wanted()
            self._reads.add(read)

    def remove(self, read: Cancellable) -> None:
        """Remove a finished `read`."""
        with self._lock:
            self._reads.discard(read)

    def __enter__(self) -> CancelScope:
        _here.scopes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _here.scopes.remove(self)


class _Here(threading.local):
    def __init__(self) -> None:
        self.scopes: list[CancelScope] = []


_here = _Here()


def current_scope() -> CancelScope | None:
    """The current cancel scope of this thread."""
    return _here.scopes[-1] if _here.scopes else None
