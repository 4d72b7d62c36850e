"""Small arrays of an NWB file in Zarr: those in a group of it, and elsewhere in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...metadata import nwb_series
from ...storage.limits import safe_node
from .small_arrays import numbers_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...storage.trees.tree import Tree
    from .nodes import Node

_MAX_CHANNELS_LOOKED_AT = 16


class NwbArrays:
    """See `nwb_series.NwbNeighbours`. Blocks on disk or network; raises what reading metadata does."""

    def __init__(self, group: Node, tree: Tree, read_node: Callable[..., Node | None]) -> None:
        self._group = group
        self._tree = tree
        self._read_node = read_node

    def array(self, path: str) -> nwb_series.SmallArray | None:
        """See `nwb_series.NwbNeighbours.array`."""
        folder = self._folder(path)
        found = self._read_node(folder, self._tree, self._group.version)  # with its attributes
        if found is None or found.kind != "array":
            return None
        content = found.document, folder, self._tree
        return nwb_series.SmallArray(numbers_of(*content), text_of(*content), found.attributes)

    def optical_channels(self, plane: str) -> Iterator[str]:
        """See `nwb_series.NwbNeighbours.optical_channels`."""
        folder = self._folder(plane)
        for name in self._tree.groups(folder)[:_MAX_CHANNELS_LOOKED_AT]:
            found = self._read_node(self._tree.join(folder, name), self._tree, self._group.version)
            if (
                found is not None
                and found.kind == "group"
                and nwb_series.is_optical_channel(found.attributes)
            ):
                yield f"{plane}/{name}"

    def _folder(self, path: str) -> str:
        names = safe_node(path, self._group.file)
        around = (self._tree.top or self._tree.root) if path.startswith("/") else self._group.path
        return self._tree.inside(around, names)
