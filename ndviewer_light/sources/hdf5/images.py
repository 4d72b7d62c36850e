"""Interprets a dataset as an image: axes, step sizes, channel names.

Axis names are taken from ilastik's axistags, from dimension labels or scales, from NeXus or from EMD; steps
from scales that have a unit and from `element_size_um` (z, y, x), as written by ilastik and Fiji; names of
channels and positions from scales of text, as xarray writes coordinates. The rest is assumed, with a warning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import LimitExceededError, UnsupportedError
from ...metadata.guessed_axes import SAMPLES, axes_given, other_axes
from ...metadata.ngff import SANE_STEP
from ...metadata.written_units import SECONDS_PER_UNIT, UM_PER_UNIT
from ...model import (
    RGB_COLORS,
    Channel,
    DatasetInfo,
    Position,
    colored,
)
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS
from . import emd, ilastik, matlab, nexus, scales
from .axes import AxisNotes, axes_of, measures
from .bdv_layout import is_of_bigdataviewer, meant_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import h5py

    from ...model import Interpretation
    from .array import DatasetFacts
    from .file import HDF5File


_IMAGE_SPECIFICATION = "HDF5's image specification"
_INTERLACED = {"INTERLACE_PIXEL": "yxc", "INTERLACE_LINE": "ycx", "INTERLACE_PLANE": "cyx"}


@dataclass(frozen=True)
class HDF5Image:
    """A dataset as an image: the role of each axis (``t p c z y x``), channels, steps in µm and s.

    `rgb` is set if the channels are the samples of colour pixels. `position_names` are by index, () if there
    are none. `evidence` is what says so, for display; `interpretations` what the axes may be if it is wrong.
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
    evidence: str = ""
    interpretations: tuple[Interpretation, ...] = ()

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
        interpretations=image.interpretations,
    )


def rgb_channels(dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """The channels of colour pixels; of 8 bits, all with the same contrast."""
    window = (0.0, 255.0) if dtype == np.uint8 else None
    named = zip(("red", "green", "blue"), RGB_COLORS, strict=True)
    return tuple(Channel(name, color, window=window) for name, color in named)


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
    name = unit.strip().partition(" since ")[0]  # as in netCDF
    lower = name.lower().replace("metre", "meter")
    return table.get(name) or table.get(lower) or table.get(lower.removesuffix("s"))


# ---- plain HDF5 ----------------------------------------------------------------------------


def plain_image(
    file: HDF5File, known: DatasetFacts, dataset: h5py.Dataset, where: str, axes: str = ""
) -> HDF5Image:
    """Describe a dataset of plain HDF5 or one of its dialects; within `HDF5File.reading`.

    `axes` are what a person says they are, see `axes_given`. Raises `UnsupportedError` if there is no plane,
    or too many axes.
    """
    notes = axis_notes(file, known.path, dataset)
    is_reversed = matlab.is_array(file.attribute(dataset, matlab.MATLAB_CLASS))
    first_grows = None in dataset.maxshape[:1] and None not in dataset.maxshape[1:]
    try:
        roles, rgb, warning = axes_of(
            known.shape, known.dtype, notes.names, where, is_reversed=is_reversed, first_grows=first_grows
        )
    except UnsupportedError:
        if not axes:
            raise
        roles, rgb, warning = ("",) * len(known.shape), False, None
    rgb |= notes.by == _IMAGE_SPECIFICATION
    others = other_axes(known.shape, _with_samples(roles, rgb)) if warning or axes else ()
    if axes:
        given = axes_given(axes, known.shape, where)
        rgb, warning = SAMPLES in given, None
        roles = tuple("c" if role == SAMPLES else role for role in given)
    along = {role: notes.steps[i] for i, role in enumerate(roles) if measures(notes.names[i], role)}
    steps = {role: _step(along.get(role), role) for role in roles if role and role in "tzyx"}
    names = {role: notes.texts[i] for i, role in enumerate(roles)}
    is_white_zero = _is_white_zero(file, dataset)
    size = file.attribute(dataset, "element_size_um")
    if isinstance(size, np.ndarray) and size.size in (2, 3):
        steps.update(zip("xyz", map(float, size.reshape(-1)[::-1]), strict=False))
    said = notes.by if any(notes.names) else "MATLAB, which reverses them" if is_reversed else "its shape"
    return HDF5Image(
        format="hdf5",
        evidence="axes as given" if axes else f"axes by {said}",
        roles=roles,
        shape=known.shape,
        dtype=meant_dtype(known.dtype) if is_of_bigdataviewer(file, known.path) else known.dtype,
        steps=sane_steps(steps),
        channels=rgb_channels(known.dtype) if rgb else _named(names.get("c", ()), is_white_zero),
        rgb=rgb,
        warnings=tuple(each for each in (warning, _indexed(file, dataset, where)) if each),
        position_names=names.get("p", ()),
        interpretations=others,
    )


def _is_white_zero(file: HDF5File, dataset: h5py.Dataset) -> bool:
    white = file.attribute(dataset, "IMAGE_WHITE_IS_ZERO")
    return isinstance(white, np.ndarray) and white.size == 1 and bool(white.reshape(-1)[0])


def is_palette(file: HDF5File, dataset: h5py.Dataset) -> bool:
    """Whether a dataset is the colours of another one (HDF5 Image and Palette Specification)."""
    return bool(file.attribute(dataset, "CLASS") == "PALETTE")


def _indexed(file: HDF5File, dataset: h5py.Dataset, where: str) -> str | None:
    """A warning where pixels are indices into a palette, which is not looked up."""
    is_indexed = file.attribute(dataset, "IMAGE_SUBCLASS") == "IMAGE_INDEXED"
    return f"{where} is shown as numbers: its palette is not applied" if is_indexed else None


def _with_samples(roles: Sequence[str], rgb: bool) -> tuple[str, ...]:
    return tuple(SAMPLES if rgb and role == "c" else role for role in roles)


def axis_notes(file: HDF5File, path: str, dataset: h5py.Dataset) -> AxisNotes:
    """What the file says of the axes of a dataset, by the first of the conventions that says anything."""
    if (tags := ilastik.axis_names(file.attribute(dataset, ilastik.AXISTAGS))) is not None:
        return AxisNotes.of_names(tags, "axistags of ilastik")
    found = scales.dimension_notes(file, dataset)
    if any(found.names):
        return found
    return (
        nexus.axis_notes(file, path, dataset)
        or emd.axis_notes(file, path, dataset)
        or _colour_notes(file, dataset)
        or found
    )


def _colour_notes(file: HDF5File, dataset: h5py.Dataset) -> AxisNotes | None:
    """Where the samples of an image in colour are (HDF5 Image and Palette Specification); None for others."""
    names = _INTERLACED.get(str(file.attribute(dataset, "INTERLACE_MODE")), "")
    is_colour = file.attribute(dataset, "IMAGE_SUBCLASS") == "IMAGE_TRUECOLOR"
    if (
        not is_colour
        or len(names) != len(dataset.shape)
        or dataset.shape[names.index("c")] != len(RGB_COLORS)
    ):
        return None
    return AxisNotes.of_names(names, _IMAGE_SPECIFICATION)


def _named(names: Sequence[str], is_inverted: bool) -> tuple[Channel, ...]:
    names = names or ("Ch0",) * is_inverted
    return tuple(Channel(name or f"Ch{i}", "", inverted=is_inverted) for i, name in enumerate(names))


def _step(scale: tuple[float, object] | None, role: str) -> float | None:
    if scale is None:
        return None
    factor = unit_factor(scale[1], role)
    return None if factor is None else scale[0] * factor
