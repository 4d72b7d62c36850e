"""What the reader processes of a dataset say of it, put together."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

from ..sources.differing_datasets import has_other_planes

if TYPE_CHECKING:
    from ..errors import ReaderCrashedError
    from ..live.registered_files import RegisteredFiles
    from ..model import DatasetInfo
    from .reader_process import ReaderProcess


class SaidByProcesses:
    """What is known of a dataset: what its process says, and what an earlier or a second one has seen.

    Any thread. `DatasetInfo.warnings` say that a process has died.
    """

    def __init__(
        self, announced: DatasetInfo | None, files: RegisteredFiles | None, *, counts_files: bool
    ) -> None:
        """`files` are those registered by a host; with `counts_files` they tell the number of time points."""
        self._known = announced
        self._files = files
        self._counts_files = counts_files
        self._said: DatasetInfo | None = None  # by the process, without our own notices
        self._said_by: ReaderProcess | None = None
        self._earlier: DatasetInfo | None = None  # the last of the process before
        self._beside: DatasetInfo | None = None  # what the second process knows
        self._notice: str | None = None
        self._lock = threading.Lock()

    @property
    def last(self) -> DatasetInfo | None:
        """What is known, without time points that a host has registered since; None before it is open."""
        return self._known

    def info(self) -> DatasetInfo | None:
        """What is currently known; None before it is open."""
        known = self._known
        if known is not None and self._registered_n_t() > known.n_t:
            with self._lock:
                known = self._known = dataclasses.replace(self._known or known, n_t=self._registered_n_t())
        return known

    def _registered_n_t(self) -> int:
        """Time points of a run with registered files, whose total number no store declares."""
        return self._files.n_t if self._files is not None and self._counts_files else 0

    def take(self, info: DatasetInfo, process: ReaderProcess | None) -> None:
        """`process`, the one that is asked now, has said this."""
        if info.dtype is None and self._said is not None and self._said.dtype is not None:
            info = self._said  # a new process has not looked at the stores yet: keep what was seen
        info = self._with_what_others_knew(info, process)
        beside = self._beside
        if beside is not None and not has_other_planes(beside, info):
            info = info.with_known(beside)
        self._said = info
        if self._notice is not None:
            info = dataclasses.replace(info, warnings=(*info.warnings, self._notice))
        with self._lock:
            self._known = info
        if self._files is not None:
            self._files.channels_are(info.channels)

    def take_beside(self, beside: DatasetInfo) -> None:
        """The second process has seen more of what positions contain."""
        known = self._known
        if known is None or not beside.images or has_other_planes(beside, known):
            return
        self._beside = beside
        with self._lock:
            if known is self._known:  # else what comes after it takes this into account
                self._known = known.with_known(beside)

    def _with_what_others_knew(self, info: DatasetInfo, process: ReaderProcess | None) -> DatasetInfo:
        """Add what an earlier process has seen of positions; channels keep their index."""
        if process is not self._said_by:
            self._said_by, self._earlier = process, self._said
        earlier = self._earlier
        if earlier is None or has_other_planes(earlier, info):
            return info
        return info.with_known(earlier)

    def take_death(self, error: ReaderCrashedError) -> None:
        """A process has died: what the next one says comes with a warning."""
        self._notice = f"{error}; a new one was started"
