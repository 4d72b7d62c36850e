"""A server that is stopped while a plane is read from it: an error in time, and others go on."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from memory_source import TIMEOUT, in_thread

from ndviewer_light import errors, open_dataset
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.isolation import spawned_process
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.zarr import tensorstore_context
from tests.range_server import RangeServer
from tests.zarr_on_servers import a_lonely_machine  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

pytest.importorskip("obstore")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be stopped here")

LATER = PlaneKey(1, 0, 1, 1)
START_SECONDS = 5.0
"""How long an answer may take to begin: a minute is for networks."""
SOON = f"""
from ndviewer_light.sources.zarr import tensorstore_context
tensorstore_context._SLOWEST_START_S = {START_SECONDS}
from ndviewer_light.isolation.server import main"""


def in_readers() -> str:
    """What reader processes run first, such that they wait `START_SECONDS` for an answer to begin."""
    soon = spawned_process._BOOTSTRAP.replace("\nfrom ndviewer_light.isolation.server import main", SOON)
    assert soon != spawned_process._BOOTSTRAP
    return soon


def in_this_process(url: str) -> AbstractContextManager[Dataset]:
    return open_dataset(url, storage_options={"timeout": "0.3", "disk_cache": "no"})


def isolated_until_the_server_is_given_up(url: str) -> AbstractContextManager[Dataset]:
    return open_dataset(url, isolate=True, storage_options={"timeout": "0.3", "disk_cache": "no"})


@contextlib.contextmanager
def isolated_until_the_deadline(url: str) -> Iterator[Dataset]:
    source = IsolatedSource(url, options={"timeout": "1000", "disk_cache": "no"}, timeout=2.0)
    source._readers._seconds = TIMEOUT  # a busy computer takes long to start a process
    source.start()
    with Dataset(source, path=url) as opened:
        yield opened


def test_a_read_that_was_given_up_does_not_hold_up_the_next_one_of_its_chunk(
    servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    monkeypatch.setattr(spawned_process, "_BOOTSTRAP", in_readers())
    monkeypatch.setenv("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", "1000")  # a request may hang that long
    with isolated_until_the_server_is_given_up(server.url("a.ome.zarr")) as opened:
        np.testing.assert_array_equal(opened.plane(), stores.plane())
        server.set(faults={"stall": 1}, only="/c/1/", fault_limit=1)
        with pytest.raises(errors.ReadTimeoutError):
            opened.plane(*LATER)
        np.testing.assert_array_equal(opened.plane(*LATER), stores.plane(*LATER))
        assert sum(answer["what"] == "stall" for answer in server.log()) == 1


WAYS = [in_this_process, isolated_until_the_server_is_given_up, isolated_until_the_deadline]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RangeServer, RangeServer]]:
    """Two servers of the same image: one that can be stopped, one that stays."""
    stores.write_image(tmp_path / "a.ome.zarr")
    with RangeServer(tmp_path) as stopped, RangeServer(tmp_path) as other:
        yield stopped, other
        os.kill(stopped._process.pid, signal.SIGCONT)


@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_server_is_an_error_in_time_and_holds_up_no_other(
    servers, way: Callable[[str], AbstractContextManager[Dataset]], monkeypatch: pytest.MonkeyPatch
):
    stopped, other = servers
    monkeypatch.setattr(tensorstore_context, "_SLOWEST_START_S", START_SECONDS)
    monkeypatch.setattr(spawned_process, "_BOOTSTRAP", in_readers())
    with way(stopped.url("a.ome.zarr")) as opened, way(other.url("a.ome.zarr")) as beside:
        np.testing.assert_array_equal(opened.plane(), stores.plane())
        os.kill(stopped._process.pid, signal.SIGSTOP)
        reading = in_thread(opened.plane, *LATER)
        np.testing.assert_array_equal(beside.plane(*LATER), stores.plane(*LATER))
        with pytest.raises(errors.ReadTimeoutError):
            reading.result(4 * TIMEOUT)  # several tries, with pauses, on a computer that may be busy
        os.kill(stopped._process.pid, signal.SIGCONT)
        np.testing.assert_array_equal(opened.plane(*LATER), stores.plane(*LATER))
