"""Which planes of local images are stored, cheaply for many: a chunk for each, images mostly alike."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...storage.limits import parse_json
from . import layouts
from .chunk_grid import planes_per_chunk, stored_grid

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ...model import PlaneKey
    from ...storage.trees.tree import Tree
    from .nodes import ZarrImage

_WORTH_LISTING = 32
"""For so many planes of an array at least, a folder is listed rather than asked for single files."""
_FILE = "zarr.json"
_MOST_OWN = 4096
"""Of so many images the metadata are kept as they were understood: about 5 kB each."""


class _Parsed(NamedTuple):
    """An image, where its array is in its store, and the two files that describe it."""

    image: ZarrImage
    array: str
    files: tuple[bytes | None, bytes | None]


class AlikeImages:
    """Reads the metadata of local images; of those whose files are the same as before, nothing is parsed.

    Any thread.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parsed: dict[int, _Parsed] = {}  # by level
        self._own: OrderedDict[tuple[str, int], _Parsed] = OrderedDict()  # of those unlike the one before

    def read(self, store: str, level: int = 0, tree: Tree | None = None) -> ZarrImage:
        """See `read_image`; `tree` reads instead of the own one."""
        tree = tree or self._tree
        parsed = self._parsed.get(level)
        if parsed is not None and _files(store, store + parsed.array, tree) == parsed.files:
            return replace(parsed.image, array=store + parsed.array)
        own = self._own.get((store, level))
        if own is not None and _files(store, store + own.array, tree) == own.files:
            return own.image
        before = tree.read_small(tree.join(store, _FILE))
        image = layouts.read_image(store, level, tree)
        self._keep(store, image, before)
        return image

    def _keep(self, store: str, image: ZarrImage, before: bytes | None) -> None:
        if before is None or image.warnings or not image.array.startswith(store):
            return
        files = _files(store, image.array, self._tree)
        is_same = files[0] == before and files[1] is not None
        # of warnings and documents that are not those of the file, others are not told
        if is_same and parse_json(files[1] or b"", image.array) == image.document:
            parsed = _Parsed(image, image.array[len(store) :], files)
            self._parsed[image.level] = self._own[store, image.level] = parsed
            while len(self._own) > _MOST_OWN:
                with contextlib.suppress(KeyError):  # another thread was faster
                    self._own.popitem(last=False)


def _files(store: str, array: str, tree: Tree) -> tuple[bytes | None, bytes | None]:
    return tree.read_small(tree.join(store, _FILE)), tree.read_small(tree.join(array, _FILE))


class SingleChunks:
    """The chunks of a local array in which each plane is one chunk."""

    def __init__(self, image: ZarrImage) -> None:
        self._image = image
        self._grid = stored_grid(image)
        self._roles = [axis.role for axis in image.axes]

    @classmethod
    def of(cls, image: ZarrImage) -> SingleChunks | None:
        """None for an image whose planes share chunks, or have several."""
        chunk = stored_grid(image).chunk
        sizes = zip(chunk, image.facts.shape, image.axes, strict=True)
        is_whole = all(part >= size for part, size, axis in sizes if axis.role in ("y", "x"))
        return cls(image) if is_whole and planes_per_chunk(image) == 1 else None

    def are_stored(self, indices: Sequence[tuple[int, ...]]) -> list[bool]:
        """Whether the files of the planes at these (t, p, c, z) exist."""
        names = [self._name(index) for index in indices]
        root = self._image.array
        if len(names) < _WORTH_LISTING:
            return [os.path.exists(os.path.join(root, name)) for name in names]
        if self._grid.separator == ".":
            there = _names_in(root)
            return [name in there for name in names]
        depth = len(self._grid.prefix)
        first = _names_in(os.path.join(root, self._grid.prefix.rstrip("/")))
        return [
            name[depth : name.find("/", depth)] in first and os.path.exists(os.path.join(root, name))
            for name in names
        ]

    def _name(self, index: tuple[int, ...]) -> str:
        at = dict(zip("tpcz", index, strict=True))
        chunk = self._grid.chunk
        return self._grid.name(
            tuple(
                at[role] // part if role in at else 0 for role, part in zip(self._roles, chunk, strict=True)
            )
        )


def stored_by_name(image: ZarrImage, keys: Sequence[PlaneKey], p_index: int | None) -> list[bool] | None:
    """Which planes of an image are stored, by the names of files; None if these do not tell.

    With the channels that the keys have in the image; `p_index`: where the position is in its array.
    """
    chunks = SingleChunks.of(image)
    sizes = image.size("t"), image.size("p"), image.size("c"), image.size("z")
    at = [(key.t, p_index or 0, key.c, key.z) for key in keys]
    is_inside = all(index < size for each in at for index, size in zip(each, sizes, strict=True))
    if chunks is None or not is_inside or (p_index is None and sizes[1] > 1):
        return None
    return chunks.are_stored(at)


def _names_in(folder: str) -> Collection[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return ()
