"""Planes nobody waits for any more: their reads end, in the reader process too, and make room for others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores

from ndviewer_light.engine.cache import PlaneCache, SupersededRead
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import ReadDroppedError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from tests.served import a_server, in_thread, wait_until  # noqa: F401  fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.range_server import RangeServer

K, OTHER = PlaneKey(), PlaneKey(t=1)
PASSED = [PlaneKey(0, 0, c, 0) for c in range(1, 5)]  # the first was read when it was opened
WANTED = [PlaneKey(1, 0, c, 0) for c in range(1, 5)]


class Slow:
    """Reads that end when released, or with an error when abandoned."""

    def __init__(self) -> None:
        self.begun: list[PlaneKey] = []
        self.abandoned: list[PlaneKey] = []
        self.value = 0
        self._release = threading.Event()
        self._abandon = threading.Event()

    def read(self, key: PlaneKey, level: int) -> np.ndarray:
        self.begun.append(key)
        pixels = np.full((2, 2), self.value, np.uint16)
        while not self._release.wait(0.002):
            if self._abandon.is_set():
                raise ReadDroppedError("not wanted any more")
        return pixels

    def abandon(self, key: PlaneKey, level: int) -> None:
        self.abandoned.append(key)

    def release(self) -> None:
        self._release.set()

    def fail(self) -> None:
        self._abandon.set()


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def cache(slow) -> Iterator[PlaneCache]:
    with_abandon = PlaneCache(slow.read, workers=2, abandon=slow.abandon)
    yield with_abandon
    slow.release()
    with_abandon.close()


def begin(cache: PlaneCache, slow: Slow, key: PlaneKey = K):
    [future] = cache.request([key])
    wait_until(lambda: slow.begun == [key])
    return future


def test_a_read_under_way_is_abandoned_when_nobody_wants_it(cache, slow):
    future = begin(cache, slow)
    cache.request([K], drop_except=())
    cache.request([OTHER], drop_except=[K])
    assert slow.abandoned == []
    cache.request([OTHER], drop_except=())
    cache.request([OTHER], drop_except=())
    assert slow.abandoned == [K]
    slow.fail()
    assert isinstance(
        future.exception(10), SupersededRead
    )  # no error of the plane: it can be asked for again


def test_what_was_abandoned_and_is_wanted_again_is_read_anew(cache, slow):
    begin(cache, slow)
    cache.request([], drop_except=())
    slow.value = 1
    [again] = cache.request([K])
    wait_until(lambda: slow.begun == [K, K])
    slow.release()
    assert again.result(10)[0, 0] == 1
    wait_until(lambda: isinstance(cache.peek(K), np.ndarray))
    assert cache.peek(K)[0, 0] == 1  # and not what the first read had seen, whichever came last


def test_an_abandoned_read_that_ends_well_is_kept_unless_the_plane_was_written(cache, slow):
    future = begin(cache, slow)
    cache.request([], drop_except=())
    slow.release()
    future.result(10)
    assert isinstance(cache.peek(K), np.ndarray)


def test_a_plane_written_after_its_read_was_abandoned_is_not_kept(cache, slow):
    future = begin(cache, slow)
    cache.request([], drop_except=())
    cache.mark_stale(K)
    slow.release()
    future.result(10)
    assert cache.peek(K) is None


def test_what_somebody_waits_for_in_read_is_not_abandoned(cache, slow):
    thread, said = in_thread(lambda: cache.read(K))
    wait_until(lambda: slow.begun == [K])
    cache.request([], drop_except=())
    assert slow.abandoned == []
    slow.release()
    thread.join(10)
    assert isinstance(said[0], np.ndarray)


# ---- in the reader process --------------------------------------------------------------------------------


def write_zarr(folder: Path) -> tuple[str, str]:
    stores.write_image(folder / "image", sizes={"t": 2, "c": 5, "z": 1})
    return "image", "image/0/c/0/"


def write_images(folder: Path) -> tuple[str, str]:
    import PIL.Image

    for key in (PlaneKey(), PlaneKey(t=1), *PASSED, *WANTED):
        PIL.Image.fromarray(stores.plane(*key)).save(folder / f"img_t{key.t}_c{key.c}.png")
    return "img_t{t:0..1}_c{c:0..4}.png", "img_t0"


@pytest.mark.parametrize("write", [write_zarr, write_images], ids=["zarr", "images"])
def test_reads_that_stall_give_their_place_to_the_planes_in_view(module_server: RangeServer, write):
    pytest.importorskip("obstore")
    server = module_server
    path, passed = write(server.folder)
    server.set()
    url = f"{server.url()}{path}"
    with Dataset(IsolatedSource.open(url, {"disk_cache": "no"}), path=url) as dataset:
        server.set(faults={"stall": 1.0}, only=passed)
        dataset.planes(PASSED, wait=0)
        wait_until(lambda: server.counts()["in_flight"] >= len(PASSED))  # every slot of the reader is taken
        for key, plane in zip(WANTED, dataset.planes(WANTED, wait=None), strict=True):
            np.testing.assert_array_equal(plane.pixels, stores.plane(*key))
        stalled = [answer for answer in server.log() if passed in answer["path"]]
        assert len(stalled) == len(PASSED)  # had they been waited for, they would have been tried again
        if write is write_zarr:
            return  # tensorstore goes on with what it has begun: whoever comes back joins it
        server.set()
        for key, plane in zip(PASSED, dataset.planes(PASSED, wait=None), strict=True):
            np.testing.assert_array_equal(plane.pixels, stores.plane(*key))
