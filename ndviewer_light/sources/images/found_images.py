"""Images at a path or URL as they were found: what is there, and how it is read, before any is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ...storage.bytes import check_address, is_url, name_of
from ...storage.local_files import LinkGuard
from .file_reader import ImageFiles
from .index_on_server import listed_by_index
from .indexed_sets import is_index, is_index_name, listed_with_index
from .listing import PATTERN, listed
from .on_server import listed_at_url
from .patterns import is_pattern

if TYPE_CHECKING:
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..source import StorageOptions
    from .listing import Listing


class FoundImages(NamedTuple):
    """What there is at a path, and the reader of its files, for whoever opens it to close.

    `by_user`: the pattern of the names was given, by a person or an index, rather than found.
    `folder` is the one of a URL. `first` is the name of the file at whose position a view begins.
    """

    path: str
    listing: Listing
    files: ImageFiles
    by_user: bool = False
    folder: FolderOnServer | None = None
    first: str = ""


def found_images(
    path: str,
    options: StorageOptions = None,
    folder: FolderOnServer | None = None,
    *,
    known: Listing | None = None,
    first: str = "",
) -> FoundImages:
    """List the images at `path`, or beside the index there; folders are listed, unless that is `known`.

    The option "pattern" describes the file names. `folder` is the one of a URL. Raises a `DatasetError`.
    """
    options = dict(options or {})
    pattern = options.pop(PATTERN, "")
    path = path if is_url(path) else os.path.abspath(os.path.expanduser(path))
    index = path if is_index(path) and not os.path.isdir(path) else ""
    path = os.path.dirname(path) if index else path
    if pattern and not is_url(path) and os.path.isfile(path):
        path, first = os.path.split(path)
    if is_url(path):
        check_address(path)
        if folder is None and not pattern and is_index_name(name_of(path)):
            listing, folder = listed_by_index(path, options)
        else:
            listing = listed_at_url(path, pattern, options, folder)
    else:
        given = bool(pattern) or is_pattern(path)
        listing = known or (listed(path, pattern) if given else listed_with_index(index or path, options))
    links = None
    if not is_url(listing.root):
        links = LinkGuard([listing.root], named=path, options=options)
    files = ImageFiles(options, links, listing.beside, listing.said)
    by_user = bool(pattern) or is_pattern(path) or bool(listing.title)
    return FoundImages(path, listing, files, by_user, folder, first)
