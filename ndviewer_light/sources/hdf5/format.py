"""HDF5 and NWB: what they look like, and how they are opened."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from ...metadata.bdv_xml import SPIM_DATA
from ...storage.bytes import is_url, name_of, split_inner
from ..format import Format
from .chunk_index.structures import SIGNATURE

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ..source import Source, StorageOptions

ENDINGS = (".h5", ".hdf5", ".hdf", ".he5", ".nwb", ".ims")

_SIGNATURE_PLACES = (0, 512, 1024, 2048)
_SIGNATURE_PLACES_FAR = (*_SIGNATURE_PLACES, 4096, 8192, 16384, 32768)
_CONTENT_TYPES = ("hdf5", "x-nwb", "/nwb")


class HDF5Format(Format):
    """HDF5 files, NWB among them, local or at a URL."""

    name = "hdf5"

    def recognises(self, path: str) -> bool:
        """Whether `path` has an HDF5 extension or, if local, the HDF5 signature."""
        file, _ = split_inner(path)
        if is_url(file):
            return name_of(file).lower().endswith(ENDINGS)
        if not os.path.isfile(file):
            return False
        return file.lower().endswith(ENDINGS) or _has_signature(file)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it has the signature, perhaps behind a user block, or its server says that it is HDF5.

        Or it is BigDataViewer's XML file, which names one.
        """
        if name_of(path).lower().endswith(".xml") and SPIM_DATA in beginning.head:
            return True
        places = itertools.takewhile(lambda at: at < len(beginning.head), _SIGNATURE_PLACES_FAR)
        if any(beginning.head.startswith(SIGNATURE, at) for at in places):
            return True
        return any(kind in beginning.content_type for kind in _CONTENT_TYPES)

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
