"""Interprets NWB images and masks in Zarr, given their attributes and small arrays; pure, no I/O.

NWB stores images as (frame, x, y) or (frame, x, y, z), x across and y down: planes are transposed.
Sources: NWB format specification 2.x, ``ImageSeries``, ``TwoPhotonSeries``, ``ImagingPlane``; hdf-zarr's
storage specification: links are listed in the attribute ``zarr_link``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import UnsupportedError
from ..model import how_many
from .named_axes import SANE_STEP, Axis, clean, unit_of_length
from .ngff import ImageMeta, NamedChannel, listed
from .nwb_types import IMAGE_SERIES, MASKS, NO_PICTURES, REGIONS, SINGLE_IMAGES, UM_PER_CM
from .transformations import finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from ..storage.limits import JsonObject

PLACES = ("acquisition", "processing", "stimulus", "analysis", "scratch")
"""The groups of a file that may contain series."""

_RGB = tuple(
    NamedChannel(name, f"#{color}", (0.0, 255.0))
    for name, color in (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
)
UNEVEN = "frames are not evenly spaced in time; using the mean time step"
_MOST_UNEVEN = 0.01
MOST_FRAMES_TIMED = 2_000_000
"""Of more frames, times are not worked out."""
_UNNAMED = ("", "unknown", "n/a", "none")


class SmallArray(NamedTuple):
    """The content of a small array, [] if it is not numbers, or its text; and its attributes."""

    numbers: Sequence[float]
    text: str
    attributes: JsonObject


class NwbNeighbours(Protocol):
    """What else is in a file: by paths in the group of the series or, with a leading ``/``, in the file."""

    def array(self, path: str) -> SmallArray | None:
        """A small array; None if there is none."""

    def optical_channels(self, plane: str) -> Iterable[str]:
        """The paths of the groups in an imaging plane that describe its light."""


def is_file(attributes: JsonObject) -> bool:
    """Whether the attributes at the root of a store say that it is an NWB file."""
    return attributes.get("neurodata_type") == "NWBFile" or "nwb_version" in attributes


def is_series(attributes: JsonObject) -> bool:
    """Whether the attributes of a group say that it is a series of images."""
    kind = attributes.get("neurodata_type")
    return isinstance(kind, str) and kind.endswith(IMAGE_SERIES) and kind not in NO_PICTURES


def is_optical_channel(attributes: JsonObject) -> bool:
    """Whether the attributes of a group say that it describes the light of an imaging plane."""
    return attributes.get("neurodata_type") == "OpticalChannel"


def is_regions(attributes: JsonObject) -> bool:
    """Whether the attributes of a group say that it is a table of regions of interest."""
    return attributes.get("neurodata_type") == REGIONS


def masks_meta(
    name: str, attributes: JsonObject, shape: Sequence[int], look: NwbNeighbours, where: str
) -> ImageMeta:
    """The metadata of the masks of a table of regions, an array ``image_mask`` of this shape: one per region.

    Raises `UnsupportedError` if it is not (region, x, y[, z]).
    """
    if len(shape) not in (3, 4):
        raise UnsupportedError(
            f"{where} has {how_many(len(shape), 'dimension')}; masks have (region, x, y[, z])"
        )
    roles = "pxyz"[: len(shape)]
    steps = _grid_um(look, imaging_plane(attributes), dict(zip(roles, shape, strict=True)))
    return ImageMeta(
        axes=tuple(Axis(role, role, "micrometer" if role != "p" else None) for role in roles),
        paths=(MASKS,),
        scales=(tuple(_sane(steps.get(role)) for role in roles),),
        translations=((None,) * len(shape),),
        channels=(NamedChannel(name),),
        name=name,
    )


def series_meta(
    name: str,
    attributes: JsonObject,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    look: NwbNeighbours,
    where: str,
) -> ImageMeta:
    """The metadata of a series called `name`, whose images are an array ``data`` of this shape.

    Raises `UnsupportedError` if it is not (frame, x, y[, z]).
    """
    kind, rank = clean(attributes.get("neurodata_type")), len(shape)
    if rank not in (2, 3, 4):
        raise UnsupportedError(
            f"{where} has {how_many(rank, 'dimension')}; NWB images have (frame, x, y[, z])"
        )
    is_rgb = looks_like_colour(kind, shape, dtype)
    roles = ("x", "y") if rank == 2 else ("t", "x", "y", "c" if is_rgb else "z")[:rank]
    units = {"t": "second", **dict.fromkeys("xyz", "micrometer")}
    plane = imaging_plane(attributes)
    seconds, is_even = _frame_seconds(look, attributes, shape[0])
    steps = {
        "t": seconds,
        **_grid_um(look, plane, dict(zip(roles, shape, strict=True))),
    }
    return ImageMeta(
        axes=tuple(Axis(role, role, units.get(role)) for role in roles),
        paths=("data",),
        scales=(tuple(_sane(steps.get(role)) for role in roles),),
        translations=((None,) * rank,),
        channels=_RGB if is_rgb else (_channel(name, plane, look),),
        name=name,
        warnings=series_notes(where, shape, is_rgb=is_rgb, is_even=is_even),
    )


def external_said(where: str, attributes: JsonObject) -> str:
    """What is said of a series whose images are in other files."""
    kind = attributes.get("neurodata_type")
    return f"{where} ({kind}) stores its images in other files, which are not followed for safety"


def series_notes(where: str, shape: Sequence[int], *, is_rgb: bool, is_even: bool) -> tuple[str, ...]:
    """What a person should know of how a series is shown."""
    in_colour = f"{where}: the last axis, of size {shape[-1]}, is shown as colour, not as z"
    return (*([in_colour] * is_rgb), *([f"{where}: {UNEVEN}"] * (not is_even)))


def looks_like_colour(kind: str, shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Whether a series of this type is in colour: videos of cameras are stored as (frame, x, y, 3).

    NWB does not define this.
    """
    is_camera = not kind.endswith("PhotonSeries")
    return is_camera and len(shape) == 4 and shape[-1] in (3, 4) and str(dtype) == "uint8"


def is_picture(attributes: JsonObject, shape: object) -> bool:
    """Whether the attributes of an array of this shape say that it is a single image."""
    kind = attributes.get("neurodata_type")
    roles = SINGLE_IMAGES.get(kind, "") if isinstance(kind, str) else ""
    if not isinstance(shape, (list, tuple)) or not roles or len(shape) != len(roles) or 0 in shape:
        return False
    return roles != "xyc" or shape[-1] in (3, 4)


def picture_meta(
    name: str, attributes: JsonObject, shape: Sequence[int], colours: tuple[NamedChannel, ...]
) -> ImageMeta:
    """The metadata of a single image called `name`, an array of this shape; `colours` are of its samples."""
    roles = SINGLE_IMAGES[attributes["neurodata_type"]]
    um = um_per_pixel(attributes)
    return ImageMeta(
        axes=tuple(Axis(role, role, "micrometer" if role != "c" else None) for role in roles),
        paths=(name,),
        scales=(tuple(um if role != "c" else None for role in roles),),
        translations=((None,) * len(roles),),
        channels=colours[: shape[-1]] if "c" in roles else (NamedChannel(name),),
        name=name,
    )


def um_per_pixel(attributes: JsonObject) -> float | None:
    """The step of a single image by its "resolution"; None if that is unknown."""
    pixels_per_cm = finite(attributes.get("resolution")) or 0.0
    return _sane(UM_PER_CM / pixels_per_cm) if pixels_per_cm > 0 else None


def imaging_plane(attributes: JsonObject) -> str:
    """The path of the imaging plane in the file that a series or a table of regions names; "" if none."""
    return _linked(attributes, "imaging_plane")


def _linked(attributes: JsonObject, name: str) -> str:
    """The path in this file that a link leads to; "" if there is none, or it leads to another file."""
    for link in listed(attributes.get("zarr_link")):
        if isinstance(link, dict) and link.get("name") == name and link.get("source") in (".", ""):
            return "/" + clean(link.get("path")).strip("/")
    return ""


def frame_step(first: float, second: float, last: float, n: int) -> tuple[float, bool]:
    """The mean step between `n` times, and whether the first of them is as long."""
    step = (last - first) / (n - 1)
    return step, step > 0 and abs(second - first - step) <= _MOST_UNEVEN * step


def times_of_frames(
    times: Sequence[float], start: float | None, rate: float | None, n: int
) -> Sequence[float]:
    """When each of `n` frames was acquired, in s since the session began; () if that is not known."""
    if len(times) == n:
        return times
    if start is None or rate is None or not rate > 0 or not 0 < n <= MOST_FRAMES_TIMED:
        return ()
    return [start + t / rate for t in range(n)]


def frame_times(look: NwbNeighbours, attributes: JsonObject, n: int) -> Sequence[float]:
    """When each of the `n` frames of a series was acquired, see `times_of_frames`."""
    times = look.array(_linked(attributes, "timestamps") or "timestamps")
    if times is not None and len(times.numbers) == n:
        return times.numbers
    start = look.array(_linked(attributes, "starting_time") or "starting_time")
    if start is None or len(start.numbers) != 1:
        return ()
    return times_of_frames((), start.numbers[0], finite(start.attributes.get("rate")), n)


def _frame_seconds(look: NwbNeighbours, attributes: JsonObject, n: int) -> tuple[float | None, bool]:
    """Seconds between frames, and whether they are even, as far as that is known."""
    start = look.array(_linked(attributes, "starting_time") or "starting_time")
    rate = finite(start.attributes.get("rate")) if start is not None else None
    if rate is not None and rate > 0:
        return 1.0 / rate, True
    times = look.array(_linked(attributes, "timestamps") or "timestamps")
    if times is None or len(times.numbers) != n or n < 2:
        return None, True
    return frame_step(times.numbers[0], times.numbers[1], times.numbers[-1], n)


def _grid_um(look: NwbNeighbours, plane: str, sizes: dict[str, int]) -> dict[str, float | None]:
    """µm per pixel: of the imaging plane, else the field of view divided by its pixels."""
    spacing = look.array(f"{plane}/grid_spacing") if plane else None
    if spacing is not None and spacing.numbers:
        return dict(zip("xyz", _in_um(spacing), strict=False))
    view = look.array("field_of_view")
    if view is None:
        return {}
    return {
        role: value / sizes[role] for role, value in zip("xyz", _in_um(view), strict=False) if sizes.get(role)
    }


def _in_um(array: SmallArray) -> list[float]:
    unit = clean(array.attributes.get("unit")) or "meter"
    factor = unit_of_length(unit) or unit_of_length(unit.lower().removesuffix("s"))
    return [value * factor for value in array.numbers] if factor else []


def _sane(value: float | None) -> float | None:
    return value if value is not None and SANE_STEP[0] <= value <= SANE_STEP[1] else None


def _channel(name: str, plane: str, look: NwbNeighbours) -> NamedChannel:
    """The channel, named after the imaging plane's indicator if given, else after the series."""
    indicator = look.array(f"{plane}/indicator") if plane else None
    excitation = look.array(f"{plane}/excitation_lambda") if plane else None
    named = indicator.text if indicator is not None and indicator.text.lower() not in _UNNAMED else name
    channel = next(iter(look.optical_channels(plane)), "") if plane else ""
    emission = look.array(f"{channel}/emission_lambda") if channel else None
    return NamedChannel(named, excitation_nm=_nanometres(excitation), emission_nm=_nanometres(emission))


def _nanometres(array: SmallArray | None) -> float | None:
    nm = array.numbers[0] if array is not None and len(array.numbers) == 1 else None
    return nm if nm is not None and 1 <= nm <= 1e6 else None
