"""What the widget shows and opens: the last call wins, and everything has an end.

Knows no Qt. The C++ half of the widget may be deleted at any time by the owner of its parent; this half
is notified (`Sessions.end`) and ends datasets, reader processes and their threads.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ..isolation.client import IsolatedSource
from ..isolation.spare import keep_no_more, keep_ready
from ..storage.freed_memory import hand_back
from .ends import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.dataset import Dataset
    from ..live.acquisition import Acquisition
    from ..views.saved_view import SavedView
    from .background import Background


@dataclass(frozen=True, eq=False)
class Session:
    """A dataset to show, and the run that is writing it if a host announced one.

    `view`: how it was shown last, if that is to be restored.
    """

    dataset: Dataset
    path: str
    acquisition: Acquisition | None = None
    view: SavedView | None = None


@dataclass(frozen=True, eq=False)
class Opening:
    """A dataset being opened in a thread; `since` as `time.monotonic`."""

    path: str
    source: IsolatedSource
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, path: str, options: Mapping[str, str]) -> Opening:
        """Open the dataset at a path or URL; does not access the disk yet."""
        return cls(path, IsolatedSource(path, options=dict(options)))


@dataclass(frozen=True, eq=False)
class Watching(Opening):
    """The same for a path at which there need not be a dataset yet: it is opened as soon as it can be."""


@dataclass(frozen=True, eq=False)
class NothingToShow:
    """A run that was announced without positions, channels or planes."""


class Sessions(Owner):
    """Compares results with the last request, and owns whatever is neither shown nor wanted.

    The last request is an object (`Opening`, `Session` or `NothingToShow`), whose identity is the
    generation: results for another one are closed. Any thread may call any method; those that
    say what is on screen (`show`, `go_back`) are for the GUI thread. Nothing here waits.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._lock = threading.Lock()  # guards everything below; nothing is called while holding it
        self._asked: Opening | Session | NothingToShow | None = None
        self._shown: Session | None = None
        self._kept: Session | None = None  # shown when the opening began: cancelling returns to it
        self._closed = False
        self.acquisition: Acquisition | None = None
        """The run that receives the host's notifications; read by writers' threads without the lock."""

    @property
    def closed(self) -> bool:
        """Whether `end` was called: nothing is shown or opened any more."""
        return self._closed

    @property
    def shown(self) -> Session | None:
        """What is on screen."""
        return self._shown

    @property
    def kept(self) -> Session | None:
        """What was on screen when the pending or failed opening began."""
        return self._kept

    @property
    def asked(self) -> Opening | Session | NothingToShow | None:
        """The last request; must be displayed if it is not yet."""
        return self._asked

    def ask_for(self, asked: Opening | Session | NothingToShow) -> bool:
        """From now on only this is wanted. False after `end`.

        While a dataset is being opened, a run that was shown continues in the background: its notifications
        are accepted, in case the opening is cancelled.
        """
        with self._lock:
            if self._closed:
                unwanted = [asked] if isinstance(asked, (Opening, Session)) else []
            else:
                unwanted = self._leave_asked()
                self._asked = asked
                if isinstance(asked, Opening):
                    self._kept, self._shown = self._shown or self._kept, None
                    self.acquisition = self._kept.acquisition if self._kept is not None else None
                else:
                    self.acquisition = asked.acquisition if isinstance(asked, Session) else None
            closed = self._closed
        self._end(unwanted)
        return not closed

    def opened(self, opening: Opening, session: Session) -> bool:
        """The dataset is open: it is wanted now, unless something else was requested meanwhile."""
        with self._lock:
            wanted = self._asked is opening
            if wanted:
                self._asked = session
        if not wanted:
            self._end([session])
        return wanted

    def show(self, wanted: Session | NothingToShow) -> bool:
        """It is put on screen now, and what was there before closed. False: it is no longer needed."""
        with self._lock:
            if self._asked is not wanted:
                return False
            unwanted = [one for one in (self._shown, self._kept) if one is not None and one is not wanted]
            self._kept = None
            self._shown = wanted if isinstance(wanted, Session) else None
            self.acquisition = self._shown.acquisition if self._shown is not None else None
        self._end(unwanted)
        return True

    def go_back(self) -> tuple[bool, Session | None]:
        """Cancel a pending or failed opening, in favour of what was shown before.

        Returns whether there was one to cancel, and what is shown again (None: nothing).
        """
        with self._lock:
            asked = self._asked
            is_run = isinstance(asked, Session) and asked.acquisition is not None
            if asked is None or asked is self._shown or is_run or isinstance(asked, NothingToShow):
                return False, None
            unwanted = self._leave_asked()
            self._asked = self._shown = back = self._kept
            self._kept = None
        self._end(unwanted)
        return True, back

    def keep_reader_ready(self) -> None:
        """Have a reader process for what is opened next; to be called again and again."""
        if not self._closed and not isinstance(self._asked, Opening):
            keep_ready(self, partial(self._background.run, "ndviewer-reader-start"))

    def end(self) -> None:
        """End everything: datasets, reader processes, openings. Idempotent; also while Qt deletes widgets."""
        super().end()
        with self._lock:
            self._closed = True
            unwanted = self._leave_asked()
            unwanted += [one for one in (self._shown, self._kept) if one is not None]
            self._asked = self._shown = self._kept = self.acquisition = None
        keep_no_more(self)
        self._end(unwanted)
        try:
            self._background.start_waiting()
        except RuntimeError:  # no thread can be started and nobody will retry: end their readers
            for one in unwanted:
                if isinstance(one, Session):
                    one.dataset.close()
        self._background.end()

    def _leave_asked(self) -> list[Session | Opening]:
        """A request that is not displayed, which only we can end. With the lock held."""
        asked = self._asked
        if isinstance(asked, NothingToShow) or asked is None or asked is self._shown or asked is self._kept:
            return []
        return [asked]

    def _end(self, unwanted: Sequence[Session | Opening]) -> None:
        for one in unwanted:
            if isinstance(one, Opening):
                one.source.close()  # ends the reader process, however deep it hangs
            else:  # waits for its workers: never on the GUI thread
                self._background.run("ndviewer-close", partial(_close, one.dataset))


def _close(dataset: Dataset) -> None:
    dataset.close()
    hand_back()
