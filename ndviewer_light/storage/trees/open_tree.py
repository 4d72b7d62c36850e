"""Opens the tree of a dataset, local or remote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ..bytes import absolute, is_url, split_inner
from ..limits import safe_node
from ..offered import beginning_offered
from ..open_bytes import open_bytes
from .tree import LocalTree, is_archive, is_zip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tree import Tree

_ZIP_BYTES = 4


def open_tree(path: str, options: Mapping[str, str] | None = None) -> Tree:
    """The tree in a local folder, below a URL, or in a zip archive, whose directory is read.

    ``x.zarr::labels/cells`` is the group ``labels/cells`` in it.
    Raises a `DatasetError`.
    """
    file, inner = split_inner(path)
    if is_archive(file) or _begins_like_an_archive(file):
        from .zip import ZipTree  # few datasets are in archives

        return ZipTree(open_bytes(absolute(file), options), inner)
    if is_url(path):
        from .url import UrlTree  # most datasets are local

        names = safe_node(inner, file)
        tree = UrlTree(_joined(file, names, "/"), options)
        if names and tree.root.endswith(f"/{names}"):
            tree.top = tree.root[: -len(names) - 1]
        return tree
    return LocalTree(_joined(file, safe_node(inner, file), os.sep), options, file if inner else "")


def _begins_like_an_archive(file: str) -> bool:
    """Whether a file without the extension of an archive is one: on a server, if it was just looked at."""
    if is_url(file):
        return is_zip(beginning_offered(file, _ZIP_BYTES))
    if not os.path.isfile(file):
        return False
    try:
        source = open_bytes(absolute(file))
    except DatasetError:
        return False
    try:
        return is_zip(source.read(0, min(_ZIP_BYTES, source.size)))
    finally:
        source.close()


def _joined(path: str, inner: str, sep: str) -> str:
    """The path of a group inside a store; of a URL, its query stays at the end."""
    if not inner:
        return path
    base, mark, query = path.partition("?") if sep == "/" and path[:4].lower() == "http" else (path, "", "")
    return base.rstrip(sep) + sep + inner.replace("/", sep) + mark + query
