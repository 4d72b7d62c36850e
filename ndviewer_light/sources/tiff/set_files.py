"""Which file is meant where OME-XML refers to one: by UUID, which survives renaming, and by name.

Only files in the folder of the one that refers to them are ever considered.
"""

from __future__ import annotations

import os
import threading
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ...errors import DatasetError, PlaneNotStoredError
from ...metadata.ome_document import FileId, ome_document
from ...storage.bytes import is_url
from ...storage.decoding.tiff_pages import TIFF_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...metadata.ome_document import OmeDocument
    from ..tiff_files import TiffFiles

_MAX_SEARCHED = 1024
"""How many files of a folder are opened in search of one that was renamed."""
_TWINS_LOOKED_AT = 4


class SetFiles:
    """Resolves the references of one OME-XML. Any thread.

    `path` is the file that contains it, `pages` whether that is a TIFF itself.
    """

    def __init__(self, path: str, document: OmeDocument, files: TiffFiles, *, is_tiff: bool) -> None:
        self._folder, self._own_name = split_path(path)[0], name_said(path)
        self.path = path
        self.document = document
        self._files = files
        self._is_tiff = is_tiff
        self._lock = threading.Lock()  # guards the following
        self._uuids: dict[str, str] = {}
        self._found: dict[FileId, str] = {}
        self._searched: dict[str, str] | None = None
        self._by_name: bool | None = None

    def joined(self, name: str) -> str:
        """The path or URL of a file beside this one."""
        return beside(self._folder, name)

    def is_own(self, file: FileId) -> bool:
        """Whether a reference is to the file that contains it, as far as that is certain at once."""
        if not self._is_tiff:
            return False
        if file == FileId() or (not file.name and file.uuid == self.document.uuid):
            return True
        if self.names_decide:
            return file.name == self._own_name or self._is_left_over(file)
        if file.uuid and self.document.uuid:
            return file.uuid == self.document.uuid
        return file.name == self._own_name or self._is_left_over(file)

    def path_of(self, file: FileId) -> str:
        """The file that is meant; raises `PlaneNotStoredError` if it is not there."""
        if self.is_own(file):
            return self.path
        with self._lock:
            known = self._found.get(file)
        if known is not None:
            return known
        found = self._look_for(file)
        with self._lock:
            self._found[file] = found
        return found

    def named(self, file: FileId) -> str:
        """`path_of`, of a file on a server by its name: whether that is the one is seen when it is opened."""
        named = self.joined(file.name) if file.name else ""
        return named if is_url(named) and not self.is_own(file) else self.path_of(file)

    def _look_for(self, file: FileId) -> str:
        named = self.joined(file.name) if file.name else ""
        is_there = bool(named) and (is_url(named) or os.path.isfile(named))
        if is_there and (not file.uuid or self.names_decide or self._uuid_of(named) in ("", file.uuid)):
            return named
        if file.uuid and (found := self._search().get(file.uuid)) is not None:
            return found
        if is_there:
            raise PlaneNotStoredError(
                f"{named} is not the file that {self.path} refers to: it has another UUID. The file with "
                "these planes was moved"
            )
        raise PlaneNotStoredError(
            f"{named or 'a file with UUID ' + file.uuid} does not exist, but {self.path} refers to it"
        )

    @property
    def names_decide(self) -> bool:
        """Whether all files contain the same OME-XML, so that the UUID in it does not tell them apart."""
        if self._by_name is None:
            self._by_name = self._has_twin()
        return self._by_name

    def _has_twin(self) -> bool:
        own = self.document.uuid
        if not own or not self._is_tiff:
            return not own
        others = [file.name for file in self.document.files if file.name not in ("", self._own_name)]
        there = (path for path in map(self.joined, others) if is_url(path) or os.path.isfile(path))
        for path in islice(there, _TWINS_LOOKED_AT):
            if uuid := self._uuid_of(path):  # else it is not written yet, or not to its end
                return uuid == own
        return False

    def _is_left_over(self, file: FileId) -> bool:
        """Whether this is the only name without a file, and the name of this file is mentioned nowhere."""
        names = {each.name for each in self.document.files}
        if is_url(self.path) or self._own_name in names or "" in names:
            return False
        missing = [name for name in names if not os.path.isfile(self._folder + name)]
        return missing == [file.name]

    def _uuid_of(self, path: str) -> str:
        """The UUID in the OME-XML of a file; "" if it has none, or cannot be read."""
        with self._lock:
            known = self._uuids.get(path)
        if known is None:
            known = ""
            document = document_of(path, self._files)
            if document is not None:
                known = document.uuid
            with self._lock:
                self._uuids[path] = known
        return known

    def _search(self) -> dict[str, str]:
        """The files of the folder by their UUID."""
        if self._searched is None:
            found: dict[str, str] = {}
            for path in tiffs_in(self._folder) if not is_url(self._folder) else ():
                if uuid := self._uuid_of(path):
                    found.setdefault(uuid, path)
                if len(self._uuids) >= _MAX_SEARCHED:
                    break
            self._searched = found
        return self._searched


def document_of(path: str, files: TiffFiles) -> OmeDocument | None:
    """The OME-XML in a TIFF; None if it has none or cannot be read. Reads its first page."""
    try:
        with files.opened(path) as tiff:
            text = tiff.pages.description(0)
            return ome_document(text, name_said(path)) if text.rstrip()[-4:] == "OME>" else None
    except DatasetError:
        return None


def split_path(path: str) -> tuple[str, str]:
    """The folder of a path or URL, with its slash, and the name, without a query."""
    if _is_of_web(path):
        path = path.partition("?")[0]
    head, slash, name = path.rpartition("/" if is_url(path) else os.sep)
    return head + slash, name


def name_said(path: str) -> str:
    """The name of a file as documents have it: that of a URL has its "#" and blanks again."""
    name = split_path(path)[1]
    return unquote(name) if _is_of_web(path) else name


def beside(folder: str, name: str) -> str:
    """The path or URL of a file called so in a folder, which ends with a slash."""
    return folder + (quote(name) if _is_of_web(folder) else name)


def is_same_file(one: str, other: str) -> bool:
    """Whether two paths, or URLs that may be quoted in two ways, are of one file."""
    if not _is_of_web(one) or not _is_of_web(other):
        return one == other
    return unquote(one.partition("?")[0]) == unquote(other.partition("?")[0])


def _is_of_web(path: str) -> bool:
    """Whether it is a URL of a web server; keys in buckets are as they are."""
    return path[:4].lower() == "http" and is_url(path)


def tiffs_in(folder: str) -> Iterator[str]:
    """The TIFF files in a folder, in natural order; none if it cannot be listed."""
    from ...model import natural_sorted

    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.lower().endswith(TIFF_KINDS)]
    except OSError:
        return
    for name in natural_sorted(names):
        if not name.startswith("."):
            yield os.path.join(folder, name)
