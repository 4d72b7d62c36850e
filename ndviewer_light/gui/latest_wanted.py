"""Reads for the view that is wanted last: one thread, and reads for any earlier view end. No Qt."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import ReadDroppedError
from ..storage.cancellation import CancelScope

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

W = TypeVar("W")


class LatestWanted(Generic[W]):
    """Calls `work(wanted, scope)` in a thread for what is wanted last, one call at a time.

    As soon as something else is wanted, reads within the call end with `ReadDroppedError`, and
    `scope.dropped` tells it to return. What is replaced before its turn comes is never worked for. Other
    errors are logged. The thread ends when there is nothing left to do. Any thread may call any method; none
    of them blocks.
    """

    def __init__(
        self,
        start: Callable[[str, Callable[[], None]], None],
        thread_name: str,
        work: Callable[[W, CancelScope], None],
    ) -> None:
        """`start(name, function)` calls a function in a thread, as `Background.run` does."""
        self._start = start
        self._thread_name = thread_name
        self._work = work
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._wanted: W | None = None  # None once it is done
        self._scope = CancelScope()  # what is wanted is read in it
        self._is_busy = self._closed = False

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way, or is still to begin. No lock."""
        return self._is_busy

    def want(self, wanted: W | None) -> None:
        """Work for this and nothing else, also if it has been done before; None: for nothing."""
        with self._lock:
            if self._closed:
                return
            self._wanted = wanted
            dropped, self._scope = self._scope, CancelScope()
            begins = wanted is not None and not self._is_busy
            self._is_busy = self._is_busy or begins
        dropped.drop()
        if begins:
            try:
                self._start(self._thread_name, self._run)
            except RuntimeError:  # no more threads now: with what is wanted next
                self._is_busy = False

    def close(self) -> None:
        """Work for nothing any more, whatever is wanted later."""
        self.want(None)
        with self._lock:
            self._closed = True

    # ---- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while (step := self._next()) is not None:
            wanted, scope = step
            try:
                scope.run(lambda wanted=wanted, scope=scope: self._work(wanted, scope))  # type: ignore[misc]
            except ReadDroppedError:
                pass
            except Exception:
                logger.exception("in %s", self._thread_name)
            with self._lock:
                if self._scope is scope:
                    self._wanted = None

    def _next(self) -> tuple[W, CancelScope] | None:
        with self._lock:
            if self._wanted is None:
                self._is_busy = False
                return None
            return self._wanted, self._scope
