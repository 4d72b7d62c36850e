"""Pyramid levels that were made and never filled: arrays without chunks beside those that have some."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.trees.tree import METADATA_FILES

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage

_MOST_KNOWN = 100_000


class FilledLevels:
    """Of which levels of images in folders and archives anything is stored. Any thread; looks at folders."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.can_tell = tree.packed or not tree.remote
        """On a server, each folder would take a request."""
        self._filled: set[str] = set()  # arrays; one that is empty may be filled later

    def at_least_as_fine(self, image: ZarrImage, level: int) -> int:
        """`level` of an image, or the next finer one that was filled; `level` if none was.

        `image` is its largest level. Writers may make all arrays first, and fill small ones later or never.
        """
        paths = image.meta.paths
        if not self.can_tell or level == 0 or level >= len(paths):
            return level
        group = image.array.removesuffix(paths[0].strip("/"))
        filled = (i for i in range(level, -1, -1) if self._is_filled(group + paths[i].strip("/")))
        return next(filled, level)

    def _is_filled(self, array: str) -> bool:
        if array in self._filled:
            return True
        is_filled = self._packed_chunks(array) if self._tree.packed else _holds_chunks(array)
        if is_filled:
            if len(self._filled) >= _MOST_KNOWN:
                self._filled.clear()
            self._filled.add(array)
        return is_filled

    def _packed_chunks(self, folder: str) -> bool:
        """`_holds_chunks` for a folder in an archive."""
        folders = self._tree.folders(folder)
        is_here = bool({*self._tree.names(folder)}.difference(folders, METADATA_FILES))
        return is_here or any(self._packed_chunks(self._tree.join(folder, name)) for name in folders)


def _holds_chunks(folder: str) -> bool:
    """Whether there is any file besides metadata, also in folders below; looks no further than the first."""
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name[0] != "."
                and entry.name not in METADATA_FILES
                and (not entry.is_dir(follow_symlinks=False) or _holds_chunks(entry.path))
                for entry in entries
            )
    except OSError:
        return False
