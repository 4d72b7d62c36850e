"""Interprets what ImageJ writes about channels: labels, lookup tables, ranges. Pure functions, no I/O.

``LUTs`` and ``Ranges`` hold one entry per channel; ``Labels`` one per plane, channels fastest.
https://imagej.net/ij/docs/guide/ : a composite image shows each channel with its own table and range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model import Channel
from .display_window import useful_window
from .written_units import SECONDS_PER_UNIT, UM_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

_LENGTHS_UM = {**UM_PER_UNIT, "\\u00b5m": 1.0}
_TIMES_S = {**SECONDS_PER_UNIT, "": 1.0}
_ORDERS = {"czt", "ctz", "zct", "ztc", "tcz", "tzc"}
_MOST_IMAGES = 10_000_000

_LONGEST_LABEL = 200
_BLACK = 24  # a table that begins or ends darker than this counts as a ramp from or to black


def outer_axes(metadata: Mapping[str, Any], samples: int, there: int) -> tuple[tuple[str, int], ...]:
    """The axes over pages that the header declares, slowest first, as (role, length).

    Of pages with several samples, channels that are no more than those are not counted again, unless as many
    pages are there as that comes to.
    """
    sizes = {
        role: _count(metadata.get(key)) for role, key in (("c", "channels"), ("z", "slices"), ("t", "frames"))
    }
    if samples > 1 and sizes["c"] == samples and math.prod(sizes.values()) != there:
        sizes["c"] = 1
    order = str(metadata.get("order", "czt")).lower()
    declared = [(role, sizes[role]) for role in reversed(order if order in _ORDERS else "czt")]
    images = _count(metadata.get("images"))
    if math.prod(sizes.values()) == 1 and images > 1:
        return (("z", images),)
    return tuple(declared)


def fitting(axes: tuple[tuple[str, int], ...], there: int) -> tuple[tuple[str, int], ...] | None:
    """The axes of the `there` images that exist, if they are fewer or more than declared; None if none fit.

    Programs that stop early, and those that cut stacks, change the slowest axis.
    """
    if math.prod(n for _, n in axes) == there:
        return axes
    several = [(role, n) for role, n in axes if n > 1]
    if not several:
        return None
    (role, _), *faster = several
    block = math.prod(n for _, n in faster)
    n = -(-there // block)
    return ((role, n), *faster)


def steps(
    metadata: Mapping[str, Any], per_unit_y: float | None, per_unit_x: float | None
) -> dict[str, float]:
    """Steps along t (s) and z, y, x (µm); an axis whose unit is unknown or no length has none.

    The resolutions of a page are in pixels per `unit`.
    """
    found: dict[str, float] = {}
    unit = _unit(metadata.get("unit"))
    for role, per_unit in (("y", per_unit_y), ("x", per_unit_x)):
        um = _LENGTHS_UM.get(_unit(metadata.get(f"{role}unit")) or unit)
        if um is not None and per_unit:
            found[role] = um / per_unit
    spacing, interval = _step(metadata.get("spacing")), _step(metadata.get("finterval"))
    um = _LENGTHS_UM.get(_unit(metadata.get("zunit")) or unit)
    if um is not None and spacing:
        found["z"] = um * spacing
    seconds = _TIMES_S.get(_unit(metadata.get("tunit")))
    if seconds is not None and interval:
        found["t"] = seconds * interval
    return found


def _step(value: Any) -> float | None:
    return abs(float(value)) if isinstance(value, int | float) and 1e-12 < abs(value) < 1e12 else None


def _unit(value: Any) -> str:
    return str(value or "").strip().strip('"').lower()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value <= _MOST_IMAGES else 1


def channels(
    metadata: Mapping[str, Any], n_channels: int, n_planes: int, dtype: np.dtype[Any]
) -> tuple[Channel, ...]:
    """Return what `metadata` says of each channel; name and colour are "" where it says nothing."""
    names = _names(metadata.get("Labels"), n_channels, n_planes)
    tables, ranges = _entries(metadata.get("LUTs")), _entries(metadata.get("Ranges"))
    found = []
    for c, name in enumerate(names):
        color, inverted = _color(tables[c]) if c < len(tables) else ("", False)
        window = _window(*ranges[2 * c : 2 * c + 2]) if 2 * c + 1 < len(ranges) else None
        found.append(Channel(name, color, window=useful_window(window, dtype), inverted=inverted))
    return tuple(found)


def _entries(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _names(labels: Any, n_channels: int, n_planes: int) -> list[str]:
    """The names of the channels: the label of each, if all of its planes have the same."""
    if n_channels < 2 or not isinstance(labels, list) or len(labels) not in (n_channels, n_planes):
        return [""] * n_channels
    of_channel = [set(labels[c::n_channels]) for c in range(n_channels)]
    if not all(len(each) == 1 and all(isinstance(label, str) for label in each) for each in of_channel):
        return [""] * n_channels
    return [" ".join(each.pop().split())[:_LONGEST_LABEL] for each in of_channel]


def _color(table: Any) -> tuple[str, bool]:
    """The colour of a table that leads from or to black, and whether it leads to black; "" for others."""
    if not isinstance(table, np.ndarray) or table.dtype != np.uint8 or table.shape != (3, 256):
        return "", False
    first, last = table[:, 0], table[:, -1]
    if first.max() <= _BLACK < last.max():
        return "#" + bytes(last.tolist()).hex().upper(), False
    if last.max() <= _BLACK < first.max():
        return "#" + bytes(first.tolist()).hex().upper(), True
    return "", False


def _window(low: Any, high: Any) -> tuple[float, float] | None:
    if not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in (low, high)):
        return None
    return (float(low), float(high)) if low < high else None
