"""The TIFF files of a dataset, local or remote: kept open and parsed while in repeated use.

What the pages of one mean is understood once; a file that has changed is opened and understood again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import CorruptDataError, DatasetError, DatasetNotFoundError, PlaneNotStoredError
from ..metadata.tiff_evidence import read_documents
from ..storage.asked_together import asked_at_once
from ..storage.bytes import is_url
from ..storage.bytes_pool import BytesPool, key_of_file, path_of_key
from ..storage.decoding.ifd_chain import TIFF_STARTS
from ..storage.decoding.orientation import orientation_said
from ..storage.decoding.pictures import damage_is_named
from ..storage.decoding.tiff_pages import TiffPages
from ..storage.file_clock import is_being_written
from ..storage.file_versions import version_of
from ..storage.open_bytes import open_bytes
from ..storage.presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..metadata.tiff_evidence import Reading
    from ..storage.bytes import Bytes
    from ..storage.local_files import LinkGuard

_MAX_OPEN = 16
_MAX_REMEMBERED = 4096
"""Of so many files on servers it is known which version was opened."""
_FILES_ASKED_AT_ONCE = 32


class UnderstoodTiff:
    """An open TIFF and what its pages mean. Any thread."""

    def __init__(self, file: Bytes, before: UnderstoodTiff | None = None) -> None:
        """Parse the first page; raises a `DatasetError`. `before`: the file as it was when it was shorter."""
        self.file = file
        self.pages: TiffPages = TiffPages(file, before.pages if before is not None else None)
        self._lock = threading.Lock()
        self._reading: Reading | None = None

    @contextlib.contextmanager
    def only(self, file: str) -> Iterator[TiffPages]:
        """Its pages, as those of the only file of an image."""
        if file:
            raise PlaneNotStoredError(f"{self.file.name}: the plane is in another file")
        yield self.pages

    def reading(self) -> Reading:
        """What its pages mean; visits all of them once. Raises a `DatasetError`."""
        with self._lock:
            if self._reading is None:
                with damage_is_named(self.file.name):
                    self._reading = _with_orientation(read_documents(self.pages), self.pages)
                self.file.keep_structure()
            return self._reading


class _OnServer(NamedTuple):
    """A file on a server as it was opened last, and the version that it has now, as far as is known."""

    file: Bytes
    version: str | None


class TiffFiles:
    """Files by path or URL; any thread."""

    def __init__(self, options: Mapping[str, str] | None, links: LinkGuard | None = None) -> None:
        """`links` checks local files before they are opened."""
        self.links = links
        self.options = options
        """With which files on servers are accessed."""
        self._pool = BytesPool(lambda key: open_bytes(path_of_key(key), options), _MAX_OPEN)
        self._lock = threading.Lock()  # guards the following
        self._known: OrderedDict[str, UnderstoodTiff] = OrderedDict()
        self._on_server: OrderedDict[str, _OnServer] = OrderedDict()  # by URL, the last one used at the end
        self._before: dict[str, str] | None = None  # versions of files opened, if wanted
        self._changes: dict[str, int] = {}  # how often a file on a server was found to have changed

    @contextlib.contextmanager
    def bytes_of(self, path: str) -> Iterator[Bytes]:
        """The bytes of a file, open until the block ends; raises `PlaneNotStoredError` if there is none."""
        if self.links is not None:
            self.links.check([path])
        before = self._before
        if before is not None and path not in before and not is_url(path):
            before[path] = version_of(path)
        try:
            with self._pool.opened(self.key_of(path)) as file:
                if is_url(path):
                    self._note(path, file)
                yield file
        except DatasetNotFoundError as error:
            raise PlaneNotStoredError(str(error)) from error

    @contextlib.contextmanager
    def versions_before(self, path: str) -> Iterator[dict[str, str]]:
        """The versions of a local path, its folder and all files opened in the block, from before they were.

        Whoever compares versions taken afterwards would miss what was written meanwhile. Not within another.
        """
        itself = () if is_url(path) else (path, folder_of(path))
        self._before = {each: version_of(each) for each in itself}
        try:
            yield self._before
        finally:
            self._before = None

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[UnderstoodTiff]:
        """A TIFF, open until the block ends. Raises like `bytes_of`, and a `DatasetError` if it is none."""
        with self.bytes_of(path) as file:
            yield self.understood(path, file)

    def understood(self, path: str, file: Bytes) -> UnderstoodTiff:
        """What is parsed of an open file, kept as long as it is open."""
        with self._lock:
            known = self._known.get(path)
            if known is not None and known.file is file:
                self._known.move_to_end(path)
                return known
        found = UnderstoodTiff(file, known)
        with self._lock:
            self._known[path] = found
            while len(self._known) > _MAX_OPEN:
                self._known.popitem(last=False)
        return found

    # ---- files on servers ----------------------------------------------------------------------

    def _note(self, path: str, file: Bytes) -> None:
        with self._lock:
            known = self._on_server.get(path)
            if known is None or known.file is not file:
                self._on_server[path] = _OnServer(file, file.version)
            self._on_server.move_to_end(path)
            while len(self._on_server) > _MAX_REMEMBERED:
                self._on_server.popitem(last=False)

    def opened_so_far(self) -> list[str]:
        """The URLs of files that were opened, the last one used at the end."""
        with self._lock:
            return list(self._on_server)

    @property
    def n_changes(self) -> int:
        """How often files on servers were found to have changed so far, by whoever asked."""
        with self._lock:
            return sum(self._changes.values())

    def version(self, path: str) -> str | None:
        """The version of a file on a server as it is known, see `Bytes.version`; sends nothing."""
        with self._lock:
            known = self._on_server.get(path)
        return known.version if known is not None else None

    def ask_for_changes(self, paths: Iterable[str]) -> list[str]:
        """Those of these URLs at which another version lies than is known: it is opened from now on.

        A small request for each that was opened, all together. Blocks on the network; raises nothing.
        """
        with self._lock:
            asked = {path: self._on_server[path] for path in paths if path in self._on_server}
        versions = asked_at_once(_version_now, asked.values(), _FILES_ASKED_AT_ONCE, "ndviewer-changes")
        now = dict(zip(asked, versions, strict=True))
        changed = [path for path, version in now.items() if version not in (None, asked[path].version)]
        for path in changed:
            with self._lock:
                if self._on_server.get(path) is not asked[path]:  # somebody else has found out
                    continue
                before = self._key_of_url(path)
                self._on_server[path] = asked[path]._replace(version=now[path])
                self._changes[path] = self._changes.get(path, 0) + 1
            self._pool.let_go(before)
        return changed

    def key_of(self, path: str) -> str:
        """A key for the file's current version: a replaced file is opened again."""
        if is_url(path):
            with self._lock:
                return self._key_of_url(path)
        return key_of_file(path)

    def _key_of_url(self, path: str) -> str:
        n = self._changes.get(path, 0)
        return f"{path}\0{n}" if n else path

    def close(self) -> None:
        """Close all files; reads in progress end with an error. May be called twice."""
        self._pool.close()
        with self._lock:
            self._known.clear()


def _with_orientation(reading: Reading, pages: TiffPages) -> Reading:
    """With a warning where the first page says that it is not upright."""
    said = orientation_said(pages.orientation())
    return replace(reading, warnings=(*reading.warnings, f"{pages.name}: {said}")) if said else reading


def folder_of(path: str) -> str:
    """A local folder itself, or the one that a file is in."""
    return path if os.path.isdir(path) else os.path.dirname(path)


def ends_early(path: str) -> str:
    """What is said of a TIFF that ends before one of its pages."""
    return f"{presentable(path)} is truncated: it ends before a page that it announces. Copy it again"


@contextlib.contextmanager
def missing_pages_are_lost(path: str, tiff: UnderstoodTiff) -> Iterator[None]:
    """Planes that are not there are `CorruptDataError`s where the file was cut off and nobody writes it.

    Of a file on a server it is not known whether somebody does.
    """
    try:
        yield
    except PlaneNotStoredError as error:
        if is_url(path) or is_being_written(path) or not tiff.pages.is_cut_off():
            raise
        raise CorruptDataError(ends_early(path)) from error


def is_tiff_file(file: Bytes) -> bool:
    """Whether a file is a TIFF, by its first bytes."""
    return file.size >= 8 and file.read(0, 4) in TIFF_STARTS


def _version_now(known: _OnServer) -> str | None:
    try:
        return known.file.version_now()
    except DatasetError:
        return None
