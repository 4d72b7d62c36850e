"""The pyramid levels of the images of a dataset, as their metadata says.

A level that cannot be used costs that level, never its image: it is no level of it, nor are those after it in
the list, and one of them is said. Nor is one with other channels than the largest, of which some would miss.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ...errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    MetadataError,
    NotRegularFileError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...model import how_many
from ...storage.about_files import about_file
from .image_facts import level_of
from .open_arrays import MAX_OPEN_STORES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...model import Level
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage
    from .open_arrays import OpenArrays

logger = logging.getLogger(__name__)

_UNUSABLE = (
    MetadataError,
    UnsupportedError,
    LimitExceededError,
    NotRegularFileError,
    UntrustedReferenceError,
)


class LevelsOfStores:
    """By store; those of the stores used last are remembered. Any thread."""

    def __init__(self, arrays: OpenArrays, tree: Tree, warn: Callable[[str], None]) -> None:
        """`warn` is called once at most, for the first level that cannot be used."""
        self._arrays = arrays
        self._tree = tree
        self._warn = warn
        self._has_warned = False
        self._known: OrderedDict[str, tuple[ZarrImage, tuple[Level, ...]]] = OrderedDict()
        self._lock = threading.Lock()  # guards the above; never held while accessing the disk

    def of(self, store: str) -> tuple[Level, ...]:
        """The levels of a store, without those that cannot be used or are not written yet.

        Raises what reading the largest raises.
        """
        largest = self._arrays.get(store, 0).image
        with self._lock:
            known = self._known.get(store)
            if known is not None and known[0] is largest:
                return known[1]
        images = [largest]
        file = ".zarray" if largest.facts.version == 2 else "zarr.json"
        self._tree.expect(self._tree.join(store, path, file) for path in largest.meta.paths[1:])
        for level in range(1, largest.n_levels):
            image = self._usable(largest, store, level, self._arrays.read_image)
            if image is None:
                break
            images.append(image)
        levels = tuple(level_of(image, largest) for image in images)
        if len(levels) < largest.n_levels:  # the others may still be written, or mended
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

    def at_least_as_fine(self, store: str, largest: ZarrImage, level: int) -> int:
        """`level` of a store, or the next finer one that can be used; opens it, as whoever asks will read it.

        On a server it takes no request that reading does not.
        """

        def opened(store: str, level: int) -> ZarrImage:
            return self._arrays.get(store, level).image

        try:
            while level > 0 and self._usable(largest, store, level, opened) is None:
                level -= 1
        except DatasetError as error:  # reading it will say so
            logger.debug("level %d of %s: %s", level, store, error)
        return level

    def _usable(
        self, largest: ZarrImage, store: str, level: int, read: Callable[[str, int], ZarrImage]
    ) -> ZarrImage | None:
        """What `read` returns of a level; None if it is none of this image, or not written entirely."""
        try:
            image = read(store, level)
        except (PlaneNotStoredError, CorruptDataError):  # may still be written
            return None
        except _UNUSABLE as error:
            self._say(level, largest, str(error))
            return None
        n_c, of_largest = image.size("c"), largest.size("c")
        if n_c == of_largest:
            return image
        self._say(level, largest, f"it has {how_many(n_c, 'channel')}, not {of_largest} ({image.array})")
        return None

    def _say(self, level: int, largest: ZarrImage, why: str) -> None:
        if self._has_warned:  # of ten thousand images written by one program, ten thousand may be alike
            return
        self._has_warned = True
        self._warn(about_file(f"resolution level {level} is not used: {why}", largest.array))
