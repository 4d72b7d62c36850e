"""Planes in memory are never older than the last notification: the races that a was-written flag loses."""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
import pytest
from memory_source import TIMEOUT, Gate, in_thread
from written_planes import (
    OTHER,
    PLANE_BYTES,
    K,
    cache_of_ten_planes,  # noqa: F401
    hold_after_sample,
    store_of_versions,  # noqa: F401
    value_of,
)

from ndviewer_light.engine.cache import PlaneCache
from ndviewer_light.model import PlaneKey

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
