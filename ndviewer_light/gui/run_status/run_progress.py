"""How far a run is: what the status bar says while it is written. Pure; no Qt, no clock of its own."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ...model import how_many
from ...rendering.durations import duration_of

if TYPE_CHECKING:
    from ...model import DatasetInfo, PlaneKey

_RATE_SECONDS = 10.0
_LEFT_SECONDS = 60.0
"""Over how long the rate is measured, and the one that tells what is left, which must not jump."""
STALLED_SECONDS = 15.0
"""A run is said to be stalled after this, or three of its own longest gaps; once all planes of a time point
are there, after its time step and this."""
_STALLED_STEADY_SECONDS = 5.0
_STEADY_GAPS = 20
_STEADY_PLANES = 20
_STEADY_SECONDS = 10.0
"""Once so many gaps between planes are known, or so many planes over so long, it is said sooner: nothing else
tells that a writer died."""
_STALLED_GAPS = 3
_QUIET_GAPS = 1.5
"""After so many times the longest gap so far without a plane, that is said instead of the time left."""
_STOPPED_SECONDS = 3.0
_SAMPLE_SECONDS = 0.5
_SAME_RHYTHM = 0.8
"""Of two silences the shorter lasts this share of the longer, or more, if they are of one rhythm; likewise
the planes that came before each."""


class RunState(Enum):
    """What a run is doing, in words."""

    WAITING = "Waiting for planes"
    RECORDING = "Recording"
    STALLED = "No new planes"
    FINISHED = "Finished"
    UNREACHABLE = "Not reachable"


class RunNews(NamedTuple):
    """What is known of a run. `expected` is None while the number of time points may still grow.

    `seconds_left` is None if it cannot be told; `silent` is how long nothing came, `is_quiet` whether that is
    unusually long; `paused` how long nothing came in all, in pauses that are over. `empty_wells`: wells
    that the plate lists and that have no images yet, so that nobody knows their planes; not in `expected`.
    `wells` have images. `unreadable`: planes that are known to be, of those written. `unreachable_since`: a
    time of day. `is_announced`: whether a host says what is written, and when that ends.
    """

    state: RunState
    written: int
    expected: int | None
    n_bytes: int
    bytes_per_second: float
    seconds_left: float | None
    silent: float
    place: str
    is_quiet: bool = False
    paused: float = 0.0
    empty_wells: int = 0
    wells: int = 1
    unreadable: int = 0
    unreachable_since: str = ""
    is_announced: bool = False

    @property
    def comes(self) -> bool:
        """Whether more planes are to come: as long as this is so, what is missing is said to be.

        Of what cannot be reached nobody can tell.
        """
        is_over = self.state is RunState.STALLED and not self.is_announced
        return not is_over and self.state is not RunState.FINISHED

    @property
    def missing(self) -> int:
        """Planes that were expected of a finished run and never announced."""
        return max((self.expected or 0) - self.written, 0) if self.state is RunState.FINISHED else 0

    @property
    def share(self) -> float | None:
        """How much of it is written, 0 to 1; None if unknown. Wells to come count like the others."""
        if not self.expected:
            return None
        to_come = 0.0 if self.state is RunState.FINISHED else self.empty_wells / max(self.wells, 1)
        return min(self.written / (self.expected * (1.0 + to_come)), 1.0)

    @property
    def is_trouble(self) -> bool:
        """Whether somebody may want to do something: not of silence after all that is known to come."""
        is_whole = self.written > 0 and self.written == self.expected
        return self.state is RunState.UNREACHABLE or (self.state is RunState.STALLED and not is_whole)

    @property
    def headline(self) -> str:
        """What it is doing: "Recording B11", "No new planes for 35 s"."""
        if self.state is RunState.STALLED:
            return f"{self.state.value} for {duration_of(max(round(self.silent), 1))}"
        if self.state is RunState.UNREACHABLE:
            return f"{self.state.value} since {self.unreachable_since}"
        return (
            f"{self.state.value} {self.place}".strip()
            if self.state is RunState.RECORDING
            else self.state.value
        )

    @property
    def counts(self) -> tuple[str, ...]:
        """How many planes there are, and how many are not, or cannot be read: what matters most."""
        if not self.written:
            return ()
        planes = how_many(self.written if self.expected is None else self.expected, "plane")
        said = [planes if self.expected is None else f"{self.written:,}/{planes}"]
        if self.missing:
            said.append(f"{self.missing:,} missing")
        if self.unreadable and self.state is not RunState.UNREACHABLE:
            said.append(f"{self.unreadable:,} unreadable")
        return tuple(said)

    @property
    def shortest(self) -> tuple[str, ...]:
        """`headline` and `counts`, for where there is no room for them: "No new planes", "96/240"."""
        counts = self.counts
        if counts and self.expected is not None:
            counts = (f"{self.written:,}/{self.expected:,}", *counts[1:])
        return self.state.value, *counts

    @property
    def parts(self) -> tuple[str, ...]:
        """The numbers in words, the most important first."""
        if not self.written:
            return ()
        said = list(self.counts)
        if self.state is RunState.UNREACHABLE:  # of all else nobody can tell
            return (*said, size_of(self.n_bytes)) if self.n_bytes else tuple(said)
        if self.empty_wells:
            wells = how_many(self.empty_wells, "well")
            said.append(f"{wells} to come" if self.comes else f"{wells} without images")
        if self.is_quiet and self.state is RunState.RECORDING:
            said.append(f"nothing new for {duration_of(max(round(self.silent), 1))}")
        elif self.seconds_left is not None and self.state is RunState.RECORDING and not self.empty_wells:
            said.append(f"{duration_of(max(round(self.seconds_left), 1))} left")
        if self.n_bytes:
            said.append(size_of(self.n_bytes))
        if self.bytes_per_second and self.state is RunState.RECORDING:
            said.append(f"{_three_digits(self.bytes_per_second / 1e6)} MB/s")
        if self.paused:
            said.append(f"paused for {duration_of(max(round(self.paused), 1))}")
        return tuple(said)


class RunProgress:
    """Follows one run by how many of its planes were announced; `look` a few times a second.

    A silence that was said to be one, and after which planes come again, is a pause: it tells nothing of how
    they come, and neither the rate nor the patience is judged by it. One that happens again is a rhythm.
    """

    def __init__(self, *, has_total: bool = True, is_announced: bool = False) -> None:
        """`has_total`: whether the metadata of the run says how many time points there will be."""
        self._has_total = has_total
        self._is_announced = is_announced
        self._first_lengths: tuple[int, int] | None = None  # time points, and planes along z
        self._counts: tuple[DatasetInfo, tuple[int, int, int]] | None = None
        self._samples: deque[tuple[float, int]] = deque()
        self._left: tuple[float, int] | None = None  # the last sample before an interruption
        self._was_interrupted = False  # since the last plane came
        self._changed: float | None = None  # when it was found that a plane had come
        self._looked = float("-inf")
        self._longest_gap = 0.0
        self._paused = 0.0
        self._last_pause = 0.0, 0  # how long it was, and how many planes had come since the one before it
        self._since_pause = 0  # how many planes there were when the last one ended
        self._n_gaps = 0
        self._first: tuple[float, int] | None = None  # when planes were first found, and how many

    def look(
        self,
        now: float,
        written: int,
        last: PlaneKey | None,
        info: DatasetInfo,
        *,
        is_live: bool,
        as_of: float | None = None,
    ) -> RunNews:
        """What is to be said at `now` (`time.monotonic`), with `written` planes, the `last` of them.

        `as_of`: when these were counted, if that was before.
        """
        counted = now if as_of is None else as_of
        if counted != self._looked:
            self._note(counted, written, info)
        self._note_growth(info, written)
        expected = self.n_planes(info) if self._has_total and info.dtype is not None else None
        if expected is not None and written > expected:
            expected = None
        silent = now - self._changed if self._changed is not None else 0.0
        rate = self._rate(now, _RATE_SECONDS)
        slow_rate = self._rate(now, _LEFT_SECONDS)
        to_come = expected - written if expected is not None else 0
        left = to_come / slow_rate if to_come and slow_rate else None
        n_bytes = _plane_bytes(info)
        return RunNews(
            self._state(written, info, is_live=is_live),
            written,
            expected,
            written * n_bytes,
            rate * n_bytes,
            left,
            silent,
            _place(last, info),
            self._is_quiet(info, written),
            self._paused,
            len(info.empty_wells),
            self._planes_of(info)[2],
            is_announced=self._is_announced,
        )

    def resume(self) -> None:
        """Nobody could look for a while: that nothing came meanwhile tells nothing of how planes come.

        But if none has come, it is as long ago as it is that one came.
        """
        self._was_interrupted = True
        if self._samples:
            self._left = self._samples[-1]
            self._samples.clear()

    def stalls_at(self, info: DatasetInfo, written: int) -> float:
        """When it is said to be stalled if no plane has come by then; inf: before the first one."""
        if self._changed is None:
            return float("inf")
        return self._changed + self._patience(info, written, _STALLED_GAPS, self._least(written))

    def n_planes(self, info: DatasetInfo) -> int:
        """How many planes there are to be, as far as is known; quick while `info` is the same."""
        return self._planes_of(info)[0]

    def _planes_of(self, info: DatasetInfo) -> tuple[int, int, int]:
        """How many planes there are to be in all, and at each time point of fields that have all of them.

        The third number is how many wells (or other regions) there are.
        """
        if self._counts is None or self._counts[0] is not info:
            every = [info.image(p) for p in range(len(info.positions))]
            per_t = sum(image.n_z * len(image.channels) for image in every if info.n_times(image) == info.n_t)
            wells = len({position.region for position in info.positions})
            self._counts = info, (sum(map(info.n_planes, every)), per_t, wells)
        return self._counts[1]

    def _note(self, now: float, written: int, info: DatasetInfo) -> None:
        before = self._samples[-1] if self._samples else self._left
        if before is None or written != before[1]:
            if self._was_interrupted:
                self._samples.clear()
            elif self._changed is not None and before is not None:
                # in between nobody looked: planes that came there are taken to have come evenly
                unseen = (now - self._looked) / max(written - before[1], 1)
                self._note_gap(max(self._looked - self._changed, unseen), before[1], info)
            if written:
                self._changed = now
                self._first = self._first or (now, written)
            self._was_interrupted = False
        self._looked = now
        if before is None or now - before[0] >= _SAMPLE_SECONDS or written < before[1]:
            self._samples.append((now, written))
            self._left = None
        while self._samples and now - self._samples[0][0] > _LEFT_SECONDS:
            self._samples.popleft()

    def _note_gap(self, gap: float, written: int, info: DatasetInfo) -> None:
        """New planes came after so long, where `written` had come before."""
        self._n_gaps += 1
        if gap <= self._patience(info, written, _STALLED_GAPS, self._least(written)):
            self._longest_gap = max(self._longest_gap, gap)
            return
        pause = gap, written - self._since_pause
        if all(map(_are_alike, pause, self._last_pause)):
            self._longest_gap, self._paused = max(gap, self._last_pause[0]), 0.0
        else:
            self._paused += gap
            self._samples.clear()
        self._last_pause, self._since_pause = pause, written

    def _note_growth(self, info: DatasetInfo, written: int) -> None:
        if info.dtype is None or not written:
            return
        lengths = info.n_t, info.image(0).n_z if info.positions else info.n_z
        if self._first_lengths is None:
            self._first_lengths = lengths
        elif lengths != self._first_lengths:  # planes are appended: nobody knows how many there will be
            self._has_total = False

    def _rate(self, now: float, seconds: float) -> float:
        """Planes per second over the last `seconds`."""
        recent = [sample for sample in self._samples if now - sample[0] <= seconds]
        if len(recent) < 3:
            return 0.0
        (began, before), (ended, after) = recent[0], recent[-1]
        return max(after - before, 0) / (ended - began) if ended > began else 0.0

    def _state(self, written: int, info: DatasetInfo, *, is_live: bool) -> RunState:
        if not is_live:
            return RunState.FINISHED
        if not written:
            return RunState.WAITING
        is_stalled = self._is_silent(info, written, _STALLED_GAPS, self._least(written))
        return RunState.STALLED if is_stalled else RunState.RECORDING

    def _least(self, written: int) -> float:
        return _STALLED_STEADY_SECONDS if self._is_steady(written) else STALLED_SECONDS

    def _is_steady(self, written: int) -> bool:
        """Whether enough is known of how its planes come."""
        if self._first is None or self._changed is None:
            return False
        began, first = self._first
        is_watched = self._changed - began >= _STEADY_SECONDS and written - first >= _STEADY_PLANES
        return self._n_gaps >= _STEADY_GAPS or is_watched

    def _is_quiet(self, info: DatasetInfo, written: int) -> bool:
        return self._n_gaps > 0 and self._is_silent(info, written, _QUIET_GAPS, _STOPPED_SECONDS)

    def _is_silent(self, info: DatasetInfo, written: int, gaps: float, least: float) -> bool:
        """Whether nothing has come for longer than `_patience`."""
        if self._changed is None:
            return False
        return self._looked - self._changed > self._patience(info, written, gaps, least)

    def _patience(self, info: DatasetInfo, written: int, gaps: float, least: float) -> float:
        """How long nothing may come: `gaps` times the longest gap so far, and `least` seconds.

        A time step is waited for only between time points: in the middle of one, planes are expected.
        """
        patience = max(least, gaps * self._longest_gap)
        if info.n_t > 1 and info.time_step_s and written % max(self._planes_of(info)[1], 1) == 0:
            patience = max(patience, info.time_step_s + least)
        return patience


def _are_alike(one: float, other: float) -> bool:
    return min(one, other) >= _SAME_RHYTHM * max(one, other)


def _plane_bytes(info: DatasetInfo) -> int:
    return 0 if info.dtype is None else info.height * info.width * int(info.dtype.itemsize)


def _place(last: PlaneKey | None, info: DatasetInfo) -> str:
    """The well or region where the run is."""
    if last is None or last.p >= len(info.positions) or len(info.positions) < 2:
        return ""
    return info.positions[last.p].region


def size_of(n_bytes: float) -> str:
    """An amount of data as people say it: "8.29 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{_three_digits(n_bytes / size)} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def _three_digits(number: float) -> str:
    """A number with three digits, those before the point at least; never "1.2e+03"."""
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"
