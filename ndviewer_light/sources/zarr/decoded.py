"""Arrays with codecs that tensorstore does not know: stored objects are fetched whole and decoded here.

Local, on servers and in archives alike; what is missing, or is being written, counts as in `StoreArray`.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from ...storage.decoding.shard_decoder import object_decoder
from ...storage.file_versions import version_of
from ..missing import LOOKS, LOOKS_REMOTE
from .chunk_files import version_of_selection
from .chunk_grid import chunk_ranges, has_shards, planes_per_chunk, stored_grid, touched
from .growing import check_complete
from .missing_chunks import MAX_ASKED, Looked
from .tensorstore_arrays import OpenArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...model import Region
    from ...storage.trees.tree import Tree
    from .chunk_grid import Coordinates
    from .nodes import ZarrImage
    from .tensorstore_context import TensorStoreContext

    Selection = tuple[int | slice, ...]

_CHUNKS_AT_ONCE = 64
"""How many stored objects are in memory at once while a plane is put together."""


class DecodedArray(OpenArray):
    """An array whose chunks and shards are decoded in Python. Any thread."""

    def __init__(self, image: ZarrImage, tree: Tree, native: TensorStoreContext) -> None:
        super().__init__(image, native)
        self._tree = tree
        self._grid = stored_grid(image)
        self._decoder = object_decoder(image.document, image.array)
        self._is_shared = planes_per_chunk(image) > 1
        self._has_shards = has_shards(image)
        self._links = None if tree.root else tree.links(image.array)  # else the tree checks them
        self._missing.looks = LOOKS_REMOTE if tree.hosts() else LOOKS

    def read(self, index: tuple[int, ...], region: Region | None = None) -> np.ndarray:
        """See `OpenArray.read`: missing chunks become the fill value, unless all are missing."""
        selection = self._selection(index, region)
        pixels, n_missing, is_stored = self._read_selection(selection)
        if not is_stored and (region is None or not self._missing.is_partly_stored(index)):
            raise self._missing.error(index)
        if self._is_followed and n_missing:
            check_complete(self._selection(index), self.image)
        if region is None:
            self._check_written(pixels, index)
        self._missing.note(index)
        return self._upright(pixels)

    def version(self, index: tuple[int, ...]) -> str | None:
        """See `Source.versions`; None on a server and in an archive."""
        if self._tree.remote or self._tree.packed:
            return None
        return version_of_selection(self._selection(index), self.image)

    # ---- stored objects ------------------------------------------------------------------------

    def read_any(self, selection: Selection) -> np.ndarray:
        """See `OpenArray.read_any`; with steps."""
        plain = tuple(slice(at.start, at.stop) if isinstance(at, slice) else at for at in selection)
        steps = tuple(slice(None, None, at.step) for at in selection if isinstance(at, slice))
        return self._read_selection(plain)[0][steps]

    def _read_selection(self, selection: Selection) -> tuple[np.ndarray, int, bool]:
        """The pixels; how many stored objects are missing; whether anything of the selection is stored."""
        wanted = touched(selection, self._grid.chunk, self.image.facts.shape, self.image.array)
        shape = [at.stop - at.start for at in selection if isinstance(at, slice)]
        pixels = np.full(shape, self.image.fill_value, self.image.facts.dtype)
        n_missing, is_stored = 0, False
        for start in range(0, len(wanted), _CHUNKS_AT_ONCE):
            batch = wanted[start : start + _CHUNKS_AT_ONCE]
            for at, opened in zip(batch, self._opened(batch), strict=True):
                if opened is None:
                    n_missing += 1
                    continue
                inside, to = overlap(at, self._grid.chunk, selection)
                part = self._decoder.part(opened, inside, self._path(at))
                pixels[to] = part.pixels[tuple(slice(None) if isinstance(s, slice) else 0 for s in selection)]
                is_stored |= part.is_stored
        return pixels, n_missing, is_stored

    def _opened(self, objects: Sequence[Coordinates]) -> list[np.ndarray | None]:
        """Stored objects, None for those that are missing."""
        paths = [self._path(at) for at in objects]
        if not self._is_shared:
            return list(self._fetched(paths))
        keys = [(path, self._version(path)) for path in paths]
        found = self._native.opened.get(keys, self._fetched_for)
        return [each if each.size else None for each in (found[key] for key in keys)]

    def _fetched_for(self, keys: Sequence[tuple[str, str]]) -> Iterable[tuple[tuple[str, str], np.ndarray]]:
        nothing = np.empty(0, np.uint8)
        fetched = self._fetched([path for path, _ in keys])
        for key, opened in zip(keys, fetched, strict=True):
            yield key, nothing if opened is None else opened

    def _fetched(self, paths: Sequence[str]) -> Iterator[np.ndarray | None]:
        if self._links is not None:
            self._links.check(paths)
        data = self._tree.read_whole(paths, self._decoder.most_stored)
        for path, each in zip(paths, data, strict=True):
            yield None if each is None else self._decoder.opened(each, path)

    def _version(self, path: str) -> str:
        return "" if self._tree.remote or self._tree.packed else version_of(path)

    def _path(self, at: Coordinates) -> str:
        return self._tree.inside(self.image.array, self._grid.name(at))

    # ---- what is stored ------------------------------------------------------------------------

    def _first_stored(self, indices: Sequence[tuple[int, ...]]) -> Looked:
        """See `OpenArray`: by the names of stored objects, and what is in shards of several planes."""
        selections = [self._selection(index) for index in indices]
        asked = 0
        for i, selection in enumerate(selections):
            for at in itertools.islice(self._objects(selection), MAX_ASKED):
                asked += 1
                if self._tree.has_file(self._path(at)) and self._has_pixels(selection):
                    return self._looked(i, asked, selections)
                if self._tree.remote and asked >= MAX_ASKED:
                    return self._looked(None, asked, selections)
        return self._looked(None, asked, selections)

    def _looked(self, found: int | None, asked: int, selections: Sequence[Selection]) -> Looked:
        if not self._tree.remote:
            return Looked(found)
        return Looked(found, asked, sum(math.prod(map(len, self._ranges(each))) for each in selections))

    def _has_pixels(self, selection: Selection) -> bool:
        """Whether there is anything of a selection in the shards that are there."""
        return not (self._has_shards and self._is_shared) or self._read_selection(selection)[2]

    def _objects(self, selection: Selection) -> Iterator[Coordinates]:
        return itertools.product(*self._ranges(selection))

    def _ranges(self, selection: Selection) -> list[range]:
        return chunk_ranges(selection, self._grid.chunk, self.image.facts.shape)


def overlap(
    at: Coordinates, chunk: Sequence[int], selection: Selection
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What a stored object and a selection have in common: places in the object, and in what is selected."""
    inside, to = [], []
    for cell, size, wanted in zip(at, chunk, selection, strict=True):
        first = cell * size
        if not isinstance(wanted, slice):
            inside.append(slice(wanted - first, wanted - first + 1))
            continue
        start, stop = max(first, wanted.start), min(first + size, wanted.stop)
        inside.append(slice(start - first, stop - first))
        to.append(slice(start - wanted.start, stop - wanted.start))
    return tuple(inside), tuple(to)
