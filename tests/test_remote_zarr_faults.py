"""OME-Zarr on servers: what is missing, and servers that fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written, keys

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
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr import tensorstore_context as zarr_native
from ndviewer_light.sources.zarr.missing_chunks import MAX_ASKED
from tests.range_server import RangeServer
from tests.zarr_on_servers import (
    HERE,
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

    Open = Callable[..., ZarrSource]

pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    yield from serving(tmp_path_factory)


@pytest.fixture
def server(module_server: RangeServer) -> Iterator[RangeServer]:
    """A server that serves what the test writes below `server.folder`."""
    yield from emptied_afterwards(module_server)


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


@pytest.mark.parametrize("page", ["html", "made"])
def test_web_application_that_has_a_page_for_everything(server: RangeServer, opened: Open, page: str) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 1}, version=2, preset=None)
    (server.folder / "p.zarr/zarr.json").write_text("")  # so that there is an answer
    server.set(faults={page: 1.0}, only="zarr.json")
    assert_shows_what_was_written(opened(server.url("p.zarr")))


@pytest.mark.parametrize("name", ["a.tif", "a.h5"])
def test_a_page_without_a_length_is_said_to_be_one_at_once(server: RangeServer, name: str) -> None:
    (server.folder / name).write_text("x")
    server.set(faults={"made": 1.0})
    with pytest.raises(DatasetPermissionError, match=r"how large .* use the direct download link"):
        open_source(server.url(name))


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
