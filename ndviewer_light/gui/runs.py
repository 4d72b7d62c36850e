"""Runs that a host announces, notifies and ends, from any thread. Knows no Qt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..errors import NDViewerError
from ..isolation.client import IsolatedSource
from ..live.acquisition import Acquisition
from ..live.registered_files import RegisteredFiles
from ..model import announced_info
from .sessions import NothingToShow, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import AnnouncedRun
    from .background import Background
    from .sessions import Sessions

logger = logging.getLogger(__name__)


class Runs:
    """The runs of one widget: each start creates a new session, so nothing leaks from one run into the next.

    `show` is called at each start, in its thread, to display what `Sessions` wants.
    """

    def __init__(self, sessions: Sessions, background: Background, show: Callable[[], None]) -> None:
        self._sessions = sessions
        self._background = background
        self._show = show

    def start(self, run: AnnouncedRun, fovs_per_region: Sequence[int] | None = None) -> Acquisition | None:
        """Start a run. Does not access the disk; `fovs_per_region` if positions are counted per region.

        None if there is nothing to show, or the widget is closed.
        """
        if not (run.positions and run.channels and run.n_z > 0):
            logger.warning(
                "a run of %d positions, %d channels and %d z planes was announced: there is nothing to show",
                len(run.positions),
                len(run.channels),
                run.n_z,
            )
            if self._sessions.ask_for(NothingToShow()):
                self._show()
            return None
        from ..engine.dataset import Dataset  # imported with the widget, see `core`

        files = RegisteredFiles(run)
        source = IsolatedSource(run, announced_info(run), files)
        dataset = Dataset(source, live=True)
        acquisition = Acquisition(dataset, run, files, fovs_per_region)
        if not self._sessions.ask_for(Session(dataset, "", acquisition)):
            return None
        self._show()
        # last, because starting a process blocks the interpreter while the host is waiting
        self._background.run("ndviewer-reader-start", lambda: _start_reader(source))
        return acquisition

    def end(self) -> None:
        """End the run. Idempotent; no effect without a run."""
        acquisition = self._sessions.acquisition
        if acquisition is not None:
            acquisition.end()

    @property
    def wanted(self) -> Acquisition | None:
        """The run that is shown, or about to be, also after its end."""
        asked = self._sessions.asked
        return asked.acquisition if isinstance(asked, Session) else None


def _start_reader(source: IsolatedSource) -> None:
    try:
        source.start()
    except (NDViewerError, OSError) as error:
        if not source.closed:  # otherwise the next run has started meanwhile
            logger.warning("the reader process did not start; the first read will try again: %s", error)
