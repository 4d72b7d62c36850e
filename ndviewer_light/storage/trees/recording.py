"""Remembers which files and folders were looked at, so that looking again can be saved."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ...errors import DatasetError
from ..asked_together import asked_together
from ..file_versions import NOTHING, status_of, version_in, version_of
from ..limits import read_versioned_file
from .tree import LocalTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .tree import Tree

_Read = TypeVar("_Read")

_SMALL_BYTES = 16 * 1024
_MOST_KEPT_BYTES = 256 * 1024
"""Of the small files of one reading, so much is kept, to be read again only once they have changed."""


def recorded(tree: Tree) -> RecordingTree | None:
    """`tree` for one reading, which remembers what it looked at; None if it is not a local folder."""
    return RecordingTree(tree) if isinstance(tree, LocalTree) else None


def recorded_reading(
    tree: Tree, read: Callable[[Tree], _Read], look: OneLook | None = None
) -> tuple[_Read, RecordingTree | None]:
    """What `read` returns of a tree, and what it looked at; it reads each file of a local folder once.

    With the `look` that it belongs to, also what others read in that is not read again.
    """
    if not isinstance(tree, LocalTree):
        return read(tree), None
    record = RecordingTree(tree, look or OneLook())
    found = read(record)
    record.end()
    return found, record


class _LiesThere(NamedTuple):
    """What lies at a path: its version, and whether it is a file, or a folder."""

    version: str
    is_file: bool
    is_folder: bool


class _Content(NamedTuple):
    """What is in a file, None without one, and its version before it was read."""

    version: str
    raw: bytes | None


class OneLook:
    """What one look at the disk finds: each file is asked about, and read, once in it, whoever wants to know.

    For looks that end within seconds: what changes meanwhile is found by the next one, as what was read is
    remembered by the version that it had before. For use by one thread.
    """

    def __init__(self) -> None:
        self.contents: dict[str, _Content] = {}
        """Of files that were read in it, or have not changed since they were read in an earlier one."""
        self._found: dict[str, _LiesThere] = {}

    def ask(self, records: Iterable[RecordingTree]) -> None:
        """Ask about all that was looked at in earlier readings; together, where answers are slow to come."""
        records = list(records)
        paths = {path for each in records for path in each.looked_at} - self._found.keys()
        self._found.update(asked_together(lambda path: (path, _found(path)), sorted(paths)))
        for each in records:
            for path, content in each.contents.items():
                if self._found[path].version == content.version:
                    self.contents.setdefault(path, content)

    def at(self, path: str) -> _LiesThere:
        """What lies at a path."""
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = _found(path)
        return found


class RecordingTree(LocalTree):
    """A local tree for one reading of metadata; `is_current` is whether it would read the same now.

    For use by one thread. Within a `look`, which lasts until `end`, nothing is read or asked twice.
    """

    def __init__(self, tree: LocalTree, look: OneLook | None = None) -> None:
        self.root, self.top = tree.root, tree.top
        self.title, self.axes = tree.title, tree.axes
        self._links, self._in_utf8 = tree._links, tree._in_utf8
        self.consolidated = tree.consolidated
        self.contents: dict[str, _Content] = {}
        """What was read of small files."""
        self.fine: set[str] = set()
        """Folders that do not lead out of the dataset."""
        self._versions: dict[str, str] = {}
        self._kinds: dict[str, tuple[bool, bool]] = {}
        self._n_kept = 0
        self._look = look

    def end(self) -> None:
        """The reading has ended."""
        self._look = None

    @property
    def looked_at(self) -> Iterable[str]:
        """The paths of all files and folders that were looked at."""
        return (*self._versions, *self._kinds)

    def is_current(self, look: OneLook | None = None) -> bool:
        """Whether nothing that was looked at has changed, as a `look` has found it, else now.

        Costs one call of the system for each.
        """
        if look is None:
            look = OneLook()
            look.ask([self])
        return all(look.at(path).version == version for path, version in self._versions.items()) and all(
            look.at(path)[1:] == kind for path, kind in self._kinds.items()
        )

    def is_unchanged(self, path: str) -> bool:
        """Whether a file is as it was when it was read, and it was read."""
        return self._versions.get(path) == version_of(path) != NOTHING

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`."""
        content = self._look.contents.get(path) if self._look is not None else None
        if content is None:
            content = self._read(path)
            if self._look is not None:
                self._look.contents[path] = content
        self._versions.setdefault(path, content.version)
        n = len(content.raw or b"")
        if self._look is not None and n <= _SMALL_BYTES and self._n_kept + n <= _MOST_KEPT_BYTES:
            self._n_kept += n
            self.contents[path] = content
        return content.raw

    def _read(self, path: str) -> _Content:
        try:
            raw, version = read_versioned_file(path, self._links, self.fine)
        except DatasetError:
            version = self._versions.setdefault(path, version_of(path))  # before it is read
            return _Content(version, super().read_small(path))
        return _Content(version, raw)

    def names(self, path: str) -> list[str]:
        """See `Tree.names`."""
        self._note_version(path)
        return super().names(path)

    def folders(self, path: str) -> list[str]:
        """See `Tree.folders`."""
        self._note_version(path)
        return super().folders(path)

    def _note_version(self, path: str) -> None:
        if path not in self._versions:
            self._versions[path] = version_of(path) if self._look is None else self._look.at(path).version

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`; what is in the file does not matter."""
        return self._kind(path)[0]

    def is_folder(self, path: str) -> bool:
        """See `Tree.is_folder`; what is in the folder does not matter."""
        return self._kind(path)[1]

    def _kind(self, path: str) -> tuple[bool, bool]:
        found = _found(path) if self._look is None else self._look.at(path)
        self._kinds.setdefault(path, found[1:])
        return found[1:]


def _found(path: str) -> _LiesThere:
    status = status_of(path)
    if status is None:
        return _LiesThere(NOTHING, is_file=False, is_folder=False)
    return _LiesThere(version_in(status), stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode))
