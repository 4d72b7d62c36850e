"""h5py: a dataset that is resized as it grows, read by others in SWMR mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py

from ndviewer_light.sources.hdf5.chunk_index.structures import lookup3

from .plan import Writer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .plan import Index, Plan


class SwmrWriter(Writer):
    """``/live``, (T, C, Z, Y, X), flushed after each plane.

    `chunk_t`: so many time points are in a chunk, and the shape is known from the start. `tiles`: a plane is
    in so many chunks along y and x.
    """

    def __init__(self, path: Path, plan: Plan, *, chunk_t: int = 1, tiles: int = 1) -> None:
        super().__init__(path, plan)
        self._chunk_t, self._tiles = chunk_t, tiles

    def begin(self) -> int:
        plan, there = self.plan, 0
        if plan.resume:
            _clear_flags(self.path)
            self._file = h5py.File(self.path, "r+", libver="latest")
            self._data = self._file["live"]
            there = self._data.shape[0] * plan.n_c * plan.n_z
        else:
            self._file = h5py.File(self.path, "w", libver="latest")
            leading, plane = (plan.n_c, plan.n_z), (plan.height, plan.width)
            self._data = self._file.create_dataset(
                "live",
                (0 if self._chunk_t == 1 else plan.n_t, *leading, *plane),
                plan.dtype,
                chunks=(self._chunk_t, 1, 1, *(n // self._tiles for n in plane)),
                maxshape=(None, *leading, *plane),
            )
            for dim, label in zip(self._data.dims, "tczyx", strict=True):
                dim.label = label
        self._file.swmr_mode = True
        return there

    def write(self, index: Index, pixels: NDArray[Any]) -> None:
        t, _, c, z = index
        if t >= self._data.shape[0]:
            self._data.resize(t + 1, axis=0)
        self._data[t, c, z] = pixels
        self._data.flush()

    def end(self) -> None:
        self._file.close()


_FLAGS, _END, _CHECKED = 11, slice(28, 36), 44
"""Where a superblock of version 3 says that somebody writes, and where the file ends; of how many bytes its
checksum is."""


def _clear_flags(path: Path) -> None:
    """Like ``h5clear -s --increment=0``: a writer that was killed has left the file marked as being written.

    Nor does it say where it ends: what is written next would take the place of the planes that are there.
    """
    with path.open("r+b") as file:
        superblock = bytearray(file.read(_CHECKED))
        superblock[_FLAGS] = 0
        superblock[_END] = path.stat().st_size.to_bytes(8, "little")
        file.seek(0)
        file.write(superblock + lookup3(bytes(superblock)).to_bytes(4, "little"))
