"""TIFFs on a server as they grow: which of their files are asked for changes, and when."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ...metadata.ndtiff import INDEX
from ...metadata.ome_document import COMPANIONS
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.trees.ask_schedule import AskSchedule
from .indexed import BELOW
from .set_files import name_said, split_path
from .set_on_server import set_in_folder, with_what_is_beside
from .sets import open_set
from .stack_files import is_named_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...storage.trees.folder_on_server import FolderOnServer
    from ...storage.trees.folder_pages import NamesInFolder
    from ..tiff_files import TiffFiles
    from .sets import TiffSet

_USED_LAST = 4
_FILES_IN_TURN = 3
"""How many files are asked each time: of those that were used last, and of the others, in turn."""
_KINDS = (*TIFF_KINDS, *COMPANIONS, INDEX.lower())


class SetOnServer:
    """The TIFFs at a URL, or in a folder on a server; how they are found, and whether they have changed.

    One thread at a time, but for `lacks`; blocks on the network. A look lists the folder again, if the server
    lists it and other files may come, and asks for changes of the files that say which planes there are, of
    those used last, and of a few others in turn: a dozen small requests at most, which go out together.
    """

    def __init__(self, files: TiffFiles, url: str, folder: FolderOnServer | None) -> None:
        """`folder` if that is what was opened: `url` is of a file of the set, as `set_in_folder` says."""
        self.url = url
        self._files = files
        self._folder = folder
        self._is_folder = folder is not None
        self._is_known_folder = self._is_folder
        self._listed: dict[str, NamesInFolder] = {}
        self._turn = 0
        self._n_changes = 0  # when it was found
        self._is_to_be_found = False  # since the last time that it was tried
        self.schedule = AskSchedule()

    def find(self) -> TiffSet:
        """The set as it is now; raises a `DatasetError`, and then `look` says again that there is news."""
        self._is_to_be_found, self._n_changes = True, self._files.n_changes
        tiffs: Sequence[str] = ()
        if self._folder is not None and self._is_folder:
            self._note_listed(self._folder)
            url, tiffs = set_in_folder(self._folder, self._files)
            self.url = url or self.url
        found = with_what_is_beside(open_set(self.url, self._files), self.url, tiffs)
        self._is_to_be_found = False
        return found

    def look(self, found: TiffSet, *, all_of_it: bool = False) -> bool:
        """Whether something has changed, so that the set is to be found again; no if it is not time to ask.

        `all_of_it`: every file that was opened is asked, and now. Raises nothing.
        """
        if not self.schedule.begin(at_once=all_of_it):
            return False
        has_changed = self._lists_others(found)
        self._files.ask_for_changes(self._worth_asking(found, all_of_it=all_of_it))
        has_changed |= self._files.n_changes != self._n_changes  # others ask, too
        self.schedule.ended(has_news=has_changed)
        return has_changed or self._is_to_be_found

    def lacks(self, url: str) -> bool:
        """Whether a file is not in its folder, as that was listed last; sends nothing."""
        folder, name = split_path(url)[0], name_said(url)
        if self._folder is None or folder != self._folder.address or not (listed := self._listed.get("")):
            return False
        return not listed.is_cut and name not in listed.files

    def _lists_others(self, found: TiffSet) -> bool:
        """Whether files have come into the folder, or gone, since it was listed last."""
        if not self._is_known_folder and self._is_of_several(found):
            self._is_known_folder = True
            from ...storage.trees.folder_on_server import folder_on_server  # most sets are local

            self._folder = folder_on_server(split_path(self.url)[0], self._files.options)
            if self._folder is not None:
                self._note_listed(self._folder)
                return True  # nobody knows what has come since the file was opened
        if self._folder is None:
            return False
        before = {inside: _worth_noting(names) for inside, names in self._listed.items()}
        for inside in self._listed:
            self._folder.names_again(inside)
        self._note_listed(self._folder)
        return before != {inside: _worth_noting(names) for inside, names in self._listed.items()}

    def _note_listed(self, folder: FolderOnServer) -> None:
        names = {"": folder.names()}
        if BELOW in names[""].folders:
            names[f"{BELOW}/"] = folder.names(f"{BELOW}/")
        self._listed = names

    def _is_of_several(self, found: TiffSet) -> bool:
        """Whether other files in the folder may belong to it, and can be asked for without a signature."""
        is_several = any(image.files != ("",) for image in found.images)
        return (is_several or is_named_stack(name_said(self.url))) and "?" not in self.url

    def _worth_asking(self, found: TiffSet, *, all_of_it: bool) -> list[str]:
        opened = self._files.opened_so_far()
        if all_of_it:
            return opened
        others = opened[:-_USED_LAST]
        if others:
            self._turn = (self._turn + _FILES_IN_TURN) % len(others)
        in_turn = islice((*others[self._turn :], *others), _FILES_IN_TURN)
        return [self.url, *found.said_in, *opened[-_USED_LAST:], *in_turn]


def _worth_noting(names: NamesInFolder) -> set[str]:
    return {name for name in names.files if name.lower().endswith(_KINDS)}
