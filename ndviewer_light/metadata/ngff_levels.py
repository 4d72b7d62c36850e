"""Where the levels of an OME-NGFF image lie on the first of them: by their metadata, else by sizes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Level, Offset, Scale, Sizes
from ..storage.tiling import scale_by_size

if TYPE_CHECKING:
    from .ngff import ImageMeta

_ROLES = "zyx"


def ngff_level(meta: ImageMeta, number: int, sizes: Sizes, of: Sizes, first: int = 0) -> Level:
    """A level of those that `meta` lists, with these sizes, on level `first`, whose sizes are `of`."""
    whole = dict(zip(_ROLES, of, strict=True))
    parts = dict(zip(_ROLES, sizes, strict=True))
    spans = (_span(meta, role, number, first, parts[role], whole[role]) for role in _ROLES)
    return Level(sizes, Scale(*spans), _said_middle(meta, number, first))


def _said_middle(meta: ImageMeta, number: int, first: int) -> Offset | None:
    """Where the first voxel is, if the metadata says it: by translations, or by how levels were made."""
    if meta.has_placed_levels:
        return Offset(*(_translation(meta, role, number, first) for role in _ROLES))
    return Offset() if meta.takes_first_voxels else None


def _translation(meta: ImageMeta, role: str, number: int, first: int) -> float:
    """How many voxels of level 0 further in the first one is; one without a translation is at 0."""
    at, begin = meta.origin(role, number), meta.origin(role, first)
    return ((at or 0.0) - (begin or 0.0)) / (meta.step(role, first) or 1.0)


def _span(meta: ImageMeta, role: str, number: int, first: int, n: int, n_largest: int) -> float:
    """How many voxels of level 0 one of this level spans: by their scales, else by their sizes.

    Scales are not used where the sizes contradict them, however a writer rounds: n voxels, each of them
    spanning r, cover those of level 0 to within one r.
    """
    step, smallest_step = meta.step(role, number), meta.step(role, first)
    if step is not None and smallest_step is not None:
        span = step / smallest_step
        if abs(n * span - n_largest) < span * (1 + 1e-6):
            return span
    return scale_by_size(n_largest, n)
