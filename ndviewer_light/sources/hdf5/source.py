"""HDF5 and NWB, local or remote: chooses the dataset to show, and reads its planes.

A file being written is reopened whenever it has changed: its addresses may mean something
else by then. Remote files are read as of when they were opened, until `refresh`.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import (
    CorruptDataError,
    DatasetError,
    MetadataError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
    ReadDroppedError,
    closed_error,
)
from ...model import PlaneKey
from ...storage.abandonable import run_abandonable
from ...storage.activity import JUST_WRITTEN_SECONDS, PART_SECONDS, Activity, activity_of
from ...storage.bytes import absolute, check_still_there, is_url, name_of, split_inner
from ...storage.cancellation import current_scope
from ...storage.file_clock import FILE_CLOCK
from ...storage.file_versions import changed_ns, version_of
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from ...storage.presentable import presentable
from ..filled_in_advance import Room
from ..missing import Found
from ..missing_planes import Claims, MissingPlanesOfMany
from ..source import MAX_FILES_LOOKED_AT, Source
from . import bigdataviewer
from . import choices as hdf5_catalogue
from .blank_planes import BlankPlanes, FillInChunk, blank_planes_of_followed
from .file import HDF5File, file_version
from .open_snapshot import open_snapshot
from .snapshot import OpenRequest, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ...model import DatasetInfo, ImageInfo, Level, Region
    from ...storage.file_holes import Stretch
    from ..source import StorageOptions
    from .choices import DatasetEntry

XML = ".xml"
"""The ending of the files that name one of BigDataViewer."""

_OPEN_ATTEMPTS = 5
_ATTEMPT_SECONDS = 0.005
_READ_ATTEMPTS = 3


def list_datasets(path: str, options: StorageOptions = None) -> list[DatasetEntry]:
    """The datasets that can be shown in the file at a path or URL, most pixels first; see `DatasetEntry`.

    Blocks on disk or network. Raises a `DatasetError` if the file cannot be read.
    """
    file = HDF5File(split_inner(absolute(path))[0], options)
    try:
        with file.reading("its datasets"):
            return [candidate.entry for candidate in hdf5_catalogue.catalogue(file).candidates]
    finally:
        file.close()


class HDF5Source(Source):
    """One dataset of an HDF5 file, ``file.h5::/path/inside``; by default the one with the most pixels.

    NWB image series are found by type. `info.choices` are the paths of all that can be shown.
    """

    format = "hdf5"
    may_have_room = True

    def __init__(self, path: str, options: StorageOptions, xml: str = "") -> None:
        """`xml`: BigDataViewer's XML file, if that was opened; `path` is the HDF5 file it names."""
        self._path, inner = split_inner(path)
        self._xml = xml
        self._options = options
        look = partial(file_version, self._path)
        self._activity = Activity(None) if is_url(self._path) else activity_of(self._path, look)
        self._lock = threading.Lock()  # guards the following; never held while reading
        self._opening = threading.Lock()  # one thread reopens the file
        self._closed = False
        self._followed = False
        self._shot = _open_steadily(OpenRequest(self._path, options, inner, None, xml))
        self._blank = BlankPlanes(is_followed=False)
        self._many = MissingPlanesOfMany(self.are_stored)

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> HDF5Source:
        """Open the file at a path or URL: its groups and the attributes of one dataset are read.

        It may be BigDataViewer's XML file, which names it.
        """
        path = absolute(path)
        if not name_of(path).lower().endswith(XML):
            return cls(path, options)
        return cls(bigdataviewer.file_of(bigdataviewer.read_xml(path, options), path, options), options, path)

    # ---- Source ----------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._shot.info

    @property
    def identity(self) -> str | None:
        """The identity of the file's bytes, and of the dataset in it."""
        return self._shot.identity

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, Fortran-ordered if x comes before y, as in NWB.

        Raises `PlaneNotStoredError` if no chunk of it is stored; single missing chunks become the fill value.
        A file that was not closed by its writer counts as not complete.
        """
        return self._read(PlaneKey(*key), level, None)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: reads the chunks that it touches; missing ones as in `read_plane`."""
        return self._read(PlaneKey(*key), level, region)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole chunks; bands of rows where there are none."""
        with self._using() as shot:
            return shot.tile_shape(p, level)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        with self._using() as shot:
            return shot.levels(p)

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`."""
        with self._using() as shot:
            return shot.image(p)

    def look_at_all(self) -> DatasetInfo:
        """See `Source.look_at_all`."""
        with self._using() as shot:
            for p in range(min(len(shot.info.positions), MAX_FILES_LOOKED_AT)):
                with contextlib.suppress(DatasetError):  # reading its planes says why
                    shot.image(p)
            return shot.info

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`."""
        with self._using() as shot:
            return shot.labels(p)

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        pixels = self._read_steadily(key, level, region)
        if self._followed and region is None and self._age_s() < PART_SECONDS:
            with self._using() as shot:
                if shot.is_partly_stored(key, level):
                    error = PlaneNotWrittenError(
                        f"{shot.file.name}: some chunks of this plane are not written yet"
                    )
                    error.plane_shape, error.is_expected = (pixels.shape[0], pixels.shape[1]), True
                    raise error
        return pixels

    def _read_steadily(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        for _ in range(_READ_ATTEMPTS - 1):
            with self._using() as shot:
                try:
                    return self._read_from(shot, key, level, region)
                except PlaneNotStoredError as error:
                    if not self._is_outdated(shot):
                        raise self._missing(shot, key, level, error) from error
                except (CorruptDataError, IndexError):
                    if not self._is_outdated(shot):
                        raise
        with self._using() as shot:
            try:
                return self._read_from(shot, key, level, region)
            except PlaneNotStoredError as error:
                raise self._missing(shot, key, level, error) from error

    def _read_from(self, shot: Snapshot, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        pixels = shot.read(key, level, region)
        found = None if _is_varied(pixels) else self._blank.of_fill(shot, key, level, pixels)
        if found is None:
            if level == 0:
                shot.note(key)
        elif region is None:
            self._check_written(shot, key, level, pixels, found)
        return pixels

    def _check_written(
        self, shot: Snapshot, key: PlaneKey, level: int, pixels: np.ndarray, found: FillInChunk
    ) -> None:
        """Raise `PlaneNotStoredError` for a plane of fill value in chunks with others that nobody wrote."""
        said = f"{shot.file.name}: of this plane nothing but the fill value is stored"
        if self._followed and found.is_fresh:  # a later one proves nothing: they may come in any order
            error: PlaneNotStoredError = PlaneNotWrittenError(
                f"{said}: other planes in its chunk are still being written"
            )
            error.plane_shape, error.is_expected = (pixels.shape[0], pixels.shape[1]), True
        elif found.is_blank:
            error = self._missing(shot, key, level, PlaneNotStoredError(said))
        else:
            return
        error.shares_chunks = True
        if not error.is_fill_value:
            raise error

    def _missing(
        self, shot: Snapshot, key: PlaneKey, level: int, error: PlaneNotStoredError
    ) -> PlaneNotStoredError:
        """What a plane counts as of which nothing is stored, as `error` tells if it does not say it yet."""
        if error.plane_shape is not None:
            return error

        def is_written(other: PlaneKey) -> bool:
            return bool(shot.looks_up(other)) and not self._blank.is_blank(shot, other)

        return shot.missing(key, level, error, self._is_being_written, is_written)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane; None if there is none yet."""
        key = PlaneKey(*key)
        with self._using() as shot:
            if level < 0 or min(key) < 0:
                raise IndexError(f"no plane {tuple(key)} at level {level} of {shot.file.name}")
            if not shot.info.contains(key):
                return None
            levels = shot.levels(key.p)
            if level >= len(levels):
                raise IndexError(f"no plane {tuple(key)} at level {level} of {shot.file.name}")
            return levels[level].sizes.y, levels[level].sizes.x

    def refresh(self) -> DatasetInfo:
        """Recheck the file: it may have been written to, or replaced on its server."""
        if not is_url(self._path):
            check_still_there(self._path)
        elif self._is_another_file():
            self._open_again()
        with self._using() as shot:
            return shot.info

    def follow(self) -> None:
        """See `Source.follow`."""
        self._followed = True
        if not is_url(self._path):
            self._blank = blank_planes_of_followed(self._path)

    def _is_being_written(self) -> bool:
        """Whether the file changes; for whoever follows it also if it did within the last seconds."""
        return self._activity.is_on() or (self._followed and self._age_s() < JUST_WRITTEN_SECONDS)

    def _age_s(self) -> float:
        """How long ago the file was written; infinite on a server."""
        if is_url(self._path):
            return math.inf
        return FILE_CLOCK.age_s(changed_ns(version_of(self._path)))

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: that of the file, and of the other one that a plane is in."""
        if is_url(self._path):
            return [None] * len(keys)
        version, shot = version_of(self._path), self._shot
        others = [shot.version(PlaneKey(*key), level) for key in keys]
        return [version if other is None else f"{version} {other}" for other in others]

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: chunks are looked up, on a server only once all of them are known."""
        try:
            with self._using() as shot:
                asked = [PlaneKey(*key) for key in keys]
                answers = [shot.is_stored(key) for key in asked]
                if not is_url(self._path):
                    answers = self._blank.without_blank(shot, asked, answers)
        except DatasetError:
            return [None] * len(keys)
        self._many.saw(keys, answers)
        return answers

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """See `Source.look_up_stored`: the index of chunks is read as far as it takes."""
        try:
            with self._using() as shot:
                there = shot.looks_up(PlaneKey(*key))
                return False if there and self._blank.is_blank(shot, PlaneKey(*key)) else there
        except (DatasetError, IndexError):
            return None

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """See `Source.room_ahead`: where planes have a place before they are written."""
        has_room = not is_url(self._path) and self._shot.has_room_ahead(PlaneKey(*key), level)
        return Room.PLANES if has_room else Room.NONE

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`: also of chunks that have a place before they are written."""
        return [()] * len(keys) if is_url(self._path) else self._shot.stretches(keys, level)

    def value_of_room(self) -> float:
        """See `Source.value_of_room`: the fill value."""
        return float(self._shot.fill)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by the time stamps of NWB, and the clock times of Imaris."""
        try:
            with self._using() as shot:
                return [shot.acquired_s(PlaneKey(*key)) for key in keys]
        except DatasetError:  # reading planes says why
            return [None] * len(keys)

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`: a file that its writer has not closed says that it is not complete."""
        claims = Claims(self._shot.claim, self._is_being_written)
        if self._age_s() >= JUST_WRITTEN_SECONDS:
            return self._many.of(keys, self.info, lambda _p: claims)
        try:
            with self._using() as shot:  # for all: what was just written is opened anew each time
                is_fresh = partial(self._blank.is_fresh, shot)
                return self._many.of(keys, shot.info, lambda _p: claims, is_fresh)
        except DatasetError:
            return [Found.ABSENT] * len(keys)

    def _is_another_file(self) -> bool:
        is_current = self._shot.file.bytes.is_current()
        if is_current is not None:
            return not is_current
        now = open_bytes(self._path, access_options(self._options))
        try:
            was = self._shot.file.bytes
            return (now.size, now.identity) != (was.size, was.identity)
        finally:
            now.close()

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        return {"why": f"HDF5 signature; {self._shot.evidence}"}

    def close(self) -> None:
        """Release the file; reads in progress end with an error. May be called twice."""
        with self._lock:
            self._closed = True
            shot = self._shot
        shot.close()

    # ---- the current file ------------------------------------------------------------------

    @contextlib.contextmanager
    def _using(self) -> Iterator[Snapshot]:
        """The current file, kept open while in use."""
        now = file_version(self._path)
        if now and not (now == self._shot.file.version and self._shot.file.is_settled):
            self._open_again()
        with self._lock:
            if self._closed:
                raise closed_error(self._shot.file.name)
            shot = self._shot
            shot.users += 1
        try:
            yield shot
        finally:
            with self._lock:
                shot.users -= 1
                is_last = shot is not self._shot and not shot.users
            if is_last:
                shot.close()

    def _is_outdated(self, shot: Snapshot) -> bool:
        """Whether the file has been written to since; a deleted one can still be read."""
        return file_version(self._path) not in ((), shot.file.version)

    def _open_again(self) -> None:
        before = self._shot
        with self._opening:
            if self._shot is not before or self._closed:
                return
            shot = _open_steadily(OpenRequest(self._path, self._options, before.inner, before, self._xml))
            with self._lock:
                if not self._closed:
                    self._shot, shot = shot, before
                is_idle = not shot.users
        if is_idle:  # otherwise its last user closes it
            shot.close()


def _is_varied(pixels: np.ndarray) -> bool:
    """Whether the first row has pixels of several values, as nearly all have: they are no fill value then."""
    first = pixels[:1, :1]
    is_number = bool((first == first).all())  # the fill value may be NaN
    return is_number and bool((pixels[:1] != first).any())


def _open_steadily(request: OpenRequest) -> Snapshot:
    """Open the file, retrying briefly if it is damaged but changing: its writer is at work."""
    for attempt in range(_OPEN_ATTEMPTS):
        version = file_version(request.path)
        try:
            return _snapshot(request)
        except (CorruptDataError, MetadataError):
            time.sleep(_ATTEMPT_SECONDS * 2**attempt)
            if attempt == _OPEN_ATTEMPTS - 1 or file_version(request.path) == version:
                raise
    raise AssertionError("the last attempt returns or raises")


def _snapshot(request: OpenRequest) -> Snapshot:
    """The current file; cancelling to open one on a server does not wait for it."""
    if not is_url(request.path):
        return open_snapshot(request)
    scope = current_scope()

    def check() -> None:
        if scope is not None and scope.dropped:
            raise ReadDroppedError(f"{presentable(request.path)}: no longer needed")

    return run_abandonable([partial(open_snapshot, request)], check, Snapshot.close)[0]
