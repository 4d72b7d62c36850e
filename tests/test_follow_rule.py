"""Which axes follow and where they go: the rule alone, without a window."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from memory_source import MemorySource, memory_info

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.newest_places import NewestWanted, Place
from ndviewer_light.gui.following.follow import FOLLOWED_AXES, FollowMode, FollowRule, newest_of_growth
from ndviewer_light.model import Position

NEWEST, PINNED = FollowMode.NEWEST, FollowMode.PINNED
HERE, THERE = Place(1, 2, 3), Place(7, 8, 9)


def rule_with(followed: str) -> FollowRule:
    rule = FollowRule()
    for axis in followed:
        rule.set_default(axis, NEWEST)
    return rule


def modes(rule):
    return "".join(axis for axis in FOLLOWED_AXES if rule.mode(axis) is NEWEST)


def test_nothing_moves_unless_somebody_asks():
    rule = FollowRule()
    assert modes(rule) == ""
    assert rule.wanted(HERE, (0,), is_volume=False) is None
    assert rule.target(HERE, THERE) == HERE


@pytest.mark.parametrize(
    ("followed", "target"),
    [("t", (7, 2, 3)), ("p", (1, 8, 3)), ("z", (1, 2, 9)), ("tp", (7, 8, 3)), ("tpz", THERE)],
)
def test_followed_axes_go_to_the_newest_place_and_pinned_ones_stay(followed, target):
    rule = rule_with(followed)
    assert rule.target(HERE, THERE) == target
    pins = [None if axis in followed else i for axis, i in zip(FOLLOWED_AXES, HERE, strict=True)]
    assert rule.wanted(HERE, (0, 2), is_volume=False) == NewestWanted(*pins, (0, 2))


def test_whoever_moves_along_an_axis_pins_that_axis_only():
    rule = rule_with("tp")
    rule.pin("p")
    assert modes(rule) == "t"
    rule.pin("z")
    assert modes(rule) == "t"
    assert not rule.follows_all
    rule.follow_again()
    assert modes(rule) == "tp"
    assert rule.follows_all


def test_an_axis_along_which_a_dataset_grows_is_followed_unless_somebody_has_chosen():
    def after(*steps, followed="tp"):
        rule = rule_with(followed)
        rule.start_over()
        for step in steps:
            step(rule)
        rule.note_growth("z")
        return modes(rule)

    assert after() == "tpz"
    assert after(followed="") == ""
    assert after(lambda rule: rule.pin("z")) == "tp"
    assert after(lambda rule: rule.pin("t")) == "pz"
    assert after(lambda rule: rule.set_default("z", PINNED), FollowRule.start_over) == "tp"
    assert after(lambda rule: rule.pin("z"), FollowRule.start_over) == "tpz"


def test_following_again_includes_z_only_if_that_was_chosen():
    rule = rule_with("tp")
    rule.set_mode("z", NEWEST)
    rule.pin("tpz")
    rule.follow_again()
    assert modes(rule) == "tpz"
    rule.set_mode("z", PINNED)
    rule.pin("t")
    rule.follow_again()
    assert modes(rule) == "tp"


def test_a_new_run_starts_with_what_was_asked_for_by_default():
    rule = rule_with("tp")
    rule.pin("tp")
    rule.set_mode("z", NEWEST)
    rule.start_over()
    assert modes(rule) == "tp"
    rule.set_default("p", PINNED)
    rule.follow_again()
    assert modes(rule) == "tp"
    rule.start_over()
    assert modes(rule) == "t"


def test_a_user_may_follow_where_the_host_did_not_ask_until_the_next_run():
    rule = FollowRule()
    rule.follow_again()
    assert modes(rule) == "tp"
    rule.start_over()
    assert modes(rule) == ""


def test_what_to_wait_for_is_asked_for():
    rule = rule_with("t")
    rule.waits_for_channels = False
    assert rule.wanted(HERE, (1,), is_volume=True) == NewestWanted(None, 2, 3, (1,), False, True)
    assert rule.wanted(HERE, (), is_volume=False) is None


@pytest.mark.parametrize("followed", ["", "t", "p", "z", "tp", "tz", "pz", "tpz"])
def test_a_pinned_axis_is_never_moved_and_a_followed_one_never_left_behind(followed):
    n = {"t": 30, "p": 5, "z": 3}
    info = memory_info(n_t=n["t"], n_p=n["p"], n_z=n["z"])
    rule, at = rule_with(followed), Place(4, 1, 2)
    chance = random.Random(followed)
    written = set()
    with Dataset(MemorySource(info), live=True) as dataset:
        for t in range(n["t"]):
            for p in range(n["p"]):
                keys = [(t, p, c, z) for c in range(2) for z in range(n["z"])]
                chance.shuffle(keys)
                for key in keys:
                    dataset.notify(*key)
                    written.add(key)
                    wanted = rule.wanted(at, (0, 1), is_volume=False)
                    newest = dataset.newest(wanted) if wanted is not None else None
                    before, at = at, at if newest is None else rule.target(at, newest)
                    moved = {axis for axis, i, k in zip(FOLLOWED_AXES, before, at, strict=True) if i != k}
                    assert moved <= set(followed)
                    assert not moved or {(at.t, at.p, c, at.z) for c in range(2)} <= written
    last = {axis: size - 1 for axis, size in n.items()}
    for axis, i in zip("tp", at[:2], strict=True):
        if axis in followed:
            assert i == last[axis]


# ---- what nobody announces ----------------------------------------------------------------------


def test_more_time_points_are_news_of_the_position_in_view():
    before = memory_info(n_t=3)
    assert newest_of_growth(before, before, HERE) is None
    assert newest_of_growth(before, replace(before, n_t=5), HERE) == (4, 2, 3)
    assert newest_of_growth(before, replace(before, n_t=2), HERE) is None, "it was cut: nothing is new"


def test_a_new_position_is_newer_than_more_time_points_wherever_it_is_inserted():
    before = memory_info(n_t=3, n_p=2)
    more = (Position("A0", 0), *before.positions)
    assert newest_of_growth(before, replace(before, n_t=4, positions=more), HERE) == (3, 0, 3)


def test_a_stack_that_grows_is_news_if_nothing_else_has():
    before = memory_info(n_t=2, n_z=2)
    assert newest_of_growth(before, replace(before, n_z=5), Place(1, 2, 0)) == Place(1, 2, 4)
    assert newest_of_growth(before, replace(before, n_z=5, n_t=3), Place(1, 2, 0)) == Place(2, 2, 0)


def test_of_positions_that_differ_the_one_that_has_grown_is_the_newest():
    before = memory_info(n_t=3, n_p=4)
    grown = replace(before.image(1), n_t=6)
    info = before.with_image(1, grown)
    assert newest_of_growth(before, info, HERE) == (5, 1, 3)
    both = info.with_image(2, replace(before.image(2), n_t=4))
    assert newest_of_growth(info, both, HERE) == (3, 2, 3)
    assert newest_of_growth(before, both, Place(0, 1, 0)) == (5, 1, 0), "the position in view counts first"
