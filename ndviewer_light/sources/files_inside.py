"""The files in a folder that are datasets by themselves, other than pictures: what may be opened as well."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from ..model import natural_key
from ..storage.asked_together import asked_together
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
            found = [
                entry
                for entry in islice(entries, _MOST_ENTRIES)
                if not entry.name.startswith(".") and not entry.name.lower().endswith(_PASSED_OVER)
            ]
    except (OSError, ValueError):
        return ""
    first = sorted(found, key=lambda entry: natural_key(entry.name))[:_MOST_LOOKED_AT]
    are_files = asked_together(_is_file, first)  # mostly without asking the disk
    names = [entry.name for entry, is_file in zip(first, are_files, strict=True) if is_file]
    names = [name for name in names if recognises(os.path.join(path, name))]
    more = f" and {len(names) - _MOST_SAID} more" if len(names) > _MOST_SAID else ""
    return ", ".join(map(repr, names[:_MOST_SAID])) + more


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
