"""The reader processes of one dataset: the one in use, and those with pending requests."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, ReadDroppedError, ReaderCrashedError, ReadTimeoutError, closed_error
from ..storage.cancellation import CancelScope, current_scope
from .blame import Blame
from .calls import DeadlineError, ReplacedError
from .spare import take_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from .protocol import Message
    from .reader_process import ReaderProcess

logger = logging.getLogger(__name__)

_MAX_OLDER = 2  # processes besides the one in use, with requests that may never be answered
_READER_GLANCE_SECONDS = 0.25  # how often a waiter checks whether it is still wanted


class Readers:
    """Starts a process and opens the dataset in it for the first caller; others wait for it.

    A process that has died, or does not answer, is replaced; the latter is kept beside the new one until
    nobody is waiting for an answer from it. Any thread.
    """

    def __init__(
        self,
        name: str,
        request: Callable[[], dict[str, Any]],
        seconds: float,
        patience: float,
        on_info: Callable[[Message], None],
        on_death: Callable[[ReaderCrashedError], None],
    ) -> None:
        self._name = name
        self._request = request  # of opening
        self._seconds = seconds
        self._patience = patience
        self._on_info = on_info
        self._on_death = on_death
        self.blame = Blame()
        self._lock = threading.Lock()
        self._opening: Future[ReaderProcess] | None = None
        self._opening_since: float | None = None
        self._process: ReaderProcess | None = None
        self._older: list[ReaderProcess] = []
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it is closed: no more processes are started."""
        return self._closed

    @property
    def process(self) -> ReaderProcess | None:
        """The process in use, or None. It may be dead."""
        return self._process

    @property
    def opening_since(self) -> float | None:
        """Since when the dataset has been opening (`time.monotonic`), or None."""
        return self._opening_since

    def current(self) -> ReaderProcess:
        """The process to send requests to; blocks until the dataset is open in it.

        Raises what opening raised, `ReadTimeoutError` if it took too long, `ReadDroppedError` once the
        `CancelScope` of this thread is dropped.
        """
        while True:
            self._check_owner()
            died = self._process
            if died is not None and isinstance(died.gone, ReaderCrashedError):  # while idle
                self.bury(died, died.gone)
            hung, ended = None, []
            with self._lock:
                if self._closed:
                    raise closed_error()
                opening = self._opening
                mine = opening is None or not self._is_of_use(opening)
                if opening is None or mine:
                    hung = self._process
                    opening = self._opening = Future()
                    self._opening_since = time.monotonic()
                    if hung is not None:
                        self._process = None
                        ended = [each for each in self._older if not each.alive]
                        self._older = [each for each in [*self._older, hung] if each.alive]
            for each in ended:
                each.kill(ReplacedError())  # releases its remains
            if hung is not None:
                hung.retire()
            if mine:
                self._open_for_all(opening)
            elif not opening.done():
                _wait_while_wanted(opening)
            try:
                return opening.result()
            except ReplacedError:  # the opening thread was interrupted: another one opens
                continue

    def _is_of_use(self, opening: Future[ReaderProcess]) -> bool:
        """Whether it is usable, now or once opened. With the lock held."""
        if not opening.done():
            return True
        if opening.exception() is not None or not opening.result().alive:
            return False
        if not opening.result().has_hung_calls:
            return True
        return sum(each.alive for each in self._older) >= _MAX_OLDER

    def _open_for_all(self, opening: Future[ReaderProcess]) -> None:
        try:
            opening.set_result(self._open())
        except Exception as error:  # noqa: BLE001  it belongs to all who wait for the session
            opening.set_exception(error)
        except BaseException:  # only for this thread
            opening.set_exception(ReplacedError())
            raise
        finally:
            if not opening.done():  # a second Ctrl-C
                opening.set_exception(ReplacedError())
            self._opening_since = None

    def _open(self) -> ReaderProcess:
        while True:
            self.blame.check("open", lambda: f"opening {self._name}")
            process = take_process()
            with self._lock:
                self._process = process
                closed = self._closed
            if closed:
                process.kill(closed_error())
            process.patience = self._patience
            request = self._request()
            process.reads_in_flight = request["threads"]
            process.on_info = functools.partial(self._hear, process)
            try:
                with (
                    CancelScope()
                ):  # others are waiting, too: it does not end with the first read that needed it
                    process.ask("open", self._seconds, take=lambda _: None, **request)
                self.blame.clear("open")
                return process
            except ReaderCrashedError as error:
                self.bury(process, error)
                self.blame.strike("open", str(error))
            except DeadlineError:
                self._give_back(process)
                raise ReadTimeoutError(
                    f"opening {self._name} timed out after {self._seconds:g} s. "
                    "Check the disk or server, then open it again"
                ) from None
            except BaseException:
                self._give_back(process)
                raise

    def _hear(self, process: ReaderProcess, info: Message) -> None:
        if process is self._process:  # an older one's info may be out of date
            self._on_info(info)

    def _give_back(self, process: ReaderProcess) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
        process.kill(ReplacedError())

    def bury(self, process: ReaderProcess, error: ReaderCrashedError) -> None:
        """Report once that `process` has died of `error`; another one is started when needed."""
        process.kill(error)
        with self._lock:
            if self._closed or process not in (self._process, *self._older):
                return
            if process is self._process:
                self._process = None
            else:
                self._older.remove(process)
        logger.warning("%s (reading %s)", error, self._name)
        self._on_death(error)

    def replace(self, process: ReaderProcess) -> None:
        """End a hung process; its other pending requests are sent again elsewhere."""
        self._give_back(process)

    def close(self) -> None:
        """End the processes; pending requests fail at once. Never blocks."""
        if self._is_forked():
            self._closed = True
            return  # they belong to the parent process
        with self._lock:
            self._closed = True
            processes = [*self._older, *([self._process] if self._process is not None else [])]
        for process in processes:
            process.kill(closed_error())

    def _is_forked(self) -> bool:
        process = self._process
        return process is not None and process.owner != os.getpid()

    def _check_owner(self) -> None:
        # before taking any lock: another thread may have held it at the fork
        if self._is_forked():
            raise DatasetError(
                f"{self._name} was opened before this process was forked, and its reader process belongs to "
                "the parent process. Open it again in this process"
            )


def _wait_while_wanted(opening: Future[ReaderProcess]) -> None:
    scope = current_scope()
    while not wait([opening], _READER_GLANCE_SECONDS).done:
        if scope is not None and scope.dropped:
            raise ReadDroppedError("no longer needed")
