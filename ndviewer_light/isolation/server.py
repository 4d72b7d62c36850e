"""The reader process: one source, a few threads, requests from a pipe, planes into shared slots.

Started by `client` as a plain Python interpreter; it has no window and ends with the pipe.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import queue
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from ..engine.kept_averages import LaterPuts, ThumbnailCache
from ..engine.label_parts import LabelParts
from ..engine.thumbnail_maker import make_thumbnails
from ..errors import OutOfMemoryError, PlaneNotStoredError
from ..model import PlaneKey, Region, StackKey, find_channel
from ..sources.disk_cached import open_disk_cached
from ..sources.source import LabelPart, MadeThumbnail
from ..storage.cancellation import CancelScope
from ..storage.disk_cache import cache_of
from ..storage.time_spent import Stopwatch
from . import protocol
from .memory_limit import limit_memory, memory_limit
from .packed_thumbnails import packed
from .plane_slots import PlaneSlots
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..live.announced_source import AnnouncedSource
    from ..model import DatasetInfo
    from ..sources import Source

_ORPHAN_POLL_SECONDS = 2.0
_NEEDED_BY_MOST = (
    "tensorstore",
    "..sources.zarr.source",
    "..sources.zarr.format",
    "..sources.zarr.time_points",
    "..live.announced_source",
    "numcodecs.blosc",
)


class _Server:
    """Answers requests with at least as many threads as slots; a slot is taken when its plane is ready."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, addresses: list[int | str]) -> None:
        self._requests = requests
        self._replies = replies
        self._slots = PlaneSlots(addresses)
        self._jobs: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()
        self._scopes: dict[int, CancelScope] = {}  # by request number
        self._reply_lock = threading.Lock()
        self._n_threads = 0
        self._source: Source | None = None
        self._announced: AnnouncedSource | None = None  # the same, of an announced run
        self._info_sent: DatasetInfo | None = None
        self._thumbnails: ThumbnailCache | None = None
        self._thumbnails_later: ThumbnailCache | None = None
        self._turns = Turns()  # of requests for thumbnails
        self._labels: LabelParts | None = None

    def serve(self) -> None:
        """Serve until the pipe ends."""
        self._work_with(len(self._slots))
        while (request := protocol.receive(self._requests)) is not None:
            if request["op"] == "release":
                self._slots.release(request["slot"])
            elif request["op"] == "abandon":
                if (scope := self._scopes.get(request["id"])) is not None:
                    scope.drop()
            else:
                self._scopes[request["id"]] = CancelScope()
                self._jobs.put(request)
        for _ in range(self._n_threads):
            self._jobs.put(None)

    def _work_with(self, threads: int) -> None:
        """Answer with so many threads: more than slots where they mostly wait, as for servers."""
        for _ in range(threads - self._n_threads):
            threading.Thread(target=self._work, daemon=True).start()
            self._n_threads += 1

    def _work(self) -> None:
        while (request := self._jobs.get()) is not None:
            reply: dict[str, Any] = {"id": request["id"]}
            try:
                scope = self._scopes[request["id"]]
                reply.update(scope.run(lambda request=request: self._answer(request)))  # type: ignore[misc]
            except BaseException as error:  # noqa: BLE001  whatever a source raises is the answer
                reply["error"] = protocol.error_to_json(_as_answer(error, request))
            self._scopes.pop(request["id"], None)
            try:
                self._reply(reply)
            except BaseException as error:  # noqa: BLE001  what does not travel must not leave anybody waiting
                if "slot" in reply:
                    self._slots.release(reply["slot"])
                self._send({"id": request["id"], "error": protocol.error_to_json(error)})

    def _answer(self, request: protocol.Message) -> dict[str, Any]:
        if request["op"] == "open":
            what = protocol.what_from_json(request["what"])
            if isinstance(what, str):
                self._work_with(request["threads"])
                self._source = open_disk_cached(what, request["options"])
                cache = cache_of(request["options"])
                if cache is not None:
                    self._thumbnails = ThumbnailCache(cache, what)
                    self._thumbnails_later = ThumbnailCache(LaterPuts(cache), what)
            else:
                from ..live.announced_source import AnnouncedSource  # 30 ms, of which a dataset has no use

                self._source = self._announced = AnnouncedSource(what)
            self._labels = LabelParts(self._source, request["options"])
            if request["follow"]:
                self._source.follow()
            return {}
        assert self._source is not None, "the first request is always 'open'"
        if request.get("folder") is not None and self._announced is not None:
            self._announced.tell(_key(request), request["folder"], *request["file"])
        if request["op"] == "read":
            return self._read(self._source, request)
        if request["op"] == "thumbnails":
            return self._make_thumbnails(self._source, request)
        if request["op"] == "label parts":
            return self._read_labels(request)
        if request["op"] == "versions":
            keys = [_plane_key(plane, self._source) for plane in request["planes"]]
            ask = self._source.versions_in_view if request["in_view"] else self._source.versions
            return _with_cost(lambda: ask(keys, request["level"]), "versions")
        if request["op"] == "stamps":
            return {
                "stamps": self._source.stamps([_plane_key(each, self._source) for each in request["planes"]])
            }
        if request["op"] == "acquired":
            return {"seconds": self._source.acquired_s(self._planes(self._source, request))}
        if request["op"] == "measure":
            found = self._source.measure(_plane_key(request, self._source))
            return {"version": found.version, "stamp": found.stamp, "statistics": found.statistics}
        if request["op"] == "stored":
            stored = self._source.are_stored(self._planes(self._source, request))
            return {"stored": stored, "leaves_out_empty": self._source.leaves_out_empty}
        if request["op"] == "look up":
            return {"stored": self._source.look_up_stored(*self._planes(self._source, request))}
        if request["op"] == "missing":
            counts_as = self._source.missing_as(self._planes(self._source, request))
            return {"found": [each.value for each in counts_as]}
        if request["op"] == "just written":
            return {"is_young": self._source.was_just_written()}
        if request["op"] == "shape":
            return {"shape": self._source.plane_shape(_plane_key(request, self._source), request["level"])}
        if request["op"] == "tile":
            return {"shape": self._source.tile_shape(_key(request).p, request["level"])}
        if request["op"] == "level":
            return {"level": self._source.level_for(_key(request).p, *request["size"])}
        if request["op"] == "levels":
            return {"levels": protocol.levels_to_json(self._source.levels(_key(request).p))}
        if request["op"] == "labels":
            return {"labels": self._source.labels(_key(request).p)}
        if request["op"] == "label facts":
            return protocol.label_facts_to_json(self._source.label_facts())
        if request["op"] == "level at":
            level = self._source.level_at(_key(request).p, request["level"])
            return {"levels": protocol.levels_to_json([level])}
        if request["op"] == "image":
            self._source.image(_key(request).p)
        elif request["op"] == "look at all":
            self._source.look_at_all()
        elif request["op"] == "look":
            return _with_cost(self._source.look)
        else:
            self._source.refresh()
        return {}

    def _planes(self, source: Source, request: protocol.Message) -> list[PlaneKey]:
        """The planes of a request, with the files that a host named for them."""
        planes = request["planes"]
        if request.get("folder") is not None and self._announced is not None:
            for plane in planes:
                if "file" in plane:
                    self._announced.tell(_key(plane), request["folder"], *plane["file"])
        return [_plane_key(plane, source) for plane in planes]

    def _make_thumbnails(self, source: Source, request: protocol.Message) -> dict[str, Any]:
        keys = [StackKey(*key) for key in self._planes(source, request)]
        kept = self._thumbnails_later if request.get("for_view") else self._thumbnails
        made = self._turns.run(lambda: make_thumbnails(source, keys, request["edge"], kept))
        pixels, parts = packed(made)
        return {**self._slots.put(pixels), "parts": parts}

    def _read_labels(self, request: protocol.Message) -> dict[str, Any]:
        assert self._labels is not None
        wanted = [LabelPart(p, t, z, tuple(area), *size) for p, t, z, area, *size in request["parts"]]
        seen = self._labels.read(request["name"], wanted, anew=request["anew"])
        pixels, parts = packed([MadeThumbnail(each.values, each.error) for each in seen])
        facts = [protocol.label_facts_to_json(each.facts) for each in seen]
        return {**self._slots.put(pixels), "parts": parts, "facts": facts}

    def _read(self, source: Source, request: protocol.Message) -> dict[str, Any]:
        if self._n_threads > len(self._slots):  # a slot is for what is ready, not for what is waited for
            pixels, said = _pixels(source, request)
            return {**self._slots.put(pixels), **said}
        with self._slots.lending() as slot:
            pixels, said = _pixels(source, request)
            return {**self._slots.put(pixels, slot), **said}

    def _reply(self, reply: dict[str, Any]) -> None:
        with self._reply_lock:
            info = self._source.info if self._source is not None else None
            is_news = info is not None and info is not self._info_sent
            if info is not None and is_news:
                reply = {**reply, "info": protocol.info_to_json(info, self._info_sent)}
            self._send_locked(reply)
            if is_news:
                self._info_sent = info

    def _send(self, reply: dict[str, Any]) -> None:
        with self._reply_lock:
            self._send_locked(reply)

    def _send_locked(self, reply: dict[str, Any]) -> None:
        frame = protocol.frame(reply)
        with contextlib.suppress(OSError):  # nobody is listening: the end of the pipe will end us
            self._replies.write(frame)
            self._replies.flush()


def _pixels(source: Source, request: protocol.Message) -> tuple[np.ndarray, dict[str, Any]]:
    """The plane or tile of a request, and what else the reply says."""
    key, level, part = _plane_key(request, source), request["level"], request.get("region")
    region = None if part is None else Region(*part)
    if request.get("measured"):
        found = source.read_measured(key, request["known"])
        assert found.pixels is not None
        return found.pixels, {"version": found.version, "stamp": found.stamp, "statistics": found.statistics}
    if request.get("versioned"):
        pixels, version = source.read_versioned(key, level, region)
        return pixels, {"version": version}
    if region is None:
        return source.read_plane(key, level), {"version": None}
    return source.read_region(key, region, level), {"version": None}


def _with_cost(asked: Callable[[], object], name: str = "") -> dict[str, Any]:
    """The answer by this name, if any, and what it cost this process."""
    watch = Stopwatch()
    answer = asked()
    return {**({name: answer} if name else {}), "computed_s": watch.spent().computed}


def _as_answer(error: BaseException, request: protocol.Message) -> BaseException:
    lacks_memory = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if not lacks_memory or isinstance(error, OutOfMemoryError):
        return error
    limit = memory_limit()
    allowed = (
        f" than the {limit / 1024**3:.1f} GiB allowed for the reader process" if limit else " than available"
    )
    said = f" ({error})" if str(error) else ""
    what = "the metadata"
    if "key" in request:
        what = "the plane " + " ".join(f"{a}={i}" for a, i in zip("tpcz", request["key"], strict=True))
    return OutOfMemoryError(
        f"{what} needs more memory{allowed}{said}. Close other datasets, or open a smaller one"
    )


def _key(request: protocol.Message) -> PlaneKey:
    return PlaneKey(*request["key"])


def _plane_key(request: protocol.Message, source: Source) -> PlaneKey:
    """The key as the source counts channels, of which it may not know all yet; see `key_to_json`."""
    key = _key(request)
    if "channel" not in request:
        return key
    name, nth = request["channel"]
    c = find_channel(source.info.channels, name, nth)
    if c is None:
        c = find_channel(source.image(key.p).channels, name, nth)
        c = None if c is None else find_channel(source.info.channels, name, nth)
    if c is None:
        raise PlaneNotStoredError(f"{source.info.positions[key.p].label} has no channel {name!r}")
    return key._replace(c=c)


def _end_with_parent(parent: int) -> None:
    # A host's forked children keep our pipe open, so the end of the pipe is not enough.
    while os.getppid() == parent:
        time.sleep(_ORPHAN_POLL_SECONDS)
    os._exit(0)


def _load_in_advance(requests: BinaryIO) -> None:
    """Import what most datasets need, for as long as nobody has asked for anything."""
    for module in _NEEDED_BY_MOST:
        if _is_waiting(requests):
            return
        with contextlib.suppress(ImportError):
            importlib.import_module(module, __package__)
    gc.freeze()  # modules stay: the collector need not go through all they have each time


def _is_waiting(requests: BinaryIO) -> bool:
    """Whether there is a request, or the pipe has ended; only systems that can wait for pipes know."""
    return sys.platform != "win32" and bool(select.select([requests], [], [], 0)[0])


def main(addresses: list[int | str], parent: int) -> None:
    """Serve requests from standard input; replies go to what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the viewer, which then closes our pipe
    limit_memory()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print must not corrupt the protocol
    if sys.platform != "win32":
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    _load_in_advance(sys.stdin.buffer)
    _Server(sys.stdin.buffer, replies, addresses).serve()
    os._exit(0)  # threads in a hung read must not keep the process alive
