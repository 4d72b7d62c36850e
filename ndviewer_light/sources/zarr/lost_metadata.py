"""Arrays whose metadata were there and are away, though their folders are not: nothing can be read there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.about_files import about_file
from ...storage.bytes import metadata_gone
from ..metadata_away import MetadataAway

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree
    from .known_images import KnownImages
    from .nodes import ZarrImage


class LostMetadata:
    """Of the images of one dataset, in folders. Any thread; blocks on disk."""

    def __init__(self, tree: Tree, known: KnownImages) -> None:
        self._is_of_use = not (tree.remote or tree.packed)
        self._known = known
        self._arrays: dict[str, str] = {}  # the folder of the array of a store, as it was last found
        self._away = MetadataAway()

    def found(self, store: str, image: ZarrImage) -> None:
        """The metadata of a store were read."""
        if self._is_of_use:
            self._arrays[store] = image.array
            self._away.note(store, are_away=False)

    def missed(self, store: str) -> None:
        """They are not there; raises `DatasetGoneError` if they were, and have been away for long."""
        array = self._arrays.get(store)
        if array is None:
            return
        is_there = os.path.isdir(array)  # else the image is gone as well, and its planes are missing
        if self._away.note(store, are_away=is_there):
            raise metadata_gone(array)

    def say(self) -> None:
        """Raise `DatasetGoneError` if the only image lacks its metadata for long; of others, warn."""
        away = self._away.for_long()
        p_of = {place.store: p for p, place in reversed(list(enumerate(self._known.places)))} if away else {}
        if away and len(p_of) == 1:
            raise metadata_gone(self._arrays[away[0]])
        arrays = [(self._arrays[store], p_of.get(store)) for store in away]
        self._known.lack([about_file(str(metadata_gone(array)), array, p=p) for array, p in arrays])
