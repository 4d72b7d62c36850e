"""Sets of TIFF files whose planes are listed in an index beside them (NDTiff)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ...errors import DatasetError
from ...metadata.micromanager import NOWHERE, plane_position, summary_steps
from ...metadata.ndtiff import INDEX, index_entries, ndtiff_images, summary_range
from ...storage.bytes import is_url
from ...storage.limits import MAX_METADATA_BYTES
from .set_files import beside

if TYPE_CHECKING:
    from ...metadata.micromanager import StageUm
    from ...metadata.ndtiff import IndexEntry
    from ...metadata.tiff_layout import TiffImage
    from ...storage.bytes import Bytes
    from ..tiff_files import TiffFiles

BELOW = "Full resolution"
"""Where older versions put the index and the files, beside coarser levels."""
_MAX_INDEX_BYTES = 4 * 1024**3


def index_of(path: str) -> str | None:
    """The folder of an index in a local folder, or beside a file; None if there is none.

    On a server, which need not list its folders, that of the index itself.
    """
    if is_url(path):
        folder, _, name = path.rpartition("/")
        return folder if name == INDEX else None
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    for each in (folder, os.path.join(folder, BELOW)):
        if os.path.isfile(os.path.join(each, INDEX)) and (os.path.isdir(path) or each == folder):
            return each
    return None


def in_folder(folder: str, name: str) -> str:
    """The path or URL of a file in a folder."""
    return beside(f"{folder}/", name) if is_url(folder) else os.path.join(folder, name)


def indexed_images(folder: str, files: TiffFiles) -> list[TiffImage]:
    """The images that the index in a folder lists; the file of each plane is named by its path."""
    path = in_folder(folder, INDEX)
    with files.bytes_of(path) as file:
        entries = index_entries(file.read(0, min(file.size, _MAX_INDEX_BYTES)), path)

    def position_of(entry: IndexEntry) -> StageUm:
        """By the JSON of a plane; from servers it would be a request for each position."""
        if is_url(folder):
            return NOWHERE
        try:
            with files.bytes_of(in_folder(folder, entry.file)) as file:
                return plane_position(_of_plane(entry, file))
        except DatasetError:
            return NOWHERE

    return ndtiff_images(entries, path, _steps(folder, entries[0], files), position_of)


def _steps(folder: str, first: IndexEntry, files: TiffFiles) -> dict[str, float | None]:
    """Steps by the JSON of the first plane and of the file that contains it; none if that is unreadable."""
    try:
        with files.bytes_of(in_folder(folder, first.file)) as file:
            place = summary_range(file.read(0, min(28, file.size)))
            summary = _json(file.read(*place)) if place is not None and sum(place) <= file.size else None
            plane = _of_plane(first, file)
    except DatasetError:
        return {}
    return summary_steps(summary, plane)


def _of_plane(entry: IndexEntry, file: Bytes) -> Any:
    """What is said of a plane in its file; None if nothing is."""
    n = entry.metadata_length
    is_there = 0 < n <= MAX_METADATA_BYTES and entry.metadata_at + n <= file.size
    return _json(file.read(entry.metadata_at, n)) if is_there else None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.rstrip(b"\0 "))
    except (ValueError, RecursionError):
        return None
