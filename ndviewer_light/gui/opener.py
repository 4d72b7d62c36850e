"""Opens and refreshes datasets in the background. Knows no Qt."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from ..errors import DatasetError, NDViewerError, ReadTimeoutError
from ..storage.appearing import has_changed, opened_when_there
from ..storage.presentable import presentable
from .interpretation.reading_options import reading_of
from .sessions import Opening, Session, Watching
from .waiting import Wait, short_path
from .words import Explanation, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..isolation.client import IsolatedSource
    from ..views.saved_view import SavedView
    from .background import Background
    from .sessions import Sessions

logger = logging.getLogger(__name__)


_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 8.0
"""How often what could not be opened is looked at: whether a writer has come further. Doubled each time."""


class Opener:
    """Opens what `Sessions` requests. `failed`, `tried` and `changed` are called in the opening thread.

    `find_view(path)`, too: how a dataset was shown last, None if nobody knows; and `find_reading(path)`: the
    options that were chosen for how it is understood.
    `failed(opening, reason, explanation)` if it is still wanted; `tried(opening, reason)` whenever what is
    watched cannot be opened yet; `changed(opening)` once something has changed at a path that failed.
    """

    def __init__(
        self,
        sessions: Sessions,
        background: Background,
        failed: Callable[[Opening, str, Explanation], None],
        tried: Callable[[Opening, str], None],
        changed: Callable[[Opening], None],
        find_view: Callable[[str], SavedView | None] = lambda path: None,
        find_reading: Callable[[str], Mapping[str, str]] = lambda path: {},
    ) -> None:
        self._sessions = sessions
        self._background = background
        self._failed = failed
        self._tried = tried
        self._changed = changed
        self._wait = "", _FIRST_WAIT_SECONDS  # for which path, and how long
        self._find_view = find_view
        self._find_reading = find_reading

    def open(self, path: str, options: Mapping[str, str]) -> None:
        """Open the dataset at a path or URL; an opening in progress is cancelled."""
        opening = Opening.of(path, options)
        if self._sessions.ask_for(opening):
            self._background.run("ndviewer-open", lambda: self._open(opening))

    def watch(self, path: str, options: Mapping[str, str]) -> None:
        """Open the dataset at a path or URL as soon as there is one."""
        opening = Watching.of(path, options)
        if self._sessions.ask_for(opening):
            self._background.run("ndviewer-watch", lambda: self._open(opening))

    def refuse(self, why: Explanation) -> None:
        """The request cannot be opened: fails like an opening."""
        opening = Opening.of("", {})
        if self._sessions.ask_for(opening):
            self._failed(opening, why.sentence, why)

    def _open(self, opening: Opening) -> None:
        from ..engine.dataset import Dataset  # here, as the window need not wait for it
        from ..opening import Reopening

        source = opening.source
        try:
            source.follow()
            if isinstance(opening, Watching):
                opened_when_there(
                    opening.path,
                    lambda: _started(source),
                    lambda: self._sessions.asked is opening,
                    lambda error: self._tried(opening, str(error)),
                )
            else:
                self._start(opening)
            reopen = Reopening(opening.path, tuple(sorted(source.options.items())))
            dataset = Dataset(
                source, path=opening.path, storage_options=source.options, follow=True, reopen=reopen
            )
        except Exception as error:  # whatever it is, report it to the user
            source.close()
            if self._sessions.asked is not opening:  # cancelled meanwhile: it failed because it was closed
                return
            if not isinstance(error, (NDViewerError, OSError)):
                logger.exception("opening %s", presentable(opening.path))
            self._failed(opening, str(error) or type(error).__name__, explain(error))
            if not isinstance(error, ReadTimeoutError):  # looking would hang, too
                self._wait_for_change(opening)
        else:
            view = self._find_view(opening.path)
            self._sessions.opened(opening, Session(dataset, opening.path, view=view))

    def _wait_for_change(self, opening: Opening) -> None:
        """Say when what could not be opened has changed, as long as it is what is asked for."""
        path, wait = self._wait
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS) if path == opening.path else _FIRST_WAIT_SECONDS
        self._wait = opening.path, wait
        if has_changed(opening.path, wait, lambda: self._sessions.asked is opening):
            self._changed(opening)

    def _start(self, opening: Opening) -> None:
        """Open it as it was last said to be understood; where that fits no more, as it is found."""
        source = opening.source
        chosen = {} if reading_of(source.options) else self._find_reading(opening.path)
        source.options.update(chosen)
        try:
            source.start()
        except DatasetError:
            if not chosen:
                raise
            for name in chosen:
                del source.options[name]
            source.start()


class Refresher:
    """Refreshes datasets, one at a time. `looked` is called in the refreshing thread.

    It gets the session and what went wrong, None if nothing did.
    """

    def __init__(self, background: Background, looked: Callable[[Session, Exception | None], None]) -> None:
        self._background = background
        self._looked = looked
        self._lock = threading.Lock()  # guards the two below
        self._looking: dict[Session, float] = {}
        self._again: set[Session] = set()  # requested during a refresh, which may have been too early

    def refresh(self, session: Session) -> None:
        """Refresh its dataset; if a refresh is running, once more afterwards. Any thread."""
        with self._lock:
            if session in self._looking:
                self._again.add(session)
                return
            self._looking[session] = time.monotonic()
        self._background.run("ndviewer-refresh", lambda: self._look(session))

    def wait_for(self, session: Session) -> Wait | None:
        """The running refresh of its dataset, if any."""
        with self._lock:
            since = self._looking.get(session)
        return None if since is None else Wait(f"{short_path(session.path)} to be refreshed", since)

    def _look(self, session: Session) -> None:
        problem: Exception | None = None
        try:
            session.dataset.refresh()
        except Exception as error:  # noqa: BLE001  told to the user
            problem = error
        finally:
            with self._lock:
                del self._looking[session]
                again = session in self._again
                self._again.discard(session)
        self._looked(session, problem)
        if again:
            self.refresh(session)


def _started(source: IsolatedSource) -> IsolatedSource:
    source.start()
    return source
