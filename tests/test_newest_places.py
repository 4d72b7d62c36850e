"""The newest place of a run: which one began last, of those that are complete and wanted."""

from __future__ import annotations

import random

import pytest
from memory_source import MemorySource, memory_info

from ndviewer_light.engine.announced_planes import AnnouncedPlanes, key_rows
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.newest_places import KEPT_PLACES, NewestWanted

INFO = memory_info(n_t=1000, n_p=4, n_c=2, n_z=3)
BOTH = (0, 1)


def announced(*keys):
    planes = AnnouncedPlanes(INFO)
    tell(planes, *keys)
    return planes


def tell(planes, *keys):
    planes.add(key_rows(keys), set(), INFO)


def newest(planes, t=None, p=None, z=0, channels=BOTH, info=INFO, **how):
    return planes.newest(NewestWanted(t, p, z, channels, **how), info)


def test_a_place_is_newest_once_all_its_channels_are_announced():
    planes = announced((0, 0, 0, 0))
    assert newest(planes) is None
    tell(planes, (0, 0, 1, 0))
    assert newest(planes) == (0, 0, 0)
    tell(planes, (0, 1, 0, 0))
    assert newest(planes) == (0, 0, 0)
    assert newest(planes, every_channel=False) == (0, 1, 0)
    assert newest(planes, channels=(0,)) == (0, 1, 0), "a hidden channel is not waited for"


def test_only_places_at_the_pinned_indices_count():
    planes = announced(*((t, p, c, z) for t in range(3) for p in range(4) for z in range(3) for c in BOTH))
    assert newest(planes) == (2, 3, 0)
    assert newest(planes, z=None) == (2, 3, 2)
    assert newest(planes, p=1) == (2, 1, 0)
    assert newest(planes, t=1) == (1, 3, 0)
    assert newest(planes, t=0, p=2, z=None) == (0, 2, 2)
    assert newest(planes, t=7) is None


@pytest.mark.parametrize("order", ["tp", "pt"])
def test_the_order_of_the_run_is_that_of_its_beginnings(order):
    planes = announced()
    for i in range(3):
        for k in range(3):
            t, p = (i, k) if order == "tp" else (k, i)
            tell(planes, (t, p, 0, 0), (t, p, 1, 0))
            assert newest(planes) == (t, p, 0)


def test_a_straggler_or_a_plane_written_again_does_not_lead_back():
    planes = announced((0, 0, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0))
    assert newest(planes) == (0, 1, 0)
    tell(planes, (0, 0, 1, 0))
    assert newest(planes) == (0, 1, 0)
    for _ in range(2):
        tell(planes, (0, 0, 0, 0), (0, 0, 1, 0))
        assert newest(planes) == (0, 1, 0)


def test_one_channel_after_the_other_is_followed_as_places_are_completed():
    planes = announced(*((0, p, 0, 0) for p in range(4)))
    assert newest(planes) is None
    for p in range(4):
        tell(planes, (0, p, 1, 0))
        assert newest(planes) == (0, p, 0)


def test_a_whole_stack_is_waited_for_where_it_is_shown():
    planes = announced((0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 0, 2))
    assert newest(planes, whole_stack=True) is None
    tell(planes, (0, 0, 1, 2))
    assert newest(planes, z=1, whole_stack=True)[:2] == (0, 0)


def test_places_beyond_the_known_sizes_wait_until_they_are_known():
    small, grown = memory_info(n_t=1), memory_info(n_t=6)
    planes = AnnouncedPlanes(small)
    planes.add(key_rows([(0, 0, 0, 0), (5, 0, 0, 0)]), set(), small)
    assert newest(planes, channels=(0,), info=small) == (0, 0, 0)
    assert newest(planes, channels=(0,), info=grown) == (5, 0, 0)


def test_another_dataset_starts_from_nothing():
    planes = announced((3, 0, 0, 0))
    planes.start_over(INFO)
    assert newest(planes, channels=(0,)) is None


def test_long_runs_are_followed_with_bounded_memory():
    info = memory_info(n_t=4 * KEPT_PLACES, n_p=1, n_c=1, n_z=1)
    planes = AnnouncedPlanes(info)
    for first in range(0, info.n_t, 1000):
        ts = range(first, min(first + 1000, info.n_t))
        planes.add(key_rows([(t, 0, 0, 0) for t in ts]), set(), info)
        assert newest(planes, channels=(0,), info=info) == (ts[-1], 0, 0)
    assert len(planes._places._begun) <= 2 * KEPT_PLACES


def test_a_dataset_keeps_the_order_of_its_notifications():
    order = [(t, p) for t in range(20) for p in range(3)]
    random.Random(3).shuffle(order)
    with Dataset(MemorySource(memory_info(n_t=20)), live=True) as dataset:
        wanted = NewestWanted(None, None, 0, BOTH)
        assert dataset.newest(wanted) is None
        for t, p in order:
            for c in BOTH:
                dataset.notify(t, p, c, 0)
                dataset.mark_written(("no", "plane"))
        assert dataset.newest(wanted) == (*order[-1], 0)
        dataset.notify(*order[0], 0, 0)
        assert dataset.newest(wanted) == (*order[-1], 0)
