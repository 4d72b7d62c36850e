"""What the widget waits for, in the status line: an opening, planes, the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .waiting import Wait, short_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from .opener import Refresher
    from .openings import Openings
    from .run_status.status_line import StatusLine
    from .sessions import Sessions
    from .stage import Stage
    from .windows.message_page import MessagePage


class ScreenWaits:
    """Says the first wait that takes long, else how far is what is read in parts. GUI thread."""

    def __init__(
        self,
        sessions: Sessions,
        openings: Openings,
        refresher: Refresher,
        stage: Stage,
        progress_of_tools: Callable[[], str],
        message: MessagePage,
        status: StatusLine,
    ) -> None:
        self._sessions = sessions
        self._openings = openings
        self._refresher = refresher
        self._stage = stage
        self._progress_of_tools = progress_of_tools
        self._message = message
        self._status = status

    def say(self) -> bool:
        """Say what is being waited for; whether anything is."""
        waits = [wait for wait in (self._of_opening(), *self._of_dataset()) if wait is not None]
        slow = next((wait for wait in waits if wait.is_slow), None)
        progress = self._progress_of_tools() or self._stage.progress
        self._status.say("waiting", str(slow) if slow is not None else progress)
        return bool(waits)

    def _of_opening(self) -> Wait | None:
        wait = self._openings.wait()
        if wait is not None and wait.is_slow:
            self._message.set_headline(f"Still opening after {wait.seconds} s")
        return wait

    def _of_dataset(self) -> tuple[Wait | None, ...]:
        session = self._sessions.shown
        if session is None:
            return ()
        return self._stage.say_wait(short_path(session.path)), self._refresher.wait_for(session)
