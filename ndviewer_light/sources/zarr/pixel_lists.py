"""Masks of regions of NWB that are lists of pixels in Zarr, as hdmf-zarr writes them: read as pictures.

``pixel_mask`` or ``voxel_mask`` is an array of records (x, y[, z], weight) of all regions, one after the
other; ``pixel_mask_index`` says where each region ends. Records are a dtype of Zarr v2, not of tensorstore.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import CorruptDataError, LimitExceededError, MetadataError, UnsupportedError
from ...metadata import nwb_series
from ...metadata.nwb_types import LISTS
from ...storage.decoding.codec import decoded_bytes, most_stored
from ...storage.decoding.codecs import codec_from
from ...storage.limits import MAX_CHUNK_BYTES, MAX_POSITIONS
from .small_arrays import numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...storage.trees.tree import Tree
    from .nodes import Node

    ReadNode = Callable[..., Node | None]

_MOST_LISTED_PIXELS = 2**26
"""Of all regions, where they alone tell how large the pictures are."""
_MAX_GROUPS_SEARCHED = 500
_MAX_LEVELS_SEARCHED = 5
_MAX_RECORD_FIELDS = 16


class PixelList(NamedTuple):
    """A list of pixels: its folder, the coordinates in its records, where regions end, how it is stored."""

    folder: str
    coordinates: str
    ends: tuple[int, ...]
    n: int
    chunk: int
    dtype: np.dtype[Any]
    compressor: Any

    def records(self, start: int, stop: int, tree: Tree) -> np.ndarray:
        """The records [start, stop); those of which nothing is stored are 0. Blocks on disk or network.

        Raises a `DatasetError`.
        """
        if (stop - start) * self.dtype.itemsize > MAX_CHUNK_BYTES:
            raise LimitExceededError(f"{self.folder}: a mask has too many pixels")
        if stop <= start:
            return np.zeros(0, self.dtype)
        chunks = range(start // self.chunk, (stop - 1) // self.chunk + 1)
        nbytes = self.chunk * self.dtype.itemsize
        paths = [tree.join(self.folder, str(i)) for i in chunks]
        codecs = [codec_from(self.compressor, np.dtype("u1"))] if self.compressor else []
        found = np.zeros(len(chunks) * self.chunk, self.dtype)
        stored = tree.read_whole(paths, most_stored(nbytes))
        for i, (path, data) in enumerate(zip(paths, stored, strict=True)):
            if data is not None:
                raw = decoded_bytes(codecs, data, nbytes, path)
                found[i * self.chunk : (i + 1) * self.chunk] = raw.view(self.dtype)
        first = chunks[0] * self.chunk
        return found[start - first : stop - first]


class MasksOfLists(NamedTuple):
    """A list of pixels as an array (region, x, y[, z])."""

    pixels: PixelList
    shape: tuple[int, ...]


def masks_of_lists(group: Node, read_node: ReadNode, tree: Tree) -> MasksOfLists | None:
    """The masks of a table of regions that are lists of pixels; None if there are none.

    They are as large as the pictures they belong to: those of the same imaging plane, else any series, else
    as their pixels need. Blocks on disk or network. Raises a `DatasetError`.
    """
    for name, coordinates in LISTS.items():
        folder = tree.join(group.path, name)
        node = read_node(folder, tree, group.version, "array")
        if node is None or node.kind != "array":
            continue
        index = read_node(f"{folder}_index", tree, group.version, "array")
        if index is None or index.kind != "array":
            raise UnsupportedError(f"{folder} has no index of its regions ({name}_index)")
        ends = [int(end) for end in numbers_of(index.document, index.path, tree)]
        pixels = _described(node, coordinates, ends)
        sizes = _sizes_of_pictures(group, read_node, tree)
        if len(sizes) < len(coordinates):
            sizes = (*sizes, *_sizes_of_pixels(pixels, coordinates[len(sizes) :], tree))
        sizes = sizes[: len(coordinates)]
        if math.prod(sizes[:2]) * 4 > MAX_CHUNK_BYTES:
            raise LimitExceededError(f"{folder}: masks of {sizes} pixels are too large")
        return MasksOfLists(pixels, (len(ends), *sizes))
    return None


def _described(node: Node, coordinates: str, ends: Sequence[int]) -> PixelList:
    document, where = node.document, node.file
    shape, chunks, said = (document.get(key) for key in ("shape", "chunks", "dtype"))
    if node.version != 2 or document.get("filters") or not isinstance(said, list):
        raise UnsupportedError(f"{where}: lists of pixels are only read as records of Zarr v2, unfiltered")
    n, chunk = (each[0] if isinstance(each, list) and len(each) == 1 else None for each in (shape, chunks))
    if type(n) is not int or type(chunk) is not int or n < 1 or chunk < 1:
        raise MetadataError(f"{where}: invalid shape or chunks of a list of pixels")
    dtype = _records_dtype(said, where)
    if not set(coordinates) <= set(dtype.names or ()):
        raise UnsupportedError(f"{where}: its records do not have the fields {', '.join(coordinates)}")
    if chunk * dtype.itemsize > MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{where}: chunks of {chunk} records are too large")
    if len(ends) > MAX_POSITIONS:
        raise LimitExceededError(f"{where} has {len(ends)} masks; at most {MAX_POSITIONS} can be shown")
    if not ends:
        raise UnsupportedError(f"{where}: the index of its regions cannot be read")
    if any(after < before for before, after in itertools.pairwise((0, *ends))) or ends[-1] > n:
        raise CorruptDataError(f"{where}: the index is damaged: regions end before they begin")
    return PixelList(node.path, coordinates, tuple(ends), n, chunk, dtype, document.get("compressor"))


def _records_dtype(said: list[Any], where: str) -> np.dtype[Any]:
    fields = [tuple(field) for field in said if isinstance(field, list)]
    try:
        if not 0 < len(fields) == len(said) <= _MAX_RECORD_FIELDS or any(len(field) != 2 for field in fields):
            raise ValueError("fields of records")
        dtype = np.dtype(fields)
        if any(dtype[i].kind not in "iuf" for i in range(len(fields))):
            raise ValueError("fields that are no numbers")
    except (TypeError, ValueError) as error:
        raise UnsupportedError(f"{where}: records of a dtype that is not supported") from error
    return dtype


def _sizes_of_pixels(pixels: PixelList, coordinates: str, tree: Tree) -> tuple[int, ...]:
    """The least sizes that hold all pixels."""
    if pixels.n > _MOST_LISTED_PIXELS:
        raise LimitExceededError(
            f"{pixels.folder}: {pixels.n} pixels are too many to tell how large masks are"
        )
    most = dict.fromkeys(coordinates, 0)
    step = max(1, MAX_CHUNK_BYTES // 16 // pixels.dtype.itemsize)
    for start in range(0, pixels.n, step):
        records = pixels.records(start, min(start + step, pixels.n), tree)
        for name in coordinates:
            most[name] = max(most[name], int(records[name].max()))
    return tuple(most[name] + 1 for name in coordinates)


def _sizes_of_pictures(group: Node, read_node: ReadNode, tree: Tree) -> tuple[int, ...]:
    """The sizes (x, y[, z]) of the pictures that a table of regions belongs to; () if there are none."""
    plane = nwb_series.imaging_plane(group.attributes)
    of_plane, others = list[tuple[int, ...]](), list[tuple[int, ...]]()
    for series in _series(group, read_node, tree):
        data = read_node(tree.join(series.path, "data"), tree, series.version, "array")
        shape = data.document.get("shape") if data is not None and data.kind == "array" else None
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape) or len(shape) < 2:
            continue
        sizes = tuple(shape if len(shape) == 2 else shape[1:])
        if series.path.startswith(group.path):  # it names its pictures itself
            return sizes
        (of_plane if plane and nwb_series.imaging_plane(series.attributes) == plane else others).append(sizes)
    return max(of_plane or others, key=math.prod, default=())


def _series(group: Node, read_node: ReadNode, tree: Tree) -> Iterator[Node]:
    top = tree.top or tree.root
    places = (tree.join(top, place) for place in nwb_series.PLACES)
    level, left = [tree.join(group.path, "reference_images"), *places], _MAX_GROUPS_SEARCHED
    for _ in range(_MAX_LEVELS_SEARCHED):
        below: list[str] = []
        for path in level:
            for name in tree.groups(path)[:left]:
                left -= 1
                node = read_node(tree.join(path, name), tree, group.version, "group")
                if node is None or node.kind != "group":
                    continue
                if nwb_series.is_series(node.attributes):
                    yield node
                elif not nwb_series.is_regions(node.attributes):
                    below.append(node.path)
        level = below
