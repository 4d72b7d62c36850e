"""A source in a separate process, behind the same interface.

Inside a host's process, we read nothing with native code: a host that has used tensorstore
cannot fork a tensorstore writer any more, and a damaged file can abort or freeze the process that
reads it. This way it costs a message and a new reader process.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ..engine.read_workers import HUNG_SECONDS
from ..errors import DatasetError, ReaderCrashedError, ReadTimeoutError
from ..model import AnnouncedRun, PlaneKey
from ..sources import Source
from ..sources.missing import Found
from ..sources.source import MeasuredPlane, SeenLabels
from ..storage.bytes import is_url
from ..storage.presentable import presentable
from . import protocol
from .calls import DeadlineError, ReplacedError, what_was_asked
from .packed_thumbnails import unpacked
from .reader_process import HUNG_REMOTE_SECONDS, REMOTE_READS_IN_FLIGHT
from .readers import Readers
from .said_by_processes import SaidByProcesses
from .second_reader import SecondReader
from .spawned_process import READS_IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ..live.registered_files import RegisteredFiles
    from ..model import DatasetInfo, ImageInfo, LabelFacts, Level, Region, StackKey
    from ..sources import StorageOptions
    from ..sources.source import LabelPart, MadeThumbnail
    from .reader_process import ReaderProcess

T = TypeVar("T")

logger = logging.getLogger(__name__)

READ_SECONDS = 60.0
"""Deadline for a plane: enough for 1 GiB from a disk of 20 MB/s."""

OPEN_SECONDS = 180.0
"""Deadline for opening and refreshing: enough for a plate of 10,000 stores on a slow share."""

_MAX_SENT = 5  # how often one request is sent again because of others


class IsolatedSource(Source):
    """The source of `what` (a path or an announced run), read in a separate process.

    Creating one is cheap and does not access the disk; the process starts with the first call that needs it,
    and is replaced when it dies. `info` is that of `announced` until the process has opened the dataset.
    `files` are those registered by the host of an announced run; they are sent with each request, so that a
    new process knows them too.

    No call takes longer than `timeout` seconds (None: `READ_SECONDS` for a plane, `OPEN_SECONDS` for the
    metadata): then it raises `ReadTimeoutError`, and the hung process is replaced. In a process
    forked from the one that opened it every call raises `DatasetError`.
    """

    def __init__(
        self,
        what: str | AnnouncedRun,
        announced: DatasetInfo | None = None,
        files: RegisteredFiles | None = None,
        options: StorageOptions = None,
        timeout: float | None = None,
    ) -> None:
        self._what = what
        self.options = dict(options or {})
        self._files = files
        names_files = isinstance(what, AnnouncedRun) and what.names_files
        self._said = SaidByProcesses(announced, files, counts_files=names_files)
        self._lock = threading.Lock()  # guards the number of requests for small pictures
        self._leaves_out_empty = True
        self._read_seconds = timeout if timeout is not None else READ_SECONDS
        self._open_seconds = timeout if timeout is not None else OPEN_SECONDS
        patience = HUNG_REMOTE_SECONDS if isinstance(what, str) and is_url(what) else HUNG_SECONDS
        self._followed = False
        self._c_order = True
        self._n_pictures = 0  # requests for small pictures that the first process works on
        self._computed_s = 0.0  # looks at the disk, in reader processes
        self._second: SecondReader | None = None
        if isinstance(what, str) and not is_url(what) and (os.cpu_count() or 1) > 1:
            self._second = SecondReader(self._opening, protocol.info_from_json, self._said.take_beside)
        self._readers = Readers(
            self._name,
            self._opening,
            self._open_seconds,
            min(patience, self._read_seconds),  # also of reads that are given up before their deadline
            self._adopt,
            self._said.take_death,
        )

    def _opening(self) -> dict[str, Any]:
        """The request that opens it in a process."""
        return {
            "what": protocol.what_to_json(self._what),
            "options": self.options,
            "follow": self._followed,
            "threads": self.reads_at_once,
        }

    @classmethod
    def open(
        cls, path: str, options: StorageOptions = None, timeout: float | None = None, *, follow: bool = False
    ) -> IsolatedSource:
        """Open `path` in a reader process; blocks until its metadata is read, raises a `DatasetError`."""
        reader = cls(path, options=options, timeout=timeout)
        if follow:
            reader.follow()
        try:
            reader.start()
        except BaseException:
            reader.close()
            raise
        return reader

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; raises `DatasetError` before a path has been opened."""
        known = self._said.info()
        if known is None:
            raise DatasetError(f"{self._name} is not open yet")
        return known

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`: as many as the reader process has threads."""
        is_remote = isinstance(self._what, str) and is_url(self._what)
        return REMOTE_READS_IN_FLIGHT if is_remote else READS_IN_FLIGHT

    @property
    def closed(self) -> bool:
        """Whether it is closed, in which case every call fails."""
        return self._readers.closed

    @property
    def pid(self) -> int | None:
        """The process id of the reader process, or None."""
        process = self._readers.process
        return process.pid if process is not None and process.alive else None

    @property
    def opening_since(self) -> float | None:
        """Since when the dataset has been opening (`time.monotonic`), or None. Any thread."""
        return self._readers.opening_since

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """Like `Source.read_plane`; a reader process that dies meanwhile is replaced."""
        return self._ask("read", key, level, self._plane)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Like `Source.read_region`; see `read_plane`."""
        return self._ask("read", key, level, self._plane, region=tuple(region))

    def _plane(self, process: ReaderProcess, reply: protocol.Message) -> np.ndarray:
        return process.copy_out(reply, c_order=self._c_order)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""
        shape = self._ask("tile", PlaneKey(p=p), level, lambda _, reply: reply["shape"])
        return (int(shape[0]), int(shape[1])) if shape is not None else None

    def level_for(self, p: int, height: int, width: int) -> int:
        """See `Source.level_for`."""
        size = height, width
        return self._ask("level", PlaneKey(p=p), 0, lambda _, reply: int(reply["level"]), size=size)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Source.plane_shape`."""
        shape = self._ask("shape", key, level, lambda _, reply: reply["shape"])
        return (int(shape[0]), int(shape[1])) if shape is not None else None

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`."""
        self._ask("image", PlaneKey(p=p), 0, lambda _process, _reply: None)
        return self.info.image(p)

    def look_at_all(self) -> DatasetInfo:
        """See `Source.look_at_all`."""
        self._ask("look at all", PlaneKey(), 0, lambda _process, _reply: None)
        return self.info

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        return self._ask(
            "levels", PlaneKey(p=p), 0, lambda _, reply: protocol.levels_from_json(reply["levels"])
        )

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`."""
        return self._ask("labels", PlaneKey(p=p), 0, lambda _, reply: tuple(reply["labels"]))

    def label_facts(self) -> LabelFacts:
        """See `Source.label_facts`."""
        return self._ask("label facts", PlaneKey(), 0, lambda _, reply: protocol.label_facts_from_json(reply))

    def level_at(self, p: int, level: int) -> Level:
        """See `Source.level_at`."""
        return self._ask(
            "level at", PlaneKey(p=p), level, lambda _, reply: protocol.levels_from_json(reply["levels"])[0]
        )

    def refresh(self) -> DatasetInfo:
        """See `Source.refresh`."""
        self._ask("refresh", PlaneKey(), 0, lambda _process, _reply: None)
        return self.info

    def follow(self) -> None:
        """See `Source.follow`; for before it is started."""
        self._followed = True

    def keep_stored_order(self) -> None:
        """See `Source.keep_stored_order`: until then, planes come in C order."""
        self._c_order = False

    def was_just_written(self) -> bool:
        """See `Source.was_just_written`: one request."""
        return self._ask("just written", PlaneKey(), 0, lambda _, reply: bool(reply["is_young"]))

    def look(self) -> DatasetInfo:
        """See `Source.look`."""
        self._ask("look", PlaneKey(), 0, lambda _, reply: self._note_computed(reply))
        return self.info

    @property
    def computed_elsewhere_s(self) -> float:
        """See `Source.computed_elsewhere_s`: in the reader process."""
        return self._computed_s

    def _note_computed(self, reply: protocol.Message) -> None:
        self._computed_s += reply["computed_s"]  # that of looks at the same time may be lost

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: one request. Raises if the reader process does not answer."""
        return self._ask_versions(keys, level, in_view=False)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions_in_view`: one request to the reader process, raises like `versions`."""
        return self._ask_versions(keys, level, in_view=True)

    def _ask_versions(self, keys: Sequence[PlaneKey], level: int, *, in_view: bool) -> list[str | None]:
        if not keys:
            return []

        def take(_: ReaderProcess, reply: protocol.Message) -> list[str | None]:
            self._note_computed(reply)
            return list(reply["versions"])

        which = [protocol.key_to_json(key, self._said.last) for key in keys]
        return self._ask("versions", keys[0], level, take, planes=which, in_view=in_view)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: one request. Raises if the reader process does not answer."""
        if not keys:
            return []

        def take(_: ReaderProcess, reply: protocol.Message) -> list[bool | None]:
            self._leaves_out_empty = bool(reply["leaves_out_empty"])
            return list(reply["stored"])

        which = [self._with_file(key) for key in keys]
        return self._ask("stored", keys[0], 0, take, planes=which)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """See `Source.look_up_stored`: one request to the reader process, raises like `are_stored`."""
        planes = [self._with_file(key)]
        stored: bool | None = self._ask("look up", key, 0, lambda _, reply: reply["stored"], planes=planes)
        return stored

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`: one request. Raises if the reader process does not answer."""
        if not keys:
            return []
        which = [self._with_file(key) for key in keys]
        return self._ask(
            "missing", keys[0], 0, lambda _, reply: [Found(each) for each in reply["found"]], planes=which
        )

    def thumbnails(
        self, keys: Sequence[StackKey], edge: int, *, for_view: bool = False, seconds_after: float = 0.0
    ) -> list[MadeThumbnail]:
        """See `make_thumbnails`, which is called in a reader process: one request for all of them.

        Where what is wanted after these takes long, a second process makes some.
        """
        if not keys:
            return []

        def take(process: ReaderProcess, reply: protocol.Message) -> list[MadeThumbnail]:
            return unpacked(process.copy_out(reply), reply["parts"], len(keys))

        planes = [self._with_file(PlaneKey(*key)) for key in keys]  # type: ignore[arg-type]  # z may be a word
        part: dict[str, Any] = {"planes": planes, "edge": edge, "for_view": for_view}
        second = self._second
        if second is not None and second.is_for(self.info, keys, seconds_after, beside=self._n_pictures):
            ask = functools.partial(self._pictures_of, take, part)
            if (found := second.ask(ask)) is not None:
                return found
        with self._lock:
            self._n_pictures += 1
        try:
            return self._ask("thumbnails", PlaneKey(*keys[0][:3]), 0, take, **part)
        finally:
            with self._lock:
                self._n_pictures -= 1

    def _pictures_of(self, take: Callable[..., T], part: dict[str, Any], process: ReaderProcess) -> T:
        return process.ask("thumbnails", self._read_seconds, take=functools.partial(take, process), **part)

    def label_parts(self, name: str, parts: Sequence[LabelPart], *, anew: bool = False) -> list[SeenLabels]:
        """See `engine.label_parts`, whose `LabelParts` read in the reader process: one request for all."""
        if not parts:
            return []

        def take(process: ReaderProcess, reply: protocol.Message) -> list[SeenLabels]:
            pixels = unpacked(process.copy_out(reply), reply["parts"], len(parts))
            facts = map(protocol.label_facts_from_json, reply["facts"])
            return [
                SeenLabels(each.pixels, said, each.error) for each, said in zip(pixels, facts, strict=True)
            ]

        key = PlaneKey(parts[0].t, parts[0].p)
        return self._ask("label parts", key, 0, take, name=name, parts=parts, anew=anew)

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: as of the last `are_stored`."""
        return self._leaves_out_empty

    def _with_file(self, key: PlaneKey) -> dict[str, Any]:
        """The address of a plane, and the file that a host named for it if no rule tells which."""
        which: dict[str, Any] = {**protocol.key_to_json(key, self._said.last)}
        file = self._files.file_of(key) if self._files is not None else None
        return which if file is None else which | {"file": file}

    def read_versioned(
        self, key: PlaneKey, level: int = 0, region: Region | None = None
    ) -> tuple[np.ndarray, str | None]:
        """See `Source.read_versioned`: one request."""

        def take(process: ReaderProcess, reply: protocol.Message) -> tuple[np.ndarray, str | None]:
            return self._plane(process, reply), reply.get("version")

        part: dict[str, Any] = {} if region is None else {"region": tuple(region)}
        return self._ask("read", key, level, take, versioned=True, **part)

    def stamps(self, keys: Sequence[PlaneKey]) -> list[str | None]:
        """See `Source.stamps`: one request. Raises if the reader process does not answer."""
        if not keys:
            return []
        which = [protocol.key_to_json(key, self._said.last) for key in keys]
        return self._ask("stamps", keys[0], 0, lambda _, reply: list(reply["stamps"]), planes=which)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: one request. Raises if the reader process does not answer."""
        if not keys:
            return []
        which = [self._with_file(key) for key in keys]
        return self._ask("acquired", keys[0], 0, lambda _, reply: list(reply["seconds"]), planes=which)

    def read_measured(self, key: PlaneKey, known: str | None = None) -> MeasuredPlane:
        """See `Source.read_measured`: one request; the reader process measures."""

        def take(process: ReaderProcess, reply: protocol.Message) -> MeasuredPlane:
            return _measured(self._plane(process, reply), reply)

        return self._ask("read", key, 0, take, measured=True, known=known)

    def measure(self, key: PlaneKey) -> MeasuredPlane:
        """See `Source.measure`: one request, after which no pixels are sent."""
        return self._ask("measure", key, 0, lambda _, reply: _measured(None, reply))

    def _which(self, key: PlaneKey, level: int) -> dict[str, Any]:
        which: dict[str, Any] = {**protocol.key_to_json(key, self._said.last), "level": level}
        files = self._files
        if files is not None and files.folder is not None:
            which |= {"folder": files.folder, "file": files.file_of(key) or (None,)}
        return which

    def close(self) -> None:
        """Kill the process; pending calls fail at once. Never blocks."""
        self._readers.close()
        if self._second is not None:
            self._second.close()

    def start(self) -> None:
        """Start the process and open the dataset; blocks. For use in a background thread."""
        self._readers.current()

    def _ask(
        self,
        op: str,
        key: PlaneKey,
        level: int,
        take: Callable[[ReaderProcess, protocol.Message], T],
        **part: Any,
    ) -> T:
        """Send a request until it is answered, or has crashed or blocked too many processes."""
        request = (op, tuple(key), level, part.get("region"), part.get("size"))

        def what() -> str:
            return what_was_asked(op, key, level, self._name)

        seconds = self._open_seconds if op in ("refresh", "look", "look at all") else self._read_seconds
        for sent in range(_MAX_SENT):
            self._readers.blame.check(request, what)
            process = self._readers.current()
            with_slots: Callable[[protocol.Message], T] = functools.partial(take, process)
            which = self._which(key, level) | part
            try:
                with self._readers.blame.alone_if_suspected(request):
                    answer = process.ask(op, seconds, moves=not sent, take=with_slots, **which)
                self._readers.blame.clear(request)
                return answer
            except ReplacedError:
                continue
            except ReaderCrashedError as error:
                self._readers.bury(process, error)
                self._readers.blame.strike(request, str(error))
            except DeadlineError:
                self._readers.replace(process)
                break
        self._readers.blame.check(request, what)
        raise ReadTimeoutError(
            f"{what()} timed out after {seconds:g} s; the hung reader process was replaced. "
            "Check the disk or server, then refresh"
        )

    def _adopt(self, message: protocol.Message) -> None:
        self._said.take(protocol.info_from_json(message), self._readers.process)

    @property
    def _name(self) -> str:
        if isinstance(self._what, str):
            return presentable(self._what)
        return "the stores of the running acquisition"


def _measured(pixels: np.ndarray | None, reply: protocol.Message) -> MeasuredPlane:
    statistics = protocol.statistics_from_json(reply["statistics"])
    return MeasuredPlane(pixels, reply["version"], reply["stamp"], statistics)
