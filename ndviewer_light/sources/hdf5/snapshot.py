"""An HDF5 file as of when it was opened: the image chosen in it, and its planes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import threading
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import DatasetError, PlaneNotStoredError
from ...metadata.guessed_axes import AXES_OPTION
from ...model import PlaneKey
from ...storage.about_files import about_file
from ...storage.bytes import name_of
from ...storage.cancellation import CancelScope
from ...storage.disk_cache import cache_of
from ...storage.file_holes import Stretch, may_have_holes
from ...storage.program_end import abandonable_thread
from ...storage.tiling import check_whole_plane, tile_of_chunks
from ..missing import LOOKS, LOOKS_REMOTE, StoredPlanes, Surroundings, judge, not_stored
from . import nwb
from .array import opened
from .choices import described, others_warning
from .chunk_index import saved as hdf5_saved
from .images import dataset_info
from .nwb_pixel_masks import opened_list
from .plane_reader import HeldPlanes
from .planes_in_chunks import HDF5InChunks

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractContextManager

    from ...model import DatasetInfo, ImageInfo, Level, Region
    from ..source import StorageOptions
    from .choices import Candidate, Choices
    from .chunk_index.index import ChunkIndex
    from .file import HDF5File

logger = logging.getLogger(__name__)

_MAX_CHOICES = 200
MOST_NOTES = 8
"""Of notes on what looks like an image but cannot be shown."""
_JOIN_SECONDS = 2.0


class OpenRequest(NamedTuple):
    """What is to be opened: a file, a path inside ("" for its image), and options.

    `before` is the previous snapshot of the same image, to avoid searching for it again. `xml` is the path of
    BigDataViewer's XML file if that was opened.
    """

    path: str
    options: StorageOptions
    inner: str
    before: Snapshot | None = None
    xml: str = ""


class Snapshot(ABC):
    """The file as of when it was opened, and the image that was chosen in it. Any thread.

    `inner` is the path with which the same image is found again; `evidence` is what says what it is.
    """

    info: DatasetInfo
    inner: str
    evidence: str

    def __init__(self, file: HDF5File) -> None:
        self.users = 0  # guarded by the source
        self.file = file
        self._stored = StoredPlanes()
        self._held = HeldPlanes()
        self._times: tuple[np.ndarray | None] | None = None  # once they were looked up

    @property
    def identity(self) -> str | None:
        """See `Source.identity`: of the file's bytes, and of the image in it."""
        file = self.file.bytes.identity
        axes = (self.file.others.options or {}).get(AXES_OPTION, "")
        return None if file is None else f"{file}\n{self.inner}\n{axes}".rstrip("\n")

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        return (self.image(p).level,)

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`."""
        return self.info.image(p)

    def labels(self, p: int) -> tuple[str, ...]:
        """See `Source.labels`."""
        return self.info.labels

    @abstractmethod
    def tile_shape(self, p: int, level: int) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""

    @abstractmethod
    def read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """See `HDF5Source.read_plane`, `HDF5Source.read_region`."""

    @abstractmethod
    def is_stored(self, key: PlaneKey) -> bool | None:
        """Whether anything of a plane of level 0 is stored; None if that is too costly to know."""

    @abstractmethod
    def looks_up(self, key: PlaneKey) -> bool | None:
        """Like `is_stored`, but may take requests."""

    def has_room_ahead(self, key: PlaneKey, level: int) -> bool:
        """Whether the file has room for this plane, or others with it, before they are written."""
        return False

    def stretches(self, keys: Sequence[PlaneKey], level: int) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`."""
        return [()] * len(keys)

    def place(self, key: PlaneKey, level: int) -> tuple[Hashable, tuple[int, ...]] | None:
        """The dataset that a plane is in, and its indices there along the axes but y and x."""
        return None

    def in_chunks(self, dataset: Any) -> AbstractContextManager[HDF5InChunks | None]:
        """A dataset of `place`, if chunks of it hold several planes."""
        return contextlib.nullcontext(None)

    def is_partly_stored(self, key: PlaneKey, level: int) -> bool:
        """Whether some chunks of a plane are stored, and others are not."""
        return False

    @property
    @abstractmethod
    def is_near(self) -> bool:
        """Whether looking chunks up costs microseconds."""

    @property
    @abstractmethod
    def fill(self) -> np.generic:
        """The value of what is not stored."""

    def frame_times(self) -> np.ndarray | None:
        """When time points were acquired, in s since the run began, NaN where unknown; None if none is known.

        Within `HDF5File.reading`.
        """
        return None

    def acquired_s(self, key: PlaneKey) -> float | None:
        """When a plane was acquired, as the file says; raises `DatasetError` if that cannot be read."""
        known = self._times
        if known is None:
            with self.file.reading("when it was acquired"):
                known = self._times = (self.frame_times(),)
        (times,) = known
        if times is None or not self.info.contains(key) or key.t >= len(times):
            return None
        seconds = float(times[key.t])
        return seconds if math.isfinite(seconds) else None

    @property
    def claim(self) -> bool | None:
        """Whether the file says that it is complete: not so while its writer has it open, or left it open."""
        return False if self.file.superblock.is_open else None

    def note(self, key: PlaneKey) -> None:
        """The plane of level 0 is stored: it was read."""
        self._stored.note(key.p, (key.t, key.c, key.z))

    def missing(
        self,
        key: PlaneKey,
        level: int,
        error: PlaneNotStoredError,
        is_being_written: Callable[[], bool],
        is_written: Callable[[PlaneKey], bool],
    ) -> PlaneNotStoredError:
        """What the plane counts as of which nothing is stored, as `error` tells; may read the index.

        `is_written(key)`: whether a plane of level 0 is stored, and not only because others of its chunk are.
        """

        def first_stored(planes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
            there = (is_written(PlaneKey(t, key.p, c, z)) for t, c, z in planes)
            return next((plane for plane, is_there in zip(planes, there, strict=True) if is_there), None)

        info, at = self.info, self.levels(key.p)[level]
        around = Surroundings(
            sizes=(info.n_t, len(info.channels), info.image(key.p).n_z),
            complete=self.claim,
            first_stored=first_stored,
            is_being_written=is_being_written,
            stored=self._stored.of(key.p),
            looks=LOOKS if self.is_near else LOOKS_REMOTE,
        )
        verdict = judge((key.t, key.c, at.covers(key.z)[0]), around)
        return not_stored(str(error), (at.sizes.y, at.sizes.x), self.fill, verdict)

    def version(self, key: PlaneKey, level: int) -> str | None:
        """The version of the other file that a plane is in; None if it is in this one, or on a server."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the file. May be called twice."""


class DatasetSnapshot(Snapshot):
    """One dataset of a file."""

    _others: tuple[str, ...]

    def __init__(self, file: HDF5File, request: OpenRequest, known: Choices, chosen: Candidate) -> None:
        """`chosen` is one of `known`, what the file contains; within `HDF5File.reading`."""
        super().__init__(file)
        self._cache = cache_of(request.options)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._data_file = chosen.file
        self.inner = chosen.path
        self._series = chosen.series
        self._image = described(chosen)
        self.evidence = f"{self.inner}, {self._image.evidence}"
        self.info = self._described(request, known, chosen)
        roles = self._image.roles
        if chosen.picture is not None and chosen.picture.is_list:
            found = opened_list(self._data_file, chosen.facts, chosen.node)
        else:
            found = opened(self._data_file, chosen.facts, chosen.node, roles)
        self._known, self._opened = chosen.facts, found
        self._pixels, self._index, self._fill, self._chunk, _ = found
        self._key: str | None = None
        if self._index is not None and self._is_worth_indexing(self._index):
            self._use_saved(self._index)

    def _described(self, request: OpenRequest, known: Choices, chosen: Candidate) -> DatasetInfo:
        before = request.before
        where = f"{self.file.name}::{self.inner}"
        info = dataset_info(self._image, name_of_image(request.path, request.inner), where)
        if isinstance(before, DatasetSnapshot):
            self._others, name, choices = before._others, before.info.name, before.info.choices
            labels = before.info.labels
        else:
            self._others = () if request.inner else others_warning(self.file, known, self.inner)
            name, choices = info.name, _choices(request.path, self.inner, known)
            labels = _labels(request.path, chosen, known, info)
        warnings = info.warnings + unfinished(self.file) + self._others
        info = dataclasses.replace(info, name=name, choices=choices, labels=labels, warnings=warnings)
        return before.info if before is not None and before.info == info else info

    def _use_saved(self, index: ChunkIndex) -> None:
        least = 2 if self.file.is_remote else hdf5_saved.WORTH_SAVING
        if index.grid.n_chunks < least or not self.file.is_settled:
            return
        self._key = hdf5_saved.key_of(self._data_file, self.inner, index.grid.shape, index.grid.chunk)
        saved = hdf5_saved.load(self._cache, self._key) if self._cache and self._key else None
        if saved is not None:
            index.use(saved)

    def _is_worth_indexing(self, index: ChunkIndex) -> bool:
        """Lookups in a local file's B-tree cost next to nothing, so it needs no index."""
        return index.grid.n_chunks > 1 and (self.file.is_remote or not index.can_look_up)

    def frame_times(self) -> np.ndarray | None:
        """See `Snapshot.frame_times`: of an image series of NWB."""
        series = self._series
        return None if series is None else nwb.frame_times(self.file, series.path, self.info.n_t)

    # ---- planes ----------------------------------------------------------------------------

    def tile_shape(self, p: int, level: int) -> tuple[int, int] | None:
        """See `Source.tile_shape`."""
        plane = self._image.plane_shape
        if self._chunk is None:
            return tile_of_chunks((1, 1), plane)
        along = dict(zip(self._image.roles, self._chunk, strict=True))
        return tile_of_chunks((along["y"], along["x"]), plane)

    def read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        """See `HDF5Source.read_plane`, `HDF5Source.read_region`."""
        if level or not self.info.contains(key):
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self.info.sizes}")
        shape = self._image.plane_shape
        if region is not None and not region.within(*shape):
            raise IndexError(f"{region} is not within a plane of {shape}")
        size = (region.height, region.width) if region is not None else shape
        check_whole_plane(size, self._image.dtype.itemsize, self.file.name)
        roles = self._image.roles
        try:
            pixels = self._pixels.read(self._selection(key, region))
        except PlaneNotStoredError:
            of_plane = self._selection(key)
            if region is None or not self._held.of(key, 0, lambda: self._pixels.is_stored(of_plane)):
                raise
            sizes = [stop - start for start, stop in self._selection(key, region)]
            pixels = np.full(sizes, self._fill, self._image.dtype)
        pixels = pixels[tuple(slice(None) if role in ("y", "x") else 0 for role in roles)]
        self._start_indexing()
        pixels = pixels.view(self._image.dtype)  # of BigDataViewer's, others are of it already
        return pixels if roles.index("y") < roles.index("x") else pixels.T

    def _selection(self, key: PlaneKey, region: Region | None = None) -> list[tuple[int, int]]:
        """Start and stop along each axis of the dataset; of the whole plane without a region."""
        top, left, height, width = region or (0, 0, *self._image.plane_shape)
        along = {role: (index, index + 1) for role, index in key._asdict().items()}
        along |= {"y": (top, top + height), "x": (left, left + width)}
        return [along.get(role, (0, 1)) for role in self._image.roles]

    def is_stored(self, key: PlaneKey) -> bool | None:
        """Whether any chunk of a plane is stored; None if that is too costly to know."""
        if not self.info.contains(key) or not self.is_near:
            return None
        return self.looks_up(key)

    def looks_up(self, key: PlaneKey) -> bool | None:
        """See `Snapshot.looks_up`."""
        return self._pixels.is_stored(self._selection(key))

    def has_room_ahead(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.has_room_ahead`."""
        return self.info.contains(key) and self._opened.has_room_ahead(self._selection(key))

    def stretches(self, keys: Sequence[PlaneKey], level: int) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`."""
        path = self._data_file.path
        if level or self._opened.is_allocated_as_written or not may_have_holes(path):
            return [()] * len(keys)
        known = [PlaneKey(*key) if self.info.contains(PlaneKey(*key)) else None for key in keys]
        places = ([] if key is None else self._opened.places_ahead(self._selection(key)) for key in known)
        return [tuple(Stretch(path, *at) for at in each) for each in places]

    def place(self, key: PlaneKey, level: int) -> tuple[Hashable, tuple[int, ...]] | None:
        """See `Snapshot.place`."""
        along = key._asdict()
        return None, tuple(along.get(role, 0) for role in self._image.roles if role not in ("y", "x"))

    def in_chunks(self, dataset: Any) -> AbstractContextManager[HDF5InChunks | None]:
        """See `Snapshot.in_chunks`."""
        found = HDF5InChunks.of(self._data_file, self._known, self._opened, self._image.roles)
        return contextlib.nullcontext(found)

    def is_partly_stored(self, key: PlaneKey, level: int) -> bool:
        """See `Snapshot.is_partly_stored`."""
        return self.info.contains(key) and self._pixels.is_partly_stored(self._selection(key))

    @property
    def is_near(self) -> bool:
        """See `Snapshot.is_near`."""
        return self._index is None or self._index.complete or not self.file.is_remote

    @property
    def fill(self) -> np.generic:
        """See `Snapshot.fill`."""
        return self._fill

    # ---- the index, once the first plane is there ------------------------------------------

    def _start_indexing(self) -> None:
        index = self._index
        if self._thread is not None or index is None or index.complete or not self._is_worth_indexing(index):
            return
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = abandonable_thread(partial(self._build_index, index), "ndviewer-hdf5-index")
                self._thread.start()

    def _build_index(self, index: ChunkIndex) -> None:
        try:
            with self._giving_way():
                table = index.scan(self._stop)
        except DatasetError as error:  # planes are looked up one by one, and report errors themselves
            logger.debug("cannot read the chunk index of %s: %s", self.file.name, error)
            return
        if table is not None and self._cache is not None and self._key is not None:
            hdf5_saved.save(self._cache, self._key, table)

    def _giving_way(self) -> contextlib.AbstractContextManager[object]:
        """On a server, planes that somebody is waiting for come before the index."""
        if not self.file.is_remote:
            return contextlib.nullcontext()
        return CancelScope(background=True)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._stop.set()
        self.file.bytes.close()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(_JOIN_SECONDS)
        self.file.close()


def name_of_image(path: str, inner: str) -> str:
    file = name_of(path) or path
    return f"{file}::{inner}" if inner else file


def unfinished(file: HDF5File) -> tuple[str, ...]:
    """A warning about a file that is open for writing, but not in SWMR mode, which is safe for readers."""
    if not file.superblock.is_open or file.superblock.is_growing:
        return ()
    said = (
        f"{file.name} is still being written, or was not closed by the program that wrote it: "
        "what is shown may be incomplete"
    )
    return (about_file(said, file.path),)


def _labels(path: str, shown: Candidate, known: Choices, info: DatasetInfo) -> tuple[str, ...]:
    """Of the height and width of the image: masks of NWB's regions, or what is called labels."""
    if shown.series is None and shown.picture is None and shown.is_called_labels:
        return ()
    if shown.is_of_masks:
        return ()
    others = [each for each in known.candidates if each.path != shown.path]
    fitting = [each for each in others if _size_of_labels(each) == (info.height, info.width)]
    return tuple(f"{path}::{each.path}" for each in fitting[:_MAX_CHOICES])


def _size_of_labels(candidate: Candidate) -> tuple[int, int] | None:
    """The height and width of what may be labels; None of anything else."""
    shape = candidate.facts.shape
    if candidate.picture is not None:
        return (shape[2], shape[1]) if candidate.is_of_masks else None
    if candidate.series is not None or not candidate.is_called_labels:
        return None
    try:
        roles = described(candidate).roles
    except DatasetError:  # opening it says why
        return None
    if any(shape[i] > 1 for i, role in enumerate(roles) if role not in ("t", "z", "y", "x")):
        return None  # one plane of several is no labels
    return shape[roles.index("y")], shape[roles.index("x")]


def paths_of_masks(path: str, known: Choices, size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """The masks of NWB's regions, as they are opened; those of this height and width, if it is given."""
    masks = (each for each in known.candidates if each.is_of_masks)
    fitting = [each for each in masks if size is None or _size_of_labels(each) == size]
    return tuple(f"{path}::{each.path}" for each in fitting[:_MAX_CHOICES])


def _choices(path: str, shown: str, known: Choices) -> tuple[str, ...]:
    """The paths of all datasets that can be shown, the chosen one first; () if there is no other."""
    others = [each.path for each in known.candidates if each.path != shown]
    return tuple(f"{path}::{inner}" for inner in (shown, *others[:_MAX_CHOICES])) if others else ()
