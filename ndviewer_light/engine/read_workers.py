"""The threads that read for a cache: few, more while some of them hang, none while there is nothing to do."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from ..storage.program_end import abandonable_thread

if TYPE_CHECKING:
    from collections.abc import Callable

HUNG_SECONDS = 5.0
"""A read that takes longer may never end: another worker, or another reader process, takes its place."""

_EXTRA_WORKERS = 28  # maximum number of replacements for hung workers
_IDLE_SECONDS = 1.0  # idle workers end, and a cache that nobody closed can be collected

Read = TypeVar("Read")


class ReadWorkers(Generic[Read]):
    """Threads that take queued reads and run them, at most `most` that do not hang.

    `lock` guards the queue, which belongs to the caller: `n_queued` and `take` are called with it held.
    `run`, which raises nothing, and `none_started`, for when there are no threads, are called without it.
    """

    def __init__(
        self,
        lock: threading.RLock,
        most: int,
        n_queued: Callable[[], int],
        take: Callable[[], Read],
        run: Callable[[Read], None],
        none_started: Callable[[RuntimeError], None],
    ) -> None:
        self._most = most
        self._n_queued = n_queued
        self._take = take
        self._run = run
        self._none_started = none_started
        self._lock = lock
        self._wake = threading.Condition(lock)
        self._relief_wake = threading.Condition(lock)
        self._threads: set[threading.Thread] = set()
        self._busy: dict[threading.Thread, float] = {}  # reading workers, and since when
        self._idle = 0
        self._relief: threading.Thread | None = None
        self._closed = False

    @property
    def n_idle(self) -> int:
        """How many wait for something to do."""
        return self._idle

    @property
    def threads(self) -> frozenset[threading.Thread]:
        """Those that read, or wait for something to do."""
        return frozenset(self._threads)

    def new_threads(self) -> list[threading.Thread]:
        """Wake workers for what is queued; returns threads to `start` after releasing the lock, held here."""
        n_queued = self._n_queued()
        self._wake.notify()
        missing = n_queued - self._idle
        if missing <= 0:
            return []
        room = self._allowed(time.monotonic()) - len(self._threads)
        threads = [
            abandonable_thread(self._work, "ndviewer-plane-reader") for _ in range(max(0, min(missing, room)))
        ]
        self._threads.update(threads)
        if missing > len(threads) and self._relief is None:
            # no reason to stay alive: it only waits for hung reads
            self._relief = threading.Thread(target=self._relieve, name="ndviewer-plane-relief", daemon=True)
            threads.append(self._relief)
        return threads

    def start(self, threads: list[threading.Thread]) -> None:
        """Start the threads; without the lock."""
        interrupted: BaseException | None = None
        for thread in threads:
            try:
                thread.start()
            except RuntimeError as error:  # too many threads, or too little memory
                if self._has_none_without(thread):
                    self._none_started(error)
            except BaseException as error:  # noqa: BLE001  Ctrl-C: the others are waited for all the same
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def _has_none_without(self, thread: threading.Thread) -> bool:
        with self._lock:
            self._threads.discard(thread)
            if self._relief is thread:
                self._relief = None
            return not self._threads

    def close(self) -> list[threading.Thread]:
        """Take nothing more; returns the threads there are. The lock is held here."""
        self._closed = True
        self._wake.notify_all()
        self._relief_wake.notify_all()
        return [*self._threads, *([self._relief] if self._relief is not None else [])]

    def _allowed(self, now: float) -> int:
        hung = sum(now - began >= HUNG_SECONDS for began in self._busy.values())
        return self._most + min(hung, _EXTRA_WORKERS)

    # ---- in the threads --------------------------------------------------------------------

    def _work(self) -> None:
        while (read := self._next()) is not None:
            self._run(read)

    def _next(self) -> Read | None:
        me = threading.current_thread()
        with self._lock:
            self._busy.pop(me, None)
            self._idle += 1
            try:
                while not self._n_queued() and not self._closed:
                    if not self._wake.wait(_IDLE_SECONDS) and not self._n_queued():
                        break
                now = time.monotonic()
                if not self._n_queued() or len(self._threads) > self._allowed(now):
                    self._threads.discard(me)
                    return None
                read = self._take()
                self._busy[me] = now
                if self._n_queued():
                    self._wake.notify()
                return read
            finally:
                self._idle -= 1

    def _relieve(self) -> None:
        """While reads are queued, make sure that a worker with a hung read is replaced."""
        while True:
            with self._lock:
                now = time.monotonic()
                to_come = [began for began in self._busy.values() if now - began < HUNG_SECONDS]
                if not self._closed:  # before this thread ran: then nobody wakes it
                    self._relief_wake.wait(min(to_come, default=now) + HUNG_SECONDS - now)
                if self._closed or not self._n_queued():
                    self._relief = None
                    return
                threads = self.new_threads()
            self.start(threads)
