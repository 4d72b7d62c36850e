"""How far a dataset is written is found with few questions, whatever order it is written in."""

from __future__ import annotations

import math
import time
from functools import partial

import pytest
from memory_source import Gate, MemorySource, memory_info, wait_until

from ndviewer_light.engine import stored_scout
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.newest_places import NewestWanted, Place
from ndviewer_light.engine.stored_scout import SCOUT_SECONDS, StoredScout, front, last_of
from ndviewer_light.errors import CorruptDataError, DatasetError
from ndviewer_light.model import PlaneKey


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_the_last_one_is_found_wherever_it_is_and_wherever_it_was(n):
    for there in range(n + 1):
        for near in (-1, 0, there - 2, there - 1, there, n - 1, n + 5):
            assert last_of(lambda i, there=there: i < there, n, near) == there - 1


def can_read(source, key):
    try:
        source.read_plane(key)
    except DatasetError:
        return False
    return True


def test_few_questions_find_it_in_a_long_run():
    asked = []

    def is_there(i):
        asked.append(i)
        return i < 70_000

    assert last_of(is_there, 100_000) == 69_999
    assert len(asked) < 2.2 * math.log2(100_000) + 2
    asked.clear()
    assert last_of(is_there, 100_000, 69_999) == 69_999
    assert len(asked) == 2
    asked.clear()
    assert last_of(is_there, 70_000, 69_990) == 69_999  # an array that was made longer
    assert len(asked) == 1


@pytest.mark.parametrize("n_p", [1, 2, 3, 5])
@pytest.mark.parametrize("n_t", [1, 2, 4])
@pytest.mark.parametrize("outer", ["t", "p"])
def test_the_front_is_where_the_writer_is_in_either_order(n_t, n_p, outer):
    order = [(t, p) for t in range(n_t) for p in range(n_p)]
    if outer == "p":
        order.sort(key=lambda place: place[::-1])
    assert front(lambda t, p: False, n_t, n_p) is None
    near = (-1, -1)
    for i, place in enumerate(order):
        written = set(order[: i + 1])
        found = front(lambda t, p, written=written: (t, p) in written, n_t, n_p, near)
        # both orders have left the same traces there
        is_ambiguous = outer == "p" and place == (n_t - 2, n_p - 1)
        assert found in written
        assert found == place or is_ambiguous
        near = found


def ask(scout, wanted, info, later_s=0.0):
    """The answer of the next look, so much later."""
    return ask_at(scout, wanted, info, time.monotonic() + later_s)


def ask_at(scout, wanted, info, now):
    """The answer at that time, after the look that it begins, if any."""
    scout.newest(wanted, info, now)
    wait_until(lambda: scout._work.can_begin(math.inf))
    return scout.newest(wanted, info, -math.inf)


def test_of_the_planes_before_the_newest_nothing_is_read_unless_that_is_not_whole():
    info = memory_info(n_t=20, n_p=1, n_z=1)
    source, read = MemorySource(info), []
    for t in range(12):
        source.write((t, 0, 0, 0), 1)

    def is_whole(key):
        read.append(key.t)
        return can_read(source, key)

    half_written = set()
    scout = StoredScout(
        is_whole, are_begun=lambda keys: [can_read(source, key) or key.t in half_written for key in keys]
    )
    wanted = NewestWanted(None, None, 0, (0,))
    assert ask(scout, wanted, info) == Place(11, 0, 0)
    assert ask(scout, wanted, info, 10) == Place(11, 0, 0)
    assert read == [11], "it is known"
    for t in (12, 13, 14):
        source.write((t, 0, 0, 0), 1)
    assert ask(scout, wanted, info, 20) == Place(14, 0, 0)
    assert read == [11, 14]
    half_written.add(15)
    assert ask(scout, wanted, info, 30) == Place(14, 0, 0)
    source.write((15, 0, 0, 0), 1)
    assert ask(scout, wanted, info, 40) == Place(15, 0, 0)
    scout.close()


def test_looks_are_close_together_while_newer_places_are_found_and_rarer_afterwards(monkeypatch):
    monkeypatch.setattr(stored_scout, "_TIMES_AS_LONG", 0)  # a busy computer takes long to ask anything
    info, wanted = memory_info(n_t=100, n_p=1, n_z=1), NewestWanted(None, None, 0, (0,))
    stored, asked = {0}, []

    def are_begun(keys):
        asked.extend(keys)
        return [key.t in stored for key in keys]

    scout = StoredScout(lambda key: True, are_begun=are_begun)

    def pause(after: float) -> float:
        """How long after a look at this time the next one is."""
        for step in range(1, 300):
            asked.clear()
            ask_at(scout, wanted, info, after + step / 100)
            if asked:
                return step / 100
        raise AssertionError("there is no other look")

    now = 1000.0
    ask_at(scout, wanted, info, now)
    for t in range(1, 6):
        stored.add(t)
        paused = pause(now)
        now += paused
        assert paused <= 0.06
        assert scout.newest(wanted, info, -math.inf) == Place(t, 0, 0)
    pauses = []
    while now < 1030.0:
        pauses.append(pause(now))
        now += pauses[-1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(SCOUT_SECONDS, abs=0.02)
    scout.close()


def test_planes_that_wait_for_other_channels_are_read_meanwhile_if_nothing_newer_is_there():
    info, wanted = memory_info(n_t=9, n_p=2, n_z=1), NewestWanted(None, 1, 0, (0, 1))
    stored, read = {PlaneKey(t, 1, c, 0) for t in range(3) for c in (0, 1)}, []
    scout = StoredScout(stored.__contains__, want=read.extend)
    assert ask(scout, wanted, info) == Place(2, 1, 0)
    stored.add(PlaneKey(3, 1, 0, 0))
    assert not read
    assert ask(scout, wanted, info, 10) == Place(2, 1, 0)
    assert read == [PlaneKey(3, 1, 0, 0)]
    stored |= {PlaneKey(3, 1, 1, 0), PlaneKey(4, 1, 0, 0)}
    assert ask(scout, wanted, info, 20) == Place(3, 1, 0)
    assert len(read) == 1, "the newest place comes first"
    scout.close()


def test_only_what_is_wholly_there_counts_at_the_pinned_indices():
    info = memory_info(n_t=6, n_p=3, n_z=2)
    source = MemorySource(info)
    for t in range(3):
        for p in range(3):
            for c in range(2):
                source.write((t, p, c, 0), 1)
    source.write((3, 0, 0, 0), 1)
    source.write((3, 0, 1, 0), 1)
    source.write((3, 1, 0, 0), 1)
    source.errors[3, 1, 1, 0] = CorruptDataError("being written")
    scout = StoredScout(partial(can_read, source))
    both = (0, 1)
    assert ask(scout, NewestWanted(None, None, 0, both), info) == (3, 0, 0)
    assert ask(scout, NewestWanted(None, None, 0, both, every_channel=False), info) == (3, 1, 0)
    assert ask(scout, NewestWanted(None, 2, 0, both), info) == (2, 2, 0)
    assert ask(scout, NewestWanted(1, None, 0, both), info) == (1, 2, 0)
    assert ask(scout, NewestWanted(4, None, 0, both), info) is None
    assert ask(scout, NewestWanted(None, None, 1, both), info) is None
    assert ask(scout, NewestWanted(None, None, 0, both, whole_stack=True), info) is None
    scout.close()


def test_nobody_waits_for_a_look():
    source = MemorySource()
    gate = source.before_read = Gate()
    source.write((0, 0, 0, 0), 1)
    scout, wanted = StoredScout(partial(can_read, source)), NewestWanted(None, None, 0, (0,))
    assert scout.newest(wanted, source.info, time.monotonic()) is None
    gate.wait_for_one()
    assert scout.newest(wanted, source.info, time.monotonic()) is None
    gate.open()
    wait_until(lambda: scout.newest(wanted, source.info, -math.inf) == Place(0, 0, 0))
    other = wanted._replace(t=0)
    assert scout.newest(other, source.info, -math.inf) is None, "that was another question"
    scout.close()
    scout.join(time.monotonic() + 60)


def test_a_dataset_that_nobody_follows_is_not_looked_through():
    with Dataset(MemorySource(), path="/a") as dataset:
        assert not dataset.looks_for_newest
        assert dataset.newest(NewestWanted(None, None, 0, (0,))) is None
        assert dataset._source.reads == []


def test_of_a_dataset_that_is_gone_the_newest_place_stays():
    stored, is_gone = {(t, 0) for t in range(5)}, False
    scout = StoredScout(lambda key: (key.t, key.p) in stored, is_gone=lambda: is_gone)
    info, wanted = memory_info(n_t=8, n_p=1, n_z=1), NewestWanted(None, None, None, (0,))
    newest = partial(scout.newest, wanted, info)
    wait_until(lambda: newest(time.monotonic()) == Place(4, 0, 0))
    stored.discard((4, 0))
    is_gone = True  # what is in memory still counts as stored
    scout._look(wanted, info, Place(4, 0, 0), time.monotonic())
    assert newest(time.monotonic()) == Place(4, 0, 0)
    is_gone = False
    scout._look(wanted, info, Place(4, 0, 0), time.monotonic())
    assert newest(time.monotonic()) == Place(3, 0, 0)
    scout.close()
    scout.join(time.monotonic() + 60)
