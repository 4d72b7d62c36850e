"""Which planes of a Zarr dataset are stored, and what those that are not count as, without reading pixels."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from ...errors import DatasetError, PlaneNotStoredError
from ...model import PlaneKey
from ...storage.trees.recording import recorded
from ..missing_planes import Claims, MissingPlanesOfMany
from .chunk_grid import has_shards
from .growing import is_expected_to_grow
from .shard_indexes import ShardIndexes
from .stored_planes import stored_in_files, unless_untold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...storage.trees.recording import RecordingTree
    from ...storage.trees.tree import Tree
    from ..missing import Found
    from .known_images import KnownImages
    from .located_planes import LocatedPlanes
    from .open_arrays import OpenArrays
    from .tensorstore_context import TensorStoreContext


class StoredLookup:
    """Looks up planes by the names of chunks, by what is in shards, or by asking a server. Any thread."""

    def __init__(
        self,
        known: KnownImages,
        arrays: OpenArrays,
        planes: LocatedPlanes,
        native: TensorStoreContext,
        tree: Tree,
        by_versions: Callable[[Sequence[PlaneKey]], list[bool | None]],
    ) -> None:
        """`by_versions` tells it of planes for which nothing here does."""
        self._known = known
        self._arrays = arrays
        self._planes = planes
        self._native = native
        self._tree = tree
        self._by_versions = by_versions
        self._shards = ShardIndexes(tree)
        self._many = MissingPlanesOfMany(self.are_stored)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`; by the names of chunks, or what is in shards, except on servers."""
        if self._tree.packed:
            answers = [self._is_in_archive(PlaneKey(*key)) for key in keys]
            self._many.saw(keys, answers)
            return answers
        if self._tree.remote:
            return self._by_versions(keys)
        of_position: dict[int, list[int]] = {}
        for i, key in enumerate(keys):
            of_position.setdefault(key[1], []).append(i)
        answers = [None] * len(keys)
        tree = recorded(self._tree)
        for p, indices in of_position.items():
            told = self._stored_of(p, [PlaneKey(*keys[i]) for i in indices], tree)
            for i, answer in zip(indices, told, strict=True):
                answers[i] = answer
        self._many.saw(keys, answers)
        return answers

    def _is_in_archive(self, key: PlaneKey) -> bool | None:
        """Whether anything of a plane is in the archive, by its directory, and the indexes of shards.

        None where these cost a request each.
        """
        try:
            array, index = self._planes.locate(key, 0)
            is_costly = has_shards(array.image) and bool(self._tree.hosts())
            return None if is_costly else array.look_up(index)
        except PlaneNotStoredError:
            return False
        except (DatasetError, IndexError):
            return None

    def look_up(self, key: PlaneKey) -> bool | None:
        """See `Source.look_up_stored`: its chunks are asked for by name, until one is there."""
        if not self._tree.remote:
            return self.are_stored([key])[0]
        try:
            array, index = self._planes.locate(key, 0)
            return array.look_up(index)
        except (DatasetError, IndexError):
            return None

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """See `Source.missing_as`."""
        return self._many.of(keys, self._known.info, self._claims, self._planes.is_fresh)

    def _claims(self, p: int) -> Claims:
        store = self._planes.place(PlaneKey(p=p)).store
        image = self._arrays.image_at(store)

        def is_being_written() -> bool:
            array = self._arrays.if_open(store, 0)
            if array is not None:
                return array.is_being_written()
            followed = self._native.followed and not self._tree.remote
            return followed and is_expected_to_grow(image)  # nobody has watched it so far

        return Claims(image.meta.complete, is_being_written)

    def _stored_of(self, p: int, keys: Sequence[PlaneKey], tree: RecordingTree | None) -> list[bool | None]:
        """`are_stored` of planes of one position; nothing is of those that its array has no place for yet."""
        try:
            place = self._planes.place(PlaneKey(p=p))
            image = self._arrays.image_at(place.store, tree)
            own = [self._known.own_key(key, place) for key in keys]
            is_inside = [image.holds(key, place.p_index) for key in own]
            if not all(is_inside) and self._arrays.if_open(place.store, 0) is not None:
                image = self._arrays.get(place.store, 0, again=True).image  # it may have grown since
                is_inside = [image.holds(key, place.p_index) for key in own]
            if image.pixels is not None:  # a region without a pixel has a mask as well
                return list(is_inside)
            inside = list(compress(own, is_inside))
            reader = lambda: self._arrays.get(place.store, 0).read_any  # noqa: E731
            told = stored_in_files(image, inside, place.p_index, self._shards, self._native.shared, reader)
        except (DatasetError, IndexError):
            return self._by_versions(keys)
        told = self._by_versions(list(compress(keys, is_inside))) if told is None else told
        if False in told and not self._tree.remote:
            told = unless_untold(image, inside, place.p_index, told)
        answers = iter(told)
        return [next(answers) if inside else False for inside in is_inside]
