"""HDF5 files on a server: few requests, the same pixels, an index built behind the first plane and kept."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hdf5_files import GZIP, IMAGING_PLANE, volume, write, write_nwb
from memory_source import TIMEOUT, in_thread, wait_until

from ndviewer_light.errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5 import snapshot as hdf5
from ndviewer_light.sources.hdf5.chunk_index import saved as hdf5_saved
from ndviewer_light.sources.hdf5.file import HDF5File
from ndviewer_light.sources.hdf5.source import HDF5Source, list_datasets
from ndviewer_light.storage.disk_cache import DiskCache, default_folder
from tests import stress_remote_gc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from range_server import RangeServer

    Open = Callable[[str], HDF5Source]

pytest.importorskip("obstore")

LARGE = (12, 512, 512)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for next time is kept here."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "kept"))


def n_requests(server: RangeServer) -> int:
    counts = server.counts()
    return counts["requests"] + counts["heads"]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open files that are closed when the test is over."""
    sources: list[HDF5Source] = []

    def open_one(url: str, options: dict[str, str] | None = None) -> HDF5Source:
        sources.append(HDF5Source.open(url, options))
        return sources[-1]

    yield open_one
    for source in sources:
        source.close()


def assert_shows(source: Any, expected: np.ndarray) -> None:
    for z, plane in enumerate(expected):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), plane)


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """The collector would wait for h5py's lock if it found anything of h5py's that other tests left."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def index_of(source: HDF5Source) -> Any:
    index = source._shot._index
    assert index is not None
    return index


# ---- the same pixels -----------------------------------------------------------------------


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"chunks": (1, 37, 53), **GZIP},
        {"chunks": (2, 16, 20), **GZIP},
        {"chunks": (2, 16, 20), "scaleoffset": 0},
    ],
)
def test_pixels_and_facts_are_those_of_the_local_file(
    tmp_path: Path, server: RangeServer, opened: Open, how: dict[str, Any], libver: str
) -> None:
    path = write(tmp_path / "a b.h5", libver=libver, **how)
    local, remote = opened(str(path)), opened(server.url("a b.h5"))
    assert remote.info.sizes == local.info.sizes
    assert remote.info.name == local.info.name == "a b.h5"
    assert_shows(remote, volume())
    assert_shows(remote, volume())


def test_a_dataset_inside_a_file_by_its_address(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    data = volume((3, 24, 16))
    write_nwb(tmp_path / "a.nwb", A={"data": data, "rate": 1.0}, B={"data": volume((5, 24, 16)), "rate": 1.0})
    url = server.url("a.nwb")
    assert len(list_datasets(url)) == 2
    source = opened(f"{url}::/acquisition/A")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2)), data[2].T)
    assert source.info.choices == (f"{url}::/acquisition/A/data", f"{url}::/acquisition/B/data")
    source.close()
    reader = IsolatedSource.open(url)
    assert reader.info.n_t == 5
    reader.close()


# ---- few requests --------------------------------------------------------------------------


def test_of_forty_series_no_more_is_read_than_of_the_first_of_them(
    tmp_path: Path, server: RangeServer, opened: Open
) -> None:
    """The imaging planes and times of the others only once something of them is wanted."""
    frames = volume((3, 64, 64))
    plane = {**IMAGING_PLANE, "indicator": "of its own"}
    series = {
        f"s{i:02}": {
            **{"data": frames + i, "timestamps": np.arange(3) / 2, "chunks": (1, 64, 64)},
            "plane": {**plane, "name": f"plane {i}"},
        }
        for i in range(40)
    }
    write_nwb(tmp_path / "a.nwb", **series)
    counted = []
    for inner in ("::/acquisition/s00", ""):
        server.set()
        source = opened(server.url("a.nwb") + inner, {"disk_cache": "no"})
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2)), frames[2].T)
        counted.append(n_requests(server))
    assert counted[1] <= counted[0]
    assert len(source.info.positions) == 40 and source.info.image(39).time_step_s is None
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, p=39)), frames[1].T + 39)
    assert source.info.image(39).time_step_s == pytest.approx(0.5)
    assert n_requests(server) <= counted[1] + 4


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize(
    "how",
    [{}, {"chunks": (1, 512, 512), **GZIP}, {"chunks": (1, 128, 128), **GZIP}, {"chunks": (4, 512, 512)}],
)
def test_the_first_plane_takes_at_most_six_requests(
    tmp_path: Path,
    server: RangeServer,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    libver: str,
) -> None:
    data = volume(LARGE)
    write(tmp_path / "a.h5", data, libver=libver, **how)
    monkeypatch.setattr(hdf5.DatasetSnapshot, "_start_indexing", lambda self: None)
    server.set()
    source = opened(server.url("a.h5"))
    assert n_requests(server) <= 2
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=7)), data[7])
    assert n_requests(server) <= 6


def test_of_a_plane_no_more_is_transferred_than_its_chunks(
    tmp_path: Path, server: RangeServer, opened: Open
) -> None:
    data = volume(LARGE)
    write(tmp_path / "a.h5", data, chunks=(1, 128, 128), **GZIP)
    source = opened(server.url("a.h5"))
    source.read_plane(PlaneKey())
    wait_until(lambda: index_of(source).complete)
    server.set()
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=5)), data[5])
    with h5py.File(tmp_path / "a.h5") as file:
        needed = file["a"].id.get_storage_size() / len(data)
    assert server.counts()["bytes"] <= 1.2 * needed


def test_threads_that_want_planes_of_one_chunk_transfer_it_once(
    tmp_path: Path, server: RangeServer, opened: Open
) -> None:
    data = volume((8, 512, 512))
    write(tmp_path / "a.h5", data, chunks=(8, 256, 256), **GZIP)
    size = (tmp_path / "a.h5").stat().st_size
    server.set(latency_s=0.02)
    source = opened(server.url("a.h5"))
    with ThreadPoolExecutor(8) as pool:
        planes = list(pool.map(lambda z: source.read_plane(PlaneKey(z=z)), range(8)))
    np.testing.assert_array_equal(planes, data)
    assert server.counts()["bytes"] <= 1.2 * size


# ---- the index -----------------------------------------------------------------------------

MANY = (1500, 8, 8)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_the_index_is_built_behind_the_first_plane_and_kept(
    tmp_path: Path, server: RangeServer, opened: Open, libver: str
) -> None:
    data = volume(MANY)
    write(tmp_path / "a.h5", data, libver=libver, chunks=(1, 8, 8), maxshape=(None, 8, 8))
    url = server.url("a.h5")
    source = opened(url)
    assert not index_of(source).complete, "nothing is indexed before a plane is wanted"
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=700)), data[700])
    wait_until(lambda: index_of(source).complete)
    with ThreadPoolExecutor(4) as pool:
        planes = list(pool.map(lambda t: source.read_plane(PlaneKey(t=t)), range(0, 1500, 7)))
    np.testing.assert_array_equal(planes, data[::7])
    source._shot._thread.join(TIMEOUT)
    source.close()

    again = opened(url)
    assert index_of(again).complete, "it was kept"
    server.set()
    np.testing.assert_array_equal(again.read_plane(PlaneKey(t=1400)), data[1400])
    assert n_requests(server) <= 1
    again.close()

    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["a"][3] = 5
    changed = opened(url)
    assert not index_of(changed).complete, "what was kept is of another version"
    assert (changed.read_plane(PlaneKey(t=3)) == 5).all()


def test_what_was_kept_and_is_damaged_is_not_used(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    data = volume(MANY)
    write(tmp_path / "a.h5", data, chunks=(1, 8, 8))
    source = opened(server.url("a.h5"))
    source.read_plane(PlaneKey())
    wait_until(lambda: index_of(source).complete)
    source._shot._thread.join(TIMEOUT)
    source.close()
    for kept in (tmp_path / "kept").rglob("*.plane"):  # the structure, and the index
        kept.write_bytes(kept.read_bytes()[:-100])
    again = opened(server.url("a.h5"))
    assert not index_of(again).complete
    np.testing.assert_array_equal(again.read_plane(PlaneKey(z=9)), data[9])


@pytest.mark.parametrize("wrong", ["order", "columns", "kind"])
def test_an_index_that_makes_no_sense_is_none(wrong: str) -> None:
    rows = np.tile(np.arange(2000, dtype=np.uint64), (4, 1))
    rows = {"order": rows[:, ::-1], "columns": rows[:3], "kind": rows.astype(np.int64)}[wrong]
    cache = DiskCache(default_folder())
    cache.put("key", rows)
    assert hdf5_saved.load(cache, "key") is None


@pytest.mark.parametrize("option", ["cache_dir", "disk_cache"])
def test_an_index_is_kept_where_the_person_said_or_nowhere(
    tmp_path: Path, server: RangeServer, opened: Open, option: str
) -> None:
    write(tmp_path / "a.h5", volume(MANY), chunks=(1, 8, 8))
    elsewhere = tmp_path / "elsewhere"
    source = opened(server.url("a.h5"), {option: str(elsewhere) if option == "cache_dir" else "no"})
    source.read_plane(PlaneKey())
    wait_until(lambda: index_of(source).complete)
    source._shot._thread.join(TIMEOUT)
    assert not list((tmp_path / "kept").rglob("*.plane"))
    assert bool(list(elsewhere.rglob("*.plane"))) == (option == "cache_dir")


def test_few_chunks_are_kept_as_well(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    write(tmp_path / "a.h5", chunks=(1, 37, 53))
    source = opened(server.url("a.h5"))
    assert_shows(source, volume())
    wait_until(lambda: index_of(source).complete)
    source._shot._thread.join(TIMEOUT)
    source.close()
    again = opened(server.url("a.h5"))
    assert index_of(again).complete
    assert_shows(again, volume())


def test_local_files_whose_chunks_are_found_at_once_are_not_indexed(tmp_path: Path, opened: Open) -> None:
    source = opened(str(write(tmp_path / "a.h5", volume(MANY), chunks=(1, 8, 8))))
    source.read_plane(PlaneKey(z=3))
    assert source._shot._thread is None


def test_closing_ends_an_index_that_is_being_built(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    for libver in ("earliest", "latest"):
        write(tmp_path / "a.h5", volume((3000, 8, 8)), libver=libver, chunks=(1, 8, 8), maxshape=(None, 8, 8))
        source = opened(server.url("a.h5"))
        source.read_plane(PlaneKey())
        source.close()
        assert not source._shot._thread.is_alive()
        (tmp_path / "a.h5").unlink()


# ---- what goes wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "wrong_range", "html"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_bad_lines_give_right_pixels_or_an_error(
    tmp_path: Path, server: RangeServer, opened: Open, fault: str, libver: str
) -> None:
    data = volume((20, 64, 64))
    write(tmp_path / "a.h5", data, libver=libver, chunks=(1, 64, 64), **GZIP)
    server.set(faults={fault: 0.2}, seed=3)
    right = 0
    for _ in range(3):
        try:
            source = opened(server.url("a.h5"))
        except DatasetError as error:
            assert "a.h5" in str(error)
            continue
        for z in range(20):
            try:
                np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), data[z])
                right += 1
            except DatasetError as error:
                assert "a.h5" in str(error)
        source.close()
    assert right or fault in ("html", "wrong_range")


def test_a_file_that_changes_on_the_server_is_read_anew_when_told(
    tmp_path: Path, server: RangeServer, opened: Open
) -> None:
    path = write(tmp_path / "a.h5", volume((600, 64, 64)), chunks=(1, 64, 64), maxshape=(None, 64, 64))
    source = opened(server.url("a.h5"))
    info = source.refresh()
    assert info is source.info
    with h5py.File(path, "a") as file:
        file["a"].resize(601, axis=0)
        file["a"][...] = 3
    with pytest.raises(DatasetError, match="changed"):
        source.read_plane(PlaneKey(t=500))
    assert source.refresh().n_t == 601
    assert (source.read_plane(PlaneKey(t=600)) == 3).all()


def test_a_file_still_being_uploaded_says_so(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    path = write(tmp_path / "a.h5", chunks=(1, 37, 53))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CorruptDataError, match="truncated"):
        opened(server.url("a.h5"))


@pytest.mark.parametrize(
    "how", [{"chunks": (1, 512, 512), **GZIP}, {"chunks": (1, 512, 512), "scaleoffset": 0}]
)
def test_closing_ends_reads_under_way(
    tmp_path: Path, server: RangeServer, opened: Open, how: dict[str, Any]
) -> None:
    write(tmp_path / "a.h5", volume(LARGE), **how)
    source = opened(server.url("a.h5"))
    source.read_plane(PlaneKey())
    server.set(faults={"stall": 1.0})
    with no_collections():
        reads = [in_thread(source.read_plane, PlaneKey(z=z)) for z in (5, 9)]
        wait_until(lambda: server.counts()["in_flight"] > 0)
        source.close()
    for read in reads:
        with pytest.raises(DatasetError):
            read.result(TIMEOUT)


def test_signatures_are_in_no_message(tmp_path: Path, server: RangeServer, opened: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (3, 40, 40), "u2", chunks=(1, 20, 20))
    server.set(query="signature=secret")
    source = opened(server.url("a.h5") + "?signature=secret::/a")
    assert source.info.name == "a.h5::/a"
    with pytest.raises(PlaneNotStoredError) as caught:
        source.read_plane(PlaneKey())
    assert "a.h5" in str(caught.value)
    assert "secret" not in str(caught.value) + " ".join(source.info.warnings)
    with pytest.raises(IndexError) as beyond:
        source.plane_shape(PlaneKey(), 1)
    source.close()
    with pytest.raises(DatasetError) as closed:
        source.read_plane(PlaneKey())
    assert "secret" not in str(beyond.value) + str(closed.value)


# ---- the garbage collector -------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 8])
def test_the_collector_may_free_objects_of_h5py_in_any_thread(threads: int) -> None:
    command = [sys.executable, "-m", "tests.stress_remote_gc", "--rounds", "60", "--patience", "60"]
    root = Path(__file__).parents[1]
    ended = subprocess.run(
        [*command, "--threads", str(threads)], capture_output=True, text=True, cwd=root, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "60 of 60 planes right" in ended.stdout


def test_closing_does_not_wait_for_a_server_that_is_silent_under_h5py(
    tmp_path: Path, server: RangeServer
) -> None:
    stress_remote_gc.write_many_series(tmp_path / "many.nwb")
    file = HDF5File(server.url("many.nwb"), {"timeout": "3"})
    file.bytes._blocks.clear()  # all that is asked for has been fetched already
    server.set(latency_s=60)  # a byte that came after `close` would end the read at once

    def walk() -> int:
        with file.reading("its datasets"):
            return len(list(file.walk(seconds=TIMEOUT)))

    with no_collections():
        walked = in_thread(walk)
        wait_until(lambda: server.counts()["requests"] > 0)
        file.close()  # returns, though the thread is inside h5py
        assert not walked.done()
    with pytest.raises(DatasetError, match="was closed"):
        walked.result(TIMEOUT)
    assert not file._file, "whoever came out of h5py last has closed it"
