"""A file on a server of this machine: fixtures, and what goes with them, to be imported by tests."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from ndviewer_light.errors import DatasetError
from ndviewer_light.storage.open_bytes import open_bytes
from ndviewer_light.storage.remote import retries
from ndviewer_light.storage.remote.remote_bytes import set_in_flight
from ndviewer_light.storage.remote.scheduler import IN_FLIGHT, the_scheduler
from tests.conftest import left_after_grace
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ndviewer_light.storage.bytes import Bytes

KIB, MIB = 1024, 1024**2
CONTENT = os.urandom(8 * MIB)


@pytest.fixture(scope="module", name="module_server")
def a_server(tmp_path_factory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(name="server")
def a_server_without_faults(module_server, quick_tries) -> RangeServer:
    """The server as it is without faults, with one file."""
    module_server.set()
    (module_server.folder / "a.bin").write_bytes(CONTENT)
    return module_server


@pytest.fixture(name="quick_tries")
def tries_without_pauses(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(retries, "REQUEST_RETRY_SECONDS", (0.01, 0.01, 0.02, 0.05))
    yield
    set_in_flight(IN_FLIGHT)
    the_scheduler().stop()  # it would by itself, a little later


@pytest.fixture(name="opened")
def files_that_are_closed(server, quick_tries) -> Iterator[Callable[..., Bytes]]:
    """Open a file of the server; closed at the end."""
    files = []

    def open_(path: str = "a.bin", **options: str) -> Bytes:
        files.append(open_bytes(server.url(path), options))
        return files[-1]

    yield open_
    for file in files:
        file.close()


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start `call` in a thread; what it returned or raised will be in the list."""
    said: list[object] = []

    def work() -> None:
        try:
            said.append(call())
        except DatasetError as error:
            said.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, said


def wait_until(condition: Callable[[], bool]) -> None:
    assert not left_after_grace(lambda: [] if condition() else ["still waiting"])
