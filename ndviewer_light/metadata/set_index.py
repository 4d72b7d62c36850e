"""What an instrument's index says of the images beside it, and what indexes have in common. Pure; no I/O."""

from __future__ import annotations

import re
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


PlaceUm = tuple[float, float]
_WIDEST_PLATE_UM = 1e6
"""No plate is as large."""
_SAME_UM = 1.0
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WELL = re.compile(r"([A-Za-z]{1,2})[ _-]{0,3}0*([0-9]{1,3})")


def plain_well(name: str) -> str:
    """A well in one way of writing: "B3" for "b03" and "B - 3"."""
    found = _WELL.fullmatch(name.strip())
    return name if found is None else f"{found[1].upper()}{found[2]}"


def well_at(row: str, column: str) -> str:
    """The well in a row and column that count from 1, as `plain_well` has it; "" if they are no numbers."""
    letters = letters_of_row(int(row[:4]) - 1) if row.isdecimal() and column.isdecimal() else ""
    return f"{letters}{int(column[:9])}" if letters else ""


def letters_of_row(row: int) -> str:
    """The letters of a row of a plate, counted from 0: "A" to "Z", "AA" to "AZ"; "" for others."""
    if not 0 <= row < 2 * len(_LETTERS):
        return ""
    return "A" * (row // len(_LETTERS)) + _LETTERS[row % len(_LETTERS)]


def stage_places(
    images: Iterable[tuple[str, str, float | None, float | None]],
) -> Mapping[tuple[str, int], PlaceUm]:
    """Where fields are in their wells, x and y in µm, by well and number; y grows downwards as in pictures.

    `images` are told by their well, field, x and y, where y grows upwards, as on the stages of instruments.
    Fields that are at the same place in all wells are there in others as well: the well "" stands for them.
    """
    found: dict[tuple[str, int], PlaceUm] = {}
    for well, number, x, y in images:
        if x is None or y is None or not number.isdecimal() or len(number) > 9:
            continue
        if max(abs(x), abs(y)) < _WIDEST_PLATE_UM:
            found.setdefault((well, int(number)), (x, -y if y else 0.0))
    common: dict[int, PlaceUm | None] = {}
    for (_, field), (x, y) in found.items():
        other = common.setdefault(field, (x, y))
        if other is not None and max(abs(x - other[0]), abs(y - other[1])) > _SAME_UM:
            common[field] = None
    found.update({("", field): place for field, place in common.items() if place is not None})
    return found


class IndexedPlace(NamedTuple):
    """Which field a stage position is: its region (a well, or ""), its number in it, its name."""

    region: str
    fov: int
    name: str


class SetIndex(NamedTuple):
    """What an index says: the channels by how they are written in the names of files, and steps in µm and s.

    `pattern` is that of the names of its files, "" where they are those of a convention; `places` are the
    fields by their numbers in names, if they have names of their own. `stage`, see `stage_places`. `planned`
    are the parts of names that files are to have, also those that are not there yet, each along one axis;
    `n_z` is how many planes their stacks are to have, 0 if that is not said.
    """

    channels: Mapping[str, Channel]
    steps: Mapping[str, float]
    pattern: str = ""
    places: Mapping[int, IndexedPlace] = MappingProxyType({})
    stage: Mapping[tuple[str, int], PlaceUm] = MappingProxyType({})
    planned: tuple[Mapping[str, str], ...] = ()
    n_z: int = 0

    def place_of(self, well: str, field: int) -> PlaceUm | None:
        """Where a field is, x and y in µm; None if that is not said."""
        return self.stage.get((plain_well(well), field), self.stage.get(("", field)))


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
