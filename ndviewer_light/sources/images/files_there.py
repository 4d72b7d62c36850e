"""Which of the files that were found in folders are there still: any may be deleted or moved meanwhile."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...storage.watched_folders import WORTH_LISTING, WatchedFolders
from .listing import names_in_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class FilesThere:
    """Files on this computer by their names below `root`. Any thread; blocks on disk.

    For many files it costs a look at each of their folders, and listing those that have changed; but one in
    which files keep appearing is listed for a share of the time: what is deleted there is noticed later.
    """

    def __init__(self, root: str, known: Callable[[], Collection[str]]) -> None:
        """`known()`: the names of all files that were found so far."""
        self._root = root
        self._known = known
        self._lock = threading.Lock()  # guards the following; held while folders are listed
        self._folders = WatchedFolders()
        self._gone: dict[str, set[str]] = {}  # of each folder, as of when it was listed

    def of(self, names: Sequence[str | None]) -> list[bool]:
        """Which of these files exist; False for None."""
        of_folder: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            if name is not None:
                of_folder[name[: name.rfind("/") + 1]].append(i)
        found = [False] * len(names)
        for folder, members in of_folder.items():
            there = self._in_folder(folder, [name for i in members if (name := names[i]) is not None])
            for i, is_there in zip(members, there, strict=True):
                found[i] = is_there
        return found

    def _in_folder(self, folder: str, names: Sequence[str]) -> list[bool]:
        if len(names) < WORTH_LISTING:
            return [os.path.exists(self._root + name) for name in names]
        with self._lock:
            gone = self._gone_from(folder)
        return [name not in gone for name in names]

    def _gone_from(self, folder: str) -> set[str]:
        path = self._root + folder
        self._folders.add(path)
        if self._folders.has_changed(path) and self._folders.may_list(path):
            known = list(self._known())  # before it is listed: what comes meanwhile is not gone
            with self._folders.listing(path):
                try:
                    listed, _ = names_in_folder(self._root, folder)
                except DatasetError:  # the folder itself is gone, or out of reach
                    listed = set()
            of_it = (name for name in known if name.rpartition("/")[0] == folder[:-1])
            self._gone[folder] = {name for name in of_it if name not in listed}
        return self._gone.get(folder, set())
