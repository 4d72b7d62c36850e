"""Export for scripts: a dataset as one lazy xarray, cheap at any size and picklable.

The array carries how to open the dataset, not the planes: unpickled in another process (dask.distributed),
it opens the dataset there, once per process.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..errors import PlaneNotStoredError
from ..model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from ..model import DatasetInfo
    from .dataset import Dataset

DIMS = ("time", "fov", "z", "channel", "y", "x")

_Index = tuple[slice, ...]


class LazyPlanes:
    """An array (T, P, Z, C, Y, X) that reads planes when it is sliced.

    Planes that count as the fill value have it (see `sources.missing`). `missing` decides about others of
    which nothing is stored: "raise" (`PlaneNotStoredError`) or "fill" (the fill value, 0 where none is
    declared). Other errors are raised always.
    """

    def __init__(self, dataset: Dataset, level: int, missing: str, shape: tuple[int, ...]) -> None:
        self._dataset: Dataset | None = dataset
        self._reopen = dataset.reopen
        self._level = level
        self._missing = missing
        self.shape = shape
        self._generation: int | None = dataset.info.generation
        self.dtype = cast("np.dtype", dataset.info.dtype)
        self.ndim = len(shape)

    def __getstate__(self) -> dict[str, Any]:
        if self._reopen is None:
            raise TypeError("this array cannot be pickled: its dataset was not opened from a path")
        return {**self.__dict__, "_dataset": None, "_generation": None}

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return the planes at up to six slices or integers (T, P, Z, C, Y, X), with ``...`` as in numpy."""
        index = _for_every_axis(index, self.ndim)
        wanted = [np.arange(n)[i] for n, i in zip(self.shape[:4], index[:4], strict=True)]
        out = np.empty((*(np.size(w) for w in wanted), *self.shape[4:]), self.dtype)
        for place in np.ndindex(out.shape[:4]):
            t, p, z, c = (int(np.atleast_1d(w)[i]) for w, i in zip(wanted, place, strict=True))
            out[place] = self._plane(PlaneKey(t, p, c, z))
        outer = tuple(0 if np.ndim(w) == 0 else slice(None) for w in wanted)
        rows_and_columns = (..., *index[4:])
        return cast("np.ndarray", out[outer][rows_and_columns])

    def _plane(self, key: PlaneKey) -> np.ndarray:
        if self._dataset is None:
            assert self._reopen is not None, "it has been pickled"
            self._dataset = _opened(self._reopen)
        try:
            pixels = self._dataset.plane(*key, level=self._level)
        except PlaneNotStoredError as error:
            if self._missing == "raise":
                raise
            return np.full(self.shape[4:], 0 if error.fill_value is None else error.fill_value, self.dtype)
        info = self._dataset.info
        if self._generation is None:  # reopened here
            self._generation = info.generation
        if info.generation != self._generation or info.dtype != self.dtype:
            raise ValueError(f"{self._dataset.path} has been replaced since: call to_xarray again")
        if pixels.shape != self.shape[4:]:
            label = self._dataset.info.positions[key.p].label
            raise ValueError(
                f"position {label} has planes of {pixels.shape}, but the array has planes of "
                f"{self.shape[4:]}: use Dataset.plane for positions of a different size"
            )
        return pixels


def _for_every_axis(index: Any, ndim: int) -> tuple[Any, ...]:
    index = index if isinstance(index, tuple) else (index,)
    at = next((i for i, part in enumerate(index) if part is Ellipsis), len(index))
    before, after = index[:at], index[at + 1 :]
    return (*before, *(slice(None),) * (ndim - len(before) - len(after)), *after)


_opening_lock = threading.Lock()


def _opened(reopen: Callable[[], Dataset]) -> Dataset:
    with _opening_lock:  # otherwise every thread of a worker would open it
        return _open_once(reopen)


@functools.lru_cache(maxsize=8)
def _open_once(reopen: Callable[[], Dataset]) -> Dataset:
    return reopen()


def to_xarray(dataset: Dataset, level: int, missing: str) -> xr.DataArray:
    """Return `dataset` as a lazy DataArray, dims (time, fov, z, channel, y, x), one dask chunk per plane.

    Coords: time (s if the step is known, else the time points' numbers), fov (0…n-1, with
    `position` labels), z (µm), channel (names), y and x (µm) where known, else indices.
    Attrs: pixel sizes, colours, format, path.
    Costs milliseconds at any size. Raises `ValueError` for a level or `missing` that do not exist.
    """
    import dask.array as da
    import xarray as xr

    planes, coords, attrs = lazy_planes(dataset, level, missing)
    chunks = (*((1,) * n for n in planes.shape[:4]), *((n,) for n in planes.shape[4:]))
    meta = np.empty((0,) * 6, planes.dtype)
    array = da.from_array(planes, chunks=chunks, name=False, asarray=False, inline_array=True, meta=meta)
    return xr.DataArray(array, dims=DIMS, coords=coords, attrs=attrs, name=dataset.info.name)


class LabelledPlanes(NamedTuple):
    """The parts of a lazy array: its planes (T, P, Z, C, Y, X), coords and attrs."""

    planes: LazyPlanes
    coords: dict[str, Any]
    attrs: dict[str, Any]


def lazy_planes(dataset: Dataset, level: int, missing: str) -> LabelledPlanes:
    """Return the parts of a lazy array of `dataset`; see `to_xarray`."""
    if missing not in ("raise", "fill"):
        raise ValueError(f"missing must be 'raise' or 'fill', not {missing!r}")
    info = dataset.info
    if not 0 <= level < info.n_levels:
        raise ValueError(f"level {level} does not exist: the dataset has {info.n_levels}")
    if info.dtype is None:
        raise ValueError("nothing of the dataset is written yet, so its dtype is unknown")
    height, width = dataset.plane_shape(level)
    shape = (info.n_t, len(info.positions), info.n_z, len(info.channels), height, width)
    planes = LazyPlanes(dataset, level, missing, shape)
    return LabelledPlanes(planes, _coords(info, shape), _attrs(info, dataset.path, level))


def _coords(info: DatasetInfo, shape: tuple[int, ...]) -> dict[str, Any]:
    def along(n: int, step: float | None, numbers: tuple[int, ...] = ()) -> np.ndarray:
        numbered = np.array(numbers) if numbers else np.arange(n)
        return numbered if step is None else numbered * step

    return {
        "time": along(shape[0], info.time_step_s, info.times),
        "fov": np.arange(shape[1]),
        "position": ("fov", [position.label for position in info.positions]),
        "z": along(shape[2], info.z_step_um),
        "channel": [channel.name for channel in info.channels],
        "y": along(shape[4], info.pixel_size_y_um and info.pixel_size_y_um * info.height / shape[4]),
        "x": along(shape[5], info.pixel_size_x_um and info.pixel_size_x_um * info.width / shape[5]),
    }


def _attrs(info: DatasetInfo, path: str, level: int) -> dict[str, Any]:
    attrs = {
        "pixel_size_um": info.pixel_size_um,
        "pixel_size_x_um": info.pixel_size_x_um,
        "pixel_size_y_um": info.pixel_size_y_um,
        "dz_um": info.z_step_um,
        "time_step_s": info.time_step_s,
    }
    known = {name: value for name, value in attrs.items() if value is not None}
    return {
        **known,
        "channel_names": [channel.name for channel in info.channels],
        "channel_colors": [channel.color for channel in info.channels],
        "format": info.format,
        "path": path,
        "level": level,
    }
