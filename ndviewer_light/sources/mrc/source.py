"""MRC and CCP4 files: their planes, read where they are, local or remote."""

from __future__ import annotations

import math
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import UnsupportedError, closed_error
from ...model import Channel, DatasetInfo, PlaneKey, Position
from ...storage.bytes import absolute, check_still_there, is_url, name_of
from ...storage.file_holes import Stretch, may_have_holes
from ...storage.file_versions import version_of
from ...storage.memory_cache import MemoryCache, nbytes
from ...storage.offered import access_options
from ...storage.open_bytes import open_bytes
from ...storage.tiling import check_whole_plane, tile_of_chunks
from ..filled_in_advance import Room
from ..source import Source
from .header import HEADER_BYTES, MrcLayout, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Region
    from ...storage.bytes import Bytes
    from ..source import StorageOptions

_MOST_BYTES_AT_ONCE = 512 * 1024**2
"""Of a volume whose planes are scattered over the file."""


class MrcSource(Source):
    """An MRC or CCP4 file: a volume, a stack of images (along t) or of volumes (a position each)."""

    format = "mrc"
    may_have_room = True

    def __init__(self, path: str, options: StorageOptions) -> None:
        self._path = path
        self._options = access_options(options)
        self._lock = threading.Lock()  # guards the following; never held while reading
        self._closed = False
        self._opened = _open(path, self._options)

    @classmethod
    def open(cls, path: str, options: StorageOptions = None) -> MrcSource:
        """Open the file at a path or URL: its header is read.

        Raises `UnsupportedError` without mrcfile, or for numbers that cannot be shown.
        """
        if find_spec("mrcfile") is None:
            raise UnsupportedError(
                f"{path} is an MRC file, which needs an additional package: pip install 'ndviewer_light[mrc]'"
            )
        return cls(absolute(path), options)

    @property
    def info(self) -> DatasetInfo:
        """See `Source.info`."""
        return self._opened.info

    @property
    def identity(self) -> str | None:
        """The identity of the file's bytes."""
        return self._opened.source.identity

    @property
    def leaves_out_empty(self) -> bool:
        """See `Source.leaves_out_empty`: every plane is stored."""
        return False

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """See `Source.read_plane`."""
        return self._read(PlaneKey(*key), level, None)

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """See `Source.read_region`: reads the rows that it touches."""
        return self._read(PlaneKey(*key), level, region)

    def _read(self, key: PlaneKey, level: int, region: Region | None) -> np.ndarray:
        opened = self._opened
        if level or not opened.info.contains(key):
            raise IndexError(f"no plane {tuple(key)} at level {level} in a dataset of {opened.info.sizes}")
        if self._closed:
            raise closed_error(opened.source.name)
        return opened.plane(key, region)

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """See `Source.tile_shape`: bands of rows, if planes are stored in one piece."""
        opened = self._opened
        if opened.layout.roles[-2:] != ("y", "x"):
            return None
        return tile_of_chunks((1, 1), (opened.info.height, opened.info.width))

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """See `Source.plane_shape`."""
        if level or min(key) < 0:
            raise IndexError(f"no plane {tuple(key)} at level {level} of {self._opened.source.name}")
        info = self.info
        return (info.height, info.width) if info.contains(PlaneKey(*key)) else None

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """See `Source.are_stored`: the file has the length it declares."""
        return [self.info.contains(PlaneKey(*key)) for key in keys]

    def room_ahead(self, key: PlaneKey, level: int = 0) -> Room:
        """See `Source.room_ahead`: the file has the length that it declares."""
        return Room.PLANES if math.prod(self._opened.layout.shape[:-2]) > 1 else Room.REST

    def stretches(self, keys: Sequence[PlaneKey], level: int = 0) -> list[tuple[Stretch, ...]]:
        """See `Source.stretches`: the plane, or the volume in which it is scattered."""
        opened = self._opened
        if level or is_url(self._path) or not may_have_holes(self._path):
            return [()] * len(keys)
        return [
            (Stretch(self._path, *opened.place(PlaneKey(*key))),) if opened.info.contains(key) else ()
            for key in keys
        ]

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """See `Source.versions`: that of the file."""
        return [None if is_url(self._path) else version_of(self._path)] * len(keys)

    def refresh(self) -> DatasetInfo:
        """Reopen the file: it may have been replaced."""
        if not is_url(self._path):
            check_still_there(self._path)
            if version_of(self._path) == self._opened.version:
                return self.info
        found = _open(self._path, self._options)
        with self._lock:
            before = self._opened
            if found.info == before.info:  # a new object would signal that more is known
                found = found._replace(info=before.info)
            if not self._closed:
                self._opened = found
            done = found if self._closed else before
        done.source.close()
        return self.info

    def describe(self) -> dict[str, Any]:
        """See `Source.describe`."""
        axes = " ".join(self._opened.layout.roles)
        return {"why": f"MRC header; stored along {axes}"}

    def close(self) -> None:
        """Release the file; reads in progress end with an error. May be called twice."""
        with self._lock:
            self._closed = True
        self._opened.source.close()


class _OpenMrc(NamedTuple):
    """A file as of when it was opened."""

    source: Bytes
    layout: MrcLayout
    info: DatasetInfo
    version: str
    kept: MemoryCache[int, np.ndarray]

    def plane(self, key: PlaneKey, region: Region | None) -> np.ndarray:
        """The pixels (Y, X) of a plane, or of a part of it."""
        layout = self.layout
        height, width = self.info.height, self.info.width
        if region is not None and not region.within(height, width):
            raise IndexError(f"{region} is not within a plane of {(height, width)}")
        rows = (height, width) if region is None else (region.height, width)
        check_whole_plane(rows, layout.dtype.itemsize, self.source.name)
        native = layout.dtype.newbyteorder("=")
        if not self.is_by_planes:
            pixels = self._scattered(key)
            return (pixels if region is None else pixels[region.slices]).astype(native)
        row_bytes = width * layout.dtype.itemsize
        first = self.place(key)[0] + (0 if region is None else region.top) * row_bytes
        raw = self.source.read(first, rows[0] * row_bytes)
        pixels = np.frombuffer(raw, layout.dtype).reshape(rows)
        if region is not None:
            pixels = pixels[:, region.left : region.left + region.width]
        return pixels.astype(native, copy=False)

    @property
    def is_by_planes(self) -> bool:
        """Whether planes are stored one after another."""
        return self.layout.roles[-2:] == ("y", "x")

    def place(self, key: PlaneKey) -> tuple[int, int]:
        """Where in the file a plane begins, or the volume that it is scattered over, and its bytes."""
        layout, n_inner = self.layout, 2 if self.is_by_planes else 3
        number = 0
        for role, size in zip(layout.roles[:-n_inner], layout.shape[:-n_inner], strict=True):
            number = number * size + getattr(key, role)
        n_bytes = math.prod(layout.shape[-n_inner:]) * layout.dtype.itemsize
        return layout.start + number * n_bytes, n_bytes

    def _scattered(self, key: PlaneKey) -> np.ndarray:
        """A plane of a volume that is not stored plane by plane: all of it is read, and kept for a while."""
        layout, n_roles = self.layout, len(self.layout.roles)
        volume = layout.shape[n_roles - 3 :]
        n_bytes = math.prod(volume) * layout.dtype.itemsize
        if n_bytes > _MOST_BYTES_AT_ONCE:
            raise UnsupportedError(
                f"{self.source.name} is stored along {' '.join(layout.roles)}, so that a plane is scattered "
                f"over all of its {n_bytes} bytes, more than {_MOST_BYTES_AT_ONCE}: store it as z, y, x"
            )

        def read(numbers: Sequence[int]) -> list[tuple[int, np.ndarray]]:
            found = []
            for number in numbers:
                raw = self.source.read(layout.start + number * n_bytes, n_bytes)
                found.append((number, np.frombuffer(raw, layout.dtype).reshape(volume)))
            return found

        pixels = self.kept.get([key.p], read)[key.p]
        roles = layout.roles[n_roles - 3 :]
        at = tuple(slice(None) if role in "yx" else key.z for role in roles)
        found: np.ndarray = pixels[at]
        return found if roles.index("y") < roles.index("x") else found.T


def _open(path: str, options: StorageOptions) -> _OpenMrc:
    version = "" if is_url(path) else version_of(path)
    source = open_bytes(path, options)
    try:
        layout = layout_of(source.read(0, min(HEADER_BYTES, source.size)), source.size, source.name)
    except BaseException:
        source.close()
        raise
    info = DatasetInfo(
        format="mrc",
        positions=tuple(Position("default", i) for i in range(layout.size("p"))),
        channels=(Channel("Ch0"),),
        n_t=layout.size("t"),
        n_z=layout.size("z"),
        height=layout.size("y"),
        width=layout.size("x"),
        dtype=layout.dtype.newbyteorder("="),
        pixel_size_y_um=layout.steps.get("y"),
        pixel_size_x_um=layout.steps.get("x"),
        z_step_um=layout.steps.get("z") if "z" in layout.roles else None,
        name=name_of(path),
    )
    return _OpenMrc(source, layout, info, version, MemoryCache(_MOST_BYTES_AT_ONCE, nbytes))
