"""The pixels of a set of TIFFs: from which file and page a plane comes, and what is kept of those read."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from ...errors import PlaneNotStoredError
from ...storage.bytes import is_url
from ...storage.decoding.pictures import damage_is_named
from ...storage.decoding.tiff_parts import OutsidePlaneError
from ...storage.file_versions import version_of
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.presentable import presentable
from ..tiff_planes import block_index, plane_in_block, plane_picture, read_block, read_upright
from .file_errors import FileMissingError, faults_are_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ...metadata.tiff_layout import TiffImage
    from ...model import Region
    from ...storage.decoding.pictures import Picture
    from ...storage.decoding.tiff_pages import TiffPages
    from ..tiff_files import TiffFiles
    from .sets import TiffSet

_KEPT_BYTES = 128 * 1024**2


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
        try:
            with faults_of(found.path_of(self.file_of(image, index, level))):
                if image.is_upright:
                    return self._upright(found, image, index, level, region, has_more=has_more)
                return self._from_block(found, image, index, region)
        except OutsidePlaneError as error:
            raise IndexError(str(error)) from None

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
        wanted = (_version_of(found, file), file, at, region)
        return self._blocks.get([wanted], lambda _: [(wanted, read())])[wanted]

    def _from_block(
        self, found: TiffSet, image: TiffImage, index: dict[str, int], region: Region | None
    ) -> np.ndarray:
        block = block_index(image, index)
        versions = tuple(_version_of(found, file) for file in image.files)
        wanted = (versions, image.files, image.runs[0], block)
        pixels = self._blocks.get(
            [wanted],
            lambda _: [(wanted, read_block(image, block, lambda key: self.opened(found, key)))],
        )[wanted]
        picture = plane_picture(image, index, 0, lambda key: self.opened(found, key))
        return plane_in_block(image, index, pixels, region, picture)

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

    @contextlib.contextmanager
    def opened(self, found: TiffSet, key: str) -> Iterator[TiffPages]:
        """The pages of a file, by its key."""
        with self._files.opened(found.path_of(key)) as tiff:
            yield tiff.pages

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._blocks.clear()


def _version_of(found: TiffSet, key: str) -> str:
    return path if is_url(path := found.path_of(key)) else version_of(path)


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
