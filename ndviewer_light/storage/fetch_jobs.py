"""What is wanted and by whom: wishes of people, jobs of threads, requests to servers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..errors import DatasetError
from .fetch_errors import Failure, error_for
from .fetch_plan import Block, blocks_of, joined

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from .fetch_client import Answer, Place, Version

    Range = tuple[int, int]


class ReadDroppedError(DatasetError):
    """Nobody waited any more for what was being read."""

    transient = True


class Wish:
    """What somebody waits for, a plane for one: the reads done within ``with wish:`` belong to it.

    When nobody waits any more, `drop` makes them end at once with `ReadDroppedError` and gives what they
    occupied of the network to others. Reads in the background give way to all others. Any thread.
    """

    def __init__(self, *, background: bool = False) -> None:
        self.background = background
        self._lock = threading.Lock()
        self.dropped = False
        self._jobs: set[Job] = set()

    def drop(self) -> None:
        """End all reads that belong to this wish, now and later."""
        with self._lock:
            self.dropped = True
            jobs = list(self._jobs)
        for job in jobs:
            job.give_up()

    def add(self, job: Job) -> None:
        """Let `job` end with this wish; raises `ReadDroppedError` if it has."""
        with self._lock:
            if self.dropped:
                raise job.file.not_wanted()
            self._jobs.add(job)

    def remove(self, job: Job) -> None:
        """`job` is done."""
        with self._lock:
            self._jobs.discard(job)

    def __enter__(self) -> Wish:
        _here.wishes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _here.wishes.remove(self)


class _Here(threading.local):
    def __init__(self) -> None:
        self.wishes: list[Wish] = []


_here = _Here()


def current_wish() -> Wish | None:
    """The wish that reads of this thread belong to now."""
    return _here.wishes[-1] if _here.wishes else None


class File:
    """A file on a server, pinned to the version it was opened at."""

    def __init__(self, place: Place, version: Version) -> None:
        self.place = place
        self.version = version
        self.closed: DatasetError | None = None  # what reads end with once it is set

    def error(self, failure: Failure) -> DatasetError:
        """What callers are told of a failure after the file was opened."""
        failure.kind = "gone" if failure.kind == "missing" else failure.kind
        return error_for(failure, self.place.name, self.place.host)

    def not_wanted(self) -> ReadDroppedError:
        """What those are told who gave up waiting."""
        return ReadDroppedError(f"{self.place.name}: not wanted any more")

    async def get(self, block: Block) -> Answer:
        """One request; raises `Failure`, also if the file is not what it was."""
        answer = await self.place.get(block.start, block.end)
        size, etag, modified = answer.version
        mine = self.version
        if size != mine.size or (etag != mine.etag if etag and mine.etag else modified != mine.modified):
            raise Failure("changed")
        if len(answer.data) != block.length:
            raise Failure("truncated", f"{len(answer.data)} of {block.length} bytes")
        return answer


class Job:
    """Some ranges of a file that a thread waits for. All but `give_up` and `result` is for the loop."""

    def __init__(self, file: File, ranges: Sequence[Range], wish: Wish | None) -> None:
        self.file = file
        self.ranges = ranges
        self.wish = wish
        self.background = wish is not None and wish.background
        self.give_up: Callable[[], None] = lambda: None  # set by whoever works on it
        self.requests: list[Request] = []
        self.missing = 0
        self.error: DatasetError | None = None
        self.done = threading.Event()

    def result(self) -> list[bytes]:
        """The bytes of each range, once `done`; copied out by the thread that wanted them."""
        if self.error is not None:
            raise self._own_error(self.error)
        requests = sorted(set(self.requests), key=lambda request: request.block)
        blocks = [request.block for request in requests]
        data = {request.block: request.data for request in requests}
        return [joined(blocks_of(blocks, *wanted), data, *wanted) for wanted in self.ranges]

    @staticmethod
    def _own_error(shared: DatasetError) -> DatasetError:
        error = type(shared)(*shared.args)  # one request may fail several jobs, each in its own thread
        error.transient = shared.transient
        return error


class Request:
    """A block on its way; `jobs` are those that wait for it."""

    def __init__(self, file: File, block: Block) -> None:
        self.file = file
        self.block = block
        self.jobs: list[Job] = []
        self.task: asyncio.Task[None] | None = None
        self.data = b""
