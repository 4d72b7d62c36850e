"""TIFF: in every form Squid writes, and by what is inside; what it looks like, and how it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata.ndtiff import INDEX
from ...metadata.ome_document import COMPANIONS
from ...storage.bytes import is_url, name_of
from ...storage.decoding.ifd_chain import TIFF_STARTS
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.local_files import open_regular
from ..format import Format
from .file_names import SINGLE_IMAGE_ENDS

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..source import Source, StorageOptions


class TiffFormat(Format):
    """TIFF files, single or in sets, local or at a URL; folders as Squid writes them; a PNG or BMP."""

    name = "tiff"

    def recognises(self, path: str) -> bool:
        """Whether `path` is an image file, or a folder of Squid's or of files that describe each other."""
        if is_url(path):
            name = name_of(path)
            return (_is_named_tiff(name) or name == INDEX) and "{" not in path
        if os.path.isdir(path):
            from .folders import kind_of

            return kind_of(path) is not None or _is_set(path) or _only_set_in(path) is not None
        return path.lower().endswith(SINGLE_IMAGE_ENDS) or _is_named_tiff(path)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it begins like a TIFF."""
        return beginning.starts_with(*TIFF_STARTS)

    def open_folder_on_server(
        self, path: str, folder: FolderOnServer, options: StorageOptions = None
    ) -> Source | None:
        """See `Format.open_folder_on_server`: one with a set of files that describe each other."""
        from .set_source import TiffSetSource

        return TiffSetSource.open_in_folder(folder, options)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `TiffSource.open` for what Squid wrote, `TiffSetSource.open` for the rest."""
        from .set_source import TiffSetSource
        from .source import TiffSource

        if is_url(path) or _is_own_set(path):
            within = _only_set_in(path) if os.path.isdir(path) and not _is_set(path) else None
            return TiffSetSource.open(within or path, options)
        return TiffSource.open(path, options)


def _is_named_tiff(path: str) -> bool:
    return path.lower().endswith((*TIFF_KINDS, *COMPANIONS))


def _begins_like_tiff(path: str) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(4) in TIFF_STARTS
    except (DatasetError, OSError, ValueError):
        return False


def _is_set(folder: str) -> bool:
    from ..tiff_files import TiffFiles
    from .sets import begins_set

    files = TiffFiles(None)
    try:
        return begins_set(folder, files) is not None
    finally:
        files.close()


def _only_set_in(folder: str) -> str | None:
    """The folder with a set of files that is the only thing in `folder`, as ome-writers makes them; or None.

    Hidden files do not count.
    """
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    found.append(entry)
                    if len(found) > 1 or not entry.is_dir(follow_symlinks=False):
                        return None
    except OSError:
        return None
    return found[0].path if found and _is_set(found[0].path) else None


def _is_own_set(path: str) -> bool:
    """Whether a local path is understood by what is inside, rather than as a part of what Squid wrote."""
    from .folders import IMAGES, form_of_file, kind_of

    if os.path.isdir(path):
        return kind_of(path) is None
    if not (_is_named_tiff(path) or _begins_like_tiff(path)):
        return False
    form = form_of_file(path)
    return form is None or (form == IMAGES and _has_several_pages(path))


def _has_several_pages(path: str) -> bool:
    """Whether a TIFF has more than the one page of Squid's images; False if it cannot be read."""
    from ..tiff_files import TiffFiles

    files = TiffFiles(None)
    try:
        with files.opened(path) as tiff:
            return len(tiff.pages.facts) > 1
    except DatasetError:
        return False
    finally:
        files.close()
