"""What the status row says of runs that nobody announces: the planes that are stored are counted."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from memory_source import memory_info, wait_until
from test_report import ListedSource, every_key

from ndviewer_light.engine import news_rhythm
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import DatasetGoneError
from ndviewer_light.gui.run_status import run_progress, run_watch
from ndviewer_light.gui.run_status.run_progress import RunState
from ndviewer_light.gui.run_status.run_watch import RunWatch
from ndviewer_light.gui.sessions import Session
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from ndviewer_light.gui.run_status.run_progress import RunNews


class Bar:
    """Keeps what it is to say."""

    news: RunNews | None = None

    def show_news(self, news: RunNews | None) -> None:
        self.news = news


class Threads:
    """Starts each work in a thread."""

    def __init__(self) -> None:
        self.started: list[threading.Thread] = []

    def run(self, name: str, work) -> None:
        self.started.append(threading.Thread(target=work, name=name))
        self.started[-1].start()


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(run_watch, "_COUNT_SECONDS", 0.0)
    monkeypatch.setattr(run_watch, "_COUNT_SHARE", 0.0)
    monkeypatch.setattr(run_watch, "_WAITED_SHARE", 0.0)
    monkeypatch.setattr(run_watch, "_QUIET_SHARE", 0.0)
    monkeypatch.setattr(run_watch, "_WATCH_SECONDS", 0.0)
    threads = Threads()
    yield RunWatch(Bar(), threads, lambda function: function())
    for thread in threads.started:
        thread.join()


def saying(watch, session) -> Callable[[int], bool]:
    """Whether the row says, once the watch has made a step, that so many planes are written."""

    def says(n: int) -> bool:
        watch.step(session, may_grow=True)
        return watch._bar.news is not None and watch._bar.news.written == n

    return says


def write(source, n: int) -> None:
    for key in every_key()[:n]:
        source.write(key, 1)


def test_planes_that_appear_on_disk_are_counted_and_none_is_read(watch):
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def says(n: int) -> bool:
            watch.step(session, may_grow=True)
            news = watch._bar.news
            return news is not None and (news.written, news.expected, news.state) == (
                n,
                24,
                RunState.RECORDING,
            )

        wait_until(lambda: says(4))
        write(source, 10)
        wait_until(lambda: says(10))
        assert source.reads == []
        source.stored.clear()  # the disk is unplugged
        counts = len(watch._background.started)
        wait_until(lambda: says(10) and len(watch._background.started) > counts + 2)
        assert says(10)
        watch.step(None)
        assert watch._bar.news is None


def test_a_count_that_finds_nothing_new_lets_the_poll_rest(watch, monkeypatch):
    news: list[object] = []
    monkeypatch.setattr(watch, "_post", lambda function: news.append(function()))
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def n_news_of(least: int) -> int:
            watch.step(session, may_grow=True)
            return news.count(True) if len(news) >= least and not news[-1] else 0

        wait_until(lambda: n_news_of(3) == 1)
        write(source, 5)
        wait_until(lambda: n_news_of(5) == 2)


def test_while_following_is_paused_nothing_is_said_of_the_run(watch):
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def says(n: int | None) -> bool:
            watch.step(session, may_grow=True)
            news = watch._bar.news
            return news is None if n is None else news is not None and news.written == n

        wait_until(lambda: says(4))
        dataset.set_following(False)
        write(source, 6)
        assert says(None), "it was said to be finished"
        dataset.set_following(True)
        wait_until(lambda: says(6))
        assert watch._bar.news.state is RunState.RECORDING


def test_of_what_cannot_be_reached_that_is_said_and_nothing_else_and_it_was_no_pause(watch):
    source = ListedSource(memory_info())
    write(source, 4)
    away: list[DatasetGoneError] = []
    look = source.look

    def look_there():
        if away:
            raise away[0]
        return look()

    source.look = look_there
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def says(state: RunState, n: int) -> bool:
            dataset.take_changes()
            watch.step(session, may_grow=True)
            news = watch._bar.news
            return news is not None and (news.state, news.written) == (state, n)

        wait_until(lambda: says(RunState.RECORDING, 4))
        away.append(DatasetGoneError("/data/run is no longer reachable"))
        wait_until(lambda: says(RunState.UNREACHABLE, 4))
        wait_until(lambda: not watch._is_counting)
        news, counts = watch._bar.news, len(watch._background.started)
        assert news.headline == f"Not reachable since {dataset.unreachable.since}"
        assert news.parts[0] == "4/24 planes" and len(news.parts) == 2
        for _ in range(20):
            says(RunState.UNREACHABLE, 4)
        assert len(watch._background.started) == counts, "there is nothing to count"
        watch._progress._changed -= 1000.0  # it is away for so long
        write(source, 6)
        away.clear()
        wait_until(lambda: says(RunState.RECORDING, 6))
        assert not watch._bar.news.paused
        watch.step(None)


def test_planes_of_a_folder_that_is_out_of_reach_are_not_counted(watch, tmp_path):
    """Most are not known then, and would count as those of a shard that is being written."""
    folder = tmp_path / "run"
    folder.mkdir()
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path=str(folder), follow=True) as dataset:
        session = Session(dataset, str(folder))
        says = saying(watch, session)
        wait_until(lambda: says(4))
        source.are_stored = lambda keys: [key in source.stored or None for key in keys]
        folder.rmdir()
        counts = len(watch._background.started)
        wait_until(lambda: says(4) and len(watch._background.started) > counts + 2)
        assert says(4)
        watch.step(None)


def test_what_goes_on_after_a_long_silence_is_counted_as_soon_as_it_is_found(watch, monkeypatch):
    monkeypatch.setattr(run_watch, "_QUIET_SHARE", 1e9)
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")
        says = saying(watch, session)
        wait_until(lambda: says(4) and watch._count_due > time.monotonic() + 1e3)
        write(source, 10)
        assert says(4), "nobody has noticed it"
        dataset._follower.found_news()
        wait_until(lambda: says(10))
        watch.step(None)


def test_when_it_is_to_be_said_that_nothing_comes_planes_are_counted(watch, monkeypatch):
    """And not when the next count would be due: until then it would be *Recording* although it is over."""
    monkeypatch.setattr(run_watch, "_COUNT_SECONDS", 1e9)
    monkeypatch.setattr(run_progress, "STALLED_SECONDS", 0.7)
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def says(state: RunState) -> bool:
            watch.step(session, may_grow=True)
            return watch._bar.news is not None and watch._bar.news.state is state

        wait_until(lambda: says(RunState.RECORDING))
        wait_until(lambda: says(RunState.STALLED))
        counts = len(watch._background.started)
        for _ in range(20):
            says(RunState.STALLED)
        assert len(watch._background.started) == counts, "it is decided"
        watch.step(None)


def test_what_is_missing_is_awaited_as_long_as_the_row_says_that_planes_come(watch, monkeypatch):
    monkeypatch.setattr(news_rhythm, "GROWING_SECONDS", 0.0)
    source = ListedSource(memory_info())
    write(source, 4)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")
        missing = every_key()[-1]

        def says(state: RunState, of_missing: PlaneState) -> bool:
            watch.step(session, may_grow=True)
            if watch._bar.news is None or watch._bar.news.state is not state:
                return False
            assert dataset.is_more_awaited is watch._bar.news.comes
            assert dataset.state(missing) is of_missing
            return dataset.report().counts.get(of_missing) == 24 - watch._bar.news.written

        dataset.planes([missing], wait=None)
        wait_until(lambda: says(RunState.RECORDING, PlaneState.PENDING))
        wait_until(lambda: not dataset.take_changes().in_view)
        watch._progress._changed -= 1000.0  # nothing has come for so long
        wait_until(lambda: says(RunState.STALLED, PlaneState.ABSENT))
        assert dataset.take_changes().in_view, "what is in view is drawn as what it is now"
        assert dataset.planes([missing], wait=None)[0].state is PlaneState.ABSENT
        write(source, 6)
        dataset._follower.found_news()
        wait_until(lambda: says(RunState.RECORDING, PlaneState.PENDING))
        watch.step(None)
        assert not dataset.is_more_awaited, "nobody counts any more"


def test_what_has_not_grown_is_not_counted(watch):
    looks: list[int] = []
    source = ListedSource(memory_info())
    source.are_stored = lambda keys: looks.append(len(keys)) or [True] * len(keys)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        for _ in range(5):
            watch.step(Session(dataset, "/data/run"), may_grow=False)
    with Dataset(source, path="https://127.0.0.1:9/run", follow=True) as dataset:
        watch.step(Session(dataset, dataset.path), may_grow=True)  # a server would be asked for every plane
    assert watch._bar.news is None
    assert looks == []


def test_fewer_planes_than_before_are_believed_when_the_next_count_finds_no_less(watch, monkeypatch):
    """While a disk goes or comes back, only some of the planes are found."""
    counts = [10, 4, 10, 0, 0, 7, 4, 4]
    found = iter(counts)
    monkeypatch.setattr(run_watch, "_n_stored", lambda dataset, cancelled: next(found, counts[-1]))
    said: list[int] = []
    with Dataset(ListedSource(memory_info()), path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def is_counted_out() -> bool:
            watch.step(session, may_grow=True)
            if watch._bar.news is not None and watch._bar.news.written not in said[-1:]:
                said.append(watch._bar.news.written)
            return len(watch._background.started) > len(counts) + 1

        wait_until(is_counted_out)
        watch.step(None)
    assert said == [10, 4]


def test_a_count_that_tells_nothing_at_first_is_repeated(watch, monkeypatch):
    """However long the computer has been running."""
    monkeypatch.setattr(run_watch, "_QUIET_SHARE", 0.1)
    found = iter([None, None, 3])
    monkeypatch.setattr(run_watch, "_n_stored", lambda dataset, cancelled: next(found, 3))
    with Dataset(ListedSource(memory_info()), path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def is_counted() -> bool:
            watch.step(session, may_grow=True)
            return watch._bar.news is not None and watch._bar.news.written == 3

        wait_until(is_counted)
        watch.step(None)


def test_a_shard_that_is_being_written_does_not_keep_the_others_from_being_counted(watch):
    source = ListedSource(memory_info())
    write(source, 14)
    unclear = every_key()[12:16]
    source.are_stored = lambda keys: [None if key in unclear else key in source.stored for key in keys]
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")
        says = saying(watch, session)
        wait_until(lambda: says(16))
        unclear.clear()
        wait_until(lambda: says(14))
        watch.step(None)


@pytest.mark.parametrize(
    ("seconds", "n_planes", "quiet", "wait"),
    [
        pytest.param(0.05, 500, 0, 2.0, id="a small run"),
        pytest.param(2.0, 20_000, 0, 40.0, id="a large one: a twentieth of the time"),
        pytest.param(2.5, 700, 0, 7.5, id="a small one on a busy computer or a slow disk"),
        pytest.param(0.05, 500, 300, 30.0, id="nothing new for long"),
    ],
)
def test_how_often_planes_are_counted_follows_from_what_a_count_computes_not_from_how_long_it_waits(
    seconds, n_planes, quiet, wait
):
    assert run_watch.wait_after(seconds, n_planes, quiet) == pytest.approx(wait)


def test_what_has_grown_is_counted_again_soon_unless_that_computes_for_long():
    assert run_watch.wait_after(0.01, 500, 0, at_least=0.5) == 0.5
    assert run_watch.wait_after(2.0, 20_000, 0, at_least=0.5) == 40.0


def test_another_run_in_the_same_folder_is_counted_by_itself(watch):
    """With other sizes: these were not appended to."""
    source = ListedSource(memory_info(n_t=5, n_p=1, n_c=1, n_z=1))
    source.write((0, 0, 0, 0), 1)
    source.write((1, 0, 0, 0), 1)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        session = Session(dataset, "/data/run")

        def says(parts: str) -> bool:
            watch.step(session, may_grow=True)
            return watch._bar.news is not None and watch._bar.news.parts[:1] == (parts,)

        wait_until(lambda: says("2/5 planes"))
        source.info = dataclasses.replace(source.info, n_t=3, generation=1)
        wait_until(lambda: says("2/3 planes"))
        watch.step(None)


def test_what_was_written_and_cannot_be_read_is_said_and_not_missing(watch, tmp_path):
    """In a folder of images; as far as it was in view: for the row none is read."""

    def write_image(t: int) -> None:
        tifffile.imwrite(tmp_path / f"img_t{t}_GFP.tif", np.ones((8, 8), np.uint16))

    for t in range(3):
        write_image(t)
    bad = tmp_path / "img_t1_GFP.tif"
    bad.write_bytes(bad.read_bytes()[:-20])
    with open_dataset(tmp_path, follow=True) as dataset:
        session = Session(dataset, str(tmp_path))

        def says(*parts: str) -> bool:
            dataset.planes([PlaneKey(1, 0, 0, 0)])  # it is in view
            watch.step(session, may_grow=True)
            return watch._bar.news is not None and watch._bar.news.parts[: len(parts)] == parts

        wait_until(lambda: says("3/3 planes", "1 unreadable"))
        bad.unlink()
        write_image(1)
        wait_until(lambda: says("3/3 planes") and "1 unreadable" not in watch._bar.news.parts)
        watch.step(None)
