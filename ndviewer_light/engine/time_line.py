"""What of one position is there at each time point: looked up in the background, for the strip below T."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import PlaneKey, PlaneState
from .plane_batches import plane_batches
from .plane_codes import PlaneCodes
from .repeated_look import LOOK_AGAIN_BY_SECONDS, PLANES_PER_LOOK, SHARE, RepeatedLook
from .state_codes import NOT_EXPECTED, NOT_LOOKED_AT, TimeState, is_in, is_there, summarised
from .stored_states import block_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..model import DatasetInfo
    from .surveyor import Surveyor

_TIMES_EVERY_SECONDS = 0.3
_BLOCK_AGAIN_SECONDS = 1.0
_FULL_AGAIN_SECONDS = 5.0
_NOTHING_MISSING_SECONDS = 30.0
_KEPT_POSITIONS = 1024
_PLANES_AT_FRONT = 256
"""How many are looked at again every time; all of them are less often."""


class TimeStates(NamedTuple):
    """The states of a position's time points, in order."""

    p: int
    states: tuple[TimeState, ...]


class TimeLine:
    """The time points of the position in view. Any thread; `of` never blocks.

    `may_change()`: whether anybody may be writing. `found_news` is called when planes are there that were
    not.
    """

    def __init__(
        self,
        surveyor: Surveyor,
        info: Callable[[], DatasetInfo],
        may_change: Callable[[], bool],
        found_news: Callable[[], None] = lambda: None,
    ) -> None:
        self._stored = surveyor.stored
        self._failures = surveyor.failures
        self._image = surveyor.image
        self._info = info
        self._may_change = may_change
        self._found_news = found_news
        self._looks: RepeatedLook[TimeStates] = RepeatedLook(
            "ndviewer-times", "looking at the time points", _TIMES_EVERY_SECONDS
        )
        self._before: dict[int, TimeStates] = {}  # of positions that were in view before, the last ones last
        # made by the thread that looks:
        self._codes = (-1, 0, PlaneCodes(np.zeros((0, 0, 0), np.uint8)))  # position, epoch, (t, c, z)
        self._full_again = 0.0

    def of(self, p: int, now: float) -> TimeStates | None:
        """The states as of the last look at position `p`, None until there was one.

        Whoever comes back to a position sees what was known of it until it has been looked at again.

        `now`: as `time.monotonic`. Starts a look if it is time; a few microseconds.
        """
        about = (p, self._info(), self._failures.version, self._stored.comes)
        answer = self._looks.answer(about, now, lambda epoch, is_news: self._look(p, epoch, is_news=is_news))
        if answer is None or answer.p != p:
            return self._before.get(p)
        if self._before.get(p) is not answer:
            self._before[p] = answer
            if len(self._before) > _KEPT_POSITIONS:
                del self._before[next(iter(self._before))]
        return answer

    def start_over(self) -> None:
        """Nothing looked up so far counts."""
        self._looks.start_over()
        self._before = {}

    def were_read(self, keys: Collection[PlaneKey]) -> None:
        """The pixels of these planes were read, a moment ago: what is said of them is so from now on."""
        p, _, codes = self._codes
        if all(key.p != p for key in keys):
            return
        changed = codes.read((key.t, key.c, key.z) for key in keys if key.p == p)
        answer = self._looks.last
        if not changed or answer is None or answer.p != p:
            return
        states = list(answer.states)
        for t, state in zip(changed, summarised(codes.rows(changed)), strict=True):
            if t < len(states):
                states[t] = state
        self._looks.amend(answer, TimeStates(p, tuple(states)))

    def _look(self, p: int, epoch: int, *, is_news: bool) -> None:
        began = time.monotonic()
        codes = self._start(p, epoch)
        is_full = is_news or began >= self._full_again
        keys = self._keys(p, codes.copy(), PLANES_PER_LOOK if is_full else _PLANES_AT_FRONT)
        for batch in plane_batches(keys, self._looks.rest):
            if self._looks.is_closed:
                return
            if codes.take([(key.t, key.c, key.z) for key in batch], self._stored.of(batch)):
                self._found_news()
            self._tell(p, codes, epoch)
        block = self._tell(p, codes, epoch)
        now = time.monotonic()
        wait = max(_BLOCK_AGAIN_SECONDS, min(SHARE * (now - began), LOOK_AGAIN_BY_SECONDS))
        is_rest = bool((block == NOT_LOOKED_AT).any())
        if is_full:
            self._full_again = now + max(_FULL_AGAIN_SECONDS, wait)
            wait = _BLOCK_AGAIN_SECONDS
        if not is_in(block, PlaneState.PENDING, PlaneState.ABSENT).any():
            wait = max(wait, _NOTHING_MISSING_SECONDS)  # on a server each look is a request
        self._looks.wait(wait if self._may_change() or is_rest else float("inf"))

    def _start(self, p: int, epoch: int) -> PlaneCodes:
        """The codes (t, c, z) so far."""
        image = self._image(p)
        info = self._info()
        expected = block_of(info, image)
        block = np.full((max(len(expected), info.n_t), *expected.shape[1:]), NOT_EXPECTED, np.uint8)
        block[: len(expected)] = expected
        of, its_epoch, before = self._codes
        codes = before.within(block) if (of, its_epoch) == (p, epoch) else PlaneCodes(block)
        codes.look_again((t, c, z) for t, _, c, z in self._failures.among({p}))
        self._codes = p, epoch, codes
        return codes

    def _keys(self, p: int, block: np.ndarray, n: int) -> list[PlaneKey]:
        """At most `n` planes to look at, not those that are there.

        New ones come first, then those of time points that are there in part, then the first of the others,
        as writers write in order.
        """
        is_expected = block != NOT_EXPECTED
        there = is_there(block)
        begun = np.asarray(there.any(axis=(1, 2)))[:, None, None]
        is_new = np.asarray(block == NOT_LOOKED_AT)
        is_open = is_expected & ~there & ~is_new
        found = [np.argwhere(which) for which in (is_new, is_open & begun, is_open & ~begun)]
        return [PlaneKey(t, p, c, z) for t, c, z in np.concatenate(found)[:n].tolist()]

    def _tell(self, p: int, codes: PlaneCodes, epoch: int) -> np.ndarray:
        changes, block = -1, codes.copy()
        while changes != codes.changes:  # something was read meanwhile
            changes, block = codes.changes, codes.copy()
            self._looks.tell(TimeStates(p, summarised(block)), epoch)
        return block

    def close(self) -> None:
        """Look no more. Never blocks."""
        self._looks.close()

    def join(self, deadline: float) -> None:
        """Wait for a look to end, at most until `deadline` (`time.monotonic`)."""
        self._looks.join(deadline)
