"""Measures many planes, by dask: in threads, or by the workers of a cluster while a client of it is active.

What is known, from a look at the planes or from an earlier call, is not worked out again as long as the
planes are as they were.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError
from ..model import PlaneKey, PlaneState, channel_in, some_names
from .measured_table import MeasuredTable
from .plane_measuring import MeasuredState, WantedPlane
from .to_xarray import opened_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..model import DatasetInfo
    from .dataset_statistics import DatasetStatistics
    from .known_statistics import StampedNumbers
    from .selection import Selection

    Progress = Callable[[int, int], None]

logger = logging.getLogger(__name__)

_TASK_BATCH = 16  # planes of a task
_WAVE = 4  # tasks for each thread before progress is told


class MeasuringTask:
    """What a dask task calls; unpickled elsewhere, it opens the dataset there."""

    def __init__(self, dataset: DatasetStatistics) -> None:
        self._dataset: DatasetStatistics | None = dataset
        self._reopen = dataset.reopen

    def __getstate__(self) -> dict[str, Any]:
        if self._reopen is None:
            raise TypeError("its planes cannot be measured elsewhere: the dataset was not opened from a path")
        return {**self.__dict__, "_dataset": None}

    def __call__(self, wanted: Sequence[WantedPlane]) -> list[MeasuredState]:
        """Measure these planes, here."""
        if self._dataset is None:
            assert self._reopen is not None, "it has been pickled"
            self._dataset = opened_here(self._reopen)
        return self._dataset.measure_planes(wanted)


def measure(
    dataset: DatasetStatistics,
    channels: Selection,
    t: Selection,
    positions: Selection,
    z: Selection,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> MeasuredTable:
    """Measure the planes selected; see `Dataset.measure`."""
    if not dataset.live:
        dataset.look_at_all()
    info = dataset.info
    keys = list(_expected(info, channels, t, positions, z))
    table = MeasuredTable(info, keys)
    try:
        known = _at_hand(dataset, keys)
        batches = [keys[i : i + _TASK_BATCH] for i in range(0, len(keys), _TASK_BATCH)]
        row = 0
        for first, found in _measured(dataset, info, batches, known, cancelled):
            for i, (key, each) in enumerate(zip(batches[first], found, strict=True)):
                statistics = each.statistics
                if statistics is None and each.state is PlaneState.PRESENT:
                    statistics = known[key].statistics
                    dataset.statistics.take(key, known[key])
                elif dataset.statistics.get(key) is None:  # it was measured in another process
                    dataset.statistics.take_measured(key, each.stamp, statistics)
                table.fill(first * _TASK_BATCH + i, each, statistics)
            row += len(found)
            progress(row, len(keys))
    finally:
        dataset.statistics.flush()
    return table


def _at_hand(dataset: DatasetStatistics, keys: Sequence[PlaneKey]) -> dict[PlaneKey, StampedNumbers]:
    """What was measured before, with the stamps that must be compared."""
    kept = dataset.statistics.kept()
    known = {key: kept[key] for key in keys if key in kept}
    for key in keys:
        found = dataset.statistics.stamped(key)
        if found is not None and found.stamp is not None:
            known[key] = found
    return known


# ---- which ---------------------------------------------------------------------------------


def _expected(
    info: DatasetInfo, channels: Selection, t: Selection, positions: Selection, z: Selection
) -> Iterator[PlaneKey]:
    """The planes selected, of those that their positions have: by position, then time, z and channel."""
    names = [channel.name for channel in info.channels]
    wanted_c = _indices("channel", channels, names)
    wanted_t = _indices("time point", t, range(info.n_t))
    wanted_z = _indices("z plane", z, range(info.n_z))
    of_image: dict[int, tuple[list[int], list[int], list[int]]] = {}
    for p in _indices("position", positions, range(len(info.positions)), info.position_index):
        image = info.image(p)
        if id(image) not in of_image:
            own = [c for c in wanted_c if channel_in(image.channels, info.channels, c) is not None]
            of_image[id(image)] = (
                [i for i in wanted_t if i < image.n_t],
                [i for i in wanted_z if i < image.n_z],
                own,
            )
        ts, zs, cs = of_image[id(image)]
        yield from (PlaneKey(at, p, c, height) for at in ts for height in zs for c in cs)


def _indices(
    what: str,
    wanted: Selection,
    names: Sequence[str] | range,
    named: Callable[[str], int] | None = None,
) -> list[int]:
    """The indices selected of an axis, each once; names as well where there are some.

    `named`: the only index of a name, where things have several names.
    """
    n = len(names)
    if wanted is None:
        return list(range(n))
    if isinstance(wanted, slice):
        return list(range(n)[wanted])
    several: Iterable[Any] = (
        [wanted] if isinstance(wanted, str) or not hasattr(wanted, "__iter__") else wanted
    )
    found: list[int] = []
    for each in several:
        if not isinstance(each, str):
            found.append(_counted(what, int(each), n))
        elif named is not None:
            found.append(named(each))
        else:
            found += _named(what, each, names)
    return list(dict.fromkeys(found))


def _named(what: str, name: str, names: Sequence[str] | range) -> list[int]:
    found = [i for i, each in enumerate(names) if each == name]
    if not found:
        there = ", ".join(some_names([str(each) for each in names]))
        raise KeyError(f"there is no {what} {name!r}: there are {there}")
    return found


def _counted(what: str, index: int, n: int) -> int:
    if not -n <= index < n:
        raise IndexError(f"there is no {what} {index}: there are {n}")
    return index % n


# ---- by whom -------------------------------------------------------------------------------


def _measured(
    dataset: DatasetStatistics,
    info: DatasetInfo,
    batches: Sequence[Sequence[PlaneKey]],
    known: dict[PlaneKey, StampedNumbers],
    cancelled: Callable[[], bool],
) -> Iterator[tuple[int, list[MeasuredState]]]:
    """The statistics of each batch by its index, as they become known, in any order."""
    wanted = (
        [WantedPlane.of(key, info, known[key].stamp if key in known else None) for key in batch]
        for batch in batches
    )
    task, client = MeasuringTask(dataset), _active_client()
    if client is None:
        yield from _measured_here(task, list(wanted), dataset.reads_at_once, cancelled)
    else:
        yield from _measured_by(client, task, list(wanted), cancelled)


def _measured_here(
    task: MeasuringTask,
    batches: Sequence[Sequence[WantedPlane]],
    at_once: int,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[int, list[MeasuredState]]]:
    from dask import config
    from dask.base import compute
    from dask.delayed import delayed

    here = {} if config.get("scheduler", None) else {"scheduler": "threads", "num_workers": at_once}
    measured = delayed(task, pure=False, traverse=False)
    wave = _WAVE * at_once if len(batches) > at_once else 1
    for start in range(0, len(batches), wave):
        if cancelled():
            return
        results = compute(*map(measured, batches[start : start + wave]), **here)
        yield from enumerate(results, start)


def _active_client() -> Any:
    """The dask.distributed client of this thread or process, None if there is none."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _measured_by(
    client: Any,
    task: MeasuringTask,
    batches: Sequence[Sequence[WantedPlane]],
    cancelled: Callable[[], bool],
) -> Iterator[tuple[int, list[MeasuredState]]]:
    """By the workers of a cluster, which must be able to open the dataset at its path."""
    from distributed import as_completed

    futures = client.map(task, batches, pure=False)
    index = {future.key: i for i, future in enumerate(futures)}
    try:
        for future, result in as_completed(futures, with_results=True, raise_errors=False):
            i = index[future.key]
            if future.status != "finished":
                error = future.exception()
                if isinstance(error, DatasetError):
                    raise error  # the worker cannot open it: nor will the others
                reason = f"the worker failed: {error or future.status}"
                result = [MeasuredState(PlaneState.UNREADABLE, reason=reason)] * len(batches[i])
            future.release()
            yield i, result
            if cancelled():
                return
    finally:
        client.cancel(futures)
