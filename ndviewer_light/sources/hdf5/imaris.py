"""Imaris files (``.ims``): levels, time points and channels are groups, each with one dataset (z, y, x).

Source: Oxford Instruments, "Imaris 5.5 File Format Description". The data are at
``/DataSet/ResolutionLevel r/TimePoint t/Channel c/Data``; their group has their sizes ("ImageSizeX", Y, Z),
as they are padded to whole blocks. ``/DataSetInfo/Image`` has the extents of x, y and z ("ExtMin0" …
"ExtMax2") and their "Unit"; ``Channel c`` its "Name", "Color" (red, green and blue from 0 to 1), "ColorRange"
and wavelengths; ``TimeInfo`` the clock time of each point. Attributes are arrays of single characters.
``/Thumbnail`` is a picture of the data, not part of them. ``DataSet`` and ``DataSetInfo`` may be called
otherwise, as attributes of the root say.
"""

from __future__ import annotations

import contextlib
import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import LimitExceededError, MetadataError
from ...metadata.display_window import useful_window
from ...model import Channel, DatasetInfo, Level, PlaneKey, Position, Scale, Sizes, colored
from ...storage.limits import MAX_CHANNELS, MAX_T, MOST_LEVELS
from .array import facts
from .composite import STACK_ROLES, Composite, PlaneAddress
from .images import sane_steps, unit_factor
from .parts import PartAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

    from .file import HDF5File

_NUMBERED = re.compile(rb"(?:TimePoint|Channel) (0|[1-9]\d{0,6})")
_TIMES = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


class _Folders(NamedTuple):
    """The paths of the groups of data, and of what is said of them."""

    data: str
    info: str


def _folders(file: HDF5File) -> _Folders:
    named = (_text(file, file.root, f"{what}DirectoryName") or what for what in ("DataSet", "DataSetInfo"))
    return _Folders(*(f"/{name.strip('/')}" for name in named))


def is_imaris(file: HDF5File) -> bool:
    """Whether a file is laid out so; within `HDF5File.reading`."""
    return _group(file, f"{_folders(file).data}/ResolutionLevel 0/TimePoint 0") is not None


class ImarisImage(Composite):
    """The image of an Imaris file."""

    evidence = "groups of an Imaris file"

    def __init__(self, file: HDF5File) -> None:
        """Read what the file says of it; within `HDF5File.reading`. Raises `MetadataError` if invalid."""
        import h5py

        self._folders = _folders(file)
        first, info = f"{self._folders.data}/ResolutionLevel 0", self._folders.info
        n_t, n_c = _count(file, first), _count(file, f"{first}/TimePoint 0")
        if not n_t or not n_c:
            raise MetadataError(f"{file.name} is an Imaris file without a time point or channel")
        if n_t > MAX_T or n_c > MAX_CHANNELS:
            raise LimitExceededError(f"{file.name} declares {n_t} time points and {n_c} channels: too many")
        self._n_t = n_t
        self._levels = tuple(_levels(file, self._folders))
        data = file.node(f"{first}/TimePoint 0/Channel 0/Data")
        if not isinstance(data, h5py.Dataset):
            raise MetadataError(f"{file.name} is an Imaris file without the data of its first channel")
        dtype = facts(file, data.name or "", data).dtype
        sizes = self._levels[0].sizes
        steps = _steps(file, info, sizes)
        self.info = DatasetInfo(
            format="hdf5",
            positions=(Position("default", 0),),
            channels=colored(_channel(file, info, c, dtype) for c in range(n_c)),
            n_t=n_t,
            n_z=sizes.z,
            height=sizes.y,
            width=sizes.x,
            dtype=dtype,
            pixel_size_y_um=steps.get("y"),
            pixel_size_x_um=steps.get("x"),
            z_step_um=steps.get("z"),
            time_step_s=_time_step(file, info, n_t),
            n_levels=len(self._levels),
        )

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Composite.levels`."""
        return self._levels

    def frame_times(self, file: HDF5File) -> np.ndarray | None:
        """See `Composite.frame_times`: by the clock times of all time points."""
        info = _group(file, f"{self._folders.info}/TimeInfo")
        if info is None:
            return None
        clocks = [_clock(_text(file, info, f"TimePoint{t + 1}")) for t in range(self._n_t)]
        first = clocks[0]
        if first is None:
            return None
        return np.array([math.nan if at is None else (at - first).total_seconds() for at in clocks])

    def address(self, key: PlaneKey, level: int) -> PlaneAddress:
        """See `Composite.address`."""
        path = f"{self._folders.data}/ResolutionLevel {level}/TimePoint {key.t}/Channel {key.c}/Data"
        return PlaneAddress(PartAddress(path, STACK_ROLES), {"z": key.z})


def _group(file: HDF5File, path: str) -> h5py.Group | None:
    import h5py

    found = file.follow(path)
    return found if isinstance(found, h5py.Group) else None


def _count(file: HDF5File, path: str) -> int:
    """How many numbered groups there are in one, from 0 on."""
    group = _group(file, path)
    names = () if group is None else group.id
    numbers = {int(match[1]) for raw in names if (match := _NUMBERED.fullmatch(raw))}
    return next((i for i in range(len(numbers)) if i not in numbers), len(numbers))


def _levels(file: HDF5File, folders: _Folders) -> Iterator[Level]:
    import h5py

    largest: tuple[Sizes, Sizes] | None = None  # real and padded
    for i in range(MOST_LEVELS):
        path = f"{folders.data}/ResolutionLevel {i}/TimePoint 0/Channel 0"
        data = file.follow(f"{path}/Data")
        if not isinstance(data, h5py.Dataset) or data.ndim != len(STACK_ROLES):
            return
        padded = Sizes(*data.shape)
        if largest is None:
            sizes = Sizes(*map(_size, _said(file, path), _said_of_image(file, folders.info), padded))
            largest = sizes, padded
        else:
            parts = (_part(*each) for each in zip(*largest, padded, strict=True))
            sizes = Sizes(*map(_size, _said(file, path), parts, padded))
        yield Level(sizes, Scale(*map(_scale, largest[0], sizes)))


def _said(file: HDF5File, path: str) -> list[float | None]:
    """The sizes (z, y, x) that the group of a dataset has as attributes."""
    group = file.node(path)
    return [_number(file, group, f"ImageSize{axis}") for axis in "ZYX"]


def _said_of_image(file: HDF5File, info: str) -> list[float | None]:
    image = _group(file, f"{info}/Image")
    return [None if image is None else _number(file, image, axis) for axis in "ZYX"]


def _size(said: float | None, otherwise: float | None, padded: int) -> int:
    """The first of two sizes that fits into the dataset, else the dataset's."""
    return next((int(size) for size in (said, otherwise) if size is not None and 1 <= size <= padded), padded)


def _part(whole: int, whole_padded: int, padded: int) -> int:
    """The size at a level whose dataset has `padded`, if the file does not say it."""
    power = 2.0 ** round(math.log2(max(1.0, whole_padded / max(1, padded))))
    return math.ceil(whole / power)


def _scale(whole: int, part: int) -> float:
    """How many voxels one spans: a power of two where it explains the sizes, rounded up or down."""
    power = 2.0 ** round(math.log2(max(1.0, whole / max(1, part))))
    return power if part in (math.floor(whole / power), math.ceil(whole / power)) else whole / max(1, part)


def _steps(file: HDF5File, info: str, sizes: Sizes) -> dict[str, float]:
    """µm per voxel: the extents of the image divided by its real sizes."""
    image = _group(file, f"{info}/Image")
    if image is None:
        return {}
    factor = unit_factor(_text(file, image, "Unit") or "um", "x")
    steps: dict[str, float | None] = {}
    for i, (axis, n) in enumerate(zip("xyz", reversed(sizes), strict=True)):
        low, high = (_number(file, image, f"Ext{end}{i}") for end in ("Min", "Max"))
        if low is not None and high is not None and factor is not None:
            steps[axis] = abs(high - low) * factor / n
    return sane_steps(steps)


def _channel(file: HDF5File, info: str, c: int, dtype: np.dtype) -> Channel:
    group = _group(file, f"{info}/Channel {c}")
    if group is None:
        return Channel(f"Ch{c}", "")
    name = " ".join(_text(file, group, "Name").split())
    color = _numbers(_text(file, group, "Color"))
    window = _numbers(_text(file, group, "ColorRange"))
    return Channel(
        name if name and name != "(name not specified)" else f"Ch{c}",
        _hex(color) if len(color) == 3 and _text(file, group, "ColorMode") != "TableColor" else "",
        excitation_nm=_wavelength(_number(file, group, "LSMExcitationWavelength")),
        emission_nm=_wavelength(_number(file, group, "LSMEmissionWavelength")),
        window=useful_window((window[0], window[1]), dtype) if len(window) == 2 else None,
    )


def _hex(color: list[float]) -> str:
    parts = [min(255, max(0, round(255 * part))) for part in color]
    return "#{:02X}{:02X}{:02X}".format(*parts) if any(parts) else ""


def _wavelength(nm: float | None) -> float | None:
    return nm if nm is not None and 1 <= nm <= 1e6 else None


def _time_step(file: HDF5File, info: str, n_t: int) -> float | None:
    """Mean seconds between time points, by the clock times of the first and the last."""
    times = _group(file, f"{info}/TimeInfo")
    if times is None or n_t < 2:
        return None
    first, last = (_clock(_text(file, times, f"TimePoint{t}")) for t in (1, n_t))
    seconds = (last - first).total_seconds() if first and last else 0.0
    return sane_steps({"t": seconds / (n_t - 1)}).get("t")


def _clock(text: str) -> datetime | None:
    for written in _TIMES:
        try:
            return datetime.strptime(text.strip(), written)
        except ValueError:
            continue
    return None


def _text(file: HDF5File, group: h5py.Group, name: str) -> str:
    """An attribute of single characters as a text, "" if there is none."""
    value = file.attribute(group, name)
    if isinstance(value, np.ndarray):  # other programs write numbers
        return str(value.reshape(-1)[0]) if value.size == 1 else ""
    text = "".join(value) if isinstance(value, tuple) else value
    if isinstance(value, tuple):  # each is a byte
        with contextlib.suppress(UnicodeError):
            text = text.encode("latin-1").decode("utf-8")
    return text.strip("\0 ") if isinstance(text, str) else ""


def _number(file: HDF5File, group: h5py.Group, name: str) -> float | None:
    numbers = _numbers(_text(file, group, name))
    return numbers[0] if len(numbers) == 1 else None


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
