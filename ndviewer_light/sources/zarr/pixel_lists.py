"""Masks of regions of NWB that are lists of pixels in Zarr, as hdmf-zarr writes them: read as pictures.

``pixel_mask`` or ``voxel_mask`` is an array of records (x, y[, z], weight) of all regions, one after the
other; ``pixel_mask_index`` says where each region ends.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, LimitExceededError, UnsupportedError
from ...metadata import nwb_series
from ...metadata.nwb_types import LISTS
from ...storage.limits import MAX_CHUNK_BYTES, MAX_POSITIONS
from .small_arrays import numbers_of
from .stored_records import StoredRecords, stored_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...storage.trees.tree import Tree
    from .nodes import Node

    ReadNode = Callable[..., Node | None]

_MOST_LISTED_PIXELS = 2**26
"""Of all regions, where they alone tell how large the pictures are."""
_MAX_GROUPS_SEARCHED = 500
_MAX_LEVELS_SEARCHED = 5


class PixelList(NamedTuple):
    """A list of pixels: the coordinates in its records, where regions end, how it is stored."""

    coordinates: str
    ends: tuple[int, ...]
    stored: StoredRecords

    @property
    def folder(self) -> str:
        """Where it is."""
        return self.stored.folder


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
    where = node.file
    stored = stored_records(node, [*coordinates, "weight"])
    if not set(coordinates) <= set(stored.dtype.names or ()):
        raise UnsupportedError(f"{where}: its records do not have the fields {', '.join(coordinates)}")
    if len(ends) > MAX_POSITIONS:
        raise LimitExceededError(f"{where} has {len(ends)} masks; at most {MAX_POSITIONS} can be shown")
    if not ends:
        raise UnsupportedError(f"{where}: the index of its regions cannot be read")
    if any(after < before for before, after in itertools.pairwise((0, *ends))) or ends[-1] > stored.n:
        raise CorruptDataError(f"{where}: the index is damaged: regions end before they begin")
    return PixelList(coordinates, tuple(ends), stored)


def _sizes_of_pixels(pixels: PixelList, coordinates: str, tree: Tree) -> tuple[int, ...]:
    """The least sizes that hold all pixels."""
    stored = pixels.stored
    if stored.n > _MOST_LISTED_PIXELS:
        raise LimitExceededError(
            f"{pixels.folder}: {stored.n} pixels are too many to tell how large masks are"
        )
    most = dict.fromkeys(coordinates, 0)
    step = max(1, MAX_CHUNK_BYTES // 16 // stored.dtype.itemsize)
    for start in range(0, stored.n, step):
        records = stored.read(start, min(start + step, stored.n), tree)
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
