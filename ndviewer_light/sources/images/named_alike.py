"""Whether other files in the folder of a single image look like a set that it is one of, by their names."""

from __future__ import annotations

import operator
import os
import re
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from ...metadata.guessed_axes import sizes_in_words
from ...model import Interpretation
from ...storage.about_files import about_file
from ...storage.presentable import presentable_name
from ..remarks import Remark
from .listing import PATTERN, is_image, is_thumbnail, stem_of
from .name_layouts import understood
from .name_words import is_channel_word

if TYPE_CHECKING:
    from .name_layouts import Layout

_MOST_SEEN, _MOST_COMPARED = 3_000, 150
_MOST_WORDS = 12
_SIGN = re.compile(r"[{}|/]")
_CUT, _NUMBER = re.compile(r"[_\-. ()\[\]=,;]+"), re.compile(r"[0-9]+")


def remark_on(path: str) -> Remark | None:
    """What to say of a local image that is shown alone, and how to open what it may be one of.

    None if no others are named like it. Of a large folder, the names next to its own are compared. Blocks on
    disk.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if not is_image(name) or is_thumbnail(name):
        return None
    names, is_all = _beside(folder, name)
    found = understood([stem_of(each) for each in names])
    stem = stem_of(name)
    with_it = [each for each in (found.layout, *found.others) if each is not None and stem in each.fields]
    if not with_it or with_it[0] is not found.layout:
        return None
    others = f"{'' if is_all else 'at least '}{len(with_it[0].fields) - 1}"
    is_one = others == "1"
    sizes = f", together {sizes_in_words(with_it[0].sizes)}" if is_all else ""
    warning = (
        f"{presentable_name(name)} alone is shown; {others} other file{' is' if is_one else 's are'} named "
        f"like it{sizes}. To see {'both' if is_one else 'all'}, open the folder, or use --pattern "
        f"{presentable_name(_pattern_of(with_it[0]))!r}"
    )
    return Remark(about_file(warning, path), tuple(_way(each, is_all=is_all) for each in with_it[:3]))


def _way(layout: Layout, *, is_all: bool) -> Interpretation:
    words = sizes_in_words(layout.sizes) if is_all else "the files named like it"
    pattern = _pattern_of(layout)
    return Interpretation(f"{words}   {pattern}", ((PATTERN, pattern),))


def _pattern_of(layout: Layout) -> str:
    """The pattern, with the words for channels that there are: other files of the folder are not meant."""
    words = sorted({fields["c"] for fields in layout.fields.values() if "c" in fields})
    is_listed = 1 < len(words) <= _MOST_WORDS and not any(map(_SIGN.search, words))
    return (
        layout.pattern.text.replace("{c}", f"{{c:{'|'.join(words)}}}") if is_listed else layout.pattern.text
    )


def _beside(folder: str, name: str) -> tuple[list[str], bool]:
    """The images named like a file in its folder, and whether these are all; sorted, it among them."""
    stem = stem_of(name)
    end, pieces = name[len(stem) :], _pieces(stem)
    try:
        with os.scandir(folder) as entries:
            seen = [entry.name for entry in islice(entries, _MOST_SEEN + 1)]
    except (OSError, ValueError):
        return [name], False
    alike = {
        each
        for each in seen
        if each.endswith(end) and each[0] not in ".~" and _are_alike(pieces, _pieces(each[: -len(end)]))
    }
    names = sorted(each for each in alike | {name} if each == name or not is_thumbnail(each))
    at = max(0, bisect_left(names, name) - _MOST_COMPARED // 2)
    some = names[at : at + _MOST_COMPARED]
    return some, len(some) == len(names) and len(seen) <= _MOST_SEEN


def _pieces(stem: str) -> list[str]:
    """What is between separators, with 0 for each number."""
    return _CUT.split(_NUMBER.sub("0", stem))


def _are_alike(some: list[str], others: list[str]) -> bool:
    """Whether names have as many pieces, of which one is the same; those of one word are both of channels."""
    if len(some) != len(others):
        return False
    if len(some) == 1 and some != others:
        return is_channel_word(some[0]) and is_channel_word(others[0])
    return any(map(operator.eq, some, others))
