"""h5py: a dataset that is resized as it grows, read by others in SWMR mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py

from .plan import Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .plan import Index


class SwmrWriter(Writer):
    """``/live``, (T, C, Z, Y, X), flushed after each plane."""

    def begin(self) -> int:
        plan, there = self.plan, 0
        if plan.resume:
            self._file = h5py.File(self.path, "r+", libver="latest")
            self._data = self._file["live"]
            there = self._data.shape[0] * plan.n_c * plan.n_z
        else:
            self._file = h5py.File(self.path, "w", libver="latest")
            leading, plane = (plan.n_c, plan.n_z), (plan.height, plan.width)
            self._data = self._file.create_dataset(
                "live",
                (0, *leading, *plane),
                plan.dtype,
                chunks=(1, 1, 1, *plane),
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
