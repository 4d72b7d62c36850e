"""An image that is read through a reader process, from a disk that hangs when told to."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import stores
from memory_source import wait_until

from ndviewer_light.isolation import spawned_process
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable


ROOT = Path(__file__).parents[1]
K = PlaneKey(0, 0, 0, 0)
SECOND = PlaneKey(1, 0, 1, 1)


@pytest.fixture(name="image")
def image_on_disk(tmp_path, disk_that_hangs):
    path = tmp_path / "image.ome.zarr"
    stores.write_image(path)
    return path


@pytest.fixture(name="opened")
def source_in_a_reader(image):
    reader = IsolatedSource.open(str(image))
    yield reader
    reader.close()


_HANGING = """
import os, time
from ndviewer_light.isolation import server
answer = server._Server._answer
def answer_unless_it_hangs(self, request):
    hung = os.path.join(os.environ["NDVIEWER_TEST_HUNG"], "-".join(map(str, request.get("key", ()))))
    while request["op"] == "read" and os.path.exists(hung):
        time.sleep(0.005)
    return answer(self, request)
server._Server._answer = answer_unless_it_hangs
"""


@pytest.fixture(name="disk_that_hangs")
def disk_that_hangs_when_told(tmp_path, monkeypatch) -> None:
    """Let `hang` have an effect in the reader processes that are started from here on."""
    monkeypatch.setenv("NDVIEWER_TEST_HUNG", str(tmp_path / "hung"))
    bootstrap = spawned_process._BOOTSTRAP.replace("main(start", _HANGING + "main(start")
    monkeypatch.setattr(spawned_process, "_BOOTSTRAP", bootstrap)


def hang(image: Path, key: PlaneKey) -> Callable[[], None]:
    """Let reads of a plane hang, as on a disk that is gone; what is returned ends that."""
    hung = image.parent / "hung" / "-".join(map(str, key))
    hung.parent.mkdir(exist_ok=True)
    hung.touch()
    return hung.unlink


def reading_now(opened: IsolatedSource) -> list[str]:
    """The operations that somebody waits for in the process in use, and that it has taken up."""
    process = opened._readers.process
    if process is None or not process.alive:
        return []
    return [call.op for call in list(process._calls.values()) if not call.left and call.op != "open"]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_for_end(pid: int) -> None:
    # looked at, not waited for by its id: its end is for the reader to collect
    wait_until(lambda: not is_alive(pid))


def host(code: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run `code` as a host program of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **{"cwd": ROOT, **options},
    )
