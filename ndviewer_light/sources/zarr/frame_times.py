"""When frames were acquired, as ome-writers says it in the metadata of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata.recorded_times import NOT_SAID, RecordedTimes, frame_times
from ...storage.file_versions import versions_of
from ...storage.memory_cache import MemoryCache
from .nodes import read_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...storage.trees.tree import Tree

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
        said = node.attributes.get("ome_writers") if node is not None else None
        return frame_times(said.get("frame_metadata"), roles) if isinstance(said, dict) else NOT_SAID
