"""Masks of regions that are lists of pixels, as an open array: each plane is made when it is read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..region_masks import RegionMasks
from .missing_chunks import Looked
from .pixel_lists import chunks_in
from .tensorstore_arrays import OpenArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...model import Region
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .pixel_lists import PixelList
    from .tensorstore_context import TensorStoreContext


class ListedMasks(OpenArray):
    """An array (region, x, y[, z]) of weights. Any thread."""

    def __init__(self, image: ZarrImage, pixels: PixelList, tree: Tree, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        read = partial(pixels.stored.read, chunks_by=chunks_in(pixels.folder, tree))
        self._masks = RegionMasks(pixels.coordinates, pixels.ends, read, pixels.folder)

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`; a region without a pixel has a mask as well."""
        at, *parts = self._selection(index, region)
        assert isinstance(at, int)
        return self._upright(self._masks.painted(at, parts))

    def look_up(self, index: tuple[int, ...]) -> bool | None:
        """See `OpenArray.look_up`."""
        return True

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`: all are."""
        return Looked(0)
