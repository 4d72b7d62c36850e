"""One TIFF, local or remote, as a series of planes: tags are parsed in blocks, pixels read as ranges.

tifffile parses the file; which bytes are read, and how many at once, is decided here. Any thread may
call: parsing is locked, reading and decoding are not.
"""

from __future__ import annotations

import io
import math
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    CorruptDataError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ..limits import MAX_CHUNK_BYTES
from ..printable import tame_logger
from ..tiling import check_whole_plane
from .ifd_chain import MAX_PAGES, IfdChain
from .pictures import Picture, damage_is_named, sane
from .tiff_parts import put_together, sub_pages, tile_of_page, touched_parts, within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tifffile import TiffFile, TiffPage, TiffPageSeries

    from ...model import Region
    from ..bytes import Bytes

TIFF_ENDS = (".tif", ".tiff")

_MAX_PARTS = 4_000_000
_MAX_AXES = 16
_BLOCK = 64 * 1024


class SeriesLayout(NamedTuple):
    """The contents of a file: its page axes, in tifffile's letters ("TZC"), and their sizes."""

    axes: str
    sizes: tuple[int, ...]
    picture: Picture
    n_levels: int = 1

    @property
    def n_pages(self) -> int:
        """The number of planes."""
        return math.prod(self.sizes)


class Extent(NamedTuple):
    """The location of a plane's uncompressed, contiguous pixels in the file."""

    offset: int
    picture: Picture
    dtype: np.dtype[Any]  # in the file's byte order


class Parts(NamedTuple):
    """The strips or tiles of a plane: each of `shape`, row by row, at (offset, length).

    `compression` and `predictor` are TIFF's numbers. The last strip may be shorter.
    """

    shape: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    compression: int
    predictor: int
    dtype: np.dtype[Any]
    is_planar: bool


class TiffPages:
    """The first series of a TIFF; `close` does not close the underlying bytes."""

    def __init__(self, source: Bytes) -> None:
        """Parse the first page; raises a `DatasetError` that names the file."""
        self._source = source
        self.name = source.name
        self._lock = threading.Lock()
        self._file = source.opened(_BLOCK)
        self._series: TiffPageSeries | None = None
        with damage_is_named(self.name):
            self._chain = IfdChain(self._read_bytes, self._file.seek(0, io.SEEK_END), self.name)
            self._file.seek(0)  # where tifffile assumes the file to begin
            self._tif = _parsed(self._file)

    def _read_bytes(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    # ---- contents ----------------------------------------------------------------------------

    def layout(self) -> SeriesLayout:
        """Axes and sizes of the file; reads every page's tags."""
        with self._lock, damage_is_named(self.name):
            series = self._first_series()
            picture = _picture_of(self._page(0, 0), self.name)
            axes, shape = _axes(series)
            n = len(axes) - _trailing(axes)
            if n > _MAX_AXES or math.prod(shape[:n]) > MAX_PAGES:
                raise LimitExceededError(f"{self.name} declares {math.prod(shape[:n])} pages: too many")
            known = [(axis, int(size)) for axis, size in zip(axes[:n], shape[:n], strict=True)]
            kept = [(axis, size) for axis, size in known if size > 1]
            levels = len(series.levels) if series.is_pyramidal else 1
            return SeriesLayout("".join(a for a, _ in kept), tuple(s for _, s in kept), picture, levels)

    def picture(self, page: int = 0, level: int = 0) -> Picture:
        """The pixel format of a plane."""
        with self._lock, damage_is_named(self.name):
            return _picture_of(self._page(page, level), self.name)

    def metadata(self) -> tuple[str, dict[str, Any], Any]:
        """OME-XML ("" if none), ImageJ metadata ({} if none) and the first page's tags."""
        with self._lock, damage_is_named(self.name):
            imagej = self._tif.imagej_metadata or {}
            return self._tif.ome_metadata or "", dict(imagej), self._tif.pages.first.tags

    # ---- pixels ------------------------------------------------------------------------------

    def extent(self, page: int = 0, level: int = 0) -> Extent | None:
        """The location of a plane's pixels; None if they are compressed or in several parts."""
        with self._lock, damage_is_named(self.name):
            return self._extent(page, level)

    def _extent(self, page: int, level: int) -> Extent | None:
        first = self._page(0, level)
        picture = _picture_of(first, self.name)
        offset = self._level(level).dataoffset
        if offset is not None and _is_plain(first):  # contiguous planes, not all of which need have tags
            return self._at(int(offset) + page * picture.nbytes, picture)
        found = self._page(page, level)
        if not _is_plain(found) or not found.dataoffsets:
            return None
        if (size := sum(found.databytecounts)) < (picture := _picture_of(found, self.name)).nbytes:
            raise CorruptDataError(
                f"{self.name} is damaged: page {page} has {size} of {picture.nbytes} bytes"
            )
        return self._at(int(found.dataoffsets[0]), picture)

    def parts(self, page: int = 0, level: int = 0) -> Parts:
        """The parts of a plane, and how they are stored."""
        with self._lock, damage_is_named(self.name):
            found = self._page(page, level)
            picture = _picture_of(found, self.name)
            places = tuple(zip(map(int, found.dataoffsets), map(int, found.databytecounts), strict=False))
            strip = (min(found.rowsperstrip, picture.height), *picture.shape[1:])
            return Parts(
                tuple(map(int, found.chunks if found.is_tiled else strip)),
                places,
                int(found.compression),
                int(found.predictor),
                self._at(0, picture).dtype,
                found.planarconfig == 2 and picture.samples > 1,
            )

    def _at(self, offset: int, picture: Picture) -> Extent:
        return Extent(offset, picture, picture.dtype.newbyteorder("<" if self._tif.byteorder == "<" else ">"))

    def tile(self, level: int = 0) -> tuple[int, int] | None:
        """Rows and columns worth reading at once; None if that is a whole plane."""
        with self._lock, damage_is_named(self.name):
            found = self._page(0, level)
            return tile_of_page(found, _picture_of(found, self.name), is_plain=_is_plain(found))

    def read(self, page: int = 0, level: int = 0, region: Region | None = None) -> np.ndarray:
        """The pixels of a plane, (Y, X) or (Y, X, S), or of a region of it.

        Raises `PlaneNotStoredError` if there is no such page, another `DatasetError` if it cannot be read,
        `IndexError` if the region is not within it.
        """
        with self._lock, damage_is_named(self.name):
            extent, found = self._extent(page, level), None
            if extent is None:
                found = self._page(page, level)
                picture = _picture_of(found, self.name)
            else:
                picture = extent.picture
        wanted = within(region, picture)
        bytes_per_pixel = picture.dtype.itemsize * picture.samples
        check_whole_plane((wanted.height, wanted.width), bytes_per_pixel, self.name)
        if extent is not None:
            return self._read_plain(extent, wanted)
        assert found is not None
        with damage_is_named(self.name):
            return self._read_parts(found, page, picture, wanted)

    def _read_plain(self, extent: Extent, region: Region) -> np.ndarray:
        """Whole rows are read, and what is beside the region is cut off."""
        picture = extent.picture
        row = picture.nbytes // picture.height
        raw = self._source.read(extent.offset + region.top * row, region.height * row)
        rows = np.frombuffer(raw, extent.dtype).reshape(region.height, *picture.shape[1:])
        return rows[:, region.left : region.left + region.width]

    def _read_parts(self, page: TiffPage, number: int, picture: Picture, region: Region) -> np.ndarray:
        parts = touched_parts(page, picture, region, self.name)
        places = [(int(page.dataoffsets[i]), int(page.databytecounts[i])) for i in parts]
        most = 2 * region.height * region.width * picture.samples * picture.dtype.itemsize + MAX_CHUNK_BYTES
        if len(parts) > _MAX_PARTS or sum(count for _, count in places) > most:
            raise LimitExceededError(
                f"{self.name}: page {number} has too many strips or tiles ({len(parts)})"
            )
        stored = [place for place in places if place[1]]
        if not stored:
            raise PlaneNotStoredError(f"{self.name}: nothing is stored for page {number}")
        return put_together(page, picture, region, parts, iter(self._source.read_many(stored)))

    # ---- tifffile, within the lock -----------------------------------------------------------

    def _first_series(self) -> TiffPageSeries:
        if self._series is None:
            self._chain.check()
            for offset in sub_pages(self._tif.pages.first):
                self._chain.check_sub_page(offset)
            found: Any = self._tif.series
            # from tifffile 2026.5 on, results may or may not include the axes of one plane
            series = found(squeeze=False) if callable(found) else found
            if not series:
                raise CorruptDataError(f"{self.name} is damaged: it contains no image")
            self._series = series[0]
        return self._series

    def _level(self, level: int) -> TiffPageSeries:
        series = self._first_series()
        levels = series.levels if series.is_pyramidal else [series]
        if not 0 <= level < len(levels):
            raise PlaneNotStoredError(
                f"{self.name} has no resolution level {level}: it has {len(levels)} levels"
            )
        return levels[level]

    def _page(self, page: int, level: int) -> TiffPage:
        if page == level == 0:
            return self._tif.pages.first
        pages = self._level(level).pages
        if not 0 <= page < len(pages):
            raise PlaneNotStoredError(f"{self.name} has no page {page}")
        found = pages[page]
        if found is None:
            raise PlaneNotStoredError(f"{self.name}: nothing is stored for page {page}")
        return found.aspage()

    def close(self) -> None:
        """Release parsed data. May be called twice."""
        with self._lock:
            self._tif.close()
            self._file.close()


def decoded_page(data: bytes, page: int, name: str) -> np.ndarray:
    """The pixels of a page of a TIFF in memory, (Y, X) or (Y, X, S)."""
    pages = TiffPages(_InMemory(data, name))  # type: ignore[arg-type]
    try:
        return pages.read(page)
    except PlaneNotStoredError as error:
        raise CorruptDataError(str(error)) from error
    finally:
        pages.close()


class _InMemory:
    """The part of `Bytes` needed here."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self.name = name

    def opened(self, block: int = 0) -> BinaryIO:
        return io.BytesIO(self._data)

    def read(self, offset: int, length: int) -> bytes:
        data = self._data[offset : offset + length]
        if len(data) < length:
            raise CorruptDataError(
                f"{self.name} is truncated: {len(data)} of {length} bytes at byte {offset}"
            )
        return data

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(*each) for each in ranges]


def _parsed(file: BinaryIO) -> TiffFile:
    from tifffile import TiffFile

    tame_logger("tifffile")
    return TiffFile(file)


def _axes(series: Any) -> tuple[str, tuple[int, ...]]:
    """Letters and lengths of all axes of a series, including those of one plane."""
    if hasattr(series, "get_axes"):  # tifffile before 2026.5
        return series.get_axes(False), series.get_shape(False)
    return series.axes, series.shape


def _trailing(axes: str) -> int:
    """The number of trailing pixel axes: YX, or YXS."""
    return 3 if axes.endswith("S") else 2


def _picture_of(page: TiffPage, name: str) -> Picture:
    if page.dtype is None or page.imagedepth != 1:
        raise UnsupportedError(f"{name}: {page.bitspersample}-bit pixels are not supported")
    dtype = np.dtype(page.dtype).newbyteorder("=")
    if dtype.kind not in "buif":
        raise UnsupportedError(f"{name}: pixel type {dtype} is not supported")
    return sane(Picture(page.imagelength, page.imagewidth, dtype, page.samplesperpixel), name)


def _is_plain(page: TiffPage) -> bool:
    """Whether the pixels are uncompressed and contiguous, with interleaved colours."""
    is_planar = page.planarconfig == 2 and page.samplesperpixel > 1
    return bool(page.is_contiguous and page.predictor == 1 and page.fillorder == 1 and not is_planar)
