"""A folder of images on a server that grows: which of its folders are worth listing again, and when.

Also whether it may have become something else: the first TIFF, an index or a companion file may say that the
images are a set only once they are written.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ...metadata.ndtiff import INDEX
from ...metadata.ome_document import COMPANIONS
from ...model import natural_key, natural_sorted
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.trees.ask_schedule import AskSchedule
from .listing import MAX_DEPTH, is_wanted_folder
from .on_server import MAX_LISTED, images_added, with_added

if TYPE_CHECKING:
    from ...storage.trees.folder_on_server import FolderOnServer
    from ...storage.trees.folder_pages import NamesInFolder
    from .catalogue import FileCatalogue
    from .file_reader import ImageFiles
    from .growth import Grown
    from .listing import Listing

_RECENT_FOLDERS = 4
_FOLDERS_IN_TURN = 3
"""How many folders are listed each time: of those that changed last, and of the others, in turn."""


class ServerGrowth:
    """Finds images that are added to a folder on a server. One thread at a time; blocks on the network.

    A look lists the folder itself, the last of its folders by name (where the next time point or well
    appears), those that changed last, and a few of the others in turn: a dozen requests at most, which go
    out together. Then it asks whether the first TIFF has changed.
    """

    def __init__(self, folder: FolderOnServer, files: ImageFiles) -> None:
        self._folder = folder
        self._files = files
        self._first_tiff = ""
        self._says_otherwise = False
        self._known: dict[str, NamesInFolder] = {}
        self._recent: dict[str, None] = {}  # the one that changed last at the end
        self._others: deque[str] = deque()
        self.schedule = AskSchedule()

    def look(self, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
        """List a few folders again, and add what is new in them; None if it is not time, or nothing is.

        Raises a `DatasetError`.
        """
        if not self.schedule.begin():
            return None
        if not self._known:
            self._add("")
            self._first_tiff = self._first_tiff_now()
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
            self._says_otherwise |= any(map(_describes_others, set(now.files) - set(before.files)))
            self._known[inside] = now
            for name in set(now.folders) - set(before.folders):
                if is_wanted_folder(name):
                    self._add(f"{inside}{name}/")
        if self._has_other_first():
            self._says_otherwise = has_changed = True
        self.schedule.ended(has_news=has_changed)
        return with_added(self._folder, names, listing, catalogue) if names else None

    def take_says_otherwise(self) -> bool:
        """Whether what says how to read the folder has changed since this was asked last; sends nothing."""
        said, self._says_otherwise = self._says_otherwise, False
        return said

    def _has_other_first(self) -> bool:
        """Whether the first TIFF is another one, or has changed since it was read."""
        first, before = self._first_tiff_now(), self._first_tiff
        self._first_tiff = first
        return first != before or (first != "" and self._files.has_changed(first))

    def _first_tiff_now(self) -> str:
        """The URL of the TIFF that would say whether those in the folder are a set; "" without any."""
        tiffs = [
            name for name in self._known[""].files if name.lower().endswith(TIFF_KINDS) and name[0] != "."
        ]
        first = min(tiffs, key=natural_key, default="")
        return first and self._folder.address + self._folder.end_of_address(first)

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


def _describes_others(name: str) -> bool:
    return name == INDEX or name.lower().endswith(COMPANIONS)
