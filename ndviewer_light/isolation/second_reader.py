"""A second reader process for a dataset, while so many small pictures are to be made that it is worth it.

Each picture takes many short steps of Python, which one process does one after the other however many threads
it has. It is started when wanted, ends some seconds after nobody has used it, and does nothing but small
pictures: whatever it cannot do is left to the first one, which says why.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from ..errors import ReaderCrashedError, closed_error
from .calls import DeadlineError, ReplacedError
from .spare import take_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import DatasetInfo, StackKey
    from .protocol import Message
    from .reader_process import ReaderProcess

_Answer = TypeVar("_Answer")

logger = logging.getLogger(__name__)

_WORTH_SECONDS = 1.0
"""To start it takes a third of a second of a core."""
UNUSED_SECONDS = 10.0
"""It ends so long after its last request: what it keeps on disk is written by then."""
_SECOND_OPENS_SECONDS = 20.0


class SecondReader:
    """At most one process beside the first one. Any thread; nothing but `ask` blocks."""

    def __init__(
        self,
        request: Callable[[], Message],
        info_of: Callable[[Message], DatasetInfo],
        on_info: Callable[[DatasetInfo], None],
    ) -> None:
        """`request` of opening; `on_info` gets what the process knows of the dataset, in a thread of it."""
        self._request = request
        self._info_of = info_of
        self._on_info = on_info
        self._changed = threading.Condition(threading.Lock())  # guards the following
        self._process: ReaderProcess | None = None
        self._info: DatasetInfo | None = None
        self._same: tuple[object, object] | None = None  # positions of both that have the same names
        self._n_running = 0
        self._used = 0.0  # time.monotonic
        self._thread: threading.Thread | None = None
        self._is_over = False  # closed, or of no use for this dataset

    @property
    def is_over(self) -> bool:
        """Whether none is started any more."""
        return self._is_over

    def want(self) -> None:
        """Start it, if it is not there."""
        with self._changed:
            self._used = time.monotonic()
            if self._is_over or self._thread is not None:
                return
            self._thread = threading.Thread(target=self._live, name="ndviewer-second-reader", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no more threads now
                self._thread = None

    def is_for(
        self, first: DatasetInfo, keys: Iterable[StackKey], seconds_after: float, *, beside: int
    ) -> bool:
        """Whether to ask it for these, while the first process works on so many requests.

        It is started where what is wanted after these takes long.
        """
        if seconds_after >= _WORTH_SECONDS:
            self.want()
        return self._n_running < beside and self.knows(first, keys)

    def knows(self, first: DatasetInfo, keys: Iterable[StackKey]) -> bool:
        """Whether it is there, and these planes are those that the first process calls so."""
        info = self._info
        if self._process is None or info is None or info.generation != first.generation:
            return False
        n = len(info.positions)
        same = self._same
        if same is None or same[0] is not info.positions or same[1] is not first.positions:
            if n > len(first.positions) or not _have_the_same_names(info, first):
                return False
            self._same = info.positions, first.positions
        return all(
            key.p < n and key.t < info.n_t and (isinstance(key.z, str) or key.z < info.n_z) for key in keys
        )

    def ask(self, work: Callable[[ReaderProcess], _Answer]) -> _Answer | None:
        """What `work` gets from the process; None if the first one is to be asked."""
        with self._changed:
            process = self._process
            if process is None:
                return None
            self._n_running += 1
        try:
            return work(process)
        except (ReaderCrashedError, DeadlineError, ReplacedError) as error:
            self._give_up(f"it does not answer: {error}")
            return None
        finally:
            with self._changed:
                self._n_running -= 1
                self._used = time.monotonic()

    def close(self) -> None:
        """End the process; requests fail at once. Never blocks."""
        self._end(is_over=True)

    def _give_up(self, why: str) -> None:
        logger.debug("no second reader process: %s", why)
        self._end(is_over=True)

    def _end(self, *, is_over: bool) -> None:
        with self._changed:
            process, self._process, self._info = self._process, None, None
            self._is_over = self._is_over or is_over
            self._changed.notify_all()
        if process is not None:
            process.kill(ReplacedError())

    # ---- in its thread ---------------------------------------------------------------------

    def _live(self) -> None:
        try:
            self._open()
            self._stay()
        except Exception as error:  # noqa: BLE001  whatever it was, the first process does without it
            self._give_up(str(error))
        finally:
            self._end(is_over=False)
            with self._changed:
                self._thread = None

    def _open(self) -> None:
        process = take_process()
        try:
            process.on_info = self._hear
            request = self._request()
            process.reads_in_flight = request["threads"]
            process.ask("open", _SECOND_OPENS_SECONDS, take=lambda _: None, **request)
            with self._changed:
                if self._is_over:
                    raise closed_error()
                self._process = process
        except BaseException:
            process.kill(ReplacedError())
            raise

    def _hear(self, message: Message) -> None:
        info = self._info_of(message)
        with self._changed:
            is_another = self._info is not None and info.generation != self._info.generation
            self._info = info
        if is_another:
            self._give_up("another dataset is at the same path")
        else:
            self._on_info(info)

    def _stay(self) -> None:
        with self._changed:
            while self._process is not None and self._process.alive:
                left = self._used + UNUSED_SECONDS - time.monotonic()
                if left <= 0 and not self._n_running:
                    return
                self._changed.wait(max(left, 0.1))


def _have_the_same_names(info: DatasetInfo, first: DatasetInfo) -> bool:
    """Whether all positions of a description have the names that the first ones of another one have."""
    if info.positions is first.positions:
        return True
    return all(
        own[:2] == other[:2] and own.name == other.name
        for own, other in zip(info.positions, first.positions, strict=False)
    )
