"""A dataset that is written: what is a change, what is read again, and how it grows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_source import (
    SHAPE,
    TIMEOUT,
    Gate,
    MemorySource,
    in_thread,
    memory_info,
)

from ndviewer_light.engine.dataset import Changes
from ndviewer_light.engine.known_failures import KnownFailures
from ndviewer_light.errors import (
    CorruptDataError,
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


# ---- writing, as seen from here --------------------------------------------------------------------


def test_a_notified_plane_in_view_is_a_change_and_is_read_again(make, source):
    source.write(K, 1)
    dataset = make()
    assert shown(dataset) == [1]
    source.write(K, 2)
    dataset.notify(*K)
    assert dataset.take_changes() == Changes(in_view=True, info=False)
    assert dataset.take_changes() == NOTHING
    assert shown(dataset) == [2]


def test_a_notified_plane_out_of_view_is_no_change(make, source):
    source.write(K, 1)
    dataset = make()
    shown(dataset)
    dataset.notify(*OTHER)
    assert dataset.take_changes() == NOTHING


@pytest.mark.parametrize("who_folds", ["planes", "was_notified"])
def test_a_notification_that_somebody_else_came_across_is_still_a_change(make, source, who_folds):
    source.write(K, 1)
    dataset = make()
    shown(dataset)
    dataset.notify(*K)
    if who_folds == "planes":
        shown(dataset)
    else:
        assert dataset.was_notified(K)
    assert dataset.take_changes().in_view


def test_a_plane_written_during_its_read_is_read_again(make, source):
    source.write(K, 1)
    source.after_sample = Gate()
    dataset = make()
    shown(dataset, wait=0)
    source.after_sample.wait_for_one()
    source.write(K, 2)
    dataset.notify(*K)
    source.after_sample.open()
    assert wait_for_change(dataset).in_view
    assert shown(dataset) == [2]


def test_an_error_that_a_notification_overtook_says_nothing(make, source, caplog):
    source.errors[K] = CorruptDataError("half a chunk")
    source.after_sample = Gate()
    dataset = make()
    waiting = in_thread(shown, dataset, K)
    source.after_sample.wait_for_one()
    source.errors.clear()
    source.write(K, 1)
    dataset.notify(*K)
    source.after_sample.open()
    assert waiting.result(TIMEOUT) == [PlaneState.LOADING]
    assert not caplog.records
    assert dataset.take_changes().in_view
    assert shown(dataset) == [1]


def test_a_plane_neither_stored_nor_notified_is_pending_while_live(make):
    dataset = make(live=True)
    assert shown(dataset) == [PlaneState.PENDING]
    assert dataset.state(K) is PlaneState.PENDING


def test_a_plane_not_stored_is_absent_when_nobody_writes(make):
    dataset = make(live=False)
    assert shown(dataset) == [PlaneState.ABSENT]
    assert dataset.state(K) is PlaneState.ABSENT


def after_a_moment(dataset, clock):
    """What a plane is that was announced a moment ago and is not there."""
    assert shown(dataset) == [PlaneState.PENDING]
    clock.now += 2.5
    dataset.take_changes()
    [plane] = dataset.planes([K], wait=None)
    return plane


def test_a_plane_notified_but_not_stored_is_its_fill_value_and_never_kept(make, source, clock):
    dataset = make()
    dataset.notify(*K)
    with pytest.raises(PlaneNotStoredError):
        dataset.plane(*K)
    plane = after_a_moment(dataset, clock)
    assert plane.state is PlaneState.FILLED
    assert plane.reason == "nothing stored, shown as the fill value 0"
    assert plane.pixels.shape == SHAPE
    assert not plane.pixels.any()
    np.testing.assert_array_equal(dataset.plane(*K), plane.pixels)
    assert dataset._cache.nbytes == 0
    source.write(K, 7)
    assert dataset.plane(*K)[0, 0] == 7, "no notification needed: nothing was kept"


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_black_plane_has_the_dtype_of_the_others(make, source, clock, dtype):
    source.info = memory_info(dtype=np.dtype(dtype))
    dataset = make()
    dataset.notify(*K)
    plane = after_a_moment(dataset, clock)
    assert plane.state is PlaneState.FILLED
    assert plane.pixels.dtype == dtype


def test_a_plane_notified_before_its_store_exists_is_pending(make, source):
    source.shapes[K] = None
    dataset = make()
    dataset.notify(*K)
    assert shown(dataset) == [PlaneState.PENDING], "a size nobody knows is no plane"


def test_after_the_end_what_is_in_view_is_read_once_more(make, source):
    source.write(K, 1)
    dataset = make()
    assert shown(dataset) == [1]
    source.write(K, 2)  # and the notification got lost
    dataset.end()
    assert not dataset.live
    assert dataset.take_changes().in_view
    assert shown(dataset) == [2]
    assert source.reads == [K, K]
    assert dataset.take_changes() == NOTHING


def test_the_last_notification_before_the_end_is_not_lost(make, source):
    source.write(K, 1)
    dataset = make()
    shown(dataset)
    source.write(K, 2)
    dataset.notify(*K)
    dataset.end()
    assert dataset.take_changes().in_view
    assert shown(dataset) == [2]


def test_a_read_under_way_at_the_end_is_not_what_stays(make, source):
    source.after_sample = Gate()
    dataset = make()
    shown(dataset, wait=0)
    source.after_sample.wait_for_one()
    source.write(K, 1)
    dataset.end()
    source.after_sample.open()
    assert dataset.take_changes().in_view
    assert shown(dataset) == [1]


def test_after_the_end_what_was_never_written_is_absent(make):
    dataset = make()
    assert shown(dataset) == [PlaneState.PENDING]
    dataset.end()
    assert shown(dataset) == [PlaneState.ABSENT]


def test_a_notification_after_the_end_still_counts(make, source):
    dataset = make()
    shown(dataset)
    dataset.end()
    dataset.take_changes()
    source.write(K, 3)
    dataset.notify(*K)
    assert dataset.take_changes().in_view
    assert shown(dataset) == [3]


def test_refresh_forgets_every_plane(make, source):
    source.write(K, 1)
    dataset = make(live=False)
    assert shown(dataset) == [1]
    source.write(K, 2)
    dataset.refresh()
    assert dataset.take_changes().in_view
    assert shown(dataset) == [2]


def test_when_a_storm_is_over_the_last_pixels_are_shown(make, source):
    keys = [PlaneKey(t, p, c, z) for t in range(2) for p in range(3) for c in range(2) for z in range(2)]
    dataset = make(cache_bytes=10 * PLANE_BYTES)

    def write(seed: int) -> None:
        mine = keys[seed::8]
        for value in range(1, 200):
            for key in mine:
                source.write(key, value)
                dataset.notify(*key)

    writers = [in_thread(write, seed) for seed in range(8)]
    in_view = keys[:8]
    picture = shown(dataset, *in_view, wait=0.01)
    while not all(writer.done() for writer in writers) or dataset.take_changes().in_view:
        picture = shown(dataset, *in_view, wait=0.01)  # as a GUI: draw, then look whether to draw again
    while PlaneState.LOADING in picture:
        wait_for_change(dataset)
        picture = shown(dataset, *in_view, wait=0.01)
    assert picture == [199] * 8


# ---- growth ----------------------------------------------------------------------------------------


def test_new_facts_are_told_once(make, source):
    dataset = make()
    source.info = replace(source.info, n_t=9)
    assert dataset.take_changes() == Changes(in_view=True, info=True)
    assert dataset.take_changes() == NOTHING
    assert dataset.info.n_t == 9


def test_a_notification_beyond_what_is_known_makes_the_store_be_looked_at(make, source):
    dataset = make()
    source.grows_to = replace(source.info, n_t=6)
    dataset.notify(5, 0, 0, 0)
    assert wait_for_change(dataset).info
    assert dataset.info.n_t == 6


def test_a_store_that_appears_after_its_only_notification_is_found(make, source, clock):
    source.info = replace(source.info, dtype=None, n_t=1)
    source.shapes[K] = None
    dataset = make()
    dataset.notify(*K)
    dataset.take_changes()
    wait_until_nobody_looks(dataset)
    source.shapes.clear()
    source.grows_to = memory_info()
    clock.now += 10
    assert wait_for_change(dataset).info
    assert dataset.info.dtype == np.uint16


def test_a_store_that_never_appears_is_looked_for_ever_more_rarely(make, source, clock):
    source.info = replace(source.info, dtype=None)
    source.shapes[K] = None
    dataset = make()
    dataset.notify(*K)
    for _ in range(60 * 16):
        clock.now += 1 / 16
        dataset.take_changes()
        wait_until_nobody_looks(dataset)
    assert 5 <= len(source.looks) <= 15


def test_after_the_end_no_store_is_looked_for_without_a_notification(make, source, clock):
    source.info = replace(source.info, dtype=None)
    source.shapes[K] = None
    dataset = make()
    dataset.notify(*K)
    dataset.take_changes()
    dataset.end()
    wait_until_nobody_looks(dataset)
    looks = len(source.looks)
    for _ in range(600):
        clock.now += 1
        dataset.take_changes()
        wait_until_nobody_looks(dataset)
    assert len(source.looks) <= looks + 1


@pytest.mark.parametrize("key", [(-1, 0, 0, 0), (0, 10**9, 0, 0), (2**40, 0, 0, 0)], ids=str)
def test_indices_that_are_no_plane_change_nothing(make, source, key):
    source.write(K, 1)
    dataset = make()
    assert shown(dataset) == [1]
    dataset.notify(*key)
    assert dataset.take_changes() == NOTHING
    wait_until_nobody_looks(dataset)
    assert not dataset.was_notified(PlaneKey(*key))
    assert shown(dataset) == [1]
    assert dataset.info.n_t == 2


# ---- what is on disk counts ----------------------------------------------------------------------


def look(dataset, clock) -> None:
    clock.now += 10
    dataset.take_changes()
    wait_until_nobody_looks(dataset)


def test_a_plane_in_view_that_changed_without_a_word_is_read_again(make, source, clock):
    source.write(K, 1)
    source.write(OTHER, 5)
    dataset = make()
    assert shown(dataset, K, OTHER) == [1, 5]
    source.write(K, 2)
    look(dataset, clock)
    assert dataset.take_changes().in_view
    assert shown(dataset, K, OTHER) == [2, 5]
    look(dataset, clock)
    assert not dataset.take_changes().in_view, "and then it is as it is on disk"


def test_a_plane_that_writers_tell_us_of_is_not_compared(make, source, clock):
    source.write(K, 1)
    dataset = make()
    dataset.notify(*K)
    shown(dataset)
    dataset.take_changes()
    reads = len(source.reads)
    look(dataset, clock)
    assert len(source.reads) == reads


def test_where_a_plane_changed_without_a_word_none_in_memory_is_trusted(make, source, clock):
    source.write(K, 1)
    source.write(OTHER, 1)
    dataset = make()
    shown(dataset, OTHER)
    shown(dataset, K)
    source.write(K, 2)
    source.write(OTHER, 2)
    look(dataset, clock)
    assert shown(dataset, OTHER) == [2]


@pytest.mark.parametrize("n", [3, 40])
def test_of_what_was_written_only_what_could_not_be_read_is_forgotten(n):
    failures = KnownFailures()
    for z in range(n):
        failures.note(PlaneKey(z=z), "damaged")
    failures.failing_since(PlaneKey(t=1), OSError(), 0.0)
    failures.forget_rows(np.array([(0, 0, 0, 1), (5, 0, 0, 0), (1, 0, 0, 0)]))
    assert set(failures.among([0])) == {PlaneKey(z=z) for z in range(n) if z != 1}
    assert not failures.is_suspected(PlaneKey(t=1))
