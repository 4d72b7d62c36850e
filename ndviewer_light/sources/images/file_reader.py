"""Reads pixels from image files, local or remote: pictures and TIFFs, one image or many planes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...errors import DatasetError, PlaneNotStoredError, UnsupportedError
from ...storage.bytes_pool import whole
from ...storage.decoding.orientation import UPRIGHT
from ...storage.decoding.pictures import (
    begins_like_a_picture,
    decoded,
    orientation_in,
    picture_in,
)
from ...storage.decoding.tiff_pages import TIFF_KINDS, Extent
from ...storage.file_holes import Stretch, may_have_holes
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.presentable import presentable
from ..tiff_files import TiffFiles, ends_early, is_tiff_file, missing_pages_are_lost
from ..tiff_planes import (
    block_index,
    facts_of,
    plane_in_block,
    plane_picture,
    plane_tile,
    read_block,
    read_upright,
)
from .beside import Beside, said_beside
from .framed_pictures import FramedPictures, check_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np

    from ...metadata.set_index import SetIndex
    from ...metadata.tiff_layout import TiffImage
    from ...model import Channel, Region
    from ...storage.bytes import Bytes
    from ...storage.decoding.pictures import Picture
    from ...storage.decoding.tiff_pages import Parts
    from ...storage.local_files import LinkGuard
    from ..tiff_files import UnderstoodTiff

_KEPT_BYTES = 128 * 1024**2
_MOST_COUNTED = 10_000

Page = tuple[str, int, int, "Region | None"]  # file in its version, plane, level, region


@dataclass(frozen=True)
class Sample:
    """What one file reveals about all: pixel type, the axes of its planes, steps in µm and s.

    `axes` and `sizes` as stored, slowest first ("TZC"), "" for a single plane. `described` is more about the
    channels in the file, whose names are `channels`. `n_images` are in the file, of which the first is meant.
    """

    picture: Picture
    axes: str = ""
    sizes: tuple[int, ...] = ()
    n_levels: int = 1
    steps: Mapping[str, float | None] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    described: tuple[Channel, ...] = ()
    n_images: int = 1
    kind: str = ""
    """By what its pages were understood."""
    is_inverted: bool = False
    """Whether it is grey, and its low values are the bright ones."""
    orientation: object = UPRIGHT
    """Its tag "Orientation"."""
    beside: tuple[Channel, ...] = ()
    """The channels that a file beside it names."""
    numbered: Mapping[str, Channel] = field(default_factory=dict)
    """The same, by the numbers that they have in the names of files."""
    torn: str = ""
    """Why it may have fewer pages than others: the file ends before one of them."""


class ImageFiles:
    """The files of a dataset; any thread. Colour images are kept decoded, for all of their channels."""

    def __init__(
        self,
        options: Mapping[str, str],
        links: LinkGuard | None = None,
        beside: Collection[str] = (),
        said: SetIndex | None = None,
    ) -> None:
        """`links` checks local files before they are opened; `beside` and `said` see `Beside`."""
        self._files = TiffFiles(options, links)
        self.beside = Beside(links, options, beside, said)
        """What is written beside them."""
        self._kept: MemoryCache[Page, np.ndarray] = MemoryCache(_KEPT_BYTES, nbytes)
        self._framed = FramedPictures()
        self.n_planes: dict[str, int] = {}
        """How many planes are in the files that were read and have several; of some of very many."""

    @property
    def links(self) -> LinkGuard | None:
        """What checks local files before they are opened."""
        return self._files.links

    def read(
        self, path: str, plane: int = 0, level: int = 0, region: Region | None = None, *, keep: bool = False
    ) -> np.ndarray:
        """The pixels of a plane, (Y, X) or (Y, X, S), or of a region; `keep` them if needed again soon.

        Raises `PlaneNotStoredError` if there is no such file or plane, else a `DatasetError`.
        """
        if not keep:
            return self._read(path, plane, level, region)
        wanted = (self._files.key_of(path), plane, level, region)
        return self._kept.get([wanted], lambda _: [(wanted, self._read(path, plane, level, region))])[wanted]

    def _read(self, path: str, plane: int, level: int, region: Region | None) -> np.ndarray:
        with self._files.bytes_of(path) as file:
            if not _is_tiff(file):
                pixels = self._picture(file, path, plane, level)
                return pixels if region is None else pixels[region.slices]
            tiff = self._files.understood(path, file)
            image = _image_of(tiff)
            self._note_planes(path, math.prod(size for _, size in image.plane_axes))
            with missing_pages_are_lost(path, tiff):
                return _plane_of(tiff, image, path, plane, level, region)

    def _picture(self, file: Bytes, path: str, plane: int, level: int) -> np.ndarray:
        """The pixels of a file that is no TIFF, or of one of the frames in it."""
        key = self._files.key_of(path)
        framed = self._framed.known(key, file)
        if framed is None or framed.n == 1:
            _only_plane(path, plane, level)
            return decoded(whole(file) if framed is None else self._framed.content(key, file), file.name)
        self._note_planes(path, framed.n)
        _only_plane(path, 0, level)
        return self._framed.read(key, file, framed, plane)

    def _note_planes(self, path: str, n: int) -> None:
        if n > 1 and len(self.n_planes) < _MOST_COUNTED:
            self.n_planes[path] = n

    def tile(self, path: str, level: int = 0) -> tuple[int, int] | None:
        """Rows and columns of a TIFF worth reading at once; None: the whole plane. Raises like `read`."""
        with self._files.bytes_of(path) as file:
            if not _is_tiff(file):
                return None
            tiff = self._files.understood(path, file)
            return plane_tile(_image_of(tiff), level, tiff.only)

    def picture(self, path: str, plane: int = 0, level: int = 0) -> Picture:
        """The pixel format of a plane; raises like `read`."""
        with self._files.bytes_of(path) as file:
            if _is_tiff(file):
                tiff = self._files.understood(path, file)
                image = _image_of(tiff)
                return plane_picture(image, image.index(plane), level, tiff.only)
            framed = self._framed.known(self._files.key_of(path), file)
            if framed is not None:
                _only_plane(path, 0, level)
                check_number(file.name, plane, framed.n)
                return framed.picture
            _only_plane(path, plane, level)
            with file.opened() as opened:
                return picture_in(opened, file.name)

    def stored(self, path: str, plane: int, level: int = 0) -> Extent | Parts | None:
        """Where the pixels of a plane of a TIFF are, contiguous or in parts; None for other files.

        Raises `UnsupportedError` for planes that are a part of a page, or of several.
        """
        with self._files.bytes_of(path) as file:
            if not _is_tiff(file):
                return None
            tiff = self._files.understood(path, file)
            image = _image_of(tiff)
            if (
                not image.is_upright
                or image.samples[0] not in ("", "s")
                or (image.is_colour and not image.samples[0])
            ):
                raise UnsupportedError(f"{presentable(path)}: its planes are not stored as pages, one by one")
            _, at = image.place(image.number(image.index(plane)), level)
            return tiff.pages.extent(at) or tiff.pages.parts(at)

    def is_plain(self, path: str, plane: int, level: int) -> bool:
        """Whether a plane has room in a TIFF before it is written; False also if it cannot be read."""
        try:
            return isinstance(self.stored(path, plane, level), Extent)
        except (DatasetError, IndexError):  # reading the plane says why
            return False

    def stretches(self, path: str, plane: int, level: int) -> tuple[Stretch, ...]:
        """Where a plane is in a local TIFF with holes that has room for it; () elsewhere."""
        if not may_have_holes(path):
            return ()
        try:
            stored = self.stored(path, plane, level)
        except (DatasetError, IndexError):  # reading the plane says why
            return ()
        if not isinstance(stored, Extent):
            return ()
        return (Stretch(path, stored.offset, stored.picture.nbytes),)

    def sample(self, path: str) -> Sample:
        """What a file, and what is said beside it, reveals about others like it; raises like `read`."""
        found = self._sample(path)
        said = said_beside(path, self.beside)
        if not (said.channels or said.numbered or said.steps):
            return found
        steps = {**found.steps, **said.steps}
        return replace(found, beside=said.channels, numbered=said.numbered, steps=steps)

    def _sample(self, path: str) -> Sample:
        with self._files.bytes_of(path) as file:
            if not _is_tiff(file):
                return self._sample_of_picture(file, path)
            tiff = self._files.understood(path, file)
            image = _image_of(tiff)
            facts = facts_of(image, tiff.only)
            return Sample(
                facts.picture,
                "".join(role.upper() for role, _ in image.plane_axes),
                tuple(n for _, n in image.plane_axes),
                facts.n_levels,
                facts.steps,
                tuple(channel.name for channel in facts.channels),
                facts.channels,
                len(tiff.reading().images),
                image.kind,
                bool(facts.channels) and all(channel.inverted for channel in facts.channels),
                tiff.pages.orientation(),
                torn=ends_early(path) if tiff.pages.is_cut_off() else "",
            )

    def _sample_of_picture(self, file: Bytes, path: str) -> Sample:
        """What is known of a picture; several in a file are times."""
        framed = self._framed.known(self._files.key_of(path), file)
        if framed is None:
            with file.opened() as opened:
                picture = picture_in(opened, file.name)
                return Sample(picture, orientation=orientation_in(opened, file.name))
        if framed.n == 1:
            return Sample(framed.picture, orientation=framed.orientation)
        steps = {"t": framed.animation.step_s}
        return Sample(framed.picture, "T", (framed.n,), steps=steps, orientation=framed.orientation)

    def has_changed(self, url: str) -> bool:
        """Whether a file on a server that was opened has changed, and is read anew from now on.

        A small request. Blocks on the network; raises nothing.
        """
        has_changed = bool(self._files.ask_for_changes([url]))
        if has_changed:
            self._kept.clear()
        return has_changed

    def close(self) -> None:
        """Close all files; reads in progress end with an error. May be called twice."""
        self._files.close()
        self._kept.clear()
        self._framed.clear()


def _is_tiff(file: Bytes) -> bool:
    """Whether a file is a TIFF by its beginning; one that is too short or damaged, by its name."""
    if is_tiff_file(file):
        return True
    return not begins_like_a_picture(file.read(0, min(16, file.size))) and file.name.lower().endswith(
        TIFF_KINDS
    )


def _image_of(tiff: UnderstoodTiff) -> TiffImage:
    images = tiff.reading().images
    if not images:
        raise UnsupportedError(
            f"{tiff.file.name}: its planes are in other files: open the folder, or one of them"
        )
    return images[0]


def _plane_of(
    tiff: UnderstoodTiff, image: TiffImage, path: str, plane: int, level: int, region: Region | None
) -> np.ndarray:
    index = image.index(plane)
    if image.is_upright:
        return read_upright(image, index, level, region, tiff.only)
    _only_plane(path, 0, level)
    block = read_block(image, block_index(image, index), tiff.only)
    return plane_in_block(image, index, block, region, plane_picture(image, index, 0, tiff.only))


def _only_plane(path: str, plane: int, level: int) -> None:
    if plane or level:
        raise PlaneNotStoredError(
            f"{presentable(path)} contains a single image: no page {plane} at level {level}"
        )
