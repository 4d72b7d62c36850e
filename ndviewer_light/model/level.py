"""One resolution of an image: its sizes, and how its voxels lie on those of level 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MANY_PLANES = 2**31
"""More than any axis has."""


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
    """How far the first voxel of a level is from that of level 0, in µm: part of a voxel for averages."""

    z: float = 0.0
    y: float = 0.0
    x: float = 0.0


_NO_OFFSET = Offset()


@dataclass(frozen=True)
class Level:
    """One resolution of one image. Time points and channels are those of level 0.

    `PlaneKey.z` at a level is an index into that level's own planes.
    """

    sizes: Sizes
    scale: Scale = _SAME_SCALE
    offset_um: Offset = _NO_OFFSET
    is_placed: bool = False
    """Whether the metadata says `offset_um`; otherwise nothing is known, and 0 is a convention."""

    def z_at(self, z: int, of: Level | None = None) -> int:
        """The plane of this level that covers plane `z` of level `of` (None: of level 0)."""
        span = of.scale.z if of is not None else 1.0
        return min(max(math.floor((z + 0.5) * span / self.scale.z), 0), max(self.sizes.z - 1, 0))

    def corner(self, y_um: float | None, x_um: float | None) -> tuple[float, float]:
        """Row and column at which the first pixel begins, in pixels of level 0, whose sizes are given.

        An average over pixels of level 0 begins where the first of them does; where a level has one out of
        several, its pixels are as large and have it in their middle. Of levels that are not placed, or are
        further away than one of their own pixels, the edges are taken to be those of level 0.
        """
        if not self.is_placed or not y_um or not x_um:
            return 0.0, 0.0
        top = self.offset_um.y / y_um + (1 - self.scale.y) / 2
        left = self.offset_um.x / x_um + (1 - self.scale.x) / 2
        is_near = abs(top) <= self.scale.y and abs(left) <= self.scale.x
        return (top, left) if is_near else (0.0, 0.0)

    def covers(self, z: int) -> range:
        """The planes of level 0 that plane `z` of this level shows; the last stands for all that follow."""
        first = math.floor(z * self.scale.z)
        end = MANY_PLANES if z >= self.sizes.z - 1 else math.ceil((z + 1) * self.scale.z)
        return range(first, max(end, first + 1))
