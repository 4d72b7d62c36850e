"""Zeros in files that have room for what is still to be written, for whoever follows them meanwhile.

A TIFF, an MRC file or an HDF5 dataset may be created at its full size and be filled plane by plane; a chunk
of HDF5 may hold several planes. Programs that copy files give them their size first. What is to come reads as
zeros, like data. As in chunks of Zarr (`zarr.growing`), only the time at which the file was written, and what
comes later in it, give a hint.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ..errors import DatasetError, PlaneNotWrittenError
from ..storage.activity import JUST_WRITTEN_SECONDS, PART_SECONDS, QUIET_SECONDS
from ..storage.file_clock import FILE_CLOCK
from ..storage.file_versions import changed_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ..model import DatasetInfo, PlaneKey
    from .source import Source


class Room(Enum):
    """What a local file may have room for before it is written, which reads as zeros."""

    NONE = "every plane that is stored was written"
    PLANES = "this plane and others"
    REST = "the rest of this plane, which alone is in the file"


def check_written(source: Source, key: PlaneKey, level: int, pixels: np.ndarray, since_ns: int) -> None:
    """Raise `PlaneNotWrittenError` for a plane of which nothing is there but room, or not all of it.

    A plane of zeros counts as such as long as its file was written within some seconds, in whatever order
    planes are; within a minute if it was opened before that (`since_ns`), unless a later plane has pixels.
    May read such planes. One that ends in zeros, alone in a file: until nothing was written for two seconds.
    """
    if pixels[-1:].any() or (room := source.room_ahead(key, level)) is Room.NONE:
        return
    (version,) = source.versions([key], level)
    if version is None:
        return
    age = _age_s(version)
    if room is Room.REST:
        if age < PART_SECONDS:
            raise _not_written(source, pixels, "this plane ends in zeros so far")
        return
    longest = QUIET_SECONDS if changed_ns(version) > since_ns else JUST_WRITTEN_SECONDS
    if age >= longest or pixels.any():
        return
    if age >= JUST_WRITTEN_SECONDS and any(_is_written(source, later) for later in _later(key, source.info)):
        return
    raise _not_written(source, pixels, "of this plane there are only zeros so far")


def _not_written(source: Source, pixels: np.ndarray, why: str) -> PlaneNotWrittenError:
    error = PlaneNotWrittenError(f"{source.info.name} is being written: {why}")
    error.plane_shape, error.is_expected = (pixels.shape[0], pixels.shape[1]), True
    return error


def without_doubtful(
    source: Source, keys: Sequence[PlaneKey], stored: Sequence[bool | None]
) -> list[bool | None]:
    """`Source.are_stored`, with None for planes that are stored as zeros perhaps, in files just written."""
    versions = source.versions(keys)
    return [
        None
        if is_stored
        and version is not None
        and _age_s(version) < JUST_WRITTEN_SECONDS
        and source.room_ahead(key) is Room.PLANES
        else is_stored
        for key, is_stored, version in zip(keys, stored, versions, strict=True)
    ]


def _age_s(version: str) -> float:
    return (FILE_CLOCK.now_ns() - changed_ns(version)) / 1e9


def _later(key: PlaneKey, info: DatasetInfo) -> Iterator[PlaneKey]:
    """The next and the last plane along each axis."""
    image = info.image(key.p)
    for axis, n in (("z", image.n_z), ("t", image.n_t), ("c", len(info.channels))):
        for at in dict.fromkeys((getattr(key, axis) + 1, n - 1)):
            if getattr(key, axis) < at < n:
                yield key._replace(**{axis: at})


def _is_written(source: Source, key: PlaneKey) -> bool:
    try:
        return bool(source.read_plane(key).any())
    except (DatasetError, IndexError):
        return False
