"""ND2 files on a server: few requests, the same pixels, and never wrong ones however bad the line."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from memory_source import TIMEOUT, in_thread, wait_until
from nd2_samples import HEIGHT, TWO, WIDTH, P, T, Z, assert_planes_are, frame, keys
from nd2_writer import Plane, time_loop, write_legacy_nd2, write_nd2

from ndviewer_light.errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from range_server import RangeServer

pytest.importorskip("nd2")
pytest.importorskip("obstore")

SIDE = 512
FOUR = [Plane(name) for name in ("DAPI", "GFP", "RFP", "Cy5")]


def large(number: int) -> np.ndarray:
    """A frame of 2 MiB: four channels of 512² pixels."""
    return (np.arange(SIDE * SIDE * 4).reshape(SIDE, SIDE, 4) * 7 + number * 1000).astype("u2")


def n_requests(server: RangeServer) -> int:
    counts = server.counts()
    return counts["requests"] + counts["heads"]


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
def test_pixels_and_facts_are_those_of_the_local_file(tmp_path, server, compressed):
    path = tmp_path / "a b.nd2"
    write_nd2(path, frame, [T, P, Z], TWO, compressed=compressed)
    local, remote = open_source(str(path)), open_source(server.url("a b.nd2"))
    assert remote.info == local.info
    assert_planes_are(remote, frame, "tpz")
    local.close()
    remote.close()


def test_the_first_plane_of_a_large_file_takes_at_most_five_requests(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(4)], FOUR)
    server.set()
    source = open_source(server.url("a.nd2"))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2, c=1)), large(2)[..., 1])
    assert n_requests(server) <= 5
    source.close()


def test_the_other_channels_of_a_frame_take_none(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(4)], FOUR)
    source = open_source(server.url("a.nd2"))
    source.read_plane(PlaneKey(t=2, c=1))
    server.set()
    for c in (0, 2, 3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2, c=c)), large(2)[..., c])
    assert n_requests(server) == 0
    source.close()


def test_threads_that_want_the_channels_of_a_frame_transfer_it_once(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(4)], FOUR)
    source = open_source(server.url("a.nd2"))
    server.set(latency_s=0.2)
    reads = [in_thread(source.read_plane, PlaneKey(t=1, c=c)) for c in range(4)]
    for c, reading in enumerate(reads):
        np.testing.assert_array_equal(reading.result(TIMEOUT), large(1)[..., c])
    assert server.counts()["bytes"] < 1.1 * large(1).nbytes
    source.close()


def test_frames_are_read_at_the_same_time(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(16)], FOUR)
    source = open_source(server.url("a.nd2"))
    server.set(latency_s=0.1)
    with ThreadPoolExecutor(16) as pool:
        planes = list(pool.map(source.read_plane, [PlaneKey(t=t) for t in range(16)]))
    for t, pixels in enumerate(planes):
        np.testing.assert_array_equal(pixels, large(t)[..., 0])
    assert server.counts()["max_in_flight"] >= 8
    source.close()


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "deflated"])
@pytest.mark.parametrize(
    "fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range", "html", "404"]
)
def test_a_bad_line_gives_right_pixels_or_an_error(tmp_path, server, fault, compressed):
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO, compressed=compressed)
    source = open_source(server.url("a.nd2"))
    source._opened.source._blocks.clear()  # the frames lie beside the metadata, which are kept
    server.set(faults={fault: 0.3}, seed=1)
    n_right = 0
    for key in keys(source.info.sizes):
        try:
            pixels = source.read_plane(key)
        except DatasetError:
            continue
        np.testing.assert_array_equal(pixels, frame(key.t * 12 + key.p * 4 + key.z)[..., key.c])
        n_right += 1
    assert server.counts()["faults"] > 0
    assert n_right > 0
    source.close()


@pytest.mark.parametrize("seed", range(6))
def test_opening_over_a_bad_line_gives_right_facts_or_an_error(tmp_path, server, seed):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(2)], FOUR)
    server.set(faults={"short": 0.2, "truncate": 0.2, "wrong_range": 0.1}, seed=seed)
    try:
        source = open_source(server.url("a.nd2"))
    except DatasetError:
        return
    assert source.info.sizes == {"t": 2, "p": 1, "c": 4, "z": 1, "y": SIDE, "x": SIDE}
    source.close()


def test_a_frame_that_was_not_acquired_asks_the_server_nothing(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, skip={7})
    source = open_source(server.url("a.nd2"))
    server.set()
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(t=1, z=3))
    assert n_requests(server) == 0
    source.close()


def test_closing_ends_a_read_that_hangs(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", large, [time_loop(4)], FOUR)
    source = open_source(server.url("a.nd2"))
    server.set(faults={"stall": 1.0})
    reads = [in_thread(source.read_plane, PlaneKey(t=1, c=c)) for c in range(2)]
    wait_until(lambda: server.counts()["in_flight"] > 0)
    source.close()
    for reading in reads:
        with pytest.raises(DatasetError):
            reading.result(TIMEOUT)


def test_a_file_that_is_still_being_uploaded_says_so(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", frame, [T], TWO, finished=False)
    with pytest.raises(CorruptDataError, match="still being acquired, or was cut off"):
        open_source(server.url("a.nd2"))


def test_the_query_of_a_signed_address_is_in_no_message(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, skip={7})
    server.set(query="signature=secret")
    source = open_source(server.url("a.nd2") + "?signature=secret")
    assert source.info.name == "a.nd2"
    with pytest.raises(PlaneNotStoredError) as caught:
        source.read_plane(PlaneKey(t=1, z=3))
    assert "a.nd2" in str(caught.value)
    assert "secret" not in str(caught.value)
    source.close()


def test_files_from_before_2010_too(tmp_path, server):
    pytest.importorskip("imagecodecs")
    write_legacy_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO, bits=16)
    source = open_source(server.url("a.nd2"))
    assert_planes_are(source, frame, "tz")
    source.close()


def test_through_a_process_of_its_own(tmp_path, server):
    write_nd2(tmp_path / "a.nd2", frame, [T, P, Z], TWO)
    reader = IsolatedSource.open(server.url("a.nd2"), {"disk_cache": "no"})
    assert_planes_are(reader, frame, "tpz")
    reader.close()


def test_planes_are_kept_on_disk_under_the_name_of_this_version_of_the_file(tmp_path, server):
    options = {"cache_dir": str(tmp_path / "kept")}
    for version in range(2):
        write_nd2(tmp_path / "a.nd2", lambda i, v=version: large(i + v), [time_loop(3)], FOUR)
        for is_kept in (False, True):
            with open_dataset(server.url("a.nd2"), storage_options=options) as dataset:
                server.set()
                np.testing.assert_array_equal(dataset.plane(t=1, c=1), large(1 + version)[..., 1])
                assert (n_requests(server) == 0) is is_kept


def test_as_a_lazy_array(tmp_path, server):
    pytest.importorskip("xarray")
    write_nd2(tmp_path / "a.nd2", frame, [T, Z], TWO)
    with open_dataset(server.url("a.nd2"), storage_options={"disk_cache": "no"}) as dataset:
        array = dataset.to_xarray()
        assert array.shape == (2, 1, 4, 2, HEIGHT, WIDTH)
        for t, z in itertools.product(range(2), range(4)):
            pixels = array.isel(time=t, fov=0, z=z, channel=1).values
            np.testing.assert_array_equal(pixels, frame(t * 4 + z)[..., 1])
