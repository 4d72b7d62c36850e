"""Images at URLs: one, those that a pattern names, or those in a folder of a server that says what is in it.

Folders are listed one by one, and files understood by their names like those of a folder on this machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import LimitExceededError
from ...metadata.metamorph import HTD_END
from ...model import how_many, natural_sorted
from ...storage.offered import access_options
from .beside import is_read_beside
from .growth import Grown
from .indexed_sets import (
    index_text,
    is_own_index,
    listed_by_nd,
    names_of_plate,
    with_choice,
    with_htd,
    with_indexes_below,
)
from .listing import (
    MAX_BELOW,
    MAX_DEPTH,
    Listing,
    fields_of,
    file_alone,
    is_image,
    is_thumbnail,
    is_wanted,
    is_wanted_folder,
    listing_of,
    matching,
    split_pattern,
    stem_of,
)
from .patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...storage.trees.folder_on_server import FolderOnServer
    from ...storage.trees.folder_pages import NamesInFolder
    from ..source import StorageOptions
    from .catalogue import FileCatalogue

_LOOKED_INTO = 8
_LETTER = "\ue000"  # stands for a "?" that is no sign of a pattern

MAX_LISTED = 2000
"""So many folders are listed at most: each is a request, or several."""


def listed_at_url(
    url: str, pattern: str = "", options: StorageOptions = None, folder: FolderOnServer | None = None
) -> Listing:
    """The images at a URL. A pattern with ranges names them, without a request; with one that has none, and
    where `folder` is the one at the URL, the server is asked.

    Raises `DatasetNotFoundError` if there are none, `DatasetError` for a pattern that cannot be used.
    """
    from ...storage.trees.folder_on_server import folder_on_server  # most images are local

    root, pattern = split_pattern(url, pattern)
    is_web = _is_web(root)
    has_query = is_web and "?" in f"{root}{pattern}"
    names = pattern.partition("?")[0] if is_web else pattern.replace("?", _LETTER)
    if pattern and (Pattern(names).names_files or has_query):
        return _named_by(pattern, root)
    if pattern or folder is not None:
        folder = folder or folder_on_server(root, options)
        found = None if folder is None else listed_on_server(folder, pattern, options)
        return found or _named_by(pattern, root)  # which says what it needs where nothing is listed
    return file_alone(url, "/")


def _named_by(pattern: str, root: str) -> Listing:
    """The files that a pattern names below a URL. A query, which signs for all of them, is added to each.

    In a bucket "?" is a letter like others.
    """
    query = ""
    if _is_web(root):
        (root, *ends), (pattern, *own) = (each.split("?", 1) for each in (root, pattern))
        query = "".join(f"?{end}" for end in own or ends)
    names = Pattern(pattern.replace("?", _LETTER)).names()
    files = tuple((fields, name.replace(_LETTER, "?") + query) for name, fields in names)
    return Listing(root.rstrip("/") + "/", files, pattern)


def _is_web(url: str) -> bool:
    """Whether "?" begins a query in it; in a bucket, it is a letter of a key."""
    return url.lower().startswith("http")


def listed_on_server(
    folder: FolderOnServer, pattern: str = "", options: StorageOptions = None, index: str = ""
) -> Listing | None:
    """The images in a folder and its subfolders; None if there are none. Blocks on the network.

    `index` is the name of the one in the folder that is opened. Raises `DatasetNotFoundError` if none of them
    matches a pattern that was given, `LimitExceededError` for too many.
    """
    given = Pattern(pattern) if pattern else None
    depth = MAX_DEPTH if given is None or given.depth is None else given.depth
    warnings: list[str] = []
    names, beside = _names_below(folder, depth, warnings)
    if not names:
        return None
    if given is None:
        found = _by_index(folder, names, beside, warnings, options, index)
    else:
        found = Listing(folder.shown, matching(given, names, folder.shown), pattern, tuple(warnings))
    files = tuple((fields, folder.end_of_address(name)) for fields, name in found.files)
    urls = tuple(folder.address + folder.end_of_address(name) for name in beside)
    return found._replace(root=folder.address, files=files, beside=urls)


def _by_index(
    folder: FolderOnServer,
    names: list[str],
    beside: list[str],
    warnings: list[str],
    options: StorageOptions,
    named: str = "",
) -> Listing:
    """What the images are by the index that was `named`, or the one of a set in the folder; else by names."""
    found: Listing | None = None
    indexes = [name for name in beside if "/" not in name and is_own_index(name)]
    indexes = [named] * is_own_index(named) if named else indexes

    def text_of(index: str) -> str:
        return index_text(folder.address + folder.end_of_address(index), access_options(options)) or ""

    if len(indexes) != 1:
        by_names = listing_of(folder.shown, folder.shown.rstrip("/"), names, warnings)
        below = [] if named or indexes else [name for name in beside if "/" in name and is_own_index(name)]
        return with_indexes_below(by_names, below, text_of) if below else with_choice(by_names, indexes)
    text = text_of(indexes[0])
    is_htd = indexes[0].lower().endswith(HTD_END)
    if not is_htd:
        here = [name for name in names if "/" not in name]
        found = listed_by_nd(folder.shown, here, indexes[0], text, is_named=bool(named))
    elif named:
        names = names_of_plate(names, stem_of(named)) or names
    found = found or listing_of(folder.shown, folder.shown.rstrip("/"), names, warnings)
    return with_htd(found, text) if is_htd else found


def grown_on_server(folder: FolderOnServer, listing: Listing, catalogue: FileCatalogue) -> Grown | None:
    """List a folder again, and add its new files that are named like the others; None if there are none.

    Blocks on the network. Raises a `DatasetError`.
    """
    folder.forget()
    names, _ = _names_below(folder, MAX_DEPTH, [])
    return with_added(folder, names, listing, catalogue)


def with_added(
    folder: FolderOnServer, names: Iterable[str], listing: Listing, catalogue: FileCatalogue
) -> Grown | None:
    """Add those of the images in a folder that are new, and named like the others; None if there are none."""
    known = {name for _, name in listing.files}
    ending = os.path.splitext(listing.files[0][1])[1].lower()
    new = [
        name
        for name in sorted(names)
        if folder.end_of_address(name) not in known
        and name.lower().endswith(ending)
        and not is_thumbnail(name)
    ]
    if listing.pattern:
        pattern = Pattern(listing.pattern)
        read = [(fields_of(pattern, name), folder.end_of_address(name)) for name in new]
        fitting = tuple((fields, name) for fields, name in read if fields is not None)
    else:  # each is a time point
        n = len(catalogue.files)
        fitting = tuple(({"t": str(n + i)}, folder.end_of_address(name)) for i, name in enumerate(new))
    if not fitting:
        return None
    catalogue.add(fitting)
    return Grown(listing._replace(files=(*listing.files, *fitting)), catalogue)


def holds_images_on_server(folder: FolderOnServer) -> bool:
    """Whether there is an image in a folder, or in one of its first subfolders; searches no further."""
    level = [""]
    for _ in range(MAX_DEPTH + 1):
        inner: list[str] = []
        for inside, found in zip(level, folder.names_of_all(level), strict=True):
            if any(is_wanted(name) and is_image(name) for name in found.files):
                return True
            inner += [f"{inside}{name}/" for name in natural_sorted(found.folders) if is_wanted_folder(name)]
        level = inner[:_LOOKED_INTO]
    return False


def images_added(folder: FolderOnServer, inside: str, before: NamesInFolder, now: NamesInFolder) -> list[str]:
    """The images that have come into the folder `inside`, also in new folders. Blocks on the network."""
    files = sorted(set(now.files) - set(before.files))
    folders = natural_sorted(set(now.folders) - set(before.folders))
    names = [inside + name for name in files if is_wanted(name) and is_image(name)]
    level = [f"{inside}{name}/" for name in folders if is_wanted_folder(name)]
    depth = MAX_DEPTH - inside.count("/") - 1
    return names + _names_below(folder, depth, [], level)[0] if level and depth >= 0 else names


def _names_below(
    folder: FolderOnServer, depth: int, warnings: list[str], level: Sequence[str] = ("",)
) -> tuple[list[str], list[str]]:
    """The images in the folders `level` and below, level by level, and what describes them.

    What is left out is said in a warning.
    """
    names, beside = list[str](), list[str]()
    n_listed = 0
    for _ in range(depth + 1):
        listed = level[: MAX_LISTED - n_listed]
        n_listed += len(listed)
        inner: list[str] = []
        for inside, found in zip(listed, folder.names_of_all(listed), strict=True):
            if found.is_cut:
                warnings.append(
                    f"{folder.shown}{inside} contains more files than can be listed: some are shown"
                )
            names += [inside + name for name in found.files if is_wanted(name) and is_image(name)]
            beside += [inside + name for name in found.files if is_read_beside(name)]
            inner += [f"{inside}{name}/" for name in natural_sorted(found.folders) if is_wanted_folder(name)]
        if len(names) > MAX_BELOW:
            raise LimitExceededError(f"{folder.shown} contains more than {MAX_BELOW} images")
        if len(listed) < len(level):
            left_out = f"{how_many(len(level) - len(listed), 'folder')} in it left out"
            warnings.append(f"{folder.shown} contains more than {MAX_LISTED} folders: {left_out}")
            break
        level = inner
    return names, beside
