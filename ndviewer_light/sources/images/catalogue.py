"""Maps files to planes: fields of names in, indices out. No disk access.

Files keep their index once found; later ones are appended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import LimitExceededError
from ...model import PlaneKey, Position, natural_key
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    _T = TypeVar("_T")

Fields = dict[str, str]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?")
_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPACED_WELL = re.compile(r"[A-Za-z]{1,2} ?- ?[0-9]{1,2}")
_ELAPSED = re.compile(r"(?:[0-9]+[dhms]_?)+", re.IGNORECASE)
_WAVELENGTH_NM = range(300, 1_000)


class _FieldKey(NamedTuple):
    plate: str
    region: str
    fov: int


@dataclass
class FileCatalogue:
    """All files by content: the ordered values along each axis, and the name of each file by index.

    `times` and `z` are numbers or words as in the names. One thread at a time may add.
    """

    times: list[str] = field(default_factory=list)
    places: list[_FieldKey] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    z: list[str] = field(default_factory=list)
    files: dict[PlaneKey, str] = field(default_factory=dict)
    doubles: int = 0

    def add(self, found: Iterable[tuple[Fields, str]]) -> None:
        """Add files by their fields and names; those already known do not change.

        Raises `LimitExceededError` for more positions or channels than can be shown.
        """
        entries = [(_numbered(fields), name) for fields, name in found]
        times = _extended(self.times, (fields.get("t", "0") for fields, _ in entries))
        z = _extended(self.z, (fields.get("z", "0") for fields, _ in entries))
        channels = _extended(self.channels, (fields.get("c", "") for fields, _ in entries))
        places = self._extended_places(_place(fields) for fields, _ in entries)
        if len(self.places) > MAX_POSITIONS or len(self.channels) > MAX_CHANNELS:
            raise LimitExceededError(
                f"the file names imply {len(self.places)} positions and {len(self.channels)} "
                "channels: give a pattern that describes the names"
            )
        for fields, name in entries:
            key = PlaneKey(
                times[fields.get("t", "0")],
                places[_place(fields)],
                channels[fields.get("c", "")],
                z[fields.get("z", "0")],
            )
            if self.files.setdefault(key, name) != name:
                self.doubles += 1

    def _extended_places(self, found: Iterable[_FieldKey]) -> Mapping[_FieldKey, int]:
        new = set(found).difference(self.places)
        self.places += sorted(new, key=lambda at: (natural_key(at.plate), natural_key(at.region), at.fov))
        return {place: i for i, place in enumerate(self.places)}

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions in order."""
        several = len({place.plate for place in self.places}) > 1
        regions = (f"{at.plate} {at.region}".strip() if several else at.region for at in self.places)
        return tuple(
            Position(region or "default", at.fov) for region, at in zip(regions, self.places, strict=True)
        )

    @property
    def roles(self) -> frozenset[str]:
        """The axes among time, channel and z with several values in the names."""
        lengths = {"t": len(self.times), "c": len(self.channels), "z": len(self.z)}
        return frozenset(role for role, n in lengths.items() if n > 1)

    @property
    def time_step_s(self) -> float | None:
        """The time step in seconds, if the names contain evenly spaced times."""
        times = [_seconds(time) for time in self.times]
        if len(times) < 2 or None in times:
            return None
        steps = {b - a for a, b in pairwise(times) if a is not None and b is not None}
        return float(steps.pop()) if len(steps) == 1 and min(steps) > 0 else None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the time points, if they are numbers other than 0…n-1."""
        if not all(time.isdecimal() for time in self.times):
            return ()
        numbers = tuple(map(int, self.times))
        return () if numbers == tuple(range(len(numbers))) else numbers

    def channel_names(self) -> list[str]:
        """The channel names: "Ch2" for numbers, "" if there is only one."""
        return [f"Ch{name}" if _is_count(name) else name for name in self.channels]


def _numbered(fields: Fields) -> Fields:
    """Fields with numbers by value, "007" and "7" are the same; position names are unchanged."""
    return {role: text if role in ("region", "plate") else _plain(text) for role, text in fields.items()}


def _plain(text: str) -> str:
    """A number in canonical form: "7" for "007", "0.5" for "+0.50"."""
    if _is_number(text):
        return str(int(text))
    return f"{float(text):.9g}" if _NUMBER.fullmatch(text) else text


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 18


def _is_count(name: str) -> bool:
    """Whether a channel is just a count; 488 is a wavelength."""
    return name.isdecimal() and int(name) not in _WAVELENGTH_NM


def _seconds(text: str) -> int | None:
    """Seconds since the start, of "00d06h00m"."""
    if _ELAPSED.fullmatch(text) is None:
        return None
    return sum(
        int(n) * _UNIT_SECONDS[unit.lower()] for n, unit in re.findall(r"([0-9]+)([dhms])", text, re.I)
    )


def _place(fields: Fields) -> _FieldKey:
    plate, region, fov = fields.get("plate", ""), fields.get("region", ""), fields.get("fov", "")
    if "row" in fields or "column" in fields:
        region = _row(fields.get("row", ""), 1) + fields.get("column", "")
    elif "row0" in fields or "column0" in fields:
        region = _row(fields.get("row0", ""), 0) + _next(fields.get("column0", ""))
    elif "wellnumber" in fields:
        region = f"W{fields['wellnumber']}"
    elif _SPACED_WELL.fullmatch(region):  # "A - 01"
        region = re.sub("[ -]", "", region)
    if fov and not _is_number(fov):  # a word
        return _FieldKey(plate, f"{region} {fov}".strip(), 0)
    return _FieldKey(plate, region, int(fov or 0))


def _next(text: str) -> str:
    return str(int(text) + 1) if _is_number(text) else text


def _row(text: str, first: int) -> str:
    """Plate rows are letters; they count from `first`."""
    row = int(text) - first if _is_number(text) else -1
    if not 0 <= row < 2 * len(_LETTERS):
        return text
    return "A" * (row // len(_LETTERS)) + _LETTERS[row % len(_LETTERS)]


def _extended(known: list[str], found: Iterable[str]) -> dict[str, int]:
    """The index of each value; new ones are appended in natural order."""
    known += sorted(set(found).difference(known), key=_order)
    return {value: i for i, value in enumerate(known)}


def _order(text: str) -> tuple[int, float, Any]:
    """Numbers by value, before words in natural order."""
    return (0, float(text), ()) if _NUMBER.fullmatch(text) else (1, 0.0, natural_key(text))
