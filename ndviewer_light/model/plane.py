"""One plane: its address, its state, its pixels, a part of it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

AXES = ("t", "p", "c", "z", "y", "x")


class PlaneKey(NamedTuple):
    """The address of one 2-D plane: indices into time, positions, channels and z."""

    t: int = 0
    p: int = 0
    c: int = 0
    z: int = 0


class StackKey(NamedTuple):
    """The address of a plane, or of a projection of its stack if `z` is "max", "min", "mean" or "sum".

    "max:2-11" takes some planes of the stack only (`engine.projections.StackProjection`).
    """

    t: int
    p: int
    c: int
    z: int | str


class Region(NamedTuple):
    """A rectangle of a plane, in pixels of its level."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array (Y, X)."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def within(self, height: int, width: int) -> bool:
        """Whether it lies in a plane of that size, and is not empty."""
        is_inside = self.top + self.height <= height and self.left + self.width <= width
        return is_inside and min(self.top, self.left) >= 0 and min(self.height, self.width) > 0


class PlaneState(Enum):
    """What is known about one plane; of planes that were read, only PRESENT and FILLED have pixels.

    Of one that was not read (`Dataset.state`, `Dataset.report`), PRESENT means that something is stored,
    which may be damaged still, ABSENT that nothing is: where stores leave out planes of fill value nobody
    knows whether it is empty or was not acquired.
    """

    PENDING = "not written yet"
    LOADING = "being read"
    PRESENT = "present"
    FILLED = "nothing stored, so it is the fill value"
    ABSENT = "nothing stored"
    UNREADABLE = "could not be read"
    UNKNOWN = "stored or not: only reading tells"


class Plane(NamedTuple):
    """One plane as returned by `Dataset.planes`: its state, pixels (Y, X) if there are any.

    `reason` tells why it is not PRESENT; of one that is, how much of it is stored where that is not all.
    """

    state: PlaneState
    pixels: np.ndarray | None = None
    reason: str = ""
