"""Nikon ND2: what it looks like, and how it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...storage.bytes import is_url
from ..format import Format
from .chunk_map import MODERN

if TYPE_CHECKING:
    from ..source import Source, StorageOptions


class Nd2Format(Format):
    """Files of NIS-Elements, local or at a URL."""

    name = "nd2"

    def recognises(self, path: str) -> bool:
        """Whether `path` ends in ``.nd2`` or has the signature of a modern ND2 file."""
        if is_url(path):
            return urlsplit(path).path.lower().endswith(".nd2")
        if not os.path.isfile(path):
            return False
        if path.lower().endswith(".nd2"):
            return True
        try:
            with open(path, "rb") as file:
                return file.read(len(MODERN)) == MODERN
        except OSError:
            return False

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `Nd2Source.open`."""
        from .source import Nd2Source

        return Nd2Source.open(path, options)
