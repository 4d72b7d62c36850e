"""The states of many planes as they are looked up, while others read some of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from ..model import PlaneState
from .state_codes import CODES, NOT_EXPECTED, NOT_LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Index = tuple[int, int, int]

_MISSING = (CODES[PlaneState.PENDING], CODES[PlaneState.ABSENT])


class PlaneCodes:
    """Codes of planes in an array (n, c, z). Any thread.

    A plane whose pixels were read is there, whatever a look says that began before.
    """

    def __init__(self, codes: np.ndarray) -> None:
        self._lock = threading.Lock()  # guards the following
        self._codes = codes
        self._changes = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are along each axis."""
        return self._codes.shape

    @property
    def changes(self) -> int:
        """How often planes were `read` that were not there. No lock."""
        return self._changes

    def copy(self) -> np.ndarray:
        """All codes now."""
        with self._lock:
            codes: np.ndarray = self._codes.copy()
        return codes

    def within(self, block: np.ndarray) -> PlaneCodes:
        """These codes where `block` (n, c, z), which may have grown, has them as well; else its own."""
        before = self.copy()
        common = tuple(slice(0, min(a, b)) for a, b in zip(block.shape, before.shape, strict=True))
        codes, before = block.copy(), before[common]
        codes[common] = np.where(before == NOT_EXPECTED, codes[common], before)
        return PlaneCodes(codes)

    def rows(self, which: Sequence[int]) -> np.ndarray:
        """The codes of these elements of the first axis (n, c, z)."""
        with self._lock:
            codes: np.ndarray = self._codes[list(which)]
        return codes

    def look_again(self, at: Iterable[Index]) -> None:
        """Look again at these planes, and at all that could not be read."""
        with self._lock:
            self._codes[self._codes == CODES[PlaneState.UNREADABLE]] = NOT_LOOKED_AT
            for index in at:
                if _is_within(index, self._codes.shape):
                    self._codes[index] = NOT_LOOKED_AT

    def take(self, at: Sequence[Index], states: Sequence[PlaneState]) -> bool:
        """These states were looked up, of planes that were not there when the look began.

        Whether one of them is there that was missing when it was looked at before.
        """
        there, is_news = CODES[PlaneState.PRESENT], False
        with self._lock:
            for index, state in zip(at, states, strict=True):
                before = self._codes[index]
                if before != there:
                    self._codes[index] = CODES[state]
                    is_news |= state is PlaneState.PRESENT and before in _MISSING
        return is_news

    def read(self, at: Iterable[Index]) -> list[int]:
        """The pixels of these planes were read.

        Returns the elements of the first axis of which something else was said; what was not looked up yet
        is about to be told anyway.
        """
        there, changed = CODES[PlaneState.PRESENT], set()
        with self._lock:
            for index in at:
                if _is_within(index, self._codes.shape):
                    before = self._codes[index]
                    if before in (there, NOT_EXPECTED):
                        continue
                    self._codes[index] = there
                    if before != NOT_LOOKED_AT:
                        changed.add(index[0])
            self._changes += bool(changed)
        return sorted(changed)


def _is_within(index: Index, shape: tuple[int, ...]) -> bool:
    return all(0 <= i < n for i, n in zip(index, shape, strict=True))
