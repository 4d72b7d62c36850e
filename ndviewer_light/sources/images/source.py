"""Existing image files as one dataset: nothing is copied; names determine which plane is where.

A folder (with subfolders) of pictures or TIFFs, URLs given by a pattern, or one file. Folders
written by Squid belong to another format, which knows more about them.
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from ...errors import DatasetReorderedError, PlaneNotStoredError, UnsupportedError, closed_error
from ...model import PlaneKey
from ...storage.activity import PART_SECONDS
from ...storage.asked_together import asked_together
from ...storage.bytes import check_still_there, is_url
from ...storage.decoding.pictures import one_sample
from ...storage.decoding.tiff_parts import OutsidePlaneError
from ...storage.file_versions import NOTHING, version_of
from ...storage.presentable import presentable, presentable_name
from ...storage.tiling import levels_by_size
from ..filled_in_advance import Room
from ..remarks import TakesRemark
from ..source import AT_ONCE, AT_ONCE_REMOTE, MAX_FILES_LOOKED_AT, Source
from .beside import TimesBeside
from .files_there import FilesThere
from .found_images import FoundImages, found_images
from .growth import FolderGrowth
from .known_folder import KnownFolder, of_another_size
from .on_server import grown_on_server
from .patterns import is_pattern
from .pixel_kinds import PixelKind
from .server_growth import ServerGrowth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import ChannelPart, DatasetInfo, ImageInfo, Level, Region
    from ...storage.file_holes import Stretch
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..remarks import Remark
    from ..source import StorageOptions
    from .file_reader import ImageFiles


_OUT_OF_ORDER_SECONDS = 30.0
"""How long time points may be shown in the order in which they came, while more come."""


class ImagesSource(Source, TakesRemark):
    """Image files; see `name_layouts` for how names are interpreted, `patterns` for the syntax.

    Positions, channels and time points keep their index while a source is open; new ones are appended. Where
    time points came in another order than theirs, `look` asks for it to be opened anew once no more come.
    """

    format = "images"
    may_have_room = True

    def __init__(self, found: FoundImages) -> None:
        path, files, folder = found.path, found.files, found.folder
        self._path = path
        self._folder = folder
        is_folder = not is_url(path) and (os.path.isdir(path) or is_pattern(path))
        self._server_growth = None if folder is None else ServerGrowth(folder, files)
        self._growing = threading.Lock()  # held while the folder is listed
        self._known = KnownFolder(found)
        listing = self._known.listing
        self._growth = (
            FolderGrowth(listing, by_user=found.by_user, told_apart=self._known.told_apart)
            if is_folder
            else None
        )
        self._files = files
        self._there = FilesThere(listing.root, lambda: list(self._known.catalogue.files.values()))
        self._times = TimesBeside(files.links)
        self._out_of_order: tuple[float, float] | None = None  # since when, and when more came last
        self._closed = False

    @classmethod
    def open(
        cls, path: str, options: StorageOptions = None, folder: FolderOnServer | None = None
    ) -> ImagesSource:
        """Open the images at `path`, see `found_images`; one file of each channel is opened."""
        return cls.of(found_images(path, options, folder))

    @classmethod
    def of(cls, found: FoundImages) -> ImagesSource:
        """Open images that were found; raises a `DatasetError`."""
        try:
            return cls(found)
        except BaseException:
            found.files.close()
            raise

    def take_remark(self, remark: Remark) -> None:
        """See `TakesRemark`."""
        self._known.add(remark)

    # ---- Source ------------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._known.info

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`: the colours of a picture are read together."""
        if not is_url(self.root):
            return AT_ONCE
        return AT_ONCE_REMOTE * (3 if self.is_colour else 1)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane; for colour images, of one of the three colours.

        In the dtype of its position, which becomes another one if a file does not fit it. Raises
        `PlaneNotStoredError` if there is no file for it, `UnsupportedError` if it differs in size
        from the others.
        """
        return self._read(PlaneKey(*key), level, None)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: of a TIFF, only the strips or tiles that it touches are read."""
        return self._read(PlaneKey(*key), level, region)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`: of the first file of the position; files say nothing about their scale."""
        key, image = PlaneKey(p=p), self.image(p)
        pictures = [self._files.picture(*self._place(key), level) for level in range(image.n_levels)]
        return levels_by_size([(picture.height, picture.width) for picture in pictures], image.n_z)

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`: opens the first file of the position; as the others if that is damaged."""
        if 0 <= p < len(self.info.positions):
            self._known.pages_at(p)
        return self.info.image(p)

    def look_at_all(self) -> DatasetInfo:
        """PixelKind at the first 512 positions; at none on a server, where each is a request."""
        most = 0 if is_url(self.root) else MAX_FILES_LOOKED_AT
        n = min(len(self.info.positions), most)
        for p in range(n):
            self._known.pages_at(p, every_channel=n * len(self._known.kinds) <= most)
        return self.info

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole tiles or strips of the first file of the position."""
        key = PlaneKey(p=p)
        self._checked(key, level)
        try:
            return self._files.tile(self._place(key)[0], level)
        except PlaneNotStoredError:
            return None

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        if len(self._known.kinds) > 1 and not is_url(self.root):  # each channel has to be known
            self._known.pages_at(key.p)
        part = self._checked(key, level)
        path, page = self._place(key)
        try:
            pixels = self._files.read(path, page, level, region, keep=part.sample is not None)
        except OutsidePlaneError as error:
            raise IndexError(str(error)) from None
        common, kind = self.info.groups[0], PixelKind.of_pixels(pixels)
        is_alike = pixels.shape[:2] == (common.height, common.width) and not self._known.pages.roles
        if is_alike and kind == self._known.kind_of(part) and region is None and level == 0:
            self._known.note_alike(key.p)  # as far as one of its files tells
        self._known.pages_at(key.p)
        self._checked(key, level)
        if region is None:
            self._check_size(key, pixels.shape[:2], path, level)
        n, expected = self._files.n_planes.get(path, 1), math.prod(self._known.pages_at(key.p).sizes)
        if n > expected and self._known.listing.pattern:
            self._known.warn(path, key, f"has {n} planes, others of its series {expected}: so many are shown")
        if kind.in_colour and part.sample is None:
            self._known.warn(path, key, "is in colour, others of its series are not: it is shown in grey")
        return one_sample(pixels, part.sample).astype(self._known.dtype_for(key.p, kind.dtype), copy=False)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane from its own file; None if there is none."""
        key = PlaneKey(*key)
        self._checked(key, level)
        try:
            picture = self._files.picture(*self._place(key), level)
        except PlaneNotStoredError:
            return None
        return picture.height, picture.width

    def exists(self, key: PlaneKey) -> bool:
        """Whether there is a file for this plane; none is opened."""
        key = PlaneKey(*key)
        return (
            self.info.contains(key) and self._known.has_channel(key) and self._known.name_of(key) is not None
        )

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: a plane of zeros is stored like any other."""
        return False

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: whether a file was listed and, on this computer, is there still."""
        keys = [PlaneKey(*key) for key in keys]
        if is_url(self.root):
            return [self.exists(key) for key in keys]
        return list(self._there.of([self._known.name_of(key) if self.exists(key) else None for key in keys]))

    def refresh(self) -> DatasetInfo:
        """List the folders that have changed, on a server all, and add new files."""
        if self._folder is not None:
            with self._growing:
                grown = grown_on_server(self._folder, self._known.listing, self._known.catalogue)
                if grown is not None:
                    self._known.take(grown)
        return self._look(all_of_it=True)

    def look(self) -> DatasetInfo:
        """See `Source.look`: what it costs is said with `FolderGrowth`, and with `ServerGrowth`."""
        if self._server_growth is not None:
            with self._growing:
                grown = self._server_growth.look(self._known.listing, self._known.catalogue)
                if grown is not None:
                    self._known.take(grown)
        before, info = self.info, self._look(all_of_it=False)
        self._check_order(has_grown=info is not before)
        return info

    def may_be_another(self) -> bool:
        """See `Source.may_be_another`: what is on a server may have turned out to be a set of TIFFs."""
        with self._growing:
            return self._server_growth is not None and self._server_growth.take_says_otherwise()

    def _check_order(self, *, has_grown: bool) -> None:
        """Raise `DatasetReorderedError` for files in another order than theirs, once no more come."""
        now = time.monotonic()
        if self._known.catalogue.is_in_order:
            self._out_of_order = None
            return
        since, grew = self._out_of_order or (now, now)
        self._out_of_order = since, now if has_grown else grew
        if now - self._out_of_order[1] > PART_SECONDS or now - since > _OUT_OF_ORDER_SECONDS:
            raise DatasetReorderedError(f"{self._path}: files were added before others in their order")

    def _look(self, *, all_of_it: bool) -> DatasetInfo:
        with self._growing:
            self._known.look_at_damaged()
        if self._growth is None:
            return self.info
        check_still_there(self.root)
        with self._growing:
            grown = self._growth.look(self._known.listing, self._known.catalogue, all_of_it=all_of_it)
            if grown is not None:
                self._known.take(grown)
        return self.info

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: those of the files."""
        if is_url(self.root):
            return [None] * len(keys)
        return asked_together(lambda key: self._version(PlaneKey(*key)), keys)

    def _version(self, key: PlaneKey) -> str | None:
        if not self.info.contains(key):
            return None
        name = self._known.name_of(key)
        return NOTHING if name is None else version_of(self.root + name)

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """See `Source.room_ahead`: of TIFFs that are not compressed."""
        place, room = self._local_place(key), Room.PLANES if self._known.pages.roles else Room.REST
        return room if place is not None and self._files.is_plain(*place, level) else Room.NONE

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`: in TIFFs of several planes."""
        places = [self._local_place(PlaneKey(*key)) if self._known.pages.roles else None for key in keys]
        return [() if place is None else self._files.stretches(*place, level) for place in places]

    def _local_place(self, key: PlaneKey) -> tuple[str, int] | None:
        return None if is_url(self.root) or not self.info.contains(key) else self.place(key)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by what Micro-Manager writes beside the images."""
        is_told = not is_url(self.root)
        return [self._time_of(PlaneKey(*key)) if is_told else None for key in keys]

    def _time_of(self, key: PlaneKey) -> float | None:
        name = self._known.name_of(key) if self.info.contains(key) else None
        return self._times.of(self.root + name) if name is not None else None

    @property
    def landmark(self) -> str | None:
        """See `Source.landmark`: the first file."""
        return self.root + self._known.listing.files[0][1]

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: how the files are named, how many there are, where."""
        host = urlsplit(self.root).netloc.rpartition("@")[2] if is_url(self.root) else ""
        return {
            "files": len(self._known.catalogue.files),
            "pattern": presentable_name(self._known.listing.pattern),
            "names": list(self._known.listing.evidence),
            "pages per file": int(np.prod(self._known.pages.sizes, dtype=int)),
            "hosts": [host] if host else [],
        }

    def close(self) -> None:
        """Close all files; reads in progress end with an error. Idempotent."""
        self._closed = True
        self._files.close()

    # ---- files -------------------------------------------------------------------------------

    def place(self, key: PlaneKey) -> tuple[str, int] | None:
        """The file of a plane and its page, which contains all colours; None if there is none."""
        return self._known.place(key)

    @property
    def root(self) -> str:
        """The common prefix of all file names: a folder or URL, with trailing slash."""
        return self._known.listing.root

    @property
    def is_colour(self) -> bool:
        """Whether the images are in colour, shown as three channels red, green and blue."""
        return all(part.sample is not None for part in self._known.parts)

    @property
    def files(self) -> ImageFiles:
        """The files, for callers that need more than planes."""
        return self._files

    @property
    def _shown_root(self) -> str:
        return presentable(self.root)

    def _place(self, key: PlaneKey) -> tuple[str, int]:
        found = self.place(key)
        if found is None:
            raise PlaneNotStoredError(
                f"{self._shown_root} contains no image for t={key.t} p={key.p} c={key.c} z={key.z}"
            )
        if not is_url(self.root):
            check_still_there(self.root)
        return found

    def _checked(self, key: PlaneKey, level: int) -> ChannelPart:
        if not self.info.contains(key) or not 0 <= level < self.info.image(key.p).n_levels:
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self.info.sizes}")
        if self._closed:
            raise closed_error()
        if not self._known.has_channel(key):
            title, name = self.info.positions[key.p].title, self.info.channels[key.c].name
            raise PlaneNotStoredError(f"position {title} has no channel {name}")
        return self._known.parts[key.c]

    def _check_size(self, key: PlaneKey, shape: tuple[int, ...], path: str, level: int) -> None:
        """Refuse an image whose size differs from its series; without a series, any size will do."""
        image = self.info.image(key.p)
        size = image.height, image.width
        if level or not self._known.listing.pattern or shape == size:
            return
        what = of_another_size((shape[0], shape[1]), size)
        self._known.warn(path, key, what)
        raise UnsupportedError(f"{presentable(path)} {what}")
