"""One reader process: its pipes, its slots and the pending requests."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..engine.read_workers import HUNG_SECONDS
from ..errors import DatasetGoneError, LimitExceededError, OutOfResourcesError, ReaderCrashedError
from ..storage.cancellation import current_scope
from ..storage.program_end import give_up_at_end
from . import protocol
from .calls import Call, ReplacedError
from .last_words import LastWords
from .outbox import Outbox
from .spawned_process import READS_IN_FLIGHT, SpawnedProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import Position

T = TypeVar("T")

logger = logging.getLogger(__name__)

REMOTE_READS_IN_FLIGHT = 32
"""Planes it reads at a time from a server: each waits for a slot once it is there."""

HUNG_REMOTE_SECONDS = 20.0
"""Like `HUNG_SECONDS`, for servers, where requests take longer and have their own timeouts."""

_OUT_OF_MEMORY = ("std::bad_alloc", "Failed to allocate memory", "MemoryError")  # C++ libraries abort
_REASON_CHARACTERS = 400

_LAST_WORDS_SECONDS = 2.0  # for a process that has closed its end of the pipe to exit by itself


class ReaderProcess:
    """A reader process: one that has been started in advance, or a new one.

    Raises `OutOfResourcesError` if it cannot be started.

    `on_info` is called with the source's news, by the one receiving thread, before the
    reply it came with is passed on: also for error replies, and never out of order.
    """

    def __init__(self, spawned: SpawnedProcess | None = None) -> None:
        self.owner = os.getpid()
        self.patience = HUNG_SECONDS
        self.reads_in_flight = READS_IN_FLIGHT
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._positions: tuple[Position, ...] = ()  # as the process has said; for the receiving thread
        self._calls: dict[int, Call] = {}  # those that are held
        self._last_answer = time.monotonic()
        self._gone: Exception | None = None
        self._retired = False
        self.on_info: Callable[[protocol.Message], None] | None = None
        self._spawned = SpawnedProcess() if spawned is None else spawned
        self._popen, self._slots = self._spawned.popen, self._spawned.slots
        assert self._popen.stdin is not None
        assert self._popen.stderr is not None
        self._outbox = Outbox(self._popen.stdin)  # type: ignore[arg-type]
        self._last_words = LastWords(self._popen.stderr)  # type: ignore[arg-type]
        self._start_threads()
        give_up_at_end(self)

    def _start_threads(self) -> None:
        replies = threading.Thread(target=self._receive, name="ndviewer-reader-replies", daemon=True)
        starts = ((self._popen.stderr, self._last_words.start), (self._popen.stdout, replies.start))
        read: list[object] = []  # their threads close these: a closed descriptor soon is another file's
        try:
            for pipe, start in starts:
                read.append(pipe)
                start()
        except RuntimeError as error:
            self._spawned.discard(besides=read[:-1])
            raise OutOfResourcesError(f"cannot start a thread for a reader process: {error}") from error
        except BaseException:  # Ctrl-C: the last one may have started
            self._spawned.discard(besides=read)
            raise

    # ---- state ----------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it accepts requests."""
        return self._gone is None

    @property
    def gone(self) -> Exception | None:
        """What ended it; None while it is alive."""
        return self._gone

    @property
    def has_hung_calls(self) -> bool:
        """Whether it may be hung: requests sent to it now might not be answered either.

        That is so if it has not answered a request for `patience` seconds, or if all it can
        do at a time has taken longer than that. One slow read beside others that are answered does not count.
        """
        if not self._calls:
            return False
        now = time.monotonic()
        with self._lock:
            hung = [call for call in self._calls.values() if self._hangs(call, now)]
            return len(hung) >= self.reads_in_flight or any(call.since >= self._last_answer for call in hung)

    @property
    def is_awaited(self) -> bool:
        """Whether anybody is waiting for an answer."""
        with self._lock:
            return any(not call.left for call in self._calls.values())

    # ---- requests --------------------------------------------------------------------------

    def ask(
        self,
        op: str,
        seconds: float,
        *,
        moves: bool = False,
        take: Callable[[protocol.Message], T],
        **arguments: Any,
    ) -> T:
        """Send a request, wait for its answer at most `seconds` and return what `take` makes of it.

        Belongs to the `CancelScope` of this thread. Raises what the source raised, `ReaderCrashedError` if
        the process died, `ReplacedError` if it was replaced (with `moves` also if this request waits behind
        one that hangs), `DeadlineError` past the deadline: then the process is of no use any more.
        """
        call, scope = Call(next(self._ids), op, seconds), current_scope()
        request = protocol.frame({"id": call.number, "op": op, **arguments})
        call.abandon = lambda: self._send({"op": "abandon", "id": call.number})
        try:
            if scope is not None:
                scope.add(call)
            with self._lock:
                if self._gone is not None:
                    raise _another(self._gone)
                self._calls[call.number] = call
            self._outbox.put(request)
            reply = call.wait(self.patience, lambda: self._look(call) if moves else None)
            if "error" in reply:
                raise protocol.error_from_json(reply["error"])
            return take(reply)
        finally:
            if scope is not None:
                scope.remove(call)
            self._leave(call)

    def copy_out(self, reply: protocol.Message, *, c_order: bool = False) -> np.ndarray:
        """The plane located by a reply to "read", in C order or as it is stored; for `take` of `ask`."""
        turned = bool(reply.get("turned"))
        try:
            slot, shape, dtype = self._slots[reply["slot"]], tuple(reply["shape"]), np.dtype(reply["dtype"])
            pixels = slot.copy_out(shape, dtype, transposed=turned and c_order)
            return pixels.T if turned and not c_order else pixels
        except (LimitExceededError, MemoryError):
            raise
        except (OSError, ValueError) as error:
            if self._gone is not None:
                raise _another(self._gone) from error
            raise ReaderCrashedError(f"the reader process returned an incomplete plane: {error}") from error

    def _look(self, call: Call) -> None:
        """Called periodically while `call` waits: is it behind a hung one?"""
        now = time.monotonic()
        if not self._hangs(call, now) or not self.has_hung_calls:
            return
        with self._lock:
            behind = any(
                other.number < call.number and self._hangs(other, now) for other in self._calls.values()
            )
        if behind:
            raise ReplacedError

    def _hangs(self, call: Call, now: float) -> bool:
        return not call.answered and now - call.since >= self.patience

    def _leave(self, call: Call) -> None:
        """Nobody is waiting for `call` any more: its slot is freed, now or when a late answer arrives."""
        with self._lock:
            call.left = True
            reply, failure = call.reply, call.failure
            if call.answered:
                self._calls.pop(call.number, None)
            is_over = self._retired and all(each.left for each in self._calls.values())
        if reply is not None:
            self._release(reply)
        elif failure is None:
            call.abandon()
        if self._gone is not None:
            self._close_slots_when_left()
        elif is_over:
            self.kill(ReplacedError())

    def _release(self, reply: protocol.Message) -> None:
        if "slot" in reply:
            self._send({"op": "release", "slot": reply["slot"]})

    def _send(self, message: protocol.Message) -> None:
        self._outbox.put(protocol.frame(message))

    # ---- answers ---------------------------------------------------------------------------

    def _receive(self) -> None:
        assert self._popen.stdout is not None
        try:
            with os.fdopen(os.dup(self._popen.stdout.fileno()), "rb") as replies:
                self._popen.stdout.close()
                while (reply := protocol.receive(replies)) is not None:
                    # here, not where the answer is awaited, to keep news in order, also with error replies
                    if "info" in reply and not self._tell(reply["info"]):
                        break
                    self._hand_on(reply)
        finally:
            why = "the reader process ended unexpectedly"
            try:
                why = self._exit_reason()
            finally:  # whatever ended this thread, those who wait are answered
                self._fail(ReaderCrashedError(why))

    def _hand_on(self, reply: protocol.Message) -> None:
        with self._lock:
            self._last_answer = time.monotonic()
            call = self._calls.get(reply.get("id", -1))
            is_wanted = (
                call is not None and not call.left
            )  # now: a waiter that leaves later frees the slot itself
            if call is not None:
                call.tell(reply)
                if call.left:
                    del self._calls[call.number]
        if not is_wanted:
            self._release(reply)

    def _tell(self, info: protocol.Message) -> bool:
        """Pass on the process's description of its dataset; if invalid, end it and return False."""
        try:
            info = protocol.with_known_positions(info, self._positions)
            self._positions = info["positions"]
            if self.on_info is not None:
                self.on_info(info)
        except (KeyError, TypeError, ValueError):
            logger.exception("the reader process sent an invalid description of its dataset")
            self._popen.kill()
            return False
        return True

    # ---- the end ---------------------------------------------------------------------------

    def _exit_reason(self) -> str:
        """Wait for the process to end and describe how it ended."""
        try:
            code = self._popen.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:  # alive, but sending invalid messages
            self._popen.kill()
            code = self._popen.wait()
        how = _signal_name(-code) if code < 0 else f"exit code {code}"
        said = _reason_in(self._last_words.said(_LAST_WORDS_SECONDS))
        return f"the reader process ended unexpectedly ({how}){': ' if said else ''}{said}"

    def _fail(self, why: Exception) -> None:
        with self._lock:
            if self._gone is None:
                self._gone = why
            unanswered = [call for call in self._calls.values() if not call.answered]
            for call in unanswered:
                del self._calls[call.number]
        for call in unanswered:
            call.tell(None, _another(self._gone))

    def kill(self, why: Exception) -> None:
        """Kill it, failing pending requests with `why`; never waits for a process stuck on a dead disk."""
        self._fail(why)
        self._popen.kill()
        self._outbox.close()
        self._close_slots_when_left()

    def give_up(self) -> None:
        """End it if anybody is waiting for an answer; else it ends with the program. Never blocks."""
        if self.is_awaited:
            self.kill(DatasetGoneError("the program is ending"))

    def retire(self) -> None:
        """Send nothing more: it ends as soon as nobody is waiting for an answer."""
        with self._lock:
            self._retired = True
            is_over = all(call.left for call in self._calls.values())
        if is_over:
            self.kill(ReplacedError())

    def _close_slots_when_left(self) -> None:
        with self._lock:
            if self._calls:  # a plane is being copied out: that thread closes them
                return
        self._spawned.close_slots()


def _reason_in(said: str) -> str:
    """Why a process ended, from its last output: for a stack trace, the line before it; at most one line."""
    lines = said.splitlines()
    if any(sign in said for sign in _OUT_OF_MEMORY):
        return "it needed more memory than allowed"
    said_itself = [line for line in lines if line.strip() and not line.lstrip().startswith(("@ ", "*** "))]
    return said_itself[-1][:_REASON_CHARACTERS] if said_itself else ""


def _another(error: Exception) -> Exception:
    """The same error for one more thread: each gets its own traceback."""
    return type(error)(*error.args)


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
