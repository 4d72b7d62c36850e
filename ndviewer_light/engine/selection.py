"""A part of a dataset as one array: some indices or names along each axis, stacks projected."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .projections import PROJECTIONS, projected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..errors import PlaneNotStoredError
    from .dataset import Dataset

    # along one axis: an index or name, which leaves the axis out; several, or a slice, or None for all
    Selection = int | str | slice | Iterable[int | str] | None


class _SelectedAxis(NamedTuple):
    """What is selected of an axis, and whether the result has it."""

    indices: tuple[int | str, ...]
    is_kept: bool


def read_selection(
    dataset: Dataset,
    t: Selection,
    p: Selection,
    c: Selection,
    z: Selection,
    level: int,
    missing: str,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    """The planes selected, (t, p, c, z, y, x) without the axes that are left out; see `opening.imread`."""
    if missing not in ("raise", "fill"):
        raise ValueError(f"missing must be 'raise' or 'fill', not {missing!r}")
    projection = z if isinstance(z, str) else ""
    if projection and projection not in PROJECTIONS:
        raise ValueError(f"z must be an index, several, or one of {', '.join(PROJECTIONS)}, not {z!r}")
    positions = _chosen(p, len(dataset.info.positions))
    facts = dataset.image(dataset.position_index(positions.indices[0]))
    sizes = (
        dataset.level_at(dataset.position_index(positions.indices[0]), level).sizes
        if level
        else facts.level.sizes
    )
    axes = (
        _chosen(t, facts.n_t),
        positions,
        _chosen(c, len(facts.channels)),
        _chosen(None if projection else z, sizes.z),
    )
    keys: list[Any] = list(itertools.product(*(axis.indices for axis in axes)))
    n_z = len(axes[3].indices)
    planes = dataset.iter_planes(keys, level, missing=missing, progress=progress)
    n_stacks = len(keys) // max(n_z, 1)
    if projection:
        found = [projected(itertools.islice(planes, n_z), projection) for _ in range(n_stacks)]
        n_z, axes = 1, (*axes[:3], _SelectedAxis((0,), False))
    else:
        found = list(planes)
    shape = [len(axis.indices) for axis in axes if axis.is_kept]
    if not found:
        return np.empty((*shape, sizes.y, sizes.x), facts.dtype)
    if len({plane.shape for plane in found}) > 1:
        raise ValueError("the positions have planes of different sizes: read them one by one")
    return np.stack(found).reshape(*shape, *found[0].shape)


def _chosen(wanted: Selection, size: int) -> _SelectedAxis:
    """What is selected of an axis of `size`; one that was not asked for and has no extent is left out."""
    if wanted is None:
        return _SelectedAxis(tuple(range(size)), size != 1)
    if isinstance(wanted, slice):
        return _SelectedAxis(tuple(range(size)[wanted]), True)
    if isinstance(wanted, (int, str, np.integer)):
        return _SelectedAxis((_counted(wanted, size),), False)
    return _SelectedAxis(tuple(_counted(each, size) for each in wanted), True)


def _counted(index: int | str, size: int) -> int | str:
    """Negative indices count from the end."""
    if isinstance(index, str):
        return index
    return int(index) + size if -size <= index < 0 else int(index)


def filled(error: PlaneNotStoredError, dtype: np.dtype | None) -> np.ndarray:
    """The fill value of a plane of which nothing is stored, 0 where none is declared; raises `error` else."""
    if error.plane_shape is None:
        raise error
    return np.full(error.plane_shape, 0 if error.fill_value is None else error.fill_value, dtype)
