"""The nouns of remote access: files on servers, jobs of threads, requests to servers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ...errors import DatasetError, ReadDroppedError
from ...model import how_many
from .coalescing import Block, blocks_of, joined
from .errors import Failure, error_for

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ..cancellation import CancelScope
    from .client import Answer, RemoteFile
    from .told_version import Version

    Range = tuple[int, int]


class File:
    """A file on a server, pinned to the version it was opened at."""

    def __init__(self, place: RemoteFile, version: Version) -> None:
        self.place = place
        self.version = version
        self.closed: DatasetError | None = None  # the error that ends reads once set

    def error(self, failure: Failure) -> DatasetError:
        """The error for callers after the file was opened."""
        failure.kind = "gone" if failure.kind == "missing" else failure.kind
        return error_for(failure, self.place.name, self.place.host)

    def not_wanted(self) -> ReadDroppedError:
        """The error for callers that stopped waiting."""
        return ReadDroppedError(f"{self.place.name}: no longer needed")

    async def get(self, block: Block) -> Answer:
        """One request; raises `Failure`, also if the file has changed."""
        return self.checked(block, await self.place.get(block.start, block.end))

    def checked(self, block: Block, answer: Answer) -> Answer:
        """`answer`, if it is `block` of the file version that was opened; raises `Failure`."""
        size, etag, modified = answer.version
        mine = self.version
        if size != mine.size or (etag != mine.etag if etag and mine.etag else modified != mine.modified):
            raise Failure("changed")
        if len(answer.data) != block.length:
            raise Failure("truncated", f"{len(answer.data):,} of {how_many(block.length, 'byte')}")
        return answer


class Job:
    """Some ranges of a file that a thread is waiting for. All but `give_up` and `result` is for the loop."""

    def __init__(self, file: File, ranges: Sequence[Range], scope: CancelScope | None) -> None:
        self.file = file
        self.ranges = ranges
        self.scope = scope
        self.background = scope is not None and scope.background
        self.give_up: Callable[[], None] = lambda: None  # set while somebody works on it
        self.requests: list[Request] = []
        self.missing = 0
        self.error: DatasetError | None = None
        self.done = threading.Event()

    def not_wanted(self) -> ReadDroppedError:
        """The error for its thread after cancellation."""
        return self.file.not_wanted()

    def result(self) -> list[bytes]:
        """The bytes of each range, once `done`; copied by the requesting thread."""
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
    """A block in flight; `jobs` are those waiting for it."""

    def __init__(self, file: File, block: Block) -> None:
        self.file = file
        self.block = block
        self.jobs: list[Job] = []
        self.task: asyncio.Task[None] | None = None
        self.data = b""
