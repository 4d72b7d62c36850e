"""Requests that crash the reader process are paused for a while; requests running beside them are not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ..errors import ReaderCrashedError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

DEATHS, DEATHS_SECONDS = 3, 60.0
"""After so many crashes within so many seconds, a read is paused for that time."""

_ALONE_SECONDS = 5.0  # how long a suspect waits at most for another one to be read


class Blame:
    """The requests that were in progress when readers died.

    If there were several, each is a suspect and repeated, one suspect at a time:
    the culprit crashes again. Those that are answered are cleared. Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deaths: dict[Hashable, deque[float]] = {}
        self._reasons: dict[Hashable, str] = {}
        self._one_at_a_time = threading.Lock()

    def strike(self, request: Hashable, reason: str) -> None:
        """A reader died, for a reason, while processing `request`."""
        with self._lock:
            self._reasons[request] = reason
            self._deaths.setdefault(request, deque(maxlen=DEATHS)).append(time.monotonic())
            self._forget_old()

    def clear(self, request: Hashable) -> None:
        """The request was answered."""
        if request in self._deaths:
            with self._lock:
                self._deaths.pop(request, None)
                self._reasons.pop(request, None)

    def check(self, request: Hashable, what: Callable[[], str]) -> None:
        """Raise `ReaderCrashedError` if `request` (`what` in words) has ended too many readers."""
        if request not in self._deaths:
            return
        with self._lock:
            deaths = list(self._deaths.get(request, []))
            reason = self._reasons.get(request, "")
            too_many = len(deaths) == DEATHS and time.monotonic() - deaths[0] < DEATHS_SECONDS
        if too_many:
            raise ReaderCrashedError(
                f"{what()} crashed the reader process {DEATHS} times within a minute; will retry in one "
                f"minute. The file may be damaged: check it, or copy it again. The last time, {reason}"
            )

    @contextlib.contextmanager
    def alone_if_suspected(self, request: Hashable) -> Iterator[None]:
        """No other suspect is read meanwhile."""
        if request not in self._deaths:
            yield
            return
        alone = self._one_at_a_time.acquire(timeout=_ALONE_SECONDS)
        try:
            yield
        finally:
            if alone:
                self._one_at_a_time.release()

    def _forget_old(self) -> None:
        now = time.monotonic()
        for request in [each for each, deaths in self._deaths.items() if now - deaths[-1] > DEATHS_SECONDS]:
            del self._deaths[request], self._reasons[request]
