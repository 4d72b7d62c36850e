"""Which planes of local images are stored, cheaply for many: by the names of chunks, one for each plane, by
the indexes of shards, and by what is in chunks that several planes share.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...storage.asked_together import asked_together
from ...storage.local_files import is_there
from ...storage.watched_folders import WORTH_LISTING
from .array_in_chunks import ZarrInChunks, shares_chunks
from .chunk_grid import planes_per_chunk, stored_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ...model import PlaneKey
    from ..shared_chunks import SharedChunks
    from .array_in_chunks import ReadAny
    from .nodes import ZarrImage
    from .shard_indexes import ShardIndexes


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

    def are_stored(self, indices: Sequence[tuple[int, ...]]) -> list[bool | None]:
        """Whether the files of the planes at these (t, p, c, z) exist; None where the disk does not tell."""
        names = [self.first_chunk(index) for index in indices]
        root = self._image.array
        if len(names) < WORTH_LISTING:
            return self._are_there(names)
        if self._grid.separator == ".":
            there = _names_in(root)
            return [None if there is None else name in there for name in names]
        depth = len(self._grid.prefix)
        first = _names_in(os.path.join(root, self._grid.prefix.rstrip("/")))
        if first is None:
            return [None] * len(names)
        begun = [name for name in names if name[depth : name.find("/", depth)] in first]
        stored = dict(zip(begun, self._are_there(begun), strict=True))
        return [stored.get(name, False) for name in names]

    def _are_there(self, names: Sequence[str]) -> list[bool | None]:
        return asked_together(is_there, [os.path.join(self._image.array, name) for name in names])

    def first_chunk(self, index: tuple[int, ...]) -> str:
        """The name, below the array, of the first chunk or shard that has something of a plane."""
        at = dict(zip("tpcz", index, strict=True))
        chunk = self._grid.chunk
        return self._grid.name(
            tuple(
                at[role] // part if role in at else 0 for role, part in zip(self._roles, chunk, strict=True)
            )
        )


def stored_in_files(
    image: ZarrImage,
    keys: Sequence[PlaneKey],
    p_index: int | None,
    shards: ShardIndexes,
    shared: SharedChunks,
    read_any: Callable[[], ReadAny],
) -> Sequence[bool | None] | None:
    """Which planes of an image are stored: by the names of files, by `shards`, by what is in `shared` chunks.

    None if these do not tell. With the channels that the keys have in the image; `p_index`: where the
    position is in its array; `read_any()`: what reads from it, asked for where chunks are to be decoded.
    """
    sizes = image.size("t"), image.size("p"), image.size("c"), image.size("z")
    at = [(key.t, p_index or 0, key.c, key.z) for key in keys]
    is_inside = all(index < size for each in at for index, size in zip(each, sizes, strict=True))
    if not is_inside or (p_index is None and sizes[1] > 1):
        return None
    chunks = SingleChunks.of(image)
    if chunks is not None:
        return chunks.are_stored(at)
    told = shards.are_stored(image, at)
    if image.meta.complete or not shares_chunks(image):
        return told
    return shared.are_stored(ZarrInChunks(image, read_any), at, told)


def unless_untold(
    image: ZarrImage, keys: Sequence[PlaneKey], p_index: int | None, answers: Sequence[bool | None]
) -> list[bool | None]:
    """These answers, None instead of False for planes of whose first chunk the disk does not tell."""
    chunks = SingleChunks(image)
    if SingleChunks.of(image) is not None:  # each was asked for already
        return list(answers)
    names = {
        key: os.path.join(image.array, chunks.first_chunk((key.t, p_index or 0, key.c, key.z)))
        for key, answer in zip(keys, answers, strict=True)
        if answer is False
    }
    asked = list(dict.fromkeys(names.values()))
    there = dict(zip(asked, asked_together(is_there, asked), strict=True))
    untold = {key for key, name in names.items() if there[name] is None}
    return [None if key in untold else answer for key, answer in zip(keys, answers, strict=True)]


def _names_in(folder: str) -> Collection[str] | None:
    """None where that is not told: no permission, or a disk that fails."""
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError:
        return None
