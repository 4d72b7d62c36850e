"""Small pictures of planes, made where the planes are read: of a pyramid level, else area averages.

Blocking; `make_thumbnails` runs in the reader process (see `isolation.server`), or in whichever process has
opened the source. Area averages are tasks of dask, which runs them in threads, or on a cluster
(`engine.cluster_thumbnails`).
"""

from __future__ import annotations

import os
import threading
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from ..errors import DatasetError, LimitExceededError, PlaneNotStoredError, ReadDroppedError
from ..model import PlaneKey, Region, StackKey
from ..sources.source import MadeThumbnail
from ..storage.asked_together import asked_at_once
from ..storage.cancellation import CancelScope, current_scope
from .area_averages import shrunk, step_for
from .kept_averages import kept_step
from .projections import RunningProjection, StackProjection
from .thumbnails_together import made_together
from .tiles import ONE_TILE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..sources import Source
    from .kept_averages import ThumbnailCache

_MOST_AVERAGED_PIXELS = 2**31
"""Of one plane that has no smaller level."""
_TILE_ROWS = 16 * 1024**2


def make_thumbnails(
    source: Source,
    keys: Sequence[StackKey],
    edge: int,
    cache: ThumbnailCache | None = None,
) -> list[MadeThumbnail]:
    """A picture for each key, whose longest edge is from `edge` up to twice that, or the plane's if shorter.

    What cannot be read has an error instead. Raises `ReadDroppedError` when the `CancelScope` of this
    thread is dropped.
    """
    made = made_together(source, keys, edge, cache, partial(run_in_threads, source.reads_at_once))
    left = [key for key in dict.fromkeys(keys) if key not in made]
    if left:
        made |= zip(left, _made_one_by_one(source, left, edge, cache), strict=True)
    return [made[key] for key in keys]


def _made_one_by_one(
    source: Source, keys: Sequence[StackKey], edge: int, cache: ThumbnailCache | None
) -> list[MadeThumbnail]:
    first = _planned(source, keys[0], edge)
    is_work = isinstance(first, _Plan) and first.kept_step > 1

    def make(key: StackKey) -> MadeThumbnail:
        plan = _planned(source, key, edge)
        if isinstance(plan, MadeThumbnail):
            return plan
        return plan.make() if plan.kept_step == 1 else _kept(source, plan, cache)

    return run_in_threads(source.reads_at_once, [partial(make, key) for key in keys], is_work)


class _Plan(NamedTuple):
    """How one is made: from which level, of what size, averaging `step` × `step` pixels."""

    source: Source
    key: StackKey
    level: int
    sizes: tuple[int, int]  # y, x at that level
    zs: tuple[int, ...]  # its planes: one, or those that are projected
    step: int
    edge: int

    @property
    def kept_step(self) -> int:
        return kept_step(self.sizes, self.edge)

    def make(self) -> MadeThumbnail:
        return _made(lambda: self._read(self.step))

    def make_large(self) -> MadeThumbnail:
        """The one that is kept: also for closer looks."""
        return _made(lambda: self._read(self.kept_step))

    def _read(self, step: int) -> MadeThumbnail:
        if not isinstance(self.key.z, str):
            return MadeThumbnail(self._plane(self.zs[0], step))
        # of the pixels themselves, if they can be held: the brightest one is not that of the averages
        is_held = self._tile is None
        found = self._projected(StackProjection.of_text(self.key.z).how, 1 if is_held else step)
        assert found.pixels is not None
        return found._replace(pixels=shrunk(found.pixels, step)) if is_held else found

    def _projected(self, how: str, step: int) -> MadeThumbnail:
        """The projection of the planes that are there, and why others are not. Raises if none is."""
        running, scope = RunningProjection(how), current_scope()
        said: tuple[DatasetError, int] | None = None
        blank: list[tuple[PlaneNotStoredError, int]] = []
        for z in self.zs:
            if scope is not None and scope.dropped:
                raise ReadDroppedError("the picture is no longer needed")
            try:
                running.add(self._plane(z, step))
            except ReadDroppedError:
                raise
            except DatasetError as error:
                if isinstance(error, PlaneNotStoredError) and error.is_fill_value:
                    blank.append((error, z))
                elif said is None or isinstance(said[0], PlaneNotStoredError):
                    said = error, z
        if not running.n:
            raise said[0] if said is not None else blank[0][0]
        pixels = running.result()
        for each, _ in blank:  # planes of fill value are planes
            if each.fill_value is not None:
                running.add(np.full(pixels.shape, each.fill_value))
        if said is None and blank:  # in a run that is on, whoever asked knows better
            said = blank[-1]
        return MadeThumbnail(running.result(), *(said or (None, 0)))

    @property
    def _tile(self) -> tuple[int, int] | None:
        """How a plane is read that is too large to be read at once."""
        is_large = self.sizes[0] * self.sizes[1] > ONE_TILE_PIXELS
        return self.source.tile_shape(self.key.p, self.level) if is_large else None

    def _plane(self, z: int, step: int) -> np.ndarray:
        key = _plane_key(self.key, z)
        tile = self._tile
        if tile is None:
            return shrunk(self.source.read_plane(key, self.level), step)
        return _by_bands(self.source, key, self.level, self.sizes, tile, step)


def _planned(source: Source, key: StackKey, edge: int) -> _Plan | MadeThumbnail:
    def plan() -> _Plan:
        level = source.level_for(key.p, *_fitting(source, key.p, edge))
        sizes, zs = _sizes_at(source, key, level)
        if sizes[0] * sizes[1] > _MOST_AVERAGED_PIXELS:
            raise LimitExceededError(
                f"a plane of {sizes[0]:,} × {sizes[1]:,} pixels without smaller levels is too large to be "
                "averaged: write it with a pyramid"
            )
        return _Plan(source, key, level, sizes, zs, step_for(max(sizes), edge), edge)

    try:
        return plan()
    except ReadDroppedError:
        raise
    except (DatasetError, IndexError) as error:
        return MadeThumbnail(None, error)


def _fitting(source: Source, p: int, edge: int) -> tuple[int, int]:
    """The height and width of a picture of position `p` whose longest edge is `edge`."""
    image = source.info.image(p)
    longest = max(image.height, image.width, 1)
    return max(1, image.height * edge // longest), max(1, image.width * edge // longest)


def _sizes_at(source: Source, key: StackKey, level: int) -> tuple[tuple[int, int], tuple[int, ...]]:
    """The height and width of the planes of a level, and which of them are meant."""
    if level == 0:
        image = source.image(key.p)
        return (image.height, image.width), _planes_of(key, image.n_z)
    if source.info.image(key.p).n_z > 1:
        found = source.level_at(key.p, level)
        zs = _planes_of(key, source.info.image(key.p).n_z)
        return (found.sizes.y, found.sizes.x), tuple(dict.fromkeys(map(found.z_at, zs)))
    shape = source.plane_shape(_plane_key(key, 0), level)
    if shape is None:
        raise PlaneNotStoredError(f"level {level} of position {key.p} is not written yet")
    return shape, (0,)


def _planes_of(key: StackKey, n_z: int) -> tuple[int, ...]:
    """The planes of level 0 that are meant, of a stack of `n_z`."""
    return (
        (key.z,) if isinstance(key.z, int) else tuple(StackProjection.of_text(key.z).planes_of(max(n_z, 1)))
    )


def _plane_key(key: StackKey, z: int) -> PlaneKey:
    return PlaneKey(key.t, key.p, key.c, z)


def _made(read: Callable[[], MadeThumbnail]) -> MadeThumbnail:
    try:
        return read()
    except ReadDroppedError:
        raise
    except (DatasetError, IndexError, MemoryError) as error:
        return MadeThumbnail(None, error)


def _by_bands(
    source: Source, key: PlaneKey, level: int, shape: tuple[int, int], tile: tuple[int, int], step: int
) -> np.ndarray:
    """A large plane, band by band of whole tiles: one band is in memory at a time."""
    height, width = shape
    rows = max(tile[0], _TILE_ROWS // max(width, 1) // tile[0] * tile[0])
    rows = max(step, rows // step * step)  # each square lies within one band
    bands = []
    for top in range(0, height, rows):
        region = Region(top, 0, min(rows, height - top), width)
        bands.append(shrunk(source.read_region(key, region, level), step))
    return np.concatenate(bands, axis=0)


# ---- kept on disk, and in parallel ---------------------------------------------------------------------


def _kept(source: Source, plan: _Plan, cache: ThumbnailCache | None) -> MadeThumbnail:
    """Make one of a larger picture, which is kept under the name and version of its plane."""
    name = _name_of(source, plan, cache)
    pixels = cache.get(name) if cache is not None else None
    if pixels is None:
        made = plan.make_large()
        if made.pixels is None:
            return made
        if made.error is not None:
            return made._replace(pixels=shrunk(made.pixels, step_for(max(made.pixels.shape), plan.edge)))
        pixels = made.pixels
        if cache is not None and _name_of(source, plan, cache) == name:
            cache.put(name, pixels)
    return MadeThumbnail(shrunk(pixels, step_for(max(pixels.shape), plan.edge)))


def _name_of(source: Source, plan: _Plan, cache: ThumbnailCache | None) -> str:
    if cache is None:
        return ""
    version: str | None = source.identity
    if version is None:
        found = source.versions([_plane_key(plan.key, z) for z in plan.zs], plan.level)
        version = None if None in found else " ".join(map(str, found))
    return cache.name_of(plan.key, plan.level, plan.edge, version)


def run_in_threads(
    n_threads: int, tasks: Sequence[Callable[[], _Made]], is_work: bool = False
) -> list[_Made]:
    """The results of all tasks, in order; they belong to the `CancelScope` of this thread.

    `is_work`: each averages large planes, which is for dask.
    """
    scope = current_scope() or CancelScope()

    def run(task: Callable[[], _Made]) -> _Made:
        if scope.dropped:
            raise ReadDroppedError("the pictures are no longer needed")
        return scope.run(task)

    if len(tasks) < 2:
        return [run(task) for task in tasks]
    workers = min(n_threads, _WORKERS)
    if is_work and workers > 1 and _has_dask():  # one worker is this thread
        import dask.threaded

        graph = {("thumbnail", i): (run, task) for i, task in enumerate(tasks)}
        found = dask.threaded.get(graph, list(graph), num_workers=workers)
        return list(found)
    if n_threads <= _FEW_THREADS:  # of local files, opening takes longer than reading: threads would queue
        return [run(task) for task in tasks]
    return asked_at_once(run, tasks, n_threads, "ndviewer-thumbnails")


def _has_dask() -> bool:
    """Whether dask has been imported, which takes half a second: the first pictures do not wait for it."""
    global _importing
    with _import_lock:
        if _importing is None:
            _importing = threading.Thread(
                target=import_module, args=["dask.threaded"], name="ndviewer-import"
            )
            _importing.start()
        return not _importing.is_alive()


_importing: threading.Thread | None = None
_import_lock = threading.Lock()
_FEW_THREADS = 8
_WORKERS = max(1, (os.cpu_count() or 2) // 2)
"""Of dask: a view has two requests under way. With eight each, which wait for the interpreter, a field took
up to twice the time. Slow files do not matter: those of one task are read at once."""
_Made = TypeVar("_Made")
