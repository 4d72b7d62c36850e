"""Planes nobody waits for any more: their reads end, in the reader process too, and make room for others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.leases import SupersededRead
from ndviewer_light.errors import ReadDroppedError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.storage.cancellation import current_scope
from tests.served import a_server, in_thread, wait_until  # noqa: F401  fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.range_server import RangeServer

K, OTHER = PlaneKey(), PlaneKey(t=1)
PASSED = [PlaneKey(1, 0, c, 0) for c in range(1, 5)]  # the first of each channel may be read at opening
WANTED = [PlaneKey(2, 0, c, 0) for c in range(1, 5)]


class Slow:
    """Reads that end when released, or with an error when their own scope is dropped."""

    def __init__(self) -> None:
        self.begun: list[PlaneKey] = []
        self.abandoned: list[PlaneKey] = []
        self.value = 0
        self.fails = False  # what was given up: at once, not only when released
        self.give_up_waits_for = lambda: True
        self._release = threading.Event()

    def read(self, key: PlaneKey, level: int) -> np.ndarray:
        self.begun.append(key)
        pixels = np.full((2, 2), self.value, np.uint16)
        under_way, scope = _SlowRead(self, key), current_scope()
        assert scope is not None
        scope.add(under_way)
        try:
            while not self._release.wait(0.002):
                if under_way.failing.is_set():
                    raise under_way.not_wanted()
        finally:
            scope.remove(under_way)
        return pixels

    def release(self) -> None:
        self._release.set()


class _SlowRead:
    """One of them, as its scope knows it."""

    def __init__(self, slow: Slow, key: PlaneKey) -> None:
        self._slow = slow
        self._key = key
        self.failing = threading.Event()

    def give_up(self) -> None:
        self._slow.abandoned.append(self._key)
        wait_until(self._slow.give_up_waits_for)
        if self._slow.fails:
            self.failing.set()

    def not_wanted(self) -> ReadDroppedError:
        return ReadDroppedError("no longer needed")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def cache(slow) -> Iterator[PlaneCache]:
    with_abandon = PlaneCache(slow.read, workers=2)
    yield with_abandon
    slow.release()
    with_abandon.close()


def begin(cache: PlaneCache, slow: Slow, key: PlaneKey = K):
    [future] = cache.request([key])
    wait_until(lambda: slow.begun == [key])
    return future


def test_a_read_under_way_is_abandoned_when_nobody_wants_it(cache, slow):
    slow.fails = True
    future = begin(cache, slow)
    cache.request([K], drop_except=())
    cache.request([OTHER], drop_except=[K])
    assert slow.abandoned == []
    cache.request([OTHER], drop_except=())
    cache.request([OTHER], drop_except=())
    assert slow.abandoned == [K]
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
    assert again.result(60)[0, 0] == 1
    wait_until(lambda: isinstance(cache.peek(K), np.ndarray))
    assert cache.peek(K)[0, 0] == 1  # and not what the first read had seen, whichever came last


def test_giving_up_a_read_leaves_alone_the_one_that_began_meanwhile(cache, slow):
    slow.fails = True
    first = begin(cache, slow)
    slow.give_up_waits_for = lambda: slow.begun == [K, K]
    thread, _ = in_thread(lambda: cache.request([], drop_except=()))
    wait_until(lambda: slow.abandoned == [K])  # the lock is released, the read not given up yet
    [again] = cache.request([K])
    assert again is not first
    thread.join(60)
    assert isinstance(first.exception(10), SupersededRead)
    assert not again.done()
    slow.release()
    assert again.result(60).shape == (2, 2)
    assert slow.abandoned == [K]


def test_an_abandoned_read_that_ends_well_is_kept_unless_the_plane_was_written(cache, slow):
    future = begin(cache, slow)
    cache.request([], drop_except=())
    slow.release()
    future.result(60)
    assert isinstance(cache.peek(K), np.ndarray)


def test_a_plane_written_after_its_read_was_abandoned_is_not_kept(cache, slow):
    future = begin(cache, slow)
    cache.request([], drop_except=())
    cache.mark_stale(K)
    slow.release()
    future.result(60)
    assert cache.peek(K) is None


def test_what_somebody_waits_for_in_read_is_not_abandoned(cache, slow):
    thread, said = in_thread(lambda: cache.read(K))
    wait_until(lambda: slow.begun == [K])
    cache.request([], drop_except=())
    assert slow.abandoned == []
    slow.release()
    thread.join(60)
    assert isinstance(said[0], np.ndarray)


# ---- in the reader process --------------------------------------------------------------------------------


def write_zarr(folder: Path) -> tuple[str, str]:
    stores.write_image(folder / "image", sizes={"t": 3, "c": 5, "z": 1})
    return "image", "image/0/c/1/"


def write_images(folder: Path) -> tuple[str, str]:
    import PIL.Image

    for key in (PlaneKey(t, 0, c, 0) for t in range(3) for c in range(5)):
        PIL.Image.fromarray(stores.plane(*key)).save(folder / f"img_t{key.t}_c{key.c}.png")
    return "img_t{t:0..2}_c{c:0..4}.png", "img_t1"


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
        # of requests that begin together, tensorstore may put one behind another's first answer
        least = len(PASSED) - 1 if write is write_zarr else len(PASSED)
        wait_until(lambda: server.counts()["in_flight"] >= least)
        for key, plane in zip(WANTED, dataset.planes(WANTED, wait=None), strict=True):
            np.testing.assert_array_equal(plane.pixels, stores.plane(*key))
        stalled = [answer for answer in server.log() if passed in answer["path"]]
        # had they been waited for, they would have been tried again
        assert least <= len(stalled) <= len(PASSED)
        if write is write_zarr:
            return  # tensorstore goes on with what it has begun: whoever comes back joins it
        server.set()
        for key, plane in zip(PASSED, dataset.planes(PASSED, wait=None), strict=True):
            np.testing.assert_array_equal(plane.pixels, stores.plane(*key))
