"""Looks at many planes at once, without keeping any: for reports of a whole dataset."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from ..errors import DatasetError, DatasetGoneError, PlaneNotStoredError
from ..model import PlaneState, how_many
from ..storage.asked_together import asked_at_once
from .known_failures import KnownFailures
from .plane_batches import plane_batches
from .plane_codes import PlaneCodes
from .plane_outcomes import SETTLING_SECONDS
from .plane_search import Doubts, next_plane
from .planes_seen import PlanesSeen
from .state_codes import CODES
from .stored_states import StoredStates, block_of, not_looked_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from ..model import DatasetInfo, ImageInfo, Plane, PlaneKey
    from ..sources import Source
    from .image_lookup import ImageLookup
    from .regions import TiledPlanes
    from .report import PlaneReport

REPORT_SECONDS = 20.0
"""How long a report may take unless it is told otherwise."""
_THREADS = "ndviewer-report"
_READERS = 4
_READ_AT_ONCE = 4 * _READERS
_ASKED_OF_SERVERS = 1024
"""For how many planes a server is asked whether anything is stored; for others only reading tells."""
MAX_PLANES_SURVEYED = 256_000_000
"""One byte each."""


class Surveyor:
    """Surveys the planes of a dataset. Any thread.

    `failed_plane(key, error)`: what a plane is that could not be read. `is_remote`: whether it lies on a
    server, which can be asked. For the others see `StoredStates`.
    """

    def __init__(
        self,
        source: Source,
        images: ImageLookup,
        tiled: TiledPlanes,
        failed_plane: Callable[[PlaneKey, Exception], Plane],
        is_live: Callable[[], bool],
        comes: Callable[[], bool | None],
        is_in_memory: Callable[[PlaneKey], bool],
        ask_age: Callable[[], None],
        *,
        is_remote: bool = False,
    ) -> None:
        self._is_remote = is_remote
        self.failures = KnownFailures()
        self.seen = PlanesSeen(source)
        self.stored = StoredStates(
            source, self.failures, is_live, comes, is_in_memory, ask_age, self._read, self.seen
        )
        self._source = source
        self._images = images
        self._tiled = tiled
        self._failed_plane = failed_plane

    # ---- report ----------------------------------------------------------------------------

    def report(
        self,
        positions: Sequence[int],
        *,
        read: bool,
        seconds: float | None,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool],
    ) -> PlaneReport:
        """See `Dataset.report`."""
        began = time.monotonic()
        deadline = None if seconds is None else began + seconds
        info = self._source.info
        blocks: dict[int, np.ndarray] = {}
        expected = sum(info.n_planes(info.image(p)) for p in positions)
        done, asked, limit = 0, 0, ""
        for p in (*positions, *positions):
            block, info = self._block_and_info(p)
            before = blocks.get(p)
            if before is not None:  # looking at positions may tell more of those before them
                if before.shape == block.shape:
                    continue
                block = PlaneCodes(before).within(block).copy()
            limit = _limit(blocks, done, deadline, cancelled)
            if limit:
                break
            blocks[p] = block
            in_batches = _read_batches if read else plane_batches
            for batch in in_batches(not_looked_at(block, p)):
                limit = _limit(blocks, done, deadline, cancelled)
                if limit:
                    break
                states = self.read(batch) if read else self.of_stored(batch, deadline)
                if self._is_remote and not read and asked < _ASKED_OF_SERVERS:
                    asked += self._look_up(batch[: _ASKED_OF_SERVERS - asked], states)
                for (t, _, c, z), state in zip(batch, states, strict=True):
                    block[t, c, z] = CODES[state]
                done += len(batch)
                if progress is not None:
                    progress(done, max(expected, done))
        reasons = self.failures.among(blocks)
        from .report import PlaneReport

        return PlaneReport(
            info,
            tuple(positions),
            blocks,
            reasons,
            is_read=read,
            may_be_empty=self._source.leaves_out_empty,
            limit=_said(limit, done),
            seconds=time.monotonic() - began,
        )

    def of_stored(self, keys: Sequence[PlaneKey], deadline: float | None) -> list[PlaneState]:
        """What is stored of some planes; asked again as long as that tells more: chunks are looked into."""
        states = self.stored.of(keys)
        unknown = [i for i, state in enumerate(states) if state is PlaneState.UNKNOWN]
        while unknown and not self._is_remote and (deadline is None or time.monotonic() < deadline):
            again = self.stored.of([keys[i] for i in unknown])
            for i, state in zip(unknown, again, strict=True):
                states[i] = state
            before, unknown = unknown, [i for i in unknown if states[i] is PlaneState.UNKNOWN]
            if unknown == before:
                break
        return states

    def block(self, p: int) -> np.ndarray:
        """See `block_of`; blocks the first time."""
        return self._block_and_info(p)[0]

    def _block_and_info(self, p: int) -> tuple[np.ndarray, DatasetInfo]:
        image = self.image(p)
        info = self._source.info
        return block_of(info, image), info

    def looked_up(self, key: PlaneKey) -> PlaneState:
        """The state of a plane of which nothing is known: a server is asked; what is missing is read."""
        return self.stored.looked_up(key) or self._read(key)

    def _look_up(self, keys: Sequence[PlaneKey], states: list[PlaneState]) -> int:
        """Ask for planes of which nothing is known, and put their states in place; how many these were."""
        at = [i for i, _ in enumerate(keys) if states[i] is PlaneState.UNKNOWN]
        if at:
            asked = [keys[i] for i in at]
            found = asked_at_once(self.looked_up, asked, self._source.reads_at_once, _THREADS)
            for i, state in zip(at, found, strict=True):
                states[i] = state
        return len(at)

    def find(
        self,
        after: PlaneKey,
        wanted: frozenset[PlaneState],
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        present: Mapping[int, np.ndarray] | None = None,
    ) -> tuple[PlaneKey, PlaneState] | None:
        """See `Dataset.find`; for `present` see `next_plane`."""
        by_reading = PlaneState.UNREADABLE in wanted
        return next_plane(
            after,
            wanted,
            self.read if by_reading else self.stored.of,
            self.image,
            lambda: self._source.info,
            _read_batches if by_reading else plane_batches,
            progress,
            cancelled,
            Doubts(self.failures.is_suspected, SETTLING_SECONDS if by_reading else 0.0),
            present or {},
        )

    def image(self, p: int) -> ImageInfo:
        """What a position contains; one that is not there or unreadable counts as like the others."""
        try:
            return self._images.image(p)
        except DatasetError:
            return self._source.info.image(p)

    # ---- reading ---------------------------------------------------------------------------

    def read(self, keys: Sequence[PlaneKey]) -> list[PlaneState]:
        """The states of planes as reading them tells, four at a time; the pixels are not kept."""
        if len(keys) == 1:
            return [self._read(keys[0])]
        return asked_at_once(self._read, keys, _READERS, _THREADS)

    def _read(self, key: PlaneKey) -> PlaneState:
        try:
            if self._tiled.is_small(key.p):
                self._source.read_plane(key)
            else:
                self._read_tiles(key)
        except (DatasetError, IndexError) as error:
            plane = self._failed_plane(key, error)
            if plane.state is PlaneState.UNREADABLE:
                self.failures.note(key, plane.reason, is_gone=isinstance(error, DatasetGoneError))
            return plane.state
        self.failures.forget([key])
        self.seen.note([key])
        return PlaneState.PRESENT

    def _read_tiles(self, key: PlaneKey) -> None:
        missing, n_there = None, 0
        for tile in self._tiled.grid(key.p, 0).tiles():
            try:
                self._source.read_region(key, tile)
                n_there += 1
            except PlaneNotStoredError as error:
                missing = error
        if missing is not None and not n_there:
            raise missing


def _read_batches(keys: Iterable[PlaneKey]) -> Iterator[list[PlaneKey]]:
    keys = iter(keys)
    while batch := list(itertools.islice(keys, _READ_AT_ONCE)):
        yield batch


def _limit(
    blocks: dict[int, np.ndarray], done: int, deadline: float | None, cancelled: Callable[[], bool]
) -> str:
    if cancelled():
        return "cancelled"
    if deadline is not None and time.monotonic() >= deadline:
        return "the time limit was reached"
    return "there are too many planes" if done >= MAX_PLANES_SURVEYED else ""


def _said(limit: str, done: int) -> str:
    return f"{limit} after {how_many(done, 'plane')}" if limit else ""
