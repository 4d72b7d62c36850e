"""OME-Zarr on servers: the same planes as from disk, in few requests."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written, keys

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    DatasetError,
)
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.storage.remote import client as fetch_client
from tests.conftest import left_after_grace
from tests.zarr_on_servers import (
    ONE,
    a_lonely_machine,  # noqa: F401
    emptied_afterwards,
    paths,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources.zarr.source import ZarrSource
    from tests.range_server import RangeServer

    Open = Callable[..., ZarrSource]

pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    yield from serving(tmp_path_factory)


@pytest.fixture
def server(module_server: RangeServer) -> Iterator[RangeServer]:
    """A server that serves what the test writes below `server.folder`."""
    yield from emptied_afterwards(module_server)


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
    reader.join(60)
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
    version_of = fetch_client.told_version
    names = []
    for days, etag in ((2, "a"), (2, "a"), (2, "b"), (0.5, "a")):
        said = (datetime.now(timezone.utc).replace(minute=0) - timedelta(days=days)).isoformat()

        def dated(meta: Any, said: str = said, etag: str = etag) -> Any:
            return version_of(meta)._replace(modified=said[:13] + ":00:00+00:00", etag=etag)

        monkeypatch.setattr(fetch_client, "told_version", dated)
        names.append(opened(server.url("i.zarr")).identity)
    assert names[0] == names[1] is not None
    assert names[2] not in (None, names[0])
    assert names[3] is None


def test_planes_that_were_kept_on_disk_are_not_fetched_again(
    server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(server.folder / "i.zarr", preset="fast")
    version_of = fetch_client.told_version
    long_ago = "2020-01-01T00:00:00+00:00"
    monkeypatch.setattr(
        fetch_client, "told_version", lambda meta: version_of(meta)._replace(modified=long_ago)
    )
    for chunks in (8, 0):
        server.set()
        with open_dataset(server.url("i.zarr"), storage_options={"cache_dir": str(tmp_path)}) as dataset:
            values = dataset.to_xarray().values
        np.testing.assert_array_equal(values[1, 0, 1, 0], stores.plane(t=1, z=1))
        assert len([path for path in paths(server) if "/c/" in path]) == chunks
