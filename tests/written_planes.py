"""Planes that a writer writes while they are read, for tests of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from memory_source import TIMEOUT, Gate

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ndviewer_light.engine.memory_bounded_lru import MemoryBoundedLRUCache

K = PlaneKey(0, 0, 0, 0)
OTHER = PlaneKey(0, 1, 0, 0)
PLANE_BYTES = 100


def plane(value: int = 0, nbytes: int = PLANE_BYTES) -> np.ndarray:
    return np.full((1, nbytes), value, np.uint8)


class Store:
    """What a writer has written: a version per plane; reads stop at the gates that are set."""

    def __init__(self) -> None:
        self.versions: dict[PlaneKey, int] = {}
        self.sizes: dict[PlaneKey, int] = {}
        self.errors: dict[PlaneKey, Exception] = {}
        self.reads: list[PlaneKey] = []
        self.before_sample = Gate(held=False)
        self.after_sample = Gate(held=False)

    def read(self, key: PlaneKey, level: int) -> np.ndarray:
        self.reads.append(key)
        self.before_sample(key)
        version, error = self.versions.get(key, 0), self.errors.get(key)
        self.after_sample(key)
        if error is not None:
            raise error
        return plane(version, self.sizes.get(key, PLANE_BYTES))


@pytest.fixture(name="store")
def store_of_versions():
    return Store()


@pytest.fixture(name="cache")
def cache_of_ten_planes(store):
    cache = PlaneCache(store.read, max_bytes=10 * PLANE_BYTES, workers=4)
    yield cache
    store.before_sample.open()
    store.after_sample.open()
    cache.close()


def value_of(answer: np.ndarray | Future[np.ndarray]) -> int:
    pixels = answer if isinstance(answer, np.ndarray) else answer.result(TIMEOUT)
    assert len(np.unique(pixels)) == 1
    return int(pixels.flat[0])


def hold_after_sample(store: Store) -> Gate:
    store.after_sample = Gate()
    return store.after_sample


def bytes_retained(lru: MemoryBoundedLRUCache) -> int:
    return sum(array.nbytes for array in lru._arrays.values())
