"""Arrays whose metadata were there and are away, though their folders are not: nothing can be read there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import PlaneNotStoredError
from ...storage.about_files import about_file
from ...storage.bytes import metadata_gone
from ..metadata_away import MetadataAway

if TYPE_CHECKING:
    from ...errors import DatasetError
    from ...storage.trees.tree import Tree
    from .known_images import KnownImages
    from .nodes import ZarrImage


class LostMetadata:
    """Of the images of one dataset, in folders. Any thread; blocks on disk.

    Without those of its largest level an image cannot be shown. Without those of another level it is shown
    from finer ones, which takes longer: that is said.
    """

    def __init__(self, tree: Tree, known: KnownImages) -> None:
        self._is_of_use = not (tree.remote or tree.packed)
        self._known = known
        self._arrays: dict[str, str] = {}  # the folder of the array of a store, as it was last found
        self._away = MetadataAway()
        self._levels: dict[tuple[str, int], str] = {}  # the same of other levels
        self._levels_away = MetadataAway()
        self._why: dict[str, str] = {}  # of such a folder: what is wrong

    def found(self, store: str, image: ZarrImage) -> None:
        """The metadata of a store, or of a level of it, were read."""
        if not self._is_of_use:
            return
        if image.level == 0:
            self._arrays[store] = image.array
            self._away.note(store, are_away=False)
        else:
            self._levels[store, image.level] = image.array
            self._levels_away.note(image.array, are_away=False)

    def missed(self, store: str) -> None:
        """Those of a store are not there; raises `DatasetGoneError` if they were, and are away for long."""
        array = self._arrays.get(store)
        if array is None:
            return
        is_there = os.path.isdir(array)  # else the image is gone as well, and its planes are missing
        if self._away.note(store, are_away=is_there):
            raise metadata_gone(array)

    def missed_level(self, store: str, level: int, error: DatasetError) -> None:
        """Those of another level are not there, or cannot be understood."""
        array = self._levels.get((store, level))
        if array is not None:
            is_gone = isinstance(error, PlaneNotStoredError)
            self._why[array] = "its metadata are no longer there" if is_gone else str(error)
            self._levels_away.note(array, are_away=True)

    def levels(self) -> list[tuple[str, int]]:
        """The stores and levels of which that is so, to be looked at again."""
        away = set(self._levels_away.all())
        return [at for at, array in list(self._levels.items()) if array in away]

    def say(self) -> None:
        """Raise `DatasetGoneError` if the only image lacks its metadata for long; of others, warn."""
        away, levels = self._away.for_long(), self._levels_away.for_long()
        places = reversed(list(enumerate(self._known.places))) if away or levels else ()
        p_of = {place.store: p for p, place in places}
        if away and len(p_of) == 1:
            raise metadata_gone(self._arrays[away[0]])
        warnings = [
            about_file(str(metadata_gone(self._arrays[store])), self._arrays[store], p=p_of.get(store))
            for store in away
        ]
        for (store, level), array in list(self._levels.items()):
            if array in levels:
                text = (
                    f"resolution level {level} is not used at present: {self._why[array]} ({array}). What is "
                    "drawn small, and volumes, are read at a finer level, which takes longer"
                )
                warnings.append(about_file(text, array, p=p_of.get(store)))
        self._known.lack(warnings)
