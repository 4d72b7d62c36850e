"""Files of references: what they look like, and how they are opened."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ...storage.bytes import name_of, split_inner
from ..format import Format
from . import lindi_tar
from .reference_file import JSON_ENDING

if TYPE_CHECKING:
    from ...storage.beginning import Beginning
    from ..source import Source, StorageOptions

_OF_ZARR = ("zarr.json",)
_REFERENCES = re.compile(
    rb'"refs"\s*:\s*\{|"(?:[^"]*/)?(?:\.z(?:array|attrs|group|metadata)|zarr\.json)"\s*:'
)


class ReferencesFormat(Format):
    """References of kerchunk and LINDI, as JSON files or in LINDI's tar, local or at a URL."""

    name = "references"

    def recognises(self, path: str) -> bool:
        """Whether `path` is a JSON file, judging by its name."""
        file = split_inner(path)[0]
        name = name_of(file).lower()
        is_named = name.endswith((JSON_ENDING, lindi_tar.LINDI_TAR)) and name not in _OF_ZARR
        return is_named and not os.path.isdir(file)

    def recognises_beginning(self, path: str, beginning: Beginning) -> bool:
        """Whether it is JSON with references or the metadata of arrays, or LINDI's tar."""
        if beginning.starts_with(lindi_tar.BEGINNING):
            return True
        return beginning.text.startswith(b"{") and _REFERENCES.search(beginning.text) is not None

    def open(self, path: str, options: StorageOptions = None) -> Source:
        """See `ReferencesSource.open`."""
        from .source import ReferencesSource

        return ReferencesSource.open(path, options)
