"""Planes in memory: bounded, read once, errors are never planes."""

from __future__ import annotations

import random
import threading
import types
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from memory_source import TIMEOUT, Gate, can_be_taken, in_thread
from written_planes import (
    OTHER,
    PLANE_BYTES,
    K,
    bytes_retained,
    cache_of_ten_planes,  # noqa: F401
    hold_after_sample,
    store_of_versions,  # noqa: F401
    value_of,
)

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.errors import CorruptDataError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey

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
                retained = bytes_retained(cache._planes)
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


def test_pixels_that_came_from_a_server_are_not_copied() -> None:
    """Neither as they are, nor as a part of the frame that was made of their bytes."""
    from ndviewer_light.engine.owned_pixels import owned

    raw = bytes(range(200)) * 20
    frame = np.ndarray((40, 50, 1), np.uint16, raw, 0)
    for pixels in (np.frombuffer(raw, np.uint16).reshape(40, 50), frame[..., 0]):
        assert np.shares_memory(owned(pixels), frame)
    few = np.ndarray((10, 10, 1), np.uint16, raw, 0)[..., 0]
    assert not np.shares_memory(owned(few), frame)  # the rest would stay in memory


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
