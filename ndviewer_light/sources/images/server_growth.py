"""A folder of images on a server that grows: which of its folders are worth listing again, and when."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from ...model import natural_sorted
from ...storage.watched_folders import LISTING_SHARE
from .listing import MAX_DEPTH, is_wanted_folder
from .on_server import MAX_LISTED, images_added, with_added

if TYPE_CHECKING:
    from ...storage.trees.folder_on_server import FolderOnServer
    from ...storage.trees.folder_pages import NamesInFolder
    from .catalogue import FileCatalogue
    from .growth import Grown
    from .listing import Listing

_LIST_AGAIN_SECONDS = 1.0
"""From one listing to the next, at least; twice as long after each that finds nothing, up to:"""
_LONGEST_WAIT_SECONDS = 30.0
_RECENT_FOLDERS = 4
_FOLDERS_IN_TURN = 3
"""How many folders are listed each time: of those that changed last, and of the others, in turn."""


class ServerGrowth:
    """Finds images that are added to a folder on a server. One thread at a time; blocks on the network.

    A look lists the folder itself, the last of its folders by name (where the next time point or well
    appears), those that changed last, and a few of the others in turn: a dozen requests at most, which go
    out together.
    """

    def __init__(self, folder: FolderOnServer) -> None:
        self._folder = folder
        self._known: dict[str, NamesInFolder] = {}
        self._recent: dict[str, None] = {}  # the one that changed last at the end
        self._others: deque[str] = deque()
        self._not_before = float("-inf")
        self._wait = _LIST_AGAIN_SECONDS

    def look(self, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
        """List a few folders again, and add what is new in them; None if it is not time, or nothing is.

        Raises a `DatasetError`.
        """
        began = time.monotonic()
        if began < self._not_before:
            return None
        if not self._known:
            self._add("")
        names: list[str] = []
        has_changed = False
        asked = self._worth_listing()
        for inside, now in zip(asked, self._folder.names_of_all(asked, again=True), strict=True):
            before = self._known[inside]
            if now == before:
                continue
            has_changed = True
            self._note_change(inside)
            names += images_added(self._folder, inside, before, now)
            self._known[inside] = now
            for name in set(now.folders) - set(before.folders):
                if is_wanted_folder(name):
                    self._add(f"{inside}{name}/")
        ended = time.monotonic()
        self._wait = _LIST_AGAIN_SECONDS if has_changed else min(2 * self._wait, _LONGEST_WAIT_SECONDS)
        self._not_before = ended + max(self._wait, (ended - began) / LISTING_SHARE)
        return with_added(self._folder, names, listing, catalogue) if names else None

    def _worth_listing(self) -> list[str]:
        last = [""]
        while folders := [name for name in self._known[last[-1]].folders if is_wanted_folder(name)]:
            inside = f"{last[-1]}{natural_sorted(folders)[-1]}/"
            if inside not in self._known:
                break
            last.append(inside)
        self._others.rotate(-_FOLDERS_IN_TURN)
        in_turn = [self._others[i] for i in range(min(_FOLDERS_IN_TURN, len(self._others)))]
        return list(dict.fromkeys((*last, *self._recent, *in_turn)))

    def _note_change(self, inside: str) -> None:
        self._recent.pop(inside, None)
        self._recent[inside] = None
        while len(self._recent) > _RECENT_FOLDERS:
            del self._recent[next(iter(self._recent))]

    def _add(self, inside: str) -> None:
        """Watch a folder and those in it, which are as they were listed last."""
        level = [inside]
        for _ in range(MAX_DEPTH + 1 - inside.count("/")):
            level = level[: max(0, MAX_LISTED - len(self._known))]
            found = self._folder.names_of_all(level)
            self._known.update(zip(level, found, strict=True))
            self._others.extend(level)
            level = [
                f"{outer}{name}/"
                for outer, names in zip(level, found, strict=True)
                for name in names.folders
                if is_wanted_folder(name)
            ]
