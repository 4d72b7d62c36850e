"""Lazy arrays of planes on servers: dask reads as many at once as the server answers, not as it has threads.

dask tells a layer of its graph which chunks a computation needs; those, and no others, are read ahead. An
array that is computed as it is becomes one task, which puts each plane in its place as it comes: a task for
each, and all of them copied together in the end, cost more than fetching them.
"""

from __future__ import annotations

import functools
import itertools
import math
import uuid
from typing import TYPE_CHECKING, Any

import dask.array as da
import dask.array.core
import dask.base
import dask.threaded
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer

from .read_ahead import ReadAhead

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy as np

    from .to_xarray import LazyPlanes

    Chunks = tuple[tuple[int, ...], ...]
    ChunkId = tuple[Any, ...]  # the name of the array, and an index along each axis


_ONE_TASK_BYTES = 256 * 1024**2
"""Of a larger array, each plane is a task: a progress bar has something to show."""


def read_ahead_array(planes: LazyPlanes, chunks: Sequence[Sequence[int]], meta: np.ndarray) -> da.Array:
    """`planes` as a dask array in these chunks, each one plane or tile."""
    name, cut = f"planes-{uuid.uuid4().hex}", tuple(tuple(sizes) for sizes in chunks)
    graph = HighLevelGraph.from_collections(name, PlanesLayer(name, planes, cut))
    return ReadAheadArray(graph, name, chunks=cut, meta=meta)  # type: ignore[no-untyped-call]


class ReadAheadArray(da.Array):
    """All planes; what is made of it (parts, sums) is an array of dask like any other."""

    @staticmethod
    def __dask_optimize__(graph: Any, keys: Any, **options: Any) -> Any:
        """See dask: what is computed instead of `graph`."""
        whole = _read_as_a_whole(graph, keys)
        return da.Array.__dask_optimize__(graph, keys, **options) if whole is None else whole


def _read_as_a_whole(graph: Any, keys: Any) -> HighLevelGraph | None:
    """The graph that reads all planes in one task; None unless they are put together and nothing else."""
    layers = graph.layers if isinstance(graph, HighLevelGraph) else {}
    if len(layers) != 2 or len(keys) != 1 or keys[0] not in layers:
        return None
    last = layers[keys[0]].get(keys[0])
    planes = next((layer for layer in layers.values() if isinstance(layer, PlanesLayer)), None)
    if planes is None or getattr(last, "func", None) is not dask.array.core.finalize:
        return None
    if not planes.is_read_as_a_whole or dask.base.get_scheduler() not in (None, dask.threaded.get):
        return None
    return HighLevelGraph.from_collections(keys[0], {keys[0]: (planes.reading_whole(),)})


class PlanesLayer(Layer):
    """The tasks that read the chunks of an array, made when they are looked up."""

    def __init__(self, name: str, planes: LazyPlanes, chunks: Chunks) -> None:
        super().__init__()
        self._name = name
        self._planes = planes
        self._chunks = chunks
        self._starts = tuple(tuple(itertools.accumulate(sizes, initial=0)) for sizes in chunks)
        self._none_ahead = ReadAhead()

    @property
    def is_read_as_a_whole(self) -> bool:
        """Whether one task may read all of it: here, and it is not too large."""
        return self._planes.is_open_here and self._planes.nbytes <= _ONE_TASK_BYTES

    def reading_whole(self) -> Callable[[], np.ndarray]:
        """Begin to read all planes; what is returned waits for them and returns them (T, P, Z, C, Y, X).

        Until dask calls that some milliseconds pass: requests are under way meanwhile.
        """
        return self._planes.reading((slice(None),) * self._planes.ndim)

    def is_materialized(self) -> bool:
        """No: there may be millions."""
        return False

    def get_output_keys(self) -> set[ChunkId]:
        """All chunks."""
        return set(iter(self))

    def __iter__(self) -> Iterator[ChunkId]:
        return itertools.product((self._name,), *(range(len(sizes)) for sizes in self._chunks))

    def __len__(self) -> int:
        return math.prod(map(len, self._chunks))

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, tuple) or len(key) != 1 + len(self._chunks) or key[0] != self._name:
            return False
        return all(0 <= i < len(sizes) for i, sizes in zip(key[1:], self._chunks, strict=True))

    def __getitem__(self, key: Any) -> Any:
        if key not in self:
            raise KeyError(key)
        return self._task(key, self._none_ahead)

    def get_dependencies(self, key: Any, all_hlg_keys: Collection[Any]) -> set[Any]:
        """None."""
        return set()

    def cull(
        self, keys: set[Any], all_hlg_keys: Collection[Any]
    ) -> tuple[MaterializedLayer, Mapping[Any, set[Any]]]:
        """Only the tasks of these chunks; each of them reads ahead for the others."""
        wanted = sorted(key for key in keys if key in self)
        ahead = ReadAhead(each for key in wanted for each in self._planes.keys_of(self._index(key)))
        tasks = {key: self._task(key, ahead) for key in wanted}
        return MaterializedLayer(tasks, annotations=self.annotations), {key: set() for key in wanted}

    def _task(self, key: ChunkId, ahead: ReadAhead) -> Any:
        return (functools.partial(self._planes.read, self._index(key), ahead),)

    def _index(self, key: ChunkId) -> tuple[slice, ...]:
        """What a chunk covers of each axis."""
        starts = zip(key[1:], self._starts, strict=True)
        return tuple(slice(along[i], along[i + 1]) for i, along in starts)
