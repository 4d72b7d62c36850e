"""References: a JSON file that lists which bytes of which files are the chunks of a Zarr array.

kerchunk (versions 0 and 1) and LINDI. Nothing is copied: planes are read from the referenced files.
"""

from __future__ import annotations

import dataclasses
import functools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    DatasetError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
    closed_error,
)
from ...metadata.recorded_times import RecordedTimes
from ...model import PlaneKey, Region
from ...storage.bytes import is_url, name_of, split_inner
from ...storage.bytes_pool import BytesPool, path_of_key
from ...storage.open_bytes import open_bytes, read_whole
from ...storage.presentable import presentable
from ...storage.tiling import check_whole_plane
from ..missing import Surroundings, judge, not_stored
from ..missing_planes import Claims, MissingPlanesOfMany
from ..registry import open_source
from ..source import AT_ONCE, AT_ONCE_REMOTE, Source
from .array_chunks import plane_parts
from .images import find, has_several_of_nwb, image_of_masks, others_said
from .lindi_tar import content_of, is_lindi_tar, members_of, refer_to_members
from .nwb import frame_times
from .nwb_masks import masks_at, masks_over
from .places import ReferencePolicy
from .plane_reader import PlaneReader, ReferencedBytesReader
from .reference_file import (
    INLINE,
    JSON_ENDING,
    MAX_FILE_BYTES,
    References,
    parse,
)
from .referenced_image import dataset_info
from .several_images import SeveralImages, images_described, labels_of, several_info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...model import DatasetInfo, Level
    from ..missing import Found
    from ..region_masks import RegionMasks
    from ..source import StorageOptions
    from .images import Link
    from .referenced_image import ReferencedImage
    from .several_images import DescribedImages

_MAX_KEPT_BYTES = 8 * 1024**2
"""Of a file of references, on disk for the next time."""
_MAX_FILES_ASKED = 8
"""Files whose identity is asked for: one request each."""


class ReferencesSource(Source):
    """One image of a file of references; see `references.images` for which."""

    format = "references"

    def __init__(
        self,
        image: ReferencedImage,
        info: DatasetInfo,
        fetcher: ReferencedBytesReader,
        places: ReferencePolicy,
        identity: str | None,
        times: Callable[[], Sequence[float]] | None = None,
    ) -> None:
        """`identity` is that of the reference file; `times` are those of frames, of a series of NWB."""
        self._image = image
        self._info = info
        self._fetcher = fetcher
        self._reader = PlaneReader(fetcher)
        self._places = places
        self._own_identity = identity
        self._times_said = times
        self._closed = False
        self._many = MissingPlanesOfMany(self.are_stored)

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> Source:
        """Open the references at `path`; ``refs.json::/path/inside`` chooses one of several arrays.

        Only the file itself is read. If LINDI links an array to another file,
        that one is opened. Raises a `DatasetError`.
        """
        file, inner = split_inner(path)
        places = ReferencePolicy(file, dict(options or {}))
        references, identity = _read(file, places)
        places.learn(references.locations)
        if not inner and has_several_of_nwb(references):
            described = images_described(references)
            if len(described.images) > 1:
                return _several(references, described, file, places, identity)
        found = find(references, inner)
        if found.link is not None:
            return _followed(found.link, references, places)
        fetcher = _fetcher(references, places)
        try:
            image = found.image
            if image is None:
                image = image_of_masks(references, masks_at(references, found.masks, fetcher))
            choices = tuple(f"{file}::/{each}" for each in found.paths) if len(found.paths) > 1 else ()
            info = dataset_info(image, _name(file, inner), choices, references.where)
        except BaseException:
            fetcher.close()
            raise
        if not image.is_of_masks:
            over = masks_over(references, (info.height, info.width))
            info = dataclasses.replace(info, labels=tuple(f"{file}::/{each}" for each in over))
        if choices and not inner:
            text = others_said(found.paths, references.where)
            info = dataclasses.replace(info, warnings=(*info.warnings, text))
        return cls(image, info, fetcher, places, identity, _times_of(references, image))

    @property
    def info(self) -> DatasetInfo:
        """The image's metadata; it does not change."""
        return self._info

    @functools.cached_property
    def identity(self) -> str | None:
        """A name for the references and their files; None if those are too many to query."""
        return _identity(self._own_identity, [self._image], self._fetcher, [])

    @property
    def reads_at_once(self) -> int:
        """See `Source.reads_at_once`: the colours of a picture are read together."""
        if not self._places.hosts:
            return AT_ONCE
        return AT_ONCE_REMOTE * (3 if self._image.is_rgb or self._image.has_samples else 1)

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The pixels (Y, X) of one plane, in their stored order.

        A chunk without reference is the fill value; a plane without any raises `PlaneNotStoredError`.
        """
        return self._read(PlaneKey(*key), level, None)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: reads the chunks that it touches; missing ones as in `read_plane`."""
        return self._read(PlaneKey(*key), level, region)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`."""
        return self._image.level_facts()

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: whole chunks; of uncompressed ones, any rows."""
        self._check(PlaneKey(p=p), level)
        return self._image.tile_shape(level)

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        self._check(key, level)
        shape = self._image.size("y", level), self._image.size("x", level)
        if region is not None and not region.within(*shape):
            raise IndexError(f"{region} is not within a plane of {shape}")
        size = (region.height, region.width) if region is not None else shape
        check_whole_plane(size, self._image.dtype.itemsize, self._image.levels[level].path)
        if self._closed:
            raise closed_error()
        array, plane = self._image.levels[level], self._plane_axes
        is_upright = plane == (self._image.roles.index("y"), self._image.roles.index("x"))
        if self._image.lists is not None:
            return self._painted(self._image.lists, key, region)
        window = None
        if region is not None:
            window = region.slices if is_upright else region.slices[::-1]
        pixels = self._reader.read(array, self._index(key), plane, window)
        if pixels is None:
            if region is None or not self._is_stored(key, level):
                raise self._missing(key, level)
            pixels = np.full(size if is_upright else size[::-1], array.chunks.fill, self._image.dtype)
        return pixels if is_upright else pixels.T

    def _painted(self, lists: RegionMasks, key: PlaneKey, region: Region | None) -> np.ndarray:
        """The mask of a region, which is stored as a list of pixels."""
        whole = self._image.size("y"), self._image.size("x")
        rows, columns = (region or Region(0, 0, *whole)).slices
        along: dict[str, int | slice] = {"x": columns, "y": rows, "z": key.z}
        mask: np.ndarray = lists.painted(key.p, [along[role] for role in self._image.roles[1:]]).T
        return mask

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: whether any chunk is referenced; nobody asks whether it is there."""
        return [self._is_stored(PlaneKey(*key), 0) if self._info.contains(key) else None for key in keys]

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`: references do not grow, and claim nothing."""
        return self._many.of(keys, self._info, lambda _p: Claims(None, lambda: False))

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """See `Source.acquired_s`: as far as the references say it of a series of NWB."""
        times = self._times
        return [times.of(PlaneKey(*key).t, 0, 0) for key in keys]

    @functools.cached_property
    def _times(self) -> RecordedTimes:
        return RecordedTimes(by_t=() if self._times_said is None else self._times_said())

    def _is_stored(self, key: PlaneKey, level: int) -> bool:
        """Whether any chunk of a plane is referenced, so that what is missing of it is fill value."""
        array = self._image.levels[level]
        if self._image.lists is not None:  # a region without a pixel has a mask as well
            return True
        return bool(plane_parts(array, self._index(key), self._plane_axes).parts)

    @property
    def _plane_axes(self) -> tuple[int, int]:
        """The axes of the array that planes have, in its order."""
        y, x = self._image.roles.index("y"), self._image.roles.index("x")
        return min(y, x), max(y, x)

    def _index(self, key: PlaneKey) -> dict[int, int]:
        return self._image.index(*key)

    def _missing(self, key: PlaneKey, level: int) -> PlaneNotStoredError:
        array, image = self._image.levels[level], self._image

        def first_stored(planes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
            there = (self._is_stored(PlaneKey(t, key.p, c, z), level) for t, c, z in planes)
            return next((plane for plane, is_there in zip(planes, there, strict=True) if is_there), None)

        sizes = image.size("t", level), image.size("c", level), image.size("z", level)
        around = Surroundings(sizes, None, first_stored, is_being_written=lambda: False)
        said = f"{self._info.name}: no chunk of this plane is referenced"
        fill = array.chunks.fill
        shape = image.size("y", level), image.size("x", level)
        return not_stored(said, shape, fill, judge((key.t, key.c, key.z), around))

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """(Y, X) of one plane."""
        self._check(PlaneKey(*key), level)
        return self._image.size("y", level), self._image.size("x", level)

    def _check(self, key: PlaneKey, level: int) -> None:
        if not self._info.contains(key) or not 0 <= level < self._info.n_levels:
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {self._info.sizes}")

    def describe(self) -> dict[str, Any]:
        """Further facts beyond `info`: the arrays, and the servers contacted for reading."""
        array = self._image.levels[0]
        return {
            "array": f"/{array.path}",
            "shape": list(array.chunks.shape),
            "chunks": list(array.chunks.chunk),
            "chunks stored": len(array.flat),
            "bytes stored": int(array.length.clip(0).sum()),
            "hosts": list(self._places.hosts),
        }

    def refresh(self) -> DatasetInfo:
        """Does nothing: the references do not change."""
        return self._info

    def close(self) -> None:
        """Release all files; reads in progress end with an error. Idempotent."""
        self._closed = True
        self._reader.close()


def _read(file: str, places: ReferencePolicy) -> tuple[References, str | None]:
    """The parsed reference file, and the identity of its bytes."""
    source = open_bytes(file, places.options_for(file))
    try:
        members = members_of(source) if is_lindi_tar(source) else {}
        start, size = content_of(source, members) if members else (0, source.size)
        if size > MAX_FILE_BYTES:
            raise LimitExceededError(
                f"{source.name} has {size} bytes; a reference file may have at most {MAX_FILE_BYTES}"
            )
        if size <= _MAX_KEPT_BYTES:
            source.fetch([(start, size)])
            source.keep_structure()
        references = parse(source.read(start, size), source.name)
        if members:
            refer_to_members(references, members, file)
        return references, source.identity
    finally:
        source.close()


def _times_of(references: References, image: ReferencedImage) -> Callable[[], Sequence[float]] | None:
    group, _, name = image.levels[0].path.rpartition("/")
    if name != "data" or "t" not in image.roles:
        return None
    return partial(frame_times, references, group, image.size("t"))


def _fetcher(references: References, places: ReferencePolicy) -> ReferencedBytesReader:
    pool = BytesPool(
        lambda key: open_bytes(path_of_key(key), places.options_for(path_of_key(key))),
        read_whole=lambda place: read_whole(place, places.options_for(place)),
    )
    return ReferencedBytesReader(references, places, pool)


def _several(
    references: References,
    described: DescribedImages,
    file: str,
    places: ReferencePolicy,
    identity: str | None,
) -> Source:
    """The images of an NWB file, as positions of one dataset."""
    info = several_info(references, described, file, _name(file, ""))
    fetcher = _fetcher(references, places)

    def source_at(p: int) -> Source:
        path, image, link = described.images[p]
        if link is not None:
            return _followed(link, references, places)
        own = dataset_info(image, info.name, (), f"{references.where}: /{path}")
        return ReferencesSource(image, own, fetcher, places, identity, _times_of(references, image))

    def identify() -> str | None:
        images = [image for _, image, link in described.images if link is None]
        linked = {link.url for *_, link in described.images if link is not None}

        def name_of_linked(url: str) -> str | None:
            return _identity_of_file(places.checked(places.place(url)), places)

        return _identity(identity, images, fetcher, [partial(name_of_linked, url) for url in sorted(linked)])

    is_remote = bool(places.hosts) or any(
        link is not None and is_url(link.url) for *_, link in described.images
    )
    why = "the types of its groups (neurodata_type)"
    about = {
        "why": why,
        "images": [f"/{each.path}" for each in described.images],
        "hosts": list(places.hosts),
    }
    return SeveralImages(
        info,
        source_at,
        partial(labels_of, references, file),
        identify,
        AT_ONCE_REMOTE if is_remote else AT_ONCE,
        about,
        fetcher.close,
    )


def _identity(
    own: str | None,
    images: Sequence[ReferencedImage],
    fetcher: ReferencedBytesReader,
    others: Sequence[Callable[[], str | None]],
) -> str | None:
    """A name for the references and all files that images are in; `others` name those of linked ones.

    None if one of them has none, or they are too many.
    """
    arrays = [level for image in images for level in image.levels]
    locations = sorted({int(each) for array in arrays for each in np.unique(array.location)} - {INLINE})
    if own is None or len(locations) + len(others) > _MAX_FILES_ASKED:
        return None
    try:
        names = [own, *map(fetcher.identity, locations), *(name() for name in others)]
    except DatasetError:  # reading planes will report it
        return None
    known = [name for name in names if name]
    paths = [image.levels[0].path for image in images]
    return "\n".join([*known, *paths]) if len(known) == len(names) else None


def _identity_of_file(place: str, places: ReferencePolicy) -> str | None:
    file = open_bytes(place, places.options_for(place))
    try:
        return file.identity
    finally:
        file.close()


def _followed(link: Link, references: References, places: ReferencePolicy) -> Source:
    """Open the linked dataset in another file."""
    place = places.checked(places.place(link.url))
    if place.lower().endswith(JSON_ENDING):
        raise UnsupportedError(
            f"{references.where} refers to {presentable(link.url)}, which is itself a reference file: not "
            "supported"
        )
    try:
        return open_source(f"{place}::{link.path}", places.options_for(place))
    except DatasetError as error:
        raise type(error)(f"{references.where} refers to {link.path} in another file: {error}") from error


def _name(file: str, inner: str) -> str:
    name = name_of(file) or file
    return f"{name}::{inner}" if inner else name
