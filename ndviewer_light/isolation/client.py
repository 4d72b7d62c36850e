"""A source behind a wall: the same interface, run in a process of its own.

Inside somebody else's process we read nothing native ourselves: a host that has used tensorstore
cannot fork a tensorstore writer any more, and a damaged file can abort or freeze the process that
reads it. Here that costs a message and a new reader.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DatasetError, LimitExceededError, ReaderCrashedError
from ..model import AnnouncedRun, PlaneKey
from ..sources import Source
from . import protocol
from .shared_memory import OwnedSlot

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..live.registered_files import RegisteredFiles
    from ..model import DatasetInfo
    from ..sources import StorageOptions

logger = logging.getLogger(__name__)

READS_IN_FLIGHT = 4
"""Planes one reader process reads at a time, and slots it has for them."""

_DEATHS, _DEATHS_SECONDS = 3, 60.0  # so many deaths in so many seconds: the dataset is left alone for a while

_LAST_WORDS_SECONDS = 2.0  # for a process that has closed its end of the pipe to end by itself

# The child has to find this package however the host imported it (Squid: as
# control.ndviewer_light.ndviewer_light, from a checkout), so it is loaded from its folder by path.
_BOOTSTRAP = """
import importlib.util, json, sys
start = json.loads(sys.argv[1])
sys.path[:] = start["path"]
spec = importlib.util.spec_from_file_location(
    "ndviewer_light", start["package"] + "/__init__.py", submodule_search_locations=[start["package"]])
module = importlib.util.module_from_spec(spec)
sys.modules["ndviewer_light"] = module
spec.loader.exec_module(module)
from ndviewer_light.isolation.server import main
main(start["slots"], start["parent"])
"""


class _Process:
    """One reader process: its pipes, its slots and the calls under way.

    `on_info` is called with what the source has learnt, by the one thread that receives, before the
    reply it came with is handed on: also with replies that are errors, and never out of order.
    """

    def __init__(self) -> None:
        self._slots = [OwnedSlot() for _ in range(READS_IN_FLIGHT)]
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._pending: dict[int, Future[protocol.Message]] = {}
        self._reads: dict[int, tuple[list[int], int]] = {}  # key and level of those that read
        self._gone: str | None = None
        self.on_info: Callable[[protocol.Message], None] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  read when it dies, closed then
        self._popen = self._spawn()
        threading.Thread(target=self._receive, name="ndviewer-reader-replies", daemon=True).start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        addresses = [slot.address for slot in self._slots]
        start = {
            "path": [os.fsdecode(entry) for entry in sys.path],  # hosts put Path objects there
            "package": str(Path(__file__).resolve().parents[1]),
            "slots": addresses,
            "parent": os.getpid(),
        }
        return subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, json.dumps(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            pass_fds=[address for address in addresses if isinstance(address, int)],
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._gone is None

    @property
    def gone(self) -> str | None:
        """How it ended, None while it is alive."""
        return self._gone

    def call(self, op: str, **arguments: Any) -> protocol.Message:
        """Send a request and wait for its answer; raises what the source raised, or that it died."""
        future: Future[protocol.Message] = Future()
        with self._lock:
            if self._gone is not None:
                raise ReaderCrashedError(self._gone)
            number = next(self._ids)
            self._pending[number] = future
            if op == "read":
                self._reads[number] = arguments["key"], arguments["level"]
        with contextlib.suppress(OSError, ValueError):  # it has died: who receives fails our future
            self._send({"id": number, "op": op, **arguments})
        reply = future.result()
        if "error" in reply:
            raise protocol.error_from_json(reply["error"])
        return reply

    def read(self, **which: Any) -> np.ndarray:
        """Return one plane, copied out of its slot in the caller's thread."""
        reply = self.call("read", **which)
        slot = reply["slot"]
        try:
            pixels = self._slots[slot].copy_out(tuple(reply["shape"]), np.dtype(reply["dtype"]))
        except LimitExceededError:
            raise
        except (OSError, ValueError) as error:
            raise ReaderCrashedError(f"the reader process handed over half a plane: {error}") from error
        finally:
            self._release(slot)
        return pixels

    def abandon(self, key: list[int], level: int) -> None:
        """Tell it that nobody waits for a plane: its reads so far may end early."""
        with self._lock:
            numbers = [number for number, which in self._reads.items() if which == (key, level)]
        for number in numbers:
            with contextlib.suppress(OSError, ValueError):
                self._send({"op": "abandon", "id": number})

    def _release(self, slot: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._send({"op": "release", "slot": slot})

    def _send(self, message: protocol.Message) -> None:
        assert self._popen.stdin is not None
        with self._send_lock:
            protocol.send(self._popen.stdin, message)  # type: ignore[arg-type]

    def _receive(self) -> None:
        assert self._popen.stdout is not None
        while (reply := protocol.receive(self._popen.stdout)) is not None:  # type: ignore[arg-type]
            # here, not where the answer is awaited: news stay in order, and come with errors as well
            if "info" in reply and self.on_info is not None and not self._tell(reply["info"]):
                break
            with self._lock:
                future = self._pending.pop(reply.get("id", -1), None)
                self._reads.pop(reply.get("id", -1), None)
            if future is not None:
                future.set_result(reply)
        self._fail(self._exit_reason())
        self._popen.stdout.close()

    def _tell(self, info: protocol.Message) -> bool:
        """Hand on what the process says of its dataset; False, and its end, if that makes no sense."""
        assert self.on_info is not None
        try:
            self.on_info(info)
        except (KeyError, TypeError, ValueError):
            logger.exception("what the reader process says of its dataset cannot be understood")
            self._popen.kill()
            return False
        return True

    def _exit_reason(self) -> str:
        """Wait for the end of the process and say how it ended."""
        try:
            code = self._popen.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:  # it lives, but what it says is no message
            self._popen.kill()
            code = self._popen.wait()
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 4096))
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._stderr.close()
        how = _signal_name(-code) if code < 0 else f"exit code {code}"
        last_words = f": {said[-1]}" if said else ""
        return f"the process that reads for this viewer ended unexpectedly ({how}){last_words}"

    def _fail(self, why: str) -> None:
        with self._lock:
            if self._gone is None:
                self._gone = why
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(ReaderCrashedError(self._gone))

    def kill(self, why: str = "the dataset was closed") -> None:
        """End it now, failing what is under way; never waits for a process stuck in a dead disk."""
        self._fail(why)
        self._popen.kill()
        for stream in (self._popen.stdin, *self._slots):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


_spare: _Process | None = None
_spare_lock = threading.Lock()


def prestart() -> None:
    """Start a reader process for whoever opens a dataset next. Any thread; returns at once."""
    threading.Thread(target=_make_spare, name="ndviewer-reader-start").start()


def _make_spare() -> None:
    global _spare
    with _spare_lock:
        if _spare is not None and _spare.alive:
            return
        try:
            _spare = _Process()
        except RuntimeError as error:  # Python 3.12 and later start no thread while they shut down
            logger.debug("no reader process is started ahead: %s", error)


def _take_process() -> _Process:
    global _spare
    with _spare_lock:
        process, _spare = _spare, None
    return process if process is not None and process.alive else _Process()


def discard_spare() -> None:
    """End the spare process, if there is one."""
    global _spare
    with _spare_lock:
        process, _spare = _spare, None
    if process is not None:
        process.kill()


class IsolatedSource(Source):
    """The source of `what` (a path or an announced run), read in a process of its own.

    Making one is cheap and touches no disk; the process starts at the first call that needs it, and
    a new one is started when it dies. `info` is what `announced` says until the process has opened it.
    `files` are those the host of an announced run has named; they are told with each request, so that a
    new process knows them too.
    """

    def __init__(
        self,
        what: str | AnnouncedRun,
        announced: DatasetInfo | None = None,
        files: RegisteredFiles | None = None,
        options: StorageOptions = None,
    ) -> None:
        self._what = what
        self.options = dict(options or {})
        self._known = announced
        self._files = files
        self._said: DatasetInfo | None = None  # by the process, without our own notices
        self._lock = threading.Lock()
        self._opening: Future[_Process] | None = None
        self._process: _Process | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._notice: str | None = None
        self._closed = False

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> IsolatedSource:
        """Open `path` in a reader process; blocks until its metadata is read, raises a `DatasetError`."""
        reader = cls(path, options=options)
        try:
            reader._session()
        except BaseException:
            reader.close()
            raise
        return reader

    @property
    def info(self) -> DatasetInfo:
        """What is known now; raises `DatasetError` before a path has been opened."""
        known = self._known
        if known is None:
            raise DatasetError(f"{self._what} is not open yet")
        if self._registered_n_t() > known.n_t:
            with self._lock:
                known = self._known = dataclasses.replace(self._known or known, n_t=self._registered_n_t())
        return known

    @property
    def closed(self) -> bool:
        """Whether it was closed: every call fails from then on."""
        return self._closed

    @property
    def pid(self) -> int | None:
        """The process id of the reader process, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """As `Source.read_plane`, C-contiguous; a reader that dies meanwhile is replaced once."""
        for last_try in (False, True):
            process = self._session()
            try:
                return process.read(**self._which(key, level))
            except ReaderCrashedError as error:
                if self._closed or last_try:
                    raise
                self._mourn(process, error)
        raise AssertionError("unreachable")

    def abandon(self, key: PlaneKey, level: int = 0) -> None:
        """As `Source.abandon`."""
        process = self._process
        if process is not None:
            process.abandon(list(key), level)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """As `Source.plane_shape`."""
        shape = self._call("shape", **self._which(key, level))["shape"]
        return (int(shape[0]), int(shape[1])) if shape is not None else None

    def refresh(self) -> DatasetInfo:
        """As `Source.refresh`."""
        self._call("refresh", **self._which(PlaneKey(), 0))
        return self.info

    def _registered_n_t(self) -> int:
        """Time points of a run of which the host names files: no store says how many there will be."""
        what, files = self._what, self._files
        return files.n_t if files is not None and isinstance(what, AnnouncedRun) and what.names_files else 0

    def _which(self, key: PlaneKey, level: int) -> dict[str, Any]:
        which: dict[str, Any] = {"key": list(key), "level": level}
        files = self._files
        if files is not None and files.folder is not None:
            which |= {"folder": files.folder, "file": files.file_of(key) or (None,)}
        return which

    def close(self) -> None:
        """End the process; calls under way fail at once. Never blocks."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()

    def start(self) -> None:
        """Start the process and open the dataset; blocks. For a thread that has nothing else to do."""
        self._session()

    def _call(self, op: str, **arguments: Any) -> protocol.Message:
        process = self._session()
        try:
            return process.call(op, **arguments)
        except ReaderCrashedError as error:
            self._mourn(process, error)
            raise

    def _session(self) -> _Process:
        """The process with the dataset open in it; started and opened by the first who asks."""
        process = self._process
        if process is not None and process.gone is not None:  # it died while nobody asked it anything
            self._mourn(process, ReaderCrashedError(process.gone))
        with self._lock:
            if self._closed:
                raise DatasetError("the dataset is closed")
            opening = self._opening
            mine = opening is None or _is_over(opening)
            if mine:
                self._check_deaths()
                opening = self._opening = Future()
        assert opening is not None
        if mine:
            try:
                opening.set_result(self._open_in_process())
            except BaseException as error:  # noqa: BLE001  it belongs to all who wait for the session
                opening.set_exception(error)
        return opening.result()

    def _open_in_process(self) -> _Process:
        process = _take_process()
        with self._lock:
            self._process = process
            closed = self._closed
        if closed:
            process.kill()
        process.on_info = self._adopt
        try:
            process.call("open", what=protocol.what_to_json(self._what), options=self.options)
        except ReaderCrashedError as error:
            self._mourn(process, error)
            raise
        except BaseException:
            with self._lock:
                self._process = None
            process.kill()
            raise
        return process

    def _adopt(self, message: protocol.Message) -> None:
        info = protocol.info_from_json(message)
        if info.dtype is None and self._said is not None and self._said.dtype is not None:
            info = self._said  # a new process has yet to look at the stores: what was seen stays true
        self._said = info
        if self._notice is not None:
            info = dataclasses.replace(info, warnings=(*info.warnings, self._notice))
        with self._lock:
            self._known = info

    def _check_deaths(self) -> None:
        now = time.monotonic()
        if len(self._deaths) == _DEATHS and now - self._deaths[0] < _DEATHS_SECONDS:
            raise ReaderCrashedError(
                f"reading {self._name} ended its reader process {_DEATHS} times within a minute; "
                "it is left alone for a minute. Check the dataset, or refresh later"
            )

    def _mourn(self, process: _Process, error: ReaderCrashedError) -> None:
        process.kill(str(error))
        with self._lock:
            if self._closed or self._process is not process:
                return
            self._process = None
            self._deaths.append(time.monotonic())
            self._notice = f"{error}; a new one was started"
        logger.warning("%s (reading %s)", error, self._name)

    @property
    def _name(self) -> str:
        return self._what if isinstance(self._what, str) else "the stores of the running acquisition"


def _is_over(opening: Future[_Process]) -> bool:
    """Whether that attempt to open has failed, or its process has died since."""
    return opening.done() and (opening.exception() is not None or not opening.result().alive)
