"""The pixels of a set of TIFFs: from which file and page a plane comes, and what is kept of those read."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ...storage.bytes import is_url
from ...storage.decoding.pictures import damage_is_named
from ...storage.decoding.tiff_parts import OutsidePlaneError
from ...storage.file_holes import Stretch, may_have_holes
from ...storage.file_versions import version_of
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.presentable import presentable
from ..filled_in_advance import Room
from ..tiff_files import missing_pages_are_lost
from ..tiff_planes import block_index, facts_of, plane_in_block, plane_picture, read_block, read_upright
from .file_errors import FileMissingError, faults_are_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ...metadata.tiff_layout import TiffImage
    from ...model import Region
    from ...storage.decoding.pictures import Picture
    from ...storage.decoding.tiff_pages import TiffPages
    from ..tiff_files import TiffFiles
    from ..tiff_planes import ImageFacts
    from .sets import TiffSet

_KEPT_BYTES = 128 * 1024**2


_FILES_ASKED = 16


class _PlaceAhead(NamedTuple):
    """Where a plane has room in a file; `is_continued`: whether pages were seen to be appended to it.

    `has_others`: whether it has room for others as well.
    """

    stretch: Stretch
    is_continued: bool
    has_others: bool


class PlanesOfSet:
    """Planes by the images they are in and their indices there. Any thread; blocks on disk or network."""

    def __init__(self, path: str, files: TiffFiles) -> None:
        """`path` is the file or folder that was opened, named in errors."""
        self._path = path
        self._files = files
        self._blocks: MemoryCache[Any, np.ndarray] = MemoryCache(_KEPT_BYTES, nbytes)

    def read(
        self,
        found: TiffSet,
        image: TiffImage,
        index: dict[str, int],
        level: int,
        region: Region | None,
        *,
        has_more: bool,
    ) -> np.ndarray:
        """The pixels (Y, X) or (Y, X, S) of a plane, or of a part of it.

        `has_more`: other colours in them are shown as well, and they are kept for these. Raises
        `IndexError` outside the plane, `PlaneNotStoredError`, another `DatasetError`.
        """
        path = found.path_of(self.file_of(image, index, level))

        def read() -> np.ndarray:
            with faults_of(path):
                if image.is_upright:
                    return self._upright(found, image, index, level, region, has_more=has_more)
                return self._from_block(found, image, index, region)

        try:
            return read()
        except OutsidePlaneError as error:
            raise IndexError(str(error)) from None
        except CorruptDataError:  # or it has grown on its server since it was opened
            if not self._files.ask_for_changes([path]):
                raise
            return read()

    def _upright(
        self,
        found: TiffSet,
        image: TiffImage,
        index: dict[str, int],
        level: int,
        region: Region | None,
        *,
        has_more: bool,
    ) -> np.ndarray:
        def read() -> np.ndarray:
            return read_upright(image, index, level, region, lambda key: self.opened(found, key))

        if not has_more:
            return read()
        file, at = image.place(image.number(index), level)
        wanted = (self._version_of(found, file), file, at, region)
        return self._blocks.get([wanted], lambda _: [(wanted, read())])[wanted]

    def _from_block(
        self, found: TiffSet, image: TiffImage, index: dict[str, int], region: Region | None
    ) -> np.ndarray:
        block = block_index(image, index)
        versions = tuple(self._version_of(found, file) for file in image.files)
        wanted = (versions, image.files, image.runs[0], block)
        pixels = self._blocks.get(
            [wanted],
            lambda _: [(wanted, read_block(image, block, lambda key: self.opened(found, key)))],
        )[wanted]
        picture = plane_picture(image, index, 0, lambda key: self.opened(found, key))
        return plane_in_block(image, index, pixels, region, picture)

    def facts(self, found: TiffSet, image: TiffImage) -> ImageFacts:
        """What one of its pages tells of an image: the first in the first of its files that can be read.

        Raises the error of the very first file if none can.
        """
        errors: list[DatasetError] = []
        firsts = {run.file: run for run in reversed(image.runs)}
        for file in image.files[:_FILES_ASKED]:
            alone = replace(image, runs=(firsts[file]._replace(first=0),)) if errors else image
            try:
                with faults_of(found.path_of(file)):
                    return facts_of(alone, lambda key: self.opened(found, key))
            except DatasetError as error:
                errors.append(error)
        raise errors[0]

    def picture(self, found: TiffSet, image: TiffImage, index: dict[str, int], level: int) -> Picture:
        """What the pixels of a plane are; raises like `read`."""
        with faults_of(found.path_of(self.file_of(image, index, level))):
            return plane_picture(image, index, level, lambda key: self.opened(found, key))

    def file_of(self, image: TiffImage, index: dict[str, int], level: int) -> str:
        """The key of the file that a plane is in; raises `PlaneNotStoredError` if there is none."""
        if not image.is_upright:
            return image.runs[0].file
        try:
            return image.place(image.number(index), level)[0]
        except PlaneNotStoredError as error:
            raise PlaneNotStoredError(f"{self._path}: {error}") from None

    def room_ahead(self, found: TiffSet, image: TiffImage, index: dict[str, int], level: int) -> Room:
        """See `Source.room_ahead`, of a local file. Raises a `DatasetError` if it cannot be read."""
        place = self._place_ahead(found, image, index, level)
        if place is None or place.is_continued:
            return Room.NONE
        return Room.PLANES if place.has_others else Room.REST

    @staticmethod
    def may_have_holes(found: TiffSet) -> bool:
        """Whether a file of a local set may have holes; True of sets of many files, which are not asked."""
        names = {name for image in found.images[: _FILES_ASKED + 1] for name in image.files}
        if len(found.images) > _FILES_ASKED or len(names) > _FILES_ASKED:
            return True
        with contextlib.suppress(DatasetError):
            return any(may_have_holes(found.path_of(name)) for name in names)
        return True

    def stretches(
        self, found: TiffSet, image: TiffImage, index: dict[str, int], level: int
    ) -> tuple[Stretch, ...]:
        """See `Source.stretches`, of a local file. Raises a `DatasetError` if it cannot be read."""
        if not may_have_holes(found.path_of(self.file_of(image, index, level))):
            return ()
        place = self._place_ahead(found, image, index, level)
        return () if place is None or not place.has_others else (place.stretch,)

    def _place_ahead(
        self, found: TiffSet, image: TiffImage, index: dict[str, int], level: int
    ) -> _PlaceAhead | None:
        if not image.is_upright:
            return None
        path = found.path_of(self.file_of(image, index, level))
        file, at = image.place(image.number(index), level)
        with faults_of(path), self.opened(found, file) as pages:
            extent, is_continued = pages.extent(at), pages.is_continued
            has_others = extent is not None and 2 * extent.picture.nbytes <= os.path.getsize(path)
        if extent is None:
            return None
        return _PlaceAhead(Stretch(path, extent.offset, extent.picture.nbytes), is_continued, has_others)

    @contextlib.contextmanager
    def opened(self, found: TiffSet, key: str) -> Iterator[TiffPages]:
        """The pages of a file, by its key."""
        path = found.path_to_open(key)
        with self._files.opened(path) as tiff, missing_pages_are_lost(path, tiff):
            yield tiff.pages

    def _version_of(self, found: TiffSet, key: str) -> str:
        path = found.path_of(key)
        return self._files.key_of(path) if is_url(path) else version_of(path)

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._blocks.clear()


@contextlib.contextmanager
def faults_of(path: str) -> Iterator[None]:
    """Errors with a local file say whether it is damaged, or still being written."""
    if is_url(path) or os.path.isdir(path):
        with damage_is_named(presentable(path)):
            yield
        return
    try:
        with faults_are_named(path):
            yield
    except FileMissingError as error:
        raise PlaneNotStoredError(f"{path} does not exist (yet)") from error
