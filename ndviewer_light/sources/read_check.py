"""Whether pixels that were read at a path are of the dataset that was opened there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from ..storage.bytes import check_still_there, is_url, split_inner
from .folders_above import FoldersAbove
from .path_stamp import was_moved

if TYPE_CHECKING:
    from .path_stamp import PathStamp


class SeenAtPath(NamedTuple):
    """What lay at a path before a read, and how many exchanges of the folders above had been seen."""

    itself: os.stat_result | None
    exchanges: int


class Origin(NamedTuple):
    """Of what pixels that were read are, as far as what lies at the path tells.

    `is_opened`: of the dataset that was opened; otherwise they are to be read again. `is_other_there`:
    another file or folder lies there now.
    """

    is_opened: bool
    is_other_there: bool = False


class ReadCheck:
    """Tells whether pixels were read from what was opened at a path, or from what lay there for a moment.

    A folder is read by the names of files in it: pixels of one that was away, as its time of change tells,
    may be of another. Any thread; looks at a few times of files, on this machine only.
    """

    def __init__(self, path: str) -> None:
        self._file = None if is_url(path) else split_inner(path)[0]
        self._above = FoldersAbove(path)

    def before_read(self) -> SeenAtPath:
        """What lies there, for `origin` afterwards."""
        return SeenAtPath(self._at_path(), self._above.exchanges)

    def origin(self, stamp: PathStamp | None, before: SeenAtPath) -> Origin:
        """Of what pixels are that were read since `before`; `stamp` is that of the dataset that was opened.

        Raises `DatasetGoneError` if it is away.
        """
        if self._file is None or stamp is None:
            return Origin(is_opened=True)
        found = self._at_path()
        has_same_way = self._above.look() == before.exchanges
        if found is None:  # of a file that is open, what can still be read counts
            if before.itself is not None and stat.S_ISDIR(before.itself.st_mode):
                check_still_there(self._file)
            return Origin(is_opened=True)
        is_folder = stat.S_ISDIR(found.st_mode)
        if stamp.place is not None and (found.st_dev, found.st_ino) == stamp.place[:2]:
            was_away = is_folder and (before.itself is None or was_moved(before.itself, found))
            return Origin(is_opened=has_same_way and not was_away)
        return Origin(is_opened=not is_folder, is_other_there=True)

    def is_there(self) -> bool:
        """Whether something lies at the path on this machine; takes a microsecond."""
        return self._at_path() is not None

    def is_gone(self, stamp: PathStamp | None) -> bool:
        """Whether the dataset itself cannot be reached any more, so that nothing in it can be missing."""
        return self._file is not None and stamp is not None and not os.path.exists(self._file)

    def check_there(self, stamp: PathStamp | None) -> None:
        """Raise `DatasetGoneError` if it cannot be reached any more."""
        if self._file is not None and self.is_gone(stamp):
            check_still_there(self._file)

    def _at_path(self) -> os.stat_result | None:
        if self._file is None:
            return None
        try:
            return os.stat(self._file)
        except (OSError, ValueError):
            return None
