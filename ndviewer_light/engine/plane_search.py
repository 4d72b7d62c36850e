"""Finds the next plane that is missing, or that cannot be read."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from ..model import PlaneKey, PlaneState
from .state_codes import NOT_LOOKED_AT
from .stored_states import block_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..model import DatasetInfo, ImageInfo

MISSING = frozenset((PlaneState.ABSENT, PlaneState.PENDING))
FILLED = frozenset((PlaneState.FILLED,))
UNREADABLE = frozenset((PlaneState.UNREADABLE,))
_CANCELLED_SECONDS = 0.05
"""How often somebody who waits asks whether it is still wanted."""


def next_plane(
    after: PlaneKey,
    wanted: frozenset[PlaneState],
    states_of: Callable[[Sequence[PlaneKey]], list[PlaneState]],
    image: Callable[[int], ImageInfo],
    info: Callable[[], DatasetInfo],
    in_batches: Callable[[Iterator[PlaneKey]], Iterator[list[PlaneKey]]],
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
    doubts: Doubts,
    present: Mapping[int, np.ndarray],
) -> tuple[PlaneKey, PlaneState] | None:
    """The next plane after one that is in a `wanted` state, at its position first; it wraps around.

    `in_batches` says how many are asked for at once. Planes in `doubts` on the way are asked again before one
    after them counts. None if there is none, or it was cancelled. Those that are `present` are not asked
    for: by time point, which they are (position, channel, z). See `Dataset.find` for the rest.
    """
    n_p = len(info().positions)
    expected = sum(info().n_planes(info().image(p)) for p in range(n_p))
    done = 0
    for batch in in_batches(_around(after, n_p, image, info, present)):
        if cancelled():
            return None
        for key, state in zip(batch, states_of(batch), strict=True):
            if state in wanted:
                return doubts.found(wanted, states_of, cancelled) or (key, state)
            doubts.note(key, state)
        found = doubts.found(wanted, states_of, cancelled, wait=False)
        if found is not None:
            return found
        done += len(batch)
        progress(done, max(expected, done))
    return doubts.found(wanted, states_of, cancelled)


class Doubts:
    """Planes that look damaged and may be being written: asked again once they have looked so for a while."""

    def __init__(self, is_suspected: Callable[[PlaneKey], bool], settling_s: float) -> None:
        """`is_suspected`: whether a plane that is pending looked damaged when it was read."""
        self._is_suspected = is_suspected
        self._settling_s = settling_s
        self._settled: deque[tuple[float, PlaneKey]] = deque()  # when that can be told, `time.monotonic`

    def note(self, key: PlaneKey, state: PlaneState) -> None:
        """A plane was just found to be in this state."""
        if state is PlaneState.PENDING and self._is_suspected(key):
            self._settled.append((time.monotonic() + self._settling_s, key))

    def found(
        self,
        wanted: frozenset[PlaneState],
        states_of: Callable[[Sequence[PlaneKey]], list[PlaneState]],
        cancelled: Callable[[], bool],
        *,
        wait: bool = True,
    ) -> tuple[PlaneKey, PlaneState] | None:
        """The first that is in a `wanted` state; waits until that can be told, or asks those that are due."""
        while self._settled:
            at, key = self._settled[0]
            while wait and time.monotonic() < at and not cancelled():
                time.sleep(_CANCELLED_SECONDS)
            if time.monotonic() < at:
                return None
            self._settled.popleft()
            (state,) = states_of([key])
            if state in wanted:
                return key, state
        return None


def _around(
    after: PlaneKey,
    n_p: int,
    image: Callable[[int], ImageInfo],
    info: Callable[[], DatasetInfo],
    present: Mapping[int, np.ndarray],
) -> Iterator[PlaneKey]:
    """Every plane once, that `after` last: by position, then time, then z, then channel."""
    place = (after.t, after.z, after.c)
    here = list(_planes_of(after.p, image, info, present)) if after.p < n_p else []
    yield from (key for key in here if (key.t, key.z, key.c) > place)
    for p in itertools.chain(range(after.p + 1, n_p), range(min(after.p, n_p))):
        yield from _planes_of(p, image, info, present)
    yield from (key for key in here if (key.t, key.z, key.c) <= place)


def _planes_of(
    p: int,
    image: Callable[[int], ImageInfo],
    info: Callable[[], DatasetInfo],
    present: Mapping[int, np.ndarray],
) -> Iterator[PlaneKey]:
    contents = image(p)
    for t, stack in enumerate(block_of(info(), contents)):
        wanted = stack == NOT_LOOKED_AT
        known = present.get(t)
        if known is not None and p < len(known):
            n_c, n_z = (min(sizes) for sizes in zip(wanted.shape, known.shape[1:], strict=True))
            wanted[:n_c, :n_z] &= ~known[p, :n_c, :n_z]
        for z, c in np.argwhere(wanted.T).tolist():
            yield PlaneKey(t, p, c, z)
