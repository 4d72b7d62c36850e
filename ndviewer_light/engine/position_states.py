"""What of each position is there at one time point, by what is known and stored: for maps of plates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import PlaneKey, PlaneState
from .plane_batches import plane_batches
from .plane_codes import PlaneCodes
from .repeated_look import LOOK_AGAIN_BY_SECONDS, PLANES_PER_LOOK, SHARE, RepeatedLook
from .state_codes import CODES, NOT_EXPECTED, NOT_LOOKED_AT, TimeState, is_there, summarised

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..model import DatasetInfo
    from .announced_planes import AnnouncedPlanes
    from .surveyor import Surveyor

_POSITIONS_EVERY_SECONDS = 0.25
_LOOK_AGAIN_SECONDS = 2.0
_KEPT_TIMES = 64


class PositionStates(NamedTuple):
    """The state of every position at time point `t`, and how many planes of it are there and expected."""

    t: int
    states: tuple[TimeState, ...]
    there: tuple[int, ...]
    expected: tuple[int, ...]


class PositionSurvey:
    """Looks at all positions at the time point in view. Any thread; `of` never blocks.

    Of a run that is notified, the notifications count; otherwise what is stored on local disks. Nothing is
    read, and no server is asked: of a dataset on one, what was not notified is UNKNOWN. What is read
    meanwhile (`were_read`) is there, whoever has announced it and whenever it is looked at.
    `is_live()`: whether a host says what is written. `may_change()`: whether anybody may be writing.
    `found_news` is called when planes are there that were not.
    """

    def __init__(
        self,
        surveyor: Surveyor,
        announced: AnnouncedPlanes,
        info: Callable[[], DatasetInfo],
        *,
        is_live: Callable[[], bool],
        may_change: Callable[[], bool],
        is_local: bool,
        found_news: Callable[[], None] = lambda: None,
    ) -> None:
        self._stored = surveyor.stored
        self._failures = surveyor.failures
        self._announced = announced
        self._info = info
        self._is_live = is_live
        self._may_change = may_change
        self._found_news = found_news
        self._is_local = is_local
        self._looks: RepeatedLook[PositionStates] = RepeatedLook(
            "ndviewer-places", "looking at the positions", _POSITIONS_EVERY_SECONDS
        )
        self._wanted_t = 0
        # made by the thread that looks: codes (position, channel, z) by time point, of one epoch
        self._codes: dict[int, PlaneCodes] = {}
        self._codes_epoch = 0
        # what was told last of each time point, and in which epoch: while time is played each comes again
        self._told: dict[int, tuple[int, PositionStates]] = {}

    def of(self, t: int, now: float) -> PositionStates | None:
        """The states as of the last look at time point `t`, None until there was one.

        `now`: as `time.monotonic`. Starts a look if it is time; a few microseconds.
        """
        info = self._info()
        self._wanted_t = t  # a look at another time point ends
        announced = self._announced.total
        about = (t, info, announced, self._failures.version, self._stored.comes)
        epoch, told = self._told.get(t, (-1, None))
        told = told if epoch == self._looks.epoch else None
        answer = self._looks.answer(
            about, now, lambda epoch, is_news: self._look(t, epoch), is_unknown=told is None
        )
        n = len(info.positions)
        if answer is not None and answer.t != t:
            answer = told
        if answer is None or len(answer.states) > n:
            return None
        if len(answer.states) < n:  # more have appeared: those that are known keep their index
            answer = self._looks.amend(answer, _with_more(answer, info))
        return answer

    def present(self) -> dict[int, np.ndarray]:
        """By time points that were looked at: which planes (position, channel, z) were stored then."""
        if self._codes_epoch != self._looks.epoch:
            return {}
        return {t: codes.copy() == CODES[PlaneState.PRESENT] for t, codes in list(self._codes.items())}

    def start_over(self) -> None:
        """Nothing looked up so far counts."""
        self._looks.start_over()

    def were_read(self, keys: Collection[PlaneKey]) -> None:
        """The pixels of these planes were read, a moment ago: what is said of them is so from now on."""
        if self._is_live():  # also before the first notification, after which these count
            self._announced.were_read(keys)
        elif not self._codes:
            return
        if self._is_notified():
            changed = {t: {key.p for key in keys if key.t == t} for t in {key.t for key in keys}}
        else:
            changed = {}
            for t in {key.t for key in keys} if self._is_local else ():
                codes = self._codes.get(t)
                if codes is not None:
                    changed[t] = set(codes.read((key.p, key.c, key.z) for key in keys if key.t == t))
        for t in {key.t for key in keys}:
            self._told.pop(t, None)
        answer = self._looks.last
        if answer is not None and changed.get(answer.t):
            self._looks.amend(answer, self._amended(answer, sorted(changed[answer.t])))

    def _amended(self, answer: PositionStates, positions: Sequence[int]) -> PositionStates:
        """The answer with what is known now of these positions."""
        codes = None if self._is_notified() else self._codes.get(answer.t)
        known = [p for p in positions if p < len(answer.states)]
        if codes is not None:
            rows = codes.rows(known)
            there = is_there(rows).sum(axis=(1, 2)).tolist()
            said = summarised(rows)
        else:
            there = [self._announced.count_of(answer.t, p) for p in known]
            said = tuple(
                _notified_state(n, answer.expected[p], is_bad=answer.states[p] is TimeState.UNREADABLE)
                for p, n in zip(known, there, strict=True)
            )
        counts, states = list(answer.there), list(answer.states)
        for p, n, state in zip(known, there, said, strict=True):
            counts[p], states[p] = n, state
        return answer._replace(there=tuple(counts), states=tuple(states))

    def _is_notified(self) -> bool:
        return self._is_live() and self._announced.total > 0

    # ---- in a thread -----------------------------------------------------------------------

    def _look(self, t: int, epoch: int) -> None:
        began = time.monotonic()
        info = self._info()
        is_notified = self._is_notified()
        if is_notified:
            self._tell_notified(t, info, epoch)
            is_rest = False
        else:
            is_rest = self._look_at_stored(t, info, epoch)
        share = min(SHARE * (time.monotonic() - began), LOOK_AGAIN_BY_SECONDS)
        wait = 0.0 if is_rest else max(_LOOK_AGAIN_SECONDS, share)
        goes_on = is_rest or (self._may_change() and not is_notified)
        self._looks.wait(wait if goes_on else float("inf"))

    def _tell_notified(self, t: int, info: DatasetInfo, epoch: int) -> None:
        bad = {key.p for key in self._failures.among(range(len(info.positions))) if key.t == t}
        expected = [_n_expected(info, p, t) for p in range(len(info.positions))]
        n_there = -1
        while n_there != self._announced.n_there:  # something was read meanwhile
            n_there = self._announced.n_there
            there = self._announced.counts(t, len(info.positions)).tolist()
            states = tuple(
                _notified_state(n, of, is_bad=p in bad)
                for p, (n, of) in enumerate(zip(there, expected, strict=True))
            )
            self._tell(PositionStates(t, states, tuple(there), tuple(expected)), epoch)

    def _tell(self, found: PositionStates, epoch: int) -> None:
        self._looks.tell(found, epoch)
        self._told.pop(found.t, None)
        self._told[found.t] = epoch, found
        for old in list(self._told)[:-_KEPT_TIMES]:
            self._told.pop(old, None)

    def _look_at_stored(self, t: int, info: DatasetInfo, epoch: int) -> bool:
        """Look at planes of which nothing is known, then at those that were missing; whether any are left."""
        codes = self._start(t, info, epoch)
        now = codes.copy()
        new = np.argwhere(now == NOT_LOOKED_AT)
        if not self._is_local:
            codes.take(_indices(new), [PlaneState.UNKNOWN] * len(new))
            self._tell_stored(t, codes, epoch)
            return False
        is_open = (now != NOT_EXPECTED) & (now > CODES[PlaneState.FILLED])
        found = _indices(np.concatenate([new, np.argwhere(is_open)])[:PLANES_PER_LOOK])
        for batch in plane_batches(found, self._looks.rest):
            if self._looks.is_closed or self._wanted_t != t:
                return True
            if codes.take(batch, self._stored.of([PlaneKey(t, *index) for index in batch])):
                self._found_news()
            self._tell_stored(t, codes, epoch)
        self._tell_stored(t, codes, epoch)
        return bool((codes.copy() == NOT_LOOKED_AT).any())

    def _start(self, t: int, info: DatasetInfo, epoch: int) -> PlaneCodes:
        """The codes (position, channel, z) of a time point so far."""
        if self._codes_epoch != epoch:
            self._codes, self._codes_epoch = {}, epoch
        shape = (len(info.positions), len(info.channels), info.n_z)
        codes = self._codes.pop(t, None)
        if codes is None or codes.shape != shape:
            block = np.full(shape, NOT_EXPECTED, np.uint8)
            for p in range(len(info.positions)):
                image = info.image(p)
                if t < info.n_times(image):
                    block[p, list(info.channels_of(image)), : image.n_z] = NOT_LOOKED_AT
            codes = PlaneCodes(block)
        codes.look_again(key[1:] for key in self._failures.among(range(shape[0])) if key.t == t)
        self._codes[t] = codes
        while len(self._codes) > _KEPT_TIMES:
            del self._codes[next(iter(self._codes))]
        return codes

    def _tell_stored(self, t: int, codes: PlaneCodes, epoch: int) -> None:
        changes = -1
        while changes != codes.changes:  # something was read meanwhile
            changes = codes.changes
            block = codes.copy()
            is_expected = block != NOT_EXPECTED
            there, expected = (
                tuple(each.sum(axis=(1, 2)).tolist()) for each in (is_there(block), is_expected)
            )
            self._tell(PositionStates(t, summarised(block), there, expected), epoch)

    def close(self) -> None:
        """Look no more. Never blocks."""
        self._looks.close()

    def join(self, deadline: float) -> None:
        """Wait for a look to end, at most until `deadline` (`time.monotonic`)."""
        self._looks.join(deadline)


def _n_expected(info: DatasetInfo, p: int, t: int) -> int:
    image = info.image(p)
    return image.n_z * len(info.channels_of(image)) if t < info.n_times(image) else 0


def _with_more(answer: PositionStates, info: DatasetInfo) -> PositionStates:
    """The answer for all positions, of which nothing is known of the last ones yet."""
    more = range(len(answer.states), len(info.positions))
    return PositionStates(
        answer.t,
        (*answer.states, *(TimeState.UNKNOWN for _ in more)),
        (*answer.there, *(0 for _ in more)),
        (*answer.expected, *(_n_expected(info, p, answer.t) for p in more)),
    )


def _notified_state(n: int, expected: int, *, is_bad: bool) -> TimeState:
    if is_bad:
        return TimeState.UNREADABLE
    return TimeState.PENDING if not n else TimeState.ACQUIRED if n >= expected else TimeState.PARTLY


def _indices(found: np.ndarray) -> list[tuple[int, int, int]]:
    return [(p, c, z) for p, c, z in found.tolist()]
