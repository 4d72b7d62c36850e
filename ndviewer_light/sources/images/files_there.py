"""Which of the files that were found in folders are there still: any may be deleted or moved meanwhile."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from ...errors import DatasetError, DatasetNotFoundError
from ...storage.asked_together import asked_together
from ...storage.local_files import is_there
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

    def of(self, names: Sequence[str | None]) -> list[bool | None]:
        """Which of these files exist; False for None, None where the disk does not tell."""
        of_folder: dict[str, list[str]] = defaultdict(list)
        for name in names:
            if name is not None:
                of_folder[name[: name.rfind("/") + 1]].append(name)
        few = [name for members in of_folder.values() if len(members) < WORTH_LISTING for name in members]
        answers = asked_together(lambda name: is_there(self._root + name), few)
        there: dict[str | None, bool | None] = dict(zip(few, answers, strict=True))
        for folder, members in of_folder.items():
            if len(members) >= WORTH_LISTING:
                with self._lock:
                    there.update(dict.fromkeys(set(members) - self._gone_from(folder), True))
        return [there.get(name, False) for name in names]

    def _gone_from(self, folder: str) -> set[str]:
        path = self._root + folder
        self._folders.add(path)
        if self._folders.has_changed(path) and self._folders.may_list(path):
            known = list(self._known())  # before it is listed: what comes meanwhile is not gone
            try:
                with self._folders.listing(path):
                    listed, _ = names_in_folder(self._root, folder)
            except DatasetNotFoundError:
                listed = set()
            except DatasetError:  # it is out of reach, and asked again
                return self._gone.get(folder, set())
            of_it = (name for name in known if name.rpartition("/")[0] == folder[:-1])
            self._gone[folder] = {name for name in of_it if name not in listed}
        return self._gone.get(folder, set())
