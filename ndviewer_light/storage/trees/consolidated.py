"""Metadata of a whole hierarchy in one file, as zarr-python consolidates it: ``.zmetadata``, or a
``zarr.json``.

Some stores have no other metadata, or none that their server lets anybody read. It is a copy, which
grows old while a dataset is written: a node's own file comes first wherever there is one.
Source: ``consolidate_metadata`` of zarr-python 2 and 3; in v3 its place is the key ``consolidated_metadata``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...model import natural_sorted
from ..limits import parse_json, safe_relative

if TYPE_CHECKING:
    from ..limits import JsonObject

CONSOLIDATED = ".zmetadata"
_V2_NAMES = (".zarray", ".zattrs", ".zgroup")
_MAX_CONSOLIDATED_NODES = 200_000


def consolidated_files(document: JsonObject, where: str) -> dict[str, JsonObject]:
    """The metadata files that a document contains a copy of, by their paths below its group ("0/.zarray").

    {} if it contains none. Entries that are invalid, or lead out of the group, are left out.
    """
    if document.get("zarr_format") == 3:
        told = document.get("consolidated_metadata")
        return _files_of(told, where, v3=True) if isinstance(told, dict) else {}
    return _files_of(document, where, v3=False)


def _files_of(told: JsonObject, where: str, *, v3: bool) -> dict[str, JsonObject]:
    entries = told.get("metadata")
    found: dict[str, JsonObject] = {}
    for key, value in entries.items() if isinstance(entries, dict) else ():
        try:
            path = safe_relative(key, where)
        except DatasetError:
            continue
        if not isinstance(value, dict) or (not v3 and path.rpartition("/")[2] not in _V2_NAMES):
            continue
        found[f"{path}/zarr.json" if v3 else path] = value
        if len(found) == _MAX_CONSOLIDATED_NODES:
            break
    return found


class ConsolidatedFiles:
    """What consolidated metadata says of the files and folders of one dataset. Any thread.

    Paths are those of its tree, below the groups that were `add`ed; what was added last counts.
    """

    def __init__(self, sep: str) -> None:
        self._sep = sep
        self._files: dict[str, JsonObject] = {}
        self._below: dict[str, dict[str, None]] = {}
        self._read: dict[str, bytes] = {}

    def add(self, group: str, files: dict[str, JsonObject]) -> None:
        """Add the copies of metadata files below `group`."""
        known, below = dict(self._files), {path: dict(names) for path, names in self._below.items()}
        for relative, document in files.items():
            folder = group
            *folders, name = relative.split("/")
            for each in folders:
                below.setdefault(folder, {})[each] = None
                folder += self._sep + each
            known[folder + self._sep + name] = document
        self._files, self._below = known, below  # replaced, so that readers need no lock

    def learn(self, group: str, raw: bytes, where: str) -> None:
        """Add what the metadata file `raw` of `group` contains, unless it was read before or is invalid."""
        if self._read.get(where) == raw:
            return
        self._read[where] = raw
        with contextlib.suppress(DatasetError):
            self.add(group, consolidated_files(parse_json(raw, where), where))

    def document(self, path: str) -> JsonObject | None:
        """The copy of a metadata file; None if there is none."""
        return self._files.get(path)

    def folders(self, path: str) -> list[str]:
        """The groups and arrays in a group, in natural order; [] if none is known."""
        return natural_sorted(self._below.get(path, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._files, self._below, self._read = {}, {}, {}
