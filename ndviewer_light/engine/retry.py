"""Planes in view that could not be shown: the reasons, and when each is retried."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before a plane in view is retried after its first, second, … failure; the last one repeats."""


@dataclass
class _FailedPlane:
    """Why a plane in view could not be shown, and when to retry it (`time.monotonic`).

    `error` is None once the retry is due: the next request reads again.
    """

    error: Exception | None
    attempts: int
    due: float


class RetryPolicy:
    """The failures of planes in view, each with its own back-off. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._in_view: frozenset[tuple[int, int, int, int]] = frozenset()
        self._failures: dict[PlaneKey, _FailedPlane] = {}

    def show(self, keys: Sequence[PlaneKey]) -> dict[PlaneKey, Exception]:
        """Set the view to `keys` and forget others. Returns the failures that are not due yet."""
        with self._lock:
            self._in_view = frozenset(keys)
            self._failures = {key: self._failures[key] for key in keys if key in self._failures}
            return {key: failure.error for key, failure in self._failures.items() if failure.error}

    def error_of(self, key: PlaneKey) -> Exception | None:
        """Why a plane in view could not be shown; None if unknown or due for a retry."""
        with self._lock:
            failure = self._failures.get(key)
        return failure.error if failure is not None else None

    def failed(self, key: PlaneKey, error: Exception, now: float, *, again: bool) -> bool:
        """Record a failure, to be retried later if `again`; True if it is the first of this plane."""
        with self._lock:
            before = self._failures.get(key)
            attempts = before.attempts + 1 if before is not None else 0
            due = now + RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)] if again else float("inf")
            if key in self._in_view:
                error.__traceback__ = None  # its frames reference arrays
                self._failures[key] = _FailedPlane(error, attempts, due)
        return attempts == 0

    def succeeded(self, key: PlaneKey) -> None:
        """The plane was read: its next failure counts as the first."""
        with self._lock:
            self._failures.pop(key, None)

    def written(self, keys: Iterable[tuple[int, int, int, int]]) -> None:
        """These planes were written: earlier failures no longer count."""
        with self._lock:
            for key in self._failures.keys() & set(keys):
                del self._failures[PlaneKey(*key)]

    def clear(self) -> None:
        """Everything may have changed: no failure counts."""
        with self._lock:
            self._failures.clear()

    def release_due(self, now: float) -> bool:
        """Release due planes for the next request; returns whether there are any."""
        with self._lock:
            due = [failure for failure in self._failures.values() if failure.due <= now]
            for failure in due:
                failure.error, failure.due = None, float("inf")
        return bool(due)
