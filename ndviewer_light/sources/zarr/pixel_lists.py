"""Masks of regions of NWB that are lists of pixels in Zarr, as hdmf-zarr writes them: read as pictures.

``pixel_mask`` or ``voxel_mask`` is an array of records (x, y[, z], weight) of all regions, one after the
other; ``pixel_mask_index`` says where each region ends.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ...errors import UnsupportedError
from ...metadata import nwb_series
from ...metadata.nwb_types import LISTS
from ...storage.decoding.stored_records import StoredRecords, stored_records
from ..region_masks import PictureSizes, checked_ends, mask_sizes, sizes_of_pictures
from .small_arrays import numbers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...storage.decoding.stored_records import ReadChunks
    from ...storage.trees.tree import Tree
    from .nodes import Node

    ReadNode = Callable[..., Node | None]

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
        return self.stored.path


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
        ends = numbers_of(index.document, index.path, tree)
        pixels = _described(node, coordinates, ends)
        read = partial(pixels.stored.read, chunks_by=chunks_in(folder, tree))
        of_pictures = sizes_of_pictures(_series_of(group, read_node, tree))
        sizes = mask_sizes(coordinates, of_pictures, pixels.stored.n, read, folder)
        return MasksOfLists(pixels, (len(ends), *sizes))
    return None


def chunks_in(folder: str, tree: Tree) -> ReadChunks:
    """Reads the chunks of an array in a folder."""

    def read(keys: Sequence[tuple[str, ...]], most: int) -> Sequence[bytes | None]:
        return tree.read_whole([tree.join(folder, *key) for key in keys], most)

    return read


def _described(node: Node, coordinates: str, ends: Sequence[float]) -> PixelList:
    where = node.file
    stored = stored_records(node.document, node.path, [*coordinates, "weight"], where)
    if not set(coordinates) <= set(stored.dtype.names or ()):
        raise UnsupportedError(f"{where}: its records do not have the fields {', '.join(coordinates)}")
    return PixelList(coordinates, checked_ends(ends, stored.n, where), stored)


def _series_of(group: Node, read_node: ReadNode, tree: Tree) -> Iterator[PictureSizes]:
    """The series that a table of regions may belong to."""
    plane = nwb_series.imaging_plane(group.attributes)
    for series in _series(group, read_node, tree):
        data = read_node(tree.join(series.path, "data"), tree, series.version, "array")
        shape = data.document.get("shape") if data is not None and data.kind == "array" else None
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape) or len(shape) < 2:
            continue
        is_of_plane = bool(plane) and nwb_series.imaging_plane(series.attributes) == plane
        yield PictureSizes(tuple(shape), is_of_plane, is_named=series.path.startswith(group.path))


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
