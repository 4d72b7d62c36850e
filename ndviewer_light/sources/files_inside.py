"""The files in a folder that are datasets by themselves, other than pictures: what may be opened as well."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from ..model import natural_sorted
from ..storage.decoding.pictures import PICTURE_ENDS
from ..storage.decoding.tiff_pages import TIFF_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_ENTRIES, _MOST_LOOKED_AT, _MOST_SAID = 4096, 64, 3
_PASSED_OVER = (*TIFF_KINDS, *PICTURE_ENDS, ".json", ".txt", ".csv", ".xml", ".log", ".yaml", ".zarr")


def files_inside(path: str, recognises: Callable[[str], bool]) -> str:
    """The names of some such files in a local folder, in words; "" if there is none. Blocks on disk.

    `recognises` is asked of a few.
    """
    try:
        with os.scandir(path) as entries:
            names = [
                entry.name
                for entry in islice(entries, _MOST_ENTRIES)
                if not entry.name.startswith(".") and not entry.name.lower().endswith(_PASSED_OVER)
            ]
    except (OSError, ValueError):
        return ""
    paths = (os.path.join(path, name) for name in natural_sorted(names)[:_MOST_LOOKED_AT])
    found = [os.path.basename(each) for each in paths if os.path.isfile(each) and recognises(each)]
    more = f" and {len(found) - _MOST_SAID} more" if len(found) > _MOST_SAID else ""
    return ", ".join(map(repr, found[:_MOST_SAID])) + more
