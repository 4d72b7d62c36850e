"""MemoryBoundedLRUCache: what hosts know it by."""

from __future__ import annotations

import random
import sys

import pytest
from memory_source import TIMEOUT, in_thread
from written_planes import PLANE_BYTES, bytes_retained, plane, value_of

from ndviewer_light.engine.memory_bounded_lru import MemoryBoundedLRUCache
from ndviewer_light.model import PlaneKey


def test_lru_returns_the_very_array_it_was_given():
    lru, array = MemoryBoundedLRUCache(1000), plane()
    lru.put("a", array)
    assert lru.get("a") is array
    assert "a" in lru
    assert len(lru) == 1


def test_lru_knows_nothing_of_a_key_never_put():
    lru = MemoryBoundedLRUCache(1000)
    assert lru.get("a") is None
    assert "a" not in lru


@pytest.mark.parametrize("key", ["text", ("zarr", 0, 1, 2, "c"), 7, PlaneKey(1, 2, 3, 4)], ids=str)
def test_lru_takes_any_hashable_key(key):
    lru = MemoryBoundedLRUCache(1000)
    lru.put(key, plane(3))
    assert value_of(lru.get(key)) == 3


def test_lru_evicts_what_was_used_least_recently():
    lru = MemoryBoundedLRUCache(3 * PLANE_BYTES)
    for key in "abc":
        lru.put(key, plane())
    lru.get("a")
    lru.put("d", plane())
    assert [key in lru for key in "abcd"] == [True, False, True, True]


def test_lru_evicts_as_many_as_a_large_array_needs():
    lru = MemoryBoundedLRUCache(4 * PLANE_BYTES)
    for key in "abcd":
        lru.put(key, plane())
    lru.put("large", plane(nbytes=3 * PLANE_BYTES))
    assert lru.keys() == ["d", "large"]


def test_lru_keeps_an_array_exactly_as_large_as_the_bound():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("a", plane())
    assert "a" in lru


def test_lru_refuses_an_array_larger_than_the_bound_silently():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("small", plane())
    lru.put("large", plane(nbytes=PLANE_BYTES + 1))
    assert lru.keys() == ["small"]
    assert lru._current_memory == PLANE_BYTES


def test_lru_forgets_the_old_array_when_its_replacement_is_too_large():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("a", plane(1))
    lru.put("a", plane(2, nbytes=PLANE_BYTES + 1))
    assert lru.get("a") is None, "the old array is out of date"


def test_lru_replaces_and_accounts_anew():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane(1, nbytes=300))
    lru.put("a", plane(2, nbytes=200))
    assert value_of(lru.get("a")) == 2
    assert (len(lru), lru._current_memory) == (1, 200)


def test_lru_invalidate_says_whether_there_was_something():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane())
    assert lru.invalidate("a") is True
    assert lru.invalidate("a") is False
    assert (len(lru), lru._current_memory) == (0, 0)


def test_lru_clear_forgets_everything():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane())
    lru.put("b", plane())
    lru.clear()
    assert (len(lru), lru._current_memory, lru.get("a")) == (0, 0, None)


def test_lru_is_bounded_and_accounts_right_under_concurrent_use():
    lru, over, threads = MemoryBoundedLRUCache(2000), [], 8

    def use(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(1500):
            key = rng.randrange(12)
            match rng.randrange(6):
                case 0:
                    lru.invalidate(key)
                case 1 if rng.random() < 0.05:
                    lru.clear()
                case 2 | 3:
                    lru.put(key, plane(key, nbytes=rng.choice([10, 400, 900, 2500])))
                case _:
                    array = lru.get(key)
                    assert array is None or array.flat[0] == key
            with lru._lock:
                if lru._current_memory > 2000 or lru._current_memory != bytes_retained(lru):
                    over.append(lru._current_memory)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for future in [in_thread(use, seed) for seed in range(threads)]:
            future.result(TIMEOUT)
    finally:
        sys.setswitchinterval(interval)
    assert not over
