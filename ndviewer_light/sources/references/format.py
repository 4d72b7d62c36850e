"""Files of references: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...storage.bytes import is_url, split_inner
from ..format import Format
from .reference_file import ENDING

if TYPE_CHECKING:
    from ..source import Source, StorageOptions

_OF_ZARR = ("zarr.json",)


class ReferencesFormat(Format):
    """References of kerchunk and LINDI, as JSON files, local or at a URL."""

    name = "references"

    def recognises(self, path: str) -> bool:
        """Whether `path` is a JSON file, judging by its name."""
        file = split_inner(path)[0]
        name = os.path.basename(urlsplit(file).path if is_url(file) else file).lower()
        return name.endswith(ENDING) and name not in _OF_ZARR and not os.path.isdir(file)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `ReferencesSource.open`."""
        from .source import ReferencesSource

        return ReferencesSource.open(path, options)
