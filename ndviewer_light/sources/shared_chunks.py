"""Which planes are in chunks that several planes share.

A writer that fills these one by one leaves fill value in those to come, and no name and no time tells: the
chunks are decoded, once for each version of their files. A plane that is the fill value all over counts as
one of which nothing is stored, as it would if it had a chunk of its own.
"""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetError
from ..storage.activity import JUST_WRITTEN_SECONDS, QUIET_SECONDS
from ..storage.file_clock import FILE_CLOCK
from ..storage.file_versions import changed_ns, is_nothing, settled
from .missing_planes import has_later

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Index = Sequence[int]  # of a plane, along all axes of its array but y and x

_MOST_CHUNK_BYTES = 256 * 1024**2
_KEPT_BLOCKS = 4096
_SECONDS_PER_QUESTION = 2.0
_SHARE_FOLLOWED = 0.05
_MOST_SAVED_SECONDS = 1.0
"""While a dataset is followed, decoding takes this share of the time, after at most so long at once."""


class SharedBlock(NamedTuple):
    """The planes that share their chunks with one another: a span along each axis but y and x."""

    array: str
    spans: tuple[range, ...]

    @classmethod
    def around(cls, array: str, index: Index, parts: Sequence[int], sizes: Sequence[int]) -> SharedBlock:
        """The block that a plane is in, of chunks of so many planes along each axis."""
        spans = []
        for at, part, size in zip(index, parts, sizes, strict=True):
            first = at // part * part
            spans.append(range(first, min(first + part, max(size, at + 1))))
        return cls(array, tuple(spans))

    def inside(self, index: Index) -> tuple[int, ...]:
        """Where in the block a plane is."""
        return tuple(at - span.start for at, span in zip(index, self.spans, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """How many planes it has along each axis."""
        return tuple(map(len, self.spans))


class ArrayInChunks(ABC):
    """A local array with several planes in a chunk, as `SharedChunks` asks of it. Blocks on disk."""

    leaves_out_blank: bool
    """Whether writers leave out what is blank. If not, a later plane shows that one was written blank."""

    chunk_bytes: int

    @abstractmethod
    def block(self, index: Index) -> SharedBlock:
        """The block that a plane is in."""

    @abstractmethod
    def version(self, block: SharedBlock) -> str:
        """The version of the files of a block; `NOTHING` if none of its chunks is stored."""

    @abstractmethod
    def is_open(self, block: SharedBlock, *, is_young: bool) -> bool:
        """Whether planes of a block may still be missing; `is_young`: written within the last minute."""

    @abstractmethod
    def blank_planes(self, block: SharedBlock) -> np.ndarray:
        """Which planes of a block are the fill value in all of their chunks: bool, of its shape.

        Raises a `DatasetError` if they cannot be read.
        """


class _BlockLookedInto(NamedTuple):
    version: str
    is_blank: np.ndarray  # bool, of the block's shape


class SharedChunks:
    """What is in the shared chunks of a local dataset, as of the versions of their files. Any thread.

    Blocks on disk. `is_followed()`: whether the dataset is, so that questions come again and again.
    """

    def __init__(self, is_followed: Callable[[], bool]) -> None:
        self._is_followed = is_followed
        self._lock = threading.Lock()  # guards the following; never held while anything is read
        self._kept: OrderedDict[SharedBlock, _BlockLookedInto] = OrderedDict()
        self._saved, self._saved_at = _MOST_SAVED_SECONDS, time.monotonic()

    # ---- one plane -----------------------------------------------------------------------------

    def is_blank(self, array: ArrayInChunks, index: Index) -> bool | None:
        """Whether the plane, of which chunks are stored, is the fill value all over because nobody wrote it.

        None if that cannot be told. All planes of a block that was not written within the last minute may be
        blank only because they were written so.
        """
        block = array.block(index)
        version = array.version(block)
        if not array.leaves_out_blank and not array.is_open(block, is_young=_age_s(version) < QUIET_SECONDS):
            return False
        known = self._known(block, version) or self._decoded(block, version, array)
        return None if known is None else self._said(known, block, index, array)

    def is_fresh(self, array: ArrayInChunks, index: Index) -> bool:
        """Whether the chunks of a plane were written within the last seconds: it may come in any order."""
        block = array.block(index)
        version = array.version(block)
        if is_nothing(version) or _age_s(version) >= JUST_WRITTEN_SECONDS:
            return False
        return array.is_open(block, is_young=True)

    @staticmethod
    def _said(known: _BlockLookedInto, block: SharedBlock, index: Index, array: ArrayInChunks) -> bool:
        age_s = _age_s(known.version)
        if known.is_blank.all() and age_s > QUIET_SECONDS:
            return False
        at = block.inside(index)
        if not array.leaves_out_blank and age_s >= JUST_WRITTEN_SECONDS:
            return not has_later(~known.is_blank)[at]
        return bool(known.is_blank[at])

    def _known(self, block: SharedBlock, version: str) -> _BlockLookedInto | None:
        with self._lock:
            known = self._kept.get(block)
            if known is None or known.version != version or known.is_blank.shape != block.shape:
                return None
            self._kept.move_to_end(block)
            return known

    def _decoded(self, block: SharedBlock, version: str, array: ArrayInChunks) -> _BlockLookedInto | None:
        if array.chunk_bytes > _MOST_CHUNK_BYTES:
            return None
        began = time.monotonic()
        try:
            known = _BlockLookedInto(version, array.blank_planes(block))
        except DatasetError:  # reading the plane says why
            return None
        finally:
            self._spend(time.monotonic() - began)
        with self._lock:
            self._kept[block] = known
            self._kept.move_to_end(block)
            while len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        return known

    # ---- many planes ---------------------------------------------------------------------------

    def are_stored(
        self, array: ArrayInChunks, indices: Sequence[Index], told: Sequence[bool | None] | None
    ) -> list[bool | None]:
        """`Source.are_stored` of these planes; False also for those that are blank.

        `told`: what is known of single chunks, as the indexes of shards say it; None where there is nothing
        like it. Decoded are blocks that are open, not for longer than a share of the time, or some seconds:
        then None is said of the others.
        """
        answers: list[bool | None] = [None] * len(indices) if told is None else list(told)
        blocks: dict[SharedBlock, list[int]] = defaultdict(list)
        for i, index in enumerate(indices):
            if answers[i] is not False:
                blocks[array.block(index)].append(i)
        until = time.monotonic() + _SECONDS_PER_QUESTION
        for block, members in blocks.items():
            known, otherwise = self._looked_into(block, array, until)
            for i in members:
                if known is not None:
                    answers[i] = not self._said(known, block, indices[i], array)
                elif told is None or otherwise is None:
                    answers[i] = otherwise
        return answers

    def _looked_into(
        self, block: SharedBlock, array: ArrayInChunks, until: float
    ) -> tuple[_BlockLookedInto | None, bool | None]:
        """What is known of a block; without that, whether its planes count as stored."""
        version = array.version(block)
        if is_nothing(version):
            return None, False
        is_young = _age_s(version) < QUIET_SECONDS
        if not array.is_open(block, is_young=is_young):
            return None, True
        known = self._known(block, version)
        if known is not None:
            return known, None
        if self._may_decode(until):
            # what is damaged counts as stored, what is being written may be half there
            return self._decoded(block, version, array), None if is_young else True
        return None, None if is_young or not self._is_followed() else True

    # ---- how long decoding may take ------------------------------------------------------------

    def _may_decode(self, until: float) -> bool:
        if not self._is_followed():
            return time.monotonic() < until
        with self._lock:
            self._save()
            return self._saved > 0

    def _spend(self, seconds: float) -> None:
        with self._lock:
            self._save()
            self._saved -= seconds

    def _save(self) -> None:
        now = time.monotonic()
        more = (now - self._saved_at) * _SHARE_FOLLOWED
        self._saved, self._saved_at = min(self._saved + more, _MOST_SAVED_SECONDS), now


class ArrayLayout(NamedTuple):
    """The role, the size and the part in a chunk of each axis of an array, in its order."""

    roles: tuple[str, ...]
    sizes: tuple[int, ...]
    parts: tuple[int, ...]

    def of_planes(self, values: Sequence[int]) -> tuple[int, ...]:
        """Those of all axes but y and x."""
        return tuple(each for each, role in zip(values, self.roles, strict=True) if role not in ("y", "x"))

    @property
    def planes_per_chunk(self) -> tuple[int, ...]:
        """How many planes a chunk spans along each axis but y and x."""
        return tuple(max(part, 1) for part in self.of_planes(self.parts))

    def blank_planes(
        self, spans: Sequence[range], differ: Callable[[tuple[slice, ...]], np.ndarray]
    ) -> np.ndarray:
        """Which planes of a block are blank in all of their chunks, along its axes but y and x.

        `differ(selection)`: which pixels are not the fill value.
        """
        is_blank = np.ones(tuple(map(len, spans)), bool)
        across = tuple(i for i, role in enumerate(self.roles) if role in ("y", "x"))
        for corner in itertools.product(*(range(0, self.sizes[i], self.parts[i]) for i in across)):
            starts, leading = dict(zip(across, corner, strict=True)), iter(spans)
            selection = []
            for i, (size, part) in enumerate(zip(self.sizes, self.parts, strict=True)):
                if i in starts:
                    selection.append(slice(starts[i], min(starts[i] + part, size)))
                else:
                    span = next(leading)
                    selection.append(slice(span.start, span.stop))
            is_blank &= ~differ(tuple(selection)).any(axis=across)
            if not is_blank.any():
                break
        return is_blank


def differs_from(fill: np.generic, pixels: np.ndarray) -> np.ndarray:
    """Which pixels are not the fill value, which may be NaN."""
    value = np.asarray(fill).astype(pixels.dtype)
    found: np.ndarray = np.logical_not(np.isnan(pixels)) if value != value else np.not_equal(pixels, value)
    return found


def _age_s(version: str) -> float:
    return FILE_CLOCK.age_s(changed_ns(settled(version)))
