"""The stack beside the picture, below the widget: what is read for it, what is kept, and when it is stale."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import SHAPE, TIMEOUT, Gate, MemorySource, in_thread, memory_info, wait_until

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.stack_beside import grid_of
from ndviewer_light.engine.stack_resolution import resolution_text, stack_resolution
from ndviewer_light.model import ImageInfo, Level, PlaneKey, PlaneState, Scale, Sizes

N_Z = 20


def values(c, z):
    return (np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE) * (7 * z + 3 + c)) % 60_000


@pytest.fixture
def source():
    source = MemorySource(memory_info(n_z=N_Z))
    for c in range(2):
        source.stored.update({PlaneKey(c=c, z=z): values(c, z) for z in range(N_Z)})
    return source


def whole(dataset, channels=(0, 1), wait=TIMEOUT):
    """The stack once nothing of it is held back."""
    grid = dataset.stack_grid(0, 0, len(channels))
    while True:
        seen = dataset.stack(grid, channels, wait)
        if not seen.is_held_back:
            return seen


def states(seen, c=0):
    return {state: n for state, n in seen.counts[c].items() if n}


def test_a_stack_is_read_once_whatever_channels_are_shown_of_it(source):
    with Dataset(source) as dataset:
        seen = whole(dataset)
        assert seen.grid.is_whole
        assert (seen.n_read, seen.n) == (2 * N_Z, 2 * N_Z)
        for c in range(2):
            np.testing.assert_array_equal(seen.pixels[c], [values(c, z) for z in range(N_Z)])
            assert states(seen, c) == {PlaneState.PRESENT: N_Z}
        for channels in ((0,), (0, 1), (1,)):
            assert list(whole(dataset, channels).pixels) == list(channels)
        assert sorted(source.reads) == sorted(source.stored)


def test_planes_that_are_written_later_or_again_cost_one_read_each(source):
    late, bad = PlaneKey(c=1, z=7), PlaneKey(c=0, z=3)
    pixels = source.stored.pop(late)
    source.errors[bad] = OSError("disk error")
    with Dataset(source, live=True) as dataset:
        seen = whole(dataset)
        assert states(seen, 0) == {PlaneState.PRESENT: N_Z - 1, PlaneState.UNREADABLE: 1}
        assert states(seen, 1) == {PlaneState.PRESENT: N_Z - 1, PlaneState.PENDING: 1}
        assert "disk error" in seen.worst[0].reason
        assert not seen.pixels[1][7].any()
        source.reads.clear()
        source.stored[late] = pixels
        dataset.mark_written(late)
        assert not dataset.take_changes().in_view
        assert dataset.stack_has_changed()
        assert not dataset.stack_has_changed()
        assert states(whole(dataset), 1) == {PlaneState.PRESENT: N_Z}
        del source.errors[bad]
        dataset.mark_written(bad)
        source.write((0, 0, 1, 2), 59_999)
        dataset.mark_written((0, 0, 1, 2))
        seen = whole(dataset)
        assert (seen.pixels[1][2] == 59_999).all()
        np.testing.assert_array_equal(seen.pixels[0][3], values(0, 3))
        assert set(source.reads) == {late, bad, PlaneKey(c=1, z=2)}


def test_a_plane_written_while_it_is_read_is_read_again(source):
    gate, key = Gate(), PlaneKey(z=5)
    source.after_sample = lambda each: gate() if each == key else None
    with Dataset(source, live=True) as dataset:
        reading = in_thread(whole, dataset)
        gate.wait_for_one()
        source.write(key, 50_000)
        dataset.mark_written(key)
        gate.open()
        reading.result(TIMEOUT)
        wait_until(lambda: (whole(dataset).pixels[0][5] == 50_000).all())


def test_picture_and_stack_drop_no_reads_of_each_other(source):
    """The picture is asked for while planes of the stack wait, and the other way round."""
    gate = Gate()
    source.before_read = lambda key: gate()
    picture = [PlaneKey(t=1, z=z) for z in range(2)]
    for key in picture:
        source.stored[key] = values(0, key.z)
    with Dataset(source, workers=1) as dataset:
        grid = dataset.stack_grid(0, 0, 1)
        seen = dataset.stack(grid, (0,), wait=0)
        assert states(seen) == {PlaneState.LOADING: N_Z}
        assert {plane.state for plane in dataset.planes(picture, wait=0)} == {PlaneState.LOADING}
        dataset.stack(grid, (0,), wait=0)
        gate.open()
        wait_until(lambda: all(p.state is PlaneState.PRESENT for p in dataset.planes(picture, wait=0)))
        wait_until(lambda: dataset.stack(grid, (0,), wait=0).counts[0][PlaneState.PRESENT] == N_Z)
        assert sorted(source.reads) == sorted([*(PlaneKey(z=z) for z in range(N_Z)), *picture])


def test_what_arrives_late_counts_as_a_change_beside_the_picture(source):
    gate = Gate()
    source.before_read = lambda key: gate()
    with Dataset(source) as dataset:
        seen = dataset.stack(dataset.stack_grid(0, 0, 1), (0,), wait=0)
        assert seen.n_read == 0
        gate.open()
        wait_until(lambda: not dataset.take_changes().in_view and dataset.stack_has_changed())
        assert whole(dataset, (0,)).n_read == N_Z


def test_a_stack_too_large_is_kept_in_steps_and_leaves_room_for_planes(source):
    plane = values(0, 0).nbytes
    with Dataset(source, cache_bytes=2 * N_Z * plane) as dataset:  # half of it for the stack of two channels
        seen = whole(dataset)
        assert seen.grid.step == 2
        np.testing.assert_array_equal(seen.pixels[1], [values(1, z)[::2, ::2] for z in range(N_Z)])
        nbytes = sum(each.nbytes for each in seen.pixels.values())
        assert nbytes <= N_Z * plane
        assert dataset._cache.max_bytes == 2 * N_Z * plane - nbytes
        assert dataset._cache.nbytes <= dataset._cache.max_bytes
        source.reads.clear()
        whole(dataset)
        assert not source.reads  # although the cache does not hold them all
        dataset.leave_stack()
        assert dataset._cache.max_bytes == 2 * N_Z * plane
        assert dataset._beside.view.shown.keys == ()


def test_the_level_is_the_finest_that_fits_and_is_said():
    sizes = [Sizes(64, 1000, 2000), Sizes(64, 500, 1000), Sizes(32, 250, 500)]
    scales = [Scale(1, 1, 1), Scale(1, 2, 2), Scale(2, 4, 4)]
    levels = [Level(*each) for each in zip(sizes, scales, strict=True)]
    for most, expected in ((10**9, (0, 1)), (10**8, (1, 1)), (10**7, (2, 1)), (10**6, (2, 3))):
        found = stack_resolution(levels, 2, most, 4096)
        assert (found.number, found.step) == expected
    image = ImageInfo((), 1, 64, 1000, 2000, np.dtype(np.uint16), 0.5, 0.5)
    grid = grid_of(image, levels, 0, 0, 1, 10**6)
    assert grid.shape == (32, 84, 167)
    assert grid.spans == (2, 12, 12)
    assert str(grid) == "level 3 of 3, 167 × 84 × 32"
    assert grid.voxel_at(63, 999, 1999) == (31, 83, 166)
    assert grid.voxel_at(3, 12, 7) == (1, 1, 0)  # 8 to 19 are nearest to 12 to 15, which are kept
    assert resolution_text(0, 1, (5, 6, 7)) == "7 × 6 × 5"
