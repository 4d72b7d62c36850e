"""Masks of regions of NWB that are lists of pixels: ``pixel_mask`` or ``voxel_mask`` of a PlaneSegmentation.

See `region_masks` for what such lists are.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DatasetError, UnsupportedError
from ...metadata.nwb_types import LISTS, MAX_SHORT
from ...storage.limits import MAX_POSITIONS
from ..region_masks import PictureSizes, RegionMasks, checked_ends, mask_sizes, sizes_of_pictures
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


def is_list_of_pixels(name: str, node: h5py.Dataset) -> bool:
    """Whether a dataset is such a list, by its name and the fields of its records."""
    fields = node.dtype.names or ()
    return name in LISTS and node.ndim == 1 and set(LISTS[name]) <= set(fields)


def facts_of_list(file: HDF5File, path: str, node: h5py.Dataset) -> DatasetFacts:
    """The masks as an array (region, x, y[, z]); within `HDF5File.reading`.

    Raises `UnsupportedError` without an index of regions, `LimitExceededError` for too many.
    """
    ends = _ends(file, path, node)
    coordinates = LISTS[path.rpartition("/")[2]]
    group = file.node(path.rpartition("/")[0] or "/")
    of_pictures = sizes_of_pictures(_series(file, group))
    read = partial(_records, node)
    sizes = mask_sizes(coordinates, of_pictures, int(node.shape[0]), read, f"{file.name}::{path}")
    return DatasetFacts(path, (len(ends), *sizes), np.dtype(np.float32))


def _records(node: h5py.Dataset, start: int, stop: int) -> Any:
    return node[start:stop]


def _ends(file: HDF5File, path: str, node: h5py.Dataset) -> tuple[int, ...]:
    """Where the list of each region ends. Raises `UnsupportedError`, or `CorruptDataError`."""
    import h5py

    index = file.follow(f"{path}_index")
    if not isinstance(index, h5py.Dataset) or index.ndim != 1 or index.dtype.kind not in "iu":
        raise UnsupportedError(f"{file.name}::{path} has no index of its regions ({path}_index)")
    refuse_outside(file, node, f"{file.name}::{path}", virtual=False)
    refuse_outside(file, index, f"{file.name}::{path}_index", virtual=False)
    n = min(int(index.shape[0]), MAX_POSITIONS + 1)
    return checked_ends(index[:n], int(node.shape[0]), f"{file.name}::{path}")


def _series(file: HDF5File, group: h5py.Group) -> Iterator[PictureSizes]:
    """The series that a table of regions may belong to."""
    plane = nwb.imaging_plane(file, group)
    for path, node in _groups(file, group):
        try:
            series = nwb.series_of(file, path, node)
            data = None if series is None or series.elsewhere else file.follow(series.data)
        except DatasetError:
            continue
        if data is None or isinstance(data, Elsewhere):
            continue
        own = nwb.imaging_plane(file, node)
        is_of_plane = plane is not None and own is not None and own == plane
        yield PictureSizes(tuple(data.shape), is_of_plane, is_named=path.startswith(group.name or "/"))


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


def opened_list(file: HDF5File, known: DatasetFacts, node: h5py.Dataset) -> Opened:
    """The masks, ready to be read; within `HDF5File.reading`."""
    pixels = ListedPixels(file, known, node, _ends(file, known.path, node))
    return Opened(pixels, None, np.float32(0), None)


class ListedPixels:
    """Masks of lists of pixels, read one region at a time like a dataset (region, x, y[, z]). Any thread."""

    def __init__(self, file: HDF5File, known: DatasetFacts, node: h5py.Dataset, ends: Sequence[int]) -> None:
        self._coordinates = LISTS[known.path.rpartition("/")[2]]

        def read(start: int, stop: int) -> Any:
            return file.use("its masks", lambda: node[start:stop])

        self._masks = RegionMasks(self._coordinates, ends, read, f"{file.name}::{known.path}")

    def read(self, selection: Sequence[tuple[int, int]]) -> np.ndarray:
        """The weights [start, stop) along each axis."""
        (region, after), *along = selection
        parts = [slice(*part) for part in along]
        return np.stack([self._masks.painted(i, parts) for i in range(region, after)])

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
