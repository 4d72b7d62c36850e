"""How many planes are stored, counted again and again: on a slow share with what there is time for."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np

from ..model import PlaneKey, PlaneState
from .plane_batches import plane_batches
from .plane_codes import PlaneCodes
from .state_codes import CODES, NOT_EXPECTED, NOT_LOOKED_AT, is_there
from .surveyor import MAX_PLANES_SURVEYED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..model import DatasetInfo
    from .surveyor import Surveyor


class StoredCount:
    """Counts the planes of a dataset that are stored. For one thread at a time; blocks on disk.

    Each count begins with planes that were not looked at so far, then asks for those that were missing, and
    for as many of the others as there is time for, in turn.
    """

    def __init__(self, surveyor: Surveyor, info: Callable[[], DatasetInfo]) -> None:
        self._surveyor = surveyor
        self._info = info
        self._generation = -1
        self._blocks: dict[int, np.ndarray] = {}  # by position: codes (t, c, z)
        self._checked = (0, 0)  # up to which position, and how many planes of it that were there

    def again(self, seconds: float, cancelled: Callable[[], bool]) -> int | None:
        """How many are stored; None as long as not all were looked at once, or where that does not tell.

        Takes little more than `seconds`. What is known to be unreadable is stored. Planes of which only
        reading tells count where others are known: all planes of a shard while it is being written.
        """
        deadline = time.monotonic() + seconds
        if not self._begin(cancelled):
            return None
        for batch in plane_batches(self._in_turn()):
            if cancelled() or time.monotonic() >= deadline:
                break
            states = self._surveyor.of_stored(batch, deadline)
            for (t, p, c, z), state in zip(batch, states, strict=True):
                self._blocks[p][t, c, z] = CODES[state]
        n_of = np.zeros(256, np.int64)
        for block in self._blocks.values():
            n_of += np.bincount(block.ravel(), minlength=256)
        n = n_of[1 : CODES[PlaneState.FILLED] + 1].sum() + n_of[CODES[PlaneState.UNREADABLE]]
        unclear = n_of[CODES[PlaneState.UNKNOWN]]
        is_known = not n_of[NOT_LOOKED_AT] and (n or not unclear)
        return int(n + unclear) if is_known else None

    def _begin(self, cancelled: Callable[[], bool]) -> bool:
        """Make room for the planes that there are to be now; whether they are not too many."""
        info = self._info()
        if info.generation != self._generation:
            self._generation, self._blocks, self._checked = info.generation, {}, (0, 0)
        blocks: dict[int, np.ndarray] = {}
        n_planes = 0
        for p in (*range(len(info.positions)), *range(len(info.positions))):  # each may tell more of others
            block = self._surveyor.block(p)
            n_planes += block.size if p not in blocks else 0
            if cancelled() or n_planes > MAX_PLANES_SURVEYED:
                return False
            before = self._blocks.get(p)
            blocks[p] = block if before is None else PlaneCodes(before).within(block).copy()
        for t, p, c, z in self._surveyor.failures.among(blocks):
            if all(i < n for i, n in zip((t, c, z), blocks[p].shape, strict=True)):
                blocks[p][t, c, z] = NOT_LOOKED_AT
        self._blocks = blocks
        return True

    def _in_turn(self) -> Iterator[PlaneKey]:
        new = {p: block == NOT_LOOKED_AT for p, block in self._blocks.items()}
        there = {p: is_there(block) for p, block in self._blocks.items()}
        for p, which in new.items():
            yield from _keys(p, which)
        for p, block in self._blocks.items():
            yield from _keys(p, (block != NOT_EXPECTED) & ~new[p] & ~there[p])
        first, n_checked = self._checked
        for p in (*range(first, len(there)), *range(min(first, len(there)))):
            keys = _keys(p, there[p])
            for n, key in enumerate(itertools.islice(keys, n_checked, None), n_checked + 1):
                self._checked = p, n
                yield key
            n_checked = 0
        self._checked = 0, 0


def _keys(p: int, which: np.ndarray) -> Iterator[PlaneKey]:
    return (PlaneKey(t, p, c, z) for t, c, z in np.argwhere(which).tolist())
