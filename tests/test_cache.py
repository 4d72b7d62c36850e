"""Planes in memory: bounded, read once, never older than the last notification."""

from __future__ import annotations

import random
import sys
import threading
import types
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from memory_source import TIMEOUT, Gate, can_be_taken, in_thread

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.engine.memory_bounded_lru import MemoryBoundedLRUCache
from ndviewer_light.errors import CorruptDataError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey

K = PlaneKey(0, 0, 0, 0)
OTHER = PlaneKey(0, 1, 0, 0)
PLANE_BYTES = 100


def plane(value: int = 0, nbytes: int = PLANE_BYTES) -> np.ndarray:
    return np.full((1, nbytes), value, np.uint8)


class Store:
    """What a writer has written: a version per plane; reads stop at the gates that are set."""

    def __init__(self) -> None:
        self.versions: dict[PlaneKey, int] = {}
        self.sizes: dict[PlaneKey, int] = {}
        self.errors: dict[PlaneKey, Exception] = {}
        self.reads: list[PlaneKey] = []
        self.before_sample = Gate(held=False)
        self.after_sample = Gate(held=False)

    def read(self, key: PlaneKey, level: int) -> np.ndarray:
        self.reads.append(key)
        self.before_sample(key)
        version, error = self.versions.get(key, 0), self.errors.get(key)
        self.after_sample(key)
        if error is not None:
            raise error
        return plane(version, self.sizes.get(key, PLANE_BYTES))


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def cache(store):
    cache = PlaneCache(store.read, max_bytes=10 * PLANE_BYTES, workers=4)
    yield cache
    store.before_sample.open()
    store.after_sample.open()
    cache.close()


def value_of(answer: np.ndarray | Future[np.ndarray]) -> int:
    pixels = answer if isinstance(answer, np.ndarray) else answer.result(TIMEOUT)
    assert len(np.unique(pixels)) == 1
    return int(pixels.flat[0])


def hold_after_sample(store: Store) -> Gate:
    store.after_sample = Gate()
    return store.after_sample


# ---- MemoryBoundedLRUCache: what hosts know it by --------------------------------------------------


def test_lru_returns_the_very_array_it_was_given():
    lru, array = MemoryBoundedLRUCache(1000), plane()
    lru.put("a", array)
    assert lru.get("a") is array
    assert "a" in lru
    assert len(lru) == 1


def test_lru_knows_nothing_of_a_key_never_put():
    lru = MemoryBoundedLRUCache(1000)
    assert lru.get("a") is None
    assert "a" not in lru


@pytest.mark.parametrize("key", ["text", ("zarr", 0, 1, 2, "c"), 7, PlaneKey(1, 2, 3, 4)], ids=str)
def test_lru_takes_any_hashable_key(key):
    lru = MemoryBoundedLRUCache(1000)
    lru.put(key, plane(3))
    assert value_of(lru.get(key)) == 3


def test_lru_evicts_what_was_used_least_recently():
    lru = MemoryBoundedLRUCache(3 * PLANE_BYTES)
    for key in "abc":
        lru.put(key, plane())
    lru.get("a")
    lru.put("d", plane())
    assert [key in lru for key in "abcd"] == [True, False, True, True]


def test_lru_evicts_as_many_as_a_large_array_needs():
    lru = MemoryBoundedLRUCache(4 * PLANE_BYTES)
    for key in "abcd":
        lru.put(key, plane())
    lru.put("large", plane(nbytes=3 * PLANE_BYTES))
    assert lru.keys() == ["d", "large"]


def test_lru_keeps_an_array_exactly_as_large_as_the_bound():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("a", plane())
    assert "a" in lru


def test_lru_refuses_an_array_larger_than_the_bound_silently():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("small", plane())
    lru.put("large", plane(nbytes=PLANE_BYTES + 1))
    assert lru.keys() == ["small"]
    assert lru._current_memory == PLANE_BYTES


def test_lru_forgets_the_old_array_when_its_replacement_is_too_large():
    lru = MemoryBoundedLRUCache(PLANE_BYTES)
    lru.put("a", plane(1))
    lru.put("a", plane(2, nbytes=PLANE_BYTES + 1))
    assert lru.get("a") is None, "the old array is out of date"


def test_lru_replaces_and_accounts_anew():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane(1, nbytes=300))
    lru.put("a", plane(2, nbytes=200))
    assert value_of(lru.get("a")) == 2
    assert (len(lru), lru._current_memory) == (1, 200)


def test_lru_invalidate_says_whether_there_was_something():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane())
    assert lru.invalidate("a") is True
    assert lru.invalidate("a") is False
    assert (len(lru), lru._current_memory) == (0, 0)


def test_lru_clear_forgets_everything():
    lru = MemoryBoundedLRUCache(1000)
    lru.put("a", plane())
    lru.put("b", plane())
    lru.clear()
    assert (len(lru), lru._current_memory, lru.get("a")) == (0, 0, None)


def test_lru_is_bounded_and_accounts_right_under_concurrent_use():
    lru, over, threads = MemoryBoundedLRUCache(2000), [], 8

    def use(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(1500):
            key = rng.randrange(12)
            match rng.randrange(6):
                case 0:
                    lru.invalidate(key)
                case 1 if rng.random() < 0.05:
                    lru.clear()
                case 2 | 3:
                    lru.put(key, plane(key, nbytes=rng.choice([10, 400, 900, 2500])))
                case _:
                    array = lru.get(key)
                    assert array is None or array.flat[0] == key
            with lru._lock:
                if lru._current_memory > 2000 or lru._current_memory != _retained(lru):
                    over.append(lru._current_memory)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for future in [in_thread(use, seed) for seed in range(threads)]:
            future.result(TIMEOUT)
    finally:
        sys.setswitchinterval(interval)
    assert not over


def _retained(lru: MemoryBoundedLRUCache) -> int:
    return sum(array.nbytes for array in lru._arrays.values())


# ---- reading ---------------------------------------------------------------------------------------


def test_a_plane_is_read_once_and_then_comes_from_memory(cache, store):
    assert value_of(cache.request([K])[0]) == 0
    assert isinstance(cache.request([K])[0], np.ndarray)
    assert cache.read(K) is cache.read(K)
    assert store.reads == [K]


def test_two_who_ask_for_the_same_plane_share_one_read(cache, store):
    gate = hold_after_sample(store)
    [first] = cache.request([K])
    gate.wait_for_one()
    [second] = cache.request([K])
    third = in_thread(cache.read, K)
    gate.open()
    assert first is second
    assert value_of(third) == value_of(first)
    assert store.reads == [K]


def test_levels_of_one_plane_are_planes_of_their_own(cache, store):
    cache.read(K, 0)
    cache.read(K, 1)
    assert store.reads == [K, K]


def test_a_key_asked_for_twice_in_one_request_is_read_once(cache, store):
    first, second = cache.request([K, K])
    assert first is second
    value_of(first)
    assert store.reads == [K]


def test_a_notification_reaches_every_level(cache, store):
    cache.read(K, 0)
    cache.read(K, 2)
    store.versions[K] = 1
    cache.mark_stale(K)
    assert [value_of(cache.read(K, level)) for level in (0, 2)] == [1, 1]


def test_the_newest_request_is_read_first_in_its_own_order(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    first = cache.request([K])
    store.before_sample.wait_for_one()
    older = [PlaneKey(1, p, 0, 0) for p in range(3)]
    newer = [PlaneKey(2, p, 0, 0) for p in range(3)]
    answers = [*first, *cache.request(older), *cache.request(newer)]
    store.before_sample.open()
    for answer in answers:
        value_of(answer)
    assert store.reads == [K, *newer, *older]
    cache.close()


def test_queued_reads_nobody_wants_any_more_are_dropped(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    [running] = cache.request([K])
    store.before_sample.wait_for_one()
    unwanted, shared, wanted = (PlaneKey(1, p, 0, 0) for p in range(3))
    dropped, kept = cache.request([unwanted, shared])
    also_in_view = cache.request([PlaneKey(1, 3, 0, 0)])[0]
    cache.request([shared, wanted], drop_except=[PlaneKey(1, 3, 0, 0)])
    assert dropped.cancelled()
    assert not kept.cancelled()
    assert not also_in_view.cancelled()
    store.before_sample.open()
    assert value_of(kept) == value_of(running) == 0
    assert unwanted not in store.reads
    cache.close()


def test_a_dropped_read_is_begun_anew_when_somebody_asks_again(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    cache.request([K])
    store.before_sample.wait_for_one()
    cache.request([OTHER])
    cache.request([], drop_except=())
    [again] = cache.request([OTHER])
    store.before_sample.open()
    assert value_of(again) == 0
    cache.close()


def test_who_waits_in_read_for_a_queued_read_takes_it_over(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    cache.request([K])
    store.before_sample.wait_for_one()
    [queued] = cache.request([OTHER])
    mine = in_thread(cache.read, OTHER)
    store.before_sample.wait_for_one()  # a second read runs although the only worker is held
    cache.request([], drop_except=())
    store.before_sample.open()
    assert value_of(mine) == value_of(queued) == 0
    cache.close()


def test_a_future_cancelled_by_who_holds_it_does_not_block_its_plane(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    cache.request([K])
    store.before_sample.wait_for_one()
    [queued] = cache.request([OTHER])
    assert queued.cancel()
    store.before_sample.open()
    assert value_of(in_thread(cache.read, OTHER)) == 0
    assert value_of(cache.request([OTHER])[0]) == 0
    cache.close()


def test_peek_starts_nothing(cache, store):
    assert cache.peek(K) is None
    assert not store.reads
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    assert cache.peek(K) is answer
    gate.open()
    value_of(answer)
    assert isinstance(cache.peek(K), np.ndarray)


def test_workers_with_nothing_to_do_end_and_new_ones_come(cache, store, monkeypatch):
    monkeypatch.setattr("ndviewer_light.engine.read_workers._IDLE_SECONDS", 0.01)
    for value in (1, 2):
        store.versions[K] = value
        cache.mark_stale(K)
        assert value_of(cache.request([K])[0]) == value
        for thread in cache._workers.threads:
            thread.join(TIMEOUT)
        assert not cache._workers.threads
        assert cache._workers.n_idle == 0


def test_no_more_workers_run_than_allowed(store):
    cache = PlaneCache(store.read, workers=2)
    store.before_sample = Gate()
    answers = cache.request([PlaneKey(t, 0, 0, 0) for t in range(10)])
    store.before_sample.wait_for_one()
    store.before_sample.wait_for_one()
    assert len(store.reads) == 2
    store.before_sample.open()
    assert [value_of(answer) for answer in answers] == [0] * 10
    cache.close()


# ---- errors are never planes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [CorruptDataError("half a chunk"), OSError(5, "Input/output error")], ids=repr
)
def test_an_error_reaches_everybody_who_waits_and_is_not_kept(cache, store, error):
    store.errors[K] = error
    gate = hold_after_sample(store)
    [asked] = cache.request([K])
    gate.wait_for_one()
    joined = in_thread(cache.read, K)
    gate.open()
    for future in (asked, joined):
        assert future.exception(TIMEOUT) is error
    del store.errors[K]
    assert value_of(cache.read(K)) == 0


def test_an_error_of_a_read_that_was_overtaken_says_nothing(cache, store):
    store.errors[K] = PlaneNotStoredError("not yet")
    gate = hold_after_sample(store)
    waiting = in_thread(cache.read, K)
    gate.wait_for_one()
    del store.errors[K]
    store.versions[K] = 1
    cache.mark_stale(K)
    gate.open()
    assert value_of(waiting) == 1, "who waited gets the plane that was written meanwhile, not the error"


# ---- the witnesses of the race that a was-written flag loses ----------------------------------------


def test_s1_a_plane_written_during_its_read_is_not_kept(cache, store):
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    store.versions[K] = 1
    cache.mark_stale(K)
    gate.open()
    value_of(answer)
    assert value_of(cache.read(K)) == 1


def test_s2_a_plane_written_during_its_read_just_before_the_end_is_not_kept(cache, store):
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    store.versions[K] = 1
    cache.mark_stale(K)
    cache.invalidate(K)  # what the end of a run does to planes in view
    gate.open()
    assert value_of(answer) == 0
    assert value_of(cache.read(K)) == 1


def test_s3_a_plane_written_twice_is_not_kept_from_a_read_in_between(cache, store):
    store.versions[K] = 1
    cache.mark_stale(K)  # written once: a flag would now say that every read is good for ever
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    store.versions[K] = 2
    cache.mark_stale(K)
    gate.open()
    assert value_of(answer) == 1
    assert value_of(cache.read(K)) == 2


def test_s4_with_two_readers_the_older_read_cannot_overwrite_the_newer(cache, store):
    gate = hold_after_sample(store)
    [older] = cache.request([K])
    gate.wait_for_one()
    store.versions[K] = 1
    cache.mark_stale(K)
    store.after_sample = Gate(held=False)
    [newer] = cache.request([K])
    assert newer is not older, "a read begun before the write must not be joined after it"
    assert value_of(newer) == 1
    gate.open()
    assert value_of(older) == 0
    assert value_of(cache.read(K)) == 1


def test_s5_three_writes_and_the_end_leave_the_last_one(cache, store):
    gates, answers = [], []
    for version in (1, 2, 3):
        gates.append(hold_after_sample(store))
        answers += cache.request([K])
        gates[-1].wait_for_one()
        store.versions[K] = version
        cache.mark_stale(K)
    cache.invalidate(K)
    store.after_sample = Gate(held=False)
    for gate in reversed(gates):
        gate.open()
    assert [value_of(answer) for answer in answers] == [0, 1, 2]
    assert value_of(cache.read(K)) == 3


def test_s6_a_read_of_before_clear_is_not_kept_after_it(cache, store):
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    cache.clear()
    store.versions[K] = 1  # the new run wrote its plane; nobody needs to notify for a first read
    gate.open()
    assert value_of(answer) == 0
    assert value_of(cache.read(K)) == 1


def test_a_notification_between_commit_and_insertion_counts(cache, store, monkeypatch):
    put = cache._planes.put

    def put_after_notification(key, array):
        store.versions[K] = 1
        cache.mark_stale(K)  # it takes no lock, so it can come even here
        put(key, array)

    monkeypatch.setattr(cache._planes, "put", put_after_notification)
    cache.read(K)
    monkeypatch.undo()
    assert value_of(cache.read(K)) == 1


def test_a_notification_of_another_plane_disturbs_no_read(cache, store):
    gate = hold_after_sample(store)
    [answer] = cache.request([K])
    gate.wait_for_one()
    cache.mark_stale(OTHER)
    gate.open()
    value_of(answer)
    cache.read(K)
    assert store.reads == [K]


def test_a_queued_read_is_not_made_stale_by_what_is_written_before_it_begins(store):
    cache = PlaneCache(store.read, workers=1)
    store.before_sample = Gate()
    cache.request([K])
    store.before_sample.wait_for_one()
    [queued] = cache.request([OTHER])
    store.versions[OTHER] = 1
    cache.mark_stale(OTHER)
    assert cache.request([OTHER])[0] is queued
    store.before_sample.open()
    assert value_of(queued) == 1
    assert isinstance(cache.peek(OTHER), np.ndarray)
    cache.close()


@pytest.mark.parametrize("n", [1, 5000], ids=["one", "more than the inbox holds"])
def test_what_was_notified_is_told_once(cache, n):
    keys = {(t, 0, 0, 0) for t in range(n)}
    cache.watch(frozenset({(0, 0, 0, 0), (0, 1, 0, 0)}))
    for key in keys:
        cache.mark_stale(key)
        cache.mark_stale(key)
    rows, watched = cache.take_notified()
    assert {tuple(row) for row in np.concatenate(rows).tolist()} == keys
    assert watched == {(0, 0, 0, 0)}
    assert cache.take_notified() == ([], set())


@pytest.mark.parametrize("where", ["a writer's thread", "the main thread"])
def test_a_burst_makes_pauses_but_never_in_the_thread_of_the_gui(cache, monkeypatch, where):
    pauses = []
    monkeypatch.setattr("ndviewer_light.engine.cache.time.sleep", pauses.append)

    def burst() -> None:
        for t in range(1000):
            cache.mark_stale((t, 0, 0, 0))

    if where == "the main thread":
        burst()
    else:
        thread = threading.Thread(target=burst)
        thread.start()
        thread.join()
    assert bool(pauses) == (where != "the main thread")


def test_notifications_that_nobody_asks_about_do_not_pile_up(cache):
    for _ in range(300):
        for t in range(10):
            cache.mark_stale((t, 0, 0, 0))
        cache.peek(K)  # takes them in
    rows, _ = cache.take_notified()
    assert len(rows) < 100
    assert {tuple(row) for row in np.concatenate(rows).tolist()} == {(t, 0, 0, 0) for t in range(10)}


# ---- memory ----------------------------------------------------------------------------------------


def test_bytes_stay_within_the_bound_at_every_instant(store):
    rng = random.Random(1)
    bound = 5 * PLANE_BYTES
    keys = [PlaneKey(0, p, 0, 0) for p in range(20)]
    store.sizes = {key: rng.choice([50, 100, 250, bound, bound + 1]) for key in keys}
    cache, over, done = PlaneCache(store.read, bound, workers=4), [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            with cache._planes._lock:
                retained = _retained(cache._planes)
                if retained > bound or retained != cache.nbytes:
                    over.append(retained)

    def read(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(200):
            cache.read(mine.choice(keys))
            if mine.random() < 0.1:
                cache.mark_stale(mine.choice(keys))

    watching = in_thread(watch)
    for future in [in_thread(read, seed) for seed in range(6)]:
        future.result(TIMEOUT)
    done.set()
    watching.result(TIMEOUT)
    assert not over
    cache.close()


def test_a_plane_larger_than_the_bound_is_handed_out_but_not_kept(cache, store):
    store.sizes[K] = 11 * PLANE_BYTES
    cache.read(OTHER)
    assert cache.read(K).nbytes == 11 * PLANE_BYTES
    assert cache.peek(K) is None
    assert cache.nbytes == PLANE_BYTES, "and it drives nothing out"


def test_planes_handed_out_cannot_be_written_to(cache):
    with pytest.raises(ValueError, match="read-only"):
        cache.read(K)[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        cache.request([K])[0][0, 0] = 1


def _whole(buffer: np.ndarray) -> np.ndarray:
    return buffer


def _part(buffer: np.ndarray) -> np.ndarray:
    return buffer[:10]


def _over_foreign_memory(buffer: np.ndarray) -> np.ndarray:
    return np.frombuffer(bytearray(buffer.tobytes()), np.uint8).reshape(buffer.shape)


def _reshaped(buffer: np.ndarray) -> np.ndarray:
    return buffer.reshape(10, -1)


@pytest.mark.parametrize("view", [_whole, _part, _over_foreign_memory, _reshaped], ids=lambda f: f.__name__)
def test_planes_kept_own_their_memory_and_nobody_can_change_them(view):
    buffer = np.zeros((100, 10), np.uint8)
    cache = PlaneCache(lambda key, level: view(buffer))
    kept = cache.read(K)
    owner = kept if kept.base is None else kept.base
    assert isinstance(owner, np.ndarray)
    assert owner.flags.owndata
    assert owner.nbytes == kept.nbytes, "what is accounted is what is kept"
    assert not owner.flags.writeable
    cache.close()


# ---- locks and the end -----------------------------------------------------------------------------


def test_nothing_is_called_out_to_while_the_lock_is_held(store):
    free: list[bool] = []

    def read(key: PlaneKey, level: int) -> np.ndarray:
        free.append(can_be_taken(cache._lock))
        return store.read(key, level)

    def told(_: Future[np.ndarray]) -> None:
        free.append(can_be_taken(cache._lock))

    cache = PlaneCache(read, workers=1)
    store.before_sample = Gate()
    answers = cache.request([K])
    store.before_sample.wait_for_one()
    answers += cache.request([OTHER])
    answers += cache.request([PlaneKey(1, 1, 1, 1)], drop_except=())  # cancels OTHER
    for answer in answers:
        answer.add_done_callback(told)
    store.before_sample.open()
    value_of(answers[2])
    cache.read(OTHER)
    cache.close()  # cancels nothing that is left, but must not call out either
    assert len(free) >= 6
    assert all(free)


def test_close_cancels_what_is_queued_outside_the_lock(store):
    cache, free = PlaneCache(store.read, workers=1), []
    store.before_sample = Gate()
    cache.request([K])
    store.before_sample.wait_for_one()
    [queued] = cache.request([OTHER])
    queued.add_done_callback(lambda _: free.append(can_be_taken(cache._lock)))
    closing = in_thread(cache.close)
    with pytest.raises(CancelledError):
        queued.result(TIMEOUT)
    store.before_sample.open()
    closing.result(TIMEOUT)
    assert free == [True]
    assert OTHER not in store.reads


def test_close_does_not_wait_for_ever_for_reads_that_hang(store):
    cache = PlaneCache(store.read, workers=4)
    store.before_sample = Gate()
    answers = cache.request([PlaneKey(t, 0, 0, 0) for t in range(4)])
    for _ in range(4):
        store.before_sample.wait_for_one()
    cache.close(timeout=0.05)
    assert not any(answer.done() for answer in answers)
    store.before_sample.open()
    assert [value_of(answer) for answer in answers] == [0] * 4
    assert cache.nbytes == 0, "what comes in after the end is not kept"


def test_the_time_close_waits_is_for_all_workers_together(store, monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: waited.append(timeout))
    now = iter(range(100))
    monkeypatch.setattr(
        "ndviewer_light.engine.cache.time", types.SimpleNamespace(monotonic=lambda: float(next(now)))
    )
    cache = PlaneCache(store.read, workers=4)
    store.before_sample = Gate()
    answers = cache.request([PlaneKey(t, 0, 0, 0) for t in range(4)])
    for _ in range(4):
        store.before_sample.wait_for_one()
    cache.close(timeout=2.0)
    monkeypatch.undo()
    assert max(waited) <= 2.0
    assert sum(waited) <= 2.0, "a clock that ran a second per worker has used up the time"
    store.before_sample.open()
    for answer in answers:
        value_of(answer)


def test_after_close_nothing_is_read_in_the_background(cache, store):
    cache.close()
    [answer] = cache.request([K])
    assert answer.cancelled()
    assert not store.reads


# ---- many threads ----------------------------------------------------------------------------------


def test_under_a_storm_no_hit_is_older_than_the_last_notification_before_it(store):
    keys = [PlaneKey(0, p, 0, 0) for p in range(6)]
    cache = PlaneCache(store.read, 4 * PLANE_BYTES, workers=4)
    announced = dict.fromkeys(keys, 0)
    stale_hits: list[tuple[PlaneKey, int, int]] = []
    writing = threading.Event()
    writing.set()

    def write(seed: int) -> None:
        rng, mine = random.Random(seed), keys[seed::2]  # one writer per key, as in an acquisition
        for _ in range(100 * len(mine)):
            key = rng.choice(mine)
            store.versions[key] = version = store.versions.get(key, 0) + 1
            cache.mark_stale(key)
            announced[key] = version

    def read(seed: int) -> None:
        rng = random.Random(seed)
        while writing.is_set():
            key = rng.choice(keys)
            at_least = announced[key]
            version = value_of(cache.request([key])[0])
            if version < at_least:
                stale_hits.append((key, version, at_least))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        readers = [in_thread(read, seed) for seed in range(4)]
        for writer in [in_thread(write, seed) for seed in range(2)]:
            writer.result(TIMEOUT)
        writing.clear()
        for reader in readers:
            reader.result(TIMEOUT)
    finally:
        sys.setswitchinterval(interval)
    assert not stale_hits
    assert [value_of(cache.read(key)) for key in keys] == [store.versions[key] for key in keys]
    cache.close()


def test_pixels_that_came_from_a_server_are_not_copied() -> None:
    """Neither as they are, nor as a part of the frame that was made of their bytes."""
    from ndviewer_light.engine.owned_pixels import owned

    raw = bytes(range(200)) * 20
    frame = np.ndarray((40, 50, 1), np.uint16, raw, 0)
    for pixels in (np.frombuffer(raw, np.uint16).reshape(40, 50), frame[..., 0]):
        assert np.shares_memory(owned(pixels), frame)
    few = np.ndarray((10, 10, 1), np.uint16, raw, 0)[..., 0]
    assert not np.shares_memory(owned(few), frame)  # the rest would stay in memory
