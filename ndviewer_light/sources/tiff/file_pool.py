"""Reads pixels and tags of image files; a bounded pool of open files.

tifffile's errors for a damaged file become a `DatasetError` that names it. Sizes are checked before
anything is decoded. Files are never memory-mapped: one that shrinks would crash the process.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
    closed_error,
)
from ...metadata.tiff_tags import is_white_zero, pixel_size_of
from ...model import how_many
from ...storage.decoding.ifd_chain import MAX_PAGES, IfdChain
from ...storage.decoding.pictures import (
    Picture,
    decoded,
    picture_in,
    sane,
)
from ...storage.decoding.tiff_colours import PALETTE, colour_picture, in_colours, is_grey_palette
from ...storage.decoding.tiff_pages import TIFF_ENDS
from ...storage.decoding.tiff_parts import (
    WHOLE,
    PagePart,
    is_planar,
    put_together,
    sub_pages,
    tile_of_page,
    touched_parts,
    within,
)
from ...storage.decoding.torn_description import description_of
from ...storage.file_kinds import looks_like
from ...storage.limits import MAX_CHUNK_BYTES
from ...storage.printable import tame_logger
from ...storage.tiling import check_whole_plane
from .bombs import refuse_bombs
from .file_errors import (
    OtherFormatError,
    PageMissingError,
    faults_are_named,
    open_file,
    short,
    torn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tifffile import TiffFile, TiffPage

    from ...model import Region

MAX_OPEN_TIFFS = 32
"""TIFFs that are kept open; half of what a process with 64 handles may have."""

# ---- one TIFF --------------------------------------------------------------------------------


class OpenTiff:
    """One open TIFF file, for one thread at a time: tifffile has one file position.

    Its methods may raise anything for damaged files, so use it within `faults_are_named`.
    """

    def __init__(self, path: str) -> None:
        """Open the file and read its first page's tags; raises `FileMissingError` or a `DatasetError`."""
        self.path = path
        self.known: dict[str, Any] = {}
        """What its readers have understood of it, as long as it is open."""
        self._file = open_file(path)
        try:
            from tifffile import TiffFile

            tame_logger("tifffile")
            self.status = os.fstat(self._file.fileno())
            head = self._read_bytes(0, 64)
            if any(head[:8]) and head[:2] not in (b"II", b"MM", b"I", b"M"):
                raise OtherFormatError(f"{path} is not a TIFF file{looks_like(head)}")
            self._chain = IfdChain(self._read_bytes, self.status.st_size, path)
            self._chain.check(0)
            self._file.seek(0)  # where tifffile assumes the file to begin
            self._tif: TiffFile = TiffFile(self._file)
        except BaseException:
            self._file.close()
            raise

    def _read_bytes(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    @property
    def n_pages(self) -> int:
        """The number of pages that were written; visits all of them once."""
        self._chain.check()
        return len(self._chain.offsets)

    @property
    def ends_before_page(self) -> bool:
        """Whether the file ends before a page that the one before names; visits all that are there."""
        return self.n_pages > 0 and self._chain.cut_off_at >= self.status.st_size

    def torn(self) -> DatasetError | None:
        """The error for a file that ends before its pages do; None if it does not. Visits all of them."""
        return torn(self.path, self.n_pages, self._chain.cut_off_at if self.ends_before_page else 0)

    def is_inverted(self, index: int) -> bool:
        """Whether a page is grey and its low values are the bright ones; raises like `page`."""
        picture = self.picture(index)
        return is_white_zero(self.page(index).tags, picture.samples, picture.dtype)

    def page(self, index: int) -> TiffPage:
        """One page with its tags; raises `PageMissingError` if there is none."""
        if not 0 <= index < MAX_PAGES:
            raise PageMissingError(f"{self.path} has no page {index}")
        try:
            self._chain.check(index)
            page = self._page_at(index) if index else self._tif.pages.first
        except IndexError as error:
            if index == 0:
                raise  # a file without any page is damaged
            raise PageMissingError(f"{self.path} has no page {index}") from error
        return page.aspage()  # read all tags of pages read only partly

    def description(self, index: int = 0) -> str:
        """The ImageDescription of a page; see `description_of`."""
        return description_of(self.page(index), self._read_bytes, os.fstat(self._file.fileno()).st_size)

    def _page_at(self, index: int) -> Any:
        at = self._chain.offsets[index]
        if not self._chain.has_unwritten:
            return self._tif.pages[index]
        from tifffile import TiffPage

        self._tif.filehandle.seek(at)
        return TiffPage(self._tif, index=index)

    def n_levels(self, index: int = 0) -> int:
        """How many pyramid levels a page has: itself, and its sub-pages that are the same but smaller."""
        page = self.page(index)
        before = picture_of(page, self.path)
        for level, _ in enumerate(sub_pages(page), 1):
            picture = picture_of(self.at_level(page, level), self.path)
            same = (picture.dtype, picture.samples) == (before.dtype, before.samples)
            if not same or picture.height * picture.width >= before.height * before.width:
                return level
            before = picture
        return len(sub_pages(page)) + 1

    def at_level(self, page: TiffPage, level: int) -> TiffPage:
        """A page, or its sub-page of a smaller level; raises `PlaneNotStoredError` if it has none."""
        if level == 0:
            return page
        offsets, subs = sub_pages(page), None
        if level <= len(offsets):
            self._chain.check_sub_page(offsets[level - 1])
            subs = page.pages
        if subs is None or level > len(subs):
            raise PlaneNotStoredError(f"{self.path} has no resolution level {level} of this plane")
        return subs[level - 1].aspage()

    def picture(self, index: int = 0, level: int = 0) -> Picture:
        """The pixel format of a page as `read` gives it, checked; no pixels are read."""
        page = self.at_level(self.page(index), level)
        picture = picture_of(page, self.path)
        return picture if is_grey_palette_of(page) else colour_picture(picture, page, self.path)

    def tile(self, index: int = 0, level: int = 0) -> tuple[int, int] | None:
        """Rows and columns worth reading at once; None if that is the whole page."""
        page = self.at_level(self.page(index), level)
        return tile_of_page(page, picture_of(page, self.path), is_plain=is_plain(page))

    def read(self, index: int = 0, part: PagePart = WHOLE) -> np.ndarray:
        """The pixels of a page, (Y, X) or (Y, X, S), in new memory; or only of a part of it."""
        return self.read_page(self.at_level(self.page(index), part.level), part.region)

    def read_page(self, page: TiffPage, region: Region | None = None) -> np.ndarray:
        """Like `read`, for a page of this file: (Y, X, 3) of one with a palette of colours."""
        pixels = self._read_stored(page, region)
        return pixels if is_grey_palette_of(page) else in_colours(pixels, page, self.path)

    def _read_stored(self, page: TiffPage, region: Region | None) -> np.ndarray:
        picture = picture_of(page, self.path)
        wanted = within(region, picture)
        bytes_per_pixel = picture.dtype.itemsize * picture.samples
        check_whole_plane((wanted.height, wanted.width), bytes_per_pixel, self.path)
        if is_plain(page):
            self._check_stored(page, picture)
            return self.read_plain(int(page.dataoffsets[0]), picture, wanted, planar=is_planar(page, picture))
        if region is not None:
            return self._read_parts(page, picture, region)
        self._check_stored(page, picture)
        refuse_bombs(page, self._file, self.path)
        pixels: np.ndarray = page.asarray()
        return _upright(pixels, page, picture)

    def _read_parts(self, page: TiffPage, picture: Picture, region: Region) -> np.ndarray:
        parts = touched_parts(page, picture, region, self.path)
        places = [(int(page.dataoffsets[i]), int(page.databytecounts[i])) for i in parts]
        size = os.fstat(self._file.fileno()).st_size
        if (end := max(offset + count for offset, count in places)) > size:
            raise short(self.path, f"{size:,} of at least {how_many(end, 'byte')}")
        stored = (self._read_bytes(offset, count) for offset, count in places if count)
        return put_together(page, picture, region, parts, stored, self.path)

    def _check_stored(self, page: TiffPage, picture: Picture) -> None:
        """Refuse pages with missing parts, in their tags or beyond the end of the file."""
        offsets, counts = page.dataoffsets, page.databytecounts
        size = os.fstat(self._file.fileno()).st_size
        if (end := max(map(add, offsets, counts), default=0)) > size:
            raise short(self.path, f"{size:,} of at least {how_many(end, 'byte')}")
        n_parts = math.prod(page.chunked)
        if len(offsets) < n_parts or (is_plain(page) and 0 < sum(counts) < picture.nbytes):
            raise CorruptDataError(
                f"{self.path} is damaged: {how_many(len(offsets), 'strip or tile', 'strips or tiles')} "
                f"of {how_many(sum(counts), 'byte')} in total for "
                f"an image of {how_many(n_parts, 'strip or tile', 'strips or tiles')}, "
                f"{how_many(picture.nbytes, 'byte')}"
            )

    def read_plain(self, offset: int, picture: Picture, region: Region, *, planar: bool) -> np.ndarray:
        """The pixels of a region of uncompressed pixels that begin at `offset`: its rows are read whole."""
        samples = () if planar or picture.samples == 1 else (picture.samples,)
        row = picture.width * picture.dtype.itemsize * math.prod(samples)
        planes = [
            self.read_at(
                offset + sample * picture.height * row + region.top * row,
                (region.height, picture.width, *samples),
                picture.dtype,
            )[:, region.left : region.left + region.width]
            for sample in range(picture.samples if planar else 1)
        ]
        return np.stack(planes, axis=-1) if planar else planes[0]

    def read_at(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Read uncompressed pixels in the file's byte order from `offset` on; returns native byte order."""
        pixels = np.empty(shape, dtype)
        into = pixels.reshape(-1).view(np.uint8).data
        self._file.seek(offset)
        there = 0
        while there < len(into) and (n := self._file.readinto(into[there:])):
            there += n
        if there < len(into):
            raise short(self.path, f"{offset + there:,} of at least {how_many(offset + len(into), 'byte')}")
        if dtype.itemsize > 1 and self._tif.byteorder != _NATIVE:
            pixels.byteswap(inplace=True)
        return pixels

    def was_replaced(self) -> bool:
        """Whether the file has been replaced, or its size has changed."""
        try:
            status = os.stat(self.path)
        except OSError:
            return True
        mine = self.status
        return (status.st_dev, status.st_ino, status.st_size) != (mine.st_dev, mine.st_ino, mine.st_size)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._tif.close()
        self._file.close()


_NATIVE = "<" if np.little_endian else ">"


def picture_of(page: TiffPage, path: str) -> Picture:
    """Check the pixel format of a page as stored; raises `UnsupportedError` or `LimitExceededError`."""
    if page.dtype is None or page.imagedepth != 1:
        raise UnsupportedError(
            f"{path}: {page.bitspersample}-bit pixels of depth {page.imagedepth} are not supported"
        )
    picture = Picture(
        int(page.imagelength),
        int(page.imagewidth),
        np.dtype(page.dtype).newbyteorder("="),
        int(page.samplesperpixel),
    )
    sane(picture, path)
    if picture.dtype.kind not in "buif":
        raise UnsupportedError(f"{path}: pixel type {picture.dtype} is not supported")
    return picture


def is_grey_palette_of(page: TiffPage) -> bool:
    """Whether the pixels of a page are indices of grey values, which are as good as these."""
    return page.photometric == PALETTE and is_grey_palette(page)


def is_plain(page: TiffPage) -> bool:
    """Whether the pixels are stored contiguous and uncompressed."""
    return bool(page.is_contiguous and page.predictor == 1 and page.fillorder == 1)


def _upright(pixels: np.ndarray, page: TiffPage, picture: Picture) -> np.ndarray:
    shape = (picture.height, picture.width)
    if picture.samples == 1:
        return pixels.reshape(shape)
    if is_planar(page, picture):
        return np.moveaxis(pixels.reshape(picture.samples, *shape), 0, -1)
    return pixels.reshape(*shape, picture.samples)


# ---- the pool ----------------------------------------------------------------------------------


class TiffPool:
    """Multi-page TIFFs, kept open while in repeated use; at most `limit` of them.

    Any thread. A file that was replaced, or has grown, is reopened.
    """

    def __init__(self, limit: int = MAX_OPEN_TIFFS) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # guards the following; never held while accessing the disk
        self._idle: list[OpenTiff] = []  # most recently used last
        self._closed = False

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[OpenTiff]:
        """The open file at `path`, exclusive to this thread until the block ends.

        Two threads using the same file at once get a handle each. Raises `FileMissingError` or a
        `DatasetError`.
        """
        with faults_are_named(path):
            tiff = self._take(path)
            if tiff is not None and tiff.was_replaced():
                tiff.close()
                tiff = None
            if tiff is None:
                tiff = OpenTiff(path)
            try:
                yield tiff
            except PlaneNotStoredError:
                self._give_back(tiff)
                raise
            except BaseException:
                tiff.close()  # tifffile's state is unreliable now, and a page may be there next time
                raise
            self._give_back(tiff)

    def _take(self, path: str) -> OpenTiff | None:
        with self._lock:
            if self._closed:
                raise closed_error()
            at = next((i for i, tiff in enumerate(self._idle) if tiff.path == path), None)
            return None if at is None else self._idle.pop(at)

    def _give_back(self, tiff: OpenTiff) -> None:
        with self._lock:
            self._idle.append(tiff)
            n_surplus = len(self._idle) if self._closed else max(0, len(self._idle) - self._limit)
            surplus, self._idle = self._idle[:n_surplus], self._idle[n_surplus:]
        for other in surplus:
            other.close()

    def close(self) -> None:
        """Close all idle files, and the others as soon as their reads have finished. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for tiff in idle:
            tiff.close()


# ---- files of one image --------------------------------------------------------------------------


def read_image(path: str, page: int = 0, part: PagePart = WHOLE) -> np.ndarray:
    """The pixels of an image file, (Y, X) or (Y, X, S), or a part of them; opened, read, closed.

    Raises `FileMissingError`, `PageMissingError` or a `DatasetError`. Any thread.
    """
    if not path.lower().endswith(TIFF_ENDS):
        with faults_are_named(path), open_file(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_CHUNK_BYTES:
                raise LimitExceededError(f"{path}: the image file is larger than {MAX_CHUNK_BYTES} bytes")
            pixels = decoded(file.read(), path)
            return pixels if part.region is None else pixels[part.region.slices]
    with faults_are_named(path), contextlib.closing(OpenTiff(path)) as tiff:
        return tiff.read(page, part)


def image_picture(path: str, page: int = 0) -> Picture:
    """The pixel format of an image file; like `read_image`, but without reading pixels."""
    return image_facts(path, page)[0]


def image_tile(path: str, page: int = 0) -> tuple[int, int] | None:
    """Rows and columns worth reading at once (see `OpenTiff.tile`); None for pictures of other formats."""
    if not path.lower().endswith(TIFF_ENDS):
        return None
    with faults_are_named(path), contextlib.closing(OpenTiff(path)) as tiff:
        return tiff.tile(page)


def image_facts(path: str, page: int = 0) -> tuple[Picture, float | None, bool]:
    """The pixel format of an image file, the pixel size in µm, and whether low values are the bright ones.

    Like `image_picture`.
    """
    if not path.lower().endswith(TIFF_ENDS):
        with faults_are_named(path), open_file(path) as file:
            return picture_in(file, path), None, False
    with faults_are_named(path), contextlib.closing(OpenTiff(path)) as tiff:
        return tiff.picture(page), pixel_size_of(tiff.page(page).tags), tiff.is_inverted(page)
