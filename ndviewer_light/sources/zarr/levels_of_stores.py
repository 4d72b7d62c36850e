"""The pyramid levels of the images of a dataset, as their metadata says."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ...errors import PlaneNotStoredError
from .image_facts import level_of
from .open_arrays import MAX_OPEN_STORES

if TYPE_CHECKING:
    from ...model import Level
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .open_arrays import OpenArrays


class LevelsOfStores:
    """By store; those of the stores used last are remembered. Any thread."""

    def __init__(self, arrays: OpenArrays, tree: Tree) -> None:
        self._arrays = arrays
        self._tree = tree
        self._known: OrderedDict[str, tuple[ZarrImage, tuple[Level, ...]]] = OrderedDict()
        self._lock = threading.Lock()  # guards the above; never held while accessing the disk

    def of(self, store: str) -> tuple[Level, ...]:
        """All levels of a store; those not written yet are left out."""
        largest = self._arrays.get(store, 0).image
        with self._lock:
            known = self._known.get(store)
            if known is not None and known[0] is largest:
                return known[1]
        images = [largest]
        file = ".zarray" if largest.facts.version == 2 else "zarr.json"
        self._tree.expect(self._tree.join(store, path, file) for path in largest.meta.paths[1:])
        for level in range(1, largest.n_levels):
            try:
                images.append(self._arrays.read_image(store, level))
            except PlaneNotStoredError:
                break
        levels = tuple(level_of(image, largest) for image in images)
        if len(levels) < largest.n_levels:  # the others may still be written
            return levels
        with self._lock:
            self._known[store] = largest, levels
            while len(self._known) > MAX_OPEN_STORES:
                self._known.popitem(last=False)
        return levels

    def at(self, store: str, level: int) -> Level:
        """One level of a store; raises `PlaneNotStoredError` if it is not written yet."""
        largest = self._arrays.get(store, 0).image
        return level_of(self._arrays.get(store, level).image, largest)
