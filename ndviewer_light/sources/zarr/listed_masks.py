"""Masks of regions that are lists of pixels, as an open array: each plane is made when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .missing_chunks import Looked
from .tensorstore_arrays import OpenArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Region
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .pixel_lists import PixelList
    from .tensorstore_context import TensorStoreContext


class _MaskKept(NamedTuple):
    region: int
    records: np.ndarray


class ListedMasks(OpenArray):
    """An array (region, x, y[, z]) of weights. Any thread."""

    def __init__(self, image: ZarrImage, pixels: PixelList, tree: Tree, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        self._pixels = pixels
        self._tree = tree
        self._last: _MaskKept | None = None  # of a stack, plane after plane is read

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`; a region without a pixel has a mask as well."""
        at, *parts = self._selection(index, region)
        assert isinstance(at, int)
        records = self._records(at)
        inside = np.ones(len(records), bool)
        places = []
        for name, part in zip(self._pixels.coordinates, parts, strict=True):
            values = records[name].astype(np.int64)
            if isinstance(part, int):
                inside &= values == part
                continue
            inside &= (values >= part.start) & (values < part.stop)
            places.append(values - part.start)
        sizes = [part.stop - part.start for part in parts if isinstance(part, slice)]
        mask = np.zeros(sizes, np.float32)
        weights = records["weight"] if "weight" in (records.dtype.names or ()) else np.ones(len(records))
        mask[tuple(place[inside] for place in places)] = weights[inside]
        return self._upright(mask)

    def _records(self, region: int) -> np.ndarray:
        kept = self._last
        if kept is None or kept.region != region:
            start, stop = (self._pixels.ends[i] if i >= 0 else 0 for i in (region - 1, region))
            kept = self._last = _MaskKept(region, self._pixels.stored.read(start, stop, self._tree))
        return kept.records

    def look_up(self, index: tuple[int, ...]) -> bool | None:
        """See `OpenArray.look_up`."""
        return True

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`: all are."""
        return Looked(0)
