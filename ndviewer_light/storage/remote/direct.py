"""Reads ranges of a remote file in the calling thread alone, for callers that hold h5py's lock.

h5py objects take its lock when freed, and Python's garbage collector frees them in whatever thread it
happens to run: the event loop of all requests, or an obstore thread that delivers an answer.
Waiting for either under h5py's lock could deadlock. Here the calling thread calls obstore itself
and waits in its compiled code; nothing on the way takes a Python lock, logs or imports.
(https://github.com/h5py/h5py/issues/2019)
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from ..cancellation import current_scope
from .coalescing import MAX_BLOCK_BYTES, Block
from .errors import Failure
from .retries import Tries, seconds_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jobs import File

    Range = tuple[int, int]

_TICK_SECONDS = 0.1


class DirectReader:
    """Reads one file, for one thread at a time."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._get = file.place.blocking_get()

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of each range, in sequence. Raises a `DatasetError`.

        Ends when the file is closed or nobody wants the read any more (`CancelScope`) as soon as the server
        sends something or a try is over; a silent one is waited for as long as the storage option "timeout"
        says.
        """
        return [self._read(offset, length) for offset, length in ranges]

    def _read(self, offset: int, length: int) -> bytes:
        starts = range(offset, offset + length, MAX_BLOCK_BYTES)
        parts = [self._block(Block(at, min(at + MAX_BLOCK_BYTES, offset + length))) for at in starts]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, block: Block) -> bytes:
        tries = Tries()
        while True:
            self._check()
            until = time.monotonic() + seconds_for(block.length)
            try:
                answer = self._get(block.start, block.end, partial(self._check, until))
                return self._file.checked(block, answer).data
            except Failure as failure:
                try:
                    pause = tries.pause_after(failure)
                except Failure as last:
                    raise self._file.error(last) from None
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _TICK_SECONDS))
            self._check()

    def _check(self, until: float | None = None) -> None:
        """Raise if nobody is waiting for the bytes any more, or the read is too slow."""
        if self._file.closed is not None:
            raise self._file.closed
        scope = current_scope()
        if scope is not None and scope.dropped:
            raise self._file.not_wanted()
        if until is not None and time.monotonic() > until:
            raise Failure("stalled")
