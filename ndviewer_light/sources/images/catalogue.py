"""Which file holds which planes: fields of names in, indices out. No disk.

What was found once keeps its index; what appears later comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...errors import LimitExceededError
from ...model import PlaneKey, Position, natural_key
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    _T = TypeVar("_T")

Fields = dict[str, str]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _FieldKey(NamedTuple):
    region: str
    fov: int


@dataclass
class FileCatalogue:
    """All files by what they hold: values along each axis in order, and the name of each file by index.

    `times` and `z` are numbers or words as the names have them. One thread at a time may add.
    """

    times: list[str] = field(default_factory=list)
    places: list[_FieldKey] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    z: list[str] = field(default_factory=list)
    files: dict[PlaneKey, str] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()
    doubles: int = 0

    def add(self, found: Iterable[tuple[Fields, str]]) -> None:
        """Add files, by their fields and names; those that are known already stay as they are.

        Raises `LimitExceededError` for more positions or channels than can be shown.
        """
        entries = [(_numbered(fields), name) for fields, name in found]
        self.roles |= {role for fields, _ in entries for role in fields}
        times = _extended(self.times, (fields.get("t", "0") for fields, _ in entries))
        z = _extended(self.z, (fields.get("z", "0") for fields, _ in entries))
        channels = _extended(self.channels, (fields.get("c", "") for fields, _ in entries))
        places = self._extended_places(_place(fields) for fields, _ in entries)
        if len(self.places) > MAX_POSITIONS or len(self.channels) > MAX_CHANNELS:
            raise LimitExceededError(
                f"the names of the files tell of {len(self.places)} positions and {len(self.channels)} "
                "channels: give a pattern that says what is what"
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
        self.places += sorted(new, key=lambda place: (natural_key(place.region), place.fov))
        return {place: i for i, place in enumerate(self.places)}

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions in order."""
        return tuple(Position(place.region or "default", place.fov) for place in self.places)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the time points, where they are numbers and not 0…n-1."""
        if not all(time.isdecimal() for time in self.times):
            return ()
        numbers = tuple(map(int, self.times))
        return () if numbers == tuple(range(len(numbers))) else numbers

    def channel_names(self) -> list[str]:
        """What the channels are called: "Ch2" where they only have numbers, "" where there is but one."""
        return [f"Ch{name}" if name.isdecimal() else name for name in self.channels]


def _numbered(fields: Fields) -> Fields:
    """Fields with their numbers as such: "007" and "7" are the same."""
    return {role: str(int(text)) if _is_number(text) else text for role, text in fields.items()}


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 18


def _place(fields: Fields) -> _FieldKey:
    region, fov = fields.get("region", ""), fields.get("fov", "")
    if "row" in fields or "column" in fields:
        region = _row(fields.get("row", "")) + fields.get("column", "")
    if fov and not _is_number(fov):  # a word
        return _FieldKey(f"{region} {fov}".strip(), 0)
    return _FieldKey(region, int(fov or 0))


def _row(text: str) -> str:
    """Rows of a plate have letters."""
    row = int(text) - 1 if _is_number(text) else -1
    if not 0 <= row < 2 * len(_LETTERS):
        return text
    return "A" * (row // len(_LETTERS)) + _LETTERS[row % len(_LETTERS)]


def _extended(known: list[str], found: Iterable[str]) -> dict[str, int]:
    """The index of each value; new ones come after those that are known, in natural order."""
    known += sorted(set(found).difference(known), key=natural_key)
    return {value: i for i, value in enumerate(known)}
