"""Finds the next plane that is missing, or that cannot be read."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from ..model import PlaneKey, PlaneState
from .state_codes import NOT_LOOKED_AT
from .stored_states import block_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..model import DatasetInfo, ImageInfo

MISSING = frozenset((PlaneState.ABSENT, PlaneState.PENDING))
FILLED = frozenset((PlaneState.FILLED,))
UNREADABLE = frozenset((PlaneState.UNREADABLE,))


def next_plane(
    after: PlaneKey,
    wanted: frozenset[PlaneState],
    states_of: Callable[[Sequence[PlaneKey]], list[PlaneState]],
    image: Callable[[int], ImageInfo],
    info: Callable[[], DatasetInfo],
    in_batches: Callable[[Iterator[PlaneKey]], Iterator[list[PlaneKey]]],
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> tuple[PlaneKey, PlaneState] | None:
    """The next plane after one that is in a `wanted` state, at its position first; it wraps around.

    `in_batches` says how many are asked for at once. None if there is none, or it was cancelled. See
    `Dataset.find` for the rest.
    """
    n_p = len(info().positions)
    expected = sum(info().n_planes(info().image(p)) for p in range(n_p))
    done = 0
    for batch in in_batches(_around(after, n_p, image, info)):
        if cancelled():
            return None
        for key, state in zip(batch, states_of(batch), strict=True):
            if state in wanted:
                return key, state
        done += len(batch)
        progress(done, max(expected, done))
    return None


def _around(
    after: PlaneKey, n_p: int, image: Callable[[int], ImageInfo], info: Callable[[], DatasetInfo]
) -> Iterator[PlaneKey]:
    """Every plane once, that `after` last: by position, then time, then z, then channel."""
    place = (after.t, after.z, after.c)
    here = list(_planes_of(after.p, image, info)) if after.p < n_p else []
    yield from (key for key in here if (key.t, key.z, key.c) > place)
    for p in itertools.chain(range(after.p + 1, n_p), range(min(after.p, n_p))):
        yield from _planes_of(p, image, info)
    yield from (key for key in here if (key.t, key.z, key.c) <= place)


def _planes_of(
    p: int, image: Callable[[int], ImageInfo], info: Callable[[], DatasetInfo]
) -> Iterator[PlaneKey]:
    contents = image(p)
    for t, stack in enumerate(block_of(info(), contents)):
        for z, c in np.argwhere(stack.T == NOT_LOOKED_AT).tolist():
            yield PlaneKey(t, p, c, z)
