"""Small planes of many local images at once, for pictures of all fields: see `Source.small_planes`.

Reading one plane costs a millisecond before its first pixel: its array is opened, watched, and looked at
again later. Of a thousand fields one plane each is wanted, once. A plane that is one chunk is decoded here,
as to open its array takes longer than to read it; other arrays are opened together, read and released.
Whatever is out of the ordinary is left to whoever reads planes one by one, and says why.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import DatasetError
from ...storage.decoding.shard_decoder import object_decoder
from ...storage.trees.recording import OneLook, RecordingTree
from ..source import OfPixels, SmallPlane
from .chunk_grid import (
    has_shards,
    level_that_fits,
    planes_per_chunk,
    selection_of,
    stored_grid,
    touched,
    upright,
)
from .decoded import overlap
from .image_facts import level_of
from .tensorstore_context import delivered, plain_metadata
from .tensorstore_errors import REFUSALS, ChunkMissingError, StoreChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...model import PlaneKey
    from ...storage.decoding.shard_decoder import ObjectDecoder
    from ...storage.limits import JsonObject
    from ...storage.trees.tree import LocalTree
    from .alike_images import AlikeImages
    from .chunk_grid import Coordinates, StoredGrid
    from .chunk_guard import ChunkGuard
    from .image_locations import ImageLocation
    from .known_images import KnownImages
    from .nodes import ZarrImage
    from .tensorstore_context import TensorStoreContext

logger = logging.getLogger(__name__)

_MOST_SMALL_BYTES = 8 * 1024**2
"""Larger chunks take so long to read that what comes before does not matter."""
_MOST_CHUNKS = 16
_MOST_KINDS = 64


class _ArrayKind(NamedTuple):
    """What arrays with the same metadata have in common.

    `is_simple`: a plane shares no chunk with others, and has few and small ones. `decoder`: of those whose
    planes are one chunk each, if its codecs can be decoded here.
    """

    document: JsonObject
    metadata: JsonObject
    grid: StoredGrid
    guard: ChunkGuard | None  # if simple
    is_simple: bool
    decoder: ObjectDecoder | None
    shape: tuple[int, int]
    nbytes: int
    chunks_of: dict[tuple[int, ...], _ChunksOfPlane]
    """By the index of a plane, a few: of a plate, the same one of all fields is wanted."""


class _ChunksOfPlane(NamedTuple):
    """A plane of arrays with the same metadata: its chunks, and their files in the folder of the array."""

    selection: tuple[int | slice, ...]
    chunks: Sequence[Coordinates]
    names: tuple[str, ...]


class _FittingLevel(NamedTuple):
    """Which level fits, of images with these scales and this array."""

    scales: object
    document: JsonObject
    level: int | None


class _PlaceInArray(NamedTuple):
    """A plane: its image, and where it is in the array; the folders found to be fine in the same reading."""

    image: ZarrImage
    kind: _ArrayKind
    selection: tuple[int | slice, ...]
    chunks: Sequence[Coordinates]
    fine: set[str]


class SmallPlanes:
    """Finds and reads small planes of the images of a dataset. Any thread."""

    def __init__(
        self, tree: LocalTree, known: KnownImages, alike: AlikeImages, native: TensorStoreContext
    ) -> None:
        self._tree = tree
        self._known = known
        self._alike = alike
        self._native = native
        self._rooms = threading.local()
        self._kinds: dict[int, _ArrayKind] = {}  # by the id of the document, which the kind keeps
        self._levels: dict[tuple[int, int, int], _FittingLevel] = {}  # by the ids of what it keeps, and edge

    # ---- found -----------------------------------------------------------------------------

    def find(self, keys: Sequence[PlaneKey], edge: int) -> list[SmallPlane | None]:
        """See `Source.small_planes`. Raises `DatasetReplacedError` if an image is another one than before."""
        places, tree = self._known.places, RecordingTree(self._tree, OneLook())
        asked = [key for key in keys if min(key[:3]) >= 0 and key.p < len(places)]
        images: dict[str, ZarrImage] = {}
        for store in dict.fromkeys(places[key.p].store for key in asked):
            with contextlib.suppress(DatasetError, IndexError):
                images[store] = self._alike.read(store, 0, tree)
        news = {store: image for store, image in images.items() if not self._known.knows(store, image)}
        for store, image in news.items():
            self._known.judge(store, image)
        if news:
            self._known.learn(news)
        found: dict[PlaneKey, SmallPlane] = {}
        for key in asked:
            largest = images.get(places[key.p].store)
            if largest is not None:
                with contextlib.suppress(DatasetError, IndexError):
                    plane = self._plane(key, places[key.p], largest, edge, tree)
                    if plane is not None:
                        found[key] = plane
        return [found.get(key) for key in keys]

    def _plane(
        self, key: PlaneKey, place: ImageLocation, largest: ZarrImage, edge: int, tree: RecordingTree
    ) -> SmallPlane | None:
        level = self._level(largest, edge)
        if level is None:
            return None
        image = largest if level == 0 else self._alike.read(place.store, level, tree)
        kind = self._kind(image)
        if kind is None:
            return None
        own = self._known.own_key(key, place)
        z = level_of(image, largest).z_at(own.z) if level and largest.size("z") > 1 else own.z
        index = own.t, place.p_index or 0, own.c, z
        if place.p_index is None and image.size("p") > 1:
            return None
        if level and own.z >= largest.size("z"):
            return None
        plane = kind.chunks_of.get(index)
        if plane is None:
            if any(at >= image.size(role) for at, role in zip(index, "tpcz", strict=True)):
                return None
            selection = selection_of(image, index)
            chunks = touched(selection, kind.grid.chunk, image.facts.shape, image.array)
            names = tuple(kind.grid.name(at).replace("/", os.sep) for at in chunks)
            plane = _ChunksOfPlane(selection, chunks, names)
            if len(kind.chunks_of) >= _MOST_KINDS:
                kind.chunks_of.clear()
            kind.chunks_of[index] = plane
        folder = image.array + os.sep
        files = tuple(folder + name for name in plane.names)
        at = _PlaceInArray(image, kind, plane.selection, plane.chunks, tree.fine)
        return SmallPlane(level, kind.shape, kind.nbytes, files, at)

    def _level(self, largest: ZarrImage, edge: int) -> int | None:
        """The level that fits a picture of that edge; None if the metadata do not say."""
        scales, document = largest.meta.scales, largest.document
        key = id(scales), id(document), edge
        known = self._levels.get(key)
        if known is None or known.scales is not scales or known.document is not document:
            rows, columns = largest.plane_shape
            longest = max(rows, columns, 1)
            fitting = max(1, rows * edge // longest), max(1, columns * edge // longest)
            known = _FittingLevel(scales, document, level_that_fits(largest, *fitting))
            if len(self._levels) >= _MOST_KINDS:
                self._levels.clear()
            self._levels[key] = known
        return known.level

    def _kind(self, image: ZarrImage) -> _ArrayKind | None:
        """What arrays like this one have in common; None for those of which planes are not read together."""
        key = id(image.document)
        if key not in self._kinds or (known := self._kinds[key]).document is not image.document:
            known = self._kind_of(image)
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            self._kinds[key] = known
        return known if known.is_simple else None

    def _kind_of(self, image: ZarrImage) -> _ArrayKind:
        grid = stored_grid(image)
        n_chunks = math.prod(
            -(-size // part)
            for size, part, axis in zip(image.facts.shape, grid.chunk, image.axes, strict=True)
            if axis.role in ("y", "x")
        )
        is_simple = (
            image.is_native
            and not image.provisional
            and planes_per_chunk(image) == 1
            and n_chunks <= _MOST_CHUNKS
            and math.prod(grid.chunk) * image.facts.dtype.itemsize <= _MOST_SMALL_BYTES
        )
        guard = self._native.guard(image) if is_simple else None
        decoder = _decoder_of(image) if guard is not None and n_chunks == 1 else None
        is_simple, shape = guard is not None, image.plane_shape
        nbytes = math.prod(shape) * image.facts.dtype.itemsize
        metadata = plain_metadata(image)
        return _ArrayKind(image.document, metadata, grid, guard, is_simple, decoder, shape, nbytes, {})

    # ---- read ------------------------------------------------------------------------------

    def read(
        self, planes: Sequence[SmallPlane], then: Callable[[np.ndarray], OfPixels]
    ) -> list[OfPixels | None]:
        """See `Source.read_small_planes`."""
        places: list[_PlaceInArray] = [plane.at for plane in planes]
        opening = [
            self._opening(at) if at.kind.decoder is None and _are_there(plane, at) else None
            for plane, at in zip(planes, places, strict=True)
        ]
        reading: list[tuple[np.ndarray, Any] | None] = [
            None if future is None else self._begun(future, at)
            for future, at in zip(opening, places, strict=True)
        ]
        made: list[OfPixels | None] = []
        for plane, at, begun in zip(planes, places, reading, strict=True):
            if at.kind.decoder is not None:
                pixels = self._decoded(plane, at, at.kind.decoder)
            else:
                pixels = None if begun is None else self._finished(*begun, at.image)
            made.append(None if pixels is None else then(pixels))
        return made

    def _decoded(self, plane: SmallPlane, at: _PlaceInArray, decoder: ObjectDecoder) -> np.ndarray | None:
        """A plane that is one chunk, in memory that the next one gets; None if not there, or damaged."""
        kind, image, (file,), (chunk,) = at.kind, at.image, plane.files, at.chunks
        assert kind.guard is not None
        try:
            data = kind.guard.read_file(file, decoder.most_stored, at.fine)
            if data is None:
                return None
            inside, _ = overlap(chunk, kind.grid.chunk, at.selection)
            part = decoder.part(decoder.opened(data, file, self._room_for(decoder.nbytes)), inside, file)
        except DatasetError as error:
            logger.debug("%s is read by itself: %s", image.array, error)
            return None
        rows = tuple(slice(None) if isinstance(each, slice) else 0 for each in at.selection)
        return upright(delivered(part.pixels[rows], image), image)

    def _room_for(self, nbytes: int) -> np.ndarray:
        """Memory of this thread: new memory for each chunk takes longer, page by page, than to decode it."""
        room: np.ndarray | None = getattr(self._rooms, "room", None)
        if room is None or room.nbytes != nbytes:
            room = self._rooms.room = np.empty(nbytes, np.uint8)
        return room

    def _opening(self, at: _PlaceInArray) -> Any:
        try:
            return self._native.begin_open(at.image, at.kind.metadata)
        except REFUSALS as error:
            logger.debug("%s is opened by itself: %s", at.image.array, error)
            return None

    def _begun(self, future: Any, at: _PlaceInArray) -> tuple[np.ndarray, Any] | None:
        try:
            store = self._native.finish_open(future, at.image)
            return self._native.begin(store[at.selection])
        except _NOT_SIMPLE as error:
            logger.debug("%s is opened by itself: %s", at.image.array, error)
            return None

    def _finished(self, pixels: np.ndarray, future: Any, image: ZarrImage) -> np.ndarray | None:
        try:
            self._native.finish(future, image)
        except _NOT_SIMPLE as error:
            logger.debug("%s is read by itself: %s", image.array, error)
            return None
        return upright(delivered(pixels, image), image)


_NOT_SIMPLE = (DatasetError, StoreChangedError, ChunkMissingError, *REFUSALS)


def _decoder_of(image: ZarrImage) -> ObjectDecoder | None:
    """What decodes a chunk of an array to its dtype; None if only tensorstore does."""
    if has_shards(image):
        return None
    try:
        decoder = object_decoder(image.document, image.array)
    except DatasetError:  # a codec of a library that is not installed, or one that is decoded nowhere else
        return None
    return decoder if decoder.dtype.newbyteorder("=") == image.facts.dtype else None


def _are_there(plane: SmallPlane, at: _PlaceInArray) -> bool:
    """Whether the files of a plane are there and may be read by a library."""
    guard = at.kind.guard
    if guard is None or not all(map(os.path.lexists, plane.files)):
        return False
    try:
        guard.check_files(at.chunks, plane.files, at.selection, at.fine)
    except DatasetError as error:
        logger.debug("%s is not read with others: %s", at.image.array, error)
        return False
    return True
