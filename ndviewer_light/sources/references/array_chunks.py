"""Maps the chunks of one array to bytes, and planes to parts of chunks. No I/O."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import LimitExceededError, MetadataError
from ...model import how_many
from ...storage.decoding.chunk_decoder import chunks_of
from ...storage.limits import MAX_CHUNK_BYTES
from ...storage.printable import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...storage.decoding.chunk_decoder import ChunkDecoder
    from ...storage.limits import JsonObject
    from .reference_file import References

_NUMBERS = re.compile(r"[0-9./\n]+")
_NO_NUMBERS = re.compile(r"\A[./\n]|[./\n]{2}|[./\n]\Z|[0-9]{19}")
_MAX_CELLS = 1_000_000
"""More chunks than are read at once."""
_MOST_WHOLE = 128 * 1024**2
"""Bytes of the largest chunk that is read whole for the sake of other planes in it."""


@dataclass(frozen=True)
class ReferencedArray:
    """One array: its chunk grid, and the location of each chunk, sorted by grid index.

    `flat` are grid indices in C order; the other columns are as in `References`.
    """

    path: str
    chunks: ChunkDecoder
    flat: np.ndarray
    location: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    where: str = ""
    """How messages call the file that describes it."""

    def find(self, cells: np.ndarray) -> np.ndarray:
        """The rows of grid places, -1 for chunks not stored."""
        if not len(self.flat):
            return np.full(cells.shape, -1)
        rows = np.minimum(np.searchsorted(self.flat, cells), len(self.flat) - 1)
        return np.where(self.flat[rows] == cells, rows, -1)


def referenced_array(references: References, path: str, document: JsonObject) -> ReferencedArray:
    """The array at `path` with the metadata `document`; raises like `chunks_of`, or `MetadataError`."""
    where = f"{references.where}: {path or 'the root'}"
    chunks = chunks_of(document, where)
    prefix = f"{path}/" if path else ""
    inner, separator = _key_form(document, where)
    own = references.rows_of(path) if path else range(len(references.keys))
    found = [i for i in own if references.keys[i].startswith(prefix + inner)]
    suffixes = [references.keys[i][len(prefix) + len(inner) :] for i in found]
    if not path:
        # arrays further down have their own names
        pairs = [(i, suffix) for i, suffix in zip(found, suffixes, strict=True) if _are_numbers(suffix)]
        found, suffixes = [i for i, _ in pairs], [suffix for _, suffix in pairs]
    flat = _flat(suffixes, separator, chunks.grid, where)
    inside = flat >= 0
    flat, rows = flat[inside], np.array(found, np.int64)[inside]
    order = np.argsort(flat, kind="stable")
    flat, rows = flat[order], rows[order]
    if (flat[1:] == flat[:-1]).any():
        raise MetadataError(f"{where}: a chunk is referenced twice")
    columns = (references.location, references.offset, references.length)
    location, offset, length = (np.asarray(column)[rows] for column in columns)
    return ReferencedArray(path, chunks, flat, location, offset, length, references.where)


def _key_form(document: JsonObject, where: str) -> tuple[str, str]:
    """The prefix of a chunk key, and the separator of its numbers."""
    if document.get("zarr_format") != 3:
        separator = document.get("dimension_separator", ".")
        if separator not in (".", "/"):
            raise MetadataError(f"{where}: dimension_separator is {brief(separator)}, expected '.' or '/'")
        return "", separator
    encoding = document.get("chunk_key_encoding")
    encoding = encoding if isinstance(encoding, dict) else {"name": encoding}
    configuration = encoding.get("configuration") or {}
    name = encoding.get("name")
    usual = {"default": "/", "v2": "."}
    separator = (
        configuration.get("separator", usual.get(str(name))) if isinstance(configuration, dict) else None
    )
    if name not in usual or separator not in (".", "/"):
        raise MetadataError(
            f"{where}: chunk_key_encoding is {ascii(encoding)[:80]}, expected 'default' or 'v2'"
        )
    return (f"c{separator}" if name == "default" else ""), separator


def _flat(suffixes: list[str], separator: str, grid: tuple[int, ...], where: str) -> np.ndarray:
    """Grid places, -1 for those outside; raises `MetadataError` for a key that is not a chunk's."""
    if math.prod(grid) >= 2**62:
        raise LimitExceededError(f"{where}: too many chunks ({grid})")
    if not suffixes:
        return np.empty(0, np.int64)
    between, other = len(grid) - 1, "/" if separator == "." else "."
    said = suffixes[0].count(separator)
    if said < between and set(grid[said + 1 :]) == {1}:  # people leave out axes of one chunk
        suffixes = [suffix + f"{separator}0" * (between - said) for suffix in suffixes]
    text = "\n".join(suffixes)

    def is_chunk(suffix: str) -> bool:
        return _are_numbers(suffix) and suffix.count(separator) == between and other not in suffix

    if not _are_numbers(text) or other in text or any(s.count(separator) != between for s in suffixes):
        wrong = next((suffix for suffix in suffixes if not is_chunk(suffix)), text)
        raise MetadataError(
            f"{where}: {wrong[:80]!r} is not a chunk of an array of {how_many(len(grid), 'dimension')}"
        )
    numbers = np.fromstring(text.replace(separator, " ").replace("\n", " "), np.int64, sep=" ")
    index = numbers.reshape(len(suffixes), len(grid))
    inside = (index < np.array(grid)).all(axis=1)
    flat = np.zeros(len(suffixes), np.int64)
    for axis, size in enumerate(grid):
        flat = flat * size + np.where(inside, index[:, axis], 0)
    return np.where(inside, flat, -1)


def _are_numbers(text: str) -> bool:
    # two searches instead of one: a repeated group would store a backtracking position per chunk
    return _NUMBERS.fullmatch(text) is not None and _NO_NUMBERS.search(text) is None


# ---- planes ----------------------------------------------------------------------------------


class ChunkPiece(NamedTuple):
    """A chunk's contribution to a plane: its row in the array's columns, source and destination.

    `rows` and `columns` are those of what is read. `start` and `stop` are the bytes within an uncompressed
    chunk, (0, None) for all of it. `inner` selects the pixels in the decoded chunk.
    """

    row: int
    rows: slice
    columns: slice
    inner: tuple[int | slice, ...]
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class PlaneParts:
    """The stored parts of what is read of one plane; `shape` is in the array's own order of the two axes."""

    shape: tuple[int, int]
    parts: tuple[ChunkPiece, ...]
    n_cells: int


def plane_parts(
    array: ReferencedArray,
    index: Mapping[int, int],
    plane: tuple[int, int],
    window: tuple[slice, slice] | None = None,
) -> PlaneParts:
    """The parts of the plane along the axes `plane` (ascending) at `index` along all others.

    Only those of `window`, if given: start and stop along both axes.
    """
    chunks = array.chunks
    grid, chunk, shape = chunks.grid, chunks.chunk, chunks.shape
    first, second = plane
    down, across = window or (slice(0, shape[first]), slice(0, shape[second]))
    steps = _steps(grid)
    i_range = range(down.start // chunk[first], -(-down.stop // chunk[first]))
    j_range = range(across.start // chunk[second], -(-across.stop // chunk[second]))
    if len(i_range) * len(j_range) > _MAX_CELLS:
        raise LimitExceededError(
            f"{array.path}: {len(i_range) * len(j_range)} chunks cannot be read at once: read a region"
        )
    base = sum(index[axis] // chunk[axis] * steps[axis] for axis in index)
    cells = base + np.add.outer(np.array(i_range) * steps[first], np.array(j_range) * steps[second])
    found = array.find(cells)
    within = {axis: at % chunk[axis] for axis, at in index.items()}
    parts = []
    for i, j in zip(*np.nonzero(found >= 0), strict=True):
        rows, in_rows = _overlap(i_range[i], chunk[first], down)
        columns, in_columns = _overlap(j_range[j], chunk[second], across)
        of_plane = {first: in_rows, second: in_columns}
        inner = tuple(of_plane.get(axis, within.get(axis, 0)) for axis in range(len(shape)))
        start, stop = _bytes_of(chunks, inner)
        parts.append(ChunkPiece(int(found[i, j]), rows, columns, inner, start, stop))
    return PlaneParts((down.stop - down.start, across.stop - across.start), tuple(parts), cells.size)


def _overlap(cell: int, part: int, window: slice) -> tuple[slice, slice]:
    """What a chunk and a window have in common along an axis: seen from the window, from the chunk."""
    start, stop = max(cell * part, window.start), min((cell + 1) * part, window.stop)
    return (
        slice(start - window.start, stop - window.start),
        slice(start - cell * part, stop - cell * part),
    )


def _steps(grid: Sequence[int]) -> list[int]:
    return [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]


def _bytes_of(chunks: ChunkDecoder, inner: tuple[int | slice, ...]) -> tuple[int, int | None]:
    """The bytes of an uncompressed chunk from the first to the last selected; all if most are."""
    if not chunks.is_plain:
        return 0, None
    start, last, n = 0, 0, chunks.dtype.itemsize
    for step, part in zip(chunks.strides, inner, strict=True):
        size = part.stop - part.start if isinstance(part, slice) else 1
        start += (part.start if isinstance(part, slice) else part) * step
        last += (size - 1) * step
        n *= size
    stop = start + last + chunks.dtype.itemsize
    # interleaved channels: the next channel needs the same bytes; a region of few rows needs few of them
    if stop - start > max(2 * n, chunks.nbytes // 4) and chunks.nbytes <= _MOST_WHOLE:
        return 0, None
    if stop - start > MAX_CHUNK_BYTES:
        raise LimitExceededError(
            f"{stop - start} bytes cannot be read at once, at most {MAX_CHUNK_BYTES}: read a region"
        )
    return start, stop


def part_of_plain(chunks: ChunkDecoder, part: ChunkPiece, data: bytes) -> Any:
    """The pixels of a part of an uncompressed chunk, from its bytes [start, stop)."""
    along = [(each, chunks.strides[axis]) for axis, each in enumerate(part.inner) if isinstance(each, slice)]
    shape = tuple(each.stop - each.start for each, _ in along)
    return np.ndarray(shape, chunks.dtype, data, 0, tuple(stride for _, stride in along))
