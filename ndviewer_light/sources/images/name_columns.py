"""Names taken apart into columns, and what each column says of itself. Names in, parts out; no disk."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .dates import CLOCK, DATE_TIMES, DATES, SHORT_CLOCK, are_dates_alone, compiled, kind_of_dates
from .name_words import CONCENTRATIONS, MARKERS, SAMPLE_WORDS, UNITS, is_channel_word, is_place_word
from .patterns import ELAPSED, SIGNED, TIME, UUID, WELL_PATTERN, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIGNED_ATOM = r"(?<=[A-Za-z_ /])[+-][0-9]+(?:\.[0-9]+)?(?![0-9])|(?<![0-9.])[0-9]+\.[0-9]+(?![0-9.])"
_SPACED_WELL = "(?<![A-Za-z0-9])[A-P] - [0-9]{1,2}(?![A-Za-z0-9])"
_ATOM = rf"(?P<uuid>{UUID})|(?P<atom>{_SPACED_WELL}|(?<![0-9])(?:{ELAPSED})(?![a-z0-9]))"
_DATED = "|".join((*DATE_TIMES.values(), ELAPSED, *DATES.values()))
_DATED_ATOM = rf"(?P<uuid>{UUID})|(?P<atom>{_SPACED_WELL}|(?<![0-9])(?:{_DATED})(?![a-z0-9]))"
_CLOCK_ATOM = _DATED_ATOM.replace(_DATED, f"{_DATED}|{CLOCK}")
CUTS = (
    rf"{_CLOCK_ATOM}|(?P<cut>/|[_\-. ()\[\]=,;]+)",
    rf"{_DATED_ATOM}|(?P<cut>/|[_\-. ()\[\]=,;]+)",
    rf"{_ATOM}|(?P<cut>/|[_\-. ()\[\]=,;]+)",
    rf"{_ATOM}|(?P<cut>/|_+)",
    rf"{_ATOM}|(?P<cut>/|[_\-.()\[\]=,;]+)",
    rf"{_ATOM}|(?P<sign>{_SIGNED_ATOM})|(?P<cut>/|[_\-. ()\[\]=,;]+)",
    rf"{_DATED_ATOM}|(?P<cut>/|[^/A-Za-z0-9µμ]+)",
)
"""Where names are taken apart, one of which `forms_of` takes."""
SHORT_CLOCK_CUT = CUTS[0].replace(CLOCK, rf"{CLOCK}|(?:{SHORT_CLOCK})(?![-_.]?[0-9])")
"""Leaves two numbers together which may be an hour and a minute, for names where they are."""
_ANY_CUT = re.compile(r"[/_\-. ()\[\]=,;]")
_LETTERS, _DIGITS = re.compile(r"[A-Za-z]+"), re.compile(r"[0-9]+")
_MARKED = re.compile(rf"([^\W\d_]*?)({SIGNED})")
_PIECES = re.compile(r"([A-Za-z]+)([0-9]+)")
_SEVERAL = re.compile(r"(?:[A-Za-z]+[0-9]+){2,}")
WELL_NAME = re.compile(WELL_PATTERN, re.IGNORECASE)
_TIME = re.compile(TIME, re.IGNORECASE)
_DATED_ALONE = "|".join((*DATE_TIMES.values(), *DATES.values(), CLOCK))
_UUID = re.compile(UUID, re.IGNORECASE)
_NAMED_WAVE = re.compile(r"[wW][0-9]([A-Za-z].*)")
TIME_KINDS = ("time", "dmy", "mdy", "clock")
"""Kinds of parts that are times, as patterns call them; two with the day or the month first, and of hours and
minutes, which may be any two numbers."""
_MARKER_AT_END = re.compile(r"(?<=[a-zA-Z])(?:xy|z)$")
"""As NIS-Elements adds marks to the name of a file: "samplez01c1"."""
_WITH_UNIT = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)([A-Za-zµμ]{1,7})")
_MARKED_WITH_UNIT = re.compile(rf"([A-Za-z]+)({_WITH_UNIT.pattern})")
_BEFORE_TEXT = re.compile(r"([A-Za-z]*?)([0-9]{3,9})([A-Za-z]{1,8})")
_MAX_WAVELENGTHS, _LEAST_NM_APART = 8, 20


class Column(NamedTuple):
    """The text at one place in names, and the separator before it ("*" if it varies)."""

    values: tuple[str, ...]
    cut: str
    depth: int

    @property
    def varies(self) -> bool:
        """Whether it distinguishes names."""
        return len(set(self.values)) > 1


class Part(NamedTuple):
    """A column, or part of one, in a pattern: fixed text, or a field.

    `kind` is "" for fixed text, else "number", "signed", "time", "well", "word", "words" (one of the values,
    with a number behind it), "uuid", or "given" for what a convention defines. `role` is "" if the name does
    not reveal it.
    """

    text: str
    kind: str = ""
    role: str = ""
    values: tuple[object, ...] = ()
    depth: int = 0
    hint: str = ""

    @property
    def spelt(self) -> str:
        """The part as written in a pattern, once its role is known."""
        if not self.kind:
            return self.text
        if self.kind == "given":
            return ""
        if not self.role:
            return self.dropped().text
        if self.kind == "words":
            return f"{self.text}{{{self.role}:{'|'.join(dict.fromkeys(map(str, self.values)))}}}"
        if self.kind == "well" and any(" " in str(value) for value in self.values):
            return f"{self.text}{{{self.role}:well}}"
        kind = {"number": ":d", "signed": ":f", **{each: f":{each}" for each in TIME_KINDS}}.get(
            self.kind, ""
        )
        return f"{self.text}{{{self.role}{kind}}}"

    def dropped(self) -> Part:
        """The column as ignored text, in one piece if it is one in all names."""
        is_piece = self.kind != "signed" and not any(map(_ANY_CUT.search, map(str, self.values)))
        return self._replace(text=self.text + ("{:w}" if is_piece else "*"), kind="", role="")


# ---- columns -------------------------------------------------------------------------------


def columns_of(names: Sequence[str]) -> list[Column]:
    """The columns of the most common structure of names; none without names."""
    return next(forms_of(names), [])


def forms_of(names: Sequence[str], cut: str = CUTS[0], least: float = 1 / 3) -> Iterator[list[Column]]:
    """The columns of similarly structured names, for each common structure.

    Most frequent first, then simplest, as masks are derived from images. At first
    names with equally many columns are similar, then only those with the same letters and digits pattern.
    """
    rows = [_split(name, compiled(cut)) for name in names]
    shapes = [tuple(cut == "/" for cut in cuts) for _, cuts in rows]
    counts = Counter(shapes)
    for usual in sorted(counts, key=lambda shape: (-counts[shape], sum(shape), len(shape))):
        if counts[usual] < least * len(names):
            continue
        alike = [i for i, shape in enumerate(shapes) if shape == usual]
        yield _columns([rows[i] for i in alike])
        letters = {i: _DIGITS.sub("0", _LETTERS.sub("a", names[i])) for i in alike}
        forms = Counter(letters.values())
        form, n = forms.most_common(1)[0]
        if len(forms) > 1 and n >= least * len(names):
            yield _columns([rows[i] for i in alike if letters[i] == form])


def _columns(rows: list[tuple[list[str], list[str]]]) -> list[Column]:
    columns, depth = [], 0
    for i, values in enumerate(zip(*(values for values, _ in rows), strict=True)):
        before = {cuts[i - 1] for _, cuts in rows} if i else {""}
        cut = before.pop() if len(before) == 1 else "*"
        depth += cut == "/"
        columns.append(Column(tuple(values), cut, depth))
    return columns


def _split(name: str, splitter: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The pieces of a name, and the separators between them: "" beside a UUID."""
    values, cuts, at, after_uuid = [""], [], 0, False
    for match in splitter.finditer(name):
        plain = name[at : match.start()]
        if plain and after_uuid:
            cuts.append("")
            values.append("")
        values[-1] += plain
        after_uuid = after_uuid and not plain
        at = match.end()
        if match["cut"]:
            cuts.append(match[0])
            values.append("")
            after_uuid = False
            continue
        if (match["uuid"] and values[-1]) or after_uuid:
            cuts.append("")
            values.append("")
        values[-1] += match[0]
        after_uuid = bool(match["uuid"])
    if name[at:] and after_uuid:
        cuts.append("")
        values.append("")
    values[-1] += name[at:]
    return values, cuts


# ---- self-describing columns ----------------------------------------------------------------


def parts_of(columns: Sequence[Column]) -> list[Part]:
    """Columns split into pattern parts."""
    parts: list[Part] = []
    word = ""
    for column in columns:
        parts += _parts_of(column, word)
        word = "" if column.varies else column.values[0].lower()
    return _with_wells(_with_tiles(parts))


def _with_wells(parts: list[Part]) -> list[Part]:
    """``C1_GFP``: wells of row C rather than numbers of channels, where other words are channels."""
    if not any(part.hint == "channel" for part in parts):
        return parts
    return [
        part._replace(text="", kind="well", role="region", values=tuple(f"C{n}" for n in part.values))
        if (part.text, part.kind, part.role) == ("C", "number", "c")
        and min(map(int, map(str, part.values))) > 0
        else part
        for part in parts
    ]


def _with_tiles(parts: list[Part]) -> list[Part]:
    """Rows and columns of tiles: ``r0_c1``, ``row0_col1``, where the second could be a channel, ``0 x 1``."""
    found = list(parts)
    numbers = [i for i, part in enumerate(parts) if part.kind == "number"]
    for i, j in pairwise(numbers):
        between = "".join(part.text for part in parts[i + 1 : j]) + parts[j].text
        is_by = between.strip().lower() in ("x", "×") and " " in between  # "[00 x 01]"
        if is_by or (parts[i].text.lower(), parts[j].text.lower()) in (
            ("r", "c"),
            ("row", "col"),
            ("row", "column"),
        ):
            found[i], found[j] = parts[i]._replace(role="fov"), parts[j]._replace(role="fov")
    return found


def _parts_of(column: Column, word: str) -> list[Part]:
    """Split a column; `word` is the word before it in all names."""
    cut = [Part(column.cut if column.cut == "*" else escaped(column.cut))] if column.cut else []
    if not column.varies:
        return [*cut, Part(escaped(column.values[0]))]
    return [*cut, *(part._replace(depth=column.depth) for part in _fields_of(column.values, word))]


def _fields_of(values: tuple[str, ...], word: str) -> list[Part]:
    if all(
        map(_UUID.fullmatch, values)
    ):  # unique per file is not an axis; shared by several files it identifies an image
        return [Part("", "uuid", values=values) if len(set(values)) < len(values) else Part("*")]
    if kind := kind_of_dates(values):  # when a file was written need not be what tells it apart
        return [Part("", kind, values=values, hint="date" if are_dates_alone(values) else "")]
    if any(map(compiled(_DATED_ALONE).fullmatch, values)):  # numbers that look like dates
        return [Part("", "word", values=values, hint="mixed")]
    if all(map(_TIME.fullmatch, values)):
        return [Part("", "time", "t", values)]
    if all(map(_SEVERAL.fullmatch, values)) and (several := _several(values)):
        return several
    if all(map(WELL_NAME.fullmatch, values)) and _are_wells(values):
        return [Part("", "well", "region", values)]
    if all(value[:4].lower() == "well" and WELL_NAME.fullmatch(value[4:]) for value in values):
        return [Part("well", "well", "region", tuple(value[4:] for value in values))]
    marked = [_MARKED.fullmatch(value) for value in values]
    if all(marked):
        return _marked([(m[1], m[2]) for m in marked if m], word)
    if with_mark := _with_mark_and_unit(values):
        return with_mark
    with_unit = [_WITH_UNIT.fullmatch(value) for value in values]
    if all(with_unit) and len({m[2] for m in with_unit if m}) == 1:
        unit = with_unit[0][2] if with_unit[0] else ""
        if unit in CONCENTRATIONS:
            return [Part("", "word", "region", values, hint="place")]
        if unit.lower() in UNITS:
            numbers = tuple(float(m[1]) for m in with_unit if m)
            return [Part("", "signed", UNITS[unit.lower()], numbers), Part(unit)]
    waves = [_NAMED_WAVE.fullmatch(value) for value in values]
    if all(waves):  # "w1DAPI": the name already contains the number
        return [Part("??", "word", "c", tuple(m[1] for m in waves if m), hint="channel")]
    if counted := _counted_before_text(values, word):
        return counted
    markers = Counter(m[1].lower() for m in marked if m and m[1].lower() in MARKERS)
    if markers and markers.most_common(1)[0][1] * 2 >= len(values):
        return [Part("", "word", values=values, hint="mixed")]
    return [Part("", "word", _role_of_words(values, word), values, hint=_hint(values))]


def _counted_before_text(values: Sequence[str], word: str) -> list[Part]:
    """``000r``, ``001r``: padded numbers that count from 0 or 1 on, the same letters behind; else nothing."""
    found = [match for value in values if (match := _BEFORE_TEXT.fullmatch(value))]
    numbers = {int(match[2]) for match in found}
    is_count = min(numbers, default=2) <= 1 and max(numbers) - min(numbers) == len(numbers) - 1
    if len(found) < len(values) or not is_count or len({(match[1].lower(), match[3]) for match in found}) > 1:
        return []
    if any(map(is_channel_word, values)):
        return []
    return [*_marked([(match[1], match[2]) for match in found], word), Part(found[0][3])]


def _with_mark_and_unit(values: Sequence[str]) -> list[Part]:
    """``z10um``, ``t5min``: the same mark and unit around numbers, which mean the same axis; else nothing."""
    found = [match for value in values if (match := _MARKED_WITH_UNIT.fullmatch(value))]
    around = {(match[1], match[4]) for match in found}
    if len(found) < len(values) or len(around) > 1:
        return []
    mark, unit = around.pop()
    role = MARKERS.get(mark.lower())
    if role is None or unit in CONCENTRATIONS or role != UNITS.get(unit.lower()):
        return []
    return [Part(escaped(mark), "signed", role, tuple(float(match[3]) for match in found)), Part(unit)]


def _hint(values: Sequence[str]) -> str:
    """The role of words: "channel", "place", or "" if unknown."""
    distinct = set(values)
    if sum(map(is_channel_word, distinct)) * 2 > len(distinct):
        return "channel"
    return "place" if sum(map(is_place_word, distinct)) * 2 >= len(distinct) else ""


def _role_of_words(values: Sequence[str], word: str) -> str:
    role = MARKERS.get(word, "")
    return role if role in ("region", "c", "plate") else ""


def _several(values: tuple[str, ...]) -> list[Part]:
    """``T0001F001Z01C02``: several marked numbers in one, the first of them perhaps a well."""
    rows = [_PIECES.findall(value) for value in values]
    if len({tuple(word.lower() for word, _ in row) for row in rows}) != 1:
        if (
            len({len(row) for row in rows}) != 1
            or len({tuple(w.lower() for w, _ in row[1:]) for row in rows}) != 1
        ):
            return []
        wells = tuple("".join(row[0]) for row in rows)
        if not all(map(WELL_NAME.fullmatch, wells)):
            return []
        rest = tuple("".join(word + number for word, number in row[1:]) for row in rows)
        return [Part("", "well", "region", wells), *_pieces([_PIECES.findall(value) for value in rest])]
    return _pieces(rows)


def _pieces(rows: list[list[tuple[str, str]]]) -> list[Part]:
    parts: list[Part] = []
    for pieces in zip(*rows, strict=True):
        if len({number for _, number in pieces}) == 1:
            parts.append(Part(escaped("".join(pieces[0]))))
            continue
        ends = {match[0] for word, _ in pieces if (match := _MARKER_AT_END.search(word))}
        if len(rows[0]) > 1 and len({word for word, _ in pieces}) == len(ends) == 1:
            end = ends.pop()
            word = pieces[0][0].removesuffix(end)
            parts += [Part(escaped(word)), *_marked([(end, number) for _, number in pieces], "")]
        else:
            parts += _marked(list(pieces), "")
    return parts


def _marked(pairs: list[tuple[str, str]], word: str) -> list[Part]:
    """Numbers after a marker, or after a word."""
    marker = pairs[0][0]
    if any(each.lower() != marker.lower() for each, _ in pairs):
        if _are_channels_counted(pairs):  # "phase0001", "gfp0001"
            words, texts = zip(*pairs, strict=True)
            channels = Part("", "words", "c", words, hint="channel")
            return [channels, Part("", "number", "", tuple(map(int, texts)))]
        values = tuple(each + number for each, number in pairs)
        return [Part("", "word", _role_of_words(values, word), values, hint=_hint(values))]
    role = MARKERS.get((marker or word).lower(), "")
    names = tuple(each + number for each, number in pairs)
    if not role and (all(map(is_channel_word, names)) if marker else _are_wavelengths(names)):
        return [Part("", "word", "c", names, hint="channel")]  # "Cy3", "AF488", "488"
    hint = "sample" if (marker or word).lower() in SAMPLE_WORDS else ""
    if marker and role in ("region", "plate"):
        return [Part("", "word", role, names, hint="place")]  # "mouse3"
    plain = all(number.isdecimal() for _, number in pairs)
    numbers = tuple(int(number) if plain else float(number) for _, number in pairs)
    return [Part(escaped(marker), "number" if plain else "signed", role, numbers, hint=hint)]


def _are_channels_counted(pairs: list[tuple[str, str]]) -> bool:
    """Whether words are channels that have the same numbers, several each."""
    numbers: dict[str, set[str]] = {}
    for word, number in pairs:
        numbers.setdefault(word, set()).add(number)
    is_counted = (
        all(number.isdecimal() for _, number in pairs) and len(set(map(frozenset, numbers.values()))) == 1
    )
    return is_counted and len(numbers[pairs[0][0]]) > 1 and all(map(is_channel_word, numbers))


def _are_wavelengths(texts: Sequence[str]) -> bool:
    """Whether numbers are laser or filter wavelengths in nm: few, of three digits, far apart."""
    distinct = sorted(set(texts))
    if len(distinct) > _MAX_WAVELENGTHS or not all(is_channel_word(text) for text in distinct):
        return False
    return all(int(b) - int(a) >= _LEAST_NM_APART for a, b in pairwise(distinct))


def _are_wells(values: Sequence[str]) -> bool:
    """Whether their letters are plate rows: several, or one that does not mark another number."""
    letters = {value.rstrip("0123456789").lower() for value in values}
    return len(letters) > 1 or not letters & set(MARKERS)
