"""The levels of an OME-NGFF image: in which order, and where they lie on the first one. Pure.

Both by their metadata, else by sizes.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ..model import Level, Offset, Scale, Sizes
from ..storage.tiling import scale_by_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ngff import ImageMeta

_ROLES = "zyx"


def is_finest_first(meta: ImageMeta) -> bool:
    """Whether each level has larger voxels than the one before it; False where the scales do not say so."""
    return all(a < b for a, b in pairwise(_voxel_sizes(meta)))


def finest_first(meta: ImageMeta, shapes: Sequence[Sequence[int]] | None = None) -> ImageMeta:
    """The same levels, those with most voxels first; `shapes` are those of their arrays, as listed.

    Of equally many voxels, and where shapes are not known, the smallest come first, by the scales. OME-NGFF
    ("multiscales" metadata, every version) demands that levels are listed from the largest to the smallest;
    not all writers do that.
    """
    voxels = _voxel_sizes(meta)
    n_voxels = [0 if shapes is None else _n_voxels(meta, shapes[i]) for i in range(len(voxels))]
    order = sorted(range(len(voxels)), key=lambda i: (-n_voxels[i], voxels[i]))
    return replace(
        meta,
        paths=tuple(meta.paths[i] for i in order),
        scales=tuple(meta.scales[i] for i in order) if meta.scales else (),
        translations=tuple(meta.translations[i] for i in order) if meta.translations else (),
    )


def _voxel_sizes(meta: ImageMeta) -> list[float]:
    """Of each level, along the axes of space of which the scale of every level is known; else 1."""
    along = [
        i
        for i, axis in enumerate(meta.axes or ())
        if axis.role in _ROLES and all(scale[i] for scale in meta.scales)
    ]
    scales = meta.scales or ((),) * len(meta.paths)
    return [math.prod(scale[i] or 1.0 for i in along) for scale in scales]


def _n_voxels(meta: ImageMeta, shape: Sequence[int]) -> int:
    """In space alone: while they are written, levels may differ in time points."""
    axes = meta.axes or ()
    if len(axes) != len(shape):
        return math.prod(shape[-2:])
    return math.prod(n for axis, n in zip(axes, shape, strict=True) if axis.role in _ROLES)


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
