"""Planes in the direction in which people go are read before they are shown, and nothing waits for them."""

from __future__ import annotations

import pytest
from memory_source import Gate, MemorySource, memory_info, wait_until

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.canvas.canvas_view import View
from ndviewer_light.gui.canvas.view_frames import ViewFrames
from ndviewer_light.gui.canvas.way_of_view import WayOfView
from ndviewer_light.model import PlaneKey, PlaneState

N_Z = 40


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource(memory_info(n_t=1, n_p=1, n_c=1, n_z=N_Z))
    for z in range(N_Z):
        source.write((0, 0, 0, z), z + 1)
    return source


def at(*zs: int) -> list[PlaneKey]:
    return [PlaneKey(z=z) for z in zs]


def test_upcoming_planes_are_read_once_those_in_view_are_there(source):
    gate = Gate()
    source.before_read = lambda key: gate() if key.z == 0 else None
    with Dataset(source) as dataset:
        (plane,) = dataset.planes(at(0), wait=0.0, upcoming=at(1, 2))
        assert plane.state is PlaneState.LOADING
        gate.wait_for_one()
        assert source.reads == at(0), "it is late: nothing else is read meanwhile"
        gate._open.set()
        dataset.planes(at(0), wait=None, upcoming=at(1, 2))
        wait_until(lambda: set(source.reads) == {*at(0, 1, 2)})
        wait_until(lambda: all(plane.pixels is not None for plane in dataset.planes(at(1), wait=0.0)))
        dataset.planes(at(2), wait=None)
        assert len(source.reads) == 3


def test_whoever_goes_elsewhere_does_not_wait_for_what_was_upcoming(source):
    gate, began = Gate(), []
    with Dataset(source) as dataset:
        source.before_read = lambda key: (began.append(key), gate()) if 10 <= key.z < 20 else None
        dataset.planes(at(0), wait=None, upcoming=at(*range(10, 20)))
        wait_until(lambda: len(began) == 4)  # as many as there are threads, that hang
        gate._open.set()
        (plane,) = dataset.planes(at(30), wait=None)
        assert plane.pixels is not None
        wait_until(lambda: not dataset._cache._reading)
        assert len(began) < 10, "those that waited were dropped"


def test_what_goes_on_in_that_direction_is_kept_while_it_is_read(source):
    gate = Gate()
    with Dataset(source) as dataset:
        source.before_read = lambda key: gate() if key.z >= 1 else None
        dataset.planes(at(0), wait=None, upcoming=at(1, 2))
        gate.wait_for_one()
        gate.wait_for_one()
        assert dataset.planes(at(1), wait=0.0, upcoming=at(2, 3))[0].state is PlaneState.LOADING
        gate._open.set()
        assert dataset.planes(at(1), wait=None, upcoming=at(2, 3))[0].pixels is not None
        wait_until(lambda: PlaneKey(z=3) in source.reads)
        assert sorted(source.reads) == at(0, 1, 2, 3)


def test_upcoming_planes_never_take_the_memory_of_those_in_view(source):
    plane = source.stored[PlaneKey()].nbytes
    with Dataset(source, cache_bytes=8 * plane) as dataset:
        dataset.planes(at(0), wait=None, upcoming=at(*range(1, 20)))
        wait_until(lambda: not dataset._cache._reading)
        assert sorted(source.reads) == at(0, 1, 2, 3)


def test_while_a_dataset_grows_its_writer_has_the_disk(source, monkeypatch):
    with Dataset(source) as dataset:
        monkeypatch.setattr(dataset._requests._follower, "is_growing", lambda: True)
        dataset.planes(at(0), wait=None, upcoming=at(1))
        assert source.reads == at(0)
        assert not dataset._cache._reading


@pytest.mark.parametrize(
    ("views", "next_views"),
    [
        ([View(z=4), View(z=5)], []),  # one step may be the only one
        ([View(z=4), View(z=5), View(z=6)], [View(z=7), View(z=8)]),
        ([View(z=4), View(z=5), View(z=6), View(z=6)], [View(z=7), View(z=8)]),  # drawn again
        ([View(z=6), View(z=5), View(z=4)], [View(z=3), View(z=2)]),
        ([View(z=4), View(z=5), View(z=4)], []),
        ([View(z=4), View(z=5), View(z=7)], [View(z=8), View(z=9)]),  # one was left out on the way
        ([View(t=10), View(t=20), View(t=30)], [View(t=40), View(t=50)]),
        ([View(p=3, z=1), View(p=4, z=1), View(p=5, z=1)], [View(p=6, z=1), View(p=7, z=1)]),
        ([View(z=4), View(z=5), View(t=1, z=6)], []),
        ([View(z=4), View(z=5), View(t=1, z=5)], []),
        ([View(z=4), View(z=5), View(z=6, is_volume=True)], []),
    ],
)
def test_where_the_view_goes_next_is_told_by_its_last_two_steps(views, next_views):
    way = WayOfView()
    seen = [way.next_views(view, 2) for view in views]
    assert list(seen[-1]) == next_views


@pytest.mark.parametrize("zs", [range(5), range(N_Z - 1, N_Z - 6, -1)])
def test_going_through_a_stack_reads_each_plane_once_and_before_it_is_shown(source, zs):
    with Dataset(source) as dataset:
        frames = ViewFrames(dataset)
        for n, z in enumerate(zs):
            if n >= 3:
                wait_until(lambda z=z: PlaneKey(z=z) in source.reads)
            frames.read(View(z=z), [0])
            wait_until(lambda z=z: PlaneKey(z=z) in source.reads)  # what is left before that is not read
        wait_until(lambda: not dataset._cache._reading)
        assert len(source.reads) == len(set(source.reads)) == 7


def test_at_the_end_of_an_axis_and_of_a_run_of_a_host_nothing_is_read_ahead(source):
    with Dataset(source, live=True) as dataset:
        frames = ViewFrames(dataset)
        for z in (0, 1, 2):
            frames.read(View(z=z), [0])
        assert sorted(source.reads) == at(0, 1, 2)
    with Dataset(MemorySource(source.info)) as dataset:
        frames = ViewFrames(dataset)
        for z in range(N_Z - 3, N_Z):
            frames.read(View(z=z), [0])
        wait_until(lambda: not dataset._cache._reading)
        assert {key.z for key in dataset._source.reads} == {N_Z - 3, N_Z - 2, N_Z - 1}


@pytest.mark.parametrize("ps", [(3, 2, 1, 0), (0, 1, 2, 3)])
def test_at_the_first_and_the_last_position_there_is_a_picture(ps):
    source = MemorySource(memory_info(n_t=1, n_p=4, n_c=1, n_z=1))
    for p in ps:
        source.write((0, p, 0, 0), p + 1)
    with Dataset(source) as dataset:
        frames = ViewFrames(dataset)
        for p in ps:
            (plane,) = frames.read(View(p=p), [0]).planes.values()
            wait_until(lambda p=p: dataset.planes([PlaneKey(p=p)], wait=None)[0].pixels is not None)
            assert plane.state in (PlaneState.PRESENT, PlaneState.LOADING)
