"""Reads planes of one array from referenced bytes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import CorruptDataError, DatasetNotFoundError
from ...model import how_many
from ...storage.asked_together import asked_at_once
from ...storage.bytes import is_url
from ...storage.bytes_pool import key_of_file
from ...storage.memory_cache import MemoryCache, nbytes
from .array_chunks import part_of_plain, plane_parts
from .reference_file import INLINE, inline_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...storage.bytes_pool import BytesPool, Range
    from .array_chunks import ChunkPiece, PlaneParts, ReferencedArray
    from .places import ReferencePolicy
    from .reference_file import References

_KEPT_CHUNKS_BYTES = 256 * 1024**2
_MAX_THREADS = 16  # for one plane
_THREADS = "ndviewer-references"

ChunkKey = tuple[str, int, str]  # array, chunk, file in its version


class ReferencedBytes(NamedTuple):
    """Bytes at a location; in the reference file itself, `offset` counts inline data.

    `length` None: to the end of the file. `start` and `stop` are the wanted part of it.
    """

    location: int
    offset: int
    length: int | None
    start: int = 0
    stop: int | None = None

    @property
    def range(self) -> Range:
        """Offset and length in the file."""
        if self.stop is not None:
            return self.offset + self.start, self.stop - self.start
        return self.offset, self.length


class ReferencedBytesReader:
    """Reads referenced bytes: inline, from local files, from servers. Any thread."""

    def __init__(self, references: References, places: ReferencePolicy, pool: BytesPool) -> None:
        self._where = references.where
        self._locations = references.locations
        self._inline = references.inline
        self._places = places
        self._pool = pool

    def place(self, location: int) -> str:
        """The path or URL of a location."""
        return self._places.place(self._locations[location])

    def identity(self, location: int) -> str | None:
        """The identity of the file at a location; opens it."""
        self._places.checked(self.place(location))
        with self._pool.opened(self.key_of(location)) as file:
            return file.identity

    def key_of(self, location: int) -> str:
        """A name for what is at a location; of a local file, for the version of it that is there now.

        An archive that contains the references too stays the one that was opened: when it is replaced, so is
        the dataset.
        """
        if location == INLINE:
            return ""
        place = self.place(location)
        return place if is_url(place) or place == self._where else key_of_file(place)

    def fetch(self, wanted: Sequence[ReferencedBytes]) -> list[bytes]:
        """Read the wanted bytes, together per file, and from servers concurrently."""
        of_location: dict[int, list[int]] = defaultdict(list)
        for i, each in enumerate(wanted):
            of_location[each.location].append(i)
        remote = [each for each in of_location if each != INLINE and is_url(self.place(each))]
        at_once = remote if len(remote) > 1 else []

        def read(location: int) -> list[bytes]:
            return self._read(location, [wanted[i] for i in of_location[location]])

        answers = {each: read(each) for each in of_location if each not in at_once}
        answers.update(zip(at_once, asked_at_once(read, at_once, _MAX_THREADS, _THREADS), strict=True))
        found = {
            i: data for each, rows in of_location.items() for i, data in zip(rows, answers[each], strict=True)
        }
        return [found[i] for i in range(len(wanted))]

    def _read(self, location: int, wanted: Sequence[ReferencedBytes]) -> list[bytes]:
        if location == INLINE:
            return [self._inline_part(each) for each in wanted]
        self._places.checked(self.place(location))
        try:
            return self._pool.read(self.key_of(location), [each.range for each in wanted])
        except DatasetNotFoundError as error:
            raise type(error)(f"{self._where} refers to missing data: {error}") from error

    def _inline_part(self, wanted: ReferencedBytes) -> bytes:
        data = inline_bytes(self._inline[wanted.offset], self._where)
        if wanted.stop is not None and wanted.stop > len(data):
            raise CorruptDataError(
                f"{self._where}: a chunk has {how_many(len(data), 'byte')} instead of {wanted.stop:,}"
            )
        return data[wanted.start : wanted.stop]

    def close(self) -> None:
        """Cancel what is in progress. May be called twice."""
        self._pool.close()


class PlaneReader:
    """Reads planes of arrays; chunks of several planes are kept decoded, up to a limit of bytes."""

    def __init__(self, fetcher: ReferencedBytesReader) -> None:
        self._fetcher = fetcher
        self._kept: MemoryCache[ChunkKey, np.ndarray] = MemoryCache(_KEPT_CHUNKS_BYTES, nbytes)

    def read(
        self,
        array: ReferencedArray,
        index: Mapping[int, int],
        plane: tuple[int, int],
        window: tuple[slice, slice] | None = None,
    ) -> np.ndarray | None:
        """The plane along the axes `plane` (ascending) at `index`; None if nothing of it is stored.

        Only `window` of it, if given: start and stop along both axes. Missing chunks become the fill value.
        Read-only if it is a single chunk.
        """
        wanted = plane_parts(array, index, plane, window)
        if not wanted.parts:
            return None
        is_shared = any(array.chunks.chunk[axis] > 1 < array.chunks.shape[axis] for axis in index)
        whole: list[ChunkPiece] = []
        partial: list[ChunkPiece] = []
        for part in wanted.parts:
            is_whole = part.stop is None or _is_all_of_file(array, part)
            (whole if is_whole else partial).append(part)
        pieces = self._partial(array, partial)
        chunks = (self._shared if is_shared else self._decoded)(array, [part.row for part in whole])
        pieces.update((part.row, chunks[part.row][part.inner]) for part in whole)
        return _put_together(array, wanted, pieces)

    # ---- chunks ------------------------------------------------------------------------------

    def _partial(self, array: ReferencedArray, parts: Sequence[ChunkPiece]) -> dict[int, np.ndarray]:
        found = self._fetcher.fetch([_wanted(array, part.row, part.start, part.stop) for part in parts])
        return {
            part.row: part_of_plain(array.chunks, part, data) for part, data in zip(parts, found, strict=True)
        }

    def _decoded(self, array: ReferencedArray, rows: Sequence[int]) -> dict[int, np.ndarray]:
        found = self._fetcher.fetch([_wanted(array, row) for row in rows])
        return {
            row: array.chunks.decode(data, _name(array, row)) for row, data in zip(rows, found, strict=True)
        }

    def _shared(self, array: ReferencedArray, rows: Sequence[int]) -> dict[int, np.ndarray]:
        """Whole chunks, each read once however many threads need it."""
        wanted = {row: (array.path, row, self._fetcher.key_of(int(array.location[row]))) for row in rows}

        def make(keys: Sequence[ChunkKey]) -> list[tuple[ChunkKey, np.ndarray]]:
            made = self._decoded(array, [row for _, row, _ in keys])
            return [(wanted[row], chunk) for row, chunk in made.items()]

        found = self._kept.get(wanted.values(), make)
        return {row: found[key] for row, key in wanted.items()}

    def close(self) -> None:
        """Release everything; reads in progress end with an error. May be called twice."""
        self._fetcher.close()
        self._kept.clear()


def _wanted(array: ReferencedArray, row: int, start: int = 0, stop: int | None = None) -> ReferencedBytes:
    """The bytes to read of a chunk. Raises `CorruptDataError` for a reference of the wrong length."""
    location, offset, length = (int(column[row]) for column in (array.location, array.offset, array.length))
    if location == INLINE or length < 0:
        return ReferencedBytes(location, offset, None, start, stop)
    if length > array.chunks.most_stored or (stop or 0) > length:
        raise CorruptDataError(
            f"{_name(array, row)} is referenced with {how_many(length, 'byte')}, but a chunk has "
            f"{array.chunks.nbytes:,}"
        )
    return ReferencedBytes(location, offset, length, start, stop)


def _is_all_of_file(array: ReferencedArray, part: ChunkPiece) -> bool:
    """Whether a part is all of a chunk that is a file by itself, whose size may be another one."""
    return int(array.length[part.row]) < 0 and (part.start, part.stop) == (0, array.chunks.nbytes)


def _name(array: ReferencedArray, row: int) -> str:
    """The name of a chunk in messages: the array and its grid index."""
    at = np.unravel_index(int(array.flat[row]), array.chunks.grid)
    where = f"{array.where}: " if array.where else ""
    return f"{where}chunk {'.'.join(map(str, map(int, at)))} of /{array.path}"


def _put_together(array: ReferencedArray, wanted: PlaneParts, pieces: Mapping[int, np.ndarray]) -> np.ndarray:
    dtype = array.chunks.dtype.newbyteorder("=")
    first = pieces[wanted.parts[0].row]
    if first.shape == wanted.shape:
        return first.astype(dtype, copy=False)
    pixels = np.empty(wanted.shape, dtype)
    if len(wanted.parts) < wanted.n_cells:
        pixels[...] = array.chunks.fill
    for part in wanted.parts:
        pixels[part.rows, part.columns] = pieces[part.row]
    return pixels
