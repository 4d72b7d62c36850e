"""Whether what is in view has changed on a server, by the versions of the files of its chunks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...model import PlaneKey
    from ...storage.trees.tree import Tree

_ASKED_IN_VIEW = 8
_FILES_OF_A_PLANE = 4
"""For how many planes in view, and for how many files of each, a server is asked for changes."""


class ServerVersions:
    """The versions of the chunks in view, as of the last look. For one thread at a time."""

    def __init__(self, tree: Tree, files_of: Callable[[PlaneKey, int, int], list[str]]) -> None:
        """`files_of(key, level, most)`: so many of the files of a plane at most."""
        self._tree = tree
        self._files_of = files_of
        self._seen: dict[str, str | None] = {}

    def look(self, keys: Sequence[PlaneKey], level: int) -> tuple[list[str | None], bool]:
        """The versions of planes, None where unknown; and whether a file has changed since the last look."""
        files = [self._files_of(key, level, _FILES_OF_A_PLANE) for key in keys[:_ASKED_IN_VIEW]]
        paths = list(dict.fromkeys(itertools.chain(*files)))
        found = dict(zip(paths, self._tree.versions(paths), strict=True))
        has_changed = any(found[path] != self._seen.get(path, found[path]) for path in paths)
        self._seen = found
        said: list[str | None] = []
        for of_plane in files:
            parts = [found[path] for path in of_plane]
            said.append(" ".join(filter(None, parts)) if parts and None not in parts else None)
        return said + [None] * (len(keys) - len(said)), has_changed
