"""Shows what is missing: feeds the strip below the T slider, and leads to the next missing plane anywhere.

GUI thread only, except where a method says otherwise; nothing is read here.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ...engine.plane_search import FILLED, MISSING, UNREADABLE
from ...engine.state_codes import TimeState
from ...model import PlaneKey, PlaneState
from ..canvas.canvas_view import MAX_CHANNELS_SHOWN
from ..slots import safe_slot
from ..words import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.dataset import Dataset
    from ...engine.position_states import PositionStates
    from ..background import Background
    from ..canvas.canvas_view import View
    from ..places.way_to_planes import WayToPlanes
    from ..poll import Poll
    from ..run_status.status_row import StatusRow
    from ..stage import Stage

_NOT_THERE = (TimeState.MISSING, TimeState.PARTLY)
_SAID_EVERY_SECONDS = 0.2
_SURE_SECONDS = 3.0
"""For so long the same is missing before that is said of a run that is on: planes are found one by one."""


class PlaneFinder(QObject):
    """For one stage. `step` whenever the dataset is polled."""

    def __init__(
        self, stage: Stage, row: StatusRow, way: WayToPlanes, background: Background, poll: Poll
    ) -> None:
        super().__init__(stage)
        self._stage = stage
        self._row = row
        self._way = way
        self._background = background
        self._poll = poll
        self._shown: tuple[object, ...] = ()
        self._unsure: tuple[object, float] | None = None  # what seems to be missing of a run, and since when
        self._asked: Dataset | None = None
        self._found: PlaneKey | None = None  # the last one, while it is in view
        self._said_found = ""  # of it, in the status line
        self._search: _Search | None = None
        row.missing.next_missing.connect(self._on_next_missing)
        row.missing.next_unreadable.connect(self._on_next_unreadable)

    def step(self) -> None:
        """Show what is known of the position in view, and whether anything is missing anywhere.

        A few microseconds if nothing is new.
        """
        dataset = self._stage.dataset
        if dataset is not self._asked:
            self.cancel()
            self._asked, self._found = dataset, None
            self._row.missing.hide()
        self._forget_found_elsewhere()
        if self._search is not None and self._way.has_moved_since(self._search.view):
            self.cancel()
        states = dataset.time_states(self._stage.view.p) if dataset is not None else None
        n_t = self._stage.sliders.size("t")
        is_written = dataset is not None and dataset.is_more_awaited
        at = self._states_at_positions(dataset) if dataset is not None else None
        n_bad = dataset.n_unreadable if dataset is not None else 0
        shown = states, n_t, is_written, at, n_bad
        if shown == self._shown and (self._unsure is None or not self._row.missing.isHidden()):
            return
        self._shown = shown
        known = states.states[:n_t] if states is not None else ()
        rest = (TimeState.UNKNOWN,) * (n_t - len(known)) if known else ()
        self._stage.sliders.set_time_states((*known, *rest), written_in_part(known) if is_written else None)
        missing = first_missing(known, is_written=is_written)
        place = ("t", missing) if missing is not None else ("p", first_missing_position(at, is_written))
        is_missing = self._is_sure(place if place[1] is not None else None, is_written)
        if is_missing or n_bad or TimeState.UNREADABLE in known:
            self._row.missing.offer(missing=is_missing)
        elif is_written:
            self._row.missing.hide()  # it was still to come

    def _states_at_positions(self, dataset: Dataset) -> PositionStates | None:
        """What of each is there at the time point in view; None if there is one, or none is known yet."""
        if len(dataset.info.positions) < 2 or self._stage.cover_comes_first():
            return None
        return dataset.position_states(self._stage.view.t)

    def _is_sure(self, place: tuple[str, int | None] | None, is_written: bool) -> bool:
        """Whether planes are missing at a place, for long enough; None: nowhere."""
        if place is None or not is_written:
            self._unsure = None
            return place is not None
        now = time.monotonic()
        if self._unsure is None or self._unsure[0] != place:
            self._unsure = place, now
        return now >= self._unsure[1] + _SURE_SECONDS

    # ---- the next one ----------------------------------------------------------------------

    def next_missing(self) -> None:
        """Go to the next missing plane, else to one that is the fill value as nothing is stored of it.

        Looks for it in a thread.
        """
        self._look_for(MISSING, "missing", FILLED)

    def next_unreadable(self) -> None:
        """Go to the next plane that cannot be read; reads in a thread until there is one."""
        self._look_for(UNREADABLE, "unreadable")

    def cancel(self) -> bool:
        """End a search; False if there is none."""
        search, self._search = self._search, None
        if search is None:
            return False
        search.cancelled.set()
        self._row.line.say("message", "Search ended")
        return True

    def _look_for(
        self, wanted: frozenset[PlaneState], name: str, otherwise: frozenset[PlaneState] = frozenset()
    ) -> None:
        dataset = self._stage.dataset
        if dataset is None or self.cancel():
            return
        search = self._search = _Search(dataset, self._start(), (wanted, otherwise), name, self._stage.view)
        self._row.line.say("message", f"Searching for {name} planes…")
        self._background.run("ndviewer-find", lambda: self._run(search))

    def _start(self) -> PlaneKey:
        """Where a search begins: after all channels of the view, or after the plane that was found there."""
        t, p, z = self._stage.view[:3]
        return self._found_in_view or PlaneKey(t, p, MAX_CHANNELS_SHOWN, z)

    @property
    def _found_in_view(self) -> PlaneKey | None:
        found = self._found
        is_in_view = found is not None and (found.t, found.p, found.z) == self._stage.view[:3]
        return found if is_in_view else None

    def _forget_found_elsewhere(self) -> None:
        """What was said of the plane that was found would read as if it were about the one in view."""
        if self._said_found and self._found_in_view is None:
            if self._row.line.said("message") == self._said_found:
                self._row.line.say("message", "")
            self._said_found = ""

    def _run(self, search: _Search) -> None:
        """In a thread of its own."""
        try:
            search.run(self._post_progress)
        except Exception as error:  # noqa: BLE001  said in the status line
            search.problem = explain(error).sentence
        self._poll.post(lambda: self._on_found(search))

    def _post_progress(self, search: _Search, done: int, expected: int) -> None:
        text = f"Searching for {search.name} planes: {done:,} of {expected:,} (Esc cancels)"
        self._poll.post(lambda: self._say_progress(search, text))

    def _say_progress(self, search: _Search, text: str) -> None:
        if search is self._search and text != self._row.line.said("message"):
            self._row.line.say("message", text)

    def _on_found(self, search: _Search) -> None:
        if search is not self._search:
            return
        self._search = None
        if search.dataset is not self._stage.dataset:
            return
        if search.problem or search.found is None:
            self._row.line.say("message", search.problem or f"No {search.name} planes")
            return
        key, state = search.found
        self._found = key
        self._way.go(*key)
        self._said_found = f"{self._way.name_of(*key)}: {state.value}"
        self._row.line.say("message", self._said_found)

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_next_missing(self) -> None:
        self.next_missing()

    @safe_slot
    def _on_next_unreadable(self) -> None:
        self.next_unreadable()


class _Search:
    """One search: what for, and what came of it."""

    def __init__(
        self,
        dataset: Dataset,
        after: PlaneKey,
        wanted: Sequence[frozenset[PlaneState]],
        name: str,
        view: View,
    ) -> None:
        """`wanted`: the next of these that is found counts, one after the other. `view`: what is in view."""
        self.dataset = dataset
        self.view = view
        self.name = name
        self.cancelled = threading.Event()
        self.found: tuple[PlaneKey, PlaneState] | None = None
        self.problem = ""
        self._after = after
        self._wanted = wanted

    def run(self, progress: Callable[[_Search, int, int], None]) -> None:
        """Search; blocks."""
        said = time.monotonic()

        def say(done: int, expected: int) -> None:
            nonlocal said
            if time.monotonic() > said + _SAID_EVERY_SECONDS:
                said = time.monotonic()
                progress(self, done, expected)

        for wanted in filter(None, self._wanted):
            self.found = self.dataset.find(self._after, wanted, say, self.cancelled.is_set)
            if self.found is not None or self.cancelled.is_set():
                return


def written_in_part(states: Sequence[TimeState]) -> int | None:
    """The last time point of which anything is there, if that is a part of it."""
    begun = [t for t, state in enumerate(states) if state in (TimeState.ACQUIRED, TimeState.PARTLY)]
    return begun[-1] if begun and states[begun[-1]] is TimeState.PARTLY else None


def first_missing(states: Sequence[TimeState], *, is_written: bool) -> int | None:
    """The first time point that is missing, or a part of it.

    Of a run that is written, a part is missing once a later one is whole: others may be being written, or
    may have been when they were looked at.
    """
    whole = (t for t, state in enumerate(states) if state is TimeState.ACQUIRED)
    n_over = max(whole, default=0) if is_written else len(states)
    missing = (
        t
        for t, state in enumerate(states)
        if state is TimeState.MISSING or (state is TimeState.PARTLY and t < n_over)
    )
    return next(missing, None)


def first_missing_position(found: PositionStates | None, is_written: bool) -> int | None:
    """The first position of which anything is missing; while a run is written, all of it."""
    if found is None:
        return None
    missing = (TimeState.MISSING,) if is_written else _NOT_THERE
    return next((p for p, state in enumerate(found.states) if state in missing), None)
