"""Planes in view that could not be shown: why, and when each is tried again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""How long after its first, second, … failure a plane in view is tried again; then ever after the last."""


@dataclass
class _FailedPlane:
    """Why a plane in view could not be shown, and when to try it again (`time.monotonic`).

    `error` is None once it is due: the next request reads again.
    """

    error: Exception | None
    attempts: int
    due: float


class RetryPolicy:
    """The failures of planes in view, each with a back-off of its own. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards what follows; nothing is called inside
        self._in_view: frozenset[tuple[int, int, int, int]] = frozenset()
        self._failures: dict[PlaneKey, _FailedPlane] = {}

    def show(self, keys: Sequence[PlaneKey]) -> dict[PlaneKey, Exception]:
        """Take `keys` as what is in view: others are forgotten. Return the failures that are not due yet."""
        with self._lock:
            self._in_view = frozenset(keys)
            self._failures = {key: self._failures[key] for key in keys if key in self._failures}
            return {key: failure.error for key, failure in self._failures.items() if failure.error}

    def error_of(self, key: PlaneKey) -> Exception | None:
        """Why a plane in view could not be shown, None where that is not known or to be tried again."""
        with self._lock:
            failure = self._failures.get(key)
        return failure.error if failure is not None else None

    def failed(self, key: PlaneKey, error: Exception, now: float, *, again: bool) -> bool:
        """Note a failure, to be tried again later if `again`; True if it is the first of this plane."""
        with self._lock:
            before = self._failures.get(key)
            attempts = before.attempts + 1 if before is not None else 0
            due = now + RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)] if again else float("inf")
            if key in self._in_view:
                error.__traceback__ = None  # its frames hold arrays
                self._failures[key] = _FailedPlane(error, attempts, due)
        return attempts == 0

    def succeeded(self, key: PlaneKey) -> None:
        """The plane was read: its next failure is a first one."""
        with self._lock:
            self._failures.pop(key, None)

    def written(self, keys: Iterable[tuple[int, int, int, int]]) -> None:
        """These planes were written: what failed before says nothing now."""
        with self._lock:
            for key in self._failures.keys() & set(keys):
                del self._failures[PlaneKey(*key)]

    def clear(self) -> None:
        """Everything may be different now: nothing that failed counts."""
        with self._lock:
            self._failures.clear()

    def release_due(self, now: float) -> bool:
        """Let the planes whose time has come be read by the next request; whether there are any."""
        with self._lock:
            due = [failure for failure in self._failures.values() if failure.due <= now]
            for failure in due:
                failure.error, failure.due = None, float("inf")
        return bool(due)
