"""The interface `Format`: what recognises datasets of one format, and opens them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..storage.beginning import Beginning
    from ..storage.trees.folder_on_server import FolderOnServer
    from .remarks import Remark
    from .source import Source, StorageOptions


class Format(ABC):
    """One format: recognises its datasets, and opens them as a `Source`.

    Any thread; stateless. Import the library that reads the format in `open`, not at module level:
    every format is tried on every path.
    """

    name: str
    """As users read it, "ome-zarr"."""

    @abstractmethod
    def recognises(self, path: str) -> bool:
        """Whether `path` looks like this format, judging by names and small files; opens no array.

        `path` is absolute, or a URL (judge only its name), or ``file::/path/inside``.
        """

    def is_certain(self, path: str) -> bool:
        """Whether the name of a URL alone tells that it is this format: then nothing is read to recognise it.

        For formats of which a dataset is no single file.
        """
        return False

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether a file at `path` that begins so is of this format, whatever its name is.

        For a URL this counts before names, for a file on this machine after them. Reads nothing.
        """
        return False

    def open_folder_on_server(
        self, path: str, folder: FolderOnServer, options: StorageOptions = None
    ) -> Source | None:
        """Open the dataset in a folder of a server that lists it; None if there is none of this format.

        Asked of formats of many files, where there is a page of links at the URL `path`, or neither a file
        nor an OME-Zarr. Raises a `DatasetError`.
        """
        return None

    def open_set_of(self, path: str, options: StorageOptions = None) -> Source | None:
        """Open the dataset of this format that a local file is one of many of; None if it is of none.

        Asked where the file by itself is a plane, or a stack.
        """
        return None

    def remark_on(self, path: str) -> Remark | None:
        """What to say of a local file that is shown by itself, and other ways to open it; None if nothing.

        Asked where it is a plane, or a stack, and of no set that is certain.
        """
        return None

    @abstractmethod
    def open(self, path: str, options: StorageOptions = None) -> Source:
        """Open the dataset at `path` (or URL), reading its metadata only; raises a `DatasetError`.

        `options` are access options ("endpoint", "anonymous", …).
        """
