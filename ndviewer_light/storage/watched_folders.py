"""Folders in which files appear: which of them have changed, and when they are worth listing again.

A file system tells of a folder only that its entries have changed, not which of them; listing it costs what
is in it. So folders are asked for their time of change, a bounded number at once, and those with many entries
are listed rarely: by the share of a core that listing them takes, or a quarter of the time where it waits.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .asked_together import asked_together
from .file_versions import version_of
from .time_spent import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .time_spent import TimeSpent

_T = TypeVar("_T")

WORTH_LISTING = 32
"""From so many files on, their folder is listed rather than asked for each of them."""
LISTING_SHARE = 1 / 50
"""The largest share of a core that goes into listing the same folder again."""
MAX_FOUND_BY_NAME = 1_000
"""How many files that come next by their names are looked for in one look."""
LISTED_TOGETHER = 64
"""What is found in so many folders is kept until all of them have been listed."""
_RECENT = 64
_IN_TURN = 64
"""How many folders are asked each time: of those that changed last, and of the others, in turn."""


class _Listed(NamedTuple):
    """When a folder was listed last: its version before that; not to be listed again before `not_before`."""

    version: str
    not_before: float


_NEVER = _Listed("", float("-inf"))


class WatchedFolders:
    """Folders by path, each with what it was like when listed. One thread at a time; blocks on disk."""

    def __init__(self) -> None:
        self._listed: dict[str, _Listed] = {}
        self._recent: dict[str, None] = {}  # those that changed last, the last one at the end
        self._others: deque[str] = deque()  # all, in the order in which they will be asked

    def __contains__(self, folder: str) -> bool:
        return folder in self._listed

    def add(self, folder: str) -> None:
        """Watch another folder, which counts as changed until it has been listed."""
        if folder not in self._listed:
            self._listed[folder] = _NEVER
            self._others.append(folder)
            self._note_change(folder)

    def changed(self, *, every: bool = False) -> list[str]:
        """The folders that have changed since they were listed, of the few, or of `every` one, asked now."""
        if every:
            asked = list(self._listed)
        else:
            in_turn = [self._others[0] for _ in range(min(_IN_TURN, len(self._others))) if self._turn()]
            asked = list(dict.fromkeys((*self._recent, *in_turn)))
        answers = asked_together(self.has_changed, asked)
        found = [folder for folder, has_changed in zip(asked, answers, strict=True) if has_changed]
        for folder in found:
            self._note_change(folder)
        return found

    def _turn(self) -> bool:
        self._others.rotate(-1)
        return True

    def _note_change(self, folder: str) -> None:
        self._recent.pop(folder, None)
        self._recent[folder] = None
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    def has_changed(self, folder: str) -> bool:
        """Whether one has changed since it was listed."""
        return version_of(folder) != self._listed[folder].version

    def may_list(self, folder: str) -> bool:
        """Whether enough time has passed since a folder was listed, for what that cost."""
        return time.monotonic() >= self._listed[folder].not_before

    @contextmanager
    def listing(self, folder: str) -> Iterator[None]:
        """To list a folder within; remembers the version that it had before, and what listing cost.

        One that could not be listed, so that something is raised, counts as changed still.
        """
        version, watch = version_of(folder), Stopwatch()
        try:
            yield
        except BaseException:
            version = _NEVER.version
            raise
        finally:
            self._note_listed(folder, version, watch.spent())

    def listings(self, folders: Sequence[str], list_one: Callable[[str], _T]) -> Iterator[_T]:
        """What `list_one` finds in each folder, in order: of a slow share, several are listed at a time.

        `list_one` may be called in other threads; its first error is raised. A folder of which it finds None
        could not be listed, and counts as changed still.
        """

        def listed(folder: str) -> tuple[_T, str, TimeSpent]:
            version, watch = version_of(folder), Stopwatch()
            found = list_one(folder)
            return found, _NEVER.version if found is None else version, watch.spent()

        for at in range(0, len(folders), LISTED_TOGETHER):
            some = folders[at : at + LISTED_TOGETHER]
            for folder, (found, version, spent) in zip(some, asked_together(listed, some), strict=True):
                self._note_listed(folder, version, spent)
                yield found

    def _note_listed(self, folder: str, version: str, spent: TimeSpent) -> None:
        self._listed[folder] = _Listed(version, time.monotonic() + spent.rest_s(LISTING_SHARE))
