"""OME-Zarr: what it looks like, and how it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata.bdv_xml import SPIM_DATA, ZARR_LOADER
from ...storage.bytes import is_url, name_of, split_inner
from ...storage.trees.open_tree import open_tree
from ...storage.trees.tree import is_archive, is_store_by_name, is_zip, names_zarr
from ..format import Format
from . import layouts

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..source import Source, StorageOptions


class ZarrFormat(Format):
    """Zarr v2 and v3, OME-NGFF 0.4 to 0.6, in folders, archives and on servers."""

    name = "ome-zarr"

    def recognises(self, path: str) -> bool:
        """Whether `path` looks like OME-Zarr; a URL is judged by its name."""
        if is_url(path):
            return names_zarr(path)
        file, _ = split_inner(path)
        if is_archive(file):
            return _archive_holds_zarr(file)
        return layouts.recognises(file)

    def is_certain(self, path: str) -> bool:
        """Whether the name says that it is a store; an archive is a file like others."""
        return is_store_by_name(path)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it is an archive, in which is looked when it is opened, or XML that names a Zarr store."""
        if _is_xml(path) and SPIM_DATA in beginning.head and ZARR_LOADER.encode() in beginning.head:
            return True
        return is_zip(beginning.head) and (is_url(path) or _archive_holds_zarr(split_inner(path)[0]))

    def open_folder_on_server(
        self, path: str, folder: FolderOnServer, options: StorageOptions = None
    ) -> Source | None:
        """See `Format.open_folder_on_server`: one that is a store, or has stores in it, by its names."""
        return self.open(path, options) if layouts.recognises(folder.tree.root, folder.tree) else None

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `ZarrSource.open`; the XML file of a BigStitcher project opens its store."""
        from .source import ZarrSource
        from .time_points import names_beside, over_time, store_of

        xml_path = path if _is_xml(path) else ""
        store = store_of(path, options) if xml_path else path
        stores = ZarrSource.open(store, options, lambda: names_beside(store, options, xml_path))
        return over_time(stores, store, options, xml_path)


def _is_xml(path: str) -> bool:
    return name_of(path).lower().endswith(".xml")


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
