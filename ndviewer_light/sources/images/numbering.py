"""How the files of a folder are numbered, found out from their names. Names in, a pattern out; no disk.

Names are cut at ``_ - . ( )`` and blanks into columns. A column that is the same everywhere says nothing;
one of ``t001``, ``ch02``, ``Z7``, ``pos3`` says what it is; so does a number after a word (``time_003``), or
a well (``B07``). What is left: words are channels, numbers are time, then z, if there is a file for each of
both. Two files never mean the same plane; where they would, nothing is guessed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from .patterns import Pattern, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARKERS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "frame", "fr", "sk"), "t"),
    **dict.fromkeys(("c", "ch", "chan", "channel", "w", "wv", "wavelength"), "c"),
    **dict.fromkeys(("z", "zpos", "slice", "zslice", "zstack", "plane", "depth"), "z"),
    **dict.fromkeys(("f", "fov", "fld", "field", "s", "site", "series", "scene", "xy", "p", "pos"), "fov"),
    **dict.fromkeys(("position", "m", "tile"), "fov"),
    **dict.fromkeys(("well",), "region"),
}
_KNOWN = (
    # Squid; Opera and Phenix; InCell; Micro-Manager 1.4
    "{t:d}/{region}_{fov:d}_{z:d}_{c}",
    "r{row:d}c{col:d}f{fov:d}p{z:d}-ch{c:d}sk{t:d}fk*fl*",
    "{region}(fld {fov:d} wv {c} z {z:d} time {t:d})",
    "{region}(fld {fov:d} wv {c} z {z:d})",
    "{region}(fld {fov:d} wv {c} time {t:d})",
    "{region}(fld {fov:d} wv {c})",
    "img_{t:d}_{c}_{z:d}",
)
_CUT = re.compile(r"[_\-. ()\[\]]+")
_CUT_LITTLE = re.compile(r"_+")
_LETTERS, _DIGITS = re.compile(r"[A-Za-z]+"), re.compile(r"[0-9]+")
_MARKED = re.compile(r"([A-Za-z]*?)([0-9]+)")
_PIECES = re.compile(r"([A-Za-z]+)([0-9]+)")
_SEVERAL = re.compile(r"(?:[A-Za-z]+[0-9]+){2,}")
_WELL = re.compile(r"[A-Pa-p](?:0?[1-9]|1[0-9]|2[0-4])|A[A-Fa-f](?:0?[1-9]|[1-3][0-9]|4[0-8])")
_MAX_SAMPLE = 20_000
_FEW = 200
_MAX_CHANNELS = 12
"""Words that differ more are places, not channels."""
_LEAST_FILLED = 0.9
"""Numbers that do not say what they are count two things only if there is a file for so many combinations."""
_MAX_STRANGERS = 0.1
"""Files that are not named like the others, as a share of all: above this nothing is guessed."""


class Guess(NamedTuple):
    """The pattern of names (without their endings), None if they are only ordered."""

    pattern: Pattern | None
    strangers: tuple[str, ...] = ()


def guess(names: Sequence[str]) -> Guess:
    """How the files of these names are numbered.

    Names are given without their endings, with a slash where they are in a folder of the folder.
    """
    if len(names) < 2:
        return Guess(None)
    sample, few = (names[:: max(1, len(names) // n)] for n in (_MAX_SAMPLE, _FEW))
    for text, is_sure in _candidates(sample):
        pattern = Pattern(text)
        if sum(pattern.read(name) is None for name in few) > 2 * _MAX_STRANGERS * len(few):
            continue
        found = [pattern.read(name) for name in names]
        strangers = tuple(name for name, fields in zip(names, found, strict=True) if fields is None)
        meant = [meaning(fields) for fields in found if fields is not None]
        if len(strangers) > _MAX_STRANGERS * len(names) or len(set(meant)) < max(len(meant), 2):
            continue
        if is_sure or len(meant) > _LEAST_FILLED * _n_places(meant):
            return Guess(pattern, strangers)
    return Guess(None)


Meaning = tuple[tuple[str, object], ...]


def _n_places(meant: Sequence[Meaning]) -> int:
    """How many files there would be if there were one for each combination."""
    seen: dict[str, set[object]] = {}
    for each in meant:
        for role, value in each:
            seen.setdefault(role, set()).add(value)
    return math.prod(map(len, seen.values()))


def meaning(fields: dict[str, str]) -> Meaning:
    """What fields say, numbers by value: "01" is "1"."""
    return tuple(sorted((role, int(text) if text.isdecimal() else text) for role, text in fields.items()))


# ---- columns -------------------------------------------------------------------------------


class _Column(NamedTuple):
    """What stands at one place in all names, and what is cut off before it ("*" if that varies)."""

    values: tuple[str, ...]
    cut: str

    @property
    def varies(self) -> bool:
        return len(set(self.values)) > 1


def _alike(names: Sequence[str]) -> list[str]:
    """Without the few that are built in another way than all others."""
    forms = [_DIGITS.sub("0", _LETTERS.sub("a", name)) for name in names]
    counts = Counter(forms)
    least = _MAX_STRANGERS * len(names)
    return [name for name, form in zip(names, forms, strict=True) if counts[form] > least]


def _candidates(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Patterns, the likeliest first, and whether the names say themselves what is what."""
    yield from ((text, True) for text in _KNOWN)
    yield from _from_columns(names)
    yield from _from_columns(_alike(names))


def _from_columns(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    for cut in (_CUT, _CUT_LITTLE):
        columns = _columns(names, cut)
        if columns is not None and (known := _pattern_of(columns)) is not None:
            yield known


def _columns(names: Sequence[str], cut: re.Pattern[str]) -> list[_Column] | None:
    """The columns of the names that have as many as most do; None if those are too few."""
    if not names:
        return None
    either = re.compile(f"(?:{cut.pattern}|/)")
    counts = Counter(len(either.findall(name)) for name in names)
    usual, n = counts.most_common(1)[0]
    if n < (1 - _MAX_STRANGERS) * len(names):
        return None
    rows, cuts = [], []
    for name in names:
        between = either.findall(name)
        if len(between) == usual:
            rows.append(_split(name, between))
            cuts.append(["", *between])
    columns = []
    for values, before in zip(zip(*rows, strict=True), zip(*cuts, strict=True), strict=True):
        columns.append(_Column(tuple(values), before[0] if len(set(before)) == 1 else "*"))
    return columns


def _split(name: str, between: list[str]) -> list[str]:
    values, at = [], 0
    for cut in between:
        end = name.index(cut, at)
        values.append(name[at:end])
        at = end + len(cut)
    return [*values, name[at:]]


class _PatternPart(NamedTuple):
    """A column as a pattern has it: fixed text, or a field of a role ("" where it is still to be found)."""

    text: str
    role: str = ""
    is_number: bool = False
    is_field: bool = False


def _pattern_of(columns: list[_Column]) -> tuple[str, bool] | None:
    known: list[_PatternPart] = []
    word = ""
    for column in columns:
        known += _parts_of(column, word)
        word = "" if column.varies else column.values[0].lower()
    parts = _with_roles(_without_doubles(known))
    roles = [part.role for part in parts if part.is_field]
    text = "".join(
        f"{{{part.role}{':d' if part.is_number else ''}}}" if part.is_field else part.text for part in parts
    )
    if not roles or "" in roles or len(set(roles)) != len(roles) or text in ("{c}", "{region}"):
        return None
    n_unsaid = sum(part.is_number and not part.role for part in known)
    return text, n_unsaid < 2


def _parts_of(column: _Column, word: str) -> list[_PatternPart]:
    """A column taken apart; `word` is what stands before it in all names."""
    cut = [_PatternPart(column.cut if column.cut == "*" else escaped(column.cut))] if column.cut else []
    values = set(column.values)
    first = column.values[0]
    if not column.varies:
        return [*cut, _PatternPart(escaped(first))]
    if all(_SEVERAL.fullmatch(value) for value in values) and (several := _several(column.values)):
        return [*cut, *several]
    letters = {value[: -len(_digits(value))].lower() for value in values if _digits(value)}
    if all(_WELL.fullmatch(value) for value in values) and (len(letters) > 1 or _is_well_row(letters)):
        return [*cut, _PatternPart("", "region", is_field=True)]
    if all(value[:4].lower() == "well" and _WELL.fullmatch(value[4:]) for value in values):
        return [*cut, _PatternPart("????"), _PatternPart("", "region", is_field=True)]
    marked = [_MARKED.fullmatch(value) for value in values]
    if all(marked):
        return [*cut, *_marked([(m[1], m[2]) for m in marked if m], word)]
    named = [re.fullmatch(r"([wW])([0-9])(.+)", value) for value in values]
    if all(named):  # "w1DAPI": the number is in the name already
        return [*cut, _PatternPart("?"), _PatternPart("?"), _PatternPart("", "c", is_field=True)]
    role = _MARKERS.get(word, "region" if len(values) > _MAX_CHANNELS else "")
    return [*cut, _PatternPart("", role if role in ("region", "c") else "", is_field=True)]


def _several(values: Sequence[str]) -> list[_PatternPart]:
    """``T0001F001Z01C02``: several marked numbers in one."""
    rows = [_PIECES.findall(value) for value in values]
    if len({tuple(word.lower() for word, _ in row) for row in rows}) != 1:
        return []
    parts: list[_PatternPart] = []
    for pieces in zip(*rows, strict=True):
        parts += _marked(list(set(pieces)), "")
    return parts


def _marked(pairs: list[tuple[str, str]], word: str) -> list[_PatternPart]:
    """Numbers behind a marker, or behind a word of their own."""
    marker = pairs[0][0]
    if len({number for _, number in pairs}) == 1 and len({each for each, _ in pairs}) == 1:
        return [_PatternPart(escaped(marker + pairs[0][1]))]
    if any(each.lower() != marker.lower() for each, _ in pairs):
        return [_PatternPart("", "", is_field=True)]
    literal = marker if all(each == marker for each, _ in pairs) else "?" * len(marker)
    role = _MARKERS.get((marker or word).lower(), "")
    return [_PatternPart(escaped(literal)), _PatternPart("", role, is_number=True, is_field=True)]


def _digits(value: str) -> str:
    return value[len(value.rstrip("0123456789")) :]


def _is_well_row(letters: set[str]) -> bool:
    """Whether the only letter is not one that numbers something else."""
    return not letters & set(_MARKERS)


def _without_doubles(parts: list[_PatternPart]) -> list[_PatternPart]:
    """Where two columns say the same of themselves, the first is a place: "C01" a well, "s1" before "f1"."""
    found = list(parts)
    roles = [part.role for part in parts]
    for i, part in enumerate(parts):
        if part.is_number and part.role and part.role in roles[i + 1 :] and "region" not in roles:
            found[i - 1 : i + 1] = [_PatternPart("", "region", is_field=True)]
            break
    return found


def _with_roles(parts: list[_PatternPart]) -> list[_PatternPart]:
    """Roles for what says nothing of itself: the last word is the channel, numbers are time, z, position."""
    taken = {part.role for part in parts if part.role}
    unknown = [i for i, part in enumerate(parts) if part.is_field and not part.role]
    words = [i for i in reversed(unknown) if not parts[i].is_number]
    numbers = [i for i in unknown if parts[i].is_number]
    roles = dict(zip(words, (role for role in ("c", "region") if role not in taken), strict=False))
    if "region" in taken or "region" in roles.values():
        usual = {1: ("fov",), 2: ("fov", "z")}.get(len(numbers), ("t", "fov", "z"))
    else:
        usual = {1: ("t",), 2: ("t", "z")}.get(len(numbers), ("t", "fov", "z"))
    left = [role for role in dict.fromkeys((*usual, "t", "z", "fov")) if role not in taken]
    roles.update(zip(numbers, left, strict=False))
    return [part._replace(role=roles.get(i, part.role)) for i, part in enumerate(parts)]
