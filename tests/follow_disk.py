"""Datasets that are followed by their path alone, and what is shown of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from memory_source import wait_until

from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset


SIZE = 16


@pytest.fixture(name="followed")
def datasets_that_are_followed(request) -> Iterator[Callable[[Any], Dataset]]:
    """Opens a path to be followed."""
    opened: list[Dataset] = []

    def open_it(path: Path) -> Dataset:
        opened.append(open_dataset(path, follow=True))
        return opened[-1]

    yield open_it
    for dataset in opened:
        dataset.close()


def shown(dataset: Dataset, key: PlaneKey) -> object:
    """What a view shows of one plane: its value if it is there and the same all over, else its state."""
    dataset.take_changes()
    [plane] = dataset.planes([key], wait=None)
    if plane.state is not PlaneState.PRESENT:
        return plane.state
    assert plane.pixels is not None
    values = np.unique(plane.pixels)
    return int(values[0]) if len(values) == 1 else "parts"


def wait_for(dataset: Dataset, key: PlaneKey, wanted: object) -> set[object]:
    """Wait until a plane looks so; returns what was seen before."""
    seen: set[object] = set()

    def arrived() -> bool:
        now = shown(dataset, key)
        if now == wanted:
            return True
        seen.add(now)
        time.sleep(0.01)
        return False

    wait_until(arrived)
    return seen


def wait_for_size(dataset: Dataset, axis: str, n: int) -> None:
    def has_grown() -> bool:
        dataset.take_changes()
        return dataset.sizes[axis] == n

    wait_until(has_grown)


def grey(value: int, dtype: str = "uint16") -> np.ndarray:
    return np.full((SIZE, SIZE), value, dtype)


class GrowingZarr:
    """An OME-Zarr image (t, c, z, y, x) that gets another time point with each `add`."""

    def __init__(self, path: Path, *, t_chunk: int = 1, shard: tuple[int, ...] | None = None) -> None:
        self.n_t = 0
        self.path = path
        chunk = (t_chunk, 1, 1, SIZE, SIZE)
        self._array = stores.create_array(path, (1, 1, 1, SIZE, SIZE), chunk=chunk, shard=shard)

    def add(self, value: int) -> None:
        self.n_t += 1
        self._array = self._array.resize(exclusive_max=[self.n_t, 1, 1, SIZE, SIZE]).result()
        self._array[self.n_t - 1].write(np.broadcast_to(grey(value), (1, 1, SIZE, SIZE))).result()
