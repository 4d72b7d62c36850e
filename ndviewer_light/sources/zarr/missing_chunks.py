"""Planes of a Zarr array of which no chunk is stored: what they count as (see `sources.missing`)."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from typing import TYPE_CHECKING

from ...errors import CorruptDataError
from ..missing import LOOKS, StoredPlanes, Surroundings, judge, not_stored
from .chunk_grid import chunk_ranges, chunks_of, planes_per_chunk, stored_grid
from .tensorstore_errors import ChunkMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import tensorstore as ts

    from ...errors import PlaneNotStoredError
    from ...storage.activity import Activity
    from .chunk_grid import StoredGrid
    from .nodes import ZarrImage
    from .tensorstore_arrays import TensorStoreContext

_MAX_CHUNKS = 64
"""So many chunks of a plane are looked for, to see whether anything of it is stored."""
_MAX_LOOKED_FOR = 1024
"""So many chunks are looked for in all."""
_MAX_DIGITS = 19


class MissingPlanes:
    """Judges missing planes of one array; any thread, blocks on disk or network.

    `looks` is how many planes around a missing one are looked for.
    """

    def __init__(
        self,
        image: ZarrImage,
        activity: Activity,
        first_stored: Callable[[Sequence[tuple[int, ...]]], int | None],
    ) -> None:
        """`first_stored`: which of some planes (t, p, c, z) is the first of which anything is stored."""
        self.looks = LOOKS
        self._image = image
        self._activity = activity
        self._first_stored = first_stored
        self._stored = StoredPlanes()

    def note(self, index: tuple[int, ...]) -> None:
        """The plane at (t, p, c, z) is stored."""
        t, p, c, z = index
        self._stored.note(p, (t, c, z))

    def is_partly_stored(self, index: tuple[int, ...]) -> bool:
        """Whether anything of the plane at (t, p, c, z) is stored, so that what is missing is fill value."""
        t, p, c, z = index
        if (t, c, z) in self._stored.of(p):
            return True
        found = self._first_stored([index]) is not None
        if found:
            self.note(index)
        return found

    def error(self, index: tuple[int, ...], missing: ChunkMissingError | None = None) -> PlaneNotStoredError:
        """The error for the plane at (t, p, c, z); `missing` tells which of its chunks was asked for."""
        image = self._image
        t, p, c, z = index

        def first_stored(planes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
            found = self._first_stored([(t, p, c, z) for t, c, z in planes])
            if found is None:
                return None
            self._stored.note(p, planes[found])
            return planes[found]

        around = Surroundings(
            sizes=(image.size("t"), image.size("c"), image.size("z")),
            complete=image.meta.complete,
            first_stored=first_stored,
            is_being_written=self._activity.is_on,
            stored=self._stored.of(p),
            looks=self.looks,
        )
        verdict = judge((t, c, z), around)
        what = missing.file if missing is not None and missing.file else image.array
        refused = missing is not None and missing.refused is not None
        how = "is not accessible on its server" if refused else "is missing"
        said = f"nothing is stored for this plane ({what} {how})"
        error = not_stored(said, image.plane_shape, image.fill_value, verdict)
        error.shares_chunks = planes_per_chunk(image) > 1
        return error


def first_in_folder(
    selections: Iterable[tuple[int | slice, ...]],
    store: ts.TensorStore,
    image: ZarrImage,
    native: TensorStoreContext,
) -> int | None:
    """Which of some planes is the first with chunks in a local folder, by their names; looks into shards."""
    is_shared = chunks_of(image).sharded and planes_per_chunk(image) > 1
    looked = 0
    for i, selection in enumerate(selections):
        wanted = chunk_ranges(selection, stored_grid(image).chunk, image.facts.shape)
        if is_any_in_folder(selection, image) and not (
            is_shared and native.is_empty(store[selection], image)
        ):
            return i
        looked += min(math.prod(map(len, wanted)), _MAX_CHUNKS)
        if looked >= _MAX_LOOKED_FOR:
            break
    return None


def is_any_in_folder(selection: Sequence[int | slice], image: ZarrImage) -> bool:
    """Whether there is a file for any chunk (of shards: any shard) that a selection of an array intersects.

    Few are looked for by their names; for many, folders are listed: only what exists takes time.
    """
    grid = stored_grid(image)
    wanted = chunk_ranges(selection, grid.chunk, image.facts.shape)
    if math.prod(map(len, wanted)) <= _MAX_CHUNKS:
        names = (grid.name(at).split("/") for at in itertools.product(*wanted))
        return any(os.path.lexists(os.path.join(image.array, *name)) for name in names)
    if grid.separator == "/":
        return _is_any_below(os.path.join(image.array, grid.prefix), wanted)
    return any(_is_within(name, grid, wanted) for name in _names_in(image.array))


def _is_any_below(folder: str, wanted: Sequence[range]) -> bool:
    first, *others = wanted
    names = (
        [str(first[0])] if len(first) == 1 else [name for name in _names_in(folder) if _is_in(name, first)]
    )
    if not others:
        return any(os.path.lexists(os.path.join(folder, name)) for name in names)
    return any(_is_any_below(os.path.join(folder, name), others) for name in names)


def _is_within(name: str, grid: StoredGrid, wanted: Sequence[range]) -> bool:
    if not name.startswith(grid.prefix):
        return False
    numbers = name[len(grid.prefix) :].split(grid.separator)
    return len(numbers) == len(wanted) and all(map(_is_in, numbers, wanted))


def _is_in(number: str, wanted: range) -> bool:
    return number.isascii() and number.isdecimal() and len(number) < _MAX_DIGITS and int(number) in wanted


def _names_in(folder: str) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def first_on_server(
    views: Sequence[ts.TensorStore], image: ZarrImage, native: TensorStoreContext
) -> int | None:
    """The same on a server, where nothing can be listed: one pixel of each plane is read, all at once."""
    reads = [native.begin(view[tuple(slice(n // 2, n // 2 + 1) for n in view.shape)])[1] for view in views]
    found: list[int] = []
    for i, future in enumerate(reads):
        try:
            native.finish(future, image)
        except ChunkMissingError:
            continue
        except CorruptDataError:  # damaged, but there
            pass
        found.append(i)
    return found[0] if found else None
