"""Interprets OME-NGFF metadata of plates, wells and bioformats2raw collections; pure functions, no I/O."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..errors import LimitExceededError
from ..model import natural_key
from ..storage.limits import MAX_POSITIONS, safe_node
from .named_axes import clean
from .ngff import find, listed, lookup, written_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..storage.limits import JsonObject


class Well(NamedTuple):
    """One well of a plate: its path in the plate and the region name users read ("A1")."""

    path: str
    region: str


def region_name(row: str, column: str) -> str:
    """``"A1"`` from row and column; ``"1/01"`` if a numbered row would merge with the column."""
    return f"{row}/{column}" if row[-1:].isdigit() else row + column


def is_plate(attributes: JsonObject) -> bool:
    """Whether these attributes describe a plate."""
    return isinstance(find(attributes, ("plate",)), dict)


def plate_wells(attributes: JsonObject, where: str) -> tuple[Well, ...]:
    """Return the wells of a plate in natural order, by row, then column (A1, A2, A10, B1; Z before AA)."""
    wells = listed(lookup(attributes, "plate").get("wells"))
    if len(wells) > MAX_POSITIONS:
        raise LimitExceededError(
            f"{where}: {len(wells)} wells; at most {MAX_POSITIONS} positions can be shown"
        )
    paths = [safe_node(well.get("path"), where) for well in wells if isinstance(well, dict)]
    clean_once, key_of = (
        functools.cache(clean),
        functools.cache(natural_key),
    )  # few rows and columns, many wells
    found = {path: _row_and_column(path, clean_once) for path in paths if path}
    order = sorted(found, key=lambda path: tuple(map(key_of, found[path])))
    return tuple(Well(path, region_name(*found[path])) for path in order)


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


def well_images(attributes: JsonObject, where: str) -> WellImages | None:
    """Return the images of a well; None if the metadata does not list them."""
    images = lookup(attributes, "well").get("images")
    if not isinstance(images, list):
        return None
    found: dict[str, str] = {}
    for image in images:
        if isinstance(image, dict) and (path := safe_node(image.get("path"), where)):
            found.setdefault(path, written_label(image.get("acquisition")))
    paths = sorted(found, key=natural_key)
    return WellImages(tuple(paths), tuple(found[path] for path in paths))


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


def series_paths(attributes: JsonObject, where: str) -> tuple[str, ...] | None:
    """Return the images a bioformats2raw ``OME`` group lists, in its order; None if it lists none."""
    series = find(attributes, ("series",))
    if not isinstance(series, list):
        return None
    return tuple(safe_node(path, where) for path in series)


def is_collection(attributes: JsonObject) -> bool:
    """Whether these attributes mark a bioformats2raw collection."""
    return find(attributes, ("bioformats2raw.layout",)) is not None
