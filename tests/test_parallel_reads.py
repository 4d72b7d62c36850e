"""Planes on servers are requested together, however few threads dask has; none twice, none in vain."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import dask
import numpy as np
import PIL.Image
import pytest
from dask.callbacks import Callback
from hdf5_files import write
from memory_source import TIMEOUT
from nd2_writer import time_loop, write_nd2

from ndviewer_light import PlaneKey, open_dataset
from ndviewer_light.cli.references import write_references
from ndviewer_light.engine.leases import StoredKey
from ndviewer_light.engine.read_ahead import ReadAhead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset
    from tests.range_server import RangeServer

pytest.importorskip("obstore")

FRAMES, SIDE = 40, 512  # of 512 KiB
KEYS = [PlaneKey(t=t) for t in range(FRAMES)]


def frame(i: int) -> np.ndarray:
    return (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 60_000 + i).astype(np.uint16)


@pytest.fixture(name="url", params=["nd2", "hdf5"])
def a_file_of_40_frames(request, tmp_path: Path, server: RangeServer) -> str:
    if request.param == "nd2":
        pytest.importorskip("nd2")
        write_nd2(tmp_path / "a.nd2", lambda i: frame(i)[..., None], [time_loop(FRAMES)])
        return server.url("a.nd2")
    write(
        tmp_path / "a.h5",
        np.stack([frame(i) for i in range(FRAMES)])[:, None, None],
        chunks=(1, 1, 1, SIDE, SIDE),
    )
    return server.url("a.h5")


def opened(url: str, **how: object) -> Dataset:
    return open_dataset(url, cache_bytes=0, storage_options={"disk_cache": "no"}, **how)  # type: ignore[arg-type]


def test_the_planes_of_a_view_are_under_way_together(url: str, server: RangeServer) -> None:
    with opened(url) as dataset:
        dataset.plane()
        server.set(together=32)
        planes = dataset.planes(KEYS, wait=None)
        for i, plane in enumerate(planes):
            np.testing.assert_array_equal(plane.pixels, frame(i))
        assert server.counts()["max_in_flight"] >= 32
        assert server.counts()["requests"] <= FRAMES + 2


def test_planes_that_dask_computes_are_under_way_together(url: str, server: RangeServer) -> None:
    with opened(url) as dataset, dask.config.set(scheduler="threads", num_workers=2):
        array = dataset.to_xarray()
        assert array.chunks is not None
        assert set(array.chunks[0]) == {1}, "a chunk is a plane"
        dataset.plane()
        server.set(together=32)
        found = array.to_numpy().squeeze()
        np.testing.assert_array_equal(found, [frame(i) for i in range(FRAMES)])
        assert found.flags.writeable
        assert server.counts()["max_in_flight"] >= 32
        assert server.counts()["requests"] <= FRAMES + 2


def test_only_what_dask_computes_is_read(url: str, server: RangeServer) -> None:
    with opened(url) as dataset:
        array = dataset.to_xarray()
        dataset.plane()
        server.set()
        brightest = array.isel(time=slice(3, 7)).max(dim="time").compute()
        np.testing.assert_array_equal(brightest.squeeze(), frame(6))
        one = array.isel(time=9).compute().to_numpy()
        one += 1  # whoever computes a plane may change it
        np.testing.assert_array_equal(one.squeeze(), frame(9) + 1)
        assert server.counts()["bytes"] < 5.5 * frame(0).nbytes


def test_an_array_computed_as_it_is_is_one_task(url: str, server: RangeServer) -> None:
    tasks: list[object] = []
    with opened(url) as dataset, Callback(posttask=lambda key, *_: tasks.append(key)):
        array = dataset.to_xarray()
        array.to_numpy()
        assert len(tasks) == 1
        tasks.clear()
        both = dask.compute(array.data, array.data.max(axis=0), array.data[3:9])
        assert len(tasks) > FRAMES, "beside others, a plane is a task, and none is read twice"
    expected = np.stack([frame(i) for i in range(FRAMES)])
    for found, right in zip(both, (expected, expected.max(axis=0), expected[3:9]), strict=True):
        np.testing.assert_array_equal(found.squeeze(), right)


def test_what_another_thread_is_about_to_request_is_not_read_a_second_time() -> None:
    keys = [StoredKey(PlaneKey(t=t), 0) for t in range(2)]
    pixels = [np.full((2, 2), t) for t in range(2)]
    requesting, go_on, taken = threading.Event(), threading.Event(), []
    ahead = ReadAhead(keys)

    def request(wanted: Sequence[StoredKey]) -> list[np.ndarray]:
        requesting.set()
        assert go_on.wait(TIMEOUT)
        return [pixels[each.plane.t] for each in wanted]

    threads = [threading.Thread(target=lambda: ahead.start(request, 2))]
    threads[0].start()
    assert requesting.wait(TIMEOUT)
    threads.append(threading.Thread(target=lambda: taken.append(ahead.take(keys[1]))))
    threads[1].start()
    threads[1].join(0.1)  # long enough to take nothing, as it did
    go_on.set()
    for thread in threads:
        thread.join(TIMEOUT)
    assert taken[0] is pixels[1]
    assert ahead.take(keys[0]) is pixels[0]
    assert ahead.take(keys[0]) is None


def test_a_reader_process_has_as_many_under_way(url: str, server: RangeServer) -> None:
    with opened(url, isolate=True) as dataset:
        dataset.plane()
        server.set(together=20)
        for i, plane in enumerate(dataset.planes(KEYS, wait=None)):
            np.testing.assert_array_equal(plane.pixels, frame(i))
        assert server.counts()["max_in_flight"] >= 20


def write_pictures(folder: Path, count: int) -> list[np.ndarray]:
    """RGB PNGs of about 300 KB."""
    noise = np.random.default_rng(0).integers(0, 255, (count, 300, 340, 3), np.uint8)
    for i, pixels in enumerate(noise):
        PIL.Image.fromarray(pixels).save(folder / f"img_t{i:02}.png", compress_level=0)
    return list(noise)


def test_pictures_that_are_referred_to_are_fetched_once_and_together(
    tmp_path: Path, server: RangeServer
) -> None:
    pytest.importorskip("imagecodecs")
    pictures = write_pictures(tmp_path, 40)
    with open(tmp_path / "refs.json", "w") as file:
        write_references(str(tmp_path), file, root=server.url("").rstrip("/"))
    with opened(server.url("refs.json")) as dataset:
        server.set(together=32)
        planes = dataset.planes([PlaneKey(t=t, c=c) for t in range(40) for c in range(3)], wait=None)
        for i, plane in enumerate(planes):
            np.testing.assert_array_equal(plane.pixels, pictures[i // 3][..., i % 3])
        counts = server.counts()
        assert counts["requests"] == 40
        assert counts["max_in_flight"] >= 32
    with opened(server.url("refs.json")) as dataset:
        server.set(together=32)
        array = dataset.to_xarray().isel(time=slice(1, 34)).to_numpy()
        np.testing.assert_array_equal(array[:, 0, 0], np.moveaxis(pictures[1:34], -1, 1))
        counts = server.counts()
        assert counts["requests"] == 33
        assert counts["max_in_flight"] >= 32
