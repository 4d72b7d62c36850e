"""Says in the status row how far the run on screen is. Knows no Qt; `step` is for the GUI thread."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ...engine.look_schedule import Following
from ...errors import NDViewerError
from ...storage.bytes import is_url
from .run_progress import RunProgress, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.dataset import Dataset
    from ..background import Background
    from ..sessions import Session
    from .run_bar import RunBar
    from .run_progress import RunNews

_WATCH_SECONDS = 0.25
_COUNT_SECONDS = 2.0
_COUNT_NEWS_SECONDS = 0.5
"""The same once it has grown: a picture of more planes than are counted is seen by then."""
_COUNT_SHARE = 20
"""Counting again waits this many times as long as the last count computed: at most 5 % of a core."""
_PLANE_SECONDS = 1e-4
"""For how long a count computes per plane, at most: what takes longer waits, for a core or for a disk."""
_WAITED_SHARE = 3
"""Counting again waits this many times as long as the last count took: a slow disk has others to serve."""
_QUIET_SHARE = 0.1
"""It waits for this share of the time since the last count that found something new."""
_LONGEST_COUNT_SECONDS = 4.0
"""What a count has not asked for by then the next one does."""


class RunWatch:
    """Looks a few times a second at how many planes of a run there are.

    Of a run that a host has announced, its notifications count. Of a local dataset that has grown since it is
    shown, the planes that are stored are counted in a thread, without reading any. `post` calls a function on
    the GUI thread.
    """

    def __init__(
        self, bar: RunBar, background: Background, post: Callable[[Callable[[], object]], None]
    ) -> None:
        self._bar = bar
        self._background = background
        self._post = post
        self._session: Session | None = None
        self._progress = RunProgress()
        self._due = 0.0
        self._found: Session | None = None  # whose path was there at a count
        self._counted: int | None = None
        self._fewer: int | None = None  # what the last count found, if that was less than before
        self._counted_at = self._new_at = 0.0
        self._count_due = self._count_earliest = 0.0
        self._is_counting = False
        self._generation = 0  # of the dataset in the session
        self._was_live = False
        self._is_interrupted = False  # nobody looks, or there is nothing to look at

    def step(self, session: Session | None, *, may_grow: bool = False) -> None:
        """Say how far the run of this session is; `may_grow`: whether it has grown since it is shown."""
        now = time.monotonic()
        if session is not self._session:
            self._start_over(session)
        elif session is not None and session.dataset.info.generation != self._generation:
            is_counting = self._is_counting  # what it finds does not count
            self._start_over(session)
            self._is_counting = is_counting
        if session is None or now < self._due:
            return
        self._due = now + _WATCH_SECONDS
        dataset = session.dataset
        if session.acquisition is not None:
            written, last = dataset.announced
            self._say(self._progress.look(now, written, last, dataset.info, is_live=dataset.live), dataset)
        elif may_grow and not is_url(dataset.path):
            self._step_stored(session, now)

    def _start_over(self, session: Session | None) -> None:
        if self._session is not None:
            self._session.dataset.tell_comes(None, 0.0)
        self._session, self._due = session, 0.0
        self._generation = session.dataset.info.generation if session is not None else 0
        self._count_due = self._count_earliest = 0.0
        self._counted, self._is_counting, self._was_live, self._is_interrupted = None, False, False, False
        self._fewer = None
        self._counted_at = self._new_at = time.monotonic()
        acquisition = session.acquisition if session is not None else None
        self._progress = RunProgress(
            has_total=acquisition is None or not acquisition.run.names_files,
            is_announced=acquisition is not None,
        )
        self._bar.show_news(None)

    # ---- what nobody announces -------------------------------------------------------------

    def _step_stored(self, session: Session, now: float) -> None:
        dataset = session.dataset
        if dataset.following is Following.PAUSED:  # nobody looks: it may go on, or be over
            self._is_interrupted = True
            self._bar.show_news(None)
            dataset.tell_comes(None, now)
            return
        if dataset.unreachable is not None:
            self._is_interrupted = True
        elif self._is_interrupted:
            self._is_interrupted = False
            self._count_due = min(self._count_due, self._count_earliest)
            self._progress.resume()
        is_live = dataset.following is Following.FOLLOWING
        if dataset.grew_at > self._counted_at:  # it goes on: counted at once, however long it was silent
            self._count_due = min(self._count_due, self._count_earliest)
        if self._counted is not None:
            stalls_at = self._progress.stalls_at(dataset.info, self._counted)
            if self._counted_at <= stalls_at < now:  # counted now, as that decides whether it goes on
                self._count_due = min(self._count_due, self._count_earliest)
        may_count = not self._is_counting and now >= self._count_due and dataset.unreachable is None
        if may_count and (is_live or self._was_live):
            self._is_counting, self._was_live = True, is_live  # once more after the end
            self._background.run("ndviewer-count", lambda: self._count(session))
        if self._counted is not None:
            news = self._progress.look(
                now, self._counted, None, dataset.info, is_live=is_live, as_of=self._counted_at
            )
            dataset.tell_comes(self._say(news, dataset).comes, self._counted_at)

    def _say(self, news: RunNews, dataset: Dataset) -> RunNews:
        """Say this of the run; that it cannot be reached, if so, and then nothing that nobody can know."""
        gone = dataset.unreachable
        news = news._replace(unreadable=min(dataset.n_unreadable, news.written))
        if gone is not None:
            news = news._replace(state=RunState.UNREACHABLE, unreachable_since=gone.since)
        self._bar.show_news(news)
        return news

    def _count(self, session: Session) -> None:
        """In a thread of its own."""
        began = time.monotonic()
        n, generation = None, session.dataset.info.generation
        try:
            n = _n_stored(session.dataset, lambda: session is not self._session)
            if os.path.exists(session.dataset.path):
                self._found = session
            elif self._found is session:  # out of reach: all planes that are not known would count
                n = None
        finally:
            ended = time.monotonic()
            if session.dataset.info.generation != generation:
                n = None
            self._post(lambda: self._take(session, n, began, ended))

    def _take(self, session: Session, n: int | None, began: float, ended: float) -> bool:
        """Take what was counted; returns whether that is news: while it is not, the poll may rest."""
        if session is not self._session:
            return False
        is_news = n != self._counted
        self._is_counting = False
        if n is not None:
            self._counted_at = began
        if is_news:
            self._new_at = began
        if n is not None and self._is_believed(n):
            self._counted = n
        n_planes = self._progress.n_planes(session.dataset.info)
        self._count_due = ended + wait_after(ended - began, n_planes, began - self._new_at)
        self._count_earliest = ended + wait_after(ended - began, n_planes, 0.0, at_least=_COUNT_NEWS_SECONDS)
        return is_news

    def _is_believed(self, n: int) -> bool:
        """Whether so many planes are stored: a disk that was unplugged does not undo what was written.

        Planes that are counted while it goes or comes back are too few: fewer are believed when the next
        count finds as many or more, as of another run in the same folder.
        """
        is_fewer = self._counted is not None and n < self._counted
        is_confirmed = n >= (self._fewer or n + 1)
        self._fewer = n if is_fewer else None
        return not is_fewer or is_confirmed


def wait_after(
    seconds: float, n_planes: int, quiet_seconds: float, *, at_least: float | None = None
) -> float:
    """How long to wait, in s, after a count of so many planes that took `seconds`.

    `quiet_seconds`: for how long nothing new was found before it.
    """
    computed = min(seconds, n_planes * _PLANE_SECONDS)
    least = _COUNT_SECONDS if at_least is None else at_least
    return max(least, _COUNT_SHARE * computed, _WAITED_SHARE * seconds, _QUIET_SHARE * quiet_seconds)


def _n_stored(dataset: Dataset, cancelled: Callable[[], bool]) -> int | None:
    """How many planes are stored; None if that cannot be told, or is not known so far."""
    try:
        return dataset.count_stored(_LONGEST_COUNT_SECONDS, lambda: cancelled() or dataset.closed)
    except (NDViewerError, LookupError, OSError):
        return None
