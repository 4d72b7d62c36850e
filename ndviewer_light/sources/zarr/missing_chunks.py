"""Planes of a Zarr array of which no chunk is stored: what they count as (see `sources.missing`)."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import CorruptDataError, DatasetError, ReadDroppedError, ReadTimeoutError
from ..missing import LOOKS, StoredPlanes, Surroundings, judge, not_stored
from .chunk_grid import chunk_ranges, chunks_of, planes_per_chunk, stored_grid
from .tensorstore_errors import ChunkMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import tensorstore as ts

    from ...errors import PlaneNotStoredError
    from .chunk_grid import StoredGrid
    from .nodes import ZarrImage
    from .tensorstore_context import TensorStoreContext

logger = logging.getLogger(__name__)

_MAX_CHUNKS_OF_PLANE = 64
"""How many chunks of a plane are looked for, to see whether anything of it is stored."""
_MAX_LOOKED_FOR = 1024
"""How many chunks are looked for in all."""
MAX_ASKED = 64
"""How many chunks are asked for on a server, to see whether anything of some planes is stored."""
_CHUNKS_ASKED_AT_ONCE = 8
_CHUNK_DIGITS = 19


class Looked(NamedTuple):
    """Which of some planes is the first that was found to be stored, None if none was.

    On a server, `n_asked` is how many chunks (of shards: shards) were asked for, of `n_chunks`; else 0.
    """

    found: int | None
    n_asked: int = 0
    n_chunks: int = 0


class MissingPlanes:
    """Judges missing planes of one array; any thread, blocks on disk or network.

    `looks` is how many planes around a missing one are looked for.
    """

    def __init__(
        self,
        image: ZarrImage,
        is_being_written: Callable[[], bool],
        first_stored: Callable[[Sequence[tuple[int, ...]]], Looked],
    ) -> None:
        """`first_stored`: which of some planes (t, p, c, z) is the first of which anything is stored."""
        self.looks = LOOKS
        self._image = image
        self._is_being_written = is_being_written
        self._first_stored = first_stored
        self._stored = StoredPlanes()
        self._in_vain: dict[tuple[int, ...], Looked] = {}  # only on servers: what was opened does not change

    def note(self, index: tuple[int, ...]) -> None:
        """The plane at (t, p, c, z) is stored."""
        t, p, c, z = index
        self._stored.note(p, (t, c, z))

    def is_partly_stored(self, index: tuple[int, ...]) -> bool:
        """Whether anything of the plane at (t, p, c, z) is stored, so that what is missing is fill value."""
        t, p, c, z = index
        if (t, c, z) in self._stored.of(p):
            return True
        if index in self._in_vain:
            return False
        looked = self._first_stored([index])
        if looked.found is not None:
            self.note(index)
            return True
        if looked.n_asked:
            if len(self._in_vain) >= _MAX_CHUNKS_OF_PLANE:
                self._in_vain.clear()
            self._in_vain[index] = looked
        return False

    def is_there(self, index: tuple[int, ...]) -> bool | None:
        """The same; None if there are more chunks than were asked for."""
        if self.is_partly_stored(index):
            return True
        looked = self._in_vain.get(index)
        return None if looked is not None and looked.n_asked < looked.n_chunks else False

    def error(self, index: tuple[int, ...], missing: ChunkMissingError | None = None) -> PlaneNotStoredError:
        """The error for the plane at (t, p, c, z); `missing` tells which of its chunks was asked for."""
        what = missing.file if missing is not None and missing.file else self._image.array
        refused = missing is not None and missing.refused is not None
        how = "is not accessible on its server" if refused else "is missing"
        looked = self._in_vain.get(index)
        if looked is not None and looked.n_asked < looked.n_chunks:
            how += f", as are the {looked.n_asked} that were asked for of its {looked.n_chunks} chunks"
        return self._judged(index, f"nothing is stored for this plane ({what} {how})")

    def blank_error(self, index: tuple[int, ...]) -> PlaneNotStoredError:
        """The error for a plane that is the fill value all over in chunks with others, if it is one."""
        said = f"{self._image.array}: of this plane nothing but the fill value is stored"
        return self._judged(index, said)

    def _judged(self, index: tuple[int, ...], said: str) -> PlaneNotStoredError:
        image = self._image
        t, p, c, z = index

        def first_stored(planes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int] | None:
            found = self._first_stored([(t, p, c, z) for t, c, z in planes]).found
            if found is None:
                return None
            self._stored.note(p, planes[found])
            return planes[found]

        around = Surroundings(
            sizes=(image.size("t"), image.size("c"), image.size("z")),
            complete=image.meta.complete,
            first_stored=first_stored,
            is_being_written=self._is_being_written,
            stored=self._stored.of(p),
            looks=self.looks,
        )
        verdict = judge((t, c, z), around)
        error = not_stored(said, image.plane_shape, image.fill_value, verdict)
        error.shares_chunks = planes_per_chunk(image) > 1
        return error


def first_in_folder(
    selections: Iterable[tuple[int | slice, ...]],
    store: ts.TensorStore,
    image: ZarrImage,
    native: TensorStoreContext,
) -> Looked:
    """Which of some planes is the first with chunks in a local folder, by their names; looks into shards."""
    is_shared = chunks_of(image).sharded and planes_per_chunk(image) > 1
    looked = 0
    for i, selection in enumerate(selections):
        wanted = chunk_ranges(selection, stored_grid(image).chunk, image.facts.shape)
        if is_any_in_folder(selection, image) and not (
            is_shared and native.is_empty(store[selection], image)
        ):
            return Looked(i)
        looked += min(math.prod(map(len, wanted)), _MAX_CHUNKS_OF_PLANE)
        if looked >= _MAX_LOOKED_FOR:
            break
    return Looked(None)


def is_any_in_folder(selection: Sequence[int | slice], image: ZarrImage) -> bool:
    """Whether there is a file for any chunk (of shards: any shard) that a selection of an array intersects.

    Few are looked for by their names; for many, folders are listed: only what exists takes time.
    """
    grid = stored_grid(image)
    wanted = chunk_ranges(selection, grid.chunk, image.facts.shape)
    if math.prod(map(len, wanted)) <= _MAX_CHUNKS_OF_PLANE:
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
    return number.isascii() and number.isdecimal() and len(number) < _CHUNK_DIGITS and int(number) in wanted


def _names_in(folder: str) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def first_on_server(
    selections: Sequence[tuple[int | slice, ...]],
    store: ts.TensorStore,
    image: ZarrImage,
    native: TensorStoreContext,
) -> Looked:
    """The same on a server, where nothing can be listed: chunks are asked for by name, without their data.

    Those in the middle of each plane first, then others, until one is there; at most `MAX_ASKED`.
    """
    parts = [_stored_parts(selection, image) for selection in selections]
    in_turn = [(i, next(of_plane)) for i, of_plane in enumerate(parts)]
    n_chunks = sum(
        math.prod(map(len, chunk_ranges(each, stored_grid(image).chunk, image.facts.shape)))
        for each in selections
    )
    others = ((i, part) for i, of_plane in enumerate(parts) for part in of_plane)
    asked = list(itertools.islice(itertools.chain(in_turn, others), MAX_ASKED))
    for start in range(0, len(asked), _CHUNKS_ASKED_AT_ONCE):
        batch = asked[start : start + _CHUNKS_ASKED_AT_ONCE]
        answers = [(i, store[part], native.begin_query(store[part])) for i, part in batch]
        found = [i for i, view, answer in answers if _is_there(view, answer, image, native)]
        if found:
            return Looked(min(found), start + len(batch), n_chunks)
    return Looked(None, len(asked), n_chunks)


def _stored_parts(selection: Sequence[int | slice], image: ZarrImage) -> Iterator[tuple[int | slice, ...]]:
    """The parts of a plane that are stored as one object each; one in the middle first."""
    chunk = stored_grid(image).chunk
    along = chunk_ranges(selection, chunk, image.facts.shape)
    middle = tuple(numbers[len(numbers) // 2] for numbers in along)
    for at in itertools.chain([middle], (each for each in itertools.product(*along) if each != middle)):
        yield tuple(
            slice(max(each.start, number * size), min(each.stop, (number + 1) * size))
            if isinstance(each, slice)
            else each
            for each, number, size in zip(selection, at, chunk, strict=True)
        )


def _is_there(view: ts.TensorStore, answer: Any, image: ZarrImage, native: TensorStoreContext) -> bool:
    try:
        return not native.says_empty(answer, image)
    except ChunkMissingError:
        return False
    except CorruptDataError:  # damaged, but there
        return True
    except (ReadDroppedError, ReadTimeoutError):
        raise
    except DatasetError as error:  # a server that answers requests for data only
        logger.debug("asking for a chunk without its data: %s", error)
    axes = tuple(slice(at, at + 1) for at in view.domain.inclusive_min)
    try:
        native.finish(native.begin(view[axes])[1], image)
    except ChunkMissingError:
        return False
    except CorruptDataError:
        pass
    return True
