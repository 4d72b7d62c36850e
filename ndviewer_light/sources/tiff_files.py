"""The TIFF files of a dataset, local or remote: kept open and parsed while in repeated use.

What the pages of one mean is understood once; a file that has changed is opened and understood again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import DatasetNotFoundError, PlaneNotStoredError
from ..metadata.tiff_evidence import read_documents
from ..storage.bytes import is_url
from ..storage.bytes_pool import BytesPool
from ..storage.decoding.ifd_chain import TIFF_STARTS
from ..storage.decoding.orientation import orientation_said
from ..storage.decoding.pictures import damage_is_named
from ..storage.decoding.tiff_pages import TiffPages
from ..storage.open_bytes import open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..metadata.tiff_evidence import Reading
    from ..storage.bytes import Bytes
    from ..storage.local_files import LinkGuard

_MAX_OPEN = 16


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


class TiffFiles:
    """Files by path or URL; any thread."""

    def __init__(self, options: Mapping[str, str] | None, links: LinkGuard | None = None) -> None:
        """`links` checks local files before they are opened."""
        self.links = links
        self._pool = BytesPool(lambda key: open_bytes(_path_of(key), options), _MAX_OPEN)
        self._lock = threading.Lock()  # guards the following
        self._known: OrderedDict[str, UnderstoodTiff] = OrderedDict()

    @contextlib.contextmanager
    def bytes_of(self, path: str) -> Iterator[Bytes]:
        """The bytes of a file, open until the block ends; raises `PlaneNotStoredError` if there is none."""
        if self.links is not None:
            self.links.check([path])
        try:
            with self._pool.opened(_key_of(path)) as file:
                yield file
        except DatasetNotFoundError as error:
            raise PlaneNotStoredError(f"{error} (yet)") from error

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
        found = UnderstoodTiff(file, None if is_url(path) else known)
        with self._lock:
            self._known[path] = found
            while len(self._known) > _MAX_OPEN:
                self._known.popitem(last=False)
        return found

    def close(self) -> None:
        """Close all files; reads in progress end with an error. May be called twice."""
        self._pool.close()
        with self._lock:
            self._known.clear()


def _with_orientation(reading: Reading, pages: TiffPages) -> Reading:
    """With a warning where the first page says that it is not upright."""
    said = orientation_said(pages.orientation())
    return replace(reading, warnings=(*reading.warnings, f"{pages.name}: {said}")) if said else reading


def is_tiff_file(file: Bytes) -> bool:
    """Whether a file is a TIFF, by its first bytes."""
    return file.size >= 8 and file.read(0, 4) in TIFF_STARTS


def _key_of(path: str) -> str:
    """A key for the file's current version: a replaced file is opened again."""
    if is_url(path):
        return path
    try:
        status = os.stat(path)
    except OSError:
        return path
    return f"{path}\0{status.st_ino}.{status.st_size}.{status.st_mtime_ns}"


def _path_of(key: str) -> str:
    return key.partition("\0")[0]
