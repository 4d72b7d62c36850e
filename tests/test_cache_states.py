"""The lease protocol of the plane cache, step by step, against a model; and mutants it must tell apart.

One thread takes the steps of many: what a worker does is cut at the moments where another thread can
come between (begin, sample, commit). Pixels say which read they come from, so that what the cache
returns can be judged by itself. What is read is a plane or a tile of one; what is written is a plane.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.engine.leases import StoredKey, SupersededRead
from ndviewer_light.engine.memory_bounded_lru import MemoryBoundedLRUCache
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import Level, PlaneKey, Region, Scale, Sizes

BOUND = 2000
TILED = PlaneKey(1, 0, 0, 0)
DEEP = [PlaneKey(0, 2, 0, z) for z in range(3)]
"""A stack whose level 1 has two planes: of the first two of level 0, and of the last."""
OF_DEEP = Level(Sizes(2, 1, 1), Scale(2, 2, 2))
SIZES = {
    StoredKey(PlaneKey(0, 0, 0, 0), 0): 400,
    StoredKey(PlaneKey(0, 1, 0, 0), 0): 800,
    StoredKey(TILED, 0, Region(0, 0, 8, 8)): 1200,
    StoredKey(TILED, 0, Region(0, 8, 8, 8)): 400,
    StoredKey(TILED, 1): 800,  # the whole plane, at another level
    StoredKey(PlaneKey(1, 1, 0, 0), 0): 3000,  # larger than the bound
    StoredKey(DEEP[0], 1): 400,
    StoredKey(DEEP[1], 1): 400,
    StoredKey(DEEP[1], 0): 400,
}
KEYS = list(SIZES)
SHOWS = {key: {key.plane} for key in KEYS} | {
    StoredKey(DEEP[0], 1): {DEEP[0], DEEP[1]},
    StoredKey(DEEP[1], 1): {DEEP[2]},
}
"""The planes, of level 0, that each has pixels of."""
PLANES = sorted(set().union(*SHOWS.values()))
SOME_KEY = st.sampled_from(KEYS)
SOME_PLANE = st.sampled_from(PLANES)
WHICH = st.integers(0, 5)


class Stamp(NamedTuple):
    """What the pixels of a plane say: the run and version that were on disk, the moment the read began."""

    session: int
    version: int
    began: int


def pixels_of(key: StoredKey, stamp: Stamp) -> np.ndarray:
    pixels = np.zeros(SIZES[key] // 4, np.uint32)
    pixels[:3] = stamp
    return pixels


def stamp_of(pixels: np.ndarray) -> Stamp:
    return Stamp(*map(int, pixels[:3]))


class SteppedCache(PlaneCache):
    """The real cache, except that no thread takes up its queue: the test does."""

    def __init__(self) -> None:
        super().__init__(self._unreachable, BOUND)
        self.note_level(TILED.p, 1, Level(Sizes(1, 1, 1), Scale(1, 2, 2)))
        self.note_level(DEEP[0].p, 1, OF_DEEP)
        self._workers.new_threads = list

    @staticmethod
    def _unreachable(key, level):
        raise AssertionError("the test takes the steps of a read itself")

    def end(self, in_view):
        """What the dataset does to the planes in view when a run ends."""
        for key in in_view:
            self.invalidate(key)


class NeverOver(OrderedDict):
    """The arrays of a cache, which must not hold too much even for an instant."""

    def __setitem__(self, key, array):
        super().__setitem__(key, array)
        assert sum(kept.nbytes for kept in self.values()) <= BOUND, "over the bound"


class Read:
    """A read under way: its lease, when it began, and what it found on disk once it has looked."""

    def __init__(self, lease, began: int) -> None:
        self.lease = lease
        self.key: StoredKey = lease.key
        self.began = began
        self.found: Stamp | None = None
        self.overtaken = False
        self.abandoned = False  # nobody waits for it


class CacheStates(RuleBasedStateMachine):
    """Writers, readers and runs in any order; the model knows what must not be returned any more."""

    make_cache = SteppedCache
    leases = True  # False for a protocol without: only what it returns is judged, not how it gets there

    def __init__(self) -> None:
        super().__init__()
        self.cache = self.make_cache()
        self.cache._planes._arrays = NeverOver()
        self.clock = 0
        self.session = 0
        self.on_disk = dict.fromkeys(PLANES, 0)
        self.cut = dict.fromkeys(PLANES, 0)  # nothing begun before it may be returned for this plane
        self.reads: list[Read] = []

    # ---- writers ---------------------------------------------------------------------------

    @rule(plane=SOME_PLANE)
    def write(self, plane):
        self.on_disk[plane] += 1

    @rule(plane=SOME_PLANE)
    def notify(self, plane):
        self.cache.mark_stale(plane)
        self._cut(plane)

    @rule(plane=SOME_PLANE)
    def write_and_notify(self, plane):
        self.write(plane)
        self.notify(plane)

    @precondition(lambda self: self._sampled())
    @rule(which=WHICH, twice=st.booleans())
    def write_and_notify_between_sample_and_commit(self, which, twice):
        plane = self._one_of(self._pick(self._sampled(), which), which)
        self.write_and_notify(plane)
        if twice:
            self.write_and_notify(plane)

    @precondition(lambda self: self._sampled())
    @rule(which=WHICH)
    def write_end_and_commit(self, which):
        read = self._pick(self._sampled(), which)
        plane = self._one_of(read, which)
        self.write(plane)
        self.end([plane])
        self._commit(read)

    @precondition(lambda self: self._sampled())
    @rule(which=WHICH)
    def write_and_read_again_before_an_older_read_commits(self, which):
        older = self._pick(self._sampled(), which)
        self.write_and_notify(self._one_of(older, which))
        self.request([older.key], dropping=True)
        while self.cache._queue:
            self.begin()
        self._commit(older)

    @precondition(lambda self: self._sampled())
    @rule(which=WHICH)
    def abandon_want_again_write_and_commit_the_first(self, which):
        older = self._pick(self._sampled(), which)
        self.request([], dropping=True)
        self.request([older.key], dropping=False)
        while self.cache._queue:
            self.begin()
        self.write_and_notify(self._one_of(older, which))
        self._commit(older)

    @rule(in_view=st.lists(SOME_PLANE, unique=True))
    def end(self, in_view):
        self.cache.end(in_view)
        for plane in in_view:
            self._cut(plane)

    @rule()
    def start_another_run(self):
        self.cache.clear()
        self.session += 1
        self.on_disk = dict.fromkeys(PLANES, 0)
        for plane in PLANES:
            self._cut(plane)

    def _cut(self, plane):
        self.clock += 1
        self.cut[plane] = self.clock
        for read in self.reads:
            read.overtaken |= plane in SHOWS[read.key]

    # ---- readers ---------------------------------------------------------------------------

    @rule(keys=st.lists(SOME_KEY, max_size=3), dropping=st.booleans())
    def request(self, keys, dropping):
        answers = self.cache.request_tiles(keys, drop_except=() if dropping else None)
        for read in self.reads:  # what is wanted again is not the read that was abandoned
            read.overtaken |= read.abandoned and read.key in keys
        waiting = [read for read in self.reads if not (read.overtaken or read.abandoned)]
        abandoned = [read for read in waiting if dropping and read.key not in keys]
        for read in abandoned:
            read.abandoned = True
        for read in self.reads:
            assert read.lease.scope.dropped == read.abandoned or not self.leases, (
                "what is given up is one read, not a plane"
            )
        given_up = [read.lease.future for read in self.reads if read.abandoned]
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, np.ndarray):
                self._judge(key, answer)
            else:
                assert not answer.done()
                assert all(answer is not future for future in given_up), "a read that may end early is joined"

    @precondition(lambda self: self.cache._queue)
    @rule()
    def begin(self):
        lease = self.cache._next()
        assert lease is not None
        assert lease.may_run()
        self.clock += 1
        self.reads.append(Read(lease, self.clock))

    @precondition(lambda self: self._unsampled())
    @rule(which=WHICH)
    def sample(self, which):
        self._sample(self._pick(self._unsampled(), which))

    @precondition(lambda self: self._sampled())
    @rule(which=WHICH)
    def commit(self, which):
        self._commit(self._pick(self._sampled(), which))

    @precondition(lambda self: self.reads)
    @rule(which=WHICH)
    def fail(self, which):
        read = self._pick(self.reads, which)
        self.reads.remove(read)
        self.cache._fail(read.lease, PlaneNotStoredError("not yet"))
        kind = SupersededRead if read.overtaken or read.abandoned else PlaneNotStoredError
        assert isinstance(read.lease.future.exception(), kind) or not self.leases

    @rule(key=SOME_KEY)
    def read_at_once(self, key):
        self.request([key], dropping=False)
        while self.cache._queue:
            self.begin()
            self._sample(self.reads[-1])
            self._commit(self.reads[-1])

    @rule()
    def when_writing_stops_everybody_gets_what_is_on_disk(self):
        for plane in PLANES:
            self.notify(plane)
        for read in list(self.reads):
            self._sample(read)
            self._commit(read)
        self.request([], dropping=True)
        for key in KEYS:
            self.read_at_once(key)
            pixels = self.cache.peek(*key)
            assert SIZES[key] > BOUND or stamp_of(pixels).version == self._version(key)

    def _sample(self, read):
        read.found = Stamp(self.session, self._version(read.key), read.began)

    def _commit(self, read):
        self.reads.remove(read)
        self.cache._commit(read.lease, pixels_of(read.key, read.found))
        assert stamp_of(read.lease.future.result()) == read.found
        kept = isinstance(self.cache.peek(*read.key), np.ndarray)
        if self.leases and not read.overtaken and SIZES[read.key] <= BOUND:
            assert kept, "a read nothing came between is kept"

    def _unsampled(self):
        return [read for read in self.reads if read.found is None]

    def _sampled(self):
        return [read for read in self.reads if read.found is not None]

    def _version(self, key):
        return sum(self.on_disk[plane] for plane in SHOWS[key])

    @staticmethod
    def _one_of(read, which):
        planes = sorted(SHOWS[read.key])
        return planes[which % len(planes)]

    @staticmethod
    def _pick(reads, which):
        return reads[which % len(reads)]

    # ---- what must hold after every step -----------------------------------------------------

    @initialize()
    def nothing_is_known(self):
        assert all(self.cache.peek(*key) is None for key in KEYS)

    def _judge(self, key, pixels):
        stamp = stamp_of(pixels)
        assert stamp.began > max(self.cut[plane] for plane in SHOWS[key]), (
            f"{key}: a read of before the last notification was returned"
        )
        assert stamp.session == self.session, f"{key}: a plane of another run was returned"

    @invariant()
    def nothing_in_memory_is_older_than_its_last_notification(self):
        for key in KEYS:
            pixels = self.cache.peek(*key)
            if isinstance(pixels, np.ndarray):
                self._judge(key, pixels)

    @invariant()
    def what_is_accounted_is_what_is_kept(self):
        arrays = self.cache._planes._arrays
        assert self.cache.nbytes == sum(array.nbytes for array in arrays.values()) <= BOUND

    @invariant()
    def each_plane_is_read_once_at_a_time_and_nothing_else_is_remembered(self):
        self.cache.take_notified()  # and with it everything notified so far is taken in
        under_way = [read.lease for read in self.reads if not read.overtaken] + list(self.cache._queue)
        assert set(under_way) == set(self.cache._reading.values()) or not self.leases
        assert len(under_way) == len(self.cache._reading) or not self.leases


# ---- mutants: each leaves out one thing the protocol needs -----------------------------------------


class NoStaleCheck(SteppedCache):
    def _commit(self, lease, pixels):
        lease.stale = False
        super()._commit(lease, pixels)


class NoInvalidate(SteppedCache):
    def _mark_stale(self, key):
        lease = self._reading.get(key)
        if lease is not None and lease.started:
            lease.stale = True
            del self._reading[key]


class ForgetsTiles(SteppedCache):
    """Marks stale what was read of a plane as a whole, and none of its tiles."""

    def _mark_stale(self, key):
        if key.tile is None:
            super()._mark_stale(key)


class ForgetsOnlyTilesInMemory(SteppedCache):
    """Leaves the leases of the tiles that are being read as they are."""

    def _mark_stale(self, key):
        if key.tile is None:
            super()._mark_stale(key)
        else:
            self._planes.invalidate(key)


class ForgetsOneLevel(SteppedCache):
    def _mark_planes_stale(self, batch):
        for stored in [*self._planes.keys(), *self._reading]:
            if stored.plane in batch and stored.level == 0:
                self._mark_stale(stored)


class SameIndexAtEveryLevel(SteppedCache):
    """Takes z of level 0 for an index into every level."""

    def _mark_planes_stale(self, batch):
        for stored in [*self._planes.keys(), *self._reading]:
            if stored.plane in batch:
                self._mark_stale(stored)


class OnlyTheFirstOfALevel(SteppedCache):
    """Of the planes that one of a level shows, counts the first alone."""

    def note_level(self, p, level, facts):
        super().note_level(p, level, replace(facts, scale=facts.scale._replace(z=1.0)))


class GivesUpAllTilesOfAPlane(SteppedCache):
    """Takes a tile for the plane: what is wanted of it keeps all of its reads under way."""

    def _give_up(self, wanted):
        planes = {stored.plane for stored in wanted}
        return super()._give_up({key for key in self._reading if key.plane in planes})


class ClearKeepsLeases(SteppedCache):
    def clear(self):
        with self._lock:
            self._planes.clear()


class LateEviction(SteppedCache):
    def __init__(self) -> None:
        super().__init__()
        self._planes = _EvictsAfterwards(BOUND)


class _EvictsAfterwards(MemoryBoundedLRUCache):
    def put(self, key, array):
        self._drop(key)
        if array.nbytes > self._max_memory:
            return
        self._arrays[key] = array
        self._current_memory += array.nbytes
        while self._current_memory > self._max_memory:
            self._drop(next(iter(self._arrays)))


class LeaseLeaksOnError(SteppedCache):
    def _forget(self, lease):
        with self._lock:
            self._apply_notifications()


class ForgetsTheWrongLease(SteppedCache):
    def _commit(self, lease, pixels):
        with self._lock:
            self._apply_notifications()
            self._reading.pop(lease.key, None)
        super()._commit(lease, pixels)


class StaleLeaseIsStillJoined(SteppedCache):
    def _mark_stale(self, key):
        self._planes.invalidate(key)
        lease = self._reading.get(key)
        if lease is not None and lease.started:
            lease.stale = True


class AbandonedReadIsStillJoined(SteppedCache):
    def _lease_of(self, key):
        return self._reading.get(key)


class ReplacedLeaseIsNotStale(SteppedCache):
    def _lease_of(self, key):
        lease = self._reading.get(key)
        return None if lease is not None and lease.given_up else lease


class WasWrittenBeforeRead(SteppedCache):
    """The protocol of the viewer this one replaces: "was it ever written?" instead of a lease."""

    def __init__(self) -> None:
        super().__init__()
        self._written: set[PlaneKey] = set()
        self._active = True
        self._cacheable: dict[int, bool] = {}

    def mark_stale(self, key):
        self._written.add(key)
        for stored in list(self._planes.keys()):
            if stored.plane == key:
                self._planes.invalidate(stored)

    def clear(self):
        self._written.clear()
        self._active = True
        self._planes.clear()

    def end(self, in_view):
        self._active = False

    def _next(self):
        lease = super()._next()
        self._cacheable[id(lease)] = lease.key.plane in self._written
        return lease

    def _commit(self, lease, pixels):
        lease.stale = not (self._cacheable.pop(id(lease)) or not self._active)
        super()._commit(lease, pixels)


class StatesWithInterrupts(CacheStates):
    """Also those where a caller of `read` gets Ctrl-C, and others wait for the same plane."""

    @precondition(lambda self: self.reads)
    @rule(which=WHICH)
    def interrupt_the_caller_who_reads(self, which):
        read = self._pick(self.reads, which)
        self.reads.remove(read)
        self.cache._hand_over(read.lease)  # every lease here was asked for, so somebody else waits
        assert not read.lease.future.done()
        assert read.lease in self.cache._queue
        while read.lease in self.cache._queue:
            self.begin()
        again = next(each for each in self.reads if each.lease is read.lease)
        again.overtaken, again.abandoned = read.overtaken, read.abandoned


class StatesWithoutLeases(CacheStates):
    leases = False


def run(cache_class, states=CacheStates, max_examples: int = 250, steps: int = 50) -> None:
    machine = type(f"{cache_class.__name__}States", (states,), {"make_cache": cache_class})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=steps,
            derandomize=True,  # the same runs everywhere, always
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_order_of_writers_readers_and_runs_breaks_the_invariants():
    run(SteppedCache)


def test_no_order_of_interrupts_breaks_the_invariants():
    run(SteppedCache, StatesWithInterrupts, max_examples=120)


@pytest.mark.parametrize(
    "mutant",
    [
        NoStaleCheck,
        NoInvalidate,
        ForgetsTiles,
        ForgetsOnlyTilesInMemory,
        ForgetsOneLevel,
        SameIndexAtEveryLevel,
        OnlyTheFirstOfALevel,
        GivesUpAllTilesOfAPlane,
        ClearKeepsLeases,
        LateEviction,
        LeaseLeaksOnError,
        ForgetsTheWrongLease,
        StaleLeaseIsStillJoined,
        AbandonedReadIsStillJoined,
        ReplacedLeaseIsNotStale,
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_protocol_that_leaves_something_out_is_caught(mutant):
    with pytest.raises(AssertionError):
        run(mutant, max_examples=2000)  # how soon depends on what ran before; it ends with the first


def test_the_flag_that_says_was_written_before_read_is_caught():
    with pytest.raises(AssertionError, match="before the last notification"):
        run(WasWrittenBeforeRead, StatesWithoutLeases)
