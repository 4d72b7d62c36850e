"""A folder on a server that says what is in it: names of files, and their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ...errors import DatasetError
from ..asked_together import asked_at_once
from ..bytes import split_inner
from ..offered import access_options
from .tree import METADATA_FILES
from .url import UrlTree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .folder_pages import NamesInFolder

_LISTED_AT_ONCE = 32


class FolderOnServer:
    """The files below a URL, as far as its server lists its folders. Any thread; blocks on the network.

    Folders in it are named "" and "a/b/". What was listed once is remembered.
    """

    def __init__(self, tree: UrlTree, address: str) -> None:
        self.tree = tree
        """Its metadata files, for who reads them."""
        self.address = address
        """What the names of files are appended to: as it was given, with a slash at its end."""

    @property
    def shown(self) -> str:
        """The address as messages show it."""
        return self.tree.root + "/"

    def names(self, folder: str = "") -> NamesInFolder:
        """What is in a folder; nothing if the server does not say. Raises nothing."""
        return self.tree.listed(self._path(folder))

    def names_again(self, folder: str = "") -> NamesInFolder:
        """`names`, asked again; as before if the server does not answer. Raises nothing."""
        return self.tree.listed_again(self._path(folder))

    def _path(self, folder: str) -> str:
        return "/".join((self.tree.root, *folder.split("/")[:-1]))

    def forget(self) -> None:
        """Ask anew from now on."""
        self.tree.forget()

    def names_of_all(self, folders: Sequence[str], *, again: bool = False) -> list[NamesInFolder]:
        """What is in each of several folders, which are asked for together; `again`, see `names_again`."""
        ask = self.names_again if again else self.names
        return asked_at_once(ask, folders, _LISTED_AT_ONCE, "ndviewer-folders")

    def end_of_address(self, name: str) -> str:
        """What is appended to `address` for a file "a/b.png"; keys in buckets are not quoted."""
        return quote(name) if self.address[:4].lower() == "http" else name


def folder_on_server(url: str, options: Mapping[str, str] | None) -> FolderOnServer | None:
    """The folder at a URL; None if its server does not list it, or it is no folder of a web server or bucket.

    Raises nothing. Blocks on the network.
    """
    if split_inner(url)[1]:
        return None
    try:
        tree = UrlTree(url, access_options(options))
        tree.is_file(tree.join(tree.root, METADATA_FILES[0]))  # tells in which way the server is to be asked
        is_listed = tree.begin_listing()
    except DatasetError:
        return None
    address = url.partition("#")[0] if url[:4].lower() == "http" else url
    return FolderOnServer(tree, address.rstrip("/") + "/") if is_listed else None
