"""OME-Zarr on servers: the same planes as from disk, few requests, words that help when something fails."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    PlaneNotStoredError,
    ReadTimeoutError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr import tensorstore_context as zarr_native
from ndviewer_light.sources.zarr.format import ZarrFormat
from ndviewer_light.sources.zarr.missing_chunks import MAX_ASKED
from ndviewer_light.storage.remote import client as fetch_client
from ndviewer_light.storage.remote import retries
from ndviewer_light.storage.remote.remote_bytes import set_in_flight
from ndviewer_light.storage.remote.scheduler import IN_FLIGHT, the_scheduler
from ndviewer_light.storage.trees import url as url_tree
from tests.bucket_server import BUCKET, BucketServer
from tests.conftest import left_after_grace
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ndviewer_light.model import DatasetInfo
    from ndviewer_light.sources.zarr.source import ZarrSource

    Open = Callable[..., ZarrSource]

pytest.importorskip("obstore")

ONE = {"t": 1, "c": 1, "z": 1}
HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def a_lonely_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nobody has set up credentials, and failed requests are tried again at once."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(retries, "RETRY_SECONDS", (0.01, 0.01))
    quick = {"max_retries": 4, "initial_delay": "5ms", "max_delay": "20ms"}
    monkeypatch.setattr(zarr_native, "_RETRIES", quick)
    yield
    set_in_flight(IN_FLIGHT)
    the_scheduler().stop()  # it would by itself, a little later


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def server(module_server: RangeServer) -> Iterator[RangeServer]:
    """A server that serves what the test writes below `server.folder`."""
    module_server.set()
    yield module_server
    for entry in list(module_server.folder.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def keys(info: DatasetInfo) -> Iterator[PlaneKey]:
    sizes = info.sizes
    yield from itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz")))


def assert_shows_what_was_written(source: ZarrSource, p_of: dict[str, int] | None = None) -> None:
    for key in keys(source.info):
        label = source.info.positions[key.p].label
        expected = stores.plane(**key._replace(p=p_of[label] if p_of else key.p)._asdict())
        np.testing.assert_array_equal(source.read_plane(key), expected, err_msg=f"{label} {key}")


def paths(server: RangeServer) -> list[str]:
    return [entry["path"] for entry in server.log()]


# ---- every layout --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_plate(server: RangeServer, opened: Open, version: int) -> None:
    wells = {"B/10": 1, "A/2": 2}
    stores.write_plate(server.folder / "p.zarr", wells, version=version, preset=None, planned=["C/1"])
    source = opened(server.url("p.zarr"))
    assert (source.info.format, source.info.name) == ("ome-zarr plate", "p.zarr")
    assert_shows_what_was_written(source, {"B10:0": 0, "A2:0": 1, "A2:1": 2})


@pytest.mark.parametrize("version", [2, 3])
def test_well_of_a_plate_keeps_its_name(server: RangeServer, opened: Open, version: int) -> None:
    stores.write_plate(server.folder / "p.zarr", {"C/7": 2}, version=version, preset=None)
    source = opened(server.url("p.zarr/C/7"))
    assert [position.label for position in source.info.positions] == ["C7:0", "C7:1"]
    assert_shows_what_was_written(source)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("listed", [True, False])
def test_series_of_a_collection(server: RangeServer, opened: Open, version: int, listed: bool) -> None:
    stores.write_collection(
        server.folder / "c.zarr", 11, version=version, listed=listed, preset=None, sizes=ONE
    )
    source = opened(server.url("c.zarr/"))
    assert [position.label for position in source.info.positions] == [f"series:{i}" for i in range(11)]
    assert_shows_what_was_written(source)


def test_6d_store(server: RangeServer, opened: Open) -> None:
    stores.write_6d(server.folder, {"r": 3}, preset="balanced")
    source = opened(server.url("zarr/r/acquisition.zarr"))
    assert source.info.format == "ome-zarr 6d"
    assert_shows_what_was_written(source)


@pytest.mark.parametrize("preset", stores.SQUID_PRESETS)
@pytest.mark.parametrize("tile", [None, 8])
def test_image_in_every_codec_chain(server: RangeServer, opened: Open, preset: str, tile: int | None) -> None:
    stores.write_squid_image(server.folder / "i.ome.zarr", preset, tile=tile)
    assert_shows_what_was_written(opened(server.url("i.ome.zarr")))


@pytest.mark.parametrize("version", [2, 3])
def test_array_alone(server: RangeServer, opened: Open, version: int) -> None:
    store = stores.create_array(server.folder / "a", [2, 3, stores.HEIGHT, stores.WIDTH], version=version)
    stores.fill(store, "czyx")
    source = opened(server.url("a"))
    assert source.info.format == "zarr array"
    assert_shows_what_was_written(source)


@pytest.mark.parametrize("version", [2, 3])
def test_array_that_carries_the_metadata_of_its_image(
    server: RangeServer, opened: Open, version: int
) -> None:
    store = stores.create_array(server.folder / "a.zarr", [2, 24, 40], version=version)
    stores.fill(store, "cyx")
    attributes = stores.image_attributes("cyx", paths=["."], channels=stores.CHANNELS[:2])
    if version == 3:
        stores.merge_attributes(server.folder / "a.zarr", attributes)
    else:
        stores.write_json(server.folder / "a.zarr/.zattrs", attributes)
    source = opened(server.url("a.zarr"))
    assert [channel.name for channel in source.info.channels] == list(stores.CHANNELS[:2])
    assert_shows_what_was_written(source)


def test_array_without_its_group(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    (server.folder / "i.zarr/zarr.json").unlink()
    assert_shows_what_was_written(opened(server.url("i.zarr")))


@pytest.mark.parametrize("version", [2, 3])
def test_all_levels_of_a_pyramid(server: RangeServer, opened: Open, version: int) -> None:
    stores.write_pyramid(server.folder / "i.zarr", version=version, names=("full", "half"))
    source = opened(server.url("i.zarr"))
    for level in range(2):
        shape = (stores.HEIGHT >> level, stores.WIDTH >> level)
        np.testing.assert_array_equal(
            source.read_plane(PlaneKey(c=1), level), stores.plane(c=1, z=level, shape=shape)
        )


@pytest.mark.parametrize("name", ["my data é+%41.zarr", "a#b.zarr"])
def test_names_with_signs_that_urls_spell_differently(server: RangeServer, opened: Open, name: str) -> None:
    stores.write_plate(server.folder / name, {"A b?#%41é+/1": 1}, preset="none", sizes=ONE)
    assert_shows_what_was_written(opened(server.url(name)))


@pytest.mark.parametrize("file", ["zarr.json", "0/zarr.json"])
def test_metadata_file_opens_what_it_describes(server: RangeServer, opened: Open, file: str) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    assert_shows_what_was_written(opened(server.url(f"i.zarr/{file}")))


# ---- few requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_first_plane_of_an_image_costs_four_requests_and_the_next_one(
    server: RangeServer, opened: Open, version: int
) -> None:
    stores.write_image(server.folder / "i.zarr", version=version, preset=None)
    server.set()
    source = opened(server.url("i.zarr"))
    source.read_plane(PlaneKey())
    assert server.counts()["requests"] + server.counts()["heads"] == 4
    source.read_plane(PlaneKey(t=1))
    assert server.counts()["requests"] + server.counts()["heads"] == 5


@pytest.mark.parametrize("version", [2, 3])
def test_wells_of_a_plate_are_asked_for_together(server: RangeServer, opened: Open, version: int) -> None:
    wells = [f"{row}/{column}" for row in "ABCDEFGH" for column in range(1, 13)]
    stores.write_group(
        server.folder / "p.zarr", {"plate": {"wells": [{"path": path} for path in wells]}}, version
    )
    for path in wells:
        images = [{"path": str(i)} for i in range(4)]
        stores.write_group(server.folder / "p.zarr" / path, {"well": {"images": images}}, version)
    stores.write_image(server.folder / "p.zarr/A/1/0", version=version, preset=None, sizes=ONE)
    server.set(latency_s=0.1)
    source = opened(server.url("p.zarr"))
    counts = server.counts()
    assert len(source.info.positions) == 4 * 96
    assert counts["requests"] <= 2 + 96 + 2
    assert counts["max_in_flight"] >= 16


def test_next_position_costs_its_two_metadata_files_and_its_plane(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 3}, preset="none", sizes=ONE)
    source = opened(server.url("p.zarr"))
    source.read_plane(PlaneKey())
    before = server.counts()["requests"]
    source.read_plane(PlaneKey(p=1))
    assert server.counts()["requests"] == before + 3


def test_planes_that_share_a_chunk_fetch_it_once(server: RangeServer, opened: Open) -> None:
    store = stores.create_array(server.folder / "a.zarr", [6, 24, 40], chunk=[6, 24, 40])
    stores.fill(store, "zyx")
    source = opened(server.url("a.zarr"))
    assert_shows_what_was_written(source)
    assert len([path for path in paths(server) if "/c/" in path]) == 1


def test_index_of_a_shard_is_fetched_once(server: RangeServer, opened: Open) -> None:
    stores.write_image(
        server.folder / "i.zarr", sizes={"t": 1, "c": 8, "z": 1}, preset="none", shard_channels=True
    )
    source = opened(server.url("i.zarr"))
    assert_shows_what_was_written(source)
    assert len([path for path in paths(server) if "/c/" in path]) == 1 + 8


def test_what_was_asked_for_is_not_asked_for_again(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 2}, preset="none", sizes=ONE)
    source = opened(server.url("p.zarr"))
    for _ in range(2):
        assert_shows_what_was_written(source)
    metadata = [path for path in paths(server) if "/c/" not in path]
    assert len(metadata) == len(set(metadata))


# ---- threads, processes, closing -----------------------------------------------------------------


def test_many_threads_read_at_once(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 4}, preset="fast")
    source = opened(server.url("p.zarr"))
    server.set(latency_s=0.1)
    wrong: list[Any] = []

    def read(key: PlaneKey) -> None:
        if not np.array_equal(source.read_plane(key), stores.plane(**key._asdict())):
            wrong.append(key)

    threads = [threading.Thread(target=read, args=(key,)) for key in keys(source.info)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert server.counts()["max_in_flight"] >= 8


def test_lazy_array_travels_to_another_process(server: RangeServer) -> None:
    stores.write_image(server.folder / "i.zarr", preset="fast")
    with open_dataset(server.url("i.zarr"), storage_options={"anonymous": "yes"}) as dataset:
        packed = pickle.dumps(dataset.to_xarray())
    code = (
        "import pickle, sys, numpy as np\n"
        "array = pickle.loads(sys.stdin.buffer.read())\n"
        "sys.stdout.buffer.write(array.values.tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=packed, capture_output=True, timeout=60, check=True
    )
    values = np.frombuffer(done.stdout, np.uint16).reshape(2, 1, 2, 2, stores.HEIGHT, stores.WIDTH)
    for t, z, c in np.ndindex(2, 2, 2):
        np.testing.assert_array_equal(values[t, 0, z, c], stores.plane(t=t, z=z, c=c))


def test_reader_process_reads_it(server: RangeServer) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 2}, preset="fast", sizes=ONE)
    reader = IsolatedSource.open(server.url("p.zarr"), {"disk_cache": "no"})
    try:
        np.testing.assert_array_equal(reader.read_plane(PlaneKey(p=1)), stores.plane(p=1))
    finally:
        reader.close()


def test_close_ends_a_read_that_waits_for_the_server(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    source = opened(server.url("i.zarr"))
    server.set(faults={"stall": 1.0}, only="/c/", stall_s=30)
    outcome: list[Exception] = []

    def read() -> None:
        try:
            source.read_plane(PlaneKey())
        except DatasetError as error:
            outcome.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert not left_after_grace(lambda: [] if server.counts()["in_flight"] else ["no request yet"])
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert "closed" in str(outcome[0])
    server.set()  # lets the stalled answer end


def test_refresh_sees_what_was_added(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1}, preset="none", sizes=ONE)
    source = opened(server.url("p.zarr"))
    source.read_plane(PlaneKey())
    file = server.folder / "p.zarr/A/1/0/0/zarr.json"
    document = json.loads(file.read_text())
    document["shape"][0] = 2
    file.write_text(json.dumps(document))
    shutil.copytree(server.folder / "p.zarr/A/1/0/0/c/0", server.folder / "p.zarr/A/1/0/0/c/1")
    shutil.copytree(server.folder / "p.zarr/A/1/0", server.folder / "p.zarr/A/1/1")
    stores.write_group(server.folder / "p.zarr/A/1", {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(t=1))
    info = source.refresh()
    assert (info.n_t, len(info.positions)) == (2, 2)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, p=1)), stores.plane())


def test_only_what_nobody_has_touched_for_a_day_has_a_name_to_be_kept_under(
    server: RangeServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    assert opened(server.url("i.zarr")).identity is None  # this server does not say when
    version_of = fetch_client._version_of
    names = []
    for days, etag in ((2, "a"), (2, "a"), (2, "b"), (0.5, "a")):
        said = (datetime.now(timezone.utc).replace(minute=0) - timedelta(days=days)).isoformat()

        def dated(meta: Any, said: str = said, etag: str = etag) -> Any:
            return version_of(meta)._replace(modified=said[:13] + ":00:00+00:00", etag=etag)

        monkeypatch.setattr(fetch_client, "_version_of", dated)
        names.append(opened(server.url("i.zarr")).identity)
    assert names[0] == names[1] is not None
    assert names[2] not in (None, names[0])
    assert names[3] is None


def test_planes_that_were_kept_on_disk_are_not_fetched_again(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(server.folder / "i.zarr", preset="fast")
    version_of = fetch_client._version_of
    long_ago = "2020-01-01T00:00:00+00:00"
    monkeypatch.setattr(
        fetch_client, "_version_of", lambda meta: version_of(meta)._replace(modified=long_ago)
    )
    for chunks in (8, 0):
        server.set()
        with open_dataset(server.url("i.zarr"), storage_options={"cache_dir": str(tmp_path)}) as dataset:
            values = dataset.to_xarray().values
        np.testing.assert_array_equal(values[1, 0, 1, 0], stores.plane(t=1, z=1))
        assert len([path for path in paths(server) if "/c/" in path]) == chunks


# ---- what is missing -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 403])
def test_plane_that_is_not_there(server: RangeServer, opened: Open, status: int) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none", skip=[(1, 0, 0, 0)])
    server.set(missing_status=status)
    source = opened(server.url("i.zarr"))
    with pytest.raises(PlaneNotStoredError) as raised:
        source.read_plane(PlaneKey(t=1))
    assert raised.value.plane_shape == (stores.HEIGHT, stores.WIDTH)
    assert any("403" in warning for warning in source.info.warnings) is (status == 403)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("status", [404, 403])
def test_missing_tile_of_a_plane_is_fill_value(
    server: RangeServer, opened: Open, status: int, sharded: bool
) -> None:
    metadata = {"fill_value": 7}
    shard = [1, 16, 24] if sharded else None
    store = stores.create_array(
        server.folder / "a.zarr", [2, 24, 40], chunk=[1, 8, 8], shard=shard, metadata=metadata
    )
    stores.fill(store, "zyx")
    for file in (server.folder / "a.zarr/c/0").rglob("*"):
        if file.is_file() and (file.parent.name, file.name) == ("0", "1"):
            file.unlink()
    shutil.rmtree(server.folder / "a.zarr/c/1")
    server.set(missing_status=status)
    source = opened(server.url("a.zarr"))
    expected = stores.plane()
    expected[(slice(0, 16), slice(24, 40)) if sharded else (slice(0, 8), slice(8, 16))] = 7
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected)
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=1))


PARTS = {
    "tiles": {"chunk": [1, 8, 8]},
    "v2": {"chunk": [1, 8, 8], "version": 2},
    "shards": {"chunk": [1, 8, 8], "shard": [1, 16, 24]},
    "shards of planes": {"chunk": [1, 8, 8], "shard": [2, 24, 40]},
}


@pytest.mark.parametrize("part", [Region(0, 0, 8, 8), Region(16, 32, 8, 8)])
@pytest.mark.parametrize("how", PARTS)
@pytest.mark.parametrize("status", [404, 403])
def test_whichever_part_of_a_plane_is_stored_the_others_are_fill_value(
    server: RangeServer, opened: Open, status: int, how: str, part: Region
) -> None:
    store = stores.create_array(server.folder / "a.zarr", [4, 24, 40], **PARTS[how])
    store[(2, *part.slices)] = 5
    server.set(missing_status=status)
    source = opened(server.url("a.zarr"))
    server.set(missing_status=status)
    assert not source.read_region(PlaneKey(z=2), Region(8, 16, 8, 8)).any()
    assert server.counts()["bytes"] < 4096, "no pixels are fetched to see whether there are any"
    source = opened(server.url("a.zarr"))
    with pytest.raises(PlaneNotStoredError) as raised:
        source.read_plane(PlaneKey(z=1))
    assert raised.value.is_fill_value, "a later plane is stored"


def test_of_many_chunks_some_are_asked_for_once_and_it_is_said(server: RangeServer, opened: Open) -> None:
    store = stores.create_array(server.folder / "a.zarr", [1, 160, 160], chunk=[1, 8, 8])
    store[0, 152:, 152:] = 5
    source = opened(server.url("a.zarr"))
    server.set()
    for region, n_requests in ((Region(0, 0, 8, 8), 1 + MAX_ASKED), (Region(8, 0, 8, 8), 1)):
        server.set()
        with pytest.raises(PlaneNotStoredError, match="the 64 that were asked for of its 400 chunks"):
            source.read_region(PlaneKey(), region)
        counts = server.counts()
        assert counts["requests"] + counts["heads"] == n_requests
    assert source.read_region(PlaneKey(), Region(152, 152, 8, 8)).all()
    assert not source.read_region(PlaneKey(), Region(8, 0, 8, 8)).any()


def test_metadata_that_a_bucket_refuses_are_missing(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1}, version=2, preset=None, planned=["B/1"])
    server.set(missing_status=403)
    assert_shows_what_was_written(opened(server.url("p.zarr")))


def test_web_application_that_has_a_page_for_everything(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1}, version=2, preset=None)
    (server.folder / "p.zarr/zarr.json").write_text("")  # so that there is an answer
    server.set(faults={"html": 1.0}, only="zarr.json")
    assert_shows_what_was_written(opened(server.url("p.zarr")))


def test_link_that_runs_out_is_not_taken_for_missing_planes(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(query="sig=se%2Fcret")
    source = opened(server.url("i.zarr") + "?sig=se%2Fcret")
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    server.set(query="sig=other")
    with pytest.raises(DatasetPermissionError, match="expired") as raised:
        source.read_plane(PlaneKey(t=1))
    assert "secret" not in str(raised.value) and "cret" not in str(raised.value)
    assert "cret" not in source.info.name


@pytest.mark.parametrize(
    ("behaviour", "error", "says"),
    [
        ({}, DatasetNotFoundError, "cannot be listed"),
        ({"missing_status": 403}, DatasetPermissionError, "403"),
        ({"user": "a:b"}, DatasetPermissionError, "401"),
        ({"faults": {"html": 1.0}}, DatasetPermissionError, "web page"),
        ({"faults": {"503": 1.0}}, DatasetError, "503"),
        ({"faults": {"drop": 1.0}}, DatasetError, "closed the connection"),
        ({"faults": {"truncate": 1.0}}, CorruptDataError, "less of"),
    ],
    ids=["404", "403", "401", "html", "503", "drop", "truncate"],
)
def test_folder_that_is_none_says_why(
    server: RangeServer, behaviour: dict[str, Any], error: type[Exception], says: str
) -> None:
    (server.folder / "folder").mkdir()
    (server.folder / "folder/zarr.json").write_text("{}" if "faults" in behaviour else "")
    if "faults" not in behaviour:
        (server.folder / "folder/zarr.json").unlink()
    server.set(**behaviour)
    with pytest.raises(error, match=says) as raised:
        open_source(server.url("folder") + "?sig=cret")
    assert server.url("folder") in str(raised.value)
    assert "cret" not in str(raised.value)


def test_wells_that_cannot_be_read_cost_a_warning_not_the_plate(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1, "A/2": 1}, preset="none", sizes=ONE)
    server.set(faults={"500": 1.0}, only="/A/2/zarr.json")
    source = opened(server.url("p.zarr"))
    assert [position.label for position in source.info.positions] == ["A1:0"]
    assert any("A/2" in warning and "500" in warning for warning in source.info.warnings)


@pytest.mark.parametrize("path", ["../other", "a/../../b"])
def test_paths_that_lead_out_are_refused_without_asking_for_them(server: RangeServer, path: str) -> None:
    stores.write_group(server.folder / "p.zarr", {"plate": {"wells": [{"path": path}]}})
    with pytest.raises(UntrustedReferenceError):
        open_source(server.url("p.zarr"))
    assert set(paths(server)) <= {"/p.zarr/zarr.json", "/p.zarr/.zattrs"}


# ---- servers that fail ---------------------------------------------------------------------------

PASSING = ["drop", "503", "truncate"]
WRONG = ["short", "no_range", "wrong_range", "html"]


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("fault", PASSING)
def test_failures_that_pass_are_tried_again(
    server: RangeServer, opened: Open, fault: str, sharded: bool
) -> None:
    stores.write_image(
        server.folder / "i.zarr",
        preset="none",
        sizes={"t": 4, "c": 4},
        shard_channels=sharded,
        attributes=stores.image_attributes(channels="abcd"),
    )
    server.set(faults={fault: 0.2}, seed=3)
    assert_shows_what_was_written(opened(server.url("i.zarr")))
    assert server.counts()["faults"]


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("fault", [*PASSING, *WRONG, "404", "401", "500"])
def test_no_failure_makes_wrong_pixels(server: RangeServer, opened: Open, fault: str, sharded: bool) -> None:
    stores.write_image(
        server.folder / "i.zarr", preset="none", sizes={"t": 6, "c": 3}, shard_channels=sharded
    )
    source = opened(server.url("i.zarr"))
    server.set(faults={fault: 0.5}, only="/c/", seed=1)
    failed = 0
    for key in keys(source.info):
        try:
            pixels = source.read_plane(key)
        except DatasetError as error:
            failed += 1
            assert HERE in str(error)
            continue
        np.testing.assert_array_equal(pixels, stores.plane(**key._asdict()), err_msg=str(key))
    assert failed or fault in (*PASSING, "500", "no_range", "wrong_range")


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("drop", DatasetError, "closed the connection"),
        ("503", DatasetError, "overloaded or out of service"),
        ("truncate", CorruptDataError, "less of"),
        ("401", DatasetPermissionError, "requires authentication"),
        ("short", CorruptDataError, "damaged"),
        ("html", CorruptDataError, "damaged"),
        ("418", DatasetError, "418"),
    ],
)
def test_failures_that_stay_are_told(
    server: RangeServer, opened: Open, fault: str, error: type[Exception], says: str
) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    source = opened(server.url("i.zarr") + "?sig=cret")
    server.set(faults={fault: 1.0}, only="/c/")
    with pytest.raises(error, match=says) as raised:
        source.read_plane(PlaneKey())
    text = str(raised.value)
    assert server.url("i.zarr/0/c/0/0/0/0/0") in text
    assert "cret" not in text and "tensorstore" not in text and "[" not in text


SLOW = """
import sys, time
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr import tensorstore_context as zarr_native
from ndviewer_light.model import PlaneKey
zarr_native._RETRIES["max_retries"] = 1
source = open_source(sys.argv[1], {"timeout": "1"})
try:
    source.read_plane(PlaneKey())
except TimeoutError as error:
    print(error)
"""


def test_silent_server_is_not_waited_for_for_ever(server: RangeServer) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(faults={"stall": 1.0}, only="/c/", stall_s=60)
    # in a process of its own: tensorstore understands limits of time once
    done = subprocess.run(
        [sys.executable, "-c", SLOW, server.url("i.zarr")],
        env={name: value for name, value in os.environ.items() if not name.startswith("TENSORSTORE_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "stopped sending" in done.stdout, done
    server.set()


def test_answer_that_only_drips_is_given_up(
    server: RangeServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_native, "_SLOWEST_START_S", 0.3)
    stores.write_image(server.folder / "i.zarr", preset="none")
    source = opened(server.url("i.zarr"), timeout="1")
    server.set(faults={"stall": 1.0}, only="/c/", stall_s=30)
    with pytest.raises(ReadTimeoutError, match="timed out"):
        source.read_plane(PlaneKey())
    server.set()


def test_server_that_goes_away_is_told(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    with RangeServer(tmp_path) as short_lived:
        source = opened(short_lived.url("i.zarr"))
    with pytest.raises(DatasetError, match="does not answer"):
        source.read_plane(PlaneKey())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://no-such-host.invalid/a.zarr", "cannot resolve host no-such-host.invalid"),
        (f"http://{HERE}:9/a.zarr", "does not answer"),
    ],
)
def test_servers_that_are_not_there(url: str, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        open_source(url)


def test_without_the_client_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[remote\]'"):
        open_source(f"http://{HERE}:9/a.zarr")


# ---- who may read, and where it is ---------------------------------------------------------------


def test_login_by_options_or_in_the_address(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(user="bob:se cret")
    assert opened(server.url("i.zarr"), user="bob", password="se cret").info.name == "i.zarr"
    for source in (
        opened(server.url("i.zarr"), user="bob", password="se cret"),
        opened(server.url("i.zarr").replace("//", "//bob:se%20cret@")),
    ):
        assert_shows_what_was_written(source)
        assert "cret" not in str(source.info)
    with pytest.raises(DatasetPermissionError, match="401"):
        opened(server.url("i.zarr"), user="bob", password="wrong")


def test_login_is_sent_to_no_other_computer(server: RangeServer, tmp_path: Path, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    tree = url_tree.UrlTree(server.url("redirect/i.zarr").replace("//", "//bob:cret@"))
    assert "headers" in tree.kvstore(tree.root + "/0")
    server.set(redirect=server.url("i.zarr/0/c/0/0/0/0/0").replace(HERE, "localhost"))
    tree.follow(server.url("redirect/i.zarr/0/c/0/0/0/0/0"))
    kvstore = tree.kvstore(tree.root + "/0")
    assert kvstore["base_url"].startswith("http://localhost:")
    assert "headers" not in kvstore
    assert len(tree.hosts()) == 2


def test_redirects_are_followed(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 2}, preset="none", sizes=ONE)
    source = opened(server.url("redirect/p.zarr"))
    assert_shows_what_was_written(source)
    chunks = [path for path in paths(server) if "/c/" in path]
    assert len([path for path in chunks if "redirect" in path]) <= 2  # asked once where it leads


def test_signature_for_each_file_is_told(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(query="sig=1")  # which redirections add
    source = opened(server.url("redirect/i.zarr"))
    with pytest.raises(UnsupportedError, match="signature"):
        source.read_plane(PlaneKey())


def test_circle_of_redirects_is_told(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    source = opened(server.url("redirect/i.zarr"))
    server.set(redirect=server.url("redirect/round"))
    with pytest.raises(UntrustedReferenceError, match="loop"):
        source.read_plane(PlaneKey())


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    pytest.importorskip("moto.server", reason="S3 is tested on moto's server")
    with BucketServer() as server:
        yield server


def upload(bucket: BucketServer, folder: Path, prefix: str, *, public: bool) -> str:
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.put(f"{prefix}/{file.relative_to(folder)}", file.read_bytes(), public=public)
    return f"s3://{BUCKET}/{prefix}"


@pytest.mark.parametrize("version", [2, 3])
def test_public_bucket(bucket: BucketServer, tmp_path: Path, opened: Open, version: int) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2}, version=version, preset=None, sizes=ONE)
    url = upload(bucket, tmp_path / "p.zarr", f"public{version}/p.zarr", public=True)
    source = opened(url, endpoint=bucket.endpoint)
    assert_shows_what_was_written(source)
    assert source._tree.hosts() == (bucket.endpoint.removeprefix("http://"),)


def test_private_bucket(
    bucket: BucketServer, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none", sizes=ONE)
    url = upload(bucket, tmp_path / "i.zarr", "private/i.zarr", public=False)
    with pytest.raises(DatasetPermissionError, match="'key' and 'secret'"):
        opened(url, endpoint=bucket.endpoint)
    source = opened(url, endpoint=bucket.endpoint, key="k", secret="cret")
    assert_shows_what_was_written(source)
    credentials = source._tree.kvstore(source._tree.root)["aws_credentials"]["credentials_file"]
    assert (
        Path(credentials).stat().st_mode & 0o077 == 0 or Path(credentials).parent.stat().st_mode & 0o077 == 0
    )
    source.close()
    assert not Path(credentials).exists()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "cret")
    assert_shows_what_was_written(opened(url, endpoint=bucket.endpoint))
    with pytest.raises(DatasetPermissionError):
        opened(url, endpoint=bucket.endpoint, anonymous="yes")


def test_what_is_missing_in_a_bucket(bucket: BucketServer, tmp_path: Path, opened: Open) -> None:
    store = stores.create_array(tmp_path / "a", [2, 24, 40], chunk=[1, 8, 8])
    stores.fill(store, "zyx")
    (tmp_path / "a/c/0/0/1").unlink()
    shutil.rmtree(tmp_path / "a/c/1")
    source = opened(upload(bucket, tmp_path / "a", "sparse.zarr", public=True), endpoint=bucket.endpoint)
    expected = stores.plane()
    expected[0:8, 8:16] = 0
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected)
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=1))


def test_nothing_in_a_bucket(bucket: BucketServer, opened: Open) -> None:
    with pytest.raises((DatasetNotFoundError, DatasetPermissionError), match="nowhere"):
        opened(f"s3://{BUCKET}/nowhere.zarr", endpoint=bucket.endpoint)


def test_public_bucket_of_google(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "bucket/deep/p.zarr", {"A/1": 1}, preset="none", sizes=ONE)
    endpoint = server.url().rstrip("/")
    assert_shows_what_was_written(opened("gs://bucket/deep/p.zarr", endpoint=endpoint))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HERE)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


READ_FIRST = """
import sys
from ndviewer_light.sources import open_source
from ndviewer_light.model import PlaneKey
sys.stdout.buffer.write(open_source(sys.argv[1]).read_plane(PlaneKey()).tobytes())
"""


def test_secure_server_is_read_if_somebody_vouches_for_it(certificate: Path, tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    with RangeServer(tmp_path, tls=certificate) as secure:
        with pytest.raises(DatasetError, match="SSL_CERT_FILE"):
            open_source(secure.url("i.zarr"))
        done = subprocess.run(
            [sys.executable, "-c", READ_FIRST, secure.url("i.zarr")],
            env={**os.environ, "SSL_CERT_FILE": str(certificate)},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == stores.plane().tobytes(), done.stderr


def test_arrays_are_not_looked_for_on_a_line_in_clear(
    certificate: Path, server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RangeServer(tmp_path, tls=certificate) as secure:
        secure.set(redirect=server.url("i.zarr/0/c/0/0/0/0/0"))
        tree = url_tree.UrlTree(secure.url("redirect/i.zarr"))
        with pytest.raises(UntrustedReferenceError, match="not secure"):
            tree.follow(secure.url("redirect/i.zarr/0/c/0/0/0/0/0"))
    assert not paths(server)


# ---- which addresses are ours --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://a.b/x.zarr", True),
        ("https://a.b/x.ome.zarr/", True),
        ("https://a.b/x.zarr?sig=a.nd2", True),
        ("https://a.b/plates/123", True),
        ("https://a.b/plates/x.v2/", True),
        ("s3://bucket/prefix/plate.zarr/A/1/0", True),
        ("gs://bucket/x.zarr/zarr.json", True),
        ("https://a.b/x/.zattrs", True),
        ("https://a.b/x.ozx", True),
        ("https://a.b/x.zarr.zip?download=1", True),
        ("https://a.b/x.nd2", False),
        ("https://a.b/x.zarr/refs.json", False),
        ("https://a.b/x.lindi.json", False),
        ("https://a.b/x.h5", False),
        ("https://a.b/img_{z:0..95}", False),
        ("https://a.b/x.v2", False),
        ("smb://host/share/x.ozx", True),
        ("smb://host/share/x.nd2", False),
        ("smb://host/share/folder", False),
    ],
)
def test_addresses_are_known_by_their_names(url: str, ours: bool) -> None:
    assert ZarrFormat().recognises(url) is ours


def test_store_on_a_share_has_to_be_mounted() -> None:
    with pytest.raises(UnsupportedError, match="mounted"):
        open_source("smb://user:cret@host/share/x.zarr")


def test_wrong_options_are_told(server: RangeServer) -> None:
    with pytest.raises(DatasetError, match="unknown storage option 'endpont'"):
        open_source(server.url("a.zarr"), {"endpont": "x"})
