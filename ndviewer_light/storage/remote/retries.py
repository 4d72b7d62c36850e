"""How often a request is retried, and how long one attempt may take. No I/O."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import Failure

REQUEST_RETRY_SECONDS = (0.1, 0.3, 0.8, 2.0)  # before each retry
TRYING_SECONDS = 60.0  # no retry after these
SLOWEST_BYTES_PER_S = 10_000  # anything slower than this is useless for viewing
_SLOW_START_SECONDS = 30.0


def seconds_for(length: int, start_s: float = _SLOW_START_SECONDS) -> float:
    """The time limit of one attempt for `length` bytes, the first of them after `start_s`."""
    return start_s + length / SLOWEST_BYTES_PER_S


class Tries:
    """The attempts of one request."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._made = 0

    def pause_after(self, failure: Failure) -> float:
        """Seconds to wait before the next attempt; raises `failure` if there is none."""
        self._made += 1
        is_over = self._made > len(REQUEST_RETRY_SECONDS) or time.monotonic() - self._began > TRYING_SECONDS
        if not failure.again or is_over:
            failure.tries = self._made
            raise failure
        return REQUEST_RETRY_SECONDS[self._made - 1] * random.uniform(0.7, 1.3)
