"""`MemoryCache`: what is kept, in which bounds, and that each value is made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndviewer_light.errors import CorruptDataError
from ndviewer_light.storage.memory_cache import MemoryCache, nbytes


def test_only_what_is_not_kept_is_made() -> None:
    made: list[list[int]] = []

    def make(keys: list[int]) -> list[tuple[int, int]]:
        made.append(list(keys))
        return [(key, key * 10) for key in keys]

    cache: MemoryCache[int, int] = MemoryCache(3)
    assert cache.get([1, 2], make) == {1: 10, 2: 20}
    assert cache.get([2, 3], make) == {2: 20, 3: 30}
    assert cache.get([4, 2], make) == {4: 40, 2: 20}, "one is gone: it was used longest ago"
    assert cache.get([1], make) == {1: 10}
    cache.clear()
    assert cache.get([2], make) == {2: 20}
    assert made == [[1, 2], [3], [4], [1], [2]]


@given(
    wanted=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), max_size=12),
    bound=st.integers(1, 60),
)
def test_the_bound_holds_and_every_value_is_right(wanted: list[list[int]], bound: int) -> None:
    cache: MemoryCache[int, np.ndarray] = MemoryCache(bound, nbytes)
    for keys in wanted:
        found = cache.get(keys, lambda ours: [(key, np.full(key + 1, key, np.uint8)) for key in ours])
        assert {key: value.tolist() for key, value in found.items()} == {
            key: [key] * (key + 1) for key in keys
        }
        sizes = [value.nbytes for value in cache._values.values()]
        assert cache._size == sum(sizes)
        assert sum(sizes) <= bound or len(sizes) == 1


def test_what_fails_is_not_kept_and_what_was_made_before_is() -> None:
    cache: MemoryCache[int, int] = MemoryCache(10)

    def make(keys: list[int]) -> object:
        yield keys[0], 1
        raise CorruptDataError("damaged")

    with pytest.raises(CorruptDataError):
        cache.get([1, 2], make)  # type: ignore[arg-type]
    assert cache.get([1, 2], lambda keys: [(key, 5) for key in keys]) == {1: 1, 2: 5}


def test_many_threads_make_each_value_once() -> None:
    cache: MemoryCache[int, int] = MemoryCache(1000)
    made: list[int] = []
    begin = threading.Barrier(8)

    def make(keys: list[int]) -> list[tuple[int, int]]:
        made.extend(keys)
        return [(key, -key) for key in keys]

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        begin.wait(60)
        for _ in range(100):
            keys = rng.integers(0, 500, 7).tolist()
            assert cache.get(keys, make) == {key: -key for key in keys}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(made) == len(set(made))
