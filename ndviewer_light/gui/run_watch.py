"""Says in the status row how far the run on screen is. GUI thread only; nothing is read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .run_progress import RunProgress

if TYPE_CHECKING:
    from .run_bar import RunBar
    from .sessions import Session

_SECONDS = 0.25


class RunWatch:
    """Looks a few times a second at how many planes of the run were announced."""

    def __init__(self, bar: RunBar) -> None:
        self._bar = bar
        self._session: Session | None = None
        self._progress = RunProgress()
        self._due = 0.0

    def step(self, session: Session | None) -> None:
        """Say how far the run of this session is; nothing of a dataset that no host has announced."""
        now = time.monotonic()
        if session is not self._session:
            self._session, self._due = session, 0.0
            acquisition = session.acquisition if session is not None else None
            self._progress = RunProgress(has_total=acquisition is None or not acquisition.run.names_files)
            self._bar.show_news(None)
        if session is None or session.acquisition is None or now < self._due:
            return
        self._due = now + _SECONDS
        dataset = session.dataset
        written, last = dataset.announced
        self._bar.show_news(self._progress.look(now, written, last, dataset.info, is_live=dataset.live))
