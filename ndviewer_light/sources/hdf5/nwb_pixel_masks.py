"""Masks of regions of NWB that are lists of pixels: ``pixel_mask`` or ``voxel_mask`` of a PlaneSegmentation.

Source: NWB format specification 2.x. A list has records (x, y, weight) or (x, y, z, weight) of all regions,
one after the other; ``pixel_mask_index`` says where each region ends. How large the pictures are that they
belong to is said by those pictures: the series that the table names, else those of the same imaging plane,
else by the pixels. A region is read as the picture that ``image_mask`` would be: weights at its pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import CorruptDataError, DatasetError, LimitExceededError, UnsupportedError
from ...metadata.nwb_types import LISTS, MAX_SHORT
from ...storage.limits import MAX_CHUNK_BYTES, MAX_POSITIONS
from . import nwb
from .array import DatasetFacts, Opened, refuse_outside
from .file import Elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import h5py

    from .file import HDF5File

_SERIES_SECONDS = 1.0
"""How long the series is searched that masks belong to."""
_READ_AT_ONCE = 1_000_000
_MOST_MASK_PIXELS = 2**28
"""Of the list of all regions, where it alone tells how large the pictures are."""


def is_list_of_pixels(name: str, node: h5py.Dataset) -> bool:
    """Whether a dataset is such a list, by its name and the fields of its records."""
    fields = node.dtype.names or ()
    return name in LISTS and node.ndim == 1 and set(LISTS[name]) <= set(fields)


def facts_of_list(file: HDF5File, path: str, node: h5py.Dataset) -> DatasetFacts:
    """The masks as an array (region, x, y[, z]); within `HDF5File.reading`.

    Raises `UnsupportedError` without an index of regions, `LimitExceededError` for too many.
    """
    ends = _ends(file, path, node)
    if len(ends) > MAX_POSITIONS:
        raise LimitExceededError(
            f"{file.name}::{path} has {len(ends)} masks; at most {MAX_POSITIONS} can be shown"
        )
    coordinates = LISTS[path.rpartition("/")[2]]
    group = file.node(path.rpartition("/")[0] or "/")
    sizes = _sizes_of_pictures(file, group) or ()
    if len(sizes) < len(coordinates):
        sizes = (*sizes, *_sizes_of_pixels(file, path, node, coordinates[len(sizes) :]))
    sizes = sizes[: len(coordinates)]
    if math.prod(sizes[:2]) * 4 > MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{file.name}::{path}: masks of {sizes} pixels are too large")
    return DatasetFacts(path, (len(ends), *sizes), np.dtype(np.float32))


def _ends(file: HDF5File, path: str, node: h5py.Dataset) -> np.ndarray:
    """Where the list of each region ends. Raises `UnsupportedError`, or `CorruptDataError`."""
    import h5py

    index = file.follow(f"{path}_index")
    if not isinstance(index, h5py.Dataset) or index.ndim != 1 or index.dtype.kind not in "iu":
        raise UnsupportedError(f"{file.name}::{path} has no index of its regions ({path}_index)")
    refuse_outside(file, node, f"{file.name}::{path}", virtual=False)
    refuse_outside(file, index, f"{file.name}::{path}_index", virtual=False)
    if index.shape[0] > MAX_POSITIONS:
        raise LimitExceededError(f"{file.name}::{path} has {index.shape[0]} masks: too many")
    ends = np.asarray(index[()], np.int64)
    if len(ends) and ((np.diff(ends, prepend=0) < 0).any() or ends[-1] > node.shape[0]):
        raise CorruptDataError(f"{file.name}::{path}_index is damaged: regions end before they begin")
    return ends


def _sizes_of_pictures(file: HDF5File, group: h5py.Group) -> tuple[int, ...] | None:
    """The sizes (x, y[, z]) of the pictures that a table of regions belongs to; None if there are none."""
    plane = nwb.imaging_plane(file, group)
    of_plane: list[tuple[int, ...]] = []
    others: list[tuple[int, ...]] = []
    for path, node in _groups(file, group):
        try:
            series = nwb.series_of(file, path, node)
            data = None if series is None or series.elsewhere else file.follow(series.data)
        except DatasetError:
            continue
        if data is None or isinstance(data, Elsewhere):
            continue
        shape = tuple(data.shape)
        sizes = shape if len(shape) == 2 else shape[1:]
        if path.startswith(group.name or "/"):  # it names its pictures itself
            return sizes
        own = nwb.imaging_plane(file, node)
        (of_plane if plane is not None and own is not None and own == plane else others).append(sizes)
    found = of_plane or others
    return max(found, key=math.prod) if found else None


def _groups(file: HDF5File, group: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    import h5py

    references = file.follow("reference_images", group)
    if isinstance(references, h5py.Group):
        for raw in list(references.id)[:MAX_SHORT]:
            name = raw.decode("utf-8", "surrogateescape")
            node = file.follow(name, references)
            if isinstance(node, h5py.Group):
                yield f"{group.name}/reference_images/{name}", node
    said = file.cut_short, file.links_out  # by a walk that may be going on
    for path, found in file.walk(*nwb.SERIES_GROUPS, seconds=_SERIES_SECONDS):
        if isinstance(found, h5py.Group):
            yield path, found
    file.cut_short, file.links_out = said


def _sizes_of_pixels(file: HDF5File, path: str, node: h5py.Dataset, coordinates: str) -> tuple[int, ...]:
    """The least sizes that hold all pixels."""
    n = int(node.shape[0])
    if n > _MOST_MASK_PIXELS:
        raise LimitExceededError(f"{file.name}::{path} has {n} pixels: too many to tell how large masks are")
    most = dict.fromkeys(coordinates, 0)
    for start in range(0, n, _READ_AT_ONCE):
        records = node[start : start + _READ_AT_ONCE]
        for name in coordinates:
            most[name] = max(most[name], int(records[name].max()))
    return tuple(most[name] + 1 for name in coordinates)


def opened_list(file: HDF5File, known: DatasetFacts, node: h5py.Dataset) -> Opened:
    """The masks, ready to be read; within `HDF5File.reading`."""
    pixels = ListedPixels(file, known, node, _ends(file, known.path, node))
    return Opened(pixels, None, np.float32(0), None)


class _RegionKept(NamedTuple):
    region: int
    records: Any


class ListedPixels:
    """Masks of lists of pixels, read one region at a time like a dataset (region, x, y[, z]). Any thread."""

    def __init__(self, file: HDF5File, known: DatasetFacts, node: h5py.Dataset, ends: np.ndarray) -> None:
        self._file = file
        self._known = known
        self._node = node
        self._ends = ends
        self._coordinates = LISTS[known.path.rpartition("/")[2]]
        self._last: _RegionKept | None = None  # of a stack, plane after plane is read

    def read(self, selection: Sequence[tuple[int, int]]) -> np.ndarray:
        """The weights [start, stop) along each axis."""
        (region, after), *parts = selection
        sizes = [stop - start for start, stop in parts]
        masks = np.zeros((after - region, *sizes), np.float32)
        for i in range(region, after):
            records = self._records(i)
            axes = zip(self._coordinates, parts, strict=True)
            at = [records[name].astype(np.int64) - start for name, (start, _) in axes]
            inside = np.logical_and.reduce([(a >= 0) & (a < n) for a, n in zip(at, sizes, strict=True)])
            weights = records["weight"] if "weight" in (records.dtype.names or ()) else np.float32(1)
            masks[i - region][tuple(a[inside] for a in at)] = np.broadcast_to(weights, inside.shape)[inside]
        return masks

    def _records(self, region: int) -> Any:
        kept = self._last
        if kept is None or kept.region != region:
            start, stop = (int(self._ends[i]) if i >= 0 else 0 for i in (region - 1, region))
            if (stop - start) * self._node.dtype.itemsize > MAX_CHUNK_BYTES:
                raise LimitExceededError(f"{self._file.name}::{self._known.path}: a mask has too many pixels")
            records = self._file.use("its masks", lambda: self._node[start:stop])
            kept = self._last = _RegionKept(region, records)
        return kept.records

    def is_stored(self, selection: Sequence[tuple[int, int]]) -> bool | None:
        """A region without a pixel has a mask as well."""
        return True

    def is_partly_stored(self, selection: Sequence[tuple[int, int]]) -> bool:
        """Never: lists are read whole."""
        return False

    def places_in_file(self, selection: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Nothing is told by where a list is."""
        return []

    def holds_others(self, selection: Sequence[tuple[int, int]]) -> bool:
        """A list of all planes of a stack."""
        return len(self._coordinates) > 2
