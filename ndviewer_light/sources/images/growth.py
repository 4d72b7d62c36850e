"""A folder of images that grows: which files are new, and where they belong."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...storage.watched_folders import MAX_FOUND_BY_NAME, WatchedFolders
from .listing import MAX_DEPTH, MAX_FOLDERS, fields_of, is_thumbnail, listed, names_in_folder
from .next_names import NextNames
from .patterns import MAX_FILES, Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ...model import PlaneKey
    from .catalogue import FileCatalogue
    from .listing import Listing

    Fields = dict[str, str]

_MAX_UNDERSTOOD_AGAIN = 256
"""With at most so many files, all names are interpreted anew when others appear that do not fit."""
_MAX_FRONTS = 6
_LOOKING_SECONDS = 0.02
"""How long files are looked for by name, one after another: each name is a request to the disk."""


class Grown(NamedTuple):
    """A listing with the files that were added, and where each is; files known before have the same place."""

    listing: Listing
    catalogue: FileCatalogue


class FolderGrowth:
    """Finds files that are added to a folder, and its subfolders. One thread at a time.

    While none of the folders has changed, it costs asking some of them for their time. When one has, the
    files that come next by their names are looked for, which costs what is new; and the folder is listed, but
    one with many files only by the share of the time that this takes.
    """

    def __init__(
        self,
        listing: Listing,
        *,
        by_user: bool,
        told_apart: Callable[[Listing], Listing] = lambda names: names,
    ) -> None:
        """`by_user`: the pattern of the names was given, so that it is not to be found again.

        `told_apart` makes of what names mean by themselves what they mean with these files.
        """
        self._by_user = by_user
        self._told_apart = told_apart
        self._root = listing.root
        self._ending = os.path.splitext(listing.files[0][1])[1].lower()
        self._seen = {name for _, name in listing.files}
        self._others = set[str]()  # names that are not of the dataset
        self._is_untold = False  # whether files were found by a look that failed afterwards
        self._use(listing.pattern)
        self._fronts: dict[PlaneKey, None] = {}  # behind which files may come, the latest last
        self._n_folders = 0
        self._folders = WatchedFolders()
        for folder in dict.fromkeys(_folder_of(name) for name in self._seen):
            self._watch(folder)

    def _use(self, pattern: str) -> None:
        self._pattern = Pattern(pattern) if pattern else None
        depth = self._pattern.depth if self._pattern is not None else None
        self._depth = MAX_DEPTH if depth is None else depth
        self._next: NextNames | None = None

    def look(self, listing: Listing, catalogue: FileCatalogue, *, all_of_it: bool = False) -> Grown | None:
        """Look for new files; None if nothing is found. Raises a `DatasetError`.

        `all_of_it`: list every folder that has changed, whatever that costs.
        """
        changed = self._folders.changed(every=all_of_it)
        if not changed:
            return None
        self._is_untold |= self._found_by_name(catalogue)
        new = self._listed([path for path in changed if all_of_it or self._folders.may_list(path)])
        found, self._is_untold = self._is_untold, False
        if not new:
            return Grown(listing, catalogue) if found else None
        new.sort()
        self._seen.update(new)
        read = [(fields_of(self._pattern, name), name) for name in new] if self._pattern is not None else []
        fitting = [(fields, name) for fields, name in read if fields is not None]
        if len(fitting) < len(new) and (again := self._understood_again(listing, catalogue)) is not None:
            return again
        if self._pattern is None:  # each is a time point
            n = len(catalogue.files)
            fitting = [({"t": str(n + i)}, name) for i, name in enumerate(new)]
        if not fitting:
            return Grown(listing, catalogue) if found else None
        known_doubles = catalogue.doubles
        self._note_fronts(catalogue.add(fitting))
        if catalogue.doubles > known_doubles:  # the pattern leaves out what tells files apart by now
            again = self._understood_again(listing, catalogue)
            return Grown(listing, catalogue) if again is None else again
        return Grown(listing, catalogue)

    def _understood_again(self, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
        """What all names mean by now; None if files that are known would have another place then."""
        if self._by_user or len(self._seen) > _MAX_UNDERSTOOD_AGAIN:
            return None
        again = self._listed_again(listing, catalogue)
        if again is not None:
            self._use(again.listing.pattern)
        return again

    def _listed_again(self, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
        try:
            found = self._told_apart(listed(listing.root.rstrip(os.sep) or os.sep))
        except DatasetError:
            return None
        return _grown_into(found, listing, catalogue)

    # ---- by name -----------------------------------------------------------------------------

    def _found_by_name(self, catalogue: FileCatalogue) -> bool:
        """Add the files that are named as those that come next; whether there are any."""
        if self._pattern is None or not catalogue.files:
            return False
        if self._next is None:
            self._next = NextNames(self._pattern, catalogue)
            self._fronts.clear()
            self._note_fronts(catalogue.files)
        is_any = False
        for front in list(self._fronts):
            for _ in range(MAX_FOUND_BY_NAME):
                name = self._next_after(front)
                if name is None:
                    break
                self._seen.add(name)
                self._watch(_folder_of(name))
                fields = fields_of(self._pattern, name)
                assert fields is not None, "the name was made of its fields"
                self._fronts.pop(front, None)
                (front,) = catalogue.add([(fields, name)])
                self._note_fronts([front])
                is_any = True
        return is_any

    def _note_fronts(self, found: Collection[PlaneKey]) -> None:
        """Files were found: the last of them is another one for each axis that may be the outermost loop."""
        for axis in "zcpt":
            front = max(found, key=lambda key: (getattr(key, axis), key))
            self._fronts.pop(front, None)
            self._fronts[front] = None
        while len(self._fronts) > _MAX_FRONTS:
            del self._fronts[next(iter(self._fronts))]

    def _next_after(self, front: PlaneKey) -> str | None:
        """The file that comes next; on slow disks, as far as it is found within a moment."""
        assert self._next is not None
        until = time.monotonic() + _LOOKING_SECONDS
        for name in self._next.after(front):
            if name not in self._seen and os.path.isfile(self._root + name):
                return name
            if time.monotonic() > until:
                break
        return None

    # ---- by listing --------------------------------------------------------------------------

    def _listed(self, paths: Sequence[str]) -> list[str]:
        """The new images in folders, and in folders in them that are new."""
        wanted: list[str] = []
        inner: list[str] = []
        folders = [path[len(self._root) :].replace(os.sep, "/") for path in paths]
        found = self._folders.listings(paths, self._names_in)
        for folder, listing in zip(folders, found, strict=True):
            if listing is None:
                continue
            names, folders_in_it = listing
            room = max(0, MAX_FILES - len(self._seen) - len(self._others))
            new = list(names.difference(self._seen, self._others))[:room]
            fitting = [name for name in new if name.lower().endswith(self._ending) and not is_thumbnail(name)]
            wanted += fitting
            self._others.update(new)
            self._others.difference_update(fitting)
            if folder.count("/") < self._depth:
                inner += filter(self._watch, sorted(folders_in_it))
        return wanted + self._listed([self._root + each for each in inner]) if inner else wanted

    def _names_in(self, path: str) -> tuple[set[str], list[str]] | None:
        folder = path[len(self._root) :].replace(os.sep, "/")
        try:
            return names_in_folder(self._root, folder)
        except DatasetError:
            if not folder:
                raise
            return None  # it does not affect the others

    def _watch(self, folder: str) -> bool:
        """Watch a folder ("a/b/"), and those around it; whether that is new."""
        path = self._root + folder
        if path in self._folders or self._n_folders >= MAX_FOLDERS:
            return False
        self._n_folders += 1
        if folder:
            self._watch(_folder_of(folder[:-1]))
        self._folders.add(path)
        return True


def _folder_of(name: str) -> str:
    """The folder of a file, "" or with a slash at its end."""
    return name[: name.rfind("/") + 1]


def _grown_into(found: Listing, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
    """`listing` with all names as they were `found` now; None if known files would have another place."""
    if found.root != listing.root or not found.pattern:
        return None
    before = {name: key for key, name in catalogue.files.items()}
    old = [entry for entry in found.files if entry[1] in before]
    grown = catalogue.anew(found.pattern)
    for entry in sorted(old, key=lambda entry: before[entry[1]]):  # along each axis in the order they came
        grown.add([entry])
    if len(found.files) <= len(before) or {name: key for key, name in grown.files.items()} != before:
        return None
    grown.add(entry for entry in found.files if entry[1] not in before)
    return Grown(found, grown)
