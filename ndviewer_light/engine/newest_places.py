"""Where a run is: the places (t, p, z) that writers have announced, in the order in which they began."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import DatasetInfo

KEPT_PLACES = 16_384
"""How many of the latest places are remembered (about 3 MB); older ones count as newest of nothing."""


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
        self._begun: dict[tuple[int, ...], None] = {}

    def add(self, rows: np.ndarray) -> None:
        """Add planes (n, 4) announced for the first time, in the order of announcement."""
        places = rows[:, (0, 1, 3)]
        if len(places) > 1:
            is_next = np.any(places[1:] != places[:-1], axis=1)
            places = places[np.concatenate([[True], is_next])]
        for place in places[-KEPT_PLACES:].tolist():
            self._begun.setdefault(tuple(place))
        if len(self._begun) > 2 * KEPT_PLACES:  # all at once: removing one by one would cost more
            self._begun = dict.fromkeys(list(self._begun)[-KEPT_PLACES:])

    def newest(
        self,
        wanted: NewestWanted,
        is_announced: Callable[[tuple[int, int, int, int]], bool],
        info: DatasetInfo,
    ) -> Place | None:
        """The newest place that is wanted, within the sizes of `info`; None without one."""
        sizes = (info.n_t, len(info.positions), info.n_z)
        pins = (wanted.t, wanted.p, None if wanted.whole_stack else wanted.z)
        refused: set[tuple[int, int]] = set()  # stacks that are incomplete
        for place in reversed(self._begun):
            is_there = all(
                i < size and pin in (None, i) for i, size, pin in zip(place, sizes, pins, strict=True)
            )
            t, p, z = place
            if not is_there or (t, p) in refused:
                continue
            zs = range(info.n_z) if wanted.whole_stack else (z,)
            enough = all if wanted.every_channel else any
            if all(enough(is_announced((t, p, c, at)) for c in wanted.channels) for at in zs):
                return Place(t, p, z)
            if wanted.whole_stack:
                refused.add((t, p))
        return None
