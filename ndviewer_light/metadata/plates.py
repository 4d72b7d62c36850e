"""Interprets OME-NGFF metadata of plates, wells and bioformats2raw collections; pure functions, no I/O."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DatasetError, LimitExceededError
from ..model import natural_key
from ..storage.limits import MAX_POSITIONS, safe_node
from .named_axes import clean
from .ngff import find, listed, lookup, written_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.limits import JsonObject

MAX_REFUSED = 8
"""Of the images of a well or a scene that are left out, it is said why of so many."""


class Well(NamedTuple):
    """One well of a plate: its path in the plate and the region name users read ("A1").

    `refused` is why the path it is given by is none that is followed; `path` is "" then.
    """

    path: str
    region: str
    refused: DatasetError | None = None


def region_name(row: str, column: str) -> str:
    """``"A1"`` from row and column; ``"1/01"`` if a numbered row would merge with the column."""
    return f"{row}/{column}" if row[-1:].isdigit() else row + column


def is_plate(attributes: JsonObject) -> bool:
    """Whether these attributes describe a plate."""
    return isinstance(find(attributes, ("plate",)), dict)


def plate_wells(attributes: JsonObject, where: str) -> tuple[Well, ...]:
    """Return the wells of a plate in natural order, by row, then column (A1, A2, A10, B1; Z before AA).

    One with an invalid path is among them, `refused`.
    """
    plate = lookup(attributes, "plate")
    wells = listed(plate.get("wells"))
    if len(wells) > MAX_POSITIONS:
        raise LimitExceededError(
            f"{where}: {len(wells)} wells; at most {MAX_POSITIONS} positions can be shown"
        )
    paths: list[str] = []
    refused: list[tuple[JsonObject, DatasetError]] = []
    for well in wells:
        if isinstance(well, dict):
            try:
                paths.append(safe_node(well.get("path"), where))
            except DatasetError as error:
                refused.append((well, error))
    clean_once, key_of = (
        functools.cache(clean),
        functools.cache(natural_key),
    )  # few rows and columns, many wells
    found = {path: _row_and_column(path, clean_once) for path in paths if path}
    placed = [(place, Well(path, region_name(*place))) for path, place in found.items()]
    taken = {well.region for _, well in placed}
    for said, why in refused:
        place = _place_said(plate, said)
        name = region_name(*place)
        numbered = (f"{name} ({n})" for n in itertools.count(2))
        region = next(each for each in itertools.chain((name,), numbered) if each not in taken)
        taken.add(region)
        placed.append((place, Well("", region, why)))
    placed.sort(key=lambda each: tuple(map(key_of, each[0])))
    return tuple(well for _, well in placed)


def _place_said(plate: JsonObject, well: JsonObject) -> tuple[str, str]:
    """The row and column of a well that is not found by its path: by their indices, else by what it says."""
    names = []
    for axis in ("row", "column"):
        at, entries = well.get(f"{axis}Index"), listed(plate.get(f"{axis}s"))
        entry = entries[at] if type(at) is int and 0 <= at < len(entries) else None
        names.append(clean(entry.get("name")) if isinstance(entry, dict) else "")
    if all(names):
        return names[0], names[1]
    said = [clean(part) for part in str(well.get("path")).replace("\\", "/").split("/")]
    parts = [part for part in said if part.strip(".")] or ["?"]
    return (parts[-2] if len(parts) > 1 else ""), parts[-1]


def _row_and_column(path: str, clean_once: Callable[[object], str]) -> tuple[str, str]:
    row, _, column = path.rpartition("/")
    return clean_once(row), clean_once(column)


def is_well(attributes: JsonObject) -> bool:
    """Whether these attributes describe a well."""
    return isinstance(find(attributes, ("well",)), dict)


class WellImages(NamedTuple):
    """The images of a well in natural order: their paths, and the acquisition of each, "" if not given."""

    paths: tuple[str, ...] = ()
    acquisitions: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """Why others that it lists are left out."""


def well_images(attributes: JsonObject, where: str) -> WellImages | None:
    """Return the images of a well; None if the metadata does not list them."""
    images = lookup(attributes, "well").get("images")
    if not isinstance(images, list):
        return None
    found: dict[str, str] = {}
    refused: list[str] = []
    for image in images:
        try:
            if isinstance(image, dict) and (path := safe_node(image.get("path"), where)):
                found.setdefault(path, written_label(image.get("acquisition")))
        except DatasetError as error:
            refused.append(str(error))
    paths = sorted(found, key=natural_key)
    return WellImages(tuple(paths), tuple(found[path] for path in paths), tuple(refused[:MAX_REFUSED]))


def plate_acquisitions(attributes: JsonObject) -> dict[str, str]:
    """Return the acquisitions of a plate by id: the name of each, with its id if others have the same.

    Those without a name go by their id; those without a valid id are left out.
    """
    entries = listed(lookup(attributes, "plate").get("acquisitions"))
    dicts = (entry for entry in entries if isinstance(entry, dict))
    names = {written_label(entry.get("id")): clean(entry.get("name")) for entry in dicts}
    names.pop("", None)
    many = Counter(names.values())
    return {
        number: name if name and many[name] == 1 else f"{name} ({number})" if name else number
        for number, name in names.items()
    }


def series_paths(attributes: JsonObject, where: str) -> tuple[str | DatasetError, ...] | None:
    """Return the images a bioformats2raw ``OME`` group lists, in its order; None if it lists none.

    In the place of an invalid path is why it is not followed.
    """
    series = find(attributes, ("series",))
    if not isinstance(series, list):
        return None
    found: list[str | DatasetError] = []
    for path in series:
        try:
            found.append(safe_node(path, where))
        except DatasetError as error:
            found.append(error)
    return tuple(found)


def is_collection(attributes: JsonObject) -> bool:
    """Whether these attributes mark a bioformats2raw collection."""
    return find(attributes, ("bioformats2raw.layout",)) is not None
