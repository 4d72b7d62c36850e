"""Masks of regions of NWB as described by references: pictures (``image_mask``), or lists of pixels."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import CorruptDataError, DatasetError, MetadataError, UnsupportedError
from ...metadata import nwb_series
from ...metadata.nwb_types import LISTS, MASKS
from ...model import Channel, how_many
from ...storage.decoding.chunk_decoder import chunks_of
from ...storage.decoding.stored_records import stored_records
from ...storage.limits import MAX_POSITIONS
from ..region_masks import PictureSizes, RegionMasks, checked_ends, mask_sizes, sizes_of_pictures
from .array_chunks import ReferencedArray, referenced_array
from .nwb import SeriesImage, all_series, grid_um, imaging_plane, linked
from .plane_reader import ReferencedBytes
from .reference_file import INLINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...storage.decoding.stored_records import ReadChunks
    from .plane_reader import ReferencedBytesReader
    from .reference_file import References

_MOST_BYTES_OF_NUMBERS = 8 * MAX_POSITIONS


class MasksInReferences(NamedTuple):
    """Masks as an array (region, x, y[, z]), how it is displayed, and the lists that it is made from."""

    array: ReferencedArray
    series: SeriesImage
    lists: RegionMasks | None


def all_masks(references: References) -> list[str]:
    """The arrays with the masks of each table of regions, in file order: pictures, else lists."""
    arrays = set(references.arrays())
    found = []
    for table in references.nodes():
        if nwb_series.is_regions(references.attributes(table)):
            there = (f"{table}/{name}" for name in (MASKS, *LISTS))
            found += [path for path in there if path in arrays][:1]
    return found


def masks_over(references: References, size: tuple[int, int]) -> list[str]:
    """The masks of this height and width, as arrays: labels of images that are as large."""
    found = []
    for path in all_masks(references):
        with contextlib.suppress(DatasetError):  # one broken node must not affect the others
            if _sizes(references, path)[:2] == size[::-1]:
                found.append(path)
    return found


def _sizes(references: References, path: str) -> tuple[int, ...]:
    """The sizes (x, y[, z]) of masks, as far as metadata tell."""
    if path.rpartition("/")[2] in LISTS:
        return sizes_of_pictures(_series_of(references, path.rpartition("/")[0]))
    shape = references.array(path).get("shape")
    return tuple(shape[1:]) if isinstance(shape, list) else ()


def _series_of(references: References, table: str) -> Iterator[PictureSizes]:
    """The series that a table of regions may belong to."""
    plane = imaging_plane(references, table)
    inside = f"{table}/reference_images/"
    named = {linked(references, path) for path in references.nodes() if path.startswith(inside)}
    for group in all_series(references):
        shape = references.array(f"{group}/data").get("shape")
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape) or len(shape) < 2:
            continue
        is_of_plane = plane is not None and imaging_plane(references, group) == plane
        yield PictureSizes(tuple(shape), is_of_plane, is_named=group in named)


def masks_at(references: References, path: str, fetcher: ReferencedBytesReader) -> MasksInReferences:
    """The masks at a path. Blocks on disk or network: their numbers and the index of lists are read.

    Raises a `DatasetError`.
    """
    table, _, name = path.rpartition("/")
    lists = None
    if name in LISTS:
        lists, sizes = _lists(references, path, fetcher)
        array = _as_pictures(references, path, (lists.n_regions, *sizes))
    else:
        array = referenced_array(references, path, references.array(path))
    shape = array.chunks.shape
    if len(shape) not in (3, 4):
        raise UnsupportedError(
            f"{references.where}: /{path} has {how_many(len(shape), 'dimension')}; "
            "masks have (region, x, y[, z])"
        )
    roles = tuple("pxyz"[: len(shape)])
    steps = grid_um(references, table, imaging_plane(references, table), dict(zip(roles, shape, strict=True)))
    numbers = []
    with contextlib.suppress(DatasetError):  # it only names them
        numbers = _numbers(references, f"{table}/id", fetcher)
    names = tuple(f"ROI {int(each)}" for each in (numbers if len(numbers) == shape[0] else range(shape[0])))
    channel = Channel(table.rpartition("/")[2], "")
    return MasksInReferences(array, SeriesImage(roles, False, steps, channel, names), lists)


def _lists(
    references: References, path: str, fetcher: ReferencedBytesReader
) -> tuple[RegionMasks, tuple[int, ...]]:
    """The masks that are lists of pixels, and the sizes (x, y[, z]) of each."""
    where = f"{references.where}: /{path}"
    table, _, name = path.rpartition("/")
    coordinates = LISTS[name]
    if f"{path}_index" not in references.arrays():
        raise UnsupportedError(f"{where} has no index of its regions ({name}_index)")
    said = references.attributes(path).get("_COMPOUND_DTYPE")  # LINDI's
    fields = [str(each[0]) for each in said if each] if isinstance(said, list) else []
    fields = fields or [*coordinates, "weight"]
    stored = stored_records(references.array(path), path, fields, where)
    if not set(coordinates) <= set(stored.dtype.names or ()):
        raise UnsupportedError(f"{where}: its records do not have the fields {', '.join(coordinates)}")
    ends = checked_ends(_numbers(references, f"{path}_index", fetcher), stored.n, where)
    chunks = _chunks_of_array(references, path, fetcher)

    def read(start: int, stop: int) -> np.ndarray:
        return stored.read(start, stop, chunks)

    of_pictures = sizes_of_pictures(_series_of(references, table))
    sizes = mask_sizes(coordinates, of_pictures, stored.n, read, where)
    return RegionMasks(coordinates, ends, read, where), sizes


def _chunks_of_array(references: References, path: str, fetcher: ReferencedBytesReader) -> ReadChunks:
    """Reads the chunks of an array by their names."""
    prefix = f"{path}/"
    rows = {references.keys[i]: i for i in references.rows_of(path)}

    def read(keys: Sequence[tuple[str, ...]], most: int) -> Sequence[bytes | None]:
        found: list[int | None] = [rows.get(prefix + "/".join(key)) for key in keys]
        there = [row for row in found if row is not None]
        wanted = []
        for row in there:
            location, offset, length = (
                column[row] for column in (references.location, references.offset, references.length)
            )
            if location != INLINE and length > most:
                raise CorruptDataError(f"{references.where}: {references.keys[row]} is too long for a chunk")
            is_whole = location == INLINE or length < 0
            wanted.append(ReferencedBytes(location, offset, None if is_whole else length))
        data = dict(zip(there, fetcher.fetch(wanted), strict=True))
        return [None if row is None else data[row] for row in found]

    return read


def _numbers(references: References, path: str, fetcher: ReferencedBytesReader) -> list[int]:
    """The whole numbers in an array with one axis, wherever they are stored. Raises a `DatasetError`."""
    array = referenced_array(references, path, references.array(path))
    chunks = array.chunks
    if len(chunks.shape) != 1 or chunks.dtype.kind not in "iu":
        raise MetadataError(f"{references.where}: /{path} is no list of whole numbers")
    if chunks.shape[0] * chunks.dtype.itemsize > _MOST_BYTES_OF_NUMBERS:
        raise MetadataError(f"{references.where}: /{path} has {chunks.shape[0]} numbers: too many")
    (n,), (size,) = chunks.shape, chunks.chunk
    values = np.full(n, chunks.fill, chunks.dtype)
    wanted = [
        ReferencedBytes(int(location), int(offset), None if location == INLINE or length < 0 else int(length))
        for location, offset, length in zip(array.location, array.offset, array.length, strict=True)
    ]
    for at, data in zip(array.flat, fetcher.fetch(wanted), strict=True):
        start = int(at) * size
        values[start : start + size] = chunks.decode(data, path)[: n - start]
    numbers: list[int] = values.tolist()
    return numbers


def _as_pictures(references: References, path: str, shape: tuple[int, ...]) -> ReferencedArray:
    """Lists as the array (region, x, y[, z]) that they mean, with a chunk for each region."""
    document = {
        **{"zarr_format": 2, "shape": list(shape), "chunks": [1, *shape[1:]], "dtype": "<f4", "order": "C"},
        **{"compressor": None, "filters": None, "fill_value": 0},
    }
    none = np.empty(0, np.int64)
    chunks = chunks_of(document, f"{references.where}: {path}")
    return ReferencedArray(path, chunks, none, none, none, none, references.where)
