"""The datasets that make up an image of several, in one file or many, opened when first needed."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ...storage.memory_cache import MemoryCache, nbytes
from .array import Opened, facts, opened
from .file import Elsewhere, HDF5File, file_version
from .plane_reader import KEPT_BYTES, SharedBlocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from .array import DatasetFacts
    from .chunk_index.chunks import Place

_MOST_FILES_OPEN = 64
_MOST_DATASETS_OPEN = 512


class PartAddress(NamedTuple):
    """A dataset of which a plane is part: its path, the role of each axis, and the file it is in.

    `file` is a path or URL, "" for the file that was opened.
    """

    path: str
    roles: tuple[str, ...]
    file: str = ""


class DatasetPart(NamedTuple):
    """A dataset opened for reading, in a file."""

    known: DatasetFacts
    opened: Opened
    file: HDF5File


class _PartFile:
    """One file, and those of its datasets that are open."""

    def __init__(self, file: HDF5File) -> None:
        self.file = file
        self.users = 0
        self.is_dropped = False
        self.parts: OrderedDict[PartAddress, DatasetPart | Elsewhere | None] = OrderedDict()


def _is_outdated(file: HDF5File, place: str) -> bool:
    """Whether a file has been written to since it was opened; a deleted one can still be read."""
    return file_version(place) not in ((), file.version)


class DatasetParts:
    """The datasets of one image. Any thread."""

    def __init__(self, main: HDF5File) -> None:
        self._main = main
        self._lock = threading.Lock()  # guards the following; never held while reading
        self._files: OrderedDict[str, _PartFile] = OrderedDict({"": _PartFile(main)})
        self._closed = False
        self._kept: MemoryCache[tuple[str, Place], np.ndarray] = MemoryCache(KEPT_BYTES, nbytes)

    @contextlib.contextmanager
    def using(self, address: PartAddress) -> Iterator[DatasetPart | None]:
        """The dataset at an address, kept open while in use; None if there is none. May read.

        Raises `UntrustedReferenceError` if it is in another file that may not be read.
        """
        home = self._acquired(address.file)
        try:
            part = self._part(home, address)
            if isinstance(part, Elsewhere) and not address.file:  # one link, not a chain of them
                place = home.file.others.place(part.file, f"{home.file.name}: {address.path!a}")
                with self.using(PartAddress(part.path, address.roles, place)) as other:
                    yield other
            else:
                yield None if isinstance(part, Elsewhere) else part
        finally:
            self._release(home)

    def _acquired(self, place: str) -> _PartFile:
        with self._lock:
            home = self._files.get(place)
            if home is not None and not (place and _is_outdated(home.file, place)):
                self._files.move_to_end(place)
                home.users += 1
                return home
            if home is not None:  # whoever uses it closes it
                del self._files[place]
                home.is_dropped = True
        new = _PartFile(HDF5File(place, self._main.others.options))
        with self._lock:
            home = self._files.setdefault(place, new)
            home.users += 1
            is_closed = self._closed
        if home is not new or is_closed:
            new.file.close()
        return home

    def _release(self, home: _PartFile) -> None:
        with self._lock:
            home.users -= 1
            idle = [place for place, each in self._files.items() if place and not each.users]
            many = max(0, len(self._files) - _MOST_FILES_OPEN)
            closing = [self._files.pop(place) for place in idle[:many]]
            if home.is_dropped and not home.users:
                closing.append(home)
        for each in closing:
            each.file.close()

    def _part(self, home: _PartFile, address: PartAddress) -> DatasetPart | Elsewhere | None:
        with self._lock:
            if address in home.parts:
                home.parts.move_to_end(address)
                return home.parts[address]
        found = home.file.use("its datasets", lambda: self._found(home.file, address))
        if found is None:  # it may be written yet
            return None
        with self._lock:
            home.parts[address] = found
            while len(home.parts) > _MOST_DATASETS_OPEN:
                home.parts.popitem(last=False)
        return found

    def _found(self, file: HDF5File, address: PartAddress) -> DatasetPart | Elsewhere | None:
        import h5py

        node = file.follow(address.path)
        if isinstance(node, Elsewhere):
            return node
        if not isinstance(node, h5py.Dataset):
            return None
        known = facts(file, address.path, node)
        blocks = SharedBlocks(self._kept, f"{address.file} {file.version}::{address.path}")
        return DatasetPart(known, opened(file, known, node, address.roles, blocks), file)

    def close(self) -> None:
        """Close all files but the one that was opened."""
        with self._lock:
            self._closed = True
            others = [home for place, home in self._files.items() if place]
        for home in others:
            home.file.close()
