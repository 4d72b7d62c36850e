"""Maps files to planes: fields of names in, indices out. No disk access.

Files keep their index once found; later ones are appended.
"""

from __future__ import annotations

import functools
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ...errors import LimitExceededError
from ...metadata.set_index import letters_of_row
from ...model import PlaneKey, Position, natural_key
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS
from .dates import DAY_SECONDS, begin_of_run, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...metadata.set_index import SetIndex

    StageUm = tuple[float | None, float | None, float | None]  # x, y, z

_T = TypeVar("_T")

Fields = dict[str, str]


_FIELD_MARK = re.compile(r"(?<![A-Za-z])([A-Za-z]+[ _-]?)\{fov(?::[0-9]*d)?\}")
_DATED = re.compile(r"\{[A-Za-z]\w*:(time|dmy|mdy|clock)\}", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?")
_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPACED_WELL = re.compile(r"[A-Za-z]{1,2} ?- ?[0-9]{1,2}")
_ELAPSED = re.compile(r"(?:[0-9]+[dhms]_?)+", re.IGNORECASE)
_WAVELENGTH_NM = range(300, 1_000)
_TIME_ROLES = ("day", "t")
_PLACE_ROLES = ("plate", "region", "row", "column", "row0", "column0", "wellnumber", "fov")


class _FieldKey(NamedTuple):
    plate: str
    region: str
    fov: int


class _ValuesAlong(Generic[_T]):
    """The values along one axis, in order; they keep their index, later ones are appended."""

    def __init__(self, roles: tuple[str, ...], order: Callable[[_T], Any]) -> None:
        self.roles = roles
        self.values: list[_T] = []
        self.index: dict[_T, int] = {}
        self.spelt: list[Fields] = []
        """How each value is written in the name of the first file that has it."""
        self.is_in_order = True
        """Whether none was appended that comes before one that was known."""
        self._order = order

    def extend(self, found: Iterable[tuple[_T, Fields]]) -> None:
        """Append the values that are new, in natural order; with the fields they are from."""
        new: dict[_T, Fields] = {}
        for value, fields in found:
            if value not in self.index and value not in new:
                new[value] = fields
        for value in sorted(new, key=self._order):
            if self.values and self._order(value) < self._order(self.values[-1]):
                self.is_in_order = False
            self.index[value] = len(self.values)
            self.values.append(value)
            self.spelt.append({role: new[value][role] for role in self.roles if role in new[value]})


_NOWHERE: StageUm = (None, None, None)


class FileCatalogue:
    """All files by content: the ordered values along each axis, and the name of each file by index.

    Adding files costs what is added, however many there are. One thread at a time may add.
    """

    def __init__(
        self,
        pattern: str = "",
        stage: Mapping[tuple[str, int], StageUm] | None = None,
        said: SetIndex | None = None,
        beside: SetIndex | None = None,
    ) -> None:
        """`pattern` is that of the names: what it has before the number of a field is a part of the field's
        name, "Pos0". `stage` is where fields are on the stage in µm (x, y, z), by region and number.
        `said` is what an index says of fields and channels; one `beside` says where fields are.
        """
        self._stage = stage or {}
        self._index, self._beside = said, beside
        self._said = said.places if said is not None else {}
        self._names = {(place.region, place.fov): place.name for place in self._said.values()}
        known = {channel: i for i, channel in enumerate(said.channels if said is not None else ())}
        marked = _FIELD_MARK.search(pattern)
        self._mark = marked[1] if marked else ""
        self.files: dict[PlaneKey, str] = {}
        self.doubles = 0
        dated = _DATED.search(pattern)
        self._dates = dated[1].lower() if dated else ""
        self._begin_of_run = 0.0  # of times of day, which may go over midnight
        self._times = _ValuesAlong[str](_TIME_ROLES, self._order_of_time)
        self._places = _ValuesAlong[_FieldKey](
            _PLACE_ROLES, lambda at: (natural_key(at.plate), natural_key(at.region), at.fov)
        )
        self._channels = _ValuesAlong[str](("c",), lambda name: (known.get(name, len(known)), _order(name)))
        self._z = _ValuesAlong[str](("z",), _order)
        self._positions: tuple[Position, ...] = ()
        self._plates: set[str] = set()
        self._numbers: list[int] | None = []  # of the times, None once one is not a number
        self._is_counted = True  # whether they are 0…n-1

    def anew(self, pattern: str) -> FileCatalogue:
        """An empty one of the same files, whose names are understood by another pattern."""
        return FileCatalogue(pattern, self._stage, self._index, self._beside)

    @property
    def times(self) -> list[str]:
        """The time points, numbers or words as in the names."""
        return self._times.values

    @property
    def places(self) -> list[_FieldKey]:
        """The positions as the names have them."""
        return self._places.values

    @property
    def channels(self) -> list[str]:
        """The channels as in the names."""
        return self._channels.values

    @property
    def z(self) -> list[str]:
        """The planes of a stack, numbers or words as in the names."""
        return self._z.values

    @property
    def is_in_order(self) -> bool:
        """Whether time points, and planes of stacks, came in the order of their numbers."""
        return self._times.is_in_order and self._z.is_in_order

    def spelt(self, axis: str) -> list[Fields]:
        """How the values along an axis ("t", "p", "c", "z") are written in names, by index."""
        axes: dict[str, _ValuesAlong[Any]] = {
            "t": self._times,
            "p": self._places,
            "c": self._channels,
            "z": self._z,
        }
        return axes[axis].spelt

    def add(self, found: Iterable[tuple[Fields, str]]) -> list[PlaneKey]:
        """Add files by their fields and names, and say where they are; those already known do not change.

        Raises `LimitExceededError` for more positions or channels than can be shown.
        """
        entries = [(_numbered(fields), fields, name) for fields, name in found]
        if self._dates and not self.times:
            self._begin_of_run = begin_of_run(_time(fields) for fields, _, _ in entries)
        self._times.extend((_time(fields), spelt) for fields, spelt, _ in entries)
        self._z.extend((fields.get("z", "0"), spelt) for fields, spelt, _ in entries)
        self._channels.extend((fields.get("c", ""), spelt) for fields, spelt, _ in entries)
        at = [self._said_of(_place(fields)) for fields, _, _ in entries]
        self._places.extend((place, spelt) for place, (_, spelt, _) in zip(at, entries, strict=True))
        if len(self.places) > MAX_POSITIONS or len(self.channels) > MAX_CHANNELS:
            raise LimitExceededError(
                f"the file names imply {len(self.places)} positions and {len(self.channels)} "
                "channels: give a pattern that describes the names"
            )
        keys = []
        for place, (fields, _, name) in zip(at, entries, strict=True):
            key = PlaneKey(
                self._times.index[_time(fields)],
                self._places.index[place],
                self._channels.index[fields.get("c", "")],
                self._z.index[fields.get("z", "0")],
            )
            keys.append(key)
            if self.files.setdefault(key, name) != name:
                self.doubles += 1
        return keys

    def plan(self, planned: Iterable[Mapping[str, str]]) -> None:
        """Make room for files that are to come: each of `planned` has the fields of a name, or some of them.

        Before files are added, so that all are in order. Nothing is made room for where it is too much.
        """
        fields = [dict(each) for each in planned]
        at = [(place, each) for each in fields if (place := self._planned_place(each)) is not None]
        if len({place for place, _ in at}) > MAX_POSITIONS:
            return
        self._places.extend(at)
        numbered = [(_numbered(each), each) for each in fields]
        self._times.extend(
            (_time(each), spelt) for each, spelt in numbered if not each.keys().isdisjoint(_TIME_ROLES)
        )
        self._channels.extend((each["c"], spelt) for each, spelt in numbered if "c" in each)
        self._z.extend((each["z"], spelt) for each, spelt in numbered if "z" in each)

    def _planned_place(self, fields: Fields) -> _FieldKey | None:
        is_told = not fields.keys().isdisjoint(_PLACE_ROLES)
        return self._said_of(_place(_numbered(fields))) if is_told else None

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions in order; the same object as long as there are no others."""
        new = self.places[len(self._positions) :]
        if new:
            plates = self._plates | {place.plate for place in new}
            if (len(plates) > 1) != (len(self._plates) > 1):  # they are all named anew
                self._positions, new = (), self.places
            self._plates = plates
            self._positions += tuple(
                Position(
                    (f"{at.plate} {at.region}".strip() if len(plates) > 1 else at.region) or "default",
                    at.fov,
                    *self._place_um(at),
                    self._name_of(at),
                )
                for at in new
            )
        return self._positions

    def _place_um(self, at: _FieldKey) -> StageUm:
        """Where a field is, by what is said of it; of one plate, as indexes tell it."""
        known = self._stage.get((at.region, at.fov))
        if known is not None or self._beside is None or at.plate:
            return known or _NOWHERE
        place = self._beside.place_of(at.region, at.fov)
        return _NOWHERE if place is None else (*place, None)

    def _said_of(self, at: _FieldKey) -> _FieldKey:
        """Where a field is that names only number, by what an index says of it."""
        said = self._said.get(at.fov) if self._said and not (at.region or at.plate) else None
        return at if said is None else _FieldKey("", said.region, said.fov)

    def _name_of(self, at: _FieldKey) -> str:
        """The name of a position as an index has it, or as it is written, where names have no wells."""
        if not at.plate and (name := self._names.get((at.region, at.fov))):
            return name
        written = self._places.spelt[self._places.index[at]].get("fov", "")
        return f"{self._mark}{written}" if self._mark and written and not (at.region or at.plate) else ""

    @property
    def roles(self) -> frozenset[str]:
        """The axes among time, channel and z with several values in the names."""
        lengths = {"t": len(self.times), "c": len(self.channels), "z": len(self.z)}
        return frozenset(role for role, n in lengths.items() if n > 1)

    @property
    def time_step_s(self) -> float | None:
        """The time step in seconds, if the names contain evenly spaced times."""
        times = [self._seconds(time) for time in self.times]
        if len(times) < 2 or None in times:
            return None
        steps = {round(b - a, 3) for a, b in pairwise(times) if a is not None and b is not None}
        return float(steps.pop()) if len(steps) == 1 and min(steps) > 0 else None

    def _seconds(self, text: str) -> float | None:
        time = self._clock_seconds(text)
        return _seconds(text) if time is None else time

    def _order_of_time(self, text: str) -> tuple[int, float, Any]:
        time = self._clock_seconds(text)
        return _order(text) if time is None else (0, time, ())

    def _clock_seconds(self, text: str) -> float | None:
        time = seconds_of(text, self._dates) if self._dates else None
        is_next_day = time is not None and time < self._begin_of_run
        return time if time is None or not is_next_day else time + DAY_SECONDS

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the time points, if they are numbers other than 0…n-1."""
        if self._numbers is None:
            return ()
        for time in self.times[len(self._numbers) :]:
            if not time.isdecimal():
                self._numbers = None
                return ()
            self._is_counted &= int(time) == len(self._numbers)
            self._numbers.append(int(time))
        return () if self._is_counted else tuple(self._numbers)

    def channel_names(self) -> list[str]:
        """The channel names: "Ch2" for numbers, "" if there is only one."""
        return [f"Ch{name}" if _is_count(name) else name for name in self.channels]


def _numbered(fields: Fields) -> Fields:
    """Fields with numbers by value, "007" and "7" are the same; position names are unchanged."""
    return {role: text if role in ("region", "plate") else _plain(text) for role, text in fields.items()}


@functools.lru_cache(maxsize=4096)  # few different ones in many names
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


def _time(fields: Fields) -> str:
    """The time point: "3", or "2:3" for the third of the second day."""
    if "day" not in fields:
        return fields.get("t", "0")
    return f"{fields['day']}:{fields['t']}" if "t" in fields else fields["day"]


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


def _region(at: _FieldKey, *, with_plate: bool) -> str:
    return f"{at.plate} {at.region}".strip() if with_plate else at.region


def _next(text: str) -> str:
    return str(int(text) + 1) if _is_number(text) else text


def _row(text: str, first: int) -> str:
    """Plate rows are letters; they count from `first`."""
    row = int(text) - first if _is_number(text) else -1
    return letters_of_row(row) or text


def _order(text: str) -> tuple[int, float, Any]:
    """Numbers by value, before words in natural order."""
    return (0, float(text), ()) if _NUMBER.fullmatch(text) else (1, 0.0, natural_key(text))
