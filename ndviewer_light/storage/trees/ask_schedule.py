"""When a server is asked again what is new: at once after news, ever more rarely without."""

from __future__ import annotations

import time
from collections import deque

from ..watched_folders import LISTING_SHARE

_ASK_AGAIN_SECONDS = 1.0
"""From one look to the next, at least; twice as long after each that finds nothing, up to:"""
_LONGEST_WAIT_SECONDS = 30.0
_LAST_TIMES = 3


class AskSchedule:
    """Whether it is time to ask a server again. One thread at a time."""

    def __init__(self) -> None:
        self._began = 0.0
        self._not_before = float("-inf")
        self._wait = _ASK_AGAIN_SECONDS
        self._costs: deque[float] = deque(maxlen=_LAST_TIMES)  # seconds that the last times took

    def begin(self, *, at_once: bool = False) -> bool:
        """Whether to ask now; then `ended` has to follow."""
        self._began = time.monotonic()
        return at_once or self._began >= self._not_before

    def ended(self, *, has_news: bool) -> None:
        """What was asked has been answered; the next time is a share of what that took away, at least.

        Of what it takes at best, as it may wait for a busy computer; and no longer than without any news.
        """
        now = time.monotonic()
        self._costs.append(now - self._began)
        cost = min(self._costs)
        self._wait = _ASK_AGAIN_SECONDS if has_news else min(2 * self._wait, _LONGEST_WAIT_SECONDS)
        longest = max(_LONGEST_WAIT_SECONDS, cost)
        self._not_before = now + min(max(self._wait, cost / LISTING_SHARE), longest)

    def hurry(self) -> None:
        """Ask when it is looked for next."""
        self._not_before = float("-inf")
