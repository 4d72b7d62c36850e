"""A folder of images that grows: which files are new, and where they belong."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...storage.file_versions import version_of
from .catalogue import FileCatalogue
from .listing import fields_of, is_thumbnail, listed, names_in
from .patterns import Pattern

if TYPE_CHECKING:
    from .listing import Listing

_MAX_UNDERSTOOD_AGAIN = 256
"""Of so many files at most, the names are interpreted anew when others appear that do not fit."""


class Grown(NamedTuple):
    """A listing with the files that were added, and where each is; files known before have the same place."""

    listing: Listing
    catalogue: FileCatalogue


class FolderGrowth:
    """Finds files that are added to a folder, and its subfolders. One thread at a time.

    Costs a listing of names, and nothing as long as no folder has changed.
    """

    def __init__(self, listing: Listing, *, by_user: bool) -> None:
        """`by_user`: the pattern of the names was given, so that it is not to be found again."""
        self._by_user = by_user
        self._ending = os.path.splitext(listing.files[0][1])[1].lower()
        self._seen = {name for _, name in listing.files}
        self._folders: dict[str, str] = {}

    def is_current(self, root: str) -> bool:
        """Whether no folder that contains files has changed since they were last listed."""
        return bool(self._folders) and all(
            version_of(os.path.join(root, folder)) == version for folder, version in self._folders.items()
        )

    def look(self, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
        """List the folder again; None if there is nothing new. Raises a `DatasetError`."""
        root = listing.root
        known = {"", *(os.path.dirname(name) for name in self._seen)}
        folders = {folder: version_of(os.path.join(root, folder)) for folder in known}
        names = names_in(root, listing.pattern)
        new = sorted(
            name
            for name in names
            if name not in self._seen and name.lower().endswith(self._ending) and not is_thumbnail(name)
        )
        if not new:
            self._folders = folders
            return None
        self._seen.update(new)
        pattern = Pattern(listing.pattern) if listing.pattern else None
        read = [(fields_of(pattern, name), name) for name in new] if pattern is not None else []
        fitting = [(fields, name) for fields, name in read if fields is not None]
        if not self._by_user and len(fitting) < len(new) and len(self._seen) <= _MAX_UNDERSTOOD_AGAIN:
            again = _understood_again(listing, catalogue)
            if again is not None:
                return again
        if not listing.pattern:  # each is a time point
            n = len(catalogue.files)
            fitting = [({"t": str(n + i)}, name) for i, name in enumerate(new)]
        if not fitting:
            return None
        catalogue.add(fitting)
        return Grown(listing._replace(files=(*listing.files, *fitting)), catalogue)


def _understood_again(listing: Listing, catalogue: FileCatalogue) -> Grown | None:
    """Interpret all names anew; None if files that are known would have another place then."""
    try:
        found = listed(listing.root.rstrip(os.sep) or os.sep)
    except DatasetError:
        return None
    if found.root != listing.root or not found.pattern:
        return None
    before = {name: key for key, name in catalogue.files.items()}
    old = [entry for entry in found.files if entry[1] in before]
    grown = FileCatalogue()
    grown.add(old)
    if len(found.files) <= len(before) or {name: key for key, name in grown.files.items()} != before:
        return None
    grown.add(entry for entry in found.files if entry[1] not in before)
    return Grown(found, grown)
