"""How long nothing may come before what is missing counts as not acquired: by how planes came so far.

Planes of a time series come in bursts, with a silence after each. A silence is waited for after a burst that
was as long as the one before it, and no other: that somebody paused once, or that the writer died in the
middle of a time point, does not have what is missing be awaited for hours. Pure; times are those of
`time.monotonic`.
"""

from __future__ import annotations

from collections import deque

GROWING_SECONDS = 60.0
"""A dataset whose last news is younger than this is being written, or, where silences are longer:"""
_SILENCES = 1.5
"""than so many times the last silence, or the shorter of the last two."""
_SHORTEST_SILENCE_SECONDS = 20.0
_LONGEST_SILENCE_SECONDS = 3600.0
"""What is further apart counts as another run."""
_SAME_SHARE, _SAME_SECONDS = 0.25, 30.0
"""Bursts that differ by no more are alike; they are seen by looks that may be half a minute apart."""


class NewsRhythm:
    """The bursts in which news came, and the silences between them."""

    def __init__(self) -> None:
        self._began: float | None = None  # the burst
        self._last = 0.0  # news in it
        self._burst_before: float | None = None  # how long it was
        self._silences: deque[float] = deque(maxlen=2)

    def note(self, now: float) -> None:
        """There are news."""
        silence = now - self._last
        if self._began is None or silence > _LONGEST_SILENCE_SECONDS:
            self._began, self._burst_before = now, None
            self._silences.clear()
        elif silence > _SHORTEST_SILENCE_SECONDS:
            self._burst_before = self._last - self._began
            self._silences.append(silence)
            self._began = now
        self._last = now

    def patience_s(self) -> float:
        """How long after the last news more are awaited."""
        if self._began is None or self._burst_before is None:
            return GROWING_SECONDS
        before, burst = self._burst_before, self._last - self._began
        if abs(burst - before) > max(_SAME_SECONDS, _SAME_SHARE * before):
            return GROWING_SECONDS
        return max(GROWING_SECONDS, _SILENCES * min(self._silences))
