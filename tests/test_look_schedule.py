"""When a dataset at a path is looked at: often while it grows, then less and less, at bounded cost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from memory_source import Clock

from ndviewer_light.engine.look_schedule import (
    GIVEN_UP_SECONDS,
    GRACE_SECONDS,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Following,
    GrowthSchedule,
    LookSchedule,
    RunSchedule,
)
from ndviewer_light.storage.time_spent import TimeSpent
from ndviewer_light.storage.trees import ask_schedule
from ndviewer_light.storage.trees.ask_schedule import AskSchedule
from ndviewer_light.storage.watched_folders import LISTING_SHARE


def looks(
    schedule: LookSchedule, start: float, end: float, cost: float = 0.0, *, waits: bool = False
) -> list[float]:
    """When it is looked between two times, if each look takes `cost` seconds; `waits`: for a slow disk."""
    found, now = [], start
    while now < end:
        if schedule.is_due(now):
            found.append(now)
            schedule.begin(now)
            now += cost
            schedule.ended(now, TimeSpent(cost, 0.0 if waits else cost))
        now += 0.01
    return found


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in pairwise(times)]


def test_what_grows_is_looked_at_often():
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    assert max(gaps(looks(schedule, 0, 4))) <= SHORTEST_SECONDS + 0.02


def test_the_longer_nothing_happens_the_rarer_are_the_looks_and_news_begin_anew():
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    waits = gaps(looks(schedule, 0, 4000))
    assert waits[-1] > 10 * waits[0]
    assert max(waits) <= LONGEST_SECONDS + 0.02
    assert len(waits) < 600
    schedule.found_something(4000)
    assert max(gaps(looks(schedule, 4000, 4004))) <= SHORTEST_SECONDS + 0.02


def test_what_grows_slowly_is_being_written_between_two_time_points():
    schedule = GrowthSchedule(0.0)
    assert not schedule.is_growing(1.0)
    for now in (10.0, 10.2, 310.0, 310.2, 610.0):  # a plane in parts, every five minutes
        schedule.found_something(now)
    assert schedule.is_growing(610 + 440) and not schedule.is_growing(610 + 460)
    for i in range(20):  # faster from now on
        schedule.found_something(620.0 + 45 * i)
    assert schedule.is_growing(1475 + 60) and not schedule.is_growing(1475 + 70)
    schedule.found_something(20_000.0)  # another run
    assert schedule.is_growing(20_000 + 50) and not schedule.is_growing(20_000 + 70)


def written(schedule: GrowthSchedule, *, start: float, seconds: float) -> float:
    """A plane every second; returns when the last one came."""
    for i in range(int(seconds) + 1):
        schedule.found_something(start + i)
    return start + int(seconds)


def test_after_a_long_pause_and_a_crash_nothing_is_awaited_for_longer_than_a_minute():
    for before, after in ((600, 200), (600, 1500), (200, 600)):
        schedule = GrowthSchedule(0.0)
        end = written(schedule, start=10.0, seconds=before)
        assert schedule.is_growing(end + 59) and not schedule.is_growing(end + 61)
        end = written(schedule, start=end + 3000, seconds=after)
        assert schedule.is_growing(end + 59) and not schedule.is_growing(end + 61)


def test_a_pause_in_a_time_series_changes_nothing_of_its_rhythm():
    schedule = GrowthSchedule(0.0)
    starts = (10, 610, 1210, 4210, 4810)  # of time points; in one interval somebody paused
    for start in starts:
        end = written(schedule, start=float(start), seconds=120)
        if start > starts[1]:
            assert schedule.is_growing(end + 700) and not schedule.is_growing(end + 730)


def test_a_writer_that_dies_within_a_time_point_is_not_awaited_until_the_next_one():
    schedule = GrowthSchedule(0.0)
    for start in (10.0, 610.0, 1210.0):
        written(schedule, start=start, seconds=300)
    end = written(schedule, start=1810.0, seconds=100)
    assert schedule.is_growing(end + 59) and not schedule.is_growing(end + 61)


def test_what_has_never_grown_is_finished_after_ten_minutes_and_costs_nothing_then():
    schedule = GrowthSchedule(0.0)
    assert looks(schedule, 0, GIVEN_UP_SECONDS)
    assert schedule.following is Following.FOLLOWING
    assert not looks(schedule, GIVEN_UP_SECONDS, GIVEN_UP_SECONDS + 100)
    assert schedule.following is Following.FINISHED
    schedule.pause(False, 800)
    assert schedule.following is Following.FOLLOWING
    assert looks(schedule, 800, 801)


def test_what_has_grown_is_followed_for_days():
    schedule = GrowthSchedule(0.0)
    schedule.found_something(1.0)
    day = 86_400.0
    assert schedule.is_due(3 * day)
    assert schedule.following is Following.FOLLOWING


def test_a_look_that_waited_for_its_turn_does_not_delay_the_next_ones():
    schedule = GrowthSchedule(0)
    looks(schedule, 0, 1, 0.01)
    schedule.begin(1.0)
    schedule.ended(2.0, TimeSpent(1.0, 1.0))
    assert schedule.is_due(2.2)


@pytest.mark.parametrize("cost", [0.05, 1.0])
def test_looks_compute_for_a_bounded_share_of_the_time_whatever_one_costs(cost):
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    assert len(looks(schedule, 0, 10, cost)) * cost <= 10 / 8 + cost
    assert len(looks(schedule, 100, 400, cost)) * cost <= 300 / 100 + cost


@pytest.mark.parametrize("cost", [0.3, 1.0, 4.0])
def test_what_is_written_on_a_slow_share_every_minute_is_seen_within_seconds(cost):
    """Looks that wait take no core; and they take a quarter of the time of the share."""
    schedule = GrowthSchedule(0.0)
    for frame in range(6):
        schedule.found_something(60.0 * frame)
        found = looks(schedule, 60.0 * frame, 60.0 * (frame + 1), cost, waits=True)
        assert max(gaps(found)) <= max(3.1, 4 * cost + 0.02)
    assert len(found) * cost <= 60 / 4 + cost


def test_looks_that_compute_for_long_are_not_far_apart_while_it_is_written():
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    assert max(gaps(looks(schedule, 0, 60, 1.0))) <= 16.1
    assert max(gaps(looks(schedule, 60, 600, 1.0))) >= 100


@pytest.mark.parametrize("cost", [1.0, 20.0, 60.0])
def test_looks_that_wait_for_very_long_take_no_more_than_half_of_the_time(cost):
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    found = looks(schedule, 0, 600, cost, waits=True)
    assert len(found) * cost <= 600 / 2 + cost


def test_what_was_just_opened_is_looked_at_as_often_as_what_grows():
    opened, growing = GrowthSchedule(0.0), GrowthSchedule(0.0)
    growing.found_something(0.0)
    assert looks(opened, 0, 5, 0.05) == looks(growing, 0, 5, 0.05)


def test_going_elsewhere_brings_a_look_at_once_but_no_more_of_them_than_usual():
    schedule = GrowthSchedule(0.0)
    looks(schedule, 0, 300)
    schedule.gone_elsewhere(300)
    assert len(looks(schedule, 300, 300.5)) == 1


def test_paused_is_not_looked_at_and_complete_only_for_some_seconds():
    schedule = GrowthSchedule(0.0)
    schedule.pause(True, 1.0)
    assert not looks(schedule, 1, 100)
    assert schedule.following is Following.PAUSED
    schedule.pause(False, 100.0)
    schedule.found_something(100.0)
    schedule.end(100.0)
    assert looks(schedule, 100, 101)
    assert not looks(schedule, 100 + GRACE_SECONDS, 300)
    assert schedule.following is Following.FINISHED


@pytest.mark.parametrize("schedule", [GrowthSchedule(0.0), RunSchedule(0.0, live=True)])
def test_what_cannot_be_reached_is_looked_for_until_it_is_back(schedule):
    schedule.end(0.0)
    schedule.is_away = True
    assert max(gaps(looks(schedule, 1000, 2000))) <= LONGEST_SECONDS + 0.02
    schedule.is_away = False
    assert not looks(schedule, 2000, 3000)


def test_it_is_growing_only_once_something_was_found_and_for_a_minute():
    schedule = GrowthSchedule(0.0)
    assert not schedule.is_growing(0.1)
    schedule.found_something(1.0)
    assert schedule.is_growing(30.0)
    assert not schedule.is_growing(62.0)


@pytest.mark.parametrize("cost", [0.1, 5.0, 50.0])
def test_a_server_that_takes_long_to_answer_is_asked_again_as_soon_as_one_without_news(monkeypatch, cost):
    clock = Clock()
    monkeypatch.setattr(ask_schedule, "time", clock)
    schedule, waits = AskSchedule(), []
    for took in (cost, cost, 20 * cost, cost):  # once it waited for a busy computer
        assert schedule.begin()
        clock.now += took
        schedule.ended(has_news=True)
        ended = clock.now
        while not schedule.begin():
            clock.now += 0.25
        waits.append(clock.now - ended)
    assert max(waits) <= max(30.0, cost) + 0.25
    assert min(waits) >= min(cost / LISTING_SHARE, 30.0)
    assert waits[-1] == waits[0]
