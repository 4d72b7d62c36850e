"""What of each position is there at one time point, by what is known and stored: for maps of plates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import PlaneKey, PlaneState
from .repeated_look import PLANES_PER_LOOK, SHARE, RepeatedLook
from .state_codes import CODES, NOT_EXPECTED, NOT_LOOKED_AT, TimeState, is_there, summarised
from .stored_states import ASKED_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import DatasetInfo
    from .announced_planes import AnnouncedPlanes
    from .surveyor import Surveyor

_AT_LEAST_SECONDS = 0.25
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
    read, and no server is asked: of a dataset on one, what was not notified is UNKNOWN.
    `is_live()`: whether a host says what is written. `may_change()`: whether anybody may be writing.
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
    ) -> None:
        self._stored = surveyor.stored
        self._failures = surveyor.failures
        self._announced = announced
        self._info = info
        self._is_live = is_live
        self._may_change = may_change
        self._is_local = is_local
        self._looks: RepeatedLook[PositionStates] = RepeatedLook(
            "ndviewer-places", "looking at the positions", _AT_LEAST_SECONDS
        )
        self._wanted_t = 0
        # of the thread that looks: codes (position, channel, z) by time point, of one epoch
        self._codes: dict[int, np.ndarray] = {}
        self._codes_epoch = 0

    def of(self, t: int, now: float) -> PositionStates | None:
        """The states as of the last look at time point `t`, None until there was one.

        `now`: as `time.monotonic`. Starts a look if it is time; a few microseconds.
        """
        info = self._info()
        self._wanted_t = t  # a look at another time point ends
        about = (t, info, self._announced.total, self._failures.version, self._stored.is_awaited())
        answer = self._looks.answer(about, now, lambda epoch, is_news: self._look(t, epoch))
        is_answer = answer is not None and answer.t == t and len(answer.states) == len(info.positions)
        return answer if is_answer else None

    def start_over(self) -> None:
        """Nothing looked up so far counts."""
        self._looks.start_over()

    # ---- in a thread -----------------------------------------------------------------------

    def _look(self, t: int, epoch: int) -> None:
        began = time.monotonic()
        info = self._info()
        is_notified = self._is_live() and self._announced.total > 0
        if is_notified:
            self._tell_notified(t, info, epoch)
            is_rest = False
        else:
            is_rest = self._look_at_stored(t, info, epoch)
        wait = 0.0 if is_rest else max(_LOOK_AGAIN_SECONDS, SHARE * (time.monotonic() - began))
        goes_on = is_rest or (self._may_change() and not is_notified)
        self._looks.wait(wait if goes_on else float("inf"))

    def _tell_notified(self, t: int, info: DatasetInfo, epoch: int) -> None:
        there = self._announced.counts(t, len(info.positions))
        bad = {key.p for key in self._failures.among(range(len(info.positions))) if key.t == t}
        expected = [_n_expected(info, p, t) for p in range(len(info.positions))]
        states = tuple(
            TimeState.UNREADABLE
            if p in bad
            else TimeState.PENDING
            if not n
            else TimeState.ACQUIRED
            if n >= of
            else TimeState.PARTLY
            for p, (n, of) in enumerate(zip(there.tolist(), expected, strict=True))
        )
        self._looks.tell(PositionStates(t, states, tuple(there.tolist()), tuple(expected)), epoch)

    def _look_at_stored(self, t: int, info: DatasetInfo, epoch: int) -> bool:
        """Look at planes of which nothing is known, then at those that were missing; whether any are left."""
        codes = self._start(t, info, epoch)
        if not self._is_local:
            codes[codes == NOT_LOOKED_AT] = CODES[PlaneState.UNKNOWN]
            self._tell_stored(t, codes, epoch)
            return False
        is_new = codes == NOT_LOOKED_AT
        is_open = (codes != NOT_EXPECTED) & (codes > CODES[PlaneState.FILLED])
        found = np.concatenate([np.argwhere(is_new), np.argwhere(is_open)])
        keys = [PlaneKey(t, p, c, z) for p, c, z in found[:PLANES_PER_LOOK].tolist()]
        for start in range(0, len(keys), ASKED_AT_ONCE):
            if self._looks.is_closed or self._wanted_t != t:
                return True
            self._take(codes, keys[start : start + ASKED_AT_ONCE])
            self._tell_stored(t, codes, epoch)
        self._tell_stored(t, codes, epoch)
        return bool((codes == NOT_LOOKED_AT).any())

    def _take(self, codes: np.ndarray, keys: Sequence[PlaneKey]) -> None:
        for key, state in zip(keys, self._stored.of(keys), strict=True):
            codes[key.p, key.c, key.z] = CODES[state]

    def _start(self, t: int, info: DatasetInfo, epoch: int) -> np.ndarray:
        """The codes (position, channel, z) of a time point so far."""
        if self._codes_epoch != epoch:
            self._codes, self._codes_epoch = {}, epoch
        shape = (len(info.positions), len(info.channels), info.n_z)
        before = self._codes.pop(t, None)
        if before is not None and before.shape == shape:
            codes = before
        else:
            codes = np.full(shape, NOT_EXPECTED, np.uint8)
            for p in range(len(info.positions)):
                image = info.image(p)
                if t < image.n_t:
                    codes[p, list(info.channels_of(image)), : image.n_z] = NOT_LOOKED_AT
        codes[codes == CODES[PlaneState.UNREADABLE]] = NOT_LOOKED_AT
        for _, p, c, z in (key for key in self._failures.among(range(shape[0])) if key.t == t):
            if c < shape[1] and z < shape[2]:
                codes[p, c, z] = NOT_LOOKED_AT
        self._codes[t] = codes
        while len(self._codes) > _KEPT_TIMES:
            del self._codes[next(iter(self._codes))]
        return codes

    def _tell_stored(self, t: int, codes: np.ndarray, epoch: int) -> None:
        is_expected = codes != NOT_EXPECTED
        there, expected = (tuple(each.sum(axis=(1, 2)).tolist()) for each in (is_there(codes), is_expected))
        self._looks.tell(PositionStates(t, summarised(codes), there, expected), epoch)

    def close(self) -> None:
        """Look no more. Never blocks."""
        self._looks.close()

    def join(self, deadline: float) -> None:
        """Wait for a look to end, at most until `deadline` (`time.monotonic`)."""
        self._looks.join(deadline)


def _n_expected(info: DatasetInfo, p: int, t: int) -> int:
    image = info.image(p)
    return image.n_z * len(info.channels_of(image)) if t < max(image.n_t, info.n_t) else 0
