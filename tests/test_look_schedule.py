"""When a dataset at a path is looked at: often while it grows, then less and less, at bounded cost."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ndviewer_light.engine.look_schedule import (
    GIVEN_UP_SECONDS,
    GRACE_SECONDS,
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Following,
    GrowthSchedule,
)


def looks(schedule: GrowthSchedule, start: float, end: float, cost: float = 0.0) -> list[float]:
    """When it is looked between two times, if each look takes `cost` seconds."""
    found, now = [], start
    while now < end:
        if schedule.is_due(now):
            found.append(now)
            schedule.begin(now)
            now += cost
            schedule.ended(now)
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
    assert schedule.is_growing(610 + 800) and not schedule.is_growing(610 + 1000)
    for i in range(20):  # faster from now on
        schedule.found_something(620.0 + 25 * i)
    assert schedule.is_growing(1095 + 60) and not schedule.is_growing(1095 + 90)
    schedule.found_something(20_000.0)  # another run
    assert schedule.is_growing(20_000 + 70) and not schedule.is_growing(20_000 + 80)


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
    schedule.ended(2.0)
    assert schedule.is_due(2.2)


@pytest.mark.parametrize("cost", [0.05, 1.0])
def test_looks_take_a_bounded_share_of_the_time_whatever_one_costs(cost):
    schedule = GrowthSchedule(0.0)
    schedule.found_something(0.0)
    assert len(looks(schedule, 0, 10, cost)) * cost <= 10 / 8 + cost
    assert len(looks(schedule, 20, 220, cost)) * cost <= 200 / 100 + cost


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


def test_it_is_growing_only_once_something_was_found_and_for_a_minute():
    schedule = GrowthSchedule(0.0)
    assert not schedule.is_growing(0.1)
    schedule.found_something(1.0)
    assert schedule.is_growing(30.0)
    assert not schedule.is_growing(62.0)
