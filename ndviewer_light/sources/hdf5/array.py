"""Examines one dataset of an HDF5 file: whether it can be shown, and how its pixels are read.

An untrusted file must not reach beyond itself: pixels stored in other files are not read.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import (
    CorruptDataError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...storage.limits import MAX_CHUNK_BYTES
from . import filters as hdf5_filters
from .chunk_index import structures as hdf5_structures
from .chunk_index.arrays import (
    ExtensibleArray,
    FixedArray,
    ImplicitIndex,
    Order,
)
from .chunk_index.btree import BTree
from .chunk_index.chunks import Grid, NothingStored, WholeBlocks
from .chunk_index.index import ChunkIndex
from .other_files import ALLOW
from .plane_reader import ChunkedDataset, H5pyDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py

    from .chunk_index.chunks import Lookup
    from .file import HDF5File
    from .plane_reader import BlockCache, DatasetPixels

_MOST_TILE_BYTES = 64 * 1024**2
_BAND_BYTES = 16 * 1024**2
_MAX_VIRTUAL_SOURCES = 10_000
_MAX_CHUNKS_INDEXED = 2**40
_CORNERS = 81
_NO_NUMBERS = {
    **{"STRING": "text", "COMPOUND": "records with several fields", "OPAQUE": "opaque bytes"},
    **{"REFERENCE": "references", "VLEN": "lists of varying length", "ARRAY": "arrays", "TIME": "times"},
    "COMPLEX": "complex numbers",
}


@dataclass(frozen=True)
class DatasetFacts:
    """The properties of a numeric dataset: its path in the file, its shape, the dtype of its planes."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Opened(NamedTuple):
    """A dataset opened for reading; `chunk_index` is None if there is nothing to look up.

    `chunk` is what is read at once; None if anything can be. `is_allocated_as_written`: whether a chunk has a
    place in the file only once something was written into it.
    """

    pixels: DatasetPixels
    chunk_index: ChunkIndex | None
    fill: np.generic
    chunk: tuple[int, ...] | None
    is_allocated_as_written: bool = False

    def has_room_ahead(self, selection: Sequence[tuple[int, int]]) -> bool:
        """Whether there is room in the file for this plane, or others with it, before they are written."""
        is_in_advance = self.chunk_index is not None or self.pixels.holds_others(selection)
        return not self.is_allocated_as_written and is_in_advance

    def places_ahead(self, selection: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where and how long that room is, as far as it is known."""
        return [] if self.is_allocated_as_written else self.pixels.places_in_file(selection)


# ---- contents: within `HDF5File.reading` -----------------------------------------------------


def facts(file: HDF5File, path: str, dataset: h5py.Dataset) -> DatasetFacts:
    """Examine a dataset. Raises `UnsupportedError` if it is not numeric."""
    where = f"{file.name}::{path}"
    shape = dataset.shape
    if shape is None:
        raise UnsupportedError(f"{where} is empty")
    return DatasetFacts(path, tuple(shape), _dtype(dataset, where))


def _dtype(dataset: h5py.Dataset, where: str) -> np.dtype[Any]:
    import h5py

    identifier = dataset.id.get_type()
    kind = identifier.get_class()
    names = {getattr(h5py.h5t, name, None): what for name, what in _NO_NUMBERS.items()}
    if kind == h5py.h5t.COMPOUND and identifier.dtype.kind == "c":  # as h5py stores them
        raise UnsupportedError(f"{where} contains {_NO_NUMBERS['COMPLEX']}; only real numbers can be shown")
    if kind in names:
        raise UnsupportedError(f"{where} contains {names[kind]}; only numbers can be shown")
    try:
        dtype = np.dtype(identifier.dtype.str)
    except (TypeError, NotImplementedError) as error:
        raise UnsupportedError(f"{where} has a number type that numpy does not support") from error
    if identifier.dtype.kind == "b":
        dtype = np.dtype(bool)
    if dtype.kind == "c" or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise UnsupportedError(f"{where} contains {dtype}; only real numbers of at most 8 bytes can be shown")
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


# ---- how it is read: within `HDF5File.reading` ---------------------------------------------


def opened(
    file: HDF5File,
    known: DatasetFacts,
    dataset: h5py.Dataset,
    roles: Sequence[str],
    kept: BlockCache | None = None,
) -> Opened:
    """Open a dataset for reading; `roles` has "y" and "x" at the axes of planes.

    `kept`: where decoded chunks are kept that other planes share; else in a memory of its own.

    Raises `UntrustedReferenceError` if its pixels are in other files, `UnsupportedError` if a filter is not
    installed without which no chunk can be read.
    """
    import h5py

    where = f"{file.name}::{known.path}"
    plist = dataset.id.get_create_plist()
    refuse_outside(file, dataset, where)
    layout = plist.get_layout()
    fill = _fill(dataset, known.dtype)
    through = H5pyDataset(file, dataset, known.dtype, None)
    if layout == h5py.h5d.CONTIGUOUS and _is_plain(dataset, known.dtype):
        chunk = _block_of(known, roles)
        return Opened(_contiguous(file, known, dataset, roles, through, kept), None, fill, chunk)
    if layout != h5py.h5d.CHUNKED:
        return Opened(through, None, fill, None)
    chunk = tuple(dataset.chunks)
    if 0 in chunk or len(chunk) != len(known.shape):
        raise CorruptDataError(f"{where} is damaged: invalid chunk shape {chunk}")
    if math.prod(chunk) * known.dtype.itemsize > MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{where}: chunks of {chunk} {known.dtype} exceed 1 GiB")
    _check_count(known, chunk, where)
    found = _chunked(file, known, dataset, chunk, _filters(plist), fill, kept)
    is_in_advance = plist.get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
    return found._replace(is_allocated_as_written=found.chunk_index is not None and not is_in_advance)


def _check_count(known: DatasetFacts, chunk: tuple[int, ...], where: str) -> None:
    """Refuse chunks so small that nobody can have written all of them."""
    count = math.prod(-(-whole // part) for whole, part in zip(known.shape, chunk, strict=True))
    if count > _MAX_CHUNKS_INDEXED:
        raise LimitExceededError(
            f"{where}: {count} chunks; at most {_MAX_CHUNKS_INDEXED} are supported: store it in larger chunks"
        )


def _chunked(
    file: HDF5File,
    known: DatasetFacts,
    dataset: h5py.Dataset,
    chunk: tuple[int, ...],
    filters: tuple[hdf5_filters.Filter, ...],
    fill: np.generic,
    kept: BlockCache | None,
) -> Opened:
    missing = missing_filters(filters)
    layout = _layout(file, dataset)
    if layout is None or not _makes_sense(layout, dataset):  # h5py may be able to read it
        return Opened(H5pyDataset(file, dataset, known.dtype, None), None, fill, chunk)
    grid = Grid(known.shape, chunk)
    index = ChunkIndex(file, dataset, grid, _lookup(file, known, dataset, grid, layout))
    _check_filters(index, filters, missing, f"{file.name}::{known.path}")
    through = H5pyDataset(file, dataset, known.dtype, index)
    sticks_out = any(whole % part for whole, part in zip(known.shape, chunk, strict=True))
    chain = hdf5_filters.codecs(filters, missing)
    if chain is None or not _is_plain(dataset, known.dtype) or (layout.plain_edges and sticks_out):
        return Opened(through, index, fill, chunk)
    pixels = ChunkedDataset(
        file, index, known.shape, chunk, _stored_dtype(dataset, known), chain, fill, through, kept
    )
    return Opened(pixels, index, fill, chunk)


def _lookup(
    file: HDF5File,
    known: DatasetFacts,
    dataset: h5py.Dataset,
    grid: Grid,
    layout: hdf5_structures.ChunkIndexLayout,
) -> Lookup | None:
    """The lookup for this kind of index; None if only h5py can read it."""
    where = f"{file.name}::{known.path}"
    if layout.address == hdf5_structures.UNDEFINED:
        return NothingStored()
    if layout.kind == "tree":
        return BTree(file, grid, layout.address, where)
    if layout.kind == "other":
        return None
    order = Order(dataset.maxshape, grid.chunk, *_growing(dataset))
    chunk_bytes = math.prod(grid.chunk) * dataset.id.get_type().get_size()
    if layout.kind in ("single", "implicit"):
        return ImplicitIndex(order, layout.address, layout.size or chunk_bytes, layout.mask)
    # do not ask h5py for these: it gets them wrong unless the first axis is the one that grows
    kind = FixedArray if layout.kind == "fixed" else ExtensibleArray
    return kind(file, order, layout.address, chunk_bytes, where)


def _makes_sense(layout: hdf5_structures.ChunkIndexLayout, dataset: h5py.Dataset) -> bool:
    """Whether the dataset can grow along as many axes as its kind of index supports."""
    along = {"single": 0, "implicit": 0, "fixed": 0, "extensible": 1}
    if along.get(layout.kind, len(_growing(dataset))) != len(_growing(dataset)):
        return False
    most = math.prod(size or 1 for size in dataset.maxshape)
    return layout.kind in ("tree", "other") or most < 2**62


def _growing(dataset: h5py.Dataset) -> list[int]:
    return [i for i, size in enumerate(dataset.maxshape) if size is None]


def _layout(file: HDF5File, dataset: h5py.Dataset) -> hdf5_structures.ChunkIndexLayout | None:
    import h5py

    if not file.superblock.eight_bytes:
        return None
    low, high = h5py.h5g.get_objinfo(dataset.id).objno
    return hdf5_structures.chunked_layout(file.read_clipped, file.superblock.offset, low | high << 32)


def _contiguous(
    file: HDF5File,
    known: DatasetFacts,
    dataset: h5py.Dataset,
    roles: Sequence[str],
    through: H5pyDataset,
    kept: BlockCache | None,
) -> ChunkedDataset | H5pyDataset:
    """Contiguous storage, read by planes, or by larger blocks if planes are scattered."""
    chunk = _block_of(known, roles)
    address = dataset.id.get_offset()
    index: ChunkIndex | WholeBlocks
    if address is None:
        index = ChunkIndex(file, dataset, Grid(known.shape, chunk), NothingStored())
    else:
        index = WholeBlocks(known.shape, chunk, address, known.dtype.itemsize)
    return ChunkedDataset(
        file, index, known.shape, chunk, _stored_dtype(dataset, known), (), 0, through, kept
    )


def _block_of(known: DatasetFacts, roles: Sequence[str]) -> tuple[int, ...]:
    first = min(roles.index("y"), roles.index("x"))
    inner = known.shape[first:]
    block_bytes = math.prod(inner) * known.dtype.itemsize
    rows = inner[0]
    if block_bytes > _MOST_TILE_BYTES:
        rows = max(1, rows * _BAND_BYTES // block_bytes)
    return (1,) * first + (rows, *inner[1:])


def _stored_dtype(dataset: h5py.Dataset, known: DatasetFacts) -> np.dtype[Any]:
    stored: np.dtype[Any] = known.dtype.newbyteorder(dataset.id.get_type().dtype.byteorder)
    return stored


def _is_plain(dataset: h5py.Dataset, dtype: np.dtype[Any]) -> bool:
    """Whether items are stored as in numpy: no unused bits, no unusual floats."""
    import h5py

    identifier = dataset.id.get_type()
    if identifier.get_class() == h5py.h5t.ENUM:
        identifier = identifier.get_super()
    size: int = identifier.get_size()
    if size != dtype.itemsize:
        return False
    plain = np.dtype(np.int8) if dtype.kind == "b" else dtype.newbyteorder(identifier.dtype.byteorder)
    return bool(identifier.equal(h5py.h5t.py_create(plain)))


def _fill(dataset: h5py.Dataset, dtype: np.dtype[Any]) -> np.generic:
    import h5py

    # asked first, which fails where a damaged file contradicts itself: reading the value would crash there
    is_given = dataset.id.get_create_plist().fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED
    value: np.generic = np.asarray(dataset.fillvalue if is_given else 0).astype(dtype).flat[0]
    return value


# ---- filters -------------------------------------------------------------------------------


def _filters(plist: Any) -> tuple[hdf5_filters.Filter, ...]:
    found = []
    for i in range(plist.get_nfilters()):
        number, _, values, name = plist.get_filter(i)
        found.append(hdf5_filters.Filter(number, tuple(values), name.decode("utf-8", "replace")))
    return tuple(found)


def missing_filters(filters: Sequence[hdf5_filters.Filter]) -> tuple[hdf5_filters.Filter, ...]:
    """Those that nothing here can decode; importing hdf5plugin registers its own."""
    import h5py

    unknown = [filter_ for filter_ in filters if hdf5_filters.codecs([filter_]) is None]
    if any(not h5py.h5z.filter_avail(filter_.number) for filter_ in unknown):
        with contextlib.suppress(ImportError):
            import hdf5plugin  # noqa: F401
    return tuple(filter_ for filter_ in unknown if not h5py.h5z.filter_avail(filter_.number))


def _check_filters(
    index: ChunkIndex,
    filters: Sequence[hdf5_filters.Filter],
    missing: Sequence[hdf5_filters.Filter],
    where: str,
) -> None:
    """Raise `UnsupportedError` if a filter is missing and none of the chunks looked at is stored without it.

    A chunk may be stored without a filter, for example if it would not become smaller.
    """
    if not missing or not index.can_look_up:
        return
    counts = index.grid.counts
    corners = itertools.product(*((0, n // 2, n - 1) for n in counts))
    places = list(dict.fromkeys(itertools.islice(corners, _CORNERS)))
    stored = [at for at in index.find(places) or () if at is not None]
    bits = [1 << i for i, filter_ in enumerate(filters) if filter_ in missing]
    if stored and all(any(not at.mask & bit for bit in bits) for at in stored):
        raise UnsupportedError(f"{where} is {hdf5_filters.told_missing(missing[0])}")


# ---- nothing outside the file --------------------------------------------------------------


def refuse_outside(
    file: HDF5File, dataset: h5py.Dataset, where: str, *, virtual: bool = True, allowed: bool = False
) -> None:
    """Raise `UntrustedReferenceError` if any pixel of a dataset is in another file.

    A virtual dataset may consist of others in the same file, if those are not virtual themselves; also of
    those in other files if that is `allowed`: HDF5 must never see it then (see `linked_frames`).
    """
    import h5py

    plist = dataset.id.get_create_plist()
    if plist.get_external_count():
        name = plist.get_external(0)[0].decode("utf-8", "replace")
        raise UntrustedReferenceError(
            f"{where} stores its pixels in another file ({name!a}), which is not followed for safety: "
            "merge it into one file first (h5repack)"
        )
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return
    if not virtual:
        raise UnsupportedError(f"{where} is a virtual dataset inside another one: not supported")
    count = plist.get_virtual_count()
    if count > _MAX_VIRTUAL_SOURCES:
        raise LimitExceededError(f"{where} is a virtual dataset of {count} datasets: too many")
    for i in range(count):
        if not allowed or plist.get_virtual_filename(i) == ".":
            _refuse_source_outside(file, plist.get_virtual_filename(i), plist.get_virtual_dsetname(i), where)


def _refuse_source_outside(file: HDF5File, other: str, path: str, where: str) -> None:
    import h5py

    if other != ".":
        raise UntrustedReferenceError(
            f"{where} is a virtual dataset of other files ({other!a}), which are not followed for safety: "
            f"open those instead. {ALLOW}"
        )
    if "%" in path:  # a placeholder for a number: any dataset
        raise UnsupportedError(
            f"{where} is a virtual dataset of datasets given by a pattern, {path!a}: not supported"
        )
    source = file.node(path)
    if not isinstance(source, h5py.Dataset):
        raise MetadataError(f"{where} is a virtual dataset of {path!a}, which is not a dataset of the file")
    refuse_outside(file, source, f"{file.name}::{path}", virtual=False)
