"""Small pictures of planes that are read many at a time: see `Source.small_planes`. Blocking."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..model import PlaneKey, StackKey
from ..sources.source import MadeThumbnail, SmallPlane
from ..storage.file_versions import versions_of
from .area_averages import shrunk, step_for
from .kept_averages import kept_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from ..sources import Source
    from .kept_averages import ThumbnailCache

    Made = dict[StackKey, MadeThumbnail]

_BYTES_AT_ONCE = 4 * 1024**2
_PLANES_AT_ONCE = 96


class _SmallWanted(NamedTuple):
    key: StackKey
    plane: SmallPlane
    name: str  # under which its average is kept


def made_together(
    source: Source,
    keys: Sequence[StackKey],
    edge: int,
    cache: ThumbnailCache | None,
    in_threads: Callable[[Sequence[Callable[[], Made]], bool], list[Made]],
) -> Made:
    """The pictures of those planes that can be read together; the others are to be made one by one.

    `in_threads(tasks, is_work)` calls the tasks; `is_work`: they average large planes.
    """
    plain = [key for key in keys if isinstance(key.z, int)]
    found = source.small_planes([PlaneKey(*key) for key in plain], edge)  # type: ignore[arg-type]
    made: Made = {}
    wanted: list[_SmallWanted] = []
    for key, plane in zip(plain, found, strict=True):
        if plane is not None:
            name = _name_of(source, key, plane, edge, cache)
            kept = cache.get(name) if cache is not None else None
            if kept is None:
                wanted.append(_SmallWanted(key, plane, name))
            else:
                made[key] = MadeThumbnail(shrunk(kept, step_for(max(kept.shape), edge)))
    is_work = any(kept_step(each.plane.shape, edge) > 1 for each in wanted)
    tasks = [partial(_read, source, batch, edge, cache) for batch in _batches(wanted)]
    for read in in_threads(tasks, is_work):
        made |= read
    return made


def _name_of(
    source: Source, key: StackKey, plane: SmallPlane, edge: int, cache: ThumbnailCache | None
) -> str:
    if cache is None or kept_step(plane.shape, edge) == 1:
        return ""
    version = source.identity or versions_of(plane.files)
    return cache.name_of(key, plane.level, edge, version)


def _batches(wanted: Sequence[_SmallWanted]) -> Iterator[Sequence[_SmallWanted]]:
    """Planes that are in memory together: a few megabytes."""
    batch: list[_SmallWanted] = []
    nbytes = 0
    for each in wanted:
        if batch and (nbytes + each.plane.nbytes > _BYTES_AT_ONCE or len(batch) == _PLANES_AT_ONCE):
            yield batch
            batch, nbytes = [], 0
        batch.append(each)
        nbytes += each.plane.nbytes
    if batch:
        yield batch


def _kept_of(pixels: np.ndarray, edge: int) -> np.ndarray:
    """What is kept of a plane: an average, or all of it; a new array."""
    step = kept_step(pixels.shape, edge)
    return pixels.copy("K") if step == 1 else shrunk(pixels, step)


def _read(source: Source, wanted: Sequence[_SmallWanted], edge: int, cache: ThumbnailCache | None) -> Made:
    made: Made = {}
    averages = source.read_small_planes([each.plane for each in wanted], partial(_kept_of, edge=edge))
    for each, small in zip(wanted, averages, strict=True):
        if small is None:
            continue
        if cache is not None and each.name == _name_of(source, each.key, each.plane, edge, cache):
            cache.put(each.name, small)
        made[each.key] = MadeThumbnail(shrunk(small, step_for(max(small.shape), edge)))
    return made
