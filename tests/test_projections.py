"""Projections of stacks below the widget: what is in them, what is read for them, and when they are stale."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import SHAPE, TIMEOUT, Gate, MemorySource, memory_info, wait_until

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.projections import PROJECTIONS, RunningProjection, StackProjection
from ndviewer_light.model import PlaneKey, PlaneState

N_Z = 20
STACK = [PlaneKey(z=z) for z in range(N_Z)]


def values(z):
    return (np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE) * (7 * z + 3)) % 60_000


@pytest.fixture
def source():
    source = MemorySource(memory_info(n_z=N_Z))
    source.stored.update({key: values(key.z) for key in STACK})
    return source


def whole(dataset, stack=STACK, how="max", wait=TIMEOUT):
    """The projection once nothing of it is held back."""
    while True:
        (found,) = dataset.projections([stack], how, wait=wait)
        if not found.is_held_back:
            return found


@pytest.mark.parametrize("how", PROJECTIONS)
def test_a_projection_is_that_of_numpy_and_every_plane_is_read_once(source, how):
    with Dataset(source) as dataset:
        found = whole(dataset, how=how)
        assert whole(dataset, how=how).plane.pixels is found.plane.pixels  # unchanged: nothing to upload
    expected = getattr(np, how)(np.stack([values(z) for z in range(N_Z)]), axis=0)
    np.testing.assert_allclose(found.plane.pixels, expected, rtol=1e-6)
    assert found.plane.pixels.dtype == {"mean": np.float32, "sum": np.uint64}.get(how, np.uint16)
    assert found.plane.state is PlaneState.PRESENT
    assert (found.n, found.counts) == (N_Z, {PlaneState.PRESENT: N_Z})
    assert sorted(source.reads) == STACK


@pytest.mark.parametrize(
    ("text", "planes"),
    [("max", range(20)), ("mean:2-11", range(2, 12)), ("sum:11-2", range(2, 12)), ("min:5-", range(5, 20))],
)
def test_a_projection_as_text_says_which_planes(text, planes):
    projection = StackProjection.of_text(text)
    assert projection.planes_of(20) == planes
    assert StackProjection.of_text(str(projection)) == projection
    assert projection.planes_of(3)[-1] == 2  # of a smaller stack, what there is


@pytest.mark.parametrize("text", ["", "median", "max:", "max:-3", "max:1", "max:1-2-3", "max:1e3-4"])
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match="z must be"):
        StackProjection.of_text(text)


def test_planes_of_another_size_are_no_part_of_a_stack():
    running = RunningProjection("max")
    running.add(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        running.add(np.zeros((3, 2)))


def test_a_plane_that_is_written_later_costs_one_read_and_one_written_again_counts_anew(source):
    late = source.stored.pop(STACK[7])
    source.errors[STACK[3]] = OSError("disk error")
    with Dataset(source, live=True) as dataset:
        found = whole(dataset)
        assert found.counts == {PlaneState.PRESENT: 18, PlaneState.PENDING: 1, PlaneState.UNREADABLE: 1}
        assert found.n == 18
        assert found.plane.state is PlaneState.UNREADABLE
        source.reads.clear()
        source.stored[STACK[7]] = late
        dataset.mark_written(STACK[7])
        assert dataset.take_changes().in_view
        wait_until(lambda: whole(dataset).n == 19)
        assert set(source.reads) <= {STACK[7], STACK[3]}
        del source.errors[STACK[3]]
        source.write(STACK[7], 0)
        source.write(STACK[3], 59_999)
        dataset.mark_written(STACK[7])
        dataset.mark_written(STACK[3])
        wait_until(lambda: whole(dataset).n == N_Z)
        assert (whole(dataset).plane.pixels == 59_999).all()
        source.write(STACK[3], 0)
        dataset.mark_written(STACK[3])
        expected = np.max([source.stored[key] for key in STACK], axis=0)
        np.testing.assert_array_equal(whole(dataset).plane.pixels, expected)


def test_a_plane_written_while_it_is_read_is_never_in_it_as_it_was(source):
    gate = Gate()
    source.after_sample = lambda key: gate() if key == STACK[0] else None
    with Dataset(source, live=True) as dataset:
        found = whole(dataset, STACK[:2], wait=0)
        assert found.plane.state is PlaneState.LOADING
        gate.wait_for_one()
        source.write(STACK[0], 50_000)
        dataset.mark_written(STACK[0])
        gate.open()
        wait_until(lambda: whole(dataset, STACK[:2]).n == 2)
        assert (whole(dataset, STACK[:2]).plane.pixels >= 50_000).all()


def test_a_longer_range_reads_what_it_adds_and_what_is_out_of_view_is_not_read(source):
    with Dataset(source, cache_bytes=4 * values(0).nbytes, workers=1) as dataset:
        whole(dataset, STACK[:10])
        assert whole(dataset, STACK[:15]).n == 15
        assert sorted(source.reads) == STACK[:15]  # although the cache holds four planes
        expected = np.max([values(z) for z in range(12)], axis=0)
        np.testing.assert_array_equal(whole(dataset, STACK[:12]).plane.pixels, expected)
        gate = Gate()
        source.before_read = gate
        source.reads.clear()
        other = [key._replace(c=1) for key in STACK]
        (so_far,) = dataset.projections([STACK[5:]], "mean", wait=0)
        assert so_far.plane.state is PlaneState.LOADING
        gate.wait_for_one()
        dataset.planes(other[:1], wait=0)  # the view moves on
        gate.open()
        dataset.planes(other[:1], wait=TIMEOUT)
        assert len([key for key in source.reads if key.c == 0]) == 1


def test_what_is_kept_of_projections_is_bounded_and_leaves_the_cache_less(source):
    plane = values(0).nbytes
    source.stored.update({key._replace(c=1): values(key.z) for key in STACK})
    with Dataset(source, cache_bytes=16 * plane) as dataset:
        for first in range(12):
            whole(dataset, STACK[first : first + 2])
        kept = sum(stack.running.nbytes for stack in dataset._stacks.projections._stacks.values())
        assert kept == 4 * plane
        assert dataset._cache.max_bytes == 12 * plane
        assert dataset._cache.nbytes <= 12 * plane
