"""What many planes count as of which nothing is stored: `missing.judge` for all of them at once.

Of each of a thousand missing planes, `judge` would look for the same later ones. Here what was looked for is
remembered for moments, and the last planes of a position are looked for first: if they are stored, all others
are what an earlier look says.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import NDViewerError
from ..model import PlaneKey
from .missing import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import DatasetInfo

    Plane3 = tuple[int, int, int]  # t, c, z

_LOOKS = (8, 64, 1024)
"""How many planes are looked for in the first, the second, and each further step."""
_MOST_JUDGED = 10_000_000
"""Of a position with more, what is missing counts as not acquired: one byte each."""
_ANSWER_KEPT_SECONDS = 2.0
_UNKNOWN, _MISSING, _STORED = -1, 0, 1


class Claims(NamedTuple):
    """What a dataset says of itself, as in `missing.Surroundings`. `is_being_written` may block."""

    complete: bool | None
    is_being_written: Callable[[], bool]


class _LookedFor(NamedTuple):
    """What is known to be stored of position `p`, by (t, c, z), as of a time (`time.monotonic`)."""

    p: int
    stored: np.ndarray
    since: float


class MissingPlanesOfMany:
    """Judges missing planes of a source. Any thread; blocks on disk.

    `are_stored`: that of the source; None counts as missing.
    """

    def __init__(
        self, are_stored: Callable[[Sequence[PlaneKey]], list[bool | None]], *, leaves_out_blank: bool = True
    ) -> None:
        """`leaves_out_blank`: see `missing.Surroundings`."""
        self._are_stored = are_stored
        self._leaves_out_blank = leaves_out_blank
        self._lock = threading.Lock()  # guards the following
        self._looked: _LookedFor | None = None

    def of(
        self,
        keys: Sequence[PlaneKey],
        info: DatasetInfo,
        claims: Callable[[int], Claims],
        is_fresh: Callable[[PlaneKey], bool] = lambda key: False,
    ) -> list[Found]:
        """What each of these planes counts as that were found missing; `claims` is asked by position.

        `is_fresh(key)`: whether files that the plane may come into were written within the last seconds, so
        that it is expected whatever is there already.

        What a position has no place for, as others have, has no fill value.
        """
        found = [Found.ABSENT] * len(keys)
        of_position: dict[int, list[int]] = defaultdict(list)
        for i, key in enumerate(keys):
            if info.has_place_for(key):
                of_position[key.p].append(i)
        for p, at in of_position.items():
            image = info.image(p)
            sizes = image.n_t, len(info.channels), image.n_z
            planes = [(keys[i].t, keys[i].c, keys[i].z) for i in at]
            with contextlib.suppress(NDViewerError, IndexError):  # what it claims cannot be read
                for i, each in zip(at, self._of_position(p, planes, sizes, claims(p)), strict=True):
                    found[i] = Found.EXPECTED if is_fresh(keys[i]) else each
        return found

    def saw(self, keys: Sequence[PlaneKey], stored: Sequence[bool | None]) -> None:
        """It was looked whether these planes are stored: what was missing a moment ago may be there now."""
        with self._lock:
            known = self._looked
            if known is None:
                return
            for key, is_stored in zip(keys, stored, strict=True):
                at = key[0], key[2], key[3]
                if is_stored and known.p == key[1] and all(map(int.__lt__, at, known.stored.shape)):
                    known.stored[at] = _STORED

    def _of_position(self, p: int, missing: Sequence[Plane3], sizes: Plane3, claims: Claims) -> list[Found]:
        """What each of the planes (t, c, z) counts as that were found missing at position `p` of `sizes`."""
        if claims.complete:
            return [Found.FILL] * len(missing)
        if claims.complete is False or np.prod(sizes, dtype=np.int64) > _MOST_JUDGED:
            awaited = claims.complete is False and claims.is_being_written()
            return [Found.EXPECTED if awaited else Found.ABSENT] * len(missing)
        stored = self._start(p, sizes)
        at = tuple(np.array(missing, np.intp).T)
        stored[at] = _MISSING
        self._look_for_later(p, stored, at)
        with self._lock:
            self._looked = _LookedFor(p, stored, self._since(p))
        is_fill = has_later(stored == _STORED)[at]
        if not is_fill.all() and claims.is_being_written():
            return [Found.FILL if fill else Found.EXPECTED for fill in is_fill.tolist()]
        if self._leaves_out_blank:
            is_fill |= (stored == _STORED).any(axis=(1, 2))[at[0]]
        return [Found.FILL if fill else Found.ABSENT for fill in is_fill.tolist()]

    def _start(self, p: int, sizes: Plane3) -> np.ndarray:
        with self._lock:
            known = self._looked
        is_fresh = known is not None and time.monotonic() - known.since < _ANSWER_KEPT_SECONDS
        if known is not None and is_fresh and known.p == p and known.stored.shape == sizes:
            copied: np.ndarray = known.stored.copy()
            return copied
        return np.full(sizes, _UNKNOWN, np.int8)

    def _since(self, p: int) -> float:
        known, now = self._looked, time.monotonic()
        is_same = known is not None and known.p == p and now - known.since < _ANSWER_KEPT_SECONDS
        return known.since if known is not None and is_same else now

    def _look_for_later(self, p: int, stored: np.ndarray, missing: tuple[np.ndarray, ...]) -> None:
        """Look for planes that are later than some missing one, the last first, until all is known.

        Of the time points of missing planes without any later one, everything is known then.
        """
        looks = iter(_LOOKS)
        n = next(looks)
        while True:
            undecided = missing[0][~has_later(stored == _STORED)[missing]]
            if not undecided.size:
                return
            first = int(undecided.min())
            unknown = np.flatnonzero(stored[first:] == _UNKNOWN)[-n:]
            if not unknown.size:
                return
            at = np.unravel_index(unknown, stored[first:].shape)
            keys = [PlaneKey(t + first, p, c, z) for t, c, z in zip(*(i.tolist() for i in at), strict=True)]
            found = self._are_stored(keys)
            stored[first:].reshape(-1)[unknown] = [_STORED if each else _MISSING for each in found]
            n = next(looks, n)


def has_later(is_stored: np.ndarray) -> np.ndarray:
    """Of each plane, along any axes, whether it or one is stored of which no index is smaller."""
    later: np.ndarray = is_stored
    for axis in range(is_stored.ndim):
        later = np.flip(np.logical_or.accumulate(np.flip(later, axis), axis=axis), axis)
    return later
