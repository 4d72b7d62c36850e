"""Stacks of which some planes are not stored, and what every way out must give of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores

from ndviewer_light import open_dataset
from ndviewer_light.model import PlaneKey, PlaneState
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ndviewer_light.engine.dataset import Dataset


FILLED, PENDING, ABSENT, PRESENT = (
    PlaneState.FILLED,
    PlaneState.PENDING,
    PlaneState.ABSENT,
    PlaneState.PRESENT,
)
SIZE = (24, 40)


def stack(dtype: str, fill: Any, n: int = 8, blank: Sequence[int] = (2, 7)) -> np.ndarray:
    """A stack (Z, Y, X) that differs from `fill` everywhere but in its `blank` slices."""
    planes = [stores.plane(z=z) for z in range(n)]
    values = np.stack(planes).astype(dtype)
    if np.dtype(dtype).kind == "b":
        values[...] = not fill
    elif not np.isnan(fill):
        values[values == np.asarray(fill, dtype)] += 1
    values[list(blank)] = fill
    return values


@pytest.fixture(name="server", scope="module")
def server_of_a_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    pytest.importorskip("obstore")
    from ndviewer_light.storage.remote.scheduler import the_scheduler

    with RangeServer(tmp_path_factory.mktemp("served")) as running:
        yield running
    the_scheduler().stop()


@pytest.fixture(name="opened")
def datasets_that_are_closed() -> Iterator[Callable[..., Dataset]]:
    datasets: list[Dataset] = []

    def open_(path: object, **options: Any) -> Dataset:
        datasets.append(open_dataset(str(path), **options))
        return datasets[-1]

    yield open_
    for dataset in datasets:
        dataset.close()


def states(dataset: Dataset, keys: Sequence[tuple[int, int, int, int]], level: int = 0) -> list[PlaneState]:
    return [plane.state for plane in dataset.planes([PlaneKey(*key) for key in keys], level, None)]


def assert_is_all_there(dataset: Dataset, wanted: np.ndarray, blank: Sequence[int] = (2, 7)) -> None:
    """Every way out gives `wanted` (Z, Y, X), and those in view are told apart."""
    keys = [PlaneKey(z=z) for z in range(len(wanted))]
    planes = dataset.planes(keys, 0, None)
    assert [z for z, plane in enumerate(planes) if plane.state is FILLED] == list(blank)
    for z, plane in enumerate(planes):
        assert plane.state is (FILLED if z in blank else PRESENT)
        assert plane.pixels is not None
        for pixels in (plane.pixels, dataset.plane(z=z)):
            assert pixels.dtype == dataset.info.dtype == wanted.dtype.newbyteorder("=")
            assert pixels.flags.c_contiguous
            assert not pixels.flags.writeable
            np.testing.assert_array_equal(pixels, wanted[z])
    for missing in ("raise", "fill"):
        np.testing.assert_array_equal(dataset.to_xarray(missing=missing).values[0, 0, :, 0], wanted)
    assert dataset._cache.nbytes == (len(wanted) - len(blank)) * wanted[0].nbytes, "nothing made up is kept"
