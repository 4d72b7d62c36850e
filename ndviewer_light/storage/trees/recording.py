"""Remembers which files and folders were looked at, so that looking again can be saved."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from ...errors import DatasetError
from ..asked_together import asked_together
from ..file_versions import NOTHING, version_of
from ..limits import read_versioned_file
from .tree import LocalTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tree import Tree

_Read = TypeVar("_Read")


def recorded(tree: Tree) -> RecordingTree | None:
    """`tree` for one reading, which remembers what it looked at; None if it is not a local folder."""
    return RecordingTree(tree) if isinstance(tree, LocalTree) else None


def recorded_reading(tree: Tree, read: Callable[[Tree], _Read]) -> tuple[_Read, RecordingTree | None]:
    """What `read` returns of a tree, and what it looked at; it reads each file of a local folder once."""
    if not isinstance(tree, LocalTree):
        return read(tree), None
    record = RecordingTree(tree, keeps=True)
    found = read(record)
    record.keep_no_more()
    return found, record


class RecordingTree(LocalTree):
    """A local tree for one reading of metadata; `is_current` is whether it would read the same now.

    For use by one thread. `keeps`: files are read once, for readings that end soon.
    """

    def __init__(self, tree: LocalTree, *, keeps: bool = False) -> None:
        self.root, self.top = tree.root, tree.top
        self.title, self.axes = tree.title, tree.axes
        self._links, self._in_utf8 = tree._links, tree._in_utf8
        self.consolidated = tree.consolidated
        self._versions: dict[str, str] = {}
        self._kinds: dict[str, tuple[bool, bool]] = {}
        self.fine: set[str] = set()
        """Folders that do not lead out of the dataset."""
        self._kept: dict[str, bytes | None] | None = {} if keeps else None

    def keep_no_more(self) -> None:
        """The reading has ended."""
        self._kept = None

    def is_current(self) -> bool:
        """Whether nothing that was looked at has changed; costs one call of the system for each."""
        return all(asked_together(_has_version, self._versions.items())) and all(
            asked_together(lambda item: _kind(item[0]) == item[1], self._kinds.items())
        )

    def is_unchanged(self, path: str) -> bool:
        """Whether a file is as it was when it was read, and it was read."""
        return self._versions.get(path) == version_of(path) != NOTHING

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`."""
        if self._kept is None:
            return self._read(path)
        if path not in self._kept:
            self._kept[path] = self._read(path)
        return self._kept[path]

    def _read(self, path: str) -> bytes | None:
        try:
            raw, version = read_versioned_file(path, self._links, self.fine)
        except DatasetError:
            self._versions.setdefault(path, version_of(path))  # before it is read
            return super().read_small(path)
        self._versions.setdefault(path, version)
        return raw

    def names(self, path: str) -> list[str]:
        """See `Tree.names`."""
        self._versions.setdefault(path, version_of(path))
        return super().names(path)

    def folders(self, path: str) -> list[str]:
        """See `Tree.folders`."""
        self._versions.setdefault(path, version_of(path))
        return super().folders(path)

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`; what is in the file does not matter."""
        self._kinds.setdefault(path, _kind(path))
        return super().is_file(path)

    def is_folder(self, path: str) -> bool:
        """See `Tree.is_folder`; what is in the folder does not matter."""
        self._kinds.setdefault(path, _kind(path))
        return super().is_folder(path)


def _has_version(item: tuple[str, str]) -> bool:
    path, version = item
    return version_of(path) == version


def _kind(path: str) -> tuple[bool, bool]:
    return os.path.isfile(path), os.path.isdir(path)
