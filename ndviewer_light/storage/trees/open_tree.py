"""Opens the tree of a dataset, local or remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bytes import absolute, is_url, split_inner
from ..open_bytes import open_bytes
from .tree import LocalTree, is_archive
from .zip import ZipTree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tree import Tree


def open_tree(path: str, options: Mapping[str, str] | None = None) -> Tree:
    """The tree in a local folder, below a URL, or in a zip archive, whose directory is read.

    Raises a `DatasetError`.
    """
    file, inner = split_inner(path)
    if is_archive(file):
        return ZipTree(open_bytes(absolute(file), options), inner)
    if is_url(path):
        from .url import UrlTree  # most datasets are local

        return UrlTree(path, options)
    return LocalTree(path, options)
