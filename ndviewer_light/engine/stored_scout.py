"""How far a dataset is written that nobody announces: found among what is stored, a few planes at a time.

Sizes do not tell: many writers reserve them before the first plane. What is written is taken to be written in
order, time points one after the other at each position; then a handful of questions find the newest one.
"""

from __future__ import annotations

import functools
import threading
import time
from itertools import takewhile
from operator import itemgetter
from typing import TYPE_CHECKING

from ..model import PlaneKey
from .background_work import BackgroundWork
from .look_schedule import SHARE_OF_AGE
from .newest_places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..model import DatasetInfo
    from .newest_places import NewestWanted

SCOUT_SECONDS = 1.0
"""How long after a look the next one begins at the latest."""
_WHILE_NEWS_SECONDS = 0.05
"""How long after it the next one may begin while newer places are found."""
_TIMES_AS_LONG = 10
"""And after so many times as long as it takes to ask what is stored."""
GROWN_SECONDS = 0.2
"""How long after a look the next one may begin if the dataset has grown since, whatever it takes."""
_ADDED_AT_ONCE = 64
"""Writers that make an array longer for each plane leave nothing behind the last one; others make it long."""


def last_of(is_there: Callable[[int], bool], n: int, near: int = -1) -> int:
    """The last index below `n` that is there, -1 without any, if those that are there come first.

    Asks few questions if it is not far beyond `near`; one, if it is the last of a few that have been added.
    """
    if 0 <= near < n - 1 <= near + _ADDED_AT_ONCE and is_there(n - 1):
        return n - 1
    low, high, step = (near if 0 <= near < n and is_there(near) else -1), n, 1
    while low + step < n:
        if not is_there(low + step):
            high = low + step
            break
        low, step = low + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_there(middle) else (low, middle)
    return low


def front(
    is_there: Callable[[int, int], bool], n_t: int, n_p: int, near: tuple[int, int] = (-1, -1)
) -> tuple[int, int] | None:
    """The time point and position written last, whichever of the two is the outer loop; None without any."""
    near_t, near_p = near
    first = last_of(lambda t: is_there(t, 0), n_t, near_t)
    if first < 0:
        return None
    last = last_of(lambda t: is_there(t, n_p - 1), n_t, near_t)
    if last >= first:
        return first, n_p - 1
    p = last_of(lambda p: is_there(first, p), n_p, near_p)
    if last < first - 1 and p + 1 < n_p:  # not all positions in turn: one after the other
        t = last_of(lambda t: is_there(t, p + 1), n_t, near_t)
        if t >= 0:
            return t, p + 1
    return first, p


class StoredScout:
    """Answers what the newest place is, by looking at what is stored in a thread of its own. Any thread.

    `is_stored(key)`: whether the whole plane is. `are_begun(keys)`: whether anything of them is, or more,
    which costs less; `are_whole(keys)`: `is_stored` of planes that are begun; `is_gone()`: whether the
    dataset is out of reach, where nothing says what is stored: then the newest place stays. They may block.
    `found_news` is called when the newest place is another one than before, `want(keys)` with planes that are
    begun of places that lack others: they may be read until these are there.
    """

    def __init__(
        self,
        is_stored: Callable[[PlaneKey], bool],
        found_news: Callable[[], None] = lambda: None,
        *,
        are_begun: Callable[[Sequence[PlaneKey]], Iterable[bool]] | None = None,
        are_whole: Callable[[Sequence[PlaneKey]], Iterable[bool]] | None = None,
        is_gone: Callable[[], bool] = lambda: False,
        want: Callable[[Sequence[PlaneKey]], object] = lambda keys: None,
    ) -> None:
        self._are_stored = functools.partial(map, is_stored)
        self._are_begun = are_begun or self._are_stored
        self._are_whole = are_whole or self._are_stored
        self._is_gone = is_gone
        self._want = want
        self._found_news = found_news
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._asked: NewestWanted | None = None
        self._answer: Place | None = None
        self._looked = float("-inf")
        self._asking_took = 0.0  # of the last look, which may not have ended
        self._news: float | None = None  # when a newer place was found, or it was first asked for
        self._info: DatasetInfo | None = None  # as of the last look
        self._work = BackgroundWork("ndviewer-scout", "looking for the newest planes")

    def newest(self, wanted: NewestWanted, info: DatasetInfo, now: float) -> Place | None:
        """The newest place as of the last look, None until there was one for this question; never blocks.

        `now`: as `time.monotonic`. Starts the next look if it is time.
        """
        with self._lock:
            is_answered = self._asked == wanted
            answer = self._answer if is_answered else None
            near = self._answer
            if self._news is None:
                self._news = now
            age, cost = now - self._news, self._asking_took
            wait = max(_WHILE_NEWS_SECONDS, age * SHARE_OF_AGE, cost * _TIMES_AS_LONG)
            wait = min(wait, SCOUT_SECONDS if info is self._info else GROWN_SECONDS)
            is_due = now >= self._looked + wait or not is_answered
        if is_due and self._work.can_begin(now):
            self._work.begin(lambda: self._look(wanted, info, near, now), now)
            with self._lock:
                self._looked, self._info = now, info
        return answer

    def _look(self, wanted: NewestWanted, info: DatasetInfo, near: Place | None, now: float) -> None:
        found = self._find(wanted, info, near)
        if (
            found != near and near is not None and self._is_gone()
        ):  # asked afterwards: it may have gone meanwhile
            return
        with self._lock:
            is_news = self._asked == wanted and self._answer != found
            self._asked, self._answer = wanted, found
            if is_news:
                self._news = now
        if is_news:
            self._found_news()

    def _find(self, wanted: NewestWanted, info: DatasetInfo, near: Place | None) -> Place | None:
        """The newest place; of those before it nothing is read if it is whole."""
        began, in_part = time.monotonic(), list[PlaneKey]()
        found = self._find_by(self._are_begun, wanted, info, near, in_part)
        self._asking_took = time.monotonic() - began
        is_known = found == near and self._asked == wanted
        if is_known:
            self._want(in_part)
        if found is None or is_known or self._is_whole(found, wanted, info):
            return found
        return self._find_by(self._are_stored, wanted, info, near, [])

    def _is_whole(self, place: Place, wanted: NewestWanted, info: DatasetInfo) -> bool:
        t, p, z = place
        zs = (0, info.n_z - 1) if wanted.whole_stack else (z,)
        keys = [PlaneKey(t, p, c, each) for each in zs for c in wanted.channels]
        return all(self._are_whole(keys)) if wanted.every_channel else any(self._are_stored(keys))

    def _find_by(
        self,
        are_stored: Callable[[Sequence[PlaneKey]], Iterable[bool]],
        wanted: NewestWanted,
        info: DatasetInfo,
        near: Place | None,
        in_part: list[PlaneKey],
    ) -> Place | None:
        """The newest place; adds to `in_part` the first planes of those that lack others."""
        n_t, n_p = info.n_t, len(info.positions)
        near_t, near_p, near_z = near if near is not None else (-1, -1, -1)
        first_z = wanted.z or 0

        def has(t: int, p: int, z: int) -> bool:
            keys = [PlaneKey(t, p, c, z) for c in wanted.channels]
            if self._work.closed.is_set():
                return False
            if not wanted.every_channel:
                return any(are_stored(keys))
            there = [key for key, _ in takewhile(itemgetter(1), zip(keys, are_stored(keys), strict=False))]
            if len(there) < len(keys):
                in_part.extend(there)
            return len(there) == len(keys)

        @functools.cache  # on a slow share each answer takes as long as a look
        def is_there(t: int, p: int) -> bool:
            zs = (0, info.n_z - 1) if wanted.whole_stack else (first_z,)
            return all(has(t, p, z) for z in zs)

        found = self._find_place(wanted, is_there, (n_t, n_p), (near_t, near_p))
        if found is None or wanted.z is not None or wanted.whole_stack:
            return Place(*found, first_z) if found is not None else None
        t, p = found
        is_same = (t, p) == (near_t, near_p)
        z = last_of(lambda z: has(t, p, z), info.image(p).n_z, near_z if is_same else -1)
        return Place(t, p, max(z, 0))

    @staticmethod
    def _find_place(
        wanted: NewestWanted,
        is_there: Callable[[int, int], bool],
        sizes: tuple[int, int],
        near: tuple[int, int],
    ) -> tuple[int, int] | None:
        """The newest time point and position."""
        (n_t, n_p), (near_t, near_p) = sizes, near
        pin_t, pin_p = wanted.t, wanted.p
        if pin_t is not None and pin_p is not None:
            return (pin_t, pin_p) if wanted.z is None and is_there(pin_t, pin_p) else None
        if pin_p is not None:
            t = last_of(lambda t: is_there(t, pin_p), n_t, near_t)
            return (t, pin_p) if t >= 0 else None
        if pin_t is not None:
            p = last_of(lambda p: is_there(pin_t, p), n_p, near_p)
            return (pin_t, p) if p >= 0 else None
        return front(is_there, n_t, n_p, near)

    def close(self) -> None:
        """Look no more. Never blocks."""
        self._work.close()

    def join(self, deadline: float) -> None:
        """Wait for a look to end, at most until `deadline` (`time.monotonic`)."""
        self._work.join(deadline)
