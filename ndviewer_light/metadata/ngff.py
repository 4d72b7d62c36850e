"""Interprets OME-NGFF, omero and Squid metadata, given as dicts; pure functions, no I/O.

Sources: OME-NGFF 0.4 to 0.6 (axes, coordinateSystems, multiscales, coordinateTransformations, omero, plate,
well, bioformats2raw.layout), the older places of the same keys at the root of the attributes, and what
Squid adds under ``_squid``. Problems a viewer can tolerate are ignored with a warning; those that would
show wrong pixels are errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UnsupportedError
from ..model import RGB_COLORS, Channel, colored
from ..storage.limits import safe_node
from ..storage.printable import brief
from .display_window import useful_window
from .named_axes import SANE_STEP as SANE_STEP
from .named_axes import Axis, clean, named_axes, resolved_axes, unit_factor, unit_of_length
from .transformations import AlongAxes, along_axes, finite

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from ..storage.limits import JsonObject

_MOST_ONWARD = 256
_FARTHEST_UM = 1e8  # no stage travels 100 m

# ---- image metadata ------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageMeta:
    """The metadata of one image, before its arrays are examined.

    `axes` is None if none are named. `paths` are those of all levels, largest first, ``""``
    for the group itself. `scales` and `translations` hold one tuple per level, one value per axis,
    in µm (space) and s (time), None where unknown; they are empty without axes. `channels` are
    those named, which may be fewer or more than exist.
    """

    axes: tuple[Axis, ...] | None = None
    paths: tuple[str, ...] = ()
    scales: tuple[tuple[float | None, ...], ...] = ()
    translations: tuple[tuple[float | None, ...], ...] = ()
    has_placed_levels: bool = False
    """Whether levels have translations of their own."""
    order: tuple[int, ...] = ()
    """Which axis of the arrays each of the image's coordinate system is, if they are exchanged."""
    takes_first_voxels: bool = False
    """Whether the voxels of levels are the first of those that they span, instead of averages."""
    channels: tuple[NamedChannel, ...] = ()
    complete: bool | None = None
    name: str = ""
    system: str = ""
    """The coordinate system that its levels are in, if it has a name."""
    onward: tuple[JsonObject, ...] = ()
    """The transformations from there to other systems of the image."""
    squid: Steps | None = None
    warnings: tuple[str, ...] = ()

    def step(self, role: str, level: int = 0) -> float | None:
        """µm (z, y, x) or s (t) from one sample to the next along an axis, None if unknown."""
        return _along(self.axes, self.scales, role, level)

    def origin(self, role: str, level: int = 0) -> float | None:
        """µm or s of the first sample of an axis, None if unknown."""
        return _along(self.axes, self.translations, role, level)


def _along(
    axes: tuple[Axis, ...] | None, values: tuple[tuple[float | None, ...], ...], role: str, level: int
) -> float | None:
    if axes is None or level >= len(values):
        return None
    return next((value for axis, value in zip(axes, values[level], strict=True) if axis.role == role), None)


class NamedChannel(NamedTuple):
    """One omero channel as written; name, colour and lookup table are "" if missing."""

    name: str = ""
    color: str = ""
    window: tuple[float, float] | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None
    active: bool = True
    lut: str = ""
    inverted: bool = False


class Steps(NamedTuple):
    """Squid's own calibration; None where missing."""

    pixel_size_um: float | None
    z_step_um: float | None
    time_step_s: float | None


def image_meta(attributes: JsonObject, where: str) -> ImageMeta:
    """Interpret the attributes of an image group, or of an array that has them itself.

    Raises `MetadataError` for axes named twice, `UntrustedReferenceError` for a level that lies
    outside. Anything else that is invalid is ignored, with a warning.
    """
    warnings: list[str] = []
    multiscale = _first_multiscale(attributes, where, warnings)
    datasets = [entry for entry in listed(multiscale.get("datasets")) if isinstance(entry, dict)]
    system = _own_system(multiscale, datasets)
    axes = named_axes((system or multiscale).get("axes"), where)
    outer = listed(multiscale.get("coordinateTransformations"))
    transforms = outer if system is None else []  # from 0.6 on, they lead on to other systems
    warnings += _unknown_version(attributes, multiscale, where)
    along = [_along_level(len(axes or ()), entry, transforms, where, warnings) for entry in datasets]
    order = _order(along, where) if axes and system is not None else ()
    if axes and order:
        axes = tuple(axes[order.index(i)] for i in range(len(axes)))
    steps = [_level_steps(axes or (), level, where, warnings) for level in along]
    squid = lookup(attributes, "_squid", "_squid_metadata")
    return ImageMeta(
        axes=axes,
        paths=tuple(safe_node(entry.get("path"), where) for entry in datasets),
        scales=tuple(step.scale for step in steps) if axes else (),
        translations=tuple(step.origin for step in steps) if axes else (),
        has_placed_levels=any(level.is_placed for level in along),
        order=order,
        takes_first_voxels=_takes_first_voxels(multiscale),
        channels=_named_channels(lookup(attributes, "omero")),
        complete=_complete(squid),
        name=clean(multiscale.get("name")),
        system=clean((system or {}).get("name")),
        onward=tuple(each for each in outer[:_MOST_ONWARD] if isinstance(each, dict) and system is not None),
        squid=_squid_steps(squid),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def lookup(attributes: JsonObject, *keys: str) -> JsonObject:
    """Return the first object with one of these names under ``ome`` or, for older writers, at the root."""
    found = find(attributes, keys)
    return found if isinstance(found, dict) else {}


def find(attributes: JsonObject, keys: Iterable[str]) -> Any:
    ome = attributes.get("ome")
    places = (ome, attributes) if isinstance(ome, dict) else (attributes,)
    return next((place[key] for key in keys for place in places if place.get(key) is not None), None)


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def is_image(attributes: JsonObject) -> bool:
    """Whether these attributes describe an image."""
    return bool(listed(find(attributes, ("multiscales",))))


_TAKES_FIRST = re.compile("decimat|subsampl|stride|simpleimagescaler|pyrdown", re.IGNORECASE)


def _takes_first_voxels(multiscale: JsonObject) -> bool:
    """Whether a writer says of its levels that they are every n-th voxel, also of a smoothed image.

    OME-NGFF calls this the type of downscaling, and gives details as metadata: "decimate" of acquire-zarr,
    "loci.common.image.SimpleImageScaler" and "org.opencv.imgproc.Imgproc.pyrDown" of bioformats2raw.
    """
    details = multiscale.get("metadata")
    said = multiscale.get("type"), details.get("method") if isinstance(details, dict) else None
    return any(isinstance(each, str) and _TAKES_FIRST.search(each) for each in said)


_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6")


def dimension_names(attributes: JsonObject) -> tuple[str | None, ...] | None:
    """The names that xarray gives to the dimensions of a v2 array in its attributes; None without any."""
    names = attributes.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def _unknown_version(attributes: JsonObject, multiscale: JsonObject, where: str) -> list[str]:
    """A warning if metadata is of a version of OME-NGFF that is not known here; drafts of a version are."""
    version = lookup(attributes, "ome").get("version") or multiscale.get("version")
    if version is None or (isinstance(version, str) and _RELEASE.sub("", version) in _VERSIONS):
        return []
    return [
        f"{where} is of version {brief(version)} of OME-NGFF, which is not known: read like {_VERSIONS[-1]}"
    ]


_RELEASE = re.compile(r"(?<=\d)[-.]?(?:rc|dev|a|b|alpha|beta)[.-]?\d*(?:-[a-z]{1,20})?$")


def _own_system(multiscale: JsonObject, datasets: Sequence[JsonObject]) -> JsonObject | None:
    """The coordinate system that the levels of an image are in, None before 0.6.

    It is the one that is the output of the transformations of all levels (0.6, "multiscales" metadata: the
    intrinsic coordinate system).
    """
    systems = [each for each in listed(multiscale.get("coordinateSystems")) if isinstance(each, dict)]
    if not systems:
        return None
    transforms = [each for entry in datasets[:1] for each in listed(entry.get("coordinateTransformations"))]
    outputs = [each.get("output") for each in transforms if isinstance(each, dict)]
    names = [each.get("name") if isinstance(each, dict) else each for each in outputs]
    return next((system for system in systems if system.get("name") in names), systems[0])


def resolve_axes(
    meta: ImageMeta, shape: Sequence[int], names: Sequence[str | None] | None, where: str
) -> tuple[tuple[Axis, ...], str | None]:
    """See `resolved_axes`, of an image's array; `names` are those of its dimensions."""
    return resolved_axes(meta.axes, shape, names, where)


def _first_multiscale(attributes: JsonObject, where: str, warnings: list[str]) -> JsonObject:
    entries = [entry for entry in listed(find(attributes, ("multiscales",))) if isinstance(entry, dict)]
    if len(entries) > 1:
        warnings.append(f"{where} contains {len(entries)} multiscales; only the first is shown")
    return entries[0] if entries else {}


# ---- coordinate transformations ------------------------------------------------------------


class _AlongLevel(NamedTuple):
    """What the transformations of a level do, and whether it has a translation of its own."""

    found: AlongAxes
    is_placed: bool


class _LevelSteps(NamedTuple):
    """Scale and translation of a level along each axis of its array, in our units."""

    scale: tuple[float | None, ...]
    origin: tuple[float | None, ...]


def _along_level(
    n: int, dataset: JsonObject, outer: list[Any], where: str, warnings: list[str]
) -> _AlongLevel:
    """What the level's own transformations do, and then those of all levels."""
    own = along_axes(listed(dataset.get("coordinateTransformations")), n, where, warnings)
    found = along_axes(outer, n, where, warnings, after=own) if outer else own
    return _AlongLevel(found, any(origin is not None for origin in own.origin))


def _order(levels: Sequence[_AlongLevel], where: str) -> tuple[int, ...]:
    """Which axis of the arrays each of the image's system is, () if they are in order.

    Raises `UnsupportedError` if the levels differ.
    """
    orders = {tuple(level.found.order) for level in levels}
    if len(orders) > 1:
        raise UnsupportedError(f"{where}: its levels have their axes in different orders")
    return next((order for order in orders if order != tuple(sorted(order))), ())


def _level_steps(axes: tuple[Axis, ...], level: _AlongLevel, where: str, warnings: list[str]) -> _LevelSteps:
    found = level.found.by_input()
    steps = [
        _in_our_unit(axis, value, where, warnings) for axis, value in zip(axes, found.scale, strict=True)
    ]
    return _LevelSteps(tuple(steps), in_um(found.origin, axes))


def in_um(values: Sequence[float | None], axes: Sequence[Axis]) -> tuple[float | None, ...]:
    """Values along axes in µm or s, None where a unit is unknown."""
    factors = [unit_factor(axis) for axis in axes]
    return tuple(
        value * factor if value is not None and factor is not None else None
        for value, factor in zip(values, factors, strict=True)
    )


def _in_our_unit(axis: Axis, value: float | None, where: str, warnings: list[str]) -> float | None:
    factor = unit_factor(axis)
    if factor is None:
        warnings.append(
            f"{where}: axis {axis.name!a} has an unknown unit {ascii(axis.unit)[:40]}; its scale is ignored"
        )
        return None
    if value is None or axis.role not in ("t", "z", "y", "x"):
        return value
    return _sane(value * factor, f"{where}: scale of axis {brief(axis.name)}", warnings)


def _sane(value: float, what: str, warnings: list[str]) -> float | None:
    if SANE_STEP[0] <= value <= SANE_STEP[1]:
        return value
    warnings.append(f"{what}: ignored the implausible value {value:g}")
    return None


# ---- Squid ---------------------------------------------------------------------------------


def _complete(squid: JsonObject) -> bool | None:
    value = squid.get("acquisition_complete")
    return value if isinstance(value, bool) else None


def _squid_steps(squid: JsonObject) -> Steps | None:
    if not squid:
        return None
    return Steps(*(_squid_step(squid.get(key)) for key in ("pixel_size_um", "z_step_um", "time_increment_s")))


def _squid_step(value: object) -> float | None:
    number = finite(value)
    return number if number is not None and SANE_STEP[0] <= number <= SANE_STEP[1] else None


def on_stage(at: float | None) -> float | None:
    """A place in µm, if it may be one."""
    return None if at is None or abs(at) > _FARTHEST_UM else at


def calibration(meta: ImageMeta) -> tuple[float | None, float | None, float | None, float | None]:
    """Return (pixel size y, pixel size x, z step) in µm and the time step in s at level 0, None if unknown.

    Squid's own values take precedence; its nulls mean unspecified. If Squid knows no z or time step, it
    writes a scale of 1, which then counts as unspecified.
    """
    y, x, z, t = (meta.step(role) for role in "yxzt")
    if meta.squid is None:
        return _unless_nobody_measured(meta, y, x, z, t)
    pixel, z_step, time_step = meta.squid
    return pixel or y, pixel or x, _unless_placeholder(z_step, z), _unless_placeholder(time_step, t)


def stage_position_um(meta: ImageMeta) -> tuple[float | None, float | None, float | None]:
    """Return where an image lies along x, y and z in µm: the translation of its first level, None if unknown.

    All transformations of the image count, those of the level before those of all levels. Without a unit
    the translation is in that of the scale, and unknown where the scale is.
    """
    y, x, z, _ = calibration(meta)
    units = {axis.role: axis.unit for axis in meta.axes or ()}
    found = (
        None if units.get(role) is None and step is None else meta.origin(role)
        for role, step in (("x", x), ("y", y), ("z", z))
    )
    x_um, y_um, z_um = map(on_stage, found)
    return x_um, y_um, z_um


def _unless_nobody_measured(
    meta: ImageMeta, y: float | None, x: float | None, z: float | None, t: float | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """Drop scales of exactly 1 without a unit: writers' defaults, which would give a wrong scale bar."""
    unitless = {axis.role for axis in meta.axes or () if axis.unit is None}
    if {"y", "x"} <= unitless and y == x == 1.0 and z in (None, 1.0):
        y = x = z = None
    return y, x, z, None if t == 1.0 and "t" in unitless else t


def _unless_placeholder(said: float | None, scale: float | None) -> float | None:
    return said if said is not None else (None if scale == 1.0 else scale)


# ---- channels ------------------------------------------------------------------------------

_HEX = re.compile(r"(?:#*|0x)([0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?")
_SHORT_HEX = re.compile(r"#([0-9A-Fa-f])([0-9A-Fa-f])([0-9A-Fa-f])")
_LONGEST_LUT = 64


def _named_channels(omero: JsonObject) -> tuple[NamedChannel, ...]:
    return tuple(
        _named_channel(entry if isinstance(entry, dict) else {}) for entry in listed(omero.get("channels"))
    )


def _named_channel(entry: JsonObject) -> NamedChannel:
    return NamedChannel(
        name=written_label(entry.get("label")) or written_label(entry.get("name")),
        color=_color(entry.get("color")),
        window=_window(entry.get("window")),
        excitation_nm=_nanometres(entry.get("excitation_wavelength")),
        emission_nm=_nanometres(entry.get("emission_wavelength")),
        active=entry.get("active") is not False,
        lut=clean(entry.get("lut"))[:_LONGEST_LUT],
        inverted=entry.get("inverted") is True,
    )


def written_label(value: object) -> str:
    """A label as text; some writers number their channels, from 0."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return clean(value)


def _color(value: object) -> str:
    """``"#RRGGBB"`` as written, in upper case; "" if invalid."""
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 0xFFFFFF:
            return f"#{value:06X}"
        return f"#{value % 2**32 >> 8:06X}" if -(2**31) <= value < 2**32 else ""  # OMERO's signed RGBA
    if not isinstance(value, str):
        return ""
    if match := _HEX.fullmatch(value.strip()):
        return f"#{match[1].upper()}"
    short = _SHORT_HEX.fullmatch(value.strip())
    return "#" + "".join(digit * 2 for digit in short.groups()).upper() if short else ""


def _window(value: object) -> tuple[float, float] | None:
    """`start` and `end`, in either order; `min` and `max` only tell what could be chosen."""
    if not isinstance(value, dict):
        return None
    one, other = (finite(value.get(key)) for key in ("start", "end"))
    if one is None or other is None or one == other:
        return None
    return min(one, other), max(one, other)


def _nanometres(value: object) -> float | None:
    unit: object = "nanometer"
    if isinstance(value, dict):
        unit = value.get("unit") or "nanometer"
        value = value.get("value")
    number = finite(value)
    factor = unit_of_length(unit)
    if number is None or factor is None:
        return None
    nanometres = number * factor * 1e3
    return nanometres if 1 <= nanometres <= 1e6 else None


def channels(
    named: Sequence[NamedChannel],
    count: int,
    dtype: np.dtype[Any] | None,
    known: Sequence[Channel] = (),
) -> tuple[Channel, ...]:
    """Return exactly `count` channels: those named, then ``Ch{i}``.

    `known` are those of the dataset's other images: see `colored`.
    """
    unnamed = NamedChannel()
    said = [named[i] if i < len(named) else unnamed for i in range(count)]
    some_active = any(channel.active for channel in said)  # all off would be an empty canvas
    # a contrast of its own for each would change the colours
    colours = tuple(channel.color.upper() for channel in said[:3])
    in_colour = colours == RGB_COLORS and dtype is not None and dtype.kind == "u" and dtype.itemsize == 1
    return colored(
        (
            Channel(
                name=channel.name or f"Ch{i}",
                color=channel.color,
                excitation_nm=channel.excitation_nm,
                emission_nm=channel.emission_nm,
                window=channel.window if in_colour else useful_window(channel.window, dtype),
                visible=channel.active or not some_active,
                lut=channel.lut,
                inverted=channel.inverted,
            )
            for i, channel in enumerate(said)
        ),
        known,
    )
