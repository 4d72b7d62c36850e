"""What an instrument's index says of the images beside it, and what indexes have in common. Pure; no I/O."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .named_axes import SANE_STEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..model import Channel

_EVEN = 0.05
"""By so much of a step steps may differ: stages do not stop just where they are told to, nor do clocks."""
_WAVELENGTHS_NM = (1.0, 20_000.0)


class IndexedPlace(NamedTuple):
    """Which field a stage position is: its region (a well, or ""), its number in it, its name."""

    region: str
    fov: int
    name: str


class SetIndex(NamedTuple):
    """What an index says: the channels by how they are written in the names of files, and steps in µm and s.

    `pattern` is that of the names of its files, "" where they are those of a convention; `places` are the
    fields by their numbers in names, if they have names of their own.
    """

    channels: Mapping[str, Channel]
    steps: Mapping[str, float]
    pattern: str = ""
    places: Mapping[int, IndexedPlace] = MappingProxyType({})


def told_apart(channels: Mapping[str, Channel]) -> Mapping[str, Channel]:
    """The channels, unless their names do not tell them apart: then these are none."""
    names = {channel.name for channel in channels.values()}
    return channels if len(names) == len(channels) else {}


def sane_steps(found: Mapping[str, float | None]) -> dict[str, float]:
    """The steps that can be believed."""
    return {axis: step for axis, step in found.items() if step and SANE_STEP[0] < step < SANE_STEP[1]}


def even_step(places: Mapping[int, float]) -> float | None:
    """How far apart places are, given by their numbers; None if unevenly."""
    steps = [(places[b] - places[a]) / (b - a) for a, b in pairwise(sorted(places))]
    if not steps or max(steps) - min(steps) > abs(steps[0]) * _EVEN:
        return None
    return abs(sum(steps) / len(steps))


def wavelength(nm: float | None) -> float | None:
    """A wavelength in nm, if it may be one."""
    return nm if nm is not None and _WAVELENGTHS_NM[0] < nm < _WAVELENGTHS_NM[1] else None


def number_in(text: str) -> float | None:
    """A number as written, also with a decimal comma; None if it is none."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def all_same(values: Iterable[float | None]) -> float | None:
    """The one value that all have; None if they differ."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
