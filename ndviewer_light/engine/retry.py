"""Planes in view that could not be shown: the reasons, and when each is retried."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PlaneNotStoredError, ReadTimeoutError
from ..model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before a plane in view is retried after its first, second, … failure; the last one repeats."""

RETRY_SECONDS_AFTER_TIMEOUT = (8.0, 16.0, 32.0, 64.0)
"""The same after a read that timed out: a retry occupies a process and may take as long again."""

RETRY_SECONDS_OF_FILL = (2.0, 8.0)
"""The same for a plane that counts as the fill value; after that it is final as long as it is in view."""


@dataclass
class _FailedPlane:
    """Why a plane in view could not be shown, and when to retry it (`time.monotonic`).

    Once the retry is due the next request reads again.
    """

    error: Exception
    attempts: int
    due: float
    is_due: bool = False


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
            self._failures = _of_keys(self._failures, keys)
            return _not_due(self._failures)

    @property
    def has_failures(self) -> bool:
        """Whether there are planes in view that could not be shown."""
        return bool(self._failures)

    def error_of(self, key: PlaneKey) -> Exception | None:
        """Why a plane in view could not be shown; None if unknown or due for a retry."""
        with self._lock:
            failure = self._failures.get(key)
        return failure.error if failure is not None and not failure.is_due else None

    def timeout_of(self, key: PlaneKey) -> ReadTimeoutError | None:
        """What to show for a plane in view during a retry: the timeout before it, None after other errors.

        Such a retry is slow too, and showing "loading" would hide for minutes that something is wrong.
        """
        with self._lock:
            failure = self._failures.get(key)
        if failure is not None and isinstance(failure.error, ReadTimeoutError):
            return failure.error
        return None

    def failed(self, key: PlaneKey, error: Exception, now: float, *, again: bool) -> bool:
        """Record a failure, to be retried later if `again`; True if it is the first of this plane."""
        with self._lock:
            before = self._failures.get(key)
            if before is not None and before.error is error and not before.is_due:
                return False  # the same read, told by another view that waited for it
            if before is None or _is_fill_value(error) != _is_fill_value(before.error):
                attempts = 0  # what has become the fill value is looked at again as often as any
            else:
                attempts = before.attempts + before.is_due  # another read of it meanwhile is no retry
            due = now + _wait_after(error, attempts) if again else float("inf")
            if key in self._in_view:
                error.__traceback__ = None  # its frames reference arrays
                self._failures[key] = _FailedPlane(error, attempts, due)
        return before is None

    def succeeded(self, key: PlaneKey) -> bool:
        """The plane was read: its next failure counts as the first. Returns whether it had failed before."""
        with self._lock:
            return self._failures.pop(key, None) is not None

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
            return _release_due(self._failures.values(), now)


# Functions of their own rather than loops under the lock: see `single_flight._remove`.


def _of_keys(
    failures: Mapping[PlaneKey, _FailedPlane], keys: Sequence[PlaneKey]
) -> dict[PlaneKey, _FailedPlane]:
    return {key: failures[key] for key in keys if key in failures}


def _not_due(failures: Mapping[PlaneKey, _FailedPlane]) -> dict[PlaneKey, Exception]:
    return {key: failure.error for key, failure in failures.items() if not failure.is_due}


def _release_due(failures: Iterable[_FailedPlane], now: float) -> bool:
    due = [failure for failure in failures if failure.due <= now]
    for failure in due:
        failure.is_due, failure.due = True, float("inf")
    return bool(due)


def _is_fill_value(error: Exception) -> bool:
    return isinstance(error, PlaneNotStoredError) and error.is_fill_value


def _wait_after(error: Exception, attempts: int) -> float:
    """Seconds until the next attempt; infinite if there is none."""
    if _is_fill_value(error):
        return RETRY_SECONDS_OF_FILL[attempts] if attempts < len(RETRY_SECONDS_OF_FILL) else float("inf")
    steps = RETRY_SECONDS_AFTER_TIMEOUT if isinstance(error, ReadTimeoutError) else RETRY_SECONDS
    return steps[min(attempts, len(steps) - 1)]
