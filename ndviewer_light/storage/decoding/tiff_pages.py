"""One TIFF, local or remote: its pages, what is said in it, and pixels of a page read as ranges.

tifffile parses the tags; which bytes are read, and how many at once, is decided here. What the pages mean
is up to the metadata (`metadata.tiff_evidence`). Any thread may call: parsing is locked, reading and decoding
are not.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    CorruptDataError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ...model import how_many
from ..file_kinds import looks_like
from ..limits import MAX_CHUNK_BYTES
from ..printable import tame_logger
from ..tiling import check_whole_plane
from .ahead_file import AheadFile
from .ifd_chain import MAX_PAGES, TIFF_STARTS, IfdChain, PageFacts
from .library_series import LibrarySeries, is_understood, library_series
from .orientation import ORIENTATION, UPRIGHT
from .pictures import Picture, damage_is_named, sane
from .tiff_colours import colour_picture, in_colours, is_grey_palette
from .tiff_parts import PageAt, put_together, sub_pages, tile_of_page, touched_parts, within
from .torn_description import description_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tifffile import TiffFile, TiffPage, TiffTags

    from ...model import Region
    from ..bytes import Bytes

TIFF_ENDS = (".tif", ".tiff")
TIFF_KINDS = (
    *(*TIFF_ENDS, ".btf", ".tf8", ".tf2", ".lsm", ".stk", ".svs", ".scn", ".flex", ".qptiff"),
    *(".qptif", ".ndpi", ".gel"),
)
"""Extensions of programs whose files are TIFF inside."""
FIRST = PageAt()

_MAX_PARTS_OF_PAGE = 4_000_000
_MAX_TAGS_BYTES = 4096  # of a page without those that are shared
_MAX_DESCRIPTION_BYTES = 64 * 1024**2
_READ_AHEAD_BYTES = 64 * 1024


class Extent(NamedTuple):
    """The location of uncompressed, contiguous pixels in the file."""

    offset: int
    picture: Picture
    dtype: np.dtype[Any]  # in the file's byte order


class Parts(NamedTuple):
    """The strips or tiles of a page: each of `shape`, row by row, at (offset, length).

    `compression` and `predictor` are TIFF's numbers. The last strip may be shorter.
    """

    shape: tuple[int, ...]
    places: tuple[tuple[int, int], ...]
    compression: int
    predictor: int
    dtype: np.dtype[Any]
    is_planar: bool


class TiffPages:
    """The pages of a TIFF; `close` does not close the underlying bytes."""

    def __init__(self, source: Bytes, before: TiffPages | None = None) -> None:
        """Parse the first page; raises a `DatasetError` that names the file.

        `before`: the pages of the same file when it was shorter. What is there still is not visited again.
        """
        self._source = source
        self.name = source.name
        self._lock = threading.Lock()
        self._file = AheadFile(source, _READ_AHEAD_BYTES)
        self._facts: list[PageFacts] | None = None
        self._shaped: dict[int, str] = {}  # of pages asked for: kept as a file grows, as the next
        self._sub_levels: dict[int, tuple[int, ...]] = {}
        self._alike: dict[tuple[int, int], int] = {}
        with damage_is_named(self.name):
            if source.size == 0:
                raise CorruptDataError(f"{self.name} is empty (0 bytes): copy it again")
            head = self._read_bytes(0, 64)
            is_whole = len(head) >= len(TIFF_STARTS[0])  # else it may only have begun to be written
            if any(head[:8]) and not head.startswith(TIFF_STARTS if is_whole else (b"I", b"M")):
                raise CorruptDataError(f"{self.name} is not a TIFF file{looks_like(head)}")
            self._chain = IfdChain(self._read_bytes, source.size, self.name, self._file.fetch)
            self._chain.check(0)
            self.is_continued = before is not None and self._continues(before)
            self.lineage: object = before.lineage if before is not None and self.is_continued else object()
            """The same as long as a file only grows, by pages appended to those that it had."""
            self._file.seek(0)  # where tifffile assumes the file to begin
            self._tif = _parsed(self._file)

    def _continues(self, before: TiffPages) -> bool:
        with before._lock:
            if before._source.size >= self._source.size or not self._chain.continue_from(before._chain):
                return False
            self._shaped, self._sub_levels = dict(before._shaped), dict(before._sub_levels)
            self._alike = dict(before._alike)
            return True

    def _read_bytes(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    # ---- contents ----------------------------------------------------------------------------

    @property
    def facts(self) -> list[PageFacts]:
        """What each page contains; visits all pages once."""
        with self._lock, damage_is_named(self.name):
            return self._all_facts()

    @property
    def offsets(self) -> Sequence[int]:
        """Where each page begins; visits all pages once."""
        with self._lock, damage_is_named(self.name):
            self._all_facts()
            return self._chain.offsets

    def _all_facts(self) -> list[PageFacts]:
        if self._facts is None:
            self._chain.check()
            self._facts = self._chain.facts
            if not self._facts:
                raise CorruptDataError(f"{self.name} is damaged: it contains no image")
        return self._facts

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels of the first page; raises `UnsupportedError` if it is no number."""
        return self.picture().dtype

    def description(self, page: int = 0) -> str:
        """The first ImageDescription of a page, "" if it has none; see `description_of`."""
        with self._lock, damage_is_named(self.name):
            text = description_of(self._page(PageAt(page)), self._read_bytes, self._source.size)
            return text if len(text) <= _MAX_DESCRIPTION_BYTES else ""

    def orientation(self, page: int = 0) -> object:
        """The value of the tag "Orientation" of a page, 1 if it has none; see `orientation_said`."""
        with self._lock, damage_is_named(self.name):
            tag = self._page(PageAt(page)).tags.get(ORIENTATION)
            return UPRIGHT if tag is None else tag.value

    def shaped(self, page: int) -> str:
        """The description in which tifffile says the shape of an array, "" if there is none."""
        with self._lock, damage_is_named(self.name):
            if page not in self._shaped:
                self._shaped[page] = self._page(PageAt(page)).shaped_description or ""
            return self._shaped[page]

    def n_alike(self, page: int, n: int) -> int:
        """How many arrays of `n` pages follow each other that say the same, the one at `page` included.

        Costs the arrays that were not there when it was asked before, of a file that grows.
        """
        facts, text, levels = self.facts, self.shaped(page), self.sub_levels(page)
        of_first, known = facts[page : page + n], self._alike.get((page, n), 1)
        at = page + known * n
        while at + n <= len(facts) and facts[at : at + n] == of_first:
            if self.shaped(at) != text or self.sub_levels(at) != levels:
                break
            at += n
        self._alike[page, n] = (at - page) // n
        return self._alike[page, n]

    def imagej(self) -> dict[str, Any]:
        """ImageJ's metadata, {} if there is none."""
        with self._lock, damage_is_named(self.name):
            return dict(self._tif.imagej_metadata or {})

    def micromanager(self) -> dict[str, Any]:
        """What Micro-Manager wrote before and after the pages, {} if it did not."""
        with self._lock, contextlib.suppress(Exception):  # as damaged as it may be, it is only metadata
            return dict(self._tif.micromanager_metadata or {})
        return {}

    def tags(self, page: int = 0) -> TiffTags:
        """The tags of a page."""
        with self._lock, damage_is_named(self.name):
            return self._page(PageAt(page)).tags

    def images_after(self, page: int) -> int:
        """How many uncompressed images like a page are stored from its own on, without a gap; 1 at least."""
        with self._lock, damage_is_named(self.name):
            found = self._page(PageAt(page))
            if not _is_contiguous(found) or not found.dataoffsets:
                return 1
            start, nbytes = int(found.dataoffsets[0]), _picture_of(found, self.name).nbytes
            after = [at for at in self._chain.offsets[page + 1 : page + 2] if at > start]
            return max(1, (min([self._source.size, *after]) - start) // nbytes)

    def images_unclosed(self) -> int:
        """How many images are stored in a file that is still written, if only the first has a page yet.

        tifffile writes the pages after the first when it closes a file, after all pixels. 1 where that is not
        certain: of other programs nobody knows what follows.
        """
        n = self.images_after(0)
        with self._lock, damage_is_named(self.name):
            self._chain.check()
            first = self._page(PageAt(0))
            if n < 2 or len(self._chain.offsets) > 1 or not str(first.software).startswith("tifffile"):
                return 1
            start, nbytes = int(first.dataoffsets[0]), _picture_of(first, self.name).nbytes
            if any(tag.valueoffset > start for tag in first.tags):
                return 1  # what closing a file puts behind the pixels is said by its first page last
            # while it is closed, the pages are there before the first one tells where
            suspects = range(max(1, n - 2 - n * _MAX_TAGS_BYTES // nbytes), n + 1)
            ends = (k for k in suspects if any(map(self._chain.begins_page, _about(start + k * nbytes))))
            return min([n, *ends])

    def is_cut_off(self) -> bool:
        """Whether the file ends before a page that the one before it names."""
        with self._lock, damage_is_named(self.name):
            self._chain.check()
            return bool(self._chain.cut_off_at)

    def sub_levels(self, page: int) -> tuple[int, ...]:
        """Which sub-pages of a page are pyramid levels, largest first: those that are the same but smaller.

        TIFF does not say in which order sub-pages are listed; OME-TIFF says from the largest to the smallest.
        """
        if page not in self._sub_levels:
            self._sub_levels[page] = self._find_sub_levels(page)
        return self._sub_levels[page]

    def _find_sub_levels(self, page: int) -> tuple[int, ...]:
        with self._lock, damage_is_named(self.name):
            found = self._page(PageAt(page))
            whole = _picture_of(found, self.name)
            numbers: dict[int, int] = {}  # by size
            for number, _ in enumerate(sub_pages(found)):
                picture = _picture_of(self._page(PageAt(page, (number,))), self.name)
                size = picture.height * picture.width
                if (picture.dtype, picture.samples) != (whole.dtype, whole.samples):
                    break
                if size >= whole.height * whole.width:
                    break
                numbers.setdefault(size, number)
            return tuple(numbers[size] for size in sorted(numbers, reverse=True))

    def is_grey(self, page: int) -> bool:
        """Whether the palette of a page is a grey ramp."""
        with self._lock, damage_is_named(self.name):
            return is_grey_palette(self._page(PageAt(page)))

    def series(self) -> list[LibrarySeries]:
        """The series that tifffile finds in files of a program whose metadata it knows; else none."""
        with self._lock, damage_is_named(self.name):
            self._all_facts()
            if not is_understood(self._tif):
                return []
            for page in range(min(len(self._chain.offsets), 64)):
                for offset in sub_pages(self._page(PageAt(page))):
                    self._chain.check_sub_page(offset)
            return library_series(self._tif)

    def picture(self, at: PageAt = FIRST, *, colours: bool = False) -> Picture:
        """The pixel format of a page; of one with a palette or CMYK, with `colours` that of its RGB."""
        with self._lock, damage_is_named(self.name):
            page = self._page(at)
            picture = _picture_of(page, self.name)
            return colour_picture(picture, page, self.name) if colours else picture

    # ---- pixels ------------------------------------------------------------------------------

    def extent(self, at: PageAt = FIRST) -> Extent | None:
        """The location of the pixels of a page; None if they are compressed or in several parts."""
        with self._lock, damage_is_named(self.name):
            return self._extent(at)

    def _extent(self, at: PageAt) -> Extent | None:
        found = self._page(at)
        if not (_is_plain(found) or (at.nth and _is_contiguous(found))) or not found.dataoffsets:
            return None
        picture = _picture_of(found, self.name)
        if at.offset >= 0:
            return self._at(at.offset, picture)
        if not at.nth and (size := sum(found.databytecounts)) < picture.nbytes:
            raise CorruptDataError(
                f"{self.name} is damaged: page {at.page} has {size:,} of {how_many(picture.nbytes, 'byte')}"
            )
        return self._at(int(found.dataoffsets[0]) + at.nth * picture.nbytes, picture)

    def parts(self, at: PageAt = FIRST) -> Parts:
        """The parts of a page, and how they are stored."""
        with self._lock, damage_is_named(self.name):
            found = self._page(at)
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

    def tile(self, at: PageAt = FIRST) -> tuple[int, int] | None:
        """Rows and columns worth reading at once; None if that is a whole page."""
        with self._lock, damage_is_named(self.name):
            found = self._page(at)
            return tile_of_page(found, _picture_of(found, self.name), is_plain=_is_plain(found))

    def read(self, at: PageAt = FIRST, region: Region | None = None, *, colours: bool = False) -> np.ndarray:
        """The pixels of a page, (Y, X) or (Y, X, S), or of a region of it.

        With `colours`, pixels of a palette or of CMYK become RGB. Raises `PlaneNotStoredError` if there is no
        such page, another `DatasetError` if it cannot be read, `IndexError` if the region is not within it.
        """
        with self._lock, damage_is_named(self.name):
            found = self._page(at)
            extent, picture = self._extent(at), _picture_of(found, self.name)
        wanted = within(region, picture)
        bytes_per_pixel = picture.dtype.itemsize * picture.samples
        check_whole_plane((wanted.height, wanted.width), bytes_per_pixel, self.name)
        with damage_is_named(self.name):
            if extent is not None:
                planar = found.planarconfig == 2 and picture.samples > 1
                pixels = self._read_planar(extent, wanted) if planar else self._read_plain(extent, wanted)
            elif at.nth or at.offset >= 0:
                raise PlaneNotStoredError(f"{self.name}: page {at.page} is not followed by others")
            else:
                pixels = self._read_parts(found, at.page, picture, wanted)
            return in_colours(pixels, found, self.name) if colours else pixels

    def _read_plain(self, extent: Extent, region: Region) -> np.ndarray:
        """Whole rows are read, and what is beside the region is cut off."""
        picture = extent.picture
        row = picture.nbytes // picture.height
        raw = self._source.read(extent.offset + region.top * row, region.height * row)
        rows = np.frombuffer(raw, extent.dtype).reshape(region.height, *picture.shape[1:])
        return rows[:, region.left : region.left + region.width].astype(picture.dtype, copy=False)

    def _read_planar(self, extent: Extent, region: Region) -> np.ndarray:
        """The same, of samples that are stored one after the other."""
        picture = extent.picture._replace(samples=1)
        planes = [
            self._read_plain(Extent(extent.offset + i * picture.nbytes, picture, extent.dtype), region)
            for i in range(extent.picture.samples)
        ]
        return np.stack(planes, axis=-1)

    def _read_parts(self, page: TiffPage, number: int, picture: Picture, region: Region) -> np.ndarray:
        parts = touched_parts(page, picture, region, self.name)
        places = [(int(page.dataoffsets[i]), int(page.databytecounts[i])) for i in parts]
        most = 2 * region.height * region.width * picture.samples * picture.dtype.itemsize + MAX_CHUNK_BYTES
        if len(parts) > _MAX_PARTS_OF_PAGE or sum(count for _, count in places) > most:
            raise LimitExceededError(
                f"{self.name}: page {number} has too many strips or tiles ({len(parts)})"
            )
        stored = [place for place in places if place[1]]
        if not stored:
            raise PlaneNotStoredError(f"{self.name}: nothing is stored for page {number}")
        return put_together(page, picture, region, parts, iter(self._source.read_many(stored)), self.name)

    # ---- tifffile, within the lock -----------------------------------------------------------

    def _page(self, at: PageAt) -> TiffPage:
        if not 0 <= at.page < MAX_PAGES:
            raise PlaneNotStoredError(f"{self.name} has no page {at.page}")
        self._chain.check(at.page)
        if at.page >= len(self._chain.offsets) and at.page:
            raise PlaneNotStoredError(
                f"{self.name} has no page {at.page} (yet): it has {len(self._chain.offsets)}"
            )
        page = (self._appended(at.page) if at.page else self._tif.pages.first).aspage()
        for number in at.sub:
            offsets = sub_pages(page)
            if number >= len(offsets):
                raise PlaneNotStoredError(f"{self.name}: page {at.page} has no level {number + 1}")
            self._chain.check_sub_page(offsets[number])
            subs = page.pages
            assert subs is not None, "it has offsets"
            page = subs[number].aspage()
        return page

    def _appended(self, number: int) -> Any:
        """A page. In a file that grows, tifffile would go through all pages before it each time.

        It also counts pages that were named but never written.
        """
        if not self.is_continued and not self._chain.has_unwritten:
            return self._tif.pages[number]
        from tifffile import TiffPage

        self._tif.filehandle.seek(self._chain.offsets[number])
        return TiffPage(self._tif, index=number)

    def close(self) -> None:
        """Release parsed data. May be called twice."""
        with self._lock:
            self._tif.close()
            self._file.close()


def _about(at: int) -> range:
    """Where the tags of a page may begin that are written at the end of a file: aligned."""
    return range(at, at + 17)


def _parsed(file: Any) -> TiffFile:
    from tifffile import TiffFile

    tame_logger("tifffile")
    return TiffFile(file)


def _picture_of(page: TiffPage, name: str) -> Picture:
    if page.imagedepth != 1:
        raise UnsupportedError(f"{name} has pages of several z, which is not supported")
    if page.dtype is None:
        raise UnsupportedError(f"{name}: {page.bitspersample}-bit pixels are not supported")
    dtype = np.dtype(page.dtype).newbyteorder("=")
    if dtype.kind not in "buif":
        raise UnsupportedError(f"{name}: pixel type {dtype} is not supported")
    return sane(Picture(int(page.imagelength), int(page.imagewidth), dtype, int(page.samplesperpixel)), name)


def _is_contiguous(page: TiffPage) -> bool:
    """Whether the pixels are uncompressed and contiguous."""
    return bool(page.is_contiguous and page.predictor == 1 and page.fillorder == 1)


def _is_plain(page: TiffPage) -> bool:
    """Whether they also have interleaved colours."""
    return _is_contiguous(page) and not (page.planarconfig == 2 and page.samplesperpixel > 1)
