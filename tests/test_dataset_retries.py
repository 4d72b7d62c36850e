"""Planes that cannot be read: what is tried again, and when."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from memory_source import (
    SHAPE,
    Gate,
    MemorySource,
    wait_until,
)

from ndviewer_light.errors import (
    CorruptDataError,
    MetadataError,
    PlaneNotStoredError,
    ReadTimeoutError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneState
from tests.datasets_in_memory import NOTHING, OTHER, K, making_datasets, set_clock, shown, wait_for_change


@pytest.fixture
def clock(monkeypatch):
    return set_clock(monkeypatch)


@pytest.fixture
def source():
    return MemorySource()


@pytest.fixture
def make(source):
    yield from making_datasets(source)


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
        pytest.param(CorruptDataError("half a chunk"), PlaneState.PENDING, id="half written"),
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


HALF = pytest.mark.parametrize(
    "error",
    [CorruptDataError("half a chunk"), MetadataError("zarr.json is empty")],
    ids=["chunk", "metadata"],
)


def warnings_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@HALF
def test_what_is_written_in_parts_during_a_run_is_never_announced_as_damaged(
    make, source, clock, caplog, error
):
    dataset = make()
    shown(dataset)
    source.errors[K] = error
    dataset.notify(*K)
    dataset.take_changes()
    assert shown(dataset) == [PlaneState.PENDING]
    assert redraws(dataset, clock, source, 1.5)
    assert shown(dataset) == [PlaneState.PENDING]
    source.errors.clear()
    source.write(K, 5)
    redraws(dataset, clock, source, 2)
    assert shown(dataset) == [5]
    assert warnings_in(caplog) == [] and dataset.report().count(PlaneState.UNREADABLE) == 0


@HALF
def test_what_stays_damaged_during_a_run_is_said_to_be_within_seconds_wherever_one_looks_from(
    make, source, clock, caplog, error
):
    source.errors[K] = error
    source.write(OTHER, 2)
    dataset = make()
    assert shown(dataset) == [PlaneState.PENDING]
    clock.now += 1
    assert shown(dataset, OTHER) == [2]  # going away and back does not begin anew
    assert [plane.state for plane in dataset.thumbnails([K])] == [PlaneState.PENDING]
    clock.now += 1
    assert [plane.state for plane in dataset.thumbnails([K])] == [PlaneState.UNREADABLE]
    assert shown(dataset) == [PlaneState.UNREADABLE]
    assert warnings_in(caplog) == [f"plane (0, 0, 0, 0): {error}"]
    assert dataset.report().reasons == {K: str(error)}


@HALF
def test_after_the_end_of_a_run_what_is_read_once_is_damaged_and_what_is_in_view_a_moment_later(
    make, source, clock, error
):
    source.errors[K] = error
    dataset = make()
    shown(dataset)
    dataset.end()  # its writer may lag behind
    assert shown(dataset) == [PlaneState.PENDING]
    redraws(dataset, clock, source, 5)
    assert shown(dataset) == [PlaneState.UNREADABLE]
    dataset.refresh()
    assert dataset.report(read=True).reasons == {K: str(error)}


def test_what_was_announced_and_is_not_stored_is_awaited_a_moment_before_it_is_the_fill_value(
    make, source, clock
):
    dataset = make()
    dataset.notify(*K)
    dataset.take_changes()
    assert shown(dataset) == [PlaneState.PENDING]
    redraws(dataset, clock, source, 5)
    assert shown(dataset) == [PlaneState.FILLED]
    dataset.notify(*K)  # written again
    dataset.take_changes()
    assert shown(dataset) == [PlaneState.PENDING]


def test_a_plane_that_is_read_while_its_notification_is_applied_is_tried_again_as_well(
    make, source, clock, monkeypatch
):
    dataset = make()
    assert shown(dataset) == [PlaneState.PENDING]
    announced = dataset._announced
    add = announced.add

    def add_and_draw(*given):
        """As the window does, which looks for news in a thread of its own."""
        monkeypatch.setattr(announced, "add", add)
        add(*given)
        assert shown(dataset) == [PlaneState.PENDING]

    monkeypatch.setattr(announced, "add", add_and_draw)
    dataset.notify(*K)
    dataset.take_changes()
    redraws(dataset, clock, source, 12)
    assert shown(dataset) == [PlaneState.FILLED]


def test_a_read_for_which_several_views_waited_fails_once(make, source, clock):
    error = PlaneNotStoredError("nothing is stored")
    error.is_fill_value, error.fill_value, error.plane_shape = True, np.uint16(0), SHAPE
    source.errors[K] = error
    dataset = make()
    dataset.notify(*K)
    dataset.take_changes()
    gate = Gate()
    source.before_read = gate
    for _ in range(3):
        assert dataset.planes([K], wait=0.0)[0].state is PlaneState.LOADING
    gate.wait_for_one()
    gate._open.set()
    wait_until(lambda: shown(dataset) == [PlaneState.PENDING])
    assert [round(at) for at in redraws(dataset, clock, source, 5)] == [2], "not after eight"
    assert shown(dataset) == [PlaneState.FILLED]


@pytest.mark.parametrize("until", [0.05, 0.2, 0.5, 1.0, 1.5, 4.0])
def test_what_becomes_the_fill_value_once_later_planes_are_stored_is_shown_as_such(
    make, source, clock, until
):
    """Until then it has been tried again several times, which does not count."""
    dataset = make()
    dataset.notify(*K)
    dataset.take_changes()
    source.errors[K] = PlaneNotStoredError("not written yet")
    assert shown(dataset) == [PlaneState.PENDING]
    redraws(dataset, clock, source, until)
    error = PlaneNotStoredError("later ones are stored")
    error.is_fill_value, error.fill_value, error.plane_shape = True, np.uint16(0), SHAPE
    source.errors[K] = error
    drawn = []
    for _ in range(20 * 32):
        clock.now += 1 / 32
        if dataset.take_changes().in_view:
            drawn += shown(dataset)
    assert drawn[-1] is PlaneState.FILLED, "without being asked for again"
    assert len(drawn) <= 8, "and then it is final"


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
        assert plane.reason == "being written (half a chunk)"
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
    dataset = make(live=False)
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
    assert shown(make(live=False), K, OTHER) == [PlaneState.UNREADABLE, 2]
