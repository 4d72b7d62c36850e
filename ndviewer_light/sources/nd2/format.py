"""Nikon ND2: what it looks like, and how it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import is_url, name_of
from ..format import Format
from .chunk_map import LEGACY, MODERN

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ..source import Source, StorageOptions


class Nd2Format(Format):
    """Files of NIS-Elements, local or at a URL."""

    name = "nd2"

    def recognises(self, path: str) -> bool:
        """Whether `path` ends in ``.nd2``."""
        if is_url(path):
            return name_of(path).lower().endswith(".nd2")
        return path.lower().endswith(".nd2") and os.path.isfile(path)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it has the signature; that of files before 2010 is that of any JPEG 2000 file as well."""
        is_named = name_of(path).lower().endswith(".nd2")
        return beginning.starts_with(MODERN) or (is_named and beginning.starts_with(LEGACY))

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `Nd2Source.open`."""
        from .source import Nd2Source

        return Nd2Source.open(path, options)
