"""Masks of regions of NWB that are lists of pixels, read as the pictures that ``image_mask`` would be.

Source: NWB format specification 2.x. ``pixel_mask`` or ``voxel_mask`` of a table of regions has records
(x, y[, z], weight) of all regions, one after the other; ``pixel_mask_index`` says where each region ends. How
large the pictures are is said by those that the table names, else by those of the same imaging plane, else
by any series, else by the pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import CorruptDataError, LimitExceededError, UnsupportedError
from ..storage.limits import MAX_CHUNK_BYTES, MAX_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Records = np.ndarray[Any, Any]

_MOST_LISTED_PIXELS = 2**28
"""Of the list of all regions, where it alone tells how large the pictures are."""
_READ_AT_ONCE = 1_000_000


class PictureSizes(NamedTuple):
    """The shape of a series, and whether its imaging plane is that of the table, or the table names it."""

    shape: tuple[int, ...]
    is_of_plane: bool = False
    is_named: bool = False


def checked_ends(ends: np.ndarray | Sequence[float], n: int, where: str) -> tuple[int, ...]:
    """Where the list of each region ends, of `n` records. Raises a `DatasetError` if that makes no sense."""
    if len(ends) > MAX_POSITIONS:
        raise LimitExceededError(f"{where} has {len(ends)} masks; at most {MAX_POSITIONS} can be shown")
    numbers = np.asarray(ends, np.int64)
    if not len(numbers):
        raise UnsupportedError(f"{where}: the index of its regions is empty, or cannot be read")
    if (np.diff(numbers, prepend=0) < 0).any() or numbers[-1] > n:
        raise CorruptDataError(f"{where}: the index is damaged: regions end before they begin")
    return tuple(numbers.tolist())


def sizes_of_pictures(series: Iterable[PictureSizes]) -> tuple[int, ...]:
    """The sizes (x, y[, z]) of the pictures that a table of regions belongs to; () if there are none."""
    of_plane: list[tuple[int, ...]] = []
    others: list[tuple[int, ...]] = []
    for each in series:
        sizes = each.shape if len(each.shape) == 2 else each.shape[1:]
        if each.is_named:
            return sizes
        (of_plane if each.is_of_plane else others).append(sizes)
    return max(of_plane or others, key=math.prod, default=())


def mask_sizes(
    coordinates: str, of_pictures: Sequence[int], n: int, read: Callable[[int, int], Records], where: str
) -> tuple[int, ...]:
    """The sizes (x, y[, z]) of masks with these coordinates: those of pictures, else what `n` records need.

    `read(start, stop)` reads some of the records. Raises a `DatasetError`.
    """
    sizes = tuple(of_pictures)[: len(coordinates)]
    if len(sizes) < len(coordinates):
        sizes += _sizes_of_pixels(coordinates[len(sizes) :], n, read, where)
    if math.prod(sizes[:2]) * 4 > MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{where}: masks of {sizes} pixels are too large")
    return sizes


def _sizes_of_pixels(
    coordinates: str, n: int, read: Callable[[int, int], Records], where: str
) -> tuple[int, ...]:
    """The least sizes that hold all pixels."""
    if n > _MOST_LISTED_PIXELS:
        raise LimitExceededError(f"{where} has {n} pixels: too many to tell how large masks are")
    most = dict.fromkeys(coordinates, 0)
    for start in range(0, n, _READ_AT_ONCE):
        records = read(start, min(start + _READ_AT_ONCE, n))
        for name in coordinates:
            most[name] = max(most[name], int(records[name].max()))
    return tuple(most[name] + 1 for name in coordinates)


class _RegionKept(NamedTuple):
    region: int
    records: Records


class RegionMasks:
    """The masks of all regions, by their lists: an array (region, x, y[, z]) of weights. Any thread."""

    def __init__(
        self, coordinates: str, ends: Sequence[int], read: Callable[[int, int], Records], where: str
    ) -> None:
        """`read(start, stop)` reads some of the records."""
        self.n_regions = len(ends)
        self._coordinates = coordinates
        self._ends = ends
        self._read = read
        self._where = where
        self._last: _RegionKept | None = None  # of a stack, plane after plane is read

    def painted(self, region: int, parts: Sequence[int | slice]) -> np.ndarray:
        """The weights of a region in a part along each axis but that of regions; 0 where it has no pixel."""
        records = self._records(region)
        inside = np.ones(len(records), bool)
        places = []
        for name, part in zip(self._coordinates, parts, strict=True):
            values = records[name].astype(np.int64)
            if isinstance(part, int):
                inside &= values == part
                continue
            inside &= (values >= part.start) & (values < part.stop)
            places.append(values - part.start)
        mask = np.zeros([part.stop - part.start for part in parts if isinstance(part, slice)], np.float32)
        weights = records["weight"] if "weight" in (records.dtype.names or ()) else np.ones(len(records))
        mask[tuple(place[inside] for place in places)] = weights[inside]
        return mask

    def _records(self, region: int) -> Records:
        kept = self._last
        if kept is None or kept.region != region:
            start, stop = (self._ends[i] if i >= 0 else 0 for i in (region - 1, region))
            if (stop - start) * 16 > MAX_CHUNK_BYTES:
                raise LimitExceededError(f"{self._where}: a mask has too many pixels")
            kept = self._last = _RegionKept(region, self._read(start, stop))
        return kept.records
