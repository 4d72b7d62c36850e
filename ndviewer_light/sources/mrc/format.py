"""MRC files: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import is_url, name_of
from ..format import Format

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ..source import Source, StorageOptions

ENDINGS = (".mrc", ".mrcs", ".ccp4")
"""``.map`` is used for other files as well: those are recognised by their beginning."""
_MAP_AT = 208
_MAP = b"MAP"
_STAMPS = (b"\x44\x44", b"\x44\x41", b"\x11\x11")
"""Machine stamps: little endian (twice) and big endian."""


class MrcFormat(Format):
    """MRC and CCP4 maps, local or at a URL."""

    name = "mrc"

    def recognises(self, path: str) -> bool:
        """Whether `path` ends as MRC files do."""
        return name_of(path).lower().endswith(ENDINGS) and (is_url(path) or os.path.isfile(path))

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it has the word and the machine stamp of MRC 2000 and later."""
        head = beginning.head[_MAP_AT : _MAP_AT + 6]
        return head.startswith(_MAP) and head[4:] in _STAMPS

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `MrcSource.open`."""
        from .source import MrcSource

        return MrcSource.open(path, options)
