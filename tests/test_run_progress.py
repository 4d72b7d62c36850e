"""What is said of a run while it is written: from how many of its planes were announced, by a clock."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from memory_source import memory_info

from ndviewer_light.gui.run_status.run_progress import RunProgress, RunState, size_of
from ndviewer_light.model import PlaneKey, Position

WELLS = tuple(Position(well, fov) for well in ("A1", "F6") for fov in range(2))
INFO = memory_info(n_t=10, positions=WELLS, height=1000, width=1000)  # 160 planes of 2 MB


def looks(progress, times, written, info=INFO, *, is_live=True):
    """The last of many looks, at these times, with so many planes at each."""
    for now, n in zip(times, written, strict=True):
        news = progress.look(float(now), int(n), PlaneKey(0, 2, 0, 0) if n else None, info, is_live=is_live)
    return news


def test_a_run_is_recorded_at_its_rate_and_ends_when_it_should():
    news = looks(RunProgress(), range(31), range(0, 62, 2))
    assert news.state is RunState.RECORDING
    assert news.headline == "Recording F6"
    assert (news.written, news.expected, news.missing) == (60, 160, 0)
    assert news.share == pytest.approx(60 / 160)
    assert news.bytes_per_second == pytest.approx(4e6)
    assert news.seconds_left == pytest.approx(50)
    assert news.parts == ("60/160 planes", "50 s left", "120 MB", "4.00 MB/s")


def test_before_the_first_plane_it_waits_and_afterwards_it_is_finished():
    progress = RunProgress()
    news = looks(progress, range(5), [0] * 5)
    assert (news.headline, news.parts, news.seconds_left) == ("Waiting for planes", (), None)
    news = looks(progress, range(5, 25), range(8, 168, 8))
    assert news.written == 160
    news = looks(progress, [25], [160], is_live=False)
    assert (news.headline, news.parts) == ("Finished", ("160/160 planes", "320 MB"))


def test_a_run_that_was_steady_is_said_to_have_stopped_sooner():
    progress = RunProgress()
    looks(progress, np.arange(0, 12, 0.5), range(1, 25))
    assert looks(progress, [16.0], [24]).state is RunState.RECORDING
    assert looks(progress, [17.5], [24]).headline == "No new planes for 6 s"


def test_of_a_run_of_which_all_planes_are_there_nothing_is_left_and_silence_is_no_trouble():
    progress = RunProgress()
    news = looks(progress, range(21), range(0, 168, 8))
    assert (news.state, news.parts[0], news.seconds_left) == (RunState.RECORDING, "160/160 planes", None)
    assert looks(progress, [24.0], [160]).parts[1] == "nothing new for 4 s"
    news = looks(progress, [40.0], [160])
    assert news.state is RunState.STALLED and not news.is_trouble
    short = RunProgress()
    assert looks(short, range(41), [8 * min(i, 19) for i in range(41)]).is_trouble


def test_of_planes_that_are_counted_every_two_seconds_a_stop_is_said_within_eight():
    progress, info = RunProgress(), memory_info(n_t=100, positions=WELLS)
    said = {}
    for i in range(200):  # 10 planes/s until 31.1 s, looked at every quarter of a second
        now = i / 4
        counted = now // 2 * 2
        n = int(10 * min(counted, 31.1)) + 1
        news = progress.look(now, n, None, info, is_live=True, as_of=counted)
        said[now] = news.state, "nothing new" in str(news.parts), " left" in str(news.parts)
    recording, stalled = RunState.RECORDING, RunState.STALLED
    assert all(each == (recording, False, True) for now, each in said.items() if 4 <= now < 34)
    assert said[36.0] == (recording, True, False), "two counts in a row found nothing"
    assert all(each[0] is stalled for now, each in said.items() if now >= 38)


def test_a_stop_is_said_as_soon_where_counting_takes_long():
    progress, info = RunProgress(), memory_info(n_t=100, positions=WELLS)
    for counted in (*range(0, 31, 4), 32, 36):  # 10 planes/s until 32 s
        news = progress.look(counted, 10 * min(counted, 32) + 1, None, info, is_live=True, as_of=counted)
    assert (news.state, news.parts[1]) == (RunState.RECORDING, "nothing new for 4 s")
    assert progress.look(40, 321, None, info, is_live=True, as_of=40).state is RunState.STALLED


def test_what_comes_in_bursts_is_neither_quiet_nor_stalled_between_them():
    progress, info = RunProgress(), memory_info(n_t=100, positions=WELLS)
    for i in range(400):  # 30 planes in a second, every 10 s
        now = i / 4
        n = 30 * (i // 40) + min(30, (i % 40) * 8) + 1
        news = progress.look(now, n, None, info, is_live=True)
        assert news.state is RunState.RECORDING, now
        assert now < 12 or "nothing new" not in str(news.parts), now


def test_what_was_never_announced_of_a_finished_run_is_missing():
    progress = RunProgress()
    looks(progress, range(10), range(0, 150, 15))
    news = looks(progress, [11], [148], is_live=False)
    assert news.missing == 12
    assert "12 missing" in news.parts


def test_a_run_that_has_stopped_is_said_to_and_goes_on():
    progress = RunProgress()
    looks(progress, range(10), range(1, 11))
    assert looks(progress, [20], [10]).state is RunState.RECORDING
    news = looks(progress, [45], [10])
    assert news.state is RunState.STALLED
    assert news.headline == "No new planes for 36 s"
    assert looks(progress, [46], [11]).state is RunState.RECORDING


def test_a_silence_goes_on_where_nobody_could_look_and_is_no_pause():
    progress = RunProgress()
    looks(progress, range(10), range(1, 11))
    progress.resume()
    assert looks(progress, [49], [10]).headline == "No new planes for 40 s"
    progress.resume()
    assert looks(progress, [59], [10]).headline == "No new planes for 50 s"
    news = looks(progress, range(60, 66), range(11, 17))
    assert news.state is RunState.RECORDING
    assert news.parts[1:] == ("2 min left", "32.0 MB", "2.00 MB/s"), "neither the rate nor the patience"
    progress.resume()
    assert looks(progress, [200], [17]).state is RunState.RECORDING, "it came meanwhile"


def test_a_pause_is_said_and_neither_the_rate_nor_the_patience_is_judged_by_it():
    progress = RunProgress()
    looks(progress, np.arange(0, 20, 0.5), range(1, 41))  # two a second
    assert looks(progress, [60, 319], [40, 40]).headline == "No new planes for 5 min"
    news = looks(progress, np.arange(320, 330, 0.5), range(41, 61))
    assert news.parts == ("60/160 planes", "50 s left", "120 MB", "4.00 MB/s", "paused for 5 min")
    assert "nothing new for 4 s" in looks(progress, [333.5], [60]).parts
    assert looks(progress, [335.5], [60]).state is RunState.STALLED, "as soon as before the pause"


def test_pauses_at_any_time_are_no_rhythm():
    progress = RunProgress()
    looks(progress, np.arange(0, 20, 0.5), range(1, 41))
    for at, n in ((320, 41), (640, 61), (960, 71)):
        looks(progress, [at - 300, at - 1], [n - 1, n - 1])
        news = looks(progress, np.arange(at, at + 10, 0.5), range(n, n + 20))
    assert news.parts[-1] == "paused for 15 min"
    assert looks(progress, [976], [90]).state is RunState.STALLED


def test_a_pause_that_comes_again_is_a_rhythm():
    progress, info = RunProgress(), memory_info(n_t=100, positions=WELLS)
    said = []
    for i in range(1200):  # 30 planes in four seconds, every 30 s
        now = i / 4
        news = progress.look(now, 30 * (i // 120) + min(30, (i % 120) * 2) + 1, None, info, is_live=True)
        said.append((now, news.state, news.paused))
    assert {(now - 0.25) // 30 for now, state, _ in said if state is RunState.STALLED} == {0, 1}
    assert {(now - 0.25) // 30 for now, _, paused in said if paused} == {1}
    assert news.seconds_left == pytest.approx((1600 - news.written) / (30 / 30), rel=0.5)


def test_a_pause_between_time_points_is_no_stall():
    by_step = memory_info(n_t=10, positions=WELLS, time_step_s=600.0)
    progress = RunProgress()
    looks(progress, range(16), range(1, 17), by_step)  # all planes of a time point
    news = looks(progress, [500], [16], by_step)
    assert (news.state, news.is_quiet) == (RunState.RECORDING, False)
    assert looks(progress, [700], [16], by_step).state is RunState.STALLED
    in_the_middle = RunProgress()  # planes of this time point are missing: nobody waits for the next
    looks(in_the_middle, range(10), range(1, 11), by_step)
    assert looks(in_the_middle, [13], [10], by_step).parts[1] == "nothing new for 4 s"
    assert looks(in_the_middle, [26], [10], by_step).headline == "No new planes for 17 s"
    by_habit = RunProgress()
    looks(by_habit, [0, 1, 100, 101, 200, 201], [1, 2, 3, 4, 5, 6])
    assert looks(by_habit, [400], [6]).state is RunState.RECORDING
    assert looks(by_habit, [501], [6]).state is RunState.STALLED


def test_nobody_is_told_an_end_that_is_not_known():
    progress = RunProgress()  # planes are appended to a stack, as pages to a TIFF of which nothing is said
    one = memory_info(n_t=1, n_p=1, n_c=1, n_z=4)
    assert looks(progress, range(3), [1, 2, 3], one).parts[0] == "3/4 planes"
    news = looks(progress, range(3, 12), range(4, 13), dataclasses.replace(one, n_z=14))
    assert (news.expected, news.seconds_left, news.parts[0]) == (None, None, "12 planes")
    progress = RunProgress()  # time points are appended
    looks(progress, range(5), range(0, 20, 4), memory_info(n_t=1, positions=WELLS))
    news = looks(progress, range(5, 9), range(20, 36, 4), memory_info(n_t=3, positions=WELLS))
    assert (news.expected, news.share, news.seconds_left) == (None, None, None)
    assert news.parts[0] == "32 planes"
    files = RunProgress(has_total=False)
    assert looks(files, range(5), range(5)).expected is None
    unknown = memory_info(positions=WELLS, dtype=None)
    assert looks(RunProgress(), range(5), range(5), unknown).parts == ("4 planes",)


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (500, "0 kB"),
        (2e6, "2.00 MB"),
        (999.7e6, "1000 MB"),
        (8.294e9, "8.29 GB"),
        (1.5e12, "1.50 TB"),
        (np.int64(0), "0 kB"),
    ],
)
def test_amounts_of_data_are_said_as_people_do(n, said):
    assert size_of(n) == said


def test_wells_that_are_still_to_come_are_counted_as_wells():
    """Nobody knows how many planes they will have, so that the end of the others is not that of the run."""
    info = dataclasses.replace(INFO, empty_wells=("B2", "B3"))
    news = looks(RunProgress(), range(31), range(0, 62, 2), info)
    assert news.parts == ("60/160 planes", "2 wells to come", "120 MB", "4.00 MB/s")
    wells = len({position.region for position in INFO.positions})
    assert news.share == pytest.approx(60 / (160 * (wells + 2) / wells))  # as if they were like the others
    silent = looks(RunProgress(), [0.0, 1.0, 40.0], [8, 9, 9], info)
    assert not silent.comes and "2 wells without images" in silent.parts
    announced = looks(RunProgress(is_announced=True), [0.0, 1.0, 40.0], [8, 9, 9], info)
    assert announced.comes and "2 wells to come" in announced.parts, "until the host says that it is over"
    ended = looks(RunProgress(), [0.0, 1.0], [8, 160], info, is_live=False)
    assert ended.parts == ("160/160 planes", "2 wells without images", "320 MB") and ended.share == 1.0
