"""What of a dataset is there: `PlaneReport`, counts and lists of its planes by their state. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import PlaneKey, PlaneState, some_names
from .state_codes import CODED, CODES, NOT_EXPECTED, NOT_LOOKED_AT, is_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..model import DatasetInfo

MAX_GAPS = 10_000


class Gap(NamedTuple):
    """Planes in the same state: of positions `first_p` to `last_p`, time points `first_t` to `last_t`.

    All of these have the same `channels` and `zs` of it; all indices count from 0.
    """

    first_p: int
    last_p: int
    first_t: int
    last_t: int
    channels: tuple[int, ...]
    zs: tuple[int, ...]
    is_whole: bool
    """Whether no plane of these time points and positions is in another state."""

    @property
    def n_planes(self) -> int:
        """How many planes that are."""
        n_stacks = (self.last_p - self.first_p + 1) * (self.last_t - self.first_t + 1)
        return n_stacks * len(self.channels) * len(self.zs)


@dataclass(frozen=True, eq=False, repr=False)
class PlaneReport:
    """The states of the planes that a dataset should have, as of one look at it.

    `is_read`: whether planes were read; otherwise PRESENT means that something is stored, and what is
    damaged was not found. `limit` says why not everything was looked at, "" if it was. `reasons` are those
    of unreadable planes; they name the files. `seconds` is how long it took.
    """

    info: DatasetInfo
    positions: tuple[int, ...]
    """The positions that were asked for."""
    blocks: Mapping[int, np.ndarray] = field(default_factory=dict)
    """By position: codes (t, c, z), of those that were looked at. See `state_codes`."""
    reasons: Mapping[PlaneKey, str] = field(default_factory=dict)
    is_read: bool = False
    may_be_empty: bool = True
    """Whether planes that are entirely fill value need not be stored, so that absent ones may be such."""
    limit: str = ""
    seconds: float = 0.0

    # ---- counts ----------------------------------------------------------------------------

    @cached_property
    def expected(self) -> int:
        """How many planes there should be, by the metadata."""
        looked_at = sum(int(np.count_nonzero(block != NOT_EXPECTED)) for block in self.blocks.values())
        others = (self.info.image(p) for p in self.positions if p not in self.blocks)
        return looked_at + sum(map(self.info.n_planes, others))

    @property
    def looked_at(self) -> int:
        """How many of these were looked at: fewer if there is a `limit`."""
        return sum(self.counts.values())

    @cached_property
    def counts(self) -> dict[PlaneState, int]:
        """How many planes are in each state; states without any are left out."""
        total = np.zeros(256, np.int64)
        for block in self.blocks.values():
            total += np.bincount(block.ravel(), minlength=256)
        return _named(total)

    def count(self, state: PlaneState) -> int:
        """How many planes are in that state."""
        return self.counts.get(state, 0)

    @property
    def present(self) -> int:
        """Planes of which something is stored; with `is_read`, that could be read."""
        return self.count(PlaneState.PRESENT)

    @property
    def absent(self) -> int:
        """Planes of which nothing is stored, and that nobody is about to write."""
        return self.count(PlaneState.ABSENT)

    @property
    def pending(self) -> int:
        """Planes that are not written yet."""
        return self.count(PlaneState.PENDING)

    @property
    def unreadable(self) -> int:
        """Planes that are there and cannot be read."""
        return self.count(PlaneState.UNREADABLE)

    @property
    def empty_wells(self) -> tuple[str, ...]:
        """The wells that the plate lists and that have no image; () where only some positions were asked for.

        Of these nobody knows how many planes are expected.
        """
        return self.info.empty_wells if len(self.positions) == len(self.info.positions) else ()

    @property
    def is_complete(self) -> bool:
        """Whether every expected plane was looked at, and has pixels, and no well lacks its images."""
        return self.present + self.count(PlaneState.FILLED) == self.expected and not self.empty_wells

    def by_position(self) -> dict[int, dict[PlaneState, int]]:
        """The counts of each position that was looked at."""
        return {p: _named(np.bincount(block.ravel(), minlength=256)) for p, block in self.blocks.items()}

    def by_time(self) -> list[dict[PlaneState, int]]:
        """The counts of each time point, of all positions that were looked at."""
        n_t = max((block.shape[0] for block in self.blocks.values()), default=0)
        totals = np.zeros((n_t, len(CODED) + 1), np.int64)
        for block in self.blocks.values():
            for code in range(1, len(CODED) + 1):
                totals[: block.shape[0], code] += (block == code).sum(axis=(1, 2))
        return [_named(each) for each in totals]

    # ---- lists -----------------------------------------------------------------------------

    def state(self, key: PlaneKey) -> PlaneState | None:
        """The state of one plane; None if it was not looked at, or is not expected."""
        block, at = self.blocks.get(key.p), (key.t, key.c, key.z)
        if block is None or not all(0 <= i < n for i, n in zip(at, block.shape, strict=True)):
            return None
        code = int(block[at])
        return None if code in (NOT_LOOKED_AT, NOT_EXPECTED) else CODED[code - 1]

    def planes(self, state: PlaneState) -> Iterator[PlaneKey]:
        """The planes in that state, by position, then time."""
        for p, block in self.blocks.items():
            for t, c, z in np.argwhere(block == CODES[state]).tolist():
                yield PlaneKey(t, p, c, z)

    def gaps(self, *states: PlaneState) -> list[Gap]:
        """The planes in these states, neighbours together: at most 10,000 gaps."""
        gaps: list[Gap] = []
        for p, block in self.blocks.items():
            found = is_in(block, *states)
            if not found.any():
                continue
            for gap in _gaps_of(p, block, found):
                if len(gaps) >= MAX_GAPS:
                    return gaps
                gaps.append(gap)
        return _joined(gaps)

    def __repr__(self) -> str:
        counts = ", ".join(f"{state.name.lower()} {n:,}" for state, n in self.counts.items())
        wells = (
            f", wells without images {', '.join(some_names(self.empty_wells))}" if self.empty_wells else ""
        )
        return f"<PlaneReport expected {self.expected:,}: {counts or 'nothing looked at'}{wells}>"


def _named(counts: np.ndarray) -> dict[PlaneState, int]:
    return {state: int(counts[code]) for state, code in CODES.items() if counts[code]}


def _gaps_of(p: int, block: np.ndarray, found: np.ndarray) -> Iterator[Gap]:
    """The gaps of one position: time points one after the other with the same planes in it are one."""
    changes = np.flatnonzero((found[1:] != found[:-1]).any(axis=(1, 2))) + 1
    starts = [0, *changes.tolist()]
    for first, end in zip(starts, [*starts[1:], len(found)], strict=True):
        stack = found[first]
        if not stack.any():
            continue
        span = block[first:end]
        is_whole = bool((found[first:end] | (span == NOT_EXPECTED)).all())
        of_channel: dict[tuple[int, ...], list[int]] = {}
        for c in np.flatnonzero(stack.any(axis=1)).tolist():
            of_channel.setdefault(tuple(np.flatnonzero(stack[c]).tolist()), []).append(c)
        for zs, channels in of_channel.items():
            yield Gap(p, p, first, end - 1, tuple(channels), zs, is_whole)


def _joined(gaps: list[Gap]) -> list[Gap]:
    """The same, with one gap for positions one after the other that lack the same."""
    joined: list[Gap] = []
    ending: dict[tuple[object, ...], int] = {}  # where the last gap of this kind is
    for gap in gaps:
        at = ending.get(gap[2:])
        if at is not None and joined[at].last_p == gap.first_p - 1:
            joined[at] = joined[at]._replace(last_p=gap.last_p)
        else:
            ending[gap[2:]] = len(joined)
            joined.append(gap)
    return joined
