"""Which images an index says there are to be of which there is no file: they are pending, or not acquired.

``Index.idx.xml`` and ``MeasurementData.mlf`` list each image, an ``.nd`` and an ``.HTD`` what there is along
each axis. Of an axis along which there are files that the index does not know, it tells nothing.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .beside import MOST_FOLDERS
from .listing import fields_of, stem_of
from .numbering import PLACE_PARTS, TIMES
from .patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .beside import Beside
    from .listing import Listing

    Fields = dict[str, str]

_AXES = (PLACE_PARTS, TIMES, ("c",), ("z",))
"""The roles of names, by what they are together."""


def planned_fields(listing: Listing, beside: Beside) -> list[Fields]:
    """What the names of files are to have, those that are there and those that are not, along all axes, or
    along some; nothing where no index says that there are to be others.

    Blocks on disk, or on the network.
    """
    found = [fields for fields, _ in listing.files]
    if listing.said is not None and listing.said.planned:
        return _along_axes(found, listing.said.planned)
    missing = _missing(listing, beside) if listing.pattern else []
    return [*found, *missing] if missing else []


def _missing(listing: Listing, beside: Beside) -> list[Fields]:
    """The fields of the names that an index lists, in the folder of images or in each of several."""
    is_quoted = listing.root[:4].lower() == "http"
    names = [unquote(name.partition("?")[0]) if is_quoted else name for _, name in listing.files]
    there = set(map(stem_of, names))
    folders = {
        name[: name.rfind("/") + 1]: full for name, (_, full) in zip(names, listing.files, strict=True)
    }
    pattern = Pattern(listing.pattern)
    missing: list[Fields] = []
    for i, (folder, name) in enumerate(islice(folders.items(), MOST_FOLDERS)):
        listed = beside.names_listed(listing.root + name)
        if not listed and i == 0:
            return []
        stems = dict.fromkeys(stem_of(folder + each) for each in listed)
        read = (fields_of(pattern, stem) for stem in stems if stem not in there)
        missing += [fields for fields in read if fields is not None]
    return missing


def _along_axes(found: Sequence[Fields], planned: Iterable[Mapping[str, str]]) -> list[Fields]:
    """Of what an index plans along each axis, what may be believed: all files that there are fit it."""
    kept: list[Fields] = []
    named = set.intersection(*map(set, found))
    for roles in _AXES:
        own = [dict(each) for each in planned if not each.keys().isdisjoint(roles)]
        of_names = tuple(role for role in roles if role in named)
        if {each["fov"] for each in own if "fov" in each} == {"1"} and "fov" not in of_names:
            own = [{role: text for role, text in each.items() if role != "fov"} for each in own]
        if not own or any(set(each) != set(of_names) for each in own):
            continue
        there = {_place_of(fields, of_names) for fields in found}
        if there <= {_place_of(each, of_names) for each in own}:
            kept += own
    return kept


def _place_of(fields: Mapping[str, str], roles: Iterable[str]) -> tuple[object, ...]:
    """Where a name is along one axis; "01" is "1"."""
    return tuple(int(text) if (text := fields[role]).isdecimal() else text.lower() for role in roles)
