"""The one door to planes: what a view gets, what is a change, what is tried again, and when."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from memory_source import (
    SHAPE,
    TIMEOUT,
    Clock,
    Gate,
    MemorySource,
    can_be_taken,
    in_thread,
    memory_info,
    wait_until,
)

from ndviewer_light.engine.dataset import Changes, Dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    MetadataError,
    PlaneNotStoredError,
    ReadTimeoutError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey, PlaneState

K = PlaneKey(0, 0, 0, 0)
OTHER = PlaneKey(0, 1, 0, 0)
NOTHING = Changes(in_view=False, info=False)
PLANE_BYTES = SHAPE[0] * SHAPE[1] * 2


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.set(monkeypatch)
    return clock


@pytest.fixture
def source():
    return MemorySource()


@pytest.fixture
def make(source):
    made = []

    def make_dataset(live=True, **options):
        made.append(Dataset(source, live=live, **options))
        return made[-1]

    yield make_dataset
    for gate in (source.before_read, source.after_sample):
        if isinstance(gate, Gate):
            gate.open()
    for dataset in made:
        dataset.close()


def shown(dataset, *keys, wait=None):
    """What a view of `keys` shows: a pixel value where there are pixels, else the state."""
    planes = dataset.planes(keys or [K], wait=wait)
    return [int(plane.pixels[0, 0]) if plane.state is PlaneState.PRESENT else plane.state for plane in planes]


def wait_for_change(dataset) -> Changes:
    """The next change that is one; whoever reads late is given the time."""
    changes = []
    wait_until(lambda: changes.append(dataset.take_changes()) or changes[-1] != NOTHING)
    return changes[-1]


# ---- one plane -------------------------------------------------------------------------------------


def test_plane_returns_the_stored_pixels_read_only(make, source):
    source.stored[K] = np.arange(80, dtype=np.uint16).reshape(SHAPE)
    pixels = make().plane(*K)
    np.testing.assert_array_equal(pixels, source.stored[K])
    assert pixels.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


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


def test_a_plane_notified_but_not_stored_is_its_fill_value_and_never_kept(make, source):
    dataset = make()
    dataset.notify(*K)
    [plane] = dataset.planes([K])
    assert plane.state is PlaneState.FILLED
    assert plane.reason == "nothing stored, shown as the fill value 0"
    assert plane.pixels.shape == SHAPE
    assert not plane.pixels.any()
    np.testing.assert_array_equal(dataset.plane(*K), plane.pixels)
    assert dataset._cache.nbytes == 0
    source.write(K, 7)
    assert dataset.plane(*K)[0, 0] == 7, "no notification needed: nothing was kept"


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_black_plane_has_the_dtype_of_the_others(make, source, dtype):
    source.info = memory_info(dtype=np.dtype(dtype))
    dataset = make()
    dataset.notify(*K)
    [plane] = dataset.planes([K])
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


# ---- failing planes --------------------------------------------------------------------------------


def redraws(dataset, clock, source, seconds: float, step: float = 1 / 32) -> list[float]:
    """Let a GUI poll for `seconds` of the clock; the times at which the source was asked."""
    asked, began = [], clock.now
    for _ in range(int(seconds / step)):
        clock.now += step
        if dataset.take_changes().in_view:
            n = len(source.reads)
            shown(dataset)
            asked += [clock.now - began] * (len(source.reads) - n)
    return asked


@pytest.mark.parametrize(
    ("error", "state"),
    [
        pytest.param(PlaneNotStoredError("not yet"), PlaneState.PENDING, id="not written yet"),
        pytest.param(CorruptDataError("half a chunk"), PlaneState.UNREADABLE, id="half written"),
        pytest.param(OSError(5, "Input/output error"), PlaneState.UNREADABLE, id="disk gone"),
        pytest.param(UnsupportedError("codec"), PlaneState.UNREADABLE, id="even what looks permanent"),
    ],
)
def test_a_failing_plane_in_view_of_a_live_dataset_is_retried_with_back_off_for_ever(
    make, source, clock, error, state
):
    source.errors[K] = error
    dataset = make()
    assert shown(dataset) == [state]
    asked = redraws(dataset, clock, source, 60)
    gaps = np.diff([0.0, *asked])
    assert len(asked) == 12, "0.1, 0.25, 0.5, 1, 2, 4, then every 8 s"
    assert gaps[0] >= 0.1
    assert (np.diff(gaps) > -1 / 32).all(), "never faster again"
    assert 8 <= gaps[-1] < 8.1, "and never given up"
    source.errors.clear()
    source.write(K, 5)
    redraws(dataset, clock, source, 9)
    assert shown(dataset) == [5]
    assert redraws(dataset, clock, source, 60) == [], "healed: nothing left to try"


TIMED_OUT = ReadTimeoutError("reading the plane timed out after 60 s")


@pytest.mark.parametrize("live", [True, False])
def test_a_plane_that_timed_out_is_tried_again_after_ever_longer_pauses(make, source, clock, live):
    source.errors[K] = TIMED_OUT
    dataset = make(live=live)
    assert shown(dataset) == [PlaneState.UNREADABLE]
    gaps = np.diff([0.0, *redraws(dataset, clock, source, 200)])
    np.testing.assert_allclose(gaps, [8, 16, 32, 64, 64], atol=0.1)
    source.errors.clear()
    source.write(K, 5)
    redraws(dataset, clock, source, 65)
    assert shown(dataset) == [5]


def test_while_a_plane_that_timed_out_is_read_again_it_shows_that_it_did(make, source, clock):
    source.errors[K] = TIMED_OUT
    dataset = make()
    shown(dataset)
    source.before_read, n_reads = Gate(), len(source.reads)
    clock.now += 9
    assert dataset.take_changes().in_view
    for _ in range(2):  # as often as it is drawn
        [plane] = dataset.planes([K], wait=0)
        assert (plane.state, plane.reason) == (PlaneState.UNREADABLE, str(TIMED_OUT))
    source.before_read.wait_for_one()
    assert dataset.state(K) is PlaneState.UNREADABLE
    assert len(source.reads) == n_reads + 1
    source.errors.clear()
    source.write(K, 5)
    source.before_read.open()
    assert wait_for_change(dataset).in_view
    assert shown(dataset) == [5]


def test_any_other_plane_that_is_read_again_is_loading(make, source, clock):
    source.errors[K] = CorruptDataError("half a chunk")
    dataset = make()
    shown(dataset)
    source.before_read = Gate()
    clock.now += 9
    dataset.take_changes()
    assert shown(dataset, wait=0) == [PlaneState.LOADING]
    assert dataset.state(K) is PlaneState.LOADING


def test_a_plane_that_timed_out_is_loading_once_it_was_written(make, source, clock):
    source.errors[K] = TIMED_OUT
    dataset = make()
    shown(dataset)
    source.before_read = Gate()
    dataset.notify(*K)
    assert shown(dataset, wait=0) == [PlaneState.LOADING]


def test_drawing_often_does_not_read_a_failing_plane_more_often(make, source, clock):
    source.errors[K] = CorruptDataError("half a chunk")
    dataset = make()
    for _ in range(100):
        [plane] = dataset.planes([K], wait=None)
        assert plane.reason == "half a chunk"
    assert source.reads == [K]


def test_a_notification_ends_the_back_off_at_once(make, source, clock):
    dataset = make()
    shown(dataset)
    redraws(dataset, clock, source, 30)
    source.write(K, 1)
    dataset.notify(*K)
    assert dataset.take_changes().in_view
    assert shown(dataset) == [1]


def test_a_notified_plane_that_fails_again_begins_its_back_off_anew(make, source, clock):
    source.errors[K] = CorruptDataError("half a chunk")
    dataset = make()
    shown(dataset)
    redraws(dataset, clock, source, 30)
    dataset.notify(*K)
    dataset.take_changes()
    shown(dataset)
    assert redraws(dataset, clock, source, 0.5)[0] <= 0.2


def test_a_late_failure_is_a_change_with_its_reason(make, source):
    source.errors[K] = CorruptDataError("half a chunk")
    source.before_read = Gate()
    dataset = make()
    shown(dataset, wait=0)
    source.before_read.open()
    assert wait_for_change(dataset).in_view
    [plane] = dataset.planes([K])
    assert (plane.state, plane.reason) == (PlaneState.UNREADABLE, "half a chunk")
    assert dataset.state(K) is PlaneState.UNREADABLE


@pytest.mark.parametrize(
    ("error", "again"),
    [
        pytest.param(CorruptDataError("half a chunk"), True, id="may pass"),
        pytest.param(UnsupportedError("codec"), False, id="will not change"),
        pytest.param(MetadataError("broken"), False, id="broken for good"),
    ],
)
def test_a_dataset_nobody_writes_is_only_retried_where_that_can_help(make, source, clock, error, again):
    source.errors[K] = error
    dataset = make(live=False)
    assert shown(dataset) == [PlaneState.UNREADABLE]
    assert bool(redraws(dataset, clock, source, 10)) is again


def test_a_plane_that_left_the_view_is_not_tried_again(make, source, clock):
    source.errors[K] = CorruptDataError("half a chunk")
    source.write(OTHER, 1)
    dataset = make()
    shown(dataset, K)
    shown(dataset, OTHER)
    clock.now += 100
    assert dataset.take_changes() == NOTHING
    assert source.reads.count(K) == 1


def test_a_failing_plane_is_said_once_in_the_log_with_its_key(make, source, clock, caplog):
    source.errors[K] = CorruptDataError("chunk c/0/0 is damaged")
    dataset = make()
    shown(dataset)
    redraws(dataset, clock, source, 30)
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert messages == ["plane (0, 0, 0, 0): chunk c/0/0 is damaged"]


def test_the_rest_of_a_view_with_a_failing_plane_is_shown(make, source):
    source.errors[K] = CorruptDataError("half a chunk")
    source.write(OTHER, 2)
    assert shown(make(), K, OTHER) == [PlaneState.UNREADABLE, 2]


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


def wait_until_nobody_looks(dataset) -> None:
    for thread in threading.enumerate():
        if thread.name == "ndviewer-look":
            thread.join(TIMEOUT)


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
