"""Files beside images that cannot be read: what is said of them, and whether they can be by now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...storage.bytes import is_url
from ...storage.file_versions import version_of
from ...storage.trees.ask_schedule import AskSchedule

if TYPE_CHECKING:
    from .beside import Beside


class FaultsBeside:
    """What of the files beside the first image cannot be read. One thread at a time; blocks.

    Files that were read are not looked at again, those that could not be are: on this computer when they have
    changed, on servers ever more rarely.
    """

    def __init__(self, beside: Beside, first: str) -> None:
        """`first` is the path or URL of the first image."""
        self._beside = beside
        self._first = first
        self._schedule = AskSchedule()
        self._faults = beside.faults(first)
        self._versions: list[str] = []  # not known: files may have been mended since they were read
        self.said: tuple[str, ...] = tuple(self._faults.values())
        """A warning for each."""

    def are_fewer(self) -> bool:
        """Whether one of them can be read by now. Raises nothing."""
        if not self._faults or not self._schedule.begin(at_once=not is_url(self._first)):
            return False
        versions = self._on_disk()
        has_changed = is_url(self._first) or versions != self._versions
        now = self._beside.faults(self._first) if has_changed else self._faults
        self._versions = versions
        is_any_whole = not now.keys() >= self._faults.keys()
        self._schedule.ended(has_news=is_any_whole)
        return is_any_whole

    def _on_disk(self) -> list[str]:
        return [version_of(path) for path in self._faults if not is_url(path)]
