"""When frames were acquired, as ome-writers says it in the metadata of each image, and NWB beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata import nwb_series
from ...metadata.recorded_times import NOT_SAID, RecordedTimes, frame_times
from ...storage.file_versions import versions_of
from ...storage.memory_cache import MemoryCache
from .nodes import read_node
from .nwb_arrays import NwbArrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...storage.trees.tree import Tree
    from .nodes import Node

    _Version = tuple[str, str | None]  # the store and that of its files

_IMAGES_KEPT = 64


class FrameTimes:
    """Reads them once for each version of an image's metadata, and keeps the last 64. Any thread; blocks."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: MemoryCache[_Version, RecordedTimes] = MemoryCache(_IMAGES_KEPT)

    def of(self, store: str, roles: Sequence[str]) -> RecordedTimes:
        """Of the image at `store`, whose array has axes with these roles."""

        def read(versions: Iterable[_Version]) -> Iterator[tuple[_Version, RecordedTimes]]:
            yield from ((each, self._read(store, roles)) for each in versions)

        files = [self._tree.join(store, name) for name in ("zarr.json", ".zattrs")]
        version = store, "" if self._tree.remote else versions_of(files)
        return self._known.get([version], read)[version]

    def _read(self, store: str, roles: Sequence[str]) -> RecordedTimes:
        try:
            node = read_node(store, self._tree)
        except DatasetError:  # its planes say why
            return NOT_SAID
        if node is not None and nwb_series.is_series(node.attributes):
            return self._of_nwb(node)
        said = node.attributes.get("ome_writers") if node is not None else None
        return frame_times(said.get("frame_metadata"), roles) if isinstance(said, dict) else NOT_SAID

    def _of_nwb(self, series: Node) -> RecordedTimes:
        try:
            data = read_node(self._tree.join(series.path, "data"), self._tree, series.version, "array")
            shape = data.document.get("shape") if data is not None else None
            if not isinstance(shape, list) or len(shape) < 3:
                return NOT_SAID
            look = NwbArrays(series, self._tree, read_node)
            times = nwb_series.frame_times(look, series.attributes, shape[0])
        except DatasetError:  # its planes say why
            return NOT_SAID
        return RecordedTimes(by_t=times) if times else NOT_SAID
