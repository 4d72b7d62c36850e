"""Interprets file names: candidate layouts, the evidence for and against each, and the best one.

Names in, layouts out; no disk access. Conventions (`conventions`) and the columns of the names
(`numbering`) suggest candidates; hard rules decide: no two files for one plane, no grid that is
mostly empty, no redundant axis, and every file either assigned or reported as left out.
"""

from __future__ import annotations

import functools
import math
import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ...model import how_many
from .conventions import CONVENTIONS
from .name_columns import Column, Part, columns_of, parts_of
from .name_words import CHANNELS_OF_WORDS, is_channel_word
from .numbering import CLOCK_DOUBT, MAX_CHANNEL_WORDS, PLACE_PARTS, TIMES, Draft, assigned, drafts
from .patterns import Pattern, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Fields = dict[str, str]

_MAX_SAMPLE = 5_000
"""Names from which drafts are made; all are checked against them."""
_FEW_NAMES = 200
_MANY_NAMES = 50_000
_MAX_CHECKED = 6
"""Of very many names, how many layouts are compared once one holds."""
_LEAST_EXPLAINED, _LEAST_EXPLAINED_BY_GUESS = 1 / 3, 0.8
_LEAST_FILLED, _LEAST_FILLED_BY_GUESS, _LEAST_FILLED_BY_GUESSES = 0.1, 0.5, 0.9
CLEAR = 0.2
"""The score difference beyond which a layout is considered certain."""
_BEFORE_CUT = re.compile(r"[_\-. ]")
_MARKED = re.compile(
    r"[cfmp][1-9][0-9]?"
)  # "c1": of one letter, which marks another number, no row of a plate
_MAY_BE_CHANNELS = "wells that may be channels"
_WELLS_IN_PARTS = ("row", "row0", "wellnumber")
"""Roles that tell the well: what is in front of them is no other one."""
_ONE_WORD = "fluorescence90"
"""What stands for a channel of several words: it is no word of a name, but known to be a channel."""
_COUNTED = re.compile(r"(.*?)[0-9]+")


@dataclass(frozen=True)
class Layout:
    """One interpretation of names: its pattern, its origin, the evidence, and its score.

    `fields` by name, without those that are `left_out`; `sizes` of t, p, c and z. `other` is a pattern that
    would be equally good, or "".
    """

    pattern: Pattern
    author: str
    fields: dict[str, Fields]
    left_out: tuple[str, ...]
    sizes: dict[str, int]
    evidence: tuple[str, ...]
    score: float
    doubts: tuple[str, ...] = ()
    other: str = ""


class Understanding(NamedTuple):
    """The interpretation of names: the best layout, or None, and other valid ones, best first."""

    layout: Layout | None
    others: tuple[Layout, ...] = ()
    refused: tuple[str, ...] = ()


def understood(names: Sequence[str]) -> Understanding:
    """Interpret file names, given without extensions, with "/" after folders.

    Pure. Takes about 20 µs a name.
    """
    if len(names) < 2:
        return Understanding(None)
    sample = _sample(names, _MAX_SAMPLE)
    few = _sample(names, _FEW_NAMES)
    held: list[Layout] = []
    refused: list[str] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for author, draft, zero_based in _proposed(sample):
        # the pattern of a convention that is refused may be another's
        is_known = (draft.text, zero_based) in seen or (draft.text, ()) in seen
        if is_known or any(layout.pattern.text == draft.text for layout in held):
            continue
        seen.add((draft.text, zero_based))
        pattern = Pattern(draft.text)
        if sum(pattern.read(name) is not None for name in few) < _LEAST_EXPLAINED * len(few) * 0.8:
            continue
        layout = _checked(pattern, author, draft, zero_based, names)
        if isinstance(layout, str):
            refused.append(f"{pattern.text!r}: {layout}")
        else:
            held.append(layout)
            if _is_perfect(layout) or (len(names) > _MANY_NAMES and len(held) >= _MAX_CHECKED):
                break
    if not held:
        return Understanding(None, (), tuple(refused))
    ranked = sorted(held, key=lambda layout: -layout.score)
    return Understanding(_with_doubt(ranked), tuple(ranked[1:]), tuple(refused))


def _with_doubt(ranked: Sequence[Layout]) -> Layout:
    """The best layout; in doubt if another has wells where it has channels, unless all marks are capitals."""
    best = ranked[0]
    rival = next((each for each in ranked[1:] if _MAY_BE_CHANNELS in each.evidence), None)
    if rival is None or best.doubts or "c" not in best.pattern.roles or "S{" in best.pattern.text:
        return best
    return replace(best, doubts=("numbers after C",), other=rival.pattern.text)


def _sample(names: Sequence[str], n: int) -> Sequence[str]:
    """Some of many names, always the same; not every n-th, which would leave out whole channels."""
    if len(names) <= n:
        return names
    return [names[0], *random.Random(0).sample(names[1:-1], n - 2), names[-1]]


def _is_perfect(layout: Layout) -> bool:
    return not layout.left_out and not layout.doubts and not layout.evidence[1:]


# ---- candidates ----------------------------------------------------------------------------


def _proposed(names: Sequence[str]) -> Iterator[tuple[str, Draft, tuple[str, ...]]]:
    for convention in CONVENTIONS:
        if convention.sign is not None and not any(map(convention.sign.fullmatch, names)):
            continue
        for core in convention.patterns:
            for draft in _by_convention(core, names):
                yield convention.name, draft, convention.zero_based
    for draft in (*_with_channels_of_words(names), *drafts(names)):
        yield "", draft, ()


def _with_channels_of_words(names: Sequence[str]) -> Iterator[Draft]:
    """The drafts of names in which channels of several words count as one, beside channels of one word."""
    words = {match[0] for name in names for match in CHANNELS_OF_WORDS.finditer(name)}
    if not words:
        return
    as_one = {word: f"{_ONE_WORD}{i}" for i, word in enumerate(sorted(words, key=len, reverse=True))}
    shorter = [CHANNELS_OF_WORDS.sub(lambda match: as_one[match[0]], name) for name in names]
    for draft in drafts(shorter):
        text, other = draft.text, draft.other
        for word, one in reversed(as_one.items()):  # the highest number first
            text, other = text.replace(one, escaped(word)), other.replace(one, escaped(word))
        yield draft._replace(text=text, other=other)


def follows_a_convention(name: str) -> bool:
    """Whether a name, without its extension, may be one of those that a known instrument or program gives."""
    return any(_core(text).fullmatch(name) for each in CONVENTIONS for text in each.patterns)


@functools.lru_cache(maxsize=256)
def _core(text: str) -> re.Pattern[str]:
    """A convention's pattern, preceded by any prefix that ends at a separator."""
    if text.startswith("{region}"):
        head = r"(?:.*/)?"
    elif "/" in text:
        head = r"(?:.*?/)?"
    else:
        head = r".*?" if text[0] in "_-" else r"(?:.*?[/_\-. #])?"
    return re.compile(f"(?P<head_>{head}){Pattern(text).expression}", re.DOTALL | re.IGNORECASE)


def _by_convention(core: str, names: Sequence[str]) -> Iterator[Draft]:
    """The pattern of a convention with its prefix; nothing if few names match."""
    regex = _core(core)
    matches = [match for name in names if (match := regex.fullmatch(name)) is not None]
    if len(matches) < max(2, _LEAST_EXPLAINED * len(names) * 0.8):
        return
    heads = [match["head_"] for match in matches]
    if len(set(heads)) == 1:
        yield Draft(escaped(heads[0]) + core)
        return
    roles = [role for role in matches[0].re.groupindex if role != "head_"]
    given = []
    for role in roles:
        values = tuple(_value(match[role] or "") for match in matches)
        if len(set(values)) > 1:
            given.append((role, values))
    yield from _with_head(core, heads, given)


def _with_head(core: str, heads: list[str], given: list[tuple[str, tuple[object, ...]]]) -> Iterator[Draft]:
    columns = columns_of(heads)
    if not columns:
        return
    depth_of_names = max(column.depth for column in columns)
    shape = _folders_cut(columns)
    alike = [i for i, head in enumerate(heads) if _folders_cut(columns_of([head])) == shape]
    parts = parts_of(columns)
    varying = [
        Part("", "given", role, tuple(values[i] for i in alike), depth_of_names + 1) for role, values in given
    ]
    for draft in assigned([*parts, *varying]):
        text = core
        for role in re.findall(r"\{(\w+)", draft.text):
            # what is the same everywhere gives way to what stands in front of it
            text = text.replace(f"{{{role}}}", "*").replace(f"{{{role}:", "{:")
        if any(f"{{{role}:" in core for role in _WELLS_IN_PARTS):
            draft = draft._replace(text=draft.text.replace("{region", "{plate"))
        yield draft._replace(text=draft.text + text, other=draft.other and draft.other + text)


def _folders_cut(columns: Sequence[Column]) -> list[bool]:
    return [column.cut == "/" for column in columns[1:]]


def _value(text: str) -> object:
    return int(text) if text.isdecimal() else text


# ---- checks ----------------------------------------------------------------------------------


def _checked(
    pattern: Pattern, author: str, draft: Draft, zero_based: tuple[str, ...], names: Sequence[str]
) -> Layout | str:
    """The layout of a pattern, or why it is impossible."""
    found = {name: fields for name in names if (fields := pattern.read(name)) is not None}
    explained = len(found) / len(names)
    guesses = sum(doubt != CLOCK_DOUBT for doubt in draft.doubts)
    is_sure = draft.is_said or _are_derived(names, found)
    if len(found) < 2 or explained < (_LEAST_EXPLAINED if is_sure else _LEAST_EXPLAINED_BY_GUESS):
        return f"explains {len(found)} of {len(names)} names"
    planes = _planes(list(found.values()), pattern.roles)
    if len(planes) < len(found):
        return f"{how_many(len(found) - len(planes), 'file')} would map to the same plane as others"
    sizes = _sizes(planes, pattern.roles)
    filled = len(found) / math.prod(sizes.values())
    least = _LEAST_FILLED_BY_GUESS if guesses else _LEAST_FILLED
    if guesses > 1 or "words" in draft.doubts:
        least = _LEAST_FILLED_BY_GUESSES
    if filled < least:
        return f"{filled:.0%} of its {math.prod(sizes.values())} planes have a file"
    for role in zero_based:
        if min((int(fields[role]) for fields in found.values() if role in fields), default=0):
            return f"{role} does not count from 0"
    against = _against(list(found.values()), filled)
    explains = f"explains {len(found)} of {len(names)} names, {filled:.0%} of its planes have a file"
    counted = _counted_channels(list(found.values()))
    score = 2 * explained + min(filled, 1.0) - 0.15 * guesses - 0.5 * len(against) - 0.1 * len(counted)
    left_out = tuple(name for name in names if name not in found)
    evidence = (explains, *against, *counted)
    return Layout(pattern, author, found, left_out, sizes, evidence, score, draft.doubts, draft.other)


def _are_derived(names: Sequence[str], found: Mapping[str, Fields]) -> bool:
    """Whether all remaining names are others with a suffix: "img_007_mask"."""
    others = (name for name in names if name not in found)
    return all(any(name[: cut.start()] in found for cut in _BEFORE_CUT.finditer(name)) for name in others)


def _against(found: list[Fields], filled: float) -> list[str]:
    """What makes a layout unlikely, though not impossible."""
    against = []
    if filled < 0.5:
        against.append(f"{1 - filled:.0%} of its planes have no file")
    channels = {fields["c"] for fields in found if "c" in fields and not fields["c"].isdecimal()}
    if len(channels) > MAX_CHANNEL_WORDS and not all(map(is_channel_word, channels)):
        against.append(f"{len(channels)} channels")
    wells = {fields["region"] for fields in found if "region" in fields}
    if (
        len(wells) > 1
        and len({well[0] for well in wells if well}) == 1
        and all(map(_MARKED.fullmatch, wells))
    ):
        against.append("wells that are rather marked numbers")
    stems = {match[1] if (match := _COUNTED.fullmatch(name)) else name for name in channels}
    if len(stems) < len(channels) and not all(map(is_channel_word, channels)):
        against.append("channels that are only counted")
    return against


def _counted_channels(found: list[Fields]) -> list[str]:
    """Why wells may be channels: "C1", "C2", …, in one row from the first on, where there is no channel."""
    wells = {fields["region"] for fields in found if "region" in fields}
    numbers = {f"C{n}" for n in range(1, len(wells) + 1)}
    if not 1 < len(wells) <= MAX_CHANNEL_WORDS or wells != numbers or any("c" in fields for fields in found):
        return []
    return [_MAY_BE_CHANNELS]


def _planes(found: Sequence[Fields], roles: Sequence[str]) -> set[tuple[object, ...]]:
    """The meaning of fields, in the order of `roles`, with numbers by value: "01" is "1"."""
    known: dict[str, object] = {}
    for text in {text for fields in found for text in fields.values()} | {""}:
        known[text] = _value(text)
    return {tuple([known[fields.get(role, "")] for role in roles]) for fields in found}


def layout_sizes(pattern: Pattern, names: Sequence[str]) -> dict[str, int]:
    """How many values there are along t, p, c and z in the names that a pattern reads."""
    found = [fields for fields in map(pattern.read, names) if fields is not None]
    roles = sorted({role for fields in found for role in fields})
    return _sizes(_planes(found, roles), roles)


def _sizes(planes: set[tuple[object, ...]], roles: Sequence[str]) -> dict[str, int]:
    """The axis lengths, with one position per existing place."""
    places = [i for i, role in enumerate(roles) if role in PLACE_PARTS]
    n_places = len({tuple([plane[i] for i in places]) for plane in planes})
    n = {role: len({plane[i] for plane in planes}) for i, role in enumerate(roles)}
    times = [i for i, role in enumerate(roles) if role in TIMES]
    n_times = len({tuple([plane[i] for i in times]) for plane in planes})
    return {"t": n_times, "p": n_places, "c": n.get("c", 1), "z": n.get("z", 1)}
