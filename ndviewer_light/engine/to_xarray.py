"""Export for scripts: a dataset as one lazy xarray, cheap at any size and picklable.

The array carries how to open the dataset, not the planes: unpickled in another process (dask.distributed),
it opens the dataset there, once per process.
"""

from __future__ import annotations

import functools
import itertools
import math
import mmap
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ..errors import PlaneNotStoredError
from ..model import PlaneKey, Region, how_many, some_names
from ..sources.source import AT_ONCE
from .leases import StoredKey
from .read_ahead import ReadAhead
from .tiles import ONE_TILE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr

    from ..model import DatasetInfo, ImageInfo, Level
    from .dataset import Dataset
    from .position_coords import PositionCoords

DIMS = ("time", "fov", "z", "channel", "y", "x")

_Index = tuple[slice, ...]

_SAME_PLACE = 1e-4  # levels that begin nearer to each other, in voxels of level 0, begin at the same place


class LazyPlanes:
    """An array (T, P, Z, C, Y, X) of equal positions, that reads planes when it is sliced.

    Planes that count as the fill value have it (see `sources.missing`). `missing` decides about others of
    which nothing is stored: "raise" (`PlaneNotStoredError`) or "fill" (the fill value, 0 where none is
    declared). Other errors are raised always. Planes of a smaller dtype than that of the array are converted;
    a plane that the array cannot hold raises `ValueError`.
    """

    def __init__(self, dataset: Dataset, positions: Sequence[int], level: int, missing: str) -> None:
        self._dataset: Dataset | None = dataset
        self._reopen = dataset.reopen
        self._level = level
        self._missing = missing
        self._positions = tuple(positions)
        self.image = dataset.info.image(positions[0])
        self.of_level = _level(dataset, positions[0], level)
        sizes = self.of_level.sizes
        n_c = len(self.image.channels)
        self.shape = (self.image.n_t, len(positions), sizes.z, n_c, sizes.y, sizes.x)
        self._same_level = {positions[0]}  # those whose level is known to be `of_level`
        self._generation: int | None = dataset.info.generation
        self.dtype = cast("np.dtype", self.of_level.dtype or self.image.dtype)
        self.ndim = len(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of all planes together."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_open_here(self) -> bool:
        """Whether its dataset is open in this process: where it was pickled to, only after the first read."""
        return self._dataset is not None

    def __getstate__(self) -> dict[str, Any]:
        if self._reopen is None:
            raise TypeError("this array cannot be pickled: its dataset was not opened from a path")
        return {**self.__dict__, "_dataset": None, "_generation": None}

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return the planes at up to six slices or integers (T, P, Z, C, Y, X), with ``...`` as in numpy."""
        return self.reading(_for_every_axis(index, self.ndim))()

    def reading(self, index: tuple[Any, ...]) -> Callable[[], np.ndarray]:
        """Begin to read the planes at an index of every axis, where several are read at a time.

        What is returned waits for them and returns them.
        """
        dataset = self._dataset
        is_remote = dataset is not None and dataset.reads_at_once > AT_ONCE
        ahead = ReadAhead(self.keys_of(index) if is_remote else ())
        if dataset is not None and ahead.is_of_several:
            dataset.begin_ahead(ahead)
        return functools.partial(self.read, index, ahead)

    def read(self, index: tuple[Any, ...], ahead: ReadAhead) -> np.ndarray:
        """The planes at an index of every axis, which `ahead` may have read already."""
        wanted, region = self._wanted(index), self._region(index[4:])
        keys = self._keys(wanted)
        if ahead.is_of_several and len(keys) == 1:
            # part of a larger result, into which it will be copied: not here as well
            out = self._plane(keys[0], region, ahead)[None, None, None, None]
            out = out.astype(self.dtype, copy=False)
        else:
            pixels = self.shape[4:] if region is None else (region.height, region.width)
            planes = np.empty((len(keys), *pixels), self.dtype)
            if ahead.has_begun:
                _have_memory(planes)  # while the first planes are under way
            for n, key in enumerate(keys):
                planes[n] = self._plane(key, region, ahead)
            out = planes.reshape(*(np.size(w) for w in wanted), *pixels)
        outer = tuple(0 if np.ndim(w) == 0 else slice(None) for w in wanted)
        rows_and_columns = (..., *(index[4:] if region is None else ()))
        return cast("np.ndarray", out[outer][rows_and_columns])

    def keys_of(self, index: tuple[Any, ...]) -> list[StoredKey]:
        """The planes, or tiles, that an index of every axis needs, in the order in which they are taken."""
        region = self._region(index[4:])
        return [StoredKey(key, self._level, region) for key in self._keys(self._wanted(index))]

    def _keys(self, wanted: Sequence[np.ndarray]) -> list[PlaneKey]:
        """The planes at these indices along t, p, z and c."""
        positions = self._positions
        places = itertools.product(*(np.atleast_1d(each).tolist() for each in wanted))
        return [PlaneKey(t, positions[p], c, z) for t, p, z, c in places]

    def _wanted(self, index: tuple[Any, ...]) -> list[np.ndarray]:
        """The indices along t, p, z and c."""
        return [np.arange(n)[i] for n, i in zip(self.shape[:4], index[:4], strict=True)]

    def _region(self, index: Sequence[Any]) -> Region | None:
        """The part of large planes that an index of rows and columns selects; None to read planes whole."""
        height, width = self.shape[4:]
        if height * width <= ONE_TILE_PIXELS or not all(isinstance(part, slice) for part in index):
            return None
        (top, bottom, down), (left, right, across) = index[0].indices(height), index[1].indices(width)
        region = Region(top, left, bottom - top, right - left)
        return region if down == across == 1 and region.within(height, width) else None

    def _plane(self, key: PlaneKey, region: Region | None, ahead: ReadAhead) -> np.ndarray:
        p = key.p
        if self._dataset is None:
            assert self._reopen is not None, "it has been pickled"
            self._dataset = opened_here(self._reopen)
        dataset = self._dataset
        shape = self.shape[4:] if region is None else (region.height, region.width)
        try:
            pixels = dataset.plane_ahead(StoredKey(key, self._level, region), ahead)
        except PlaneNotStoredError as error:
            self._check(dataset, p)
            if self._missing == "raise":
                raise
            return np.full(shape, 0 if error.fill_value is None else error.fill_value, self.dtype)
        self._check(dataset, p)
        if pixels.shape != shape:
            label = dataset.info.positions[p].label
            raise ValueError(
                f"position {label} has planes of {pixels.shape}, but the array has planes of "
                f"{self.shape[4:]}: use to_xarray(position={label!r})"
            )
        if not np.can_cast(pixels.dtype, self.dtype, "safe"):
            label = dataset.info.positions[p].label
            raise ValueError(
                f"the plane t={key.t} c={key.c} z={key.z} of {label} has pixels of {pixels.dtype}, which an "
                f"array of {self.dtype} cannot hold: use Dataset.plane"
            )
        return pixels

    def _check(self, dataset: Dataset, p: int) -> None:
        """Raise `ValueError` if the position is not what it was when the array was made, or unlike others."""
        info = dataset.info
        if self._generation is None:  # reopened here
            self._generation = info.generation
        image = info.image(p)
        if info.generation != self._generation:
            raise self._replaced(dataset)
        if image.dtype != self.image.dtype:
            raise self._differs(dataset, p, f"it has pixels of {image.dtype}, not {self.image.dtype}")
        if image is not info.image(self._positions[0]):
            own, first = (_told_apart_by(each) for each in (image, self.image))
            if own != first:
                raise self._differs(dataset, p, f"{image!r}, not {self.image!r}")
        if self._level > 0 and p not in self._same_level:
            try:
                level = dataset.level_at(p, self._level)
            except PlaneNotStoredError:  # not written yet
                return
            if not _is_same(level, self.of_level):
                raise self._differs(dataset, p, f"its level {self._level} is {level}, not {self.of_level}")
            self._same_level.add(p)

    def _differs(self, dataset: Dataset, p: int, how: str) -> ValueError:
        label = dataset.info.positions[p].label
        return ValueError(
            f"position {label} differs from the others of this array: {how}. "
            f"Call to_xarray again, or to_xarray(position={label!r})"
        )

    def _replaced(self, dataset: Dataset) -> ValueError:
        return ValueError(f"{dataset.path} has been replaced since: call to_xarray again")


def _have_memory(array: np.ndarray) -> None:
    """Have the system find the memory of a new array now: otherwise it does when planes are put into it."""
    array.reshape(-1).view(np.uint8)[:: mmap.PAGESIZE] = 0


def _told_apart_by(image: ImageInfo) -> tuple[object, ...]:
    return tuple(channel.name for channel in image.channels), image.n_z, image.height, image.width


def _is_same(one: Level, other: Level) -> bool:
    """Whether two levels are the same, but for rounding in what their writers say."""
    scales = zip(one.scale, other.scale, strict=True)
    middles = zip(one.middle, other.middle, strict=True)
    return (
        one.sizes == other.sizes
        and one.dtype == other.dtype
        and all(math.isclose(a, b, rel_tol=1e-6) for a, b in scales)
        and all(abs(a - b) < _SAME_PLACE for a, b in middles)
    )


def _for_every_axis(index: Any, ndim: int) -> tuple[Any, ...]:
    index = index if isinstance(index, tuple) else (index,)
    at = next((i for i, part in enumerate(index) if part is Ellipsis), len(index))
    before, after = index[:at], index[at + 1 :]
    return (*before, *(slice(None),) * (ndim - len(before) - len(after)), *after)


_opening_lock = threading.Lock()


def opened_here(reopen: Callable[[], Dataset]) -> Dataset:
    """The dataset, opened once in this process: what was pickled elsewhere has arrived here."""
    with _opening_lock:  # otherwise every thread of a worker would open it
        return _open_once(reopen)


@functools.lru_cache(maxsize=8)
def _open_once(reopen: Callable[[], Dataset]) -> Dataset:
    return reopen()


def to_xarray(
    dataset: Dataset, level: int, missing: str, position: int | str | None = None
) -> xr.DataArray | dict[str, xr.DataArray]:
    """Return `dataset` as a lazy DataArray, dims (time, fov, z, channel, y, x), one dask chunk per plane.

    Planes of more than 4096² pixels have one chunk per tile.
    If its positions differ, a dict of such arrays: one for those that are equal, by the label of the first;
    with `position` (index or label), the array of one position.
    Coords: time (s if the step is known, else the time points' numbers), fov (the positions' indices, with
    `position` labels and, where known, the place of their first pixel on the stage, `x_um`, `y_um`, `z_um`),
    z (µm), channel (names), y and x (µm) where known, else indices. z, y and x count from the first pixel of
    level 0; at a level they are the middles of its own planes and pixels (`Level.middle`). Attrs:
    pixel sizes of level 0, colours, format, path.
    Positions that lack the level are left out with a `UserWarning` that names them, and listed in the attrs
    of every array as `positions_without_level`; so are there arrays of the same names at every level.
    Costs milliseconds at any size, once all positions were looked at. Raises `ValueError` for a level or
    `missing` that do not exist.
    """
    if position is not None:
        return array_of(dataset, level, missing, [looked_at(dataset, position)])
    groups = groups_of(dataset)
    have = {name: group for name, group in groups.items() if _has_level(dataset, group[0], level)}
    if not have:
        have = groups  # which says that there is no such level
    found = {name: array_of(dataset, level, missing, group) for name, group in have.items()}
    without = sorted(p for name, group in groups.items() if name not in have for p in group)
    if without:
        labels = [dataset.info.positions[p].label for p in without]
        for array in found.values():
            array.attrs["positions_without_level"] = labels
        _warn_of_those_without(level, labels, len(dataset.info.positions))
    return found if len(groups) > 1 else next(iter(found.values()))


def _warn_of_those_without(level: int, labels: Sequence[str], n_positions: int) -> None:
    warnings.warn(
        f"level {level} does not exist at {len(labels)} of {how_many(n_positions, 'position')}, left out: "
        f"{', '.join(some_names(labels))}. Level 0 of them is to_xarray(position=…)",
        UserWarning,
        stacklevel=4,
    )


def looked_at(dataset: Dataset, position: int | str) -> int:
    """The index of a position that has been looked at; blocks the first time."""
    p = dataset.position_index(position)
    dataset.image(p)
    return p


def array_of(dataset: Dataset, level: int, missing: str, positions: Sequence[int]) -> xr.DataArray:
    """Return the lazy array of some positions of `dataset` that are equal; see `to_xarray`."""
    import dask.array as da
    import xarray as xr

    planes, coords, attrs = lazy_planes(dataset, level, missing, positions)
    tile = dataset.tile_shape(positions[0], level)
    chunks = (*((1,) * n for n in planes.shape[:4]), *map(_cut, planes.shape[4:], tile))
    meta = np.empty((0,) * 6, planes.dtype)
    if dataset.reads_at_once > AT_ONCE:
        from .lazy_graph import read_ahead_array

        array = read_ahead_array(planes, chunks, meta)
    else:
        array = da.from_array(planes, chunks=chunks, name=False, asarray=False, inline_array=True, meta=meta)
    return xr.DataArray(array, dims=DIMS, coords=coords, attrs=attrs, name=dataset.info.name)


def _cut(whole: int, part: int) -> tuple[int, ...]:
    """The sizes of the chunks of an axis."""
    return tuple(min(part, whole - start) for start in range(0, whole, part))


def groups_of(dataset: Dataset) -> dict[str, Sequence[int]]:
    """The indices of positions that contain the same kind of image, by the label of the first of them.

    Looks at all positions that can be looked at cheaply (see `Dataset.look_at_all`); blocks the first time.
    """
    if not dataset.live:
        dataset.look_at_all()
    info = dataset.info
    if not info.images:
        return {info.positions[0].label: range(len(info.positions))}
    groups: dict[int, list[int]] = {}
    for p in range(len(info.positions)):
        groups.setdefault(id(info.image(p)), []).append(p)
    return {_name(info, group[0]): group for group in groups.values()}


def _name(info: DatasetInfo, p: int) -> str:
    label = info.positions[p].label
    is_only_one = sum(position.label == label for position in info.positions) == 1
    return label if is_only_one else f"{label} ({p})"


class LabelledPlanes(NamedTuple):
    """The parts of a lazy array: its planes (T, P, Z, C, Y, X), coords and attrs."""

    planes: LazyPlanes
    coords: dict[str, Any]
    attrs: dict[str, Any]


def lazy_planes(dataset: Dataset, level: int, missing: str, positions: Sequence[int]) -> LabelledPlanes:
    """Return the parts of a lazy array of equal `positions` of `dataset`; see `to_xarray`."""
    if missing not in ("raise", "fill"):
        raise ValueError(f"missing must be 'raise' or 'fill', not {missing!r}")
    info = dataset.info
    if info.image(positions[0]).dtype is None:
        raise ValueError("nothing of the dataset is written yet, so its dtype is unknown")
    planes = LazyPlanes(dataset, positions, level, missing)
    coords = _coords(info, planes, positions, dataset.position_coords)
    return LabelledPlanes(planes, coords, _attrs(info, planes, dataset.path, level))


def _has_level(dataset: Dataset, p: int, level: int) -> bool:
    n_levels = dataset.info.image(p).n_levels
    return level == 0 or (0 < level < n_levels and level < len(dataset.levels(p)))


def _level(dataset: Dataset, p: int, level: int) -> Level:
    image = dataset.info.image(p)
    levels = dataset.levels(p) if 0 < level < image.n_levels else (image.level,)
    if not 0 <= level < len(levels):
        where = dataset.info.positions[p].label if dataset.info.images else "the dataset"
        raise ValueError(f"level {level} does not exist: {where} has {len(levels)}")
    return levels[level]


def _coords(
    info: DatasetInfo, planes: LazyPlanes, positions: Sequence[int], kept: PositionCoords
) -> dict[str, Any]:
    image, shape, level = planes.image, planes.shape, planes.of_level
    scale, middle = level.scale, level.middle
    times = np.array(image.times) if image.times else np.arange(shape[0])
    is_all = positions == range(len(info.positions))
    of_fields = kept.of_all(info.positions) if is_all else kept.of([info.positions[p] for p in positions])
    return {
        "time": times if image.time_step_s is None else times * image.time_step_s,
        "fov": np.arange(len(positions)) if is_all else np.array(positions),
        **of_fields,
        "z": _along(shape[2], image.z_step_um, scale.z, middle.z),
        "channel": [channel.name for channel in image.channels],
        "y": _along(shape[4], image.pixel_size_y_um, scale.y, middle.y),
        "x": _along(shape[5], image.pixel_size_x_um, scale.x, middle.x),
    }


def _along(n: int, step: float | None, scale: float, middle: float) -> np.ndarray:
    """Where the samples of an axis of a level are, in µm; their indices if the step of level 0 is unknown."""
    return np.arange(n) if step is None else (np.arange(n) * scale + middle) * step


def _attrs(info: DatasetInfo, planes: LazyPlanes, path: str, level: int) -> dict[str, Any]:
    image = planes.image
    attrs = {
        "pixel_size_um": image.pixel_size_um,
        "pixel_size_x_um": image.pixel_size_x_um,
        "pixel_size_y_um": image.pixel_size_y_um,
        "dz_um": image.z_step_um,
        "time_step_s": image.time_step_s,
    }
    known = {name: value for name, value in attrs.items() if value is not None}
    return {
        **known,
        "channel_names": [channel.name for channel in image.channels],
        "channel_colors": [channel.color for channel in image.channels],
        "format": info.format,
        "path": path,
        "level": level,
    }
