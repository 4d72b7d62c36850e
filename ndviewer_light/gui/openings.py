"""What the user or the host asked to open: where it is, with which options, and how that ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from ..storage.presentable import presentable
from .given_paths import is_same_place
from .opener import Opener
from .sessions import Opening, Watching
from .waiting import Wait, short_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .background import Background
    from .poll import Poll
    from .saved_views.view_memory import ViewMemory
    from .sessions import Session, Sessions
    from .words import Explanation

logger = logging.getLogger(__name__)


class Openings(QObject):
    """Requests of one widget; the last one counts. GUI thread only. `show_now` displays what is asked for."""

    failed = Signal(object, str, object)
    """The `Opening` that is asked for has failed; why, in short and as an `Explanation`."""
    tried = Signal(str)
    """Why what is watched cannot be opened yet."""
    taken_back = Signal(str)
    """The path of what is shown again, since an opening was cancelled; "" if nothing was shown."""

    def __init__(
        self,
        sessions: Sessions,
        background: Background,
        poll: Poll,
        views: ViewMemory,
        show_now: Callable[[], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.path = ""
        """Of the dataset that is shown, being opened, or could not be; "" for a run."""
        self._options: dict[str, str] = {}
        self._failed: Opening | None = None
        self._sessions = sessions
        self._poll = poll
        self._show_now = show_now
        self._opener = Opener(
            sessions,
            background,
            self._post_failure,
            self._post_try,
            self._post_change,
            views.find,
            views.find_reading,
        )

    def open(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset; the current one is kept until then, in case the user cancels."""
        self._ask(path, options, self._opener.open)

    def watch(self, path: str, options: Mapping[str, str]) -> None:
        """Open a dataset as soon as there is one at the path."""
        self._ask(path, options, self._opener.watch)

    def _ask(
        self, path: str, options: Mapping[str, str], begin: Callable[[str, Mapping[str, str]], None]
    ) -> None:
        self.path, self._options = path, dict(options)
        begin(path, options)
        self._show_now()
        self._poll.hurry()

    def refuse(self, why: Explanation) -> None:
        """The request cannot be opened."""
        self._opener.refuse(why)
        self._show_now()

    def options_at(self, path: str) -> Mapping[str, str]:
        """The options in use, if they may be sent there: passwords of one place never go to another."""
        return self._options if is_same_place(path, self.path) else {}

    def open_again(self, **options: str) -> None:
        """Open what was asked for last once more, with these options added."""
        self.open(self.path, {**self._options, **options})

    def open_other(self, path: str) -> None:
        """Open another dataset of the same file, with the same options."""
        self.open(path, self._options)

    def take(self, back: Session | None) -> None:
        """Return to what was shown, since the opening was cancelled; None: nothing was shown."""
        self.path = back.path if back is not None else ""
        self._options = dict(back.dataset.storage_options) if back is not None else {}
        self.taken_back.emit(self.path)

    @property
    def has_failed(self) -> bool:
        """Whether what is asked for could not be opened."""
        return self._failed is not None and self._failed is self._sessions.asked

    def wait(self) -> Wait | None:
        """The opening in progress; None for one that may take as long as it likes."""
        opening = self._sessions.asked
        if not isinstance(opening, Opening) or isinstance(opening, Watching) or self.has_failed:
            return None
        return Wait(f"{short_path(opening.path)} to open", opening.since)

    # ---- how it ended ----------------------------------------------------------------------

    def _post_try(self, opening: Opening, reason: str) -> None:
        self._poll.post(lambda: self._on_tried(opening, reason))

    def _on_tried(self, opening: Opening, reason: str) -> None:
        if opening is self._sessions.asked:
            self.tried.emit(reason)

    def _post_change(self, opening: Opening) -> None:
        self._poll.post(lambda: self._on_changed(opening))

    def _on_changed(self, opening: Opening) -> None:
        """What could not be opened is another now: whoever writes it may have come further."""
        if opening is self._sessions.asked and self.has_failed:
            self.open_again()

    def _post_failure(self, opening: Opening, reason: str, why: Explanation) -> None:
        self._poll.post(lambda: self._on_failed(opening, reason, why))

    def _on_failed(self, opening: Opening, reason: str, why: Explanation) -> None:
        if opening is not self._sessions.asked:
            return
        self._show_now()
        self._failed = opening
        place = presentable(opening.path)
        if place:
            logger.warning("%s could not be opened: %s", place, reason)
        else:
            logger.warning("nothing was opened: %s", reason)
        self.failed.emit(opening, reason, why)
