"""Nikon ND2: metadata from the nd2 library; frames by reads of our own, local or remote.

The library has one handle with a lock, and turns unreadable frames black; here every
thread reads for itself, and an unreadable frame is an error.
"""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, DatasetError, MetadataError, UnsupportedError, closed_error
from ...model import PlaneKey
from ...storage.bytes import is_url, name_of
from ...storage.file_kinds import looks_like
from ...storage.file_versions import version_of
from ...storage.open_bytes import open_bytes
from ..source import AT_ONCE, AT_ONCE_REMOTE, Source
from .chunk_map import (
    LEGACY,
    MODERN,
    CachedBytes,
    ParserFile,
    has_map,
)
from .legacy import legacy_contents
from .modern import modern_contents

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import numpy as np

    from ...model import DatasetInfo
    from ...storage.bytes import Bytes
    from ..source import StorageOptions
    from .frames import Contents

_BEGINNING = 64  # bytes; enough to tell what else it is


class Nd2Source(Source):
    """ND2 files of NIS-Elements, local or at a URL; those from before 2010 (JPEG 2000) one plane at a time.

    Axes are time, position, z and channel; a colour camera is three channels.
    """

    format = "nd2"

    def __init__(self, path: str, options: StorageOptions, opened: _OpenFile) -> None:
        self._path = path
        self._options = options
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._opened = opened
        self._closed = False

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> Nd2Source:
        """Open the file at a path or URL: its metadata and the list of its frames are read.

        Raises `CorruptDataError` for a file that is still being written or was cut off, `UnsupportedError`
        for unknown axes and compressions, or without the nd2 library.
        """
        return cls(path, options, _open(path, options))

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object after a `refresh` that found a change."""
        return self._opened.contents.info

    @property
    def identity(self) -> str | None:
        """The identity of the file's bytes."""
        return self._opened.source.identity

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`: the channels of a frame are read together."""
        return AT_ONCE_REMOTE * len(self.info.channels) if is_url(self._path) else AT_ONCE

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, perhaps read-only.

        All channels of a frame are read at once and kept for a while. Raises `PlaneNotStoredError` if the
        acquisition ended before this frame, `CorruptDataError` if it is incomplete.
        """
        opened, key = self._opened, PlaneKey(*key)
        opened.check(key, level)
        if self._closed:  # cached channels would still be returned
            raise closed_error(opened.source.name)
        try:
            return opened.contents.frames.plane(opened.contents.loops.frame(key), key.c)
        except DatasetError:
            if opened is self._opened:
                raise
        return self.read_plane(key, level)  # a different file was found there meanwhile

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X): all planes of a file have the same size."""
        opened = self._opened
        opened.check(PlaneKey(*key), level)
        return opened.contents.info.height, opened.contents.info.width

    def exists(self, key: PlaneKey) -> bool:
        """Whether the file contains the frame of this plane; nothing is read."""
        contents, key = self._opened.contents, PlaneKey(*key)
        return contents.info.contains(key) and contents.frames.holds(contents.loops.frame(key))

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: a plane of zeros is stored like any other."""
        return False

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: the file lists its frames."""
        return [self.exists(key) for key in keys]

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: the file has a list of the times of its frames."""
        opened = self._opened
        times_ms = opened.contents.times_ms()
        found: list[float | None] = []
        for key in map(PlaneKey._make, keys):
            frame = opened.contents.loops.frame(key) if opened.contents.info.contains(key) else -1
            is_said = times_ms is not None and 0 <= frame < len(times_ms)
            seconds = float(times_ms[frame]) / 1000 if is_said and times_ms is not None else math.nan
            found.append(seconds if math.isfinite(seconds) else None)
        return found

    def look(self) -> DatasetInfo:
        """See `Source.look`: on a server, one request asks whether it is another file."""
        return self.refresh() if self._has_changed() else self.info

    def _has_changed(self) -> bool:
        opened = self._opened
        if not is_url(self._path):
            return version_of(self._path) != opened.version
        is_current = opened.source.is_current()
        if is_current is not None:
            return not is_current
        now = open_bytes(self._path, self._options)
        try:
            return (now.size, now.identity) != (opened.source.size, opened.source.identity)
        finally:
            now.close()

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: that of the file."""
        version = None if is_url(self._path) else version_of(self._path)
        return [version] * len(keys)

    def refresh(self) -> DatasetInfo:
        """Reopen the file: it may have been replaced."""
        found = _open(self._path, self._options)
        with self._lock:
            before, closed = self._opened, self._closed
            if found.contents.info == before.contents.info:  # a new object would signal that more is known
                found = found._replace(contents=replace(found.contents, info=before.contents.info))
            if not closed:
                self._opened = found
        (found if closed else before).close()
        return self.info

    def close(self) -> None:
        """Release the file; reads in progress end with an error."""
        with self._lock:
            self._closed = True
        self._opened.close()


class _OpenFile(NamedTuple):
    """A file as of when it was opened."""

    source: Bytes
    contents: Contents
    version: str

    def close(self) -> None:
        """Release the file and cached data."""
        self.source.close()
        self.contents.frames.forget()

    def check(self, key: PlaneKey, level: int) -> None:
        """Raise `IndexError` for a plane outside this file."""
        if level != 0:
            raise IndexError(f"{self.source.name} has no resolution level {level}")
        if not self.contents.info.contains(key):
            raise IndexError(
                f"{self.source.name} has no plane {tuple(key)}: its sizes are {self.contents.info.sizes}"
            )


def _open(path: str, options: StorageOptions) -> _OpenFile:
    library = _library(path)
    version = "" if is_url(path) else version_of(path)
    source = open_bytes(path, options)
    try:
        found = _OpenFile(source, _contents(library, source), version)
        source.keep_structure()
        return found
    except BaseException:
        source.close()
        raise


def _library(path: str) -> ModuleType:
    try:
        import nd2
    except ImportError as error:
        raise UnsupportedError(
            f"reading {path} needs the nd2 library: pip install 'ndviewer_light[nd2]'"
        ) from error
    return nd2


def _contents(library: ModuleType, source: Bytes) -> Contents:
    if not source.size:
        raise CorruptDataError(f"{source.name} is empty (0 bytes): copy it again")
    kept = CachedBytes(source)
    begin = kept.read(0, min(_BEGINNING, source.size))
    if not begin.startswith((MODERN, LEGACY)):
        raise MetadataError(f"{source.name} is not an ND2 file{looks_like(begin)}")
    if not begin.startswith(LEGACY) and not has_map(kept):
        zeroed = (
            " (its end is zeros)"
            if not any(kept.read(max(0, source.size - 64), min(64, source.size)))
            else ""
        )
        raise CorruptDataError(
            f"{source.name} is incomplete{zeroed}: it is still being acquired, or was cut off when it "
            "was copied. Open it after the acquisition has finished, or copy it again"
        )
    try:
        parsed = library.ND2File(ParserFile(kept))
        if begin.startswith(LEGACY):
            contents = legacy_contents(parsed, source.name)
        else:
            contents = modern_contents(parsed, source, kept)
    except DatasetError:
        raise
    except Exception as error:  # any exception a parser may raise for damaged bytes
        kind = UnsupportedError if isinstance(error, NotImplementedError) else MetadataError
        raise kind(
            f"the metadata of {source.name} cannot be interpreted; the file may be damaged "
            f"({type(error).__name__}: {str(error)[:200]})"
        ) from error
    return replace(contents, info=replace(contents.info, name=name_of(source.name)))
