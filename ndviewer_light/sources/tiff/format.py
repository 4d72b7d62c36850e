"""TIFFs as Squid writes them, and single image files: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.bytes import is_url
from ..format import Format
from .file_names import IMAGE_ENDS

if TYPE_CHECKING:
    from ..source import Source, StorageOptions


class TiffFormat(Format):
    """Image files in every form Squid writes, and single ones; on this machine only."""

    name = "tiff"

    def recognises(self, path: str) -> bool:
        """Whether `path` is an image file, or a folder with images named as by Squid."""
        if is_url(path):
            return False
        if os.path.isdir(path):
            from .folders import kind_of

            return kind_of(path) is not None
        return path.lower().endswith(IMAGE_ENDS)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `TiffSource.open`."""
        from .source import TiffSource

        return TiffSource.open(path, options)
