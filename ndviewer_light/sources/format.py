"""The interface `Format`: what recognises datasets of one format, and opens them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .source import Source, StorageOptions


class Format(ABC):
    """One format: whether a path is of it, and the way to a `Source` of what lies there.

    Any thread; keeps nothing. The library that reads the format is imported in `open`, not by its own module:
    every format is asked about every path.
    """

    name: str
    """As users read it, "ome-zarr"."""

    @abstractmethod
    def recognises(self, path: str) -> bool:
        """Whether `path` looks like this format; looks at names and small files, opens no array.

        `path` is absolute, or a URL, of which only the name is looked at, or ``file::/path/inside``.
        """

    @abstractmethod
    def open(self, path: str, options: StorageOptions = None) -> Source:
        """Open the dataset at `path` (or URL), reading its metadata only; raises a `DatasetError`.

        `options` are those of the storage it lies on ("endpoint", "anonymous", …).
        """
