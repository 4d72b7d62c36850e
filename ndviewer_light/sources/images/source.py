"""Existing image files as one dataset: nothing is copied; names determine which plane is where.

A folder (with subfolders) of PNG, JPEG, BMP or TIFF, URLs given by a pattern, or one file. Folders
written by Squid belong to another format, which knows more about them.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from ...errors import DatasetError, DatasetReorderedError, PlaneNotStoredError, UnsupportedError
from ...model import PlaneKey, channel_in
from ...storage.about_files import about_file
from ...storage.activity import PART_SECONDS
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
from .catalogue import FileCatalogue
from .files_there import FilesThere
from .first_files import FirstFiles, first_sample
from .folder_info import grown_info, image_info, opened_info
from .found_images import FoundImages, found_images
from .growth import FolderGrowth
from .on_server import grown_on_server
from .page_axes import PageAxes, page_axes_of
from .patterns import is_pattern
from .pixel_kinds import PixelKind, channels_of, common_dtype, parts_shown
from .planned_images import planned_fields
from .server_growth import ServerGrowth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import ChannelPart, DatasetInfo, ImageInfo, Level, Region
    from ...storage.file_holes import Stretch
    from ...storage.trees.folder_on_server import FolderOnServer
    from ..remarks import Remark
    from ..source import StorageOptions
    from .file_reader import ImageFiles, Sample
    from .growth import Grown


_OUT_OF_ORDER_SECONDS = 30.0
"""How long time points may be shown in the order in which they came, while more come."""
_MAX_WARNINGS = 8
"""Of files that are unlike others, so many are named."""


class ImagesSource(Source, TakesRemark):
    """Image files; see `name_layouts` for how names are interpreted, `patterns` for the syntax.

    Positions, channels and time points keep their index while a source is open; new ones are appended. Where
    time points came in another order than theirs, `look` asks for it to be opened anew once no more come.
    """

    format = "images"
    may_have_room = True

    def __init__(self, found: FoundImages) -> None:
        path, listing, files, folder = found.path, found.listing, found.files, found.folder
        self._path = path
        self._folder = folder
        is_folder = not is_url(path) and (os.path.isdir(path) or is_pattern(path))
        self._growth = FolderGrowth(listing, by_user=found.by_user) if is_folder else None
        self._server_growth = None if folder is None else ServerGrowth(folder, files)
        self._growing = threading.Lock()  # held while the folder is listed
        self._listing = listing
        self._files = files
        self._lock = threading.Lock()  # guards the state; never held while reading a file
        stage = files.beside.coordinates()
        if stage.warning:
            listing = self._listing = listing._replace(warnings=(*listing.warnings, stage.warning))
        first = listing.root + listing.files[0][1]
        stage = stage if stage.by_fov else files.beside.listed(first)
        index = files.beside.index(first)
        self._catalogue = FileCatalogue(listing.pattern, stage.by_fov, listing.said, index)
        self._catalogue.plan(planned_fields(listing, files.beside))
        self._catalogue.add(listing.files)
        self._inners: dict[int, PageAxes] = {}  # of the positions that were looked at
        self._there = FilesThere(listing.root, lambda: list(self._catalogue.files.values()))
        self._firsts = FirstFiles(self._catalogue, files, listing.root)
        self._times = TimesBeside(files.links)
        self._out_of_order: tuple[float, float] | None = None  # since when, and when more came last
        self._closed = False
        sample = self._sample = first_sample(self._listing, self._files)
        self._kinds = self._firsts.kinds(sample)  # of each channel in the names
        self._inner = self._pages_of(self._firsts.fullest(sample))
        # as displayed; of positions with others there are more, like the channels in `info`
        self._parts = parts_shown(self._catalogue, sample, self._inner, self._kinds)
        self._n_shared = len(self._parts)  # of those that are not of single positions
        self._info = opened_info(
            found, listing, self._catalogue, sample, self._inner, self._parts, self._kinds
        )

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
        with self._lock:
            self._info = remark.added_to(self._info)

    # ---- Source ------------------------------------------------------------------------------

    @property
    def info(self) -> DatasetInfo:
        """What is currently known; a new object whenever more becomes known."""
        return self._info

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`: the colours of a picture are read together."""
        if not is_url(self._listing.root):
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
        if 0 <= p < len(self._info.positions):
            self._inner_at(p)
        return self._info.image(p)

    def look_at_all(self) -> DatasetInfo:
        """PixelKind at the first 512 positions; at none on a server, where each is a request."""
        most = 0 if is_url(self._listing.root) else MAX_FILES_LOOKED_AT
        n = min(len(self._info.positions), most)
        for p in range(n):
            self._inner_at(p, every_channel=n * len(self._kinds) <= most)
        return self._info

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole tiles or strips of the first file of the position."""
        key = PlaneKey(p=p)
        self._checked(key, level)
        try:
            return self._files.tile(self._place(key)[0], level)
        except PlaneNotStoredError:
            return None

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        if len(self._kinds) > 1 and not is_url(self._listing.root):  # each channel has to be known
            self._inner_at(key.p)
        part = self._checked(key, level)
        path, page = self._place(key)
        try:
            pixels = self._files.read(path, page, level, region, keep=part.sample is not None)
        except OutsidePlaneError as error:
            raise IndexError(str(error)) from None
        common, kind = self._info.groups[0], PixelKind.of_pixels(pixels)
        is_alike = pixels.shape[:2] == (common.height, common.width) and not self._inner.roles
        if is_alike and kind == self._kind_of(part) and region is None and level == 0:
            self._inners.setdefault(key.p, self._inner)  # as far as one of its files tells
        self._inner_at(key.p)
        self._checked(key, level)
        if region is None:
            self._check_size(key, pixels.shape[:2], path, level)
        n, expected = self._files.n_planes.get(path, 1), math.prod(self._inner_at(key.p).sizes)
        if n > expected and self._listing.pattern:
            self._warn(path, key, f"has {n} planes, others of its series {expected}: so many are shown")
        if kind.in_colour and part.sample is None:
            self._warn(path, key, "is in colour, others of its series are not: it is shown in grey")
        return one_sample(pixels, part.sample).astype(self._dtype_for(key.p, kind.dtype), copy=False)

    def _kind_of(self, part: ChannelPart) -> PixelKind:
        return self._kinds[part.of if part.of < len(self._kinds) else 0]  # files of all channels have one

    def _dtype_for(self, p: int, dtype: np.dtype) -> np.dtype:
        """The dtype of a position; it becomes one that holds `dtype` as well."""
        known = self._info.image(p).dtype
        assert known is not None, "a file was opened"
        if np.can_cast(dtype, known, "safe"):
            return known
        with self._lock:
            image = self._info.image(p)
            holding = np.result_type(dtype, known if image.dtype is None else image.dtype)
            self._info = self._info.with_image(p, replace(image, dtype=holding))
        return holding

    def _warn(self, path: str, key: PlaneKey, what: str) -> None:
        warning = about_file(f"{presentable(path)} {what}", path, **key._asdict())
        with self._lock:
            if warning not in self._info.warnings and len(self._info.warnings) < _MAX_WARNINGS:
                self._info = replace(self._info, warnings=(*self._info.warnings, warning))

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
        return self._info.contains(key) and self._has_channel(key) and self._name(key) is not None

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: a plane of zeros is stored like any other."""
        return False

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: whether a file was listed and, on this computer, is there still."""
        keys = [PlaneKey(*key) for key in keys]
        if is_url(self._listing.root):
            return [self.exists(key) for key in keys]
        return list(self._there.of([self._name(key) if self.exists(key) else None for key in keys]))

    def refresh(self) -> DatasetInfo:
        """List the folders that have changed, on a server all, and add new files."""
        if self._folder is not None:
            with self._growing:
                grown = grown_on_server(self._folder, self._listing, self._catalogue)
                if grown is not None:
                    self._take(grown)
        return self._look(all_of_it=True)

    def look(self) -> DatasetInfo:
        """See `Source.look`: what it costs is said with `FolderGrowth`, and with `ServerGrowth`."""
        if self._server_growth is not None:
            with self._growing:
                grown = self._server_growth.look(self._listing, self._catalogue)
                if grown is not None:
                    self._take(grown)
        before, info = self._info, self._look(all_of_it=False)
        self._check_order(has_grown=info is not before)
        return info

    def may_be_another(self) -> bool:
        """See `Source.may_be_another`: what is on a server may have turned out to be a set of TIFFs."""
        with self._growing:
            return self._server_growth is not None and self._server_growth.take_says_otherwise()

    def _check_order(self, *, has_grown: bool) -> None:
        """Raise `DatasetReorderedError` for files in another order than theirs, once no more come."""
        now = time.monotonic()
        if self._catalogue.is_in_order:
            self._out_of_order = None
            return
        since, grew = self._out_of_order or (now, now)
        self._out_of_order = since, now if has_grown else grew
        if now - self._out_of_order[1] > PART_SECONDS or now - since > _OUT_OF_ORDER_SECONDS:
            raise DatasetReorderedError(f"{self._path}: files were added before others in their order")

    def _look(self, *, all_of_it: bool) -> DatasetInfo:
        if self._growth is None:
            return self._info
        check_still_there(self._listing.root)
        with self._growing:
            grown = self._growth.look(self._listing, self._catalogue, all_of_it=all_of_it)
            if grown is not None:
                self._take(grown)
        return self._info

    def _take(self, grown: Grown) -> None:
        """Take files that were added; pages inside files keep the axes that they have."""
        if not grown.catalogue.roles.isdisjoint(self._inner.roles):
            return
        n = len(grown.catalogue.channels)
        with self._lock:
            self._listing, self._catalogue = grown.listing, grown.catalogue
            self._firsts = FirstFiles(grown.catalogue, self._files, grown.listing.root)
        new = self._firsts.kinds(self._sample, range(len(self._kinds), n))
        parts = parts_shown(grown.catalogue, self._sample, self._inner, (*self._kinds, *new))
        with self._lock:
            self._kinds = (*self._kinds, *new)
            if len(self._parts) > self._n_shared:  # some are of single positions
                self._parts = (*self._parts, *(part for part in parts if part not in self._parts))
            elif len(parts) > self._n_shared:  # perhaps by other names
                self._parts, self._n_shared = parts, len(parts)
            info = grown_info(self._info, grown.catalogue, self._parts, self._kinds)
            if info != self._info:  # a new object would mean that more is known
                self._info = info

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: those of the files."""
        if is_url(self._listing.root):
            return [None] * len(keys)
        return [self._version(PlaneKey(*key)) for key in keys]

    def _version(self, key: PlaneKey) -> str | None:
        if not self._info.contains(key):
            return None
        name = self._name(key)
        return NOTHING if name is None else version_of(self._listing.root + name)

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """See `Source.room_ahead`: of TIFFs that are not compressed."""
        place, room = self._local_place(key), Room.PLANES if self._inner.roles else Room.REST
        return room if place is not None and self._files.is_plain(*place, level) else Room.NONE

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`: in TIFFs of several planes."""
        places = [self._local_place(PlaneKey(*key)) if self._inner.roles else None for key in keys]
        return [() if place is None else self._files.stretches(*place, level) for place in places]

    def _local_place(self, key: PlaneKey) -> tuple[str, int] | None:
        return None if is_url(self._listing.root) or not self._info.contains(key) else self.place(key)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: by what Micro-Manager writes beside the images."""
        is_told = not is_url(self._listing.root)
        return [self._time_of(PlaneKey(*key)) if is_told else None for key in keys]

    def _time_of(self, key: PlaneKey) -> float | None:
        name = self._name(key) if self._info.contains(key) else None
        return self._times.of(self._listing.root + name) if name is not None else None

    @property
    def landmark(self) -> str | None:
        """See `Source.landmark`: the first file."""
        return self._listing.root + self._listing.files[0][1]

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: how the files are named, how many there are, where."""
        host = urlsplit(self._listing.root).netloc.rpartition("@")[2] if is_url(self._listing.root) else ""
        return {
            "files": len(self._catalogue.files),
            "pattern": presentable_name(self._listing.pattern),
            "names": list(self._listing.evidence),
            "pages per file": int(np.prod(self._inner.sizes, dtype=int)),
            "hosts": [host] if host else [],
        }

    def close(self) -> None:
        """Close all files; reads in progress end with an error. Idempotent."""
        self._closed = True
        self._files.close()

    # ---- files -------------------------------------------------------------------------------

    def place(self, key: PlaneKey) -> tuple[str, int] | None:
        """The file of a plane and its page, which contains all colours; None if there is none."""
        key = self._acquired(PlaneKey(*key))
        name = self._catalogue.files.get(self._inner.of_file(key))
        if name is None:
            return None
        inner = self._inner_at(key.p) if self._inner.roles else self._inner
        is_there = all(getattr(key, role) < inner.size(role) for role in self._inner.roles)
        return (self._listing.root + name, inner.page(key)) if is_there else None

    @property
    def root(self) -> str:
        """The common prefix of all file names: a folder or URL, with trailing slash."""
        return self._listing.root

    @property
    def is_colour(self) -> bool:
        """Whether the images are in colour, shown as three channels red, green and blue."""
        return all(part.sample is not None for part in self._parts)

    @property
    def files(self) -> ImageFiles:
        """The files, for callers that need more than planes."""
        return self._files

    @property
    def _shown_root(self) -> str:
        return presentable(self._listing.root)

    def _acquired(self, key: PlaneKey) -> PlaneKey:
        """The key with the channel index of the files, not of the display."""
        return key._replace(c=self._parts[key.c].of)

    def _name(self, key: PlaneKey) -> str | None:
        return self._catalogue.files.get(self._inner.of_file(self._acquired(key)))

    def _place(self, key: PlaneKey) -> tuple[str, int]:
        found = self.place(key)
        if found is None:
            raise PlaneNotStoredError(
                f"{self._shown_root} contains no image for t={key.t} p={key.p} c={key.c} z={key.z}"
            )
        if not is_url(self._listing.root):
            check_still_there(self._listing.root)
        return found

    def _checked(self, key: PlaneKey, level: int) -> ChannelPart:
        if not self._info.contains(key) or not 0 <= level < self._info.image(key.p).n_levels:
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self._info.sizes}")
        if self._closed:
            raise DatasetError(f"the dataset was closed before plane {tuple(key)} was read")
        if not self._has_channel(key):
            title, name = self._info.positions[key.p].title, self._info.channels[key.c].name
            raise PlaneNotStoredError(f"position {title} has no channel {name}")
        return self._parts[key.c]

    def _has_channel(self, key: PlaneKey) -> bool:
        """Whether the position of a plane has its channel: one in colour has others than one in grey."""
        info = self._info
        own = info.image(key.p).channels
        return own is info.channels or channel_in(own, info.channels, key.c) is not None

    # ---- sizes -------------------------------------------------------------------------------

    def _check_size(self, key: PlaneKey, shape: tuple[int, ...], path: str, level: int) -> None:
        """Refuse an image whose size differs from its series; without a series, any size will do."""
        image = self._info.image(key.p)
        if level or not self._listing.pattern or shape == (image.height, image.width):
            return
        raise UnsupportedError(
            f"{presentable(path)} has {shape[1]} × {shape[0]} pixels, but others of its series have "
            f"{image.width} × {image.height}: open it separately, or move it out of the folder"
        )

    def _inner_at(self, p: int, *, every_channel: bool = True) -> PageAxes:
        """The pages of the files of a position, which has been looked at then: its first file was opened.

        On this computer, the first file of each channel, unless `every_channel` is False.
        """
        known = self._inners.get(p)
        if known is not None or not self._listing.pattern:
            return known or self._inner
        found = self._firsts.at(p)
        if found is None:  # reading that plane reports the error
            return self._inner
        first, sample = found
        inner = self._inner
        with contextlib.suppress(UnsupportedError):
            is_told = every_channel and not is_url(self._listing.root)
            own = self._pages_of(self._firsts.fullest_at(p, sample) if is_told else sample)
            inner = own if set(own.roles) <= set(inner.roles) else inner
        kinds = list(self._kinds)
        kinds[first.c : first.c + 1] = [PixelKind.of_picture(sample.picture)]
        if every_channel and not is_url(self._listing.root):
            kinds = self._firsts.kinds_at(p, kinds)
        with self._lock:
            self._inners[p] = inner
            image = self._image_of(sample, inner, kinds)
            self._info = self._info.with_image(p, image)
        return inner

    def _pages_of(self, sample: Sample) -> PageAxes:
        said = self._listing.said
        return page_axes_of(sample, self._catalogue, 0 if said is None else said.n_z)

    def _image_of(self, sample: Sample, inner: PageAxes, kinds: Sequence[PixelKind]) -> ImageInfo:
        """What a position contains whose first file is `sample`; names tell of its times and z, if of any.

        Its channels become some of `_parts`. The lock is held.
        """
        common = self._info.groups[0]
        channels = common.channels
        if [kind.in_colour for kind in kinds] != [kind.in_colour for kind in self._kinds]:
            parts = parts_shown(self._catalogue, self._sample, self._inner, kinds)
            channels = channels_of(parts, kinds, known=self._info.channels)
            self._parts = (*self._parts, *(part for part in parts if part not in self._parts))
        return image_info(common, sample, inner, self._inner.roles, channels, common_dtype(kinds))
