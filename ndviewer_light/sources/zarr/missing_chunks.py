"""Planes of a Zarr array of which no chunk is stored: what they count as (see `sources.missing`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import CorruptDataError
from ..missing import LOOKS, StoredPlanes, Surroundings, judge, not_stored
from .chunk_grid import chunks_of, planes_per_chunk, stored_grid, touched
from .tensorstore_errors import ChunkMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import tensorstore as ts

    from ...errors import PlaneNotStoredError
    from ...storage.activity import Activity
    from .nodes import ZarrImage
    from .tensorstore_arrays import TensorStoreContext

_MAX_CHUNKS = 64
"""So many chunks of a plane are looked for, to see whether anything of it is stored."""
_MAX_LOOKED_FOR = 1024
"""So many chunks are looked for in all."""


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
        return (t, c, z) in self._stored.of(p) or self._first_stored([index]) is not None

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
        return not_stored(said, image.plane_shape, image.fill_value, verdict)


def first_in_folder(
    selections: Iterable[tuple[int | slice, ...]],
    store: ts.TensorStore,
    image: ZarrImage,
    native: TensorStoreContext,
) -> int | None:
    """Which of some planes is the first with chunks in a local folder, by their names; looks into shards."""
    grid = stored_grid(image)
    is_shared = chunks_of(image).sharded and planes_per_chunk(image) > 1
    looked = 0
    for i, selection in enumerate(selections):
        wanted = touched(selection, grid.chunk, image.facts.shape, image.array)[:_MAX_CHUNKS]
        names = (os.path.join(image.array, *grid.name(at).split("/")) for at in wanted)
        if any(map(os.path.lexists, names)) and not (is_shared and native.is_empty(store[selection], image)):
            return i
        looked += len(wanted)
        if looked >= _MAX_LOOKED_FOR:
            break
    return None


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
