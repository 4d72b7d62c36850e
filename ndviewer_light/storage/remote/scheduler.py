"""All requests of this process: gathered for some ms, merged, sent newest first, retried.

One thread runs the loop that all requests share; it starts with the first and ends soon after the last.
Readers wait for a `Job`; a `Request` is sent, which may serve several jobs.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from ...errors import DatasetError, ReadDroppedError
from ..cancellation import current_scope
from ..program_end import give_up_at_end
from ..waits import wait_for
from .coalescing import blocks_for, blocks_of
from .errors import Failure
from .forks import after_fork, check_not_forked
from .jobs import File, Job, Request
from .retries import Tries, seconds_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Range = tuple[int, int]


log = logging.getLogger(__name__)

_Got = TypeVar("_Got")

IN_FLIGHT = 64  # default number of simultaneous requests
GATHER_SECONDS = 0.002
"""How long jobs are waited for after the last one, so that neighbours can be merged."""
GATHER_AT_MOST_SECONDS = 0.012
"""How long the first of them waits: many threads that start at once take about that long to get here."""
LARGE_BYTES = 512 * 1024
"""Larger ranges are sent at once: a request of their own costs nothing but a little of the server's time."""
_THREAD_IDLE_SECONDS = 0.25
_MERGE_SECONDS = 0.05
_BACKGROUND_RESERVE = 4  # requests reserved for foreground reads


class RequestScheduler:
    """Sends a limited number of requests at once and delivers the results. Public methods: any thread."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        self.in_flight = in_flight
        self._lock = threading.Lock()
        self._sender: _Sender | None = None
        self._has_ended = False

    def read(self, file: File, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of each range of `file`, none beyond its end; blocks. Raises a `DatasetError`."""
        job = Job(file, ranges, current_scope())
        sender = self._started(lambda sender: sender.gather(job))
        job.give_up = lambda: self._tell(sender, lambda: sender.end(job, file.not_wanted()))
        try:
            if job.scope is not None:
                job.scope.add(job)
            wait_for(job.done)
        except BaseException:  # no longer needed already, or Ctrl-C while waiting
            job.give_up()
            raise
        finally:
            if job.scope is not None:
                job.scope.remove(job)
        return job.result()

    def run(self, get: Callable[[], Awaitable[_Got]], name: str) -> _Got:
        """One request outside any file, with the usual retries; blocks. Raises `Failure`, `DatasetError`."""
        single, scope = _Single[_Got](name), current_scope()
        sender = self._started(lambda sender: single.start(sender, get))
        single.give_up = lambda: self._tell(sender, single.cancel)
        try:
            if scope is not None:
                scope.add(single)
            wait_for(single.done)
        except BaseException:  # no longer needed already, or Ctrl-C while waiting
            single.give_up()
            raise
        finally:
            if scope is not None:
                scope.remove(single)
        return single.result()

    def forget(self, file: File, error: DatasetError) -> None:
        """End all reads of `file` with `error`, now and later."""
        file.closed = error
        with self._lock:
            sender = self._sender
        if sender is not None:
            self._tell(sender, lambda: sender.end_all(file, error))

    def stop(self) -> int:
        """End the thread and every read in progress; returns the number of requests in flight."""
        with self._lock:
            sender, self._sender = self._sender, None
            if sender is not None:
                sender.loop.call_soon_threadsafe(sender.loop.stop)
        if sender is None:
            return 0
        sender.thread.join(2.0)
        return sender.cut_short

    def give_up(self) -> None:
        """Like `stop`, but permanent: the process is exiting, and further reads fail."""
        with self._lock:
            self._has_ended = True
            has_sent_lately = self._sender is not None
        self.stop()
        if has_sent_lately:
            # obstore's own threads come back to Python for a moment after they have handed over an answer, or
            # when a request was cancelled; if Python has begun to shut down by then, they crash the process
            time.sleep(_MERGE_SECONDS)

    def renew(self) -> list[object]:
        """For a forked process: start afresh; returns the parent's objects."""
        left: _Sender | None = self._sender
        self._sender = None
        self._lock = threading.Lock()
        return [] if left is None else [left]

    @property
    def load(self) -> tuple[int, int]:
        """The number of requests in flight, and of requests waiting."""
        with self._lock:
            return (0, 0) if self._sender is None else self._sender.load

    def _started(self, call: Callable[[_Sender], None]) -> _Sender:
        """Run `call` in the thread, which is started if necessary; it counts until `finished`."""
        check_not_forked()
        with self._lock:
            if self._has_ended:
                raise ReadDroppedError("reading from servers has stopped because the program is exiting")
            if self._sender is None:
                self._sender = _Sender(self)
                self._sender.thread.start()
            sender = self._sender
            sender.calls += 1
            sender.called = time.monotonic()
            sender.told.append(call)
            if len(sender.told) == 1:  # else it has been woken: each time is a system call
                sender.loop.call_soon_threadsafe(sender.take)
        return sender

    def _tell(self, sender: _Sender, call: Callable[[], None]) -> None:
        with self._lock:
            if sender is self._sender:  # otherwise it has ended, with all its work
                sender.loop.call_soon_threadsafe(call)

    def _taken(self, sender: _Sender) -> list[Callable[[_Sender], None]]:
        with self._lock:
            told, sender.told = sender.told, []
            return told

    def _finished(self, sender: _Sender) -> None:
        with self._lock:
            sender.calls -= 1

    def _ends_if_idle(self, sender: _Sender) -> bool:
        with self._lock:
            is_idle = sender.calls == 0 and time.monotonic() - sender.called >= _THREAD_IDLE_SECONDS
            if is_idle and sender is self._sender:
                self._sender = None
            return is_idle


class _Single(Generic[_Got]):
    """A request outside any file as a `Cancellable`; a thread waits for it to be `done`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = threading.Event()
        self.give_up: Callable[[], None] = lambda: None  # set while somebody works on it
        self._task: asyncio.Task[_Got] | None = None
        self._is_dropped = False

    def not_wanted(self) -> ReadDroppedError:
        return ReadDroppedError(f"{self.name}: no longer needed")

    def start(self, sender: _Sender, get: Callable[[], Awaitable[_Got]]) -> None:
        """For the sending thread, like `cancel`."""
        self._task = sender.loop.create_task(_tried(get, 0))
        self._task.add_done_callback(lambda _: sender.finished(self.done))

    def cancel(self) -> None:
        if self._task is not None and not self._task.done():
            self._is_dropped = self._task.cancel()

    def result(self) -> _Got:
        assert self._task is not None
        if not self._task.cancelled():
            return self._task.result()
        if self._is_dropped:
            raise self.not_wanted()
        raise Failure("other", "the process is exiting")


class _Sender:
    """One lifetime of the thread, and its work; everything except `__init__` runs in the thread."""

    def __init__(self, scheduler: RequestScheduler) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._work, name="ndviewer-fetch", daemon=True)
        self.calls = 0  # not finished yet; this and the next two are guarded by the scheduler's lock
        self.called = 0.0
        self.told: list[Callable[[_Sender], None]] = []  # and not taken yet
        self.cut_short = 0  # requests in flight when it ended
        self._scheduler = scheduler
        self._has_ended = False
        self._gathered: dict[tuple[File, bool], list[Job]] = {}
        self._last_gathered = self._gathers_until = 0.0
        self._queue: list[tuple[bool, int, int, Request]] = []
        self._batches = itertools.count()
        self._under_way: set[Request] = set()

    @property
    def load(self) -> tuple[int, int]:
        return len(self._under_way), len(self._queue)

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_later(_THREAD_IDLE_SECONDS, self._end_if_idle)
        try:
            self.loop.run_forever()
        finally:
            self._has_ended = True
            self.loop.run_until_complete(self._end())
            self.loop.close()

    def take(self) -> None:
        """Do what threads have told it to, in order; many that ask at once wake it once."""
        for call in self._scheduler._taken(self):
            call(self)

    def _end_if_idle(self) -> None:
        if self._scheduler._ends_if_idle(self):
            self.loop.stop()
        else:
            self.loop.call_later(_THREAD_IDLE_SECONDS, self._end_if_idle)

    async def _end(self) -> None:
        for job in self._waiting():
            self.end(job, ReadDroppedError("reading from servers has stopped"))
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        self.cut_short = len(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def gather(self, job: Job) -> None:
        """Accept `job`, to be sent together with others within 2 ms."""
        if job.file.closed is not None or self._has_ended:
            self.end(job, job.file.closed or job.file.not_wanted())
            return
        if all(length >= LARGE_BYTES for _, length in job.ranges):
            self._enqueue(job.file, job.background, [job])
            self._start()
            return
        self._last_gathered = self.loop.time()
        if not self._gathered:  # the first of a burst, or a sequential reader, does not wait for others
            self._gathers_until = self._last_gathered + GATHER_AT_MOST_SECONDS
            self.loop.call_later(GATHER_SECONDS if self._under_way else 0.0, self._send)
        self._gathered.setdefault((job.file, job.background), []).append(job)

    def _send(self) -> None:
        now = self.loop.time()
        more = min(self._last_gathered + GATHER_SECONDS, self._gathers_until) - now
        if self._under_way and more > 0:
            self.loop.call_later(more, self._send)
            return
        gathered, self._gathered = self._gathered, {}
        for (file, background), jobs in gathered.items():
            self._enqueue(file, background, [job for job in jobs if not job.done.is_set()])
        self._start()

    def _enqueue(self, file: File, background: bool, jobs: Sequence[Job]) -> None:
        blocks = blocks_for([wanted for job in jobs for wanted in job.ranges if wanted[1]])
        requests = {block: Request(file, block) for block in blocks}
        for job in jobs:
            for block in {b for offset, length in job.ranges for b in blocks_of(blocks, offset, length)}:
                requests[block].jobs.append(job)
                job.requests.append(requests[block])
                job.missing += 1
            if not job.missing:
                self.end(job, None)
        batch = next(self._batches)
        for number, request in enumerate(requests.values()):
            heapq.heappush(self._queue, (background, -batch, number, request))  # newest first

    def _start(self) -> None:
        while self._queue:
            reserve = _BACKGROUND_RESERVE if self._queue[0][0] else 0
            if len(self._under_way) >= max(1, self._scheduler.in_flight - reserve):
                return
            request = heapq.heappop(self._queue)[-1]
            if request.jobs:  # otherwise everybody stopped waiting
                self._under_way.add(request)
                request.task = self.loop.create_task(self._request(request))
                # not the task itself, which never runs if cancelled before it starts
                request.task.add_done_callback(partial(self._arrived, request))

    async def _request(self, request: Request) -> None:
        answer = await _tried(lambda: request.file.get(request.block), request.block.length)
        request.data = answer.data

    def _arrived(self, request: Request, task: asyncio.Task[None]) -> None:
        error = _error_of(request.file, task)
        self._under_way.discard(request)
        for job in list(request.jobs):
            job.missing -= 1
            if error is not None or not job.missing:
                self.end(job, error)
        self._start()

    def end(self, job: Job, error: DatasetError | None) -> None:
        """Finish `job`, if not finished; requests that only it was waiting for are cancelled."""
        if job.done.is_set():
            return
        job.error = error
        self.finished(job.done)
        for request in job.requests:
            if job in request.jobs:
                request.jobs.remove(job)
            if not request.jobs and request.task is not None:
                request.task.cancel()  # no effect on a finished one

    def end_all(self, file: File, error: DatasetError) -> None:
        """End all reads of `file`."""
        for job in self._waiting():
            if job.file is file:
                self.end(job, error)

    def _waiting(self) -> list[Job]:
        jobs = [job for gathered in self._gathered.values() for job in gathered]
        for request in [request for *_, request in self._queue] + list(self._under_way):
            jobs += request.jobs
        return jobs

    def finished(self, done: threading.Event) -> None:
        """Finish a counted call that somebody is waiting for."""
        self._scheduler._finished(self)
        done.set()


def _error_of(file: File, task: asyncio.Task[None]) -> DatasetError | None:
    if task.cancelled():
        return file.not_wanted()
    error = task.exception()
    if error is None or isinstance(error, DatasetError):  # the latter: the client library is missing
        return error
    if isinstance(error, Failure):
        return file.error(error)
    log.error("a request failed unexpectedly: %s", type(error).__name__)
    return file.error(Failure("other", type(error).__name__))


async def _tried(get: Callable[[], Awaitable[_Got]], length: int) -> _Got:
    """The result of `get`, with retries; raises the last `Failure`."""
    tries = Tries()
    while True:
        try:
            return await _within(get(), seconds_for(length))
        except Failure as failure:
            pause = tries.pause_after(failure)
            log.debug("will retry after a failure: %s", failure.kind)
        await asyncio.sleep(pause)


async def _within(answer: Awaitable[_Got], seconds: float) -> _Got:
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError:
        raise Failure("stalled") from None


_the_fetcher = RequestScheduler()
after_fork(_the_fetcher.renew)
give_up_at_end(_the_fetcher)  # a loop still running while Python shuts down can crash the process


def the_scheduler() -> RequestScheduler:
    """The one scheduler of this process."""
    return _the_fetcher
