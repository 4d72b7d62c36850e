"""Interprets OME-NGFF, omero and Squid metadata, given as dicts; pure functions, no I/O.

Sources: OME-NGFF 0.4 and 0.5 (axes, multiscales, coordinateTransformations, omero, plate, well,
bioformats2raw.layout), the older places of the same keys at the root of the attributes, and what
Squid adds under ``_squid``. Problems a viewer can tolerate are ignored with a warning; those that would
show wrong pixels are errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MetadataError, UnsupportedError
from ..model import Channel, colored
from ..storage.limits import safe_relative
from ..storage.printable import brief
from .display_window import useful_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from ..storage.limits import JsonObject

# ---- axes ----------------------------------------------------------------------------------

_ROLE_OF_NAME = {
    **dict.fromkeys(("t", "time", "timepoint", "times", "frame"), "t"),
    **dict.fromkeys(("p", "pos", "position", "fov", "field", "s", "scene", "series", "site"), "p"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("z", "z_level", "depth"), "z"),
    "y": "y",
    "x": "x",
}
_ROLE_OF_TYPE = {"time": "t", "channel": "c", "fov": "p"}
_ROLES_OF_RANK = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx", 6: "ptczyx"}
"""The rank convention; six axes are those of Squid's 6-D store, (FOV, T, C, Z, Y, X)."""


class Axis(NamedTuple):
    """One axis of an array: its role (one of ``t p c z y x``, else ""), its own name, its unit."""

    role: str
    name: str
    unit: str | None = None


_TO_UM = {
    "yoctometer": 1e-18,
    "zeptometer": 1e-15,
    "attometer": 1e-12,
    "femtometer": 1e-9,
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "decameter": 1e7,
    "hectometer": 1e8,
    "kilometer": 1e9,
    "megameter": 1e12,
    "inch": 25_400.0,
    "foot": 304_800.0,
    "yard": 914_400.0,
    "mile": 1_609_344_000.0,
    **{"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6},
}
_TO_SECONDS = {
    "yoctosecond": 1e-24,
    "zeptosecond": 1e-21,
    "attosecond": 1e-18,
    "femtosecond": 1e-15,
    "picosecond": 1e-12,
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "centisecond": 1e-2,
    "decisecond": 1e-1,
    "second": 1.0,
    "hectosecond": 1e2,
    "kilosecond": 1e3,
    "megasecond": 1e6,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0},
}
SANE_STEP = (1e-7, 1e9)
"""Steps between pixels, slices (µm) or time points (s) outside this range are mistakes."""
"""µm or s; a step outside is a mistake and would only blank the view."""

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
    channels: tuple[NamedChannel, ...] = ()
    complete: bool | None = None
    name: str = ""
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
    axes = _axes(multiscale.get("axes"), where, warnings)
    datasets = [entry for entry in listed(multiscale.get("datasets")) if isinstance(entry, dict)]
    transforms = listed(multiscale.get("coordinateTransformations"))
    steps = [_level_steps(axes or (), entry, transforms, where, warnings) for entry in datasets]
    squid = lookup(attributes, "_squid", "_squid_metadata")
    return ImageMeta(
        axes=axes,
        paths=tuple(safe_relative(entry.get("path"), where) for entry in datasets),
        scales=tuple(scale for scale, _ in steps) if axes else (),
        translations=tuple(origin for _, origin in steps) if axes else (),
        channels=_named_channels(lookup(attributes, "omero")),
        complete=_complete(squid),
        name=clean(multiscale.get("name")),
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


def clean(value: object) -> str:
    """Text suitable for display: no lone surrogates; "" for anything but text."""
    return value.encode("utf-8", "replace").decode().strip() if isinstance(value, str) else ""


def is_image(attributes: JsonObject) -> bool:
    """Whether these attributes describe an image."""
    return bool(listed(find(attributes, ("multiscales",))))


def _first_multiscale(attributes: JsonObject, where: str, warnings: list[str]) -> JsonObject:
    entries = [entry for entry in listed(find(attributes, ("multiscales",))) if isinstance(entry, dict)]
    if len(entries) > 1:
        warnings.append(f"{where} contains {len(entries)} multiscales; only the first is shown")
    return entries[0] if entries else {}


def _axes(value: object, where: str, warnings: list[str]) -> tuple[Axis, ...] | None:
    entries = listed(value)
    if not entries:
        return None
    axes = tuple(_axis(entry) for entry in entries)
    for kind, names in (("role", [axis.role for axis in axes]), ("name", [axis.name for axis in axes])):
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise MetadataError(f"{where}: two axes have the same {kind} {brief(twice[0])}")
    return axes


def _axis(entry: object) -> Axis:
    if isinstance(entry, str):  # NGFF 0.3
        entry = {"name": entry}
    if not isinstance(entry, dict):
        return Axis("", "")
    name = clean(entry.get("name"))
    kind, unit = entry.get("type"), entry.get("unit")
    role = _ROLE_OF_NAME.get(name.lower()) or _ROLE_OF_TYPE.get(kind if isinstance(kind, str) else "", "")
    return Axis(role, name, unit.lower() if isinstance(unit, str) else None)


def resolve_axes(
    meta: ImageMeta, shape: Sequence[int], dimension_names: Sequence[str | None] | None, where: str
) -> tuple[tuple[Axis, ...], str | None]:
    """Return the axes of an array of this shape, with a warning if they had to be guessed.

    They come from the metadata, else from the array itself, else from its rank.
    Raises `MetadataError` if axes and rank differ, `UnsupportedError` naming the axes that have no
    role here and more than one sample, or if there is no y or no x.
    """
    warning = None
    axes = meta.axes
    if axes is None and dimension_names is not None:
        named = tuple(_axis(name or "") for name in dimension_names)
        roles = [axis.role for axis in named]
        axes = named if all(roles) and len(set(roles)) == len(roles) else None
    if axes is None:
        axes = _axes_of_rank(len(shape), where)
        warning = f"{where}: axes are not named; assuming {' '.join(axis.role for axis in axes)}"
    if len(axes) != len(shape):
        raise MetadataError(f"{where}: names {len(axes)} axes for an array of {len(shape)} dimensions")
    _refuse_unknown(axes, shape, where)
    return axes, warning


def _axes_of_rank(rank: int, where: str) -> tuple[Axis, ...]:
    if rank not in _ROLES_OF_RANK:
        raise UnsupportedError(f"{where}: an array of {rank} dimensions without named axes cannot be shown")
    return tuple(Axis(role, role) for role in _ROLES_OF_RANK[rank])


def _refuse_unknown(axes: Sequence[Axis], shape: Sequence[int], where: str) -> None:
    unknown = [axis.name or "?" for axis, size in zip(axes, shape, strict=True) if not axis.role and size > 1]
    if unknown:
        raise UnsupportedError(
            f"{where}: cannot show axis {brief(', '.join(unknown))}; known are t, position, c, z, y, x"
        )
    if not {"y", "x"} <= {axis.role for axis in axes}:
        names = brief(", ".join(axis.name or "?" for axis in axes))[1:-1]
        raise UnsupportedError(f"{where}: no y and x among the axes {names}, so there is no plane to show")


# ---- coordinate transformations ------------------------------------------------------------


def _level_steps(
    axes: tuple[Axis, ...], dataset: JsonObject, outer: list[Any], where: str, warnings: list[str]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Scale and translation of one level: its own transformations, then those of all levels."""
    scale: list[float | None] = [None] * len(axes)
    origin: list[float | None] = [None] * len(axes)
    for transform in [*listed(dataset.get("coordinateTransformations")), *outer]:
        if isinstance(transform, dict):
            _apply(transform, scale, origin, where, warnings)
    steps = [_in_our_unit(axis, value, where, warnings) for axis, value in zip(axes, scale, strict=True)]
    factors = [_unit_factor(axis) for axis in axes]
    return tuple(steps), tuple(
        value * factor if value is not None and factor is not None else None
        for value, factor in zip(origin, factors, strict=True)
    )


def _apply(
    transform: JsonObject,
    scale: list[float | None],
    origin: list[float | None],
    where: str,
    warnings: list[str],
) -> None:
    kind = transform.get("type")
    if kind not in ("scale", "translation"):
        if kind != "identity":
            warnings.append(f"{where}: ignored a coordinate transformation of type {brief(kind)}")
        return
    vector = listed(transform.get(kind))
    if len(vector) != len(scale):
        if scale:
            warnings.append(f"{where}: ignored a {kind} with {len(vector)} values for {len(scale)} axes")
        return
    for axis, value in enumerate(map(_finite, vector)):
        if kind == "translation":
            origin[axis] = _sum(origin[axis], value)
        else:
            scale[axis] = _product(scale[axis], _scale_value(vector[axis], where, warnings))
            origin[axis] = None if origin[axis] is None else _product(origin[axis], value)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _scale_value(value: object, where: str, warnings: list[str]) -> float | None:
    number = _finite(value)
    if value is not None and (number is None or number <= 0):
        warnings.append(f"{where}: ignored an invalid scale {ascii(value)[:40]}")
        return None
    return number


def _product(before: float | None, value: float | None) -> float | None:
    if value is None:  # null means unspecified, so it changes nothing
        return before
    return value if before is None else before * value


def _sum(before: float | None, value: float | None) -> float | None:
    if value is None:
        return before
    return value if before is None else before + value


def _unit_factor(axis: Axis) -> float | None:
    """The factor from this axis's unit to µm or s; 1 without a unit, None for an unknown one."""
    table = _TO_SECONDS if axis.role == "t" else _TO_UM
    if axis.unit is None or axis.role not in ("t", "z", "y", "x"):
        return 1.0
    unit = axis.unit
    return table.get(unit, table.get(unit.removesuffix("s"), table.get(unit.replace("metre", "meter"))))


def _in_our_unit(axis: Axis, value: float | None, where: str, warnings: list[str]) -> float | None:
    factor = _unit_factor(axis)
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
    number = _finite(value)
    return number if number is not None and SANE_STEP[0] <= number <= SANE_STEP[1] else None


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
    x_um, y_um, z_um = (None if at is None or abs(at) > _FARTHEST_UM else at for at in found)
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
    one, other = (_finite(value.get(key)) for key in ("start", "end"))
    if one is None or other is None or one == other:
        return None
    return min(one, other), max(one, other)


def _nanometres(value: object) -> float | None:
    unit: object = "nanometer"
    if isinstance(value, dict):
        unit = value.get("unit") or "nanometer"
        value = value.get("value")
    number = _finite(value)
    factor = _TO_UM.get(str(unit).lower())
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
    return colored(
        (
            Channel(
                name=channel.name or f"Ch{i}",
                color=channel.color,
                excitation_nm=channel.excitation_nm,
                emission_nm=channel.emission_nm,
                window=useful_window(channel.window, dtype),
                visible=channel.active or not some_active,
                lut=channel.lut,
                inverted=channel.inverted,
            )
            for i, channel in enumerate(said)
        ),
        known,
    )
