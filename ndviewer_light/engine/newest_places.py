"""Where a run is: the places (t, p, z) that writers have announced, in the order in which they began."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..model import DatasetInfo

KEPT_PLACES = 16_384
"""How many of the latest places are remembered (about 3 MB); older ones are never the answer."""


class Place(NamedTuple):
    """All channels of one plane: indices along time, position and z."""

    t: int
    p: int
    z: int


class NewestWanted(NamedTuple):
    """Which place is wanted: the newest of those at the given indices; None is any index.

    Its `channels` must have been announced, or, without `every_channel`, one of them; with `whole_stack`
    at each z.
    """

    t: int | None
    p: int | None
    z: int | None
    channels: tuple[int, ...]
    every_channel: bool = True
    whole_stack: bool = False


class NewestPlaces:
    """The latest places by the time of their first announcement. Not thread-safe.

    A place that began later is newer, whichever is completed first: stragglers of an earlier place, and
    planes that are written again, are not news of where the run is.
    """

    def __init__(self) -> None:
        self._begun: dict[tuple[int, ...], int] = {}  # places, and which beginning theirs was
        self._count = 0
        self._asked: tuple[NewestWanted, DatasetInfo] | None = None
        self._answer: Place | None = None
        self._answer_rank = -1
        self._touched: set[tuple[int, ...]] = set()  # places with news since they were last asked for

    def add(self, rows: np.ndarray) -> None:
        """Add planes (n, 4) announced for the first time, in the order of announcement."""
        t, p, z = rows[_first_of_each_place(rows)[-KEPT_PLACES:]].T[[0, 1, 3]].tolist()
        latest = list(zip(t, p, z, strict=True))
        for place in latest:
            self._count += 1
            self._begun.setdefault(place, self._count)
        self._touched.update(latest)
        if len(self._begun) > 2 * KEPT_PLACES:  # all at once: removing one by one would cost more
            self._begun = dict(list(self._begun.items())[-KEPT_PLACES:])
        if len(self._touched) > KEPT_PLACES:  # nobody asks
            self._asked = None
            self._touched.clear()

    def newest(
        self,
        wanted: NewestWanted,
        is_announced: Callable[[tuple[int, int, int, int]], bool],
        info: DatasetInfo,
    ) -> Place | None:
        """The newest place that is wanted, within the sizes of `info`; None without one.

        As long as the question stays the same, only places with news are looked at.
        """
        if self._asked is None or self._asked[0] != wanted or self._asked[1] is not info:
            self._asked = wanted, info
            self._answer, self._answer_rank = None, -1
            candidates = reversed(self._begun)
        else:
            kept = self._touched & self._begun.keys()
            candidates = iter(sorted(kept, key=self._begun.__getitem__, reverse=True))
        found = self._first(candidates, wanted, is_announced, info)
        self._touched.clear()
        if found is not None:
            self._answer, self._answer_rank = found, self._begun[found]
        return self._answer

    def _first(
        self,
        candidates: Iterator[tuple[int, ...]],
        wanted: NewestWanted,
        is_announced: Callable[[tuple[int, int, int, int]], bool],
        info: DatasetInfo,
    ) -> Place | None:
        """The first that is wanted and newer than the answer so far."""
        n_t, n_p, n_z = info.n_t, len(info.positions), info.n_z
        pin_t, pin_p, pin_z, channels, every_channel, whole_stack = wanted
        if whole_stack:
            pin_z = None
        enough = all if every_channel else any
        refused: set[tuple[int, int]] = set()  # stacks that are incomplete
        for place in candidates:
            t, p, z = place
            if self._begun[place] <= self._answer_rank:
                return None
            if pin_t not in (None, t) or pin_p not in (None, p) or pin_z not in (None, z):
                continue
            if t >= n_t or p >= n_p or z >= n_z or (t, p) in refused:
                continue
            zs = range(n_z) if whole_stack else (z,)
            if all(enough(is_announced((t, p, c, at)) for c in channels) for at in zs):
                return Place(t, p, z)
            if whole_stack:
                refused.add((t, p))
        return None


def _first_of_each_place(rows: np.ndarray) -> np.ndarray:
    """Which of planes (n, 4) are the first of their place, in order: several threads announce at once."""
    if len(rows) == 1:
        return np.zeros(1, np.intp)
    ts, ps, _, zs = rows.T
    codes = (ts * (ps.max() + 1) + ps) * (zs.max() + 1) + zs
    first: np.ndarray = np.unique(codes, return_index=True)[1]
    first.sort()
    return first
