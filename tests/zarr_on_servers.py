"""A server for OME-Zarr that tests write."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ndviewer_light.sources.zarr import tensorstore_context as zarr_native
from ndviewer_light.storage.remote import retries
from ndviewer_light.storage.remote.remote_bytes import set_in_flight
from ndviewer_light.storage.remote.scheduler import IN_FLIGHT, the_scheduler
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    monkeypatch.setattr(retries, "REQUEST_RETRY_SECONDS", (0.01, 0.01))
    quick = {"max_retries": 4, "initial_delay": "5ms", "max_delay": "20ms"}
    monkeypatch.setattr(zarr_native, "_RETRIES", quick)
    yield
    set_in_flight(IN_FLIGHT)
    the_scheduler().stop()  # it would by itself, a little later


def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    """A server for a module."""
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


def emptied_afterwards(module_server: RangeServer) -> Iterator[RangeServer]:
    """A server that serves what the test writes below `server.folder`."""
    module_server.set()
    yield module_server
    for entry in list(module_server.folder.iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def paths(server: RangeServer) -> list[str]:
    return [entry["path"] for entry in server.log()]
