"""A slot is freed exactly once, whoever comes first: its reader's answer, or whoever leaves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import stores
from memory_source import TIMEOUT

from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from pathlib import Path

K = PlaneKey(0, 0, 0, 0)


class _LateReceiver:
    """The lock of a reader process; whoever hands on an answer goes on only when its reader has left."""

    def __init__(self, has_left: threading.Event) -> None:
        self._lock = threading.Lock()
        self._has_left = has_left

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        if threading.current_thread().name == "ndviewer-reader-replies":
            assert self._has_left.wait(TIMEOUT)


@pytest.fixture
def opened(tmp_path: Path):
    image = tmp_path / "image.ome.zarr"
    stores.write_image(image)
    source = IsolatedSource.open(str(image))
    yield source
    source.close()


def test_a_reader_that_leaves_before_the_receiver_goes_on_frees_its_slot_once(opened, monkeypatch):
    process = opened._readers.process
    released: list[Any] = []
    has_left = threading.Event()
    release, leave = process._release, process._leave

    def note(reply: dict[str, Any]) -> None:
        released.append(reply.get("slot"))
        release(reply)

    def leave_and_tell(call: Any) -> None:
        leave(call)
        has_left.set()

    monkeypatch.setattr(process, "_release", note)
    monkeypatch.setattr(process, "_leave", leave_and_tell)
    monkeypatch.setattr(process, "_lock", _LateReceiver(has_left))
    opened.read_plane(K)
    opened.close()
    assert len(released) == 1
