"""What time it is by the clock of a share, which is not told."""

from __future__ import annotations

import os
import time

import pytest

from ndviewer_light.engine.plane_times import PlaneRead
from ndviewer_light.gui.run_status.latency import latency_of
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5.file import HDF5File
from ndviewer_light.storage.file_clock import FileClock, from_now_on_ns

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


@pytest.mark.parametrize("ahead_s", [-300, 30, 300])
def test_a_file_of_hdf5_that_was_just_written_by_another_clock_is_not_settled(tmp_path, ahead_s):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["image"] = [0]
    now_ns = time.time_ns()
    for seconds in (-1, 0):  # seen to be written in between, which tells the clock
        os.utime(path, ns=(0, now_ns + (ahead_s + seconds) * S))
        found = HDF5File(str(path), None)
        found.close()
    assert not found.is_settled


def test_how_long_a_plane_waited_is_not_told_where_its_file_says_it_is_still_to_be_written():
    now, ahead_s = time.monotonic(), 300
    for written, is_told in ((time.time() - 1, True), (time.time() + ahead_s, False)):
        read = PlaneRead(PlaneKey(), 0, written, now, now)
        latency = latency_of(read, None, now, time.time() - 60)
        assert (latency.written_noticed_ms is not None) is is_told
        assert latency.total_ms < 60_000


def test_what_is_written_from_now_on_is_not_dated_earlier(tmp_path):
    """The system dates files by its last tick, some ms ago."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    for _ in range(200):
        since = from_now_on_ns()
        os.utime(path)
        assert path.stat().st_mtime_ns >= since
