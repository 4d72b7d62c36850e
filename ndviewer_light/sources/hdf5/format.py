"""HDF5 and NWB: what they look like, and how they are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...storage.bytes import is_url, split_inner
from ..format import Format
from .chunk_index.structures import SIGNATURE

if TYPE_CHECKING:
    from ..source import Source, StorageOptions

ENDINGS = (".h5", ".hdf5", ".hdf", ".he5", ".nwb", ".ims")

_SIGNATURE_PLACES = (0, 512, 1024, 2048)


class HDF5Format(Format):
    """HDF5 files, NWB among them, local or at a URL."""

    name = "hdf5"

    def recognises(self, path: str) -> bool:
        """Whether `path` has an HDF5 extension or, if local, the HDF5 signature."""
        file, _ = split_inner(path)
        if is_url(file):
            return urlsplit(file).path.lower().endswith(ENDINGS)
        if not os.path.isfile(file):
            return False
        return file.lower().endswith(ENDINGS) or _has_signature(file)

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `HDF5Source.open`."""
        from .source import HDF5Source

        return HDF5Source.open(path, options)


def _has_signature(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            for place in _SIGNATURE_PLACES:
                file.seek(place)
                if file.read(len(SIGNATURE)) == SIGNATURE:
                    return True
    except (OSError, ValueError):
        return False
    return False
