"""The states of many planes as numbers in an array, and of several together in a word."""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..model import PlaneState

NOT_LOOKED_AT = 0
NOT_EXPECTED = 255
CODED = (
    PlaneState.PRESENT,
    PlaneState.FILLED,
    PlaneState.PENDING,
    PlaneState.ABSENT,
    PlaneState.UNREADABLE,
    PlaneState.UNKNOWN,
)
CODES = {state: code for code, state in enumerate(CODED, 1)}


class TimeState(Enum):
    """How much of a time point, or of a position at one, is there, in a word."""

    ACQUIRED = "acquired"
    PARTLY = "acquired in part"
    PENDING = "not written yet"
    MISSING = "nothing stored"
    UNREADABLE = "could not be read"
    UNKNOWN = "not known"


def is_there(block: np.ndarray) -> np.ndarray:
    """Which planes, by their codes, have pixels."""
    return np.asarray((block != NOT_LOOKED_AT) & (block <= CODES[PlaneState.FILLED]))


def is_in(block: np.ndarray, *states: PlaneState) -> np.ndarray:
    """Which planes, by their codes, are in one of these states."""
    return np.asarray(np.isin(block, [CODES[state] for state in states]))


def summarised(block: np.ndarray) -> tuple[TimeState, ...]:
    """The state of each element of the first axis, from the codes of its planes (n, c, z)."""

    def any_of(*states: PlaneState) -> np.ndarray:
        return np.asarray(is_in(block, *states).any(axis=(1, 2)))

    there = any_of(PlaneState.PRESENT, PlaneState.FILLED)
    pending, absent = any_of(PlaneState.PENDING), any_of(PlaneState.ABSENT)
    unknown = any_of(PlaneState.UNKNOWN) | (block == NOT_LOOKED_AT).any(axis=(1, 2))
    choices = (
        (any_of(PlaneState.UNREADABLE), TimeState.UNREADABLE),
        (there & (pending | absent), TimeState.PARTLY),
        ((block == NOT_EXPECTED).all(axis=(1, 2)), TimeState.UNKNOWN),
        (unknown, TimeState.UNKNOWN),
        (there, TimeState.ACQUIRED),
        (pending, TimeState.PENDING),
    )
    order = list(TimeState)
    codes = np.select(
        [which for which, _ in choices],
        [order.index(state) for _, state in choices],
        order.index(TimeState.MISSING),
    )
    return tuple(order[code] for code in codes.tolist())
