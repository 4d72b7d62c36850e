"""When to look at the disk: for a run that a host announces, and for whatever may grow at a path.

Pure rules, without threads; times are those of `time.monotonic`. Not thread-safe.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum

from ..storage.time_spent import TimeSpent, least_of
from .news_rhythm import NewsRhythm

LOOK_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Delays before the next look at a host's run after unsuccessful ones; the last one repeats."""
GRACE_SECONDS = 15.0
"""How long after the end of a run the disk is still followed: writers in other processes lag behind."""

SHORTEST_SECONDS = 0.2
"""How often a dataset is looked at while it grows."""
LONGEST_SECONDS = 30.0
"""The longest interval for a dataset that has grown before."""
SHARE_OF_AGE = 0.05
"""The next look comes after this share of the time since the last news."""
GIVEN_UP_SECONDS = 600.0
"""A dataset that has not changed at all for so long after it was opened is finished."""
_YOUNG_SECONDS = 5.0
"""For so long after it was opened more is awaited of a dataset that had just been written."""
_ACTIVE_SECONDS = 10.0
"""While the last news (or the opening) is younger than this, looks may cost more."""
_SHARE_ACTIVE = 1 / 8
_SHARE_IDLE = 1 / 100
"""The largest share of a core that looking computes: while the last news are younger, and after that."""
_LONGEST_WHILE_GROWING_SECONDS = 15.0
"""The longest interval while it is being written, whatever a look computes."""
_COSTS = 3
_LONG_WAIT_SECONDS = 0.05
"""The cost of a look is that of the cheapest of so many: on a busy computer one may wait for its turn."""

Index = tuple[int, int, int, int]


class Following(Enum):
    """Whether a dataset is being followed; the values are what users read."""

    FOLLOWING = "Following"
    PAUSED = "Paused"
    FINISHED = "Finished"


class LookSchedule(ABC):
    """When to look. `begin` and `ended` enclose a look."""

    def __init__(self) -> None:
        self._expected: Index | None = None
        self.is_away = False
        """Whether the dataset could not be reached at the last look: it is looked for until it is back."""

    @property
    @abstractmethod
    def following(self) -> Following:
        """Whether there will be another look."""

    @property
    def follows_growth(self) -> bool:
        """Whether what grows at a path is followed, rather than what a host says."""
        return False

    def is_growing(self, now: float) -> bool:
        """Whether it was found to be written lately."""
        return False

    def is_awaited(self, now: float) -> bool:
        """Whether more may be written, as it is being written or was a moment ago."""
        return self.is_growing(now)

    @property
    def grew_at(self) -> float:
        """When it was found to have grown last; -inf: never."""
        return float("-inf")

    @property
    def waits_long(self) -> bool:
        """Whether looks wait for a slow disk."""
        return False

    def found_young(self, now: float) -> None:  # noqa: B027  of a host's run it is known
        """It was written just before it was opened, and may grow."""

    def pause(self, paused: bool, now: float) -> None:  # noqa: B027  a host's run is not paused
        """Look no more, or again from now on."""

    def expect(self, beyond: Index) -> None:
        """A writer notified a plane beyond the known sizes."""
        self._expected = beyond

    def found_nothing_of(self, expected: Index) -> None:
        """The notified plane is still missing: look again, unless another was notified since."""
        self._expected = self._expected or expected

    @abstractmethod
    def gone_elsewhere(self, now: float) -> None:
        """Different planes are in view now."""

    @abstractmethod
    def end(self, now: float) -> None:
        """Whoever writes it says that it is complete."""

    @abstractmethod
    def is_due(self, now: float) -> bool:
        """Whether it is time to look."""

    @abstractmethod
    def begin(self, now: float) -> Index | None:
        """Record that a look starts; returns the expected plane, if any."""

    def ended(self, now: float, spent: TimeSpent) -> None:  # noqa: B027  matters only where many follow
        """Record that it has ended, and what it took."""

    @abstractmethod
    def found_something(self, now: float) -> None:
        """Something was new, so more may follow soon."""


class RunSchedule(LookSchedule):
    """For a run that a host announces: with back-off, until some seconds after its end."""

    def __init__(self, now: float, *, live: bool) -> None:
        """Not `live`: only planes that are expected are looked for."""
        super().__init__()
        self._until = float("inf") if live else float("-inf")
        self._since = now  # when this view came into view
        self._looked = float("-inf")
        self._in_vain = 0  # looks since there was a reason to expect something

    @property
    def following(self) -> Following:
        """See `LookSchedule`: until the host ends the run."""
        return Following.FOLLOWING if self._until == float("inf") else Following.FINISHED

    def is_awaited(self, now: float) -> bool:
        """See `LookSchedule`: writers lag behind the end of the run."""
        return now < self._until

    def gone_elsewhere(self, now: float) -> None:
        """See `LookSchedule`."""
        self._in_vain, self._since = 0, now

    def expect(self, beyond: Index) -> None:
        """See `LookSchedule`."""
        super().expect(beyond)
        self._in_vain = 0

    def end(self, now: float) -> None:
        """See `LookSchedule`."""
        self._until, self._in_vain = now + GRACE_SECONDS, 0

    def is_due(self, now: float) -> bool:
        """See `LookSchedule`."""
        wait = LOOK_SECONDS[min(self._in_vain, len(LOOK_SECONDS) - 1)]
        follows = self._since + wait <= now and (now < self._until or self.is_away)
        return (follows or self._expected is not None) and now >= self._looked + wait

    def begin(self, now: float) -> Index | None:
        """See `LookSchedule`."""
        expected, self._expected = self._expected, None
        self._looked = now
        self._in_vain += 1
        return expected

    def found_something(self, now: float) -> None:
        """See `LookSchedule`."""
        self._in_vain = 0


class GrowthSchedule(LookSchedule):
    """For whatever lies at a path: often while it grows, less and less while it does not.

    Looks compute for a bounded share of a core, whatever one costs; those that wait for a slow disk take a
    quarter of the time, or are 15 s apart. A dataset that has never grown since it was opened is finished
    after ten minutes, one that its writer calls complete after some seconds; one that has grown is looked at
    every 30 s, for ever.
    """

    def __init__(self, now: float) -> None:
        super().__init__()
        self._since = self._news = now
        self._has_grown = False
        self._grew_at = float("-inf")
        self._young_until = float("-inf")
        self._rhythm = NewsRhythm()
        self._until = now + GIVEN_UP_SECONDS
        self._paused = False
        self._began = now  # opening has just looked at everything
        self._ended = float("-inf")
        self._costs: deque[TimeSpent] = deque(maxlen=_COSTS)  # on the last looks
        self._is_elsewhere = False
        self._now = now  # as last told

    @property
    def following(self) -> Following:
        """See `LookSchedule`; as of when it was last asked whether a look is due."""
        if self._paused:
            return Following.PAUSED
        return Following.FOLLOWING if self._now < self._until else Following.FINISHED

    @property
    def follows_growth(self) -> bool:
        """See `LookSchedule`."""
        return True

    def is_growing(self, now: float) -> bool:
        """See `LookSchedule`."""
        return now < self._young_until or (self._has_grown and now - self._news < self._rhythm.patience_s())

    @property
    def waits_long(self) -> bool:
        """See `LookSchedule`."""
        return least_of(self._costs).waited > _LONG_WAIT_SECONDS

    def found_young(self, now: float) -> None:
        """See `LookSchedule`."""
        self._young_until = now + _YOUNG_SECONDS

    @property
    def grew_at(self) -> float:
        """See `LookSchedule`."""
        return self._grew_at

    def pause(self, paused: bool, now: float) -> None:
        """See `LookSchedule`; what was finished is followed again for ten minutes."""
        self._paused, self._now = paused, now
        if not paused:
            self._news = now
            self._until = max(self._until, now + GIVEN_UP_SECONDS)

    def gone_elsewhere(self, now: float) -> None:
        """See `LookSchedule`."""
        self._is_elsewhere = True

    def end(self, now: float) -> None:
        """See `LookSchedule`."""
        self._until = min(self._until, now + GRACE_SECONDS)

    def is_due(self, now: float) -> bool:
        """See `LookSchedule`."""
        self._now = now
        if self._paused or (self.following is Following.FINISHED and not self.is_away):
            return False
        age = now - self._news
        # what was just opened counts as news: a writer may be at work, and its next plane should not be late
        share = _SHARE_ACTIVE if age < _ACTIVE_SECONDS else _SHARE_IDLE
        wait = min(max(SHORTEST_SECONDS, age * SHARE_OF_AGE), LONGEST_SECONDS)
        if self._is_elsewhere or self._expected is not None:
            share, wait = _SHARE_ACTIVE, SHORTEST_SECONDS / 2
        rest = least_of(self._costs).rest_s(share)
        if self.is_growing(now):
            rest = min(rest, _LONGEST_WHILE_GROWING_SECONDS)
        return now >= max(self._began + wait, self._ended + rest)

    def begin(self, now: float) -> Index | None:
        """See `LookSchedule`."""
        expected, self._expected = self._expected, None
        self._began = now
        self._is_elsewhere = False
        return expected

    def ended(self, now: float, spent: TimeSpent) -> None:
        """See `LookSchedule`."""
        self._costs.append(spent)
        self._ended = now

    def found_something(self, now: float) -> None:
        """See `LookSchedule`."""
        self._rhythm.note(now)
        self._news = self._grew_at = now
        self._has_grown = True
        self._until = float("inf")
