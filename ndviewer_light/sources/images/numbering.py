"""Infers how files are numbered if no convention matches. Names in, drafts out; no disk access.

Names are split at ``_ - . ( )`` and blanks into columns. A constant column carries no information;
one of ``t001``, ``ch02``, ``Z7``, ``pos3`` says what it is; so does a number after a word (``time_003``), a
well (``B07``) or a time (``00d06h00m``). Columns that vary together are one axis, a UUID is none. Of the
rest, if needed to tell files apart: words are channels, or places if they are folders or describe
a treatment; numbers are time, then z, or fields of a well.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from .name_columns import CUTS, SHORT_CLOCK_CUT, TIME_KINDS, WELL_NAME, Part, forms_of, parts_of
from .name_words import LONG_TIMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

PLACE_PARTS = ("plate", "region", "row", "column", "row0", "column0", "wellnumber", "fov")
"""The roles that together define a position."""

TIMES = ("day", "t")
"""The roles that together define a time point."""

_WORD_BEFORE = re.compile(r"[A-Za-z]+(?=[_\-. ]*$)")
_HAS_FIELD = re.compile(r"\{\w")
_UNCLEAR = re.compile(r"\{\w+\}(?:\*|\{)|[*}]\{\w+\}|\{\w+:f\}\.[0-9]")
"""Fields whose ends cannot be told, and a number with a sign without its decimals: "-0" is no "-0.5"."""
_MAX_WILD = 2
"""The maximum number of free texts in a pattern: with many of them, a mismatch takes forever to detect."""
CLOCK_DOUBT = "pairs of numbers"
"""That hours and minutes are times is not certain, but no guess: `kind_of_dates` has evidence."""
MAX_CHANNEL_WORDS = 12
"""Words that differ more are places, not channels, unless channels are called so."""
_MAX_UNKNOWN = 5
"""The maximum number of unknown columns tried in all combinations."""


class Draft(NamedTuple):
    """A possible pattern, its doubtful parts, and an alternative pattern.

    `is_said`: whether the names identify at least one axis.
    """

    text: str
    is_said: bool = True
    doubts: tuple[str, ...] = ()
    other: str = ""


def drafts(names: Sequence[str]) -> Iterator[Draft]:
    """Patterns of names, from their columns; names are without extensions, with "/" after folders."""
    seen: set[str] = set()
    for cut in (SHORT_CLOCK_CUT, *CUTS):
        for columns in forms_of(names, cut):
            parts = parts_of(columns)
            if cut is SHORT_CLOCK_CUT and not any(part.kind == "clock" for part in parts):
                continue
            # "CH1", "CH2", "Overlay": some are numbered, others are not; "A1-1-DAPI": three in one
            if any(part.hint == "mixed" or _hides_columns(part) for part in parts):
                continue
            for draft in assigned(parts):
                if draft.text not in seen and _says_something(draft.text):
                    seen.add(draft.text)
                    yield draft


def _hides_columns(part: Part) -> bool:
    """Whether words are several independent columns that a coarser split leaves together."""
    if part.kind != "word" or not all(isinstance(value, str) for value in part.values):
        return False
    words = list(dict.fromkeys(map(str, part.values)))
    columns = next(forms_of(words, CUTS[-1], least=1), [])
    return len({_codes_of(column.values) for column in columns if column.varies}) > 1


def _says_something(text: str) -> bool:
    """Whether it has a field, and the ends of its fields are unambiguous and quickly found."""
    return _HAS_FIELD.search(text) is not None and not _UNCLEAR.search(text) and text.count("*") <= _MAX_WILD


# ---- unmarked columns --------------------------------------------------------------------------

_RANK = {"given": 9, **dict.fromkeys(TIME_KINDS, 8), "well": 7, **dict.fromkeys(("word", "words"), 4)}
_RANK |= {"signed": 3, "number": 3, "uuid": 0}


def assigned(parts: list[Part]) -> Iterator[Draft]:
    """All assignments of roles to columns that are needed to tell the files apart."""
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
    """Values numbered by first appearance: equal for columns that vary together."""
    index: dict[object, int] = {}
    return tuple(index.setdefault(value, len(index)) for value in values)


def _tells_apart(parts: Sequence[Part], chosen: Sequence[int]) -> bool:
    rows = list(zip(*(parts[i].values for i in chosen), strict=True))
    return len(set(rows)) == len(rows) > 0


def _one_of_each(parts: list[Part]) -> list[Part]:
    """Of columns that vary together, keep the most informative; the others become fixed or "*"."""
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
    """Which of the columns that vary together to keep: one per role, a name rather than a number."""
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
    """Of two columns with the same role, the first is the larger place: "s1" before "f1"."""
    found = _without_coarser(parts)
    _name_days(found)
    for role in ("c", "fov", "region", "plate", "t", "z"):
        while len(same := [i for i, part in enumerate(found) if part.kind and part.role == role]) > 1:
            taken = {part.role for part in found if part.kind}
            given = [i for i in same if found[i].kind == "given"]
            first = next(i for i in same if i not in given[-1:])
            larger = next((each for each in ("region", "plate") if each not in taken), "")
            is_place = role in PLACE_PARTS or _is_well_after_all(found[first])
            if is_place and larger and role != "plate":
                found[first] = _as_place(found[first], larger)
            else:  # the more distinguishing one
                least = min(
                    (i for i in same if i not in given), key=lambda i: (len(set(found[i].values)), -i)
                )
                found[least] = found[least]._replace(role="")
    return found


def _name_days(parts: list[Part]) -> None:
    """Of two times, as in "day2_frame07", the longer one goes before the other."""
    times = [i for i, part in enumerate(parts) if part.kind == "number" and part.role == "t"]
    if len(times) != 2:
        return
    words = [_WORD_BEFORE.search(_text_before(parts, i)) for i in times]
    ranks = [
        LONG_TIMES.index(word[0].lower()) if word and word[0].lower() in LONG_TIMES else len(LONG_TIMES)
        for word in words
    ]
    if ranks[0] != ranks[1]:
        longer = times[0] if ranks[0] < ranks[1] else times[1]
        parts[longer] = parts[longer]._replace(role="day")


def _text_before(parts: Sequence[Part], i: int) -> str:
    """The fixed text before a field, as far as the field before it."""
    text, at = parts[i].text, i - 1
    while at >= 0 and not parts[at].kind:
        text, at = parts[at].text + text, at - 1
    return text


def _without_coarser(parts: Sequence[Part]) -> list[Part]:
    """Without columns implied by another of the same role: "Site_1" by overall position 3."""
    found = list(parts)
    for i, part in enumerate(parts):
        same = [other for other in found if other.kind and other.role == part.role and other is not part]
        if part.kind and part.role and part.kind != "given" and any(_follows(part, other) for other in same):
            found[i] = part.dropped()
    return found


def _follows(part: Part, other: Part) -> bool:
    """Whether a column is redundant given another."""
    return len(set(zip(part.values, other.values, strict=True))) == len(set(other.values))


def _is_well_after_all(part: Part) -> bool:
    return part.kind == "number" and all(WELL_NAME.fullmatch(f"{part.text}{value}") for value in part.values)


def _as_place(part: Part, role: str) -> Part:
    """A number with its marker as a place name: "s1", "C01"."""
    return part._replace(text="", kind="word", role=role)


def _draft(parts: list[Part], labelled: Sequence[int], chosen: Sequence[int]) -> Draft | None:
    roles, doubts, swaps = _roles(parts, labelled, chosen)
    if roles is None:
        return None
    found = [part._replace(role=roles.get(i, part.role)) for i, part in enumerate(parts)]
    places = [i for i in (*labelled, *chosen) if found[i].role in PLACE_PARTS]
    for i in chosen:  # no redundant axis
        rest = [each for each in (*labelled, *chosen) if each != i]
        if i not in places and rest and parts[i].hint != "channel" and _tells_apart(parts, rest):
            return None
    if _is_one_word(parts, labelled, chosen):
        return None
    other = ""
    if swaps:
        other = _text([part._replace(role=swaps.get(i, part.role)) for i, part in enumerate(found)])
    clock = next((i for i in chosen if parts[i].kind == "clock"), None)
    if clock is not None:
        doubts = tuple(dict.fromkeys((*doubts, CLOCK_DOUBT)))
        other = _text(
            [
                _as_two_numbers(part, {part.role for part in found}) if i == clock else part
                for i, part in enumerate(found)
            ]
        )
    is_said = bool(labelled) or any(parts[i].hint == "channel" for i in chosen)
    return Draft(_text(found), is_said, doubts, other)


def _as_two_numbers(clock: Part, taken: Collection[str]) -> Part:
    """An hour and a minute as numbers of two axes."""
    second = next(role for role in ("z", "fov", "region") if role not in taken)
    return Part(f"{clock.text}{{t:d}}{str(clock.values[0])[2]}{{{second}:d}}")


def _is_one_word(parts: Sequence[Part], labelled: Sequence[int], chosen: Sequence[int]) -> bool:
    """Whether names are just unknown words: "cat", "dog"."""
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
    """The roles of the chosen columns, what is doubtful, and alternative roles."""
    taken = {parts[i].role for i in labelled}
    n_axes = len(labelled) + len(chosen)
    roles: dict[int, str] = {}
    doubts: list[str] = []
    others: list[tuple[int, str]] = []
    last = max((part.depth for part in parts), default=0)
    words = [i for i in chosen if parts[i].kind in ("word", "uuid")]
    # the last word of a name is more likely a channel than the first; dyes and colours most of all
    for i in sorted(words, key=lambda i: (parts[i].hint != "channel", -i)):
        part = parts[i]
        many = len(set(part.values)) > MAX_CHANNEL_WORDS
        in_folder = part.depth < last or any(p.kind == "given" for p in parts)
        is_place = (
            part.kind == "uuid" or part.hint == "place" or many or (in_folder and part.hint != "channel")
        )
        free = [r for r in (("region", "plate") if is_place else ("c", "region", "plate")) if r not in taken]
        if not free:
            return None, (), {}
        roles[i] = free[0]
        taken.add(free[0])
        if not part.hint and not many and part.kind == "word":
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
    frames = {} if doubts else _frames_of_longer_times(parts, labelled, roles)
    return roles, tuple(dict.fromkeys([*doubts, *("numbers" for _ in frames)])), swaps or frames


def _frames_of_longer_times(
    parts: Sequence[Part], labelled: Sequence[int], roles: Mapping[int, str]
) -> dict[int, str]:
    """Other roles where a number was taken for z as days, or the like, are the times: it may be frames."""
    days = [i for i in labelled if parts[i].role == "t" and _is_longer_time(parts, i)]
    number = next((i for i, role in roles.items() if role == "z" and parts[i].kind == "number"), None)
    return {days[0]: "day", number: "t"} if len(days) == 1 and number is not None else {}


def _is_longer_time(parts: Sequence[Part], i: int) -> bool:
    word = _WORD_BEFORE.search(_text_before(parts, i))
    return word is not None and word[0].lower() in LONG_TIMES


def _roles_of_numbers(
    parts: Sequence[Part],
    labelled: Sequence[int],
    numbers: Sequence[int],
    taken: set[str],
    roles: Mapping[int, str],
    last: int,
) -> Iterator[tuple[int, str, str]]:
    """The role of unmarked numbers ("" if none is left), and the next likely one."""
    places = [i for i in (*labelled, *roles) if (roles.get(i) or parts[i].role) in PLACE_PARTS]
    has_place = bool(places)
    used = set(taken)
    for i in numbers:
        in_folder = parts[i].depth < last
        if parts[i].kind in TIME_KINDS:
            usual: tuple[str, ...] = ("t", "region") if parts[i].hint == "date" else ("t",)
        elif parts[i].hint == "sample" and len(labelled) + len(numbers) + len(roles) > 1:
            usual = ("fov", "t", "z")
        elif in_folder and "t" in used:
            usual = ("fov",) if "fov" not in used else ("region", "z")
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
