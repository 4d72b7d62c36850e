"""The reader process: one source, a few threads, requests from a pipe, planes into shared slots.

Started by `client` as a plain Python interpreter; it never shows anything and ends when the pipe does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from ..engine.transpose import copy_into
from ..errors import ReadDroppedError
from ..live.announced_source import AnnouncedSource
from ..sources.disk_cached import open_disk_cached
from ..storage.cancellation import CancelScope
from . import protocol
from .shared_memory import MappedSlot

if TYPE_CHECKING:
    import numpy as np

    from ..model import DatasetInfo
    from ..sources import Source

_ORPHAN_POLL_SECONDS = 2.0


class _Server:
    """Answers requests with as many threads as there are slots; thread i owns slot i."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, addresses: list[int | str]) -> None:
        self._requests = requests
        self._replies = replies
        self._slots = [MappedSlot(address) for address in addresses]
        self._released = [threading.Event() for _ in addresses]
        self._jobs: queue.SimpleQueue[protocol.Message] = queue.SimpleQueue()
        self._wishes: dict[int, CancelScope] = {}  # by the number of the request
        self._reply_lock = threading.Lock()
        self._source: Source | None = None
        self._info_sent: DatasetInfo | None = None

    def serve(self) -> None:
        """Serve until the pipe ends."""
        for number in range(len(self._slots)):
            threading.Thread(target=self._work, args=(number,), daemon=True).start()
        while (request := protocol.receive(self._requests)) is not None:
            if request["op"] == "release":
                self._released[request["slot"]].set()
            elif request["op"] == "abandon":
                if (wish := self._wishes.get(request["id"])) is not None:
                    wish.drop()
            else:
                self._wishes[request["id"]] = CancelScope()
                self._jobs.put(request)

    def _work(self, number: int) -> None:
        while True:
            request = self._jobs.get()
            reply: dict[str, Any] = {"id": request["id"]}
            try:
                with self._wishes[request["id"]]:
                    reply.update(self._answer(request, number))
            except Exception as error:  # noqa: BLE001  whatever a source raises is the answer
                reply["error"] = protocol.error_to_json(error)
            del self._wishes[request["id"]]
            try:
                self._reply(reply)
            except (TypeError, ValueError) as error:  # what does not travel must not leave anybody waiting
                self._reply({"id": request["id"], "error": protocol.error_to_json(error)})
                continue
            if "slot" in reply:
                self._released[number].wait()
                self._released[number].clear()

    def _answer(self, request: protocol.Message, number: int) -> dict[str, Any]:
        if request["op"] == "open":
            what = protocol.what_from_json(request["what"])
            if isinstance(what, str):
                self._source = open_disk_cached(what, request["options"])
            else:
                self._source = AnnouncedSource(what)
            return {}
        assert self._source is not None, "the first request is always 'open'"
        if request.get("folder") is not None and isinstance(self._source, AnnouncedSource):
            self._source.tell(_key(request), request["folder"], *request["file"])
        if request["op"] == "read":
            return self._read(self._source, request, number)
        if request["op"] == "shape":
            return {"shape": self._source.plane_shape(_key(request), request["level"])}
        self._source.refresh()
        return {}

    def _read(self, source: Source, request: protocol.Message, number: int) -> dict[str, Any]:
        pixels = self._wanted_pixels(source, request)
        slot = self._slots[number]
        copy_into(slot.array(pixels.shape, pixels.dtype), pixels)
        slot.flush()
        return {"slot": number, "shape": pixels.shape, "dtype": pixels.dtype.str}

    def _wanted_pixels(self, source: Source, request: protocol.Message) -> np.ndarray:
        while True:
            try:
                return source.read_plane(_key(request), request["level"])
            except ReadDroppedError:
                if self._wishes[request["id"]].dropped:
                    raise
                # what another request had begun for us both was given up with it: now we begin it

    def _reply(self, reply: dict[str, Any]) -> None:
        with self._reply_lock:
            info = self._source.info if self._source is not None else None
            if info is not None and info is not self._info_sent:
                reply["info"] = protocol.info_to_json(info)
                self._info_sent = info
            with contextlib.suppress(OSError):  # nobody listens: the pipe's end will end us
                protocol.send(self._replies, reply)


def _key(request: protocol.Message) -> Any:
    from ..model import PlaneKey

    return PlaneKey(*request["key"])


def _end_with_parent(parent: int) -> None:
    # A host that forks keeps our pipe open in its children: its end alone does not tell.
    while os.getppid() == parent:
        time.sleep(_ORPHAN_POLL_SECONDS)
    os._exit(0)


def main(addresses: list[int | str], parent: int) -> None:
    """Serve requests from standard input; replies go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the viewer, which then closes our pipe
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not talk into the protocol
    if sys.platform != "win32":
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    with contextlib.suppress(ImportError):
        import tensorstore  # noqa: F401  loaded while the viewer is still busy with its window
    _Server(sys.stdin.buffer, replies, addresses).serve()
    os._exit(0)  # threads inside a hung read must not keep us
