"""Datasets that grow on servers: followed with few requests."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from follow_disk import SIZE, GrowingZarr, grey, shown, wait_for, wait_for_size
from memory_source import wait_until
from nd2_writer import time_loop, write_nd2

from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources.disk_cached import open_disk_cached as open_source

if TYPE_CHECKING:
    from collections.abc import Collection


def test_a_dataset_on_a_server_is_followed_with_few_requests_and_without_opening_it_again(tmp_path, server):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        assert shown(dataset, PlaneKey()) == 1
        before = len(server.log())
        source = dataset._source
        for _ in range(3):
            assert source.look() is source.look()
        assert len(server.log()) - before <= 12
        growing.add(2)
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1), 2)


def chunks_asked(server, seen: int) -> list[dict[str, Any]]:
    return [entry for entry in server.log()[seen:] if "/c/" in entry["path"]]


def is_read_no_more(server, answers: Collection[int] = (200,)) -> bool:
    """A plane whose version was not known, or that was written just before, is read again once to compare."""
    seen = len(server.log())
    time.sleep(0.7)
    return not [entry for entry in chunks_asked(server, seen) if entry["what"] in answers]


def is_nothing_sent(server, source, key: PlaneKey) -> bool:
    """Whether all that a look asks about is as it was, by what the server says, and nobody doubts that."""
    seen = len(server.log())
    source.look()
    (version,) = source.versions_in_view([key])
    return "~" not in version and {entry["what"] for entry in server.log()[seen:]} <= {304, 404}


@pytest.mark.parametrize("behaviour", [{}, {"etags": False}, {"conditional": False}], ids=str)
def test_on_a_server_only_what_has_changed_is_sent_again_and_a_rewritten_plane_is_shown(
    tmp_path, server, behaviour
):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    for file in growing.path.rglob("*"):
        os.utime(file, (time.time() - 3600, time.time() - 3600))
    server.set(**behaviour)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        key, source = PlaneKey(), dataset._source
        assert shown(dataset, key) == 1
        if behaviour.get("conditional", True):
            wait_until(lambda: is_nothing_sent(server, source, key))
        source.look()
        (version,) = source.versions_in_view([key])
        before = server.counts()["bytes"], len(server.log())
        assert source.look() is source.look()
        assert source.versions_in_view([key]) == [version]
        answers = [entry["what"] for entry in server.log()[before[1] :] if entry["what"] != 404]
        assert len(answers) >= 3
        if behaviour.get("conditional", True):
            assert set(answers) == {304}
            assert server.counts()["bytes"] == before[0]
        growing._array[0].write(grey(7)).result()
        wait_for(dataset, key, 7)
        wait_until(lambda: is_read_no_more(server))


IN_SECONDS = [
    {"etags": False},
    {"etags": False, "late_s": 600},
    {"etags": False, "late_s": -600},
    {"etags_of_seconds": True, "late_s": 600},
    {"etags_of_seconds": True, "weak": True, "dates": False},
]


@pytest.mark.parametrize("behaviour", IN_SECONDS, ids=str)
def test_what_was_written_twice_within_the_second_that_a_server_tells_is_shown_as_it_was_last(
    tmp_path, server, behaviour
):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    server.set(**behaviour)

    def at_the_same_time() -> None:
        for file in growing.path.rglob("*"):
            os.utime(file, (second, second))

    second = int(time.time())
    at_the_same_time()
    sizes = {file: file.stat().st_size for file in growing.path.rglob("*") if file.is_file()}
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        assert shown(dataset, PlaneKey()) == 1
        growing._array[0].write(grey(7)).result()
        growing.add(2)
        at_the_same_time()
        assert {file: file.stat().st_size for file in sizes} == sizes, (
            "the server says that nothing has changed"
        )
        wait_for(dataset, PlaneKey(), 7)
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1), 2)


def test_a_server_that_tells_no_versions_is_followed_by_its_metadata(tmp_path, server):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    server.set(etags=False, dates=False)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        assert shown(dataset, PlaneKey()) == 1
        growing.add(2)
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1), 2)


@pytest.mark.parametrize("kind", ["nd2", "hdf5"])
def test_a_file_on_a_server_is_asked_whether_it_has_changed_without_its_bytes(tmp_path, server, kind):
    if kind == "nd2":
        pytest.importorskip("nd2")
        write_nd2(tmp_path / "a.nd2", lambda i: grey(i + 1), [time_loop(3)])
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["images"] = np.ones((3, SIZE, SIZE), np.uint16)
    source = open_source(server.url("a.nd2" if kind == "nd2" else "a.h5"), {"disk_cache": "no"})
    try:
        before = server.counts()
        assert source.look() is source.look()
        after = server.counts()
        assert after["bytes"] == before["bytes"]
        assert after["requests"] - before["requests"] == 2
    finally:
        source.close()
