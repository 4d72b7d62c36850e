"""How files are numbered, by their names alone, where no convention is known. Names in, drafts out; no disk.

Names are cut at ``_ - . ( )`` and blanks into columns. A column that is the same everywhere says nothing;
one of ``t001``, ``ch02``, ``Z7``, ``pos3`` says what it is; so does a number after a word (``time_003``), a
well (``B07``) or a time (``00d06h00m``). Columns that vary together are one axis, a UUID is none. What is
left and still needed to tell the files apart: words are channels, or places where they are folders or say
what was done to a sample; numbers are time, then z, or fields of a well.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, NamedTuple

from .name_words import MARKERS, is_channel_word, is_place_word
from .patterns import SIGNED, TIME, UUID, WELL, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PLACES = ("plate", "region", "row", "column", "row0", "column0", "wellnumber", "fov")
"""The roles that together say where: a position for each combination that there is."""

_SIGNED_ATOM = r"(?<=[A-Za-z_ /])[+-][0-9]+(?:\.[0-9]+)?(?![0-9])|(?<![0-9.])[0-9]+\.[0-9]+(?![0-9.])"
_ATOM = rf"(?P<uuid>{UUID})|(?P<atom>(?<![0-9])(?:{TIME})(?![a-z0-9]))"
_CUTS = (
    rf"{_ATOM}|(?P<cut>/|[_\-. ()\[\]=,;]+)",
    rf"{_ATOM}|(?P<cut>/|_+)",
    rf"{_ATOM}|(?P<cut>/|[_\-.()\[\]=,;]+)",
    rf"{_ATOM}|(?P<sign>{_SIGNED_ATOM})|(?P<cut>/|[_\-. ()\[\]=,;]+)",
)
_SPLITTERS = tuple(re.compile(each, re.IGNORECASE) for each in _CUTS)
_ANY_CUT = re.compile(r"[/_\-. ()\[\]=,;]")
_HAS_FIELD = re.compile(r"\{\w")
_UNCLEAR = re.compile(r"\{\w+\}(?:\*|\{)|[*}]\{\w+\}")
_MAX_WILD = 2
"""Texts of any kind in a pattern: with many of them a name that does not match takes for ever to say so."""
_LETTERS, _DIGITS = re.compile(r"[A-Za-z]+"), re.compile(r"[0-9]+")
_MARKED = re.compile(rf"([A-Za-z]*?)({SIGNED})")
_PIECES = re.compile(r"([A-Za-z]+)([0-9]+)")
_SEVERAL = re.compile(r"(?:[A-Za-z]+[0-9]+){2,}")
_WELL = re.compile(WELL, re.IGNORECASE)
_TIME = re.compile(TIME, re.IGNORECASE)
_UUID = re.compile(UUID, re.IGNORECASE)
_NAMED_WAVE = re.compile(r"[wW][0-9]([A-Za-z].*)")
_WITH_UNIT = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)(um|µm|micron|hrs?|h|min|sec|s|days?)", re.IGNORECASE)
_MAX_CHANNELS = 12
"""Words that differ more are places, not channels."""
_MAX_WAVELENGTHS, _LEAST_NM_APART = 8, 20
_MAX_UNKNOWN = 5
"""Columns of which nothing is known; more are not tried in all combinations."""


class Column(NamedTuple):
    """What stands at one place in names, and what is cut off before it ("*" if that varies)."""

    values: tuple[str, ...]
    cut: str
    depth: int

    @property
    def varies(self) -> bool:
        """Whether it tells names apart."""
        return len(set(self.values)) > 1


class Part(NamedTuple):
    """A column, or a piece of one, as a pattern has it: fixed text, or a field.

    `kind` is "" for fixed text, else "number", "signed", "time", "well", "word", "uuid", or "given" for what
    a convention says already. `role` is "" where the name does not tell it.
    """

    text: str
    kind: str = ""
    role: str = ""
    values: tuple[object, ...] = ()
    depth: int = 0
    hint: str = ""

    @property
    def spelt(self) -> str:
        """As a pattern has it, once its role is known."""
        if not self.kind:
            return self.text
        if self.kind == "given":
            return ""
        if not self.role:
            return self.dropped().text
        kind = {"number": ":d", "signed": ":f", "time": ":time"}.get(self.kind, "")
        return f"{self.text}{{{self.role}{kind}}}"

    def dropped(self) -> Part:
        """As text that says nothing, of one piece if it is one in all names."""
        is_piece = self.kind != "signed" and not any(map(_ANY_CUT.search, map(str, self.values)))
        return self._replace(text=self.text + ("{:w}" if is_piece else "*"), kind="", role="")


class Draft(NamedTuple):
    """A pattern that may be meant, what is doubtful about it, and what else may be meant (a pattern).

    `is_said` is whether names say at least of something what it is.
    """

    text: str
    is_said: bool = True
    doubts: tuple[str, ...] = ()
    other: str = ""


def drafts(names: Sequence[str]) -> Iterator[Draft]:
    """Patterns of names, as their columns tell them; names are without endings, with "/" after folders."""
    seen: set[str] = set()
    for splitter in _SPLITTERS:
        for columns in forms_of(names, splitter):
            parts = parts_of(columns)
            # "CH1", "CH2", "Overlay": some are numbered, others are something else; "A1-1-DAPI": three in one
            if any(part.hint == "mixed" or _hides_columns(part) for part in parts):
                continue
            for draft in assigned(parts):
                if draft.text not in seen and _says_something(draft.text):
                    seen.add(draft.text)
                    yield draft


def _hides_columns(part: Part) -> bool:
    """Whether words are several columns that vary by themselves, as a coarser cut leaves them together."""
    if part.kind != "word" or not all(isinstance(value, str) for value in part.values):
        return False
    words = list(dict.fromkeys(map(str, part.values)))
    columns = next(forms_of(words, least=1), [])
    return len({_codes_of(column.values) for column in columns if column.varies}) > 1


def _says_something(text: str) -> bool:
    """Whether it has a field, and it is clear, and soon found, where each field ends."""
    return _HAS_FIELD.search(text) is not None and not _UNCLEAR.search(text) and text.count("*") <= _MAX_WILD


# ---- columns -------------------------------------------------------------------------------


def columns_of(names: Sequence[str]) -> list[Column]:
    """The columns of the names that are built as most are; none without names."""
    return next(forms_of(names), [])


def forms_of(
    names: Sequence[str], splitter: re.Pattern[str] = _SPLITTERS[0], least: float = 1 / 3
) -> Iterator[list[Column]]:
    """The columns of names that are built alike, for each way of building that has its share of them.

    The most frequent first; of those that are as frequent the simplest: masks are made from images. At first
    alike are names with as many columns, then only those in which letters and digits stand alike too.
    """
    rows = [_split(name, splitter) for name in names]
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
    """A name in pieces, and what was cut out between them: "" beside a UUID."""
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


# ---- what a column says of itself ------------------------------------------------------------


def parts_of(columns: Sequence[Column]) -> list[Part]:
    """Columns taken apart into what a pattern is made of."""
    parts: list[Part] = []
    word = ""
    for column in columns:
        parts += _parts_of(column, word)
        word = "" if column.varies else column.values[0].lower()
    return _with_tiles(parts)


def _with_tiles(parts: list[Part]) -> list[Part]:
    """Rows and columns of tiles, ``r0_c1``, ``row0_col1``, where the second could be a channel."""
    found = list(parts)
    numbers = [i for i, part in enumerate(parts) if part.kind == "number"]
    for i, j in pairwise(numbers):
        if (parts[i].text.lower(), parts[j].text.lower()) in (("r", "c"), ("row", "col"), ("row", "column")):
            found[i], found[j] = parts[i]._replace(role="fov"), parts[j]._replace(role="fov")
    return found


def _parts_of(column: Column, word: str) -> list[Part]:
    """A column taken apart; `word` is what stands before it in all names."""
    cut = [Part(column.cut if column.cut == "*" else escaped(column.cut))] if column.cut else []
    if not column.varies:
        return [*cut, Part(escaped(column.values[0]))]
    return [*cut, *(part._replace(depth=column.depth) for part in _fields_of(column.values, word))]


def _fields_of(values: tuple[str, ...], word: str) -> list[Part]:
    if all(map(_UUID.fullmatch, values)):  # each of its own is no axis, one for several files an image
        return [Part("", "uuid", values=values) if len(set(values)) < len(values) else Part("*")]
    if all(map(_TIME.fullmatch, values)):
        return [Part("", "time", "t", values)]
    if all(map(_SEVERAL.fullmatch, values)) and (several := _several(values)):
        return several
    if all(map(_WELL.fullmatch, values)) and _are_wells(values):
        return [Part("", "well", "region", values)]
    if all(value[:4].lower() == "well" and _WELL.fullmatch(value[4:]) for value in values):
        return [Part("well", "well", "region", tuple(value[4:] for value in values))]
    marked = [_MARKED.fullmatch(value) for value in values]
    if all(marked):
        return _marked([(m[1], m[2]) for m in marked if m], word)
    with_unit = [_WITH_UNIT.fullmatch(value) for value in values]
    if all(with_unit) and len({m[2].lower() for m in with_unit if m}) == 1:
        unit = with_unit[0][2] if with_unit[0] else ""
        numbers = tuple(float(m[1]) for m in with_unit if m)
        return [
            Part("", "signed", "z" if unit[-1].lower() in "mn" and unit[0] in "uµm" else "t", numbers),
            Part(unit),
        ]
    waves = [_NAMED_WAVE.fullmatch(value) for value in values]
    if all(waves):  # "w1DAPI": the number is in the name already
        return [Part("??", "word", "c", tuple(m[1] for m in waves if m), hint="channel")]
    markers = Counter(m[1].lower() for m in marked if m and m[1].lower() in MARKERS)
    if markers and markers.most_common(1)[0][1] * 2 >= len(values):
        return [Part("", "word", values=values, hint="mixed")]
    return [Part("", "word", _role_of_words(values, word), values, hint=_hint(values))]


def _hint(values: Sequence[str]) -> str:
    """What words are taken for: "channel", "place", or "" where they are unknown."""
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
        if not all(map(_WELL.fullmatch, wells)):
            return []
        rest = tuple("".join(word + number for word, number in row[1:]) for row in rows)
        return [Part("", "well", "region", wells), *_pieces([_PIECES.findall(value) for value in rest])]
    return _pieces(rows)


def _pieces(rows: list[list[tuple[str, str]]]) -> list[Part]:
    parts: list[Part] = []
    for pieces in zip(*rows, strict=True):
        if len({number for _, number in pieces}) == 1:
            parts.append(Part(escaped("".join(pieces[0]))))
        else:
            parts += _marked(list(pieces), "")
    return parts


def _marked(pairs: list[tuple[str, str]], word: str) -> list[Part]:
    """Numbers behind a marker, or behind a word of their own."""
    marker = pairs[0][0]
    if any(each.lower() != marker.lower() for each, _ in pairs):
        values = tuple(each + number for each, number in pairs)
        return [Part("", "word", _role_of_words(values, word), values, hint=_hint(values))]
    role = MARKERS.get((marker or word).lower(), "")
    names = tuple(each + number for each, number in pairs)
    if not role and (all(map(is_channel_word, names)) if marker else _are_wavelengths(names)):
        return [Part("", "word", "c", names, hint="channel")]  # "Cy3", "AF488", "488"
    if marker and role in ("region", "plate"):
        return [Part("", "word", role, names, hint="place")]  # "mouse3"
    plain = all(number.isdecimal() for _, number in pairs)
    numbers = tuple(int(number) if plain else float(number) for _, number in pairs)
    return [Part(escaped(marker), "number" if plain else "signed", role, numbers)]


def _are_wavelengths(texts: Sequence[str]) -> bool:
    """Whether numbers are those of lasers or filters in nm: few, of three digits, far apart."""
    distinct = sorted(set(texts))
    if len(distinct) > _MAX_WAVELENGTHS or not all(is_channel_word(text) for text in distinct):
        return False
    return all(int(b) - int(a) >= _LEAST_NM_APART for a, b in pairwise(distinct))


def _are_wells(values: Sequence[str]) -> bool:
    """Whether their letters are rows of a plate: several, or one that does not number something else."""
    letters = {value.rstrip("0123456789").lower() for value in values}
    return len(letters) > 1 or not letters & set(MARKERS)


# ---- what is still to be found ----------------------------------------------------------------

_RANK = {"given": 9, "time": 8, "well": 7, "word": 4, "signed": 3, "number": 3, "uuid": 0}


def assigned(parts: list[Part]) -> Iterator[Draft]:
    """All ways to give a role to what needs one to tell the files apart."""
    parts = _without_doubles(_one_of_each(parts))
    fields = [i for i, part in enumerate(parts) if part.kind]
    labelled = [i for i in fields if parts[i].role]
    unknown = [i for i in fields if not parts[i].role][:_MAX_UNKNOWN]
    roles = {parts[i].role for i in labelled}
    forced = {i for i in unknown if parts[i].hint == "channel" and "c" not in roles}
    enough = bool(labelled) and _tells_apart(parts, labelled)
    for n in range(len(unknown), -1, -1) if not enough else [len(forced)]:
        for chosen in combinations(unknown, n):
            if not forced <= set(chosen) or not _tells_apart(parts, [*labelled, *chosen]):
                continue
            draft = _draft(parts, labelled, chosen)
            if draft is not None:
                yield draft


def _codes_of(values: Sequence[object]) -> tuple[int, ...]:
    """Values as numbers in order of their appearance: alike for columns that vary together."""
    index: dict[object, int] = {}
    return tuple(index.setdefault(value, len(index)) for value in values)


def _tells_apart(parts: Sequence[Part], chosen: Sequence[int]) -> bool:
    rows = list(zip(*(parts[i].values for i in chosen), strict=True))
    return len(set(rows)) == len(rows) > 0


def _one_of_each(parts: list[Part]) -> list[Part]:
    """Of columns that vary together keep the one that says most; the others become fixed or "*"."""
    found = list(parts)
    together: dict[tuple[int, ...], list[int]] = {}
    for i, part in enumerate(parts):
        if part.kind:
            together.setdefault(_codes_of(part.values), []).append(i)
    for alike in together.values():
        if len(alike) < 2:
            continue
        kept = _kept(parts, alike)
        for i in alike:
            if i not in kept:
                found[i] = parts[i].dropped()
            elif parts[i].kind == "word" and not parts[i].role and "c" in {parts[j].role for j in alike}:
                found[i] = parts[i]._replace(role="c")
    return found


def _kept(parts: Sequence[Part], alike: list[int]) -> set[int]:
    """Which of columns that vary together stay: one for each role, a name rather than a number."""
    by_role: dict[str, int] = {}
    for i in sorted(alike, key=lambda i: (-_RANK[parts[i].kind], i)):
        if parts[i].role:
            by_role.setdefault(parts[i].role, i)
    names = [i for i in alike if parts[i].kind == "word" and not parts[i].role and parts[i].hint != "place"]
    if "c" in by_role and parts[by_role["c"]].kind == "number" and names:
        by_role["c"] = next((i for i in names if parts[i].hint == "channel"), names[0])
    if by_role:
        return set(by_role.values())
    return {max(alike, key=lambda i: (parts[i].hint == "channel", _RANK[parts[i].kind], -i))}


def _without_doubles(parts: list[Part]) -> list[Part]:
    """Of two columns that say the same of themselves the first is the larger place: "s1" before "f1"."""
    found = _without_coarser(parts)
    for role in ("c", "fov", "region", "plate", "t", "z"):
        while len(same := [i for i, part in enumerate(found) if part.kind and part.role == role]) > 1:
            taken = {part.role for part in found if part.kind}
            given = [i for i in same if found[i].kind == "given"]
            first = next(i for i in same if i not in given[-1:])
            larger = next((each for each in ("region", "plate") if each not in taken), "")
            is_place = role in PLACES or _is_well_after_all(found[first])
            if is_place and larger and role != "plate":
                found[first] = _as_place(found[first], larger)
            else:  # the one that tells more apart
                least = min(
                    (i for i in same if i not in given), key=lambda i: (len(set(found[i].values)), -i)
                )
                found[least] = found[least]._replace(role="")
    return found


def _without_coarser(parts: Sequence[Part]) -> list[Part]:
    """Without columns that follow from another of the same role: "Site_1" from position 3 of all."""
    found = list(parts)
    for i, part in enumerate(parts):
        same = [other for other in found if other.kind and other.role == part.role and other is not part]
        if part.kind and part.role and part.kind != "given" and any(_follows(part, other) for other in same):
            found[i] = part.dropped()
    return found


def _follows(part: Part, other: Part) -> bool:
    """Whether a column says nothing that another does not."""
    return len(set(zip(part.values, other.values, strict=True))) == len(set(other.values))


def _is_well_after_all(part: Part) -> bool:
    return part.kind == "number" and all(_WELL.fullmatch(f"{part.text}{value}") for value in part.values)


def _as_place(part: Part, role: str) -> Part:
    """A number with its marker as the name of a place: "s1", "C01"."""
    return part._replace(text="", kind="word", role=role)


def _draft(parts: list[Part], labelled: Sequence[int], chosen: Sequence[int]) -> Draft | None:
    roles, doubts, swaps = _roles(parts, labelled, chosen)
    if roles is None:
        return None
    found = [part._replace(role=roles.get(i, part.role)) for i, part in enumerate(parts)]
    places = [i for i in (*labelled, *chosen) if found[i].role in PLACES]
    for i in chosen:  # no axis that tells nothing apart
        rest = [each for each in (*labelled, *chosen) if each != i]
        if i not in places and rest and parts[i].hint != "channel" and _tells_apart(parts, rest):
            return None
    if _is_one_word(parts, labelled, chosen):
        return None
    other = ""
    if swaps:
        other = _text([part._replace(role=swaps.get(i, part.role)) for i, part in enumerate(found)])
    is_said = bool(labelled) or any(parts[i].hint == "channel" for i in chosen)
    return Draft(_text(found), is_said, doubts, other)


def _is_one_word(parts: Sequence[Part], labelled: Sequence[int], chosen: Sequence[int]) -> bool:
    """Whether names are but words nobody knows: "cat", "dog"."""
    if labelled or len(chosen) != 1:
        return False
    part = parts[chosen[0]]
    return (
        part.kind == "word"
        and not part.hint
        and not any(map(str.isalnum, "".join(part.text for part in parts)))
    )


def _text(parts: Sequence[Part]) -> str:
    return re.sub(r"\*+", "*", "".join(part.spelt for part in parts))


_Roles = tuple["dict[int, str] | None", tuple[str, ...], "dict[int, str]"]


def _roles(parts: Sequence[Part], labelled: Sequence[int], chosen: Sequence[int]) -> _Roles:
    """Roles of the chosen columns, what is doubtful about them, and which roles they would have otherwise."""
    taken = {parts[i].role for i in labelled}
    n_axes = len(labelled) + len(chosen)
    roles: dict[int, str] = {}
    doubts: list[str] = []
    others: list[tuple[int, str]] = []
    last = max((part.depth for part in parts), default=0)
    words = [i for i in chosen if parts[i].kind in ("word", "uuid")]
    # the last word of a name is a channel sooner than the first; dyes and colours before all others
    for i in sorted(words, key=lambda i: (parts[i].hint != "channel", -i)):
        part = parts[i]
        many = len(set(part.values)) > _MAX_CHANNELS
        in_folder = part.depth < last or any(p.kind == "given" for p in parts)
        is_place = (
            part.kind == "uuid" or part.hint == "place" or many or (in_folder and part.hint != "channel")
        )
        free = [r for r in (("region", "plate") if is_place else ("c", "region", "plate")) if r not in taken]
        if not free:
            return None, (), {}
        roles[i] = free[0]
        taken.add(free[0])
        if not part.hint and not many and n_axes > 1 and part.kind == "word":
            doubts.append("words")
            others.append((i, "c" if free[0] != "c" else "region"))
    numbers = [i for i in chosen if i not in words]
    for i, role, otherwise in _roles_of_numbers(parts, labelled, numbers, taken, roles, last):
        if not role:
            return None, (), {}
        roles[i] = role
        taken.add(role)
        if n_axes > 1 and otherwise:
            doubts.append("numbers")
            others.append((i, otherwise))
    said = {parts[i].role for i in labelled}
    i, role = next(((i, role) for i, role in others if role not in said), (-1, ""))
    swaps = {j: roles[i] for j in chosen if roles[j] == role} | {i: role} if role else {}
    return roles, tuple(dict.fromkeys(doubts)), swaps


def _roles_of_numbers(
    parts: Sequence[Part],
    labelled: Sequence[int],
    numbers: Sequence[int],
    taken: set[str],
    roles: Mapping[int, str],
    last: int,
) -> Iterator[tuple[int, str, str]]:
    """For numbers that do not say what they are: their role ("" if none is left), and the next likely."""
    places = [i for i in (*labelled, *roles) if (roles.get(i) or parts[i].role) in PLACES]
    has_place = bool(places)
    used = set(taken)
    for i in numbers:
        in_folder = parts[i].depth < last
        if in_folder and "t" in used:
            usual: tuple[str, ...] = ("fov",) if "fov" not in used else ("region", "z")
        elif has_place and all(parts[j].depth == parts[i].depth for j in places):
            usual = {1: ("fov", "t", "z"), 2: ("fov", "z", "t")}.get(len(numbers), ("t", "fov", "z"))
        elif len(numbers) > 2 or has_place:
            usual = ("t", "fov", "z")
        else:
            usual = ("t", "z", "fov")
        free = [role for role in usual if role not in used]
        role = free[0] if free else ""
        used.add(role)
        yield i, role, free[1] if len(free) > 1 else ""
