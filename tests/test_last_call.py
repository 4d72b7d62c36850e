"""The last call wins: loads, starts, ends and failures in every order, and everything else is closed."""

from __future__ import annotations

import itertools
import threading

import pytest
from memory_source import MemorySource
from runs import planes_of, small_run, write
from screen import assert_shows, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.sessions import NothingToShow, Opening, Session, Sessions
from ndviewer_light.live.acquisition import Acquisition, announce_files
from ndviewer_light.live.registered_files import RegisteredFiles
from simulate_acquisition import announce_run

# ---- without a widget: every order of six steps ----------------------------------------------------------


class Calls:
    """What hosts, threads and the GUI do to `Sessions`, and what that has to come to."""

    def __init__(self) -> None:
        self.background = Background()
        self.sessions = Sessions(self.background)
        self.wanted: object = None
        self.openings: list[Opening] = []
        self.made: list[Session] = []

    def load(self) -> None:
        opening = self.wanted = Opening.of("/nowhere", {})
        self.openings.append(opening)
        self.sessions.ask_for(opening)

    def start(self) -> None:
        run = announce_files(["c"], 1, 8, 10, ["A1:0"])
        dataset = Dataset(MemorySource(), live=True)
        session = Session(dataset, "", Acquisition(dataset, run, RegisteredFiles(run)))
        self.made.append(session)
        self.wanted = session
        self.sessions.ask_for(session)

    def start_nothing(self) -> None:
        self.wanted = NothingToShow()
        self.sessions.ask_for(self.wanted)

    def finish(self) -> None:
        """The load begun last ends."""
        if self.openings:
            self._opened(self.openings.pop())

    def finish_first(self) -> None:
        """The load begun first ends."""
        if self.openings:
            self._opened(self.openings.pop(0))

    def _opened(self, opening: Opening) -> None:
        session = Session(Dataset(MemorySource()), opening.path)
        self.made.append(session)
        self.sessions.opened(opening, session)
        if self.wanted is opening:
            self.wanted = session

    def turn(self) -> None:
        """The event loop goes round."""
        asked = self.sessions.asked
        if isinstance(asked, (Session, NothingToShow)):
            self.sessions.show(asked)

    def settle(self) -> None:
        while self.openings:
            self.finish_first()
        self.turn()


STEPS = ("load", "start", "start_nothing", "finish", "finish_first", "turn")


def is_closed(session: Session) -> bool:
    return session.dataset._source.closed.wait(60)


def test_whatever_the_order_the_last_call_is_shown_and_all_else_is_closed(monkeypatch):
    # threads that close are tested with the widget; here there would be tens of thousands
    monkeypatch.setattr(Background, "run", lambda self, name, function: function())
    # nothing happens before the first that asks for something
    for steps in itertools.product(("load", "start", "start_nothing"), *[STEPS] * 4):
        calls = Calls()
        for step in steps:
            getattr(calls, step)()
        calls.settle()
        shown = calls.wanted if isinstance(calls.wanted, Session) else None
        assert calls.sessions.shown is shown, steps
        assert calls.sessions.acquisition is (shown.acquisition if shown is not None else None), steps
        assert not (shown is not None and shown.dataset._source.closed.is_set()), steps
        assert all(is_closed(one) for one in calls.made if one is not shown), steps
        calls.sessions.end()
        assert all(is_closed(one) for one in calls.made), steps


def test_cancelling_goes_back_to_what_was_shown_and_a_run_goes_on_meanwhile():
    calls = Calls()
    calls.start()
    calls.turn()
    (run,) = calls.made
    calls.load()
    assert calls.sessions.shown is None
    assert calls.sessions.acquisition is run.acquisition
    calls.load()  # another one, before the first was open
    assert calls.sessions.go_back() == (True, run)
    assert calls.sessions.shown is run
    calls.finish()
    calls.finish()
    assert calls.sessions.shown is run
    assert all(is_closed(session) for session in calls.made[1:])
    assert calls.sessions.go_back() == (False, None)
    calls.sessions.end()


def test_what_arrives_between_opened_and_shown_is_not_lost():
    calls = Calls()
    calls.load()
    calls.finish()
    (loaded,) = calls.made
    calls.start()  # by another thread, just before the GUI shows what was loaded
    assert not calls.sessions.show(loaded)
    calls.turn()
    assert calls.sessions.shown is calls.made[1]
    assert is_closed(loaded)
    calls.sessions.end()


def test_nothing_is_taken_after_the_end():
    calls = Calls()
    calls.load()
    calls.sessions.end()
    calls.finish()
    calls.start()
    calls.turn()
    assert calls.sessions.shown is None
    assert all(is_closed(session) for session in calls.made)


# ---- with the widget: every pair of calls while a dataset is being opened --------------------------------

CALLS = ("load another", "load nothing there", "start", "start by a thread", "refused", "end")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = {name: small_run(folder / name, seed=i) for i, name in enumerate(("a", "b", "run"))}
    for run in runs.values():
        write(run)
    return runs


@pytest.mark.gl
@pytest.mark.parametrize("first", CALLS)
def test_every_pair_of_calls_ends_with_the_last(qtbot, viewer, written, first):
    folder = written["a"].folder.parent

    def call(name: str) -> str | None:
        """Do it; what is shown from then on, None if it changes nothing."""
        if name.startswith("load"):
            which = {"load": "a", "load another": "b"}.get(name, "nowhere")
            viewer.load_dataset(str(folder / which))
            return which
        if name == "start":
            announce_run(viewer, written["run"])
        elif name == "start by a thread":
            thread = threading.Thread(target=announce_run, args=(viewer, written["run"]))
            thread.start()
            thread.join()
        elif name == "refused":
            with pytest.raises(ValueError, match="empty"):
                viewer.start_zarr_acquisition([], ["c"], 1, [], 8, 8)
            return None
        else:
            viewer.end_acquisition()
            return None
        return "run"

    def shown() -> str | None:
        if viewer._screen.pages.currentWidget() is viewer._screen.message:
            failed = viewer._screen.message.kind() == "error"
            return "nowhere" if failed else None
        if viewer.is_push_mode_active():
            return "run"
        return None if viewer.dataset is None else viewer.dataset.path.rpartition("/")[2]

    for second in CALLS:
        call("load")
        wanted = [call(first), call(second)][::-1]
        wanted = next((each for each in wanted if each is not None), "a")
        qtbot.waitUntil(lambda wanted=wanted: shown() == wanted, timeout=20_000)
        qtbot.wait(5)
        assert shown() == wanted, (first, second)


@pytest.mark.gl
@pytest.mark.parametrize("moment", ["before it is open", "when it is open", "when it has failed"])
def test_a_run_started_by_a_thread_while_a_load_ends_is_shown_with_its_pixels(
    qtbot, viewer, written, monkeypatch, moment
):
    """The start falls into the very moment in which the load ends."""
    run = written["run"]
    sessions = viewer._screen.sessions
    place = {"before it is open": "opened", "when it is open": "show"}.get(moment)

    def start_and_go_on(*arguments):
        monkeypatch.undo()
        thread = threading.Thread(target=announce_run, args=(viewer, run))
        thread.start()
        thread.join()
        return original(*arguments)

    if place is not None:
        original = getattr(sessions, place)
        monkeypatch.setattr(sessions, place, start_and_go_on)
        viewer.load_dataset(str(written["a"].folder))
    else:
        original = viewer._screen.openings._on_failed
        monkeypatch.setattr(viewer._screen.openings, "_on_failed", start_and_go_on)
        viewer.load_dataset("/nowhere/at/all")
    qtbot.waitUntil(viewer.is_push_mode_active, timeout=20_000)
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    viewer.load_fov(2)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 2, 0))
    assert viewer.is_push_mode_active()
