r"""Patterns of file names: which part of a name is the time, the channel, …. No disk access.

``img_t{t:d}_c{c}_z{z:d}.png`` parses names; with ranges it also generates them, as is needed where nothing
can be listed: ``https://server/img_z{z:00..95}_{c:DAPI|GFP}.png``.

================  ==========================================================================
``{z:d}``         a number, zero-padded or not; ``{z:3d}`` one of at least three digits
``{z:f}``         a number that may have a sign and decimals: ``-1``, ``0.5``
``{t:time}``      a time: ``00d06h00m``, ``12h30m``, ``2024y01m15d_06h00m``, ``20240115_060000``
``{t:dmy}``       a date with the day first, and a time: ``15.01.2024 06.00``; ``{t:mdy}`` the month
``{t:clock}``     an hour and a minute: ``09_58``, ``23.05``
``{well:well}``   a well: ``A1``, ``b07``, ``A - 01``
``{c}``           any text without a slash
``{z:0..95}``     a number of this range; ``{z:00..95}`` always has two digits
``{c:GFP|RFP}``   one of these words
``{:d}`` ``{:w}``  a number, a word (up to the next ``_``, dash, …) to be ignored; ``{uuid}`` a UUID
``*`` ``?``       anything; any single character
``**/``           any folders, or none
``<_s{p:d}>``     optional text
================  ==========================================================================

Fields are ``t``, ``day`` (or an hour, or a cycle: what goes before ``t``), ``c``, ``z``, ``p`` (or ``fov``),
``region`` (or ``well``), ``row`` and ``col`` (``row0`` and ``col0`` where they count from 0), ``wellnumber``,
``plate``. Upper and lower case are the same.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError, LimitExceededError
from ...storage.presentable import presentable_name
from .dates import CLOCK, DATE_TIMES, DATES, SHORT_CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

    Fields = dict[str, str]

MAX_FILES = 1_000_000
_MAX_FIELDS = 12

ROLES = {
    **dict.fromkeys(("t", "time", "timepoint", "frame"), "t"),
    **dict.fromkeys(("day",), "day"),
    **dict.fromkeys(("c", "ch", "channel", "wavelength"), "c"),
    **dict.fromkeys(("z", "slice", "plane", "depth"), "z"),
    **dict.fromkeys(("region", "well"), "region"),
    **dict.fromkeys(("fov", "f", "field", "s", "site", "series", "p", "pos", "position", "xy"), "fov"),
    **dict.fromkeys(("row",), "row"),
    **dict.fromkeys(("col", "column"), "column"),
    **dict.fromkeys(("row0",), "row0"),
    **dict.fromkeys(("col0", "column0"), "column0"),
    **dict.fromkeys(("wellnumber",), "wellnumber"),
    **dict.fromkeys(("plate",), "plate"),
}
"""What a field of a pattern may be called, and what it is then."""

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ELAPSED = (
    r"(?:[0-9]{4}y[0-9]{1,2}m[0-9]{1,2}d_?|(?:19|20)[0-9]{2}[-_.]?[01][0-9][-_.]?[0-3][0-9][T_ -])?"
    r"(?:[0-9]{1,4}d_?)?[0-9]{1,4}h_?[0-9]{1,2}m(?:_?[0-9]{1,2}s)?"
    r"|[0-9]{1,4}d[0-9]{1,2}h|[0-9]{1,3}h[0-5][0-9]|[0-9]{1,3}m_?[0-5]?[0-9]s"
)
TIME = "|".join((DATE_TIMES["time"], ELAPSED, DATES["time"], CLOCK))
SIGNED = r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?"
WELL_PATTERN = r"(?:a[a-f]|[a-p])(?: ?- ?)?(?:[1-4][0-9]|0?[1-9])"
"""Case-insensitive regular expressions for single items in a name."""

_DAY_FIRST, _MONTH_FIRST = (f"{DATE_TIMES[kind]}|{DATES[kind]}" for kind in ("dmy", "mdy"))
_KINDS = {
    "f": SIGNED,
    "time": TIME,
    "dmy": _DAY_FIRST,
    "mdy": _MONTH_FIRST,
    "well": WELL_PATTERN,
    "clock": SHORT_CLOCK,
    "w": r"[^/_\-. ()\[\]=,;]*",
}

_FIELD = re.compile(r"\{([A-Za-z]\w*)?(?::([^{}]*))?\}")
_TOKEN = re.compile(r"(\{[^{}]*\}|\*\*/|[*?<>])")
_SIGNS = {"*": "[^/]*?", "?": "[^/]", "**/": "(?:.*/)?", "<": "(?:", ">": ")?"}
_NUMBER = re.compile(r"0?([0-9]?)d")
_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")


class _Field(NamedTuple):
    role: str
    expression: str
    words: tuple[str, ...] = ()  # all possible values, if known


class Pattern:
    """A parsed pattern. Immutable; any thread."""

    def __init__(self, text: str) -> None:
        """Parse a pattern; raises `DatasetError` that explains what is wrong with it."""
        self.text = text
        self._parts = [_part(token, text) for token in _TOKEN.split(text) if token]
        fields = [part for part in self._parts if isinstance(part, _Field) and part.role]
        if self._parts.count("<") != self._parts.count(">"):
            raise DatasetError(f"the pattern {text!r} has unbalanced '<' and '>'")
        if not fields:
            raise DatasetError(
                f"the pattern {presentable_name(text)!r} has no field: mark the axes, for example 't{{t:d}}'"
            )
        if len(fields) > _MAX_FIELDS:
            raise DatasetError(
                f"the pattern {presentable_name(text)!r} has {len(fields)} fields; at most {_MAX_FIELDS} are "
                "allowed"
            )
        self.roles = tuple(dict.fromkeys(field.role for field in fields))
        self._fields = fields
        self._regex = _compiled(self._expression(), text)

    @property
    def expression(self) -> str:
        """The equivalent regular expression, with a group for each role."""
        return self._regex.pattern

    @property
    def depth(self) -> int | None:
        """The depth of its files in subfolders; None if open."""
        return None if "**/" in self._parts else self.text.count("/")

    @property
    def names_files(self) -> bool:
        """Whether it tells all names that there may be: each field is a range or some words."""
        distinct = {field.role: field for field in reversed(self._fields)}
        is_open = any(part in _SIGNS or part[:1] == ("",) for part in self._parts)
        return not is_open and all(field.words for field in distinct.values())

    def _expression(self) -> str:
        parts, seen = [], set()
        for part in self._parts:
            if not isinstance(part, _Field):
                parts.append(_SIGNS.get(part, re.escape(part)))
            elif not part.role:
                parts.append(f"(?:{part.expression})")
            elif part.role in seen:  # the same field again
                parts.append(f"(?P={part.role})")
            else:
                seen.add(part.role)
                parts.append(f"(?P<{part.role}>{part.expression})")
        return "".join(parts)

    def match(self, name: str) -> re.Match[str] | None:
        """Where the fields of a name are: a group for each role that it has; None if it does not match."""
        return self._regex.fullmatch(name)

    def read(self, name: str) -> Fields | None:
        """The fields of a name, by role; None if it does not match."""
        match = self.match(name)
        if match is None:
            return None
        return {role: text for role, text in match.groupdict().items() if text is not None}

    def names(self) -> Iterator[tuple[str, Fields]]:
        """All possible names, with their fields.

        Raises `DatasetError` if a field is not a range, `LimitExceededError` for too many.
        """
        distinct = {field.role: field for field in reversed(self._fields)}
        if not self.names_files:
            raise DatasetError(
                f"the pattern {presentable_name(self.text)!r} does not name individual files, and the server "
                "cannot list them: give each field a range, for example '{z:0..95}', "
                "or words, for example '{c:GFP|RFP}'"
            )
        total = 1
        for field in distinct.values():
            total *= len(field.words)
        if total > MAX_FILES:
            raise LimitExceededError(
                f"the pattern {presentable_name(self.text)!r} names {total} files; at most {MAX_FILES} are "
                "allowed"
            )
        roles = list(self.roles)
        for words in itertools.product(*(distinct[role].words for role in roles)):
            fields = dict(zip(roles, words, strict=True))
            yield "".join(fields[p.role] if isinstance(p, _Field) else p for p in self._parts), fields


def _part(token: str, text: str) -> str | _Field:
    if token[0] != "{":
        return token
    if token == "{uuid}":
        return _Field("", UUID)
    match = _FIELD.fullmatch(token)
    role = (ROLES.get(match[1].lower()) if match[1] else "") if match else None
    if match is None or role is None or (not role and not match[2]):
        known = "t, c, z, p, well, fov"
        raise DatasetError(
            f"the pattern {presentable_name(text)!r} has an unknown field {token}; use {known}, for example "
            f"'{{t:d}}'"
        )
    return _field(role, match[2] or "", token, text)


def _field(role: str, spec: str, token: str, text: str) -> _Field:
    if not spec or spec == "s":
        return _Field(role, "[^/]+?")
    if spec in _KINDS:
        return _Field(role, _KINDS[spec])
    if (number := _NUMBER.fullmatch(spec)) is not None:
        return _Field(role, f"[0-9]{{{number[1] or 1},18}}")
    if (ends := _RANGE.fullmatch(spec)) is not None:
        first, last = int(ends[1]), int(ends[2])
        if not first <= last < first + MAX_FILES:
            raise DatasetError(
                f"the pattern {presentable_name(text)!r} has a range {token} that is empty or too long"
            )
        width = len(ends[1]) if ends[1][0] == "0" or len(ends[1]) == len(ends[2]) else 1
        words = tuple(str(n).zfill(width) for n in range(first, last + 1))
        return _Field(role, "|".join(words) if len(words) <= 64 else "[0-9]{1,18}", words)
    if "|" in spec or (re.fullmatch(r"[\w .+-]+", spec) and ".." not in spec):
        words = tuple(dict.fromkeys(word for word in spec.split("|") if word))
        if words and not any("/" in word for word in words):
            return _Field(role, "|".join(map(re.escape, sorted(words, key=len, reverse=True))), words)
    raise DatasetError(
        f"the pattern {presentable_name(text)!r} has an invalid field {token}: after the colon, expected "
        "'d', '0..95' or 'A|B'"
    )


def _compiled(expression: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.DOTALL | re.IGNORECASE)
    except re.error as error:
        raise DatasetError(f"the pattern {text!r} is invalid: {error}") from error


def is_pattern(name: str) -> bool:
    """Whether a path or URL is a pattern."""
    return _FIELD.search(name) is not None


def escaped(literal: str) -> str:
    """Text of a name, escaped for use in a pattern."""
    return re.sub(r"[{}*<>]", "?", literal)
