"""The names that the next files of a series will have, so that they can be looked for without listing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ...model import PlaneKey
from .listing import fields_of, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .catalogue import FileCatalogue
    from .patterns import Pattern

    Fields = dict[str, str]

_COUNTED = {"t": "t", "p": "fov", "z": "z"}
"""The role of each axis whose next value follows from the last ones."""
_MAX_DIGITS_NEXT = 18


class NextNames:
    """Says which names may come after a file, whatever the order of the loops of its writer. No disk access.

    After a plane comes the next one along one of the axes, and along the others the same or the first again.
    """

    def __init__(self, pattern: Pattern, catalogue: FileCatalogue) -> None:
        """`pattern` of the names of all files in the catalogue."""
        self._pattern = pattern
        self._catalogue = catalogue

    def after(self, key: PlaneKey) -> Iterator[str]:
        """The names of planes that may come after `key`, a known one, and are not in the catalogue yet."""
        name = self._catalogue.files[key]
        asked = set[PlaneKey]()
        for axis in "tpzc":
            stepped = key._replace(**{axis: getattr(key, axis) + 1})
            others = [other for other in "tpcz" if other != axis and getattr(key, other)]
            for n in range(len(others) + 1):
                for again in itertools.combinations(others, n):
                    wanted = stepped._replace(**dict.fromkeys(again, 0))
                    if wanted in asked or wanted in self._catalogue.files:
                        continue
                    asked.add(wanted)
                    named = (self._named(name, fields) for fields in self._fields(wanted))
                    yield from filter(None, named)

    def _fields(self, key: PlaneKey) -> list[Fields]:
        """What the fields in the name of a plane may be; at most one index is beyond those that are known."""
        found: list[Fields] = [{}]
        for axis, index in zip("tpcz", key, strict=True):
            spelt = self._catalogue.spelt(axis)
            if index < len(spelt):
                choices = [spelt[index]]
            else:
                choices = _following(spelt, _COUNTED[axis]) if axis in _COUNTED else []
            found = [fields | own for fields in found for own in choices]
        return found

    def _named(self, name: str, fields: Mapping[str, str]) -> str | None:
        """`name` with other fields."""
        stem = stem_of(name)
        match = self._pattern.match(stem)
        if match is None:
            stem = name
            match = self._pattern.match(stem)
        if match is None:
            return None
        named = stem
        for (start, end), role in sorted(((match.span(role), role) for role in fields), reverse=True):
            if start >= 0:
                named = named[:start] + fields[role] + named[end:]
        named += name[len(stem) :]
        return named if fields_of(self._pattern, named) == fields else None


def _following(spelt: Sequence[Fields], role: str) -> list[Fields]:
    """The values that may come after the last one of an axis, written like that; none if it is no number.

    The next number, and the one that is as far from the last as that is from the one before.
    """
    last = spelt[-1]
    number = _number(last, role)
    if number is None:
        return []
    before = _number(spelt[-2], role) if len(spelt) > 1 else None
    steps = {1, number - before} if before is not None and before < number else {1}
    return [last | {role: str(number + step).zfill(len(last[role]))} for step in sorted(steps, reverse=True)]


def _number(spelt: Fields, role: str) -> int | None:
    text = spelt.get(role, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _MAX_DIGITS_NEXT else None
