"""One resolution of an image: its sizes, and how its voxels lie on those of level 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

MANY_PLANES = 2**31
"""More than any axis has."""

_DIGITS = 6  # of places in voxels: what is left of rounding must not decide which plane covers another


class Sizes(NamedTuple):
    """The size of one pyramid level in its own voxels."""

    z: int
    y: int
    x: int


class Scale(NamedTuple):
    """How many voxels of level 0 one voxel of a level spans, per axis; not always a power of 2."""

    z: float = 1.0
    y: float = 1.0
    x: float = 1.0


_SAME_SCALE = Scale()


class Offset(NamedTuple):
    """A place in an image, in voxels of level 0."""

    z: float = 0.0
    y: float = 0.0
    x: float = 0.0


@dataclass(frozen=True)
class Level:
    """One resolution of one image. Time points and channels are those of level 0.

    `PlaneKey.z` at a level is an index into that level's own planes.
    """

    sizes: Sizes
    scale: Scale = _SAME_SCALE
    said_middle: Offset | None = None
    """Where the middle of the first voxel is by the metadata; None if they say nothing. See `middle`."""
    dtype: np.dtype | None = None
    """Of its pixels, where it is another one than that of level 0."""

    @cached_property
    def middle(self) -> Offset:
        """Where the middle of the first voxel is, in voxels of level 0 from the middle of the first of them.

        Where nothing is said, voxels are averages of the voxels of level 0 that they span, the edges of which
        are those of level 0. So they are where the metadata puts them further away than one of their own.
        """
        averages = Offset(*((scale - 1) / 2 for scale in self.scale))
        if self.said_middle is None:
            return averages
        apart = zip(self.said_middle, averages, self.scale, strict=True)
        is_near = all(abs(said - average) <= scale for said, average, scale in apart)
        return self.said_middle if is_near else averages

    def corner(self, z_step: int = 1, step: int = 1) -> Offset:
        """Where the first voxel begins, in voxels of level 0 from the edge of the first of them.

        `z_step` and `step`: for every nth plane, and row and column, each drawn as large as the distance
        between them, around what it shows.
        """
        sizes = zip(self.middle, self.scale, (z_step, step, step), strict=True)
        return Offset(*(round(middle + (1 - scale * n) / 2, _DIGITS) for middle, scale, n in sizes))

    @cached_property
    def _first_z(self) -> float:
        return self.corner().z

    def z_at(self, z: int, of: Level | None = None) -> int:
        """The plane of this level that covers plane `z` of level `of` (None: of level 0)."""
        at = z + 0.5 if of is None else of._first_z + (z + 0.5) * of.scale.z
        return min(max(math.floor((at - self._first_z) / self.scale.z), 0), max(self.sizes.z - 1, 0))

    def covers(self, z: int) -> range:
        """The planes of level 0 that plane `z` of this level shows; the last stands for all that follow."""
        first = math.floor(z * self.scale.z + self._first_z) if z > 0 else 0
        end = MANY_PLANES if z >= self.sizes.z - 1 else math.ceil((z + 1) * self.scale.z + self._first_z)
        return range(max(first, 0), max(end, first + 1, 1))
