"""The axes of images as metadata names them, their roles here and their units; pure functions, no I/O.

Sources: OME-NGFF 0.1 to 0.6, "axes" metadata: names, types, units of UDUNITS-2; the names that other writers
use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MetadataError, UnsupportedError
from ..model import how_many
from ..storage.printable import brief
from .guessed_axes import MAX_AXES, ROLES_OF_RANK, counted_axes, too_many_axes, with_plane_last

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROLE_OF_NAME = {
    **dict.fromkeys(("t", "time", "timepoint", "times", "frame"), "t"),
    **dict.fromkeys(("p", "pos", "position", "fov", "field", "s", "scene", "series", "site"), "p"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("z", "z_level", "depth"), "z"),
    "y": "y",
    "x": "x",
}
_COLOURS = ("rgb", "rgba", "color", "colour")
"""Names of an axis of channels where no other has them, else of the samples of a pixel."""
_ROLE_OF_TYPE = {"time": "t", "channel": "c", "fov": "p"}


class Axis(NamedTuple):
    """One axis of an array: its role (one of ``t p c z y x``, else ""), its own name, its unit."""

    role: str
    name: str
    unit: str | None = None


TO_UM = {
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
TO_SECONDS = {
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


@lru_cache(maxsize=256)
def unit_factor(axis: Axis) -> float | None:
    """The factor from this axis's unit to µm or s; 1 without a unit, None for an unknown one."""
    table = TO_SECONDS if axis.role == "t" else TO_UM
    if axis.unit is None or axis.role not in ("t", "z", "y", "x"):
        return 1.0
    unit = axis.unit
    return table.get(unit, table.get(unit.removesuffix("s"), table.get(unit.replace("metre", "meter"))))


def unit_of_length(name: object) -> float | None:
    """The factor from a unit of length to µm, None for an unknown one."""
    return TO_UM.get(str(name).lower())


def clean(value: object) -> str:
    """Text suitable for display: no lone surrogates; "" for anything but text."""
    return value.encode("utf-8", "replace").decode().strip() if isinstance(value, str) else ""


def named_axes(value: object, where: str) -> tuple[Axis, ...] | None:
    """The axes that metadata lists, None if it lists none. Raises `MetadataError` for axes named twice."""
    if not isinstance(value, list) or not value:
        return None
    axes = _with_colours(_with_roles_in_space(tuple(_axis(entry) for entry in value), value))
    for kind, names in (("role", [axis.role for axis in axes]), ("name", [axis.name for axis in axes])):
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise MetadataError(f"{where}: two axes have the same {kind} {brief(twice[0])}")
    return axes


def _with_colours(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    if any(axis.role == "c" for axis in axes):
        return axes
    named = [axis for axis in axes if not axis.role and axis.name.lower() in _COLOURS]
    return tuple(axis._replace(role="c") if named == [axis] else axis for axis in axes)


def _with_roles_in_space(axes: tuple[Axis, ...], entries: list[Any]) -> tuple[Axis, ...]:
    """The axes, where those of space have names of their own ("i", "dim_1"): the last is x, before it y and
    z.

    Names are arbitrary from 0.6 on, and the axes of space come last, in the order z y x.
    """
    space = [i for i, each in enumerate(entries) if isinstance(each, dict) and each.get("type") == "space"]
    if any(axes[i].role for i in space) or not 2 <= len(space) <= 3:
        return axes
    roles = dict(zip(space, "zyx"[-len(space) :], strict=True))
    return tuple(axis._replace(role=roles.get(i, axis.role)) for i, axis in enumerate(axes))


def _axis(entry: object) -> Axis:
    if isinstance(entry, str):  # NGFF 0.3
        entry = {"name": entry}
    if not isinstance(entry, dict):
        return Axis("", "")
    name = clean(entry.get("name"))
    kind, unit = entry.get("type"), entry.get("unit")
    role = _ROLE_OF_NAME.get(name.lower()) or _ROLE_OF_TYPE.get(kind if isinstance(kind, str) else "", "")
    return Axis(role, name, unit.lower() if isinstance(unit, str) else None)


def resolved_axes(
    axes: tuple[Axis, ...] | None,
    shape: Sequence[int],
    dimension_names: Sequence[str | None] | None,
    where: str,
) -> tuple[tuple[Axis, ...], str | None]:
    """Return the axes of an array of this shape, with a warning if they had to be guessed.

    `axes` are those in the metadata, None if it names none: then they are of the array, else from its
    rank. Raises `MetadataError` if axes and rank differ, `UnsupportedError` naming the axes that have no
    role here and more than one sample, or if there is no y or no x.
    """
    warning = None
    if axes is None and dimension_names is not None:
        axes = _axes_of_names(dimension_names, shape)
    if axes is None:
        axes = _last_two_of_plane(dimension_names or (), shape) or _axes_of_rank(shape, where)
        named = [clean(name) for name in dimension_names or () if clean(name)]
        how = f"axes are called {brief(' '.join(named))}" if named else "axes are not named"
        warning = f"{where}: {how}; assuming {' '.join(axis.role for axis in axes if axis.role)}"
    if len(axes) != len(shape):
        raise MetadataError(
            f"{where}: names {how_many(len(axes), 'axis', 'axes')} for an array of "
            f"{how_many(len(shape), 'dimension')}"
        )
    _refuse_unknown(axes, shape, where)
    return axes, warning


def _axes_of_names(names: Sequence[str | None], shape: Sequence[int]) -> tuple[Axis, ...] | None:
    """The axes by the names of dimensions; None if some have none, or these do not say which are y and x."""
    axes = tuple(_axis(name or "") for name in names)
    roles = [axis.role for axis in axes if axis.role]
    if not {"y", "x"} <= set(roles) or len(set(roles)) < len(roles) or len(axes) != len(shape):
        return None
    return axes if all(name or size == 1 for name, size in zip(names, shape, strict=True)) else None


def _last_two_of_plane(names: Sequence[str | None], shape: Sequence[int]) -> tuple[Axis, ...] | None:
    """The axes where some names say what they are, but none that it is y or x; else None."""
    axes = tuple(_axis(name or "") for name in names)
    roles = with_plane_last([axis.role for axis in axes], shape)
    if roles is None:
        return None
    return tuple(axis._replace(role=role) for axis, role in zip(axes, roles, strict=True))


def _axes_of_rank(shape: Sequence[int], where: str) -> tuple[Axis, ...]:
    counted = counted_axes(shape)
    if len(counted) > MAX_AXES:
        raise too_many_axes(shape, where)
    if len(counted) not in ROLES_OF_RANK:
        raise UnsupportedError(
            f"{where}: an array of {how_many(len(shape), 'dimension')} without named axes cannot be shown"
        )
    roles = dict(zip(counted, ROLES_OF_RANK[len(counted)], strict=True))
    return tuple(Axis(roles.get(i, ""), roles.get(i, "")) for i in range(len(shape)))


def _refuse_unknown(axes: Sequence[Axis], shape: Sequence[int], where: str) -> None:
    unknown = [axis.name or "?" for axis, size in zip(axes, shape, strict=True) if not axis.role and size > 1]
    if unknown:
        raise UnsupportedError(
            f"{where}: cannot show axis {brief(', '.join(unknown))}; known are t, position, c, z, y, x"
        )
    if not {"y", "x"} <= {axis.role for axis in axes}:
        names = brief(", ".join(axis.name or "?" for axis in axes))[1:-1]
        raise UnsupportedError(f"{where}: no y and x among the axes {names}, so there is no plane to show")
