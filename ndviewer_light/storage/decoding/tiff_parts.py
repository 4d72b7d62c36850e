"""A part of a TIFF page from the strips or tiles that it touches; the others are neither read nor decoded.

Functions of tifffile's page objects; where the bytes come from is up to the caller.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import CorruptDataError, DatasetError, LimitExceededError
from ...model import Region, how_many
from ..limits import MAX_CHUNK_BYTES
from ..tiling import tile_of_chunks
from .tiff_bombs import check_part, is_judged_by_its_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tifffile import TiffPage

    from .pictures import Picture

MAX_LEVELS = 32
"""More than any image can be halved."""


class OutsidePlaneError(DatasetError, IndexError):
    """A region that is not within its plane: no fault of the file."""


class PageAt(NamedTuple):
    """Which image of one page: the page, by its number in the chain, and the numbers of sub-pages below it.

    `nth` counts uncompressed images that follow the page's own, and have no tags. `offset` is where
    uncompressed pixels of the same format are, if not there (-1).
    """

    page: int = 0
    sub: tuple[int, ...] = ()
    nth: int = 0
    offset: int = -1


class PagePart(NamedTuple):
    """What is read of a page: a pyramid level of it, and there a region (None: all)."""

    level: int = 0
    region: Region | None = None


WHOLE = PagePart()


def within(region: Region | None, picture: Picture) -> Region:
    """`region`, or all of a picture; raises `OutsidePlaneError` if it is not within it."""
    if region is None:
        return Region(0, 0, picture.height, picture.width)
    if not region.within(picture.height, picture.width):
        raise OutsidePlaneError(
            f"{region} is not within a plane of {picture.height} × {picture.width} pixels"
        )
    return region


def tile_of_page(page: TiffPage, picture: Picture, *, is_plain: bool) -> tuple[int, int] | None:
    """Rows and columns worth reading at once: whole tiles or strips; None if there is only one.

    Of uncompressed, contiguous pixels any rows can be read.
    """
    chunk = (1, picture.width) if is_plain else _rows_and_columns(page)
    return tile_of_chunks(chunk, (picture.height, picture.width))


def touched_parts(page: TiffPage, picture: Picture, region: Region, name: str) -> list[int]:
    """The numbers of the strips or tiles that a region touches, in the order of the file's tags.

    Raises `LimitExceededError` for parts too large to be decoded, `CorruptDataError` if some are not listed.
    """
    rows, columns = _rows_and_columns(page)
    nbytes = math.prod(page.chunks) * picture.dtype.itemsize
    if nbytes > MAX_CHUNK_BYTES:
        raise LimitExceededError(
            f"{name} has strips or tiles of {nbytes} bytes; at most {MAX_CHUNK_BYTES} are supported"
        )
    across = -(-picture.width // columns)
    per_sample = -(-picture.height // rows) * across
    n_separate = picture.samples if is_planar(page, picture) else 1
    n_listed = min(len(page.dataoffsets), len(page.databytecounts))
    if n_listed < per_sample * n_separate:
        raise CorruptDataError(
            f"{name} is damaged: it lists {how_many(n_listed, 'strip or tile', 'strips or tiles')} of "
            f"{per_sample * n_separate}"
        )
    return [
        sample * per_sample + y * across + x
        for sample in range(n_separate)
        for y in range(region.top // rows, -(-(region.top + region.height) // rows))
        for x in range(region.left // columns, -(-(region.left + region.width) // columns))
    ]


def put_together(
    page: TiffPage,
    picture: Picture,
    region: Region,
    parts: Sequence[int],
    stored: Iterator[bytes],
    name: str,
) -> np.ndarray:
    """The pixels of a region, (Y, X) or (Y, X, S), of the parts it touches and what is stored of them.

    `stored` has the bytes of those parts that have any; the others are the page's "no data" value. Raises
    `LimitExceededError` for those that would take too much memory, `UnsupportedError` for other codecs.
    """
    compression, declared = int(page.compression), math.prod(page.chunks) * picture.dtype.itemsize
    judge = is_judged_by_its_parts(compression)
    planar = is_planar(page, picture)
    shape = (
        (picture.samples if planar else 1),
        region.height,
        region.width,
        (1 if planar else picture.samples),
    )
    out = np.full(shape, page.nodata or 0, picture.dtype)
    for index in parts:
        if page.databytecounts[index]:
            data = next(stored)
            if judge:
                check_part(compression, lambda at, n, data=data: data[at : at + n], len(data), declared, name)  # type: ignore[misc]
            _put(out, page, region, data, index)
    if picture.samples == 1:
        return out[0, :, :, 0]
    return np.moveaxis(out[..., 0], 0, -1) if planar else out[0]


def _put(out: np.ndarray, page: TiffPage, region: Region, data: bytes, index: int) -> None:
    pixels, (s, _, top, left, _), _ = page.decode(data, index, jpegtables=page.jpegtables)
    if pixels is None:
        return
    _, height, width, _ = pixels.shape  # of tiles at the far edges, more than the image has
    first_y, first_x = max(top, region.top), max(left, region.left)
    last_y = min(top + height, region.top + region.height)
    last_x = min(left + width, region.left + region.width)
    rows = slice(first_y - region.top, last_y - region.top)
    columns = slice(first_x - region.left, last_x - region.left)
    out[s, rows, columns] = pixels[0, first_y - top : last_y - top, first_x - left : last_x - left]


def is_planar(page: TiffPage, picture: Picture) -> bool:
    """Whether each sample has strips or tiles of its own."""
    return page.planarconfig == 2 and picture.samples > 1


def _rows_and_columns(page: TiffPage) -> tuple[int, int]:
    """Of one strip or tile."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return max(1, min(int(page.rowsperstrip), int(page.imagelength))), int(page.imagewidth)


def sub_pages(page: TiffPage) -> tuple[int, ...]:
    """Where the smaller levels of a page begin in the file (SubIFDs)."""
    return tuple(int(offset) for offset in page.subifds or ())[: MAX_LEVELS - 1]
