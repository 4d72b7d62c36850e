"""Interprets a dataset as an image: axes, step sizes, channel names.

Plain HDF5 has little of this. Axis names are taken from dimension labels (`DIMENSION_LABELS`, as h5py's
``dims[i].label`` and netCDF write them) or from dimension scales; steps from scales that have a unit and from
`element_size_um` (z, y, x), as written by ilastik and Fiji; names of channels and positions from scales of
text, as xarray writes coordinates. The rest is assumed, with a warning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import LimitExceededError, UnsupportedError, UntrustedReferenceError
from ...metadata.ngff import SANE_STEP
from ...model import (
    RGB_COLORS,
    Channel,
    DatasetInfo,
    Position,
    colored,
)
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import h5py

    from .array import DatasetFacts
    from .file import HDF5File

_ROLE_OF_NAME = {
    **dict.fromkeys(("t", "time", "timepoint", "frame", "frames"), "t"),
    **dict.fromkeys(("p", "pos", "position", "fov", "field", "site", "scene", "series"), "p"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("z", "depth", "plane", "slice"), "z"),
    **dict.fromkeys(("y", "row", "rows", "height"), "y"),
    **dict.fromkeys(("x", "col", "column", "columns", "width"), "x"),
}
_ROLES_OF_RANK = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
_ROLES_IN_COLOUR = {3: "yxc", 4: "zyxc", 5: "tzyxc"}
_MOST_NAMES = 1024
_LONGEST_NAME = 256  # bytes of a fixed length, and characters shown
_LEAST_IN_COLOUR = 16  # rows and columns; an array (…, 5, 3) is hardly an image

UM_PER_UNIT = {
    **{"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6},
    **{"nanometer": 1e-3, "micrometer": 1.0, "micron": 1.0, "millimeter": 1e3, "centimeter": 1e4},
    "meter": 1e6,
}
SECONDS_PER_UNIT = {
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0},
    **{"millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3600.0},
}
"""µm or s; a step outside is a mistake and would only blank the view."""


@dataclass(frozen=True)
class HDF5Image:
    """A dataset as an image: the role of each axis (``t p c z y x``), channels, steps in µm and s.

    `rgb` is set if the channels are the samples of colour pixels. `position_names` are by index, () if there
    are none.
    """

    format: str
    roles: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    steps: Mapping[str, float]
    channels: tuple[Channel, ...] = ()
    rgb: bool = False
    warnings: tuple[str, ...] = ()
    position_names: tuple[str, ...] = ()

    def size(self, role: str) -> int:
        """Samples along an axis, 1 if there is none; colour samples without alpha."""
        if role not in self.roles:
            return 1
        n = self.shape[self.roles.index(role)]
        return min(n, 3) if self.rgb and role == "c" else n

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(Y, X) of one plane."""
        return self.size("y"), self.size("x")


def dataset_info(image: HDF5Image, name: str, where: str) -> DatasetInfo:
    """The `DatasetInfo` of an image. Raises `LimitExceededError` for sizes beyond any real dataset."""
    for role, most in (("p", MAX_POSITIONS), ("c", MAX_CHANNELS)):
        if image.size(role) > most:
            raise LimitExceededError(
                f"{where}: axis {role!r} has size {image.size(role)}; at most {most} can be shown"
            )
    names = [channel.name for channel in image.channels]
    numbered = [f"Ch{i}" for i in range(len(names), image.size("c"))]
    return DatasetInfo(
        format=image.format,
        positions=tuple(
            Position("default", i, name=name)
            for i, name in enumerate(image.position_names or ("",) * image.size("p"))
        ),
        channels=colored(image.channels + tuple(Channel(name, "") for name in numbered)),
        n_t=image.size("t"),
        n_z=image.size("z"),
        height=image.size("y"),
        width=image.size("x"),
        dtype=image.dtype,
        pixel_size_y_um=image.steps.get("y"),
        pixel_size_x_um=image.steps.get("x"),
        z_step_um=image.steps.get("z"),
        time_step_s=image.steps.get("t"),
        name=name,
        warnings=image.warnings,
    )


RGB_CHANNELS = tuple(Channel(n, c) for n, c in zip(("red", "green", "blue"), RGB_COLORS, strict=True))


def sane_steps(steps: Mapping[str, float | None]) -> dict[str, float]:
    """The known and plausible steps."""
    return {
        role: step
        for role, step in steps.items()
        if step is not None and math.isfinite(step) and SANE_STEP[0] <= step <= SANE_STEP[1]
    }


def unit_factor(unit: object, role: str) -> float | None:
    """The factor from `unit` to µm, or s along t; None for an unknown unit."""
    table = SECONDS_PER_UNIT if role == "t" else UM_PER_UNIT
    if not isinstance(unit, str):
        return None
    name = unit.strip()
    lower = name.lower().replace("metre", "meter")
    return table.get(name) or table.get(lower) or table.get(lower.removesuffix("s"))


# ---- plain HDF5 ----------------------------------------------------------------------------


def is_picture(shape: Sequence[int]) -> bool:
    """Whether an array of this shape may be shown by default."""
    return 2 <= len(shape) <= 5 and min(shape) > 0 and min(shape[-2:]) > 1


def plain_roles(
    known: DatasetFacts, labels: Sequence[str], where: str
) -> tuple[tuple[str, ...], bool, str | None]:
    """The role of each axis, whether the last one is colour, and a warning if they had to be guessed.

    Labels are used if all of them are known and distinct. Without them, the last two axes are y
    and x, before them z, then c, then t; a last axis of 3 or 4 samples of uint8 or uint16 is colour.
    Raises `UnsupportedError` if there is no plane, or too many axes.
    """
    shape = known.shape
    roles = tuple(_ROLE_OF_NAME.get(label.strip().lower(), "") for label in labels)
    if len(roles) == len(shape) and all(roles) and len(set(roles)) == len(roles) and {"y", "x"} <= set(roles):
        rgb = roles[-1] == "c" and shape[-1] in (3, 4) and known.dtype == np.uint8
        return roles, rgb, None
    if len(shape) not in _ROLES_OF_RANK:
        raise UnsupportedError(
            f"{where} has {len(shape)} dimensions; 2 to 5 can be shown, more if their labels are t p c z y x"
        )
    rgb = _looks_like_colour(known)
    roles = tuple((_ROLES_IN_COLOUR if rgb else _ROLES_OF_RANK)[len(shape)])
    if len(shape) == 2:
        return roles, rgb, None
    said = " ".join(roles[:-1]) + " and colour" if rgb else " ".join(roles)
    named = f" ({', '.join(label or '?' for label in labels)})" if any(labels) else ""
    return roles, rgb, f"{where}: axes are not named{named}; assuming {said}"


def _looks_like_colour(known: DatasetFacts) -> bool:
    shape = known.shape
    return (
        len(shape) in _ROLES_IN_COLOUR
        and shape[-1] in (3, 4)
        and known.dtype in (np.uint8, np.uint16)
        and min(shape[-3:-1]) >= _LEAST_IN_COLOUR
    )


def plain_image(file: HDF5File, known: DatasetFacts, dataset: h5py.Dataset, where: str) -> HDF5Image:
    """Describe a dataset of plain HDF5; within `HDF5File.reading`."""
    labels, scale_steps, scale_names = _dimensions(file, dataset)
    roles, rgb, warning = plain_roles(known, labels, where)
    along = {role: scale_steps[i] for i, role in enumerate(roles)}
    steps = {role: _step(along[role], role) for role in roles if role in "tzyx"}
    names = {role: scale_names[i] for i, role in enumerate(roles)}
    size = file.attribute(dataset, "element_size_um")
    if isinstance(size, np.ndarray) and size.size in (2, 3):
        steps.update(zip("xyz", map(float, size.reshape(-1)[::-1]), strict=False))
    return HDF5Image(
        format="hdf5",
        roles=roles,
        shape=known.shape,
        dtype=known.dtype,
        steps=sane_steps(steps),
        channels=RGB_CHANNELS if rgb else _named(names.get("c", ())),
        rgb=rgb,
        warnings=(warning,) if warning else (),
        position_names=names.get("p", ()),
    )


def _named(names: Sequence[str]) -> tuple[Channel, ...]:
    return tuple(Channel(name or f"Ch{i}", "") for i, name in enumerate(names))


def _step(scale: tuple[float, object] | None, role: str) -> float | None:
    if scale is None:
        return None
    factor = unit_factor(scale[1], role)
    return None if factor is None else scale[0] * factor


class _Dimensions(NamedTuple):
    """For each axis its label ("" if none), and of the scale attached to it (step, unit), or the texts."""

    labels: list[str]
    steps: list[tuple[float, object] | None]
    texts: list[tuple[str, ...]]


def _dimensions(file: HDF5File, dataset: h5py.Dataset) -> _Dimensions:
    import h5py

    rank = len(dataset.shape)
    found = _Dimensions([""] * rank, [None] * rank, [()] * rank)
    has_scales = h5py.h5a.exists(dataset.id, b"DIMENSION_LIST")
    if not has_scales and not h5py.h5a.exists(dataset.id, b"DIMENSION_LABELS"):
        return found
    for axis in range(rank):
        found.labels[axis] = h5py.h5ds.get_label(dataset.id, axis).decode("utf-8", "replace")
        if has_scales and h5py.h5ds.get_num_scales(dataset.id, axis):
            scale = dataset.dims[axis][0]
            found.labels[axis] = found.labels[axis] or (scale.name or "").rpartition("/")[2]
            found.steps[axis] = _scale_step(file, scale, dataset.shape[axis])
            found.texts[axis] = _scale_texts(file, scale, dataset.shape[axis])
    return found


def _scale_texts(file: HDF5File, scale: h5py.Dataset, n: int) -> tuple[str, ...]:
    """The texts that name the samples of an axis; () if there are none."""
    import h5py

    from .array import refuse_outside

    if scale.shape != (n,) or not 0 < n <= _MOST_NAMES:
        return ()
    kind = scale.id.get_type()
    if kind.get_class() != h5py.h5t.STRING or kind.get_size() > _LONGEST_NAME:
        return ()
    try:
        refuse_outside(file, scale, f"{file.name}::{scale.name}", virtual=False)
    except (UnsupportedError, UntrustedReferenceError):  # it is only metadata
        return ()
    texts = (value.decode("utf-8", "replace") if isinstance(value, bytes) else "" for value in scale[()])
    return tuple(" ".join(text.split())[:_LONGEST_NAME] for text in texts)


def _scale_step(file: HDF5File, scale: h5py.Dataset, n: int) -> tuple[float, object] | None:
    """The distance between samples, if constant."""
    from .array import facts, refuse_outside

    if scale.shape != (n,) or n < 2:
        return None
    try:
        refuse_outside(file, scale, f"{file.name}::{scale.name}", virtual=False)
        known = facts(file, scale.name or "", scale)
    except (UnsupportedError, UntrustedReferenceError):  # it is only metadata
        return None
    if known.dtype.kind not in "iuf":
        return None
    first, second, last = (float(scale[i]) for i in (0, 1, n - 1))
    step = (last - first) / (n - 1)
    if step <= 0 or abs(second - first - step) > 0.01 * step:
        return None
    return step, file.attribute(scale, "units")
