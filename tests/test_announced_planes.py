"""What writers tell us of planes: every key counts, whatever else is said with it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from memory_source import MemorySource, memory_info

from ndviewer_light.engine.announced_planes import AnnouncedPlanes, key_rows, plane_keys
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.model import PlaneKey, PlaneState

K, OTHER = PlaneKey(0, 0, 0, 0), PlaneKey(1, 2, 1, 0)


class Odd:
    """What raises whatever is asked of it."""

    def __index__(self):
        raise RuntimeError("no number")

    def __hash__(self):
        raise RuntimeError("no hash")

    def __len__(self):
        raise RuntimeError("no length")

    def __repr__(self):
        raise RuntimeError("no name")


ODD = [
    pytest.param((0, None, 0, 0), id="None among indices"),
    pytest.param(("0", 0, 0, 0), id="text"),
    pytest.param((0, 0, "a", 0), id="a letter"),
    pytest.param((0.5, 0, 0, 0), id="a half"),
    pytest.param((0, 3.0, 0, 0), id="a float that is whole"),
    pytest.param((0, 0, 0, float("nan")), id="not a number"),
    pytest.param((0, 0, 0), id="three indices"),
    pytest.param((0, 0, 0, 0, 0), id="five indices"),
    pytest.param((), id="none"),
    pytest.param(None, id="None"),
    pytest.param("0000", id="four letters"),
    pytest.param(7, id="a number"),
    pytest.param(Odd(), id="what raises"),
    pytest.param((0, Odd(), 0, 0), id="what raises among indices"),
    pytest.param((0, [], 0, 0), id="what has no hash"),
    pytest.param(np.array(3.0), id="an array without dimensions"),
]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_key_is_told_from_keys(odd):
    keys, rows, others = plane_keys([K, odd, OTHER])
    assert keys == {K, OTHER}
    assert rows.tolist() == [[*K], [*OTHER]]
    assert len(others) == 1
    assert others[0] is odd


def test_integers_of_every_kind_are_indices():
    said = [(np.int64(1), 2, np.uint8(1), 0), [0, 0, 0, 0], (True, 0, 0, 0)]
    keys, rows, others = plane_keys(said)
    assert keys == {(1, 2, 1, 0), (0, 0, 0, 0), (1, 0, 0, 0)}
    assert rows.tolist() == [[1, 2, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert others == []
    assert plane_keys([(np.int64(1), 2, np.uint8(1), 0)]).rows.tolist() == [[1, 2, 1, 0]]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_key_costs_nobody_else_its_pixels(odd, caplog):
    source = MemorySource()
    for key in (K, OTHER):
        source.write(key, 1)
    with Dataset(source, live=True) as dataset:
        assert [plane.pixels[0, 0] for plane in dataset.planes([K, OTHER], wait=None)] == [1, 1]
        for key in (K, OTHER):
            source.write(key, 2)
        for _ in range(3):
            dataset.notify(*K)
            dataset.mark_written(odd)
            dataset.notify(*OTHER)
            assert dataset.take_changes().in_view
            assert [plane.pixels[0, 0] for plane in dataset.planes([K, OTHER], wait=None)] == [2, 2]
        assert dataset.was_notified(K)
        assert dataset.was_notified(OTHER)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(said) == 1, "in one line, however often"
    assert "which is not a plane (t, p, c, z)" in said[0]


@pytest.mark.parametrize("key", [(0, -1, 0, 0), (2**70, 0, 0, 0), (0, 0, 0, -(2**70))], ids=repr)
def test_indices_that_no_plane_has_cost_nobody_else_its_pixels(key):
    source = MemorySource()
    source.write(K, 1)
    with Dataset(source, live=True) as dataset:
        dataset.planes([K], wait=None)
        source.write(K, 2)
        dataset.notify(*key)
        dataset.notify(*K)
        assert dataset.take_changes().in_view
        assert dataset.planes([K], wait=None)[0].pixels[0, 0] == 2
        assert not dataset.was_notified(PlaneKey(*key))


def test_a_half_is_not_the_plane_it_would_be_rounded_to():
    with Dataset(MemorySource(), live=True) as dataset:
        dataset.mark_written((0.5, 0, 0, 0))
        assert not dataset.was_notified(K)
        assert dataset.planes([K], wait=None)[0].state is PlaneState.PENDING


def test_news_are_told_once_with_one_plane_beyond_what_is_known():
    info = memory_info()
    announced = AnnouncedPlanes(info)
    announced.add(key_rows([K, OTHER, (5, 0, 0, 0)]), {K}, info)
    assert announced.unseen() == {K}
    assert announced.take_news() == ({K}, (5, 0, 0, 0))
    assert announced.take_news() == (set(), None)
    assert announced.unseen() == set()
    assert K in announced
    assert (5, 0, 0, 0) in announced
    assert PlaneKey(0, 1, 0, 0) not in announced


def test_a_burst_about_few_planes_has_each_of_them_once_and_what_is_odd():
    said = [*[K, OTHER] * 300, (0, None, 0, 0), *[K] * 100]
    keys, rows, others = plane_keys(said)
    assert list(keys) == [K, OTHER] and others == [(0, None, 0, 0)]
    assert rows.tolist() == [[*K], [*OTHER]]
    assert plane_keys([K, OTHER] * 300).rows.tolist() == [[*K], [*OTHER]]
    assert plane_keys([(np.int64(0), 0, 0, 0)] * 300).keys == {(0, 0, 0, 0)}
    assert plane_keys([(0.0, 0, 0, 0)] * 300).keys == set()
