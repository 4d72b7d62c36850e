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

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_LABEL = 200
_BLACK = 24  # a table that begins or ends darker than this counts as a ramp from or to black


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
