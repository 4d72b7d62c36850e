"""The one door to planes: what a view gets, and what is called without a lock."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest
from memory_source import (
    SHAPE,
    TIMEOUT,
    Gate,
    MemorySource,
    can_be_taken,
    in_thread,
    wait_until,
)

from ndviewer_light.engine.dataset import Changes, Dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    PlaneNotStoredError,
)
from ndviewer_light.model import PlaneKey, PlaneState
from tests.datasets_in_memory import (
    NOTHING,
    OTHER,
    PLANE_BYTES,
    K,
    making_datasets,
    set_clock,
    shown,
    wait_for_change,
    wait_until_nobody_looks,
)


@pytest.fixture
def clock(monkeypatch):
    return set_clock(monkeypatch)


@pytest.fixture
def source():
    return MemorySource()


@pytest.fixture
def make(source):
    yield from making_datasets(source)


# ---- one plane -------------------------------------------------------------------------------------


def test_plane_returns_the_stored_pixels_read_only(make, source):
    source.stored[K] = np.arange(80, dtype=np.uint16).reshape(SHAPE)
    pixels = make().plane(*K)
    np.testing.assert_array_equal(pixels, source.stored[K])
    assert pixels.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


@pytest.mark.parametrize(("axis", "index"), [("t", "1"), ("t", 0.0), ("p", None), ("c", None), ("z", "max")])
def test_what_is_no_index_is_refused_in_words(make, source, axis, index):
    source.stored[K] = np.zeros(SHAPE, np.uint16)
    dataset = make()
    dataset.plane(*K)  # also of a plane in memory
    said = f"{axis} must be an index, counted from 0"
    with pytest.raises(TypeError, match=said):
        dataset.plane(**{axis: index})
    with pytest.raises(TypeError, match=said):
        dataset.read_planes([tuple({"t": 0, "p": 0, "c": 0, "z": 0, axis: index}.values())])


def test_a_plane_stored_transposed_comes_in_c_order(make, source):
    source.read_plane = lambda key, level=0: np.arange(80, dtype=np.uint16).reshape(10, 8).T
    pixels = make().plane(*K)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.arange(80).reshape(10, 8).T)


@pytest.mark.parametrize("live", [True, False])
def test_plane_raises_where_nothing_is_stored(make, live):
    dataset = make(live)
    with pytest.raises(PlaneNotStoredError) as caught:
        dataset.plane(*K)
    assert caught.value.plane_shape == SHAPE


def test_plane_raises_what_the_source_raises(make, source):
    source.errors[K] = CorruptDataError("chunk 0 of /data/a.zarr cannot be decoded")
    with pytest.raises(CorruptDataError, match=r"chunk 0 of /data/a\.zarr"):
        make().plane(*K)


def test_plane_raises_after_close(make, source):
    source.write(K, 1)
    dataset = make()
    dataset.close()
    dataset.close()
    with pytest.raises(DatasetError):
        dataset.plane(*K)


def test_a_dataset_is_a_context_manager(source):
    with Dataset(source) as dataset:
        assert dataset.info is source.info
    assert source.closed.is_set()


# ---- what a view gets ------------------------------------------------------------------------------


def test_a_view_gets_pixels_in_the_order_of_its_keys(make, source):
    source.write(K, 1)
    source.write(OTHER, 2)
    assert shown(make(), OTHER, K, OTHER) == [2, 1, 2]


def test_a_view_does_not_wait_longer_than_told_and_late_pixels_are_a_change(make, source):
    source.write(K, 1)
    source.before_read = Gate()
    dataset = make()
    assert shown(dataset, K, wait=0) == [PlaneState.LOADING]
    assert dataset.state(K) is PlaneState.LOADING
    assert dataset.take_changes() == NOTHING
    source.before_read.open()
    assert wait_for_change(dataset) == Changes(in_view=True, info=False)
    assert shown(dataset, K, wait=0) == [1]
    assert dataset.take_changes() == NOTHING, "told once"


def test_late_pixels_of_a_plane_no_longer_in_view_are_no_change(make, source):
    source.write(K, 1)
    source.write(OTHER, 2)
    dataset = make()
    source.before_read = Gate()
    shown(dataset, K, wait=0)
    source.before_read.wait_for_one()
    gate, source.before_read = source.before_read, Gate(held=False)
    assert shown(dataset, OTHER) == [2]
    late = dataset._cache.peek(K)
    gate.open()
    assert isinstance(late, Future)
    late.result(TIMEOUT)
    assert dataset.take_changes() == NOTHING


def test_who_waits_without_bound_for_a_read_that_is_dropped_is_told_so(make, source):
    source.write(OTHER, 2)
    dataset = make(workers=1)
    source.before_read = Gate()
    shown(dataset, PlaneKey(1, 1, 1, 1), wait=0)
    source.before_read.wait_for_one()
    waiting = in_thread(shown, dataset, K)
    wait_until(lambda: K in dataset._view.shown.keys and dataset._cache.peek(K) is not None)
    other = in_thread(shown, dataset, OTHER)  # the user has moved on: nobody needs K any more
    assert waiting.result(TIMEOUT) == [PlaneState.LOADING]
    source.before_read.open()
    assert other.result(TIMEOUT) == [2]


def test_a_view_larger_than_the_cache_waits_for_all_of_it(make, source):
    keys = [PlaneKey(t, p, 0, 0) for t in range(2) for p in range(3)]
    for i, key in enumerate(keys):
        source.write(key, i)
    source.before_read = Gate()
    dataset = make(cache_bytes=5 * PLANE_BYTES)
    drawing = in_thread(lambda: shown(dataset, *keys, wait=0))
    source.before_read.wait_for_one()
    source.before_read.open()
    assert drawing.result(TIMEOUT) == [0, 1, 2, 3, 4, 5]


def test_scrubbing_drops_the_reads_of_views_gone_by(make, source):
    dataset = make(workers=1)
    source.before_read = Gate()
    shown(dataset, K, wait=0)
    source.before_read.wait_for_one()
    for t in range(100):
        shown(dataset, PlaneKey(t, 0, 0, 0), PlaneKey(t, 1, 0, 0), wait=0)
    source.before_read.open()
    shown(dataset, PlaneKey(99, 0, 0, 0), PlaneKey(99, 1, 0, 0))
    assert source.reads == [K, PlaneKey(99, 0, 0, 0), PlaneKey(99, 1, 0, 0)]


def test_a_volume_read_in_parts_does_not_drop_its_other_parts(make, source):
    parts = [[PlaneKey(0, 0, 0, 0), PlaneKey(0, 0, 0, 1)], [PlaneKey(0, 0, 1, 0), PlaneKey(0, 0, 1, 1)]]
    every = parts[0] + parts[1]
    for i, key in enumerate(every):
        source.write(key, i)
    dataset = make(workers=1)
    source.before_read = Gate()
    dataset.planes(parts[0], wait=0, view=every)
    source.before_read.wait_for_one()
    dataset.planes(parts[1], wait=0, view=every)
    queued = dataset._cache.peek(parts[0][1])
    assert isinstance(queued, Future)
    source.before_read.open()
    assert queued.result(TIMEOUT)[0, 0] == 1
    assert shown(dataset, *every) == [0, 1, 2, 3]
    assert sorted(source.reads) == sorted(every), "each once"


# ---- locks -----------------------------------------------------------------------------------------


def locks_of(dataset: Dataset) -> list[object]:
    """The locks of a dataset and of its parts."""
    parts = [dataset._view, dataset._retries, dataset._announced, dataset._follower, dataset._current]
    works = [dataset._follower._work, dataset._rereader._work]
    return [dataset._requests._lock, dataset._cache._lock, *(part._lock for part in [*parts, *works])]


class WatchedSource(MemorySource):
    """Notes at each of its calls whether the locks of the dataset above it are free."""

    def __init__(self) -> None:
        super().__init__()
        self.dataset: Dataset | None = None
        self.calls: list[tuple[str, bool]] = []

    def _note(self, call: str) -> None:
        if self.dataset is not None:
            self.calls.append((call, all(map(can_be_taken, locks_of(self.dataset)))))

    @property
    def info(self):
        self._note("info")
        return self._info

    def read_plane(self, key, level=0):
        self._note("read_plane")
        return super().read_plane(key, level)

    def plane_shape(self, key, level=0):
        self._note("plane_shape")
        return super().plane_shape(key, level)

    def refresh(self):
        self._note("refresh")
        return super().refresh()

    def close(self):
        self._note("close")
        super().close()


def test_no_source_is_called_while_a_lock_is_held(clock):
    source = WatchedSource()
    dataset = source.dataset = Dataset(source, live=True)
    source.write(K, 1)
    shown(dataset, K, OTHER)
    dataset.plane(*K)
    dataset.state(K)
    dataset.notify(9, 0, 0, 0)
    dataset.notify(*OTHER)
    dataset.take_changes()
    wait_until_nobody_looks(dataset)
    clock.now += 10
    dataset.take_changes()
    shown(dataset, K, OTHER)
    dataset.refresh()
    dataset.end()
    shown(dataset, K, OTHER)
    wait_until_nobody_looks(dataset)
    dataset.close()
    assert {call for call, _ in source.calls} == {"info", "read_plane", "plane_shape", "refresh", "close"}
    assert [call for call, free in source.calls if not free] == []


def test_late_planes_are_noted_while_no_lock_is_held(make, source):
    dataset, free = make(), []
    source.write(K, 1)
    source.before_read = Gate()
    shown(dataset, K, wait=0)
    future = dataset._cache.peek(K)
    future.add_done_callback(lambda _: free.append(all(map(can_be_taken, locks_of(dataset)))))
    source.before_read.open()
    future.result(TIMEOUT)
    wait_for_change(dataset)
    dataset.close()
    assert free == [True]
