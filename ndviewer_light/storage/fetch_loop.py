"""All requests of this process: what is wanted is gathered for 2 ms, merged, sent newest first, tried again.

One thread runs the loop that all requests share; it starts with the first and ends soon after the last.
What readers wait for is a `Job`; what is sent is a block, which may serve several jobs.
"""

from __future__ import annotations

import asyncio
import atexit
import heapq
import itertools
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError
from .fetch_errors import Failure, error_for
from .fetch_plan import Block, blocks_for, blocks_of, joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .fetch_client import Answer, Place, Version

    Range = tuple[int, int]

log = logging.getLogger(__name__)

IN_FLIGHT = 32  # requests under way at once, unless told otherwise
GATHER_SECONDS = 0.002
RETRY_SECONDS = (0.1, 0.3, 0.8, 2.0)  # before each further try
TRYING_SECONDS = 60.0  # no further try after these
_SLOWEST_BYTES_PER_S = 10_000  # what comes slower than this will never be a picture
_SLOW_START_SECONDS = 30.0
_IDLE_SECONDS = 0.25
_BACKGROUND_RESERVE = 4  # requests that what somebody waits for can always have


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
            job.fetcher.give_up(job, ReadDroppedError(f"{job.file.place.name}: not wanted any more"))

    def _add(self, job: Job) -> None:
        with self._lock:
            if self.dropped:
                raise ReadDroppedError(f"{job.file.place.name}: not wanted any more")
            self._jobs.add(job)

    def _remove(self, job: Job) -> None:
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
    """Some ranges of a file that a thread waits for."""

    def __init__(self, fetcher: Fetcher, file: File, ranges: Sequence[Range], *, background: bool) -> None:
        self.fetcher = fetcher
        self.file = file
        self.ranges = ranges
        self.background = background
        self.blocks: list[_Request] = []
        self.missing = 0
        self.error: DatasetError | None = None
        self.done = threading.Event()

    def result(self) -> list[bytes]:
        """The bytes of each range, once `done`; copied out by the thread that wanted them."""
        if self.error is not None:
            raise self._own_error(self.error)
        requests = sorted(set(self.blocks), key=lambda request: request.block)
        blocks = [request.block for request in requests]
        views = {request.block: memoryview(request.data) for request in requests}
        return [joined(blocks_of(blocks, *wanted), views, *wanted) for wanted in self.ranges]

    @staticmethod
    def _own_error(shared: DatasetError) -> DatasetError:
        error = type(shared)(*shared.args)  # one request may fail several jobs, each in its own thread
        error.transient = shared.transient
        return error


class _Request:
    """A block on its way; `jobs` are those that wait for it."""

    def __init__(self, file: File, block: Block) -> None:
        self.file = file
        self.block = block
        self.jobs: list[Job] = []
        self.task: asyncio.Task[None] | None = None
        self.data: Any = b""


class Fetcher:
    """Sends requests, so many at once, and hands out what came. Any thread may call the public methods."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        self.in_flight = in_flight
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls = 0  # made and not finished; this and the next guarded by the lock
        self._called = 0.0
        # what follows is the loop's alone
        self._gathered: dict[tuple[File, bool], list[Job]] = {}
        self._queue: list[tuple[bool, int, int, _Request]] = []
        self._batches = itertools.count()
        self._under_way: set[_Request] = set()

    # ---- from any thread ----------------------------------------------------------------------

    def read(self, file: File, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of each range of `file`, none beyond its end; blocks. Raises a `DatasetError`."""
        wish = current_wish()
        job = Job(self, file, ranges, background=wish is not None and wish.background)
        if wish is not None:
            wish._add(job)
        try:
            self._call(lambda: self._gather(job))
            if wish is not None and wish.dropped:  # while we were on the way
                self.give_up(job, ReadDroppedError(f"{file.place.name}: not wanted any more"))
            job.done.wait()
        except BaseException:  # Ctrl-C while waiting
            self.give_up(job, ReadDroppedError("interrupted"))
            raise
        finally:
            if wish is not None:
                wish._remove(job)
        return job.result()

    def run(self, get: Callable[[], Awaitable[Answer]]) -> Answer:
        """One request outside any file, tried again as all are; blocks. Raises `Failure`, `DatasetError`."""
        done = threading.Event()
        said: list[Answer | Failure | DatasetError] = []

        async def work() -> None:
            try:
                said.append(await _tried(get, 0))
            except (Failure, DatasetError) as failure:
                said.append(failure)
            except BaseException as error:  # the waiting thread must wake whatever happens
                said.append(Failure("other", type(error).__name__))
                raise
            finally:
                done.set()
                self._finished()

        kept: list[asyncio.Task[None]] = []  # a loop only holds its tasks weakly
        self._call(lambda: kept.append(asyncio.get_running_loop().create_task(work())))
        done.wait()
        if isinstance(said[0], (Failure, DatasetError)):
            raise said[0]
        return said[0]

    def give_up(self, job: Job, error: DatasetError) -> None:
        """End `job` with `error` unless it is done; requests only it waits for are cancelled."""
        self._tell(lambda: self._end(job, error))

    def forget(self, file: File, error: DatasetError) -> None:
        """End everything that is wanted of `file` with `error`, now and later."""
        file.closed = error

        def end_all() -> None:
            for job in self._waiting():
                if job.file is file:
                    self._end(job, error)

        self._tell(end_all)

    def stop(self) -> None:
        """End the thread and every read under way, as the process does at its end."""
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            self._tell(self._end_everything)
            thread.join(2.0)

    # ---- the thread ---------------------------------------------------------------------------

    def _call(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._work, args=(self._loop,), name="ndviewer-fetch", daemon=True
                )
                self._thread.start()
            self._calls += 1
            self._called = time.monotonic()
            self._loop.call_soon_threadsafe(call)

    def _tell(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.call_later(_IDLE_SECONDS, self._end_if_idle, loop)
        loop.run_forever()
        loop.close()

    def _end_if_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._calls == 0 and time.monotonic() - self._called >= _IDLE_SECONDS:
                self._loop = None
                loop.stop()
                return
        loop.call_later(_IDLE_SECONDS, self._end_if_idle, loop)

    def _end_everything(self) -> None:
        for job in self._waiting():
            self._end(job, ReadDroppedError("reading from servers has ended"))
        loop = asyncio.get_running_loop()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with self._lock:
            self._loop = None
        loop.call_later(0.05, loop.stop)  # so that cancelled requests let go of their connections

    def _waiting(self) -> list[Job]:
        jobs = [job for gathered in self._gathered.values() for job in gathered]
        for request in [request for *_, request in self._queue] + list(self._under_way):
            jobs += request.jobs
        return jobs

    # ---- in the thread ------------------------------------------------------------------------

    def _gather(self, job: Job) -> None:
        if job.file.closed is not None:
            self._end(job, job.file.closed)
            return
        if not self._gathered:  # who comes first, or reads one after the other, does not wait for others
            seconds = GATHER_SECONDS if self._under_way else 0.0
            asyncio.get_running_loop().call_later(seconds, self._send)
        self._gathered.setdefault((job.file, job.background), []).append(job)

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for (file, background), jobs in gathered.items():
            self._enqueue(file, background, [job for job in jobs if not job.done.is_set()])
        self._start()

    def _enqueue(self, file: File, background: bool, jobs: Sequence[Job]) -> None:
        blocks = blocks_for([wanted for job in jobs for wanted in job.ranges if wanted[1]])
        requests = {block: _Request(file, block) for block in blocks}
        for job in jobs:
            for block in {b for offset, length in job.ranges for b in blocks_of(blocks, offset, length)}:
                requests[block].jobs.append(job)
                job.blocks.append(requests[block])
                job.missing += 1
            if not job.missing:
                self._end(job, None)
        batch = next(self._batches)
        for number, request in enumerate(requests.values()):
            heapq.heappush(self._queue, (background, -batch, number, request))  # the newest first

    def _start(self) -> None:
        while self._queue:
            reserve = _BACKGROUND_RESERVE if self._queue[0][0] else 0
            if len(self._under_way) >= max(1, self.in_flight - reserve):
                return
            request = heapq.heappop(self._queue)[-1]
            if request.jobs:  # else everybody gave up waiting
                self._under_way.add(request)
                request.task = asyncio.get_running_loop().create_task(self._request(request))

    async def _request(self, request: _Request) -> None:
        error: DatasetError | None = None
        try:
            answer = await _tried(lambda: request.file.get(request.block), request.block.length)
            request.data = answer.data
        except Failure as failure:
            error = request.file.error(failure)
        except asyncio.CancelledError:
            error = ReadDroppedError(f"{request.file.place.name}: not wanted any more")
        except DatasetError as known:  # no client library
            error = known
        except Exception as unknown:  # whoever waits must be told, whatever it is
            log.exception("a request failed in an unforeseen way")
            error = request.file.error(Failure("other", type(unknown).__name__))
        finally:
            self._under_way.discard(request)
            self._arrived(request, error)
            self._start()

    def _arrived(self, request: _Request, error: DatasetError | None) -> None:
        for job in list(request.jobs):
            job.missing -= 1
            if error is not None or not job.missing:
                self._end(job, error)

    def _end(self, job: Job, error: DatasetError | None) -> None:
        if job.done.is_set():
            return
        job.error = error
        job.done.set()
        self._finished()
        for request in job.blocks:
            if job in request.jobs:
                request.jobs.remove(job)
            if not request.jobs and request.task is not None:
                request.task.cancel()  # a finished one is not changed by it

    def _finished(self) -> None:
        with self._lock:
            self._calls -= 1


async def _tried(get: Callable[[], Awaitable[Answer]], length: int) -> Answer:
    """What `get` answers, at the first try or a later one; raises the last `Failure`."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for tries in itertools.count(1):
        try:
            return await _within(get(), _SLOW_START_SECONDS + length / _SLOWEST_BYTES_PER_S)
        except Failure as failure:
            is_over = tries > len(RETRY_SECONDS) or clock() - began > TRYING_SECONDS
            if not failure.again or is_over:
                failure.tries = tries
                raise
            log.debug("try %d: %s", tries, failure.kind)
            await asyncio.sleep(RETRY_SECONDS[tries - 1] * random.uniform(0.7, 1.3))
    raise AssertionError


async def _within(answer: Awaitable[Answer], seconds: float) -> Answer:
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError:
        raise Failure("stalled") from None


_the_fetcher = Fetcher()
atexit.register(_the_fetcher.stop)  # a loop that runs on while Python ends can take the process down


def the_fetcher() -> Fetcher:
    """The one fetcher of this process."""
    return _the_fetcher
