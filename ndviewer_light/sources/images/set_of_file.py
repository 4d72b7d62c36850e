"""The set of images that a single one belongs to, by the names that instruments give their files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import DatasetError
from .conventions import PARTS, SQUIDS
from .found_images import found_images
from .indexed_sets import indexes_in, listed_with_index, nd_of, with_index
from .listing import is_image, listed
from .name_layouts import follows_a_convention

if TYPE_CHECKING:
    from ..source import StorageOptions
    from .found_images import FoundImages

_MOST_FOLDERS_UP = 3


def found_set_of(path: str, options: StorageOptions = None) -> FoundImages | None:
    """The set that a local file is a part of, seen from its position on; None if it is alone.

    Only names of a known convention that leave no doubt make a set: of other files in a folder, nobody knows
    whether they are wanted. Squid's are understood by what else Squid writes. Blocks on disk.
    """
    if not is_image(path):
        return None
    folder, name = os.path.split(os.path.abspath(path))
    for _ in range(_MOST_FOLDERS_UP):
        above, last = os.path.split(folder)
        if not last or PARTS.fullmatch(last) is None:
            break
        folder, name = above, f"{last}/{name}"
    if (found := _of_own_index(os.path.abspath(path), options)) is not None:
        return found
    if not follows_a_convention(os.path.splitext(name)[0]):
        return None
    try:
        listing = listed(folder)
    except DatasetError:
        return None
    is_part = any(each == name for _, each in listing.files)
    is_set = is_part and len(listing.files) > 1 and listing.convention not in ("", SQUIDS)
    if not is_set:
        return None
    indexed = with_index(folder, indexes_in(folder), options, known=listing)
    known = indexed if any(each == name for _, each in indexed.files) else listing
    return found_images(folder, options, known=known, first=name)


def _of_own_index(path: str, options: StorageOptions) -> FoundImages | None:
    """The set of an ``.nd`` beside a local file that lists it; None if there is none."""
    index = nd_of(path)
    if index is None:
        return None
    try:
        listing = listed_with_index(index, options)
    except DatasetError:
        return None
    name = os.path.basename(path)
    is_part = (
        listing.said is not None and len(listing.files) > 1 and any(each == name for _, each in listing.files)
    )
    return found_images(os.path.dirname(path), options, known=listing, first=name) if is_part else None
