"""What time it is by the clock of a share, which is not told."""

from __future__ import annotations

import time

import pytest

from ndviewer_light.storage.file_clock import FileClock

S = 10**9


@pytest.fixture
def at(monkeypatch):
    """Sets what time it is here, in s."""
    now = [1000 * S]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])

    def set_it(seconds: float) -> None:
        now[0] = int(seconds * S)

    return set_it


@pytest.mark.parametrize("behind", [-300, -1.5, 0, 1.5, 120])
def test_a_file_that_changed_between_two_looks_tells_the_time(at, behind):
    clock = FileClock()
    at(1000)
    clock.note("a", int((990 - behind) * S))
    at(1001)
    clock.note("a", int((1000.5 - behind) * S))
    at(1010)
    wanted = 1010 - behind if abs(behind) > 2 else 1010
    assert clock.now_ns() / S == pytest.approx(wanted, abs=1.0)


def test_nothing_else_tells_it(at):
    clock = FileClock()
    at(1000)
    for file, changed in (("old", 10), ("older", 5), ("newer", 500)):  # seen for the first time
        clock.note(file, changed * S)
    clock.note("newer", 500 * S)  # has not changed
    clock.note("newer", 400 * S)  # was set back
    at(2000)
    clock.note("old", 1200 * S)  # nobody has looked for too long
    assert clock.now_ns() == 2000 * S


def test_what_is_dated_ahead_is_as_old_as_it_has_been_seen(at, monkeypatch):
    mono = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: mono[0])
    clock = FileClock()
    at(1000)
    assert clock.age_s(990 * S) == 10
    assert clock.age_s(5000 * S) == 0
    assert clock.age_s(6000 * S) == 0
    mono[0] += 30
    assert [clock.age_s(each * S) for each in (4000, 5000, 5500, 6000)] == [30] * 4
    assert clock.age_s(6001 * S) == 0, "written since"
    mono[0] += 30
    assert clock.age_s(6000 * S) == 60 and clock.age_s(6001 * S) == 30
    for ahead in range(7000, 9000):
        clock.age_s(ahead * S)
    mono[0] += 90
    assert clock.age_s(6000 * S) >= 90, "what is forgotten is at least as old as what came next"
    at(10_000)
    assert clock.age_s(6000 * S) == 4000


def test_the_clocks_may_be_set(at):
    clock = FileClock()
    at(1000)
    clock.note("a", 500 * S)
    at(1001)
    clock.note("a", 880 * S)
    assert clock.now_ns() == pytest.approx(880 * S)
    at(1002)
    clock.note("a", int(1001.9 * S))
    assert clock.now_ns() == 1002 * S
