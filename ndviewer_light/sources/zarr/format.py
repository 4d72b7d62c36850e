"""OME-Zarr: what it looks like, and how it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...storage.bytes import is_url, split_inner
from ...storage.trees.open_tree import open_tree
from ...storage.trees.tree import is_archive, names_zarr
from ..format import Format
from . import layouts

if TYPE_CHECKING:
    from ..source import Source, StorageOptions


class ZarrFormat(Format):
    """Zarr v2 and v3, OME-NGFF 0.4 and 0.5, in folders, archives and on servers."""

    name = "ome-zarr"

    def recognises(self, path: str) -> bool:
        """Whether `path` looks like OME-Zarr; a URL is judged by its name."""
        if is_url(path):
            return names_zarr(path)
        file, _ = split_inner(path)
        return _archive_holds_zarr(file) if is_archive(file) else layouts.recognises(path)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `ZarrSource.open`."""
        from .source import ZarrSource

        return ZarrSource.open(path, options)


def _archive_holds_zarr(path: str) -> bool:
    if path.lower().endswith((".ozx", ".zarr.zip")):
        return True
    try:
        tree = open_tree(path)
    except DatasetError:
        return False
    try:
        return layouts.recognises(tree.root, tree)
    finally:
        tree.close()
