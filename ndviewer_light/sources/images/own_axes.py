"""Axes that files say of their pages themselves: names that seem to count the same tell images apart."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from ...metadata.guessed_axes import sizes_in_words
from ...metadata.tiff_layout import PAGES, SHAPE_ALONE
from ...model import Interpretation, how_many
from ...storage.bytes import is_url
from ...storage.presentable import presentable_name
from .listing import PATTERN, stem_of
from .patterns import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .file_reader import Sample
    from .listing import Listing

_WEAK = ("ImageJ", "stk")
"""Programs that call any pages slices, or channels, where nobody has said what they are."""
_NOUNS = {"t": "time points", "z": "planes of a stack", "c": "channels"}
_WELLS = ("row", "column", "row0", "column0", "wellnumber")
_FIELD = re.compile(r"([A-Za-z]*)\{(\w+)((?::[^}]*)?)\}")
_NUMBER = re.compile(r":[0-9]*d")


def own_axes(sample: Sample) -> frozenset[str]:
    """The axes among t, z and c that a file's metadata name; none where they are guessed, or a habit."""
    roles = [axis.lower() for axis in sample.axes if axis.lower() in _NOUNS]
    if sample.kind in (PAGES, SHAPE_ALONE):
        return frozenset()
    if sample.kind.startswith(_WEAK) and len(roles) < 2:
        return frozenset(roles) & {"t"}
    return frozenset(roles)


def told_apart_by_files(listing: Listing, sample: Sample) -> Listing:
    """The listing with a position for each value of those axes that files have themselves.

    `sample` is of the first file. The listing itself, if names count nothing that the files do.
    """
    twice = [role for role in sorted(own_axes(sample)) if _n_values(listing, role) > 1]
    if not twice or listing.said is not None:
        return listing
    where = listing.root.rstrip("/" + os.sep) or listing.root
    if not listing.pattern:
        return _by_name(listing, where)
    pattern = listing.pattern
    moved: dict[str, _FieldAsPlace] = {}
    for role in twice:
        place = _as_place(pattern, role)
        if place is None:
            return listing
        pattern, moved[role] = place.pattern, place
    files = tuple((_moved(fields, moved), name) for fields, name in listing.files)
    nouns = " and ".join(_NOUNS[role] for role in twice)
    doubt = (
        f"{where}: the files have {nouns} themselves, which their names seem to count as well "
        f"({presentable_name(listing.pattern)!r}): the names are shown as positions. If that is wrong, try "
        f"--pattern {presentable_name(listing.pattern)!r}"
    )
    n = {role: _n_values(listing, role) for role in twice}
    other = Interpretation(f"{sizes_in_words(n)}   {listing.pattern}", ((PATTERN, listing.pattern),))
    others = (other, *listing.others)
    return listing._replace(pattern=pattern, files=files, doubts=(doubt,), others=others, convention="")


def _n_values(listing: Listing, role: str) -> int:
    if role == "t" and any("day" in fields for fields, _ in listing.files):
        return 1  # times in two parts stay times
    return len({fields.get(role, "") for fields, _ in listing.files})


def _by_name(listing: Listing, where: str) -> Listing:
    """Each file as a position with its name, where names are not understood."""
    stems = [stem_of(unquote(name) if is_url(listing.root) else name) for _, name in listing.files]
    depths = {stem.count("/") for stem in stems}
    if depths not in ({0}, {1}):
        return listing
    roles = ("plate", "region")[-1 - max(depths) :]
    files = tuple(
        (dict(zip(roles, stem.split("/"), strict=True)), name)
        for stem, (_, name) in zip(stems, listing.files, strict=True)
    )
    doubt = (
        f"{where}: the naming of the {how_many(len(files), 'file')} is not recognised; each is shown as a "
        "position. Describe the names, for example with --pattern 'img_t{t:d}_{c}_z{z:d}.png'"
    )
    pattern = "/".join(f"{{{role}}}" for role in roles)
    others = tuple(each for each in listing.others if (PATTERN, "{p}") not in each.options)
    return listing._replace(pattern=pattern, files=files, doubts=(doubt,), others=others)


class _FieldAsPlace(NamedTuple):
    """The pattern in which a field tells positions apart, its part of a place, and the text before it."""

    pattern: str
    part: str
    mark: str = ""


def _as_place(pattern: str, role: str) -> _FieldAsPlace | None:
    """None if all parts of places are taken."""
    fields = [field for field in _FIELD.finditer(pattern) if ROLES.get(field[2]) == role]
    if len(fields) != 1:
        return None
    field = fields[0]
    used = {ROLES[each[2]] for each in _FIELD.finditer(pattern) if each[2] in ROLES}
    is_number = _NUMBER.fullmatch(field[3]) is not None
    free = [part for part in ("fov", "region", "plate") if part not in used]
    if not used.isdisjoint(_WELLS):
        free = [part for part in free if part != "region"]
    if not is_number:
        free = [part for part in free if part != "fov"]
    if not free:
        return None
    if is_number and free[0] != "fov":  # "t0", which says more than "0"
        text = f"{pattern[: field.start()]}{{{free[0]}:w}}{pattern[field.end() :]}"
        return _FieldAsPlace(text, free[0], field[1])
    return _FieldAsPlace(f"{pattern[: field.start(2)]}{free[0]}{pattern[field.end(2) :]}", free[0])


def _moved(fields: Mapping[str, str], moved: Mapping[str, _FieldAsPlace]) -> dict[str, str]:
    """The fields of a name, some of which are parts of a position now."""
    found = dict(fields)
    for role, place in moved.items():
        if role in found:
            found[place.part] = place.mark + found.pop(role)
    return found
