"""Interprets OME-NGFF metadata of label images; pure functions, no I/O.

Source: OME-NGFF 0.4 to 0.6, "labels" metadata: the group ``labels`` in an image group lists label images by
their paths; each is an image of its own, with ``image-label`` beside its ``multiscales``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..model import LabelFacts
from ..storage.limits import safe_node
from ..storage.printable import printable
from .ngff import find, listed, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..model import Rgba
    from ..storage.limits import JsonObject

GROUP = "labels"
"""The group with the label images of the image in whose group it lies."""

_MAX_LABEL_IMAGES = 1000
_MAX_VALUES = 50_000
_MAX_PROPERTIES = 16
_MAX_LETTERS = 80
_VALUE = "label-value"


def label_paths(attributes: JsonObject, where: str) -> tuple[str, ...]:
    """The label images that a ``labels`` group lists, by their paths in it; () if it lists none.

    Paths that lead out are left out.
    """
    found: list[str] = []
    for path in listed(find(attributes, (GROUP,)))[:_MAX_LABEL_IMAGES]:
        try:
            found.append(safe_node(path, where))
        except DatasetError:
            continue
    return tuple(dict.fromkeys(path for path in found if path))


def label_facts(attributes: JsonObject) -> LabelFacts:
    """Colours and properties of the values of a label image; entries that are not understood are left out."""
    said = lookup(attributes, "image-label")
    return LabelFacts(_colours(said), _properties(said))


def _colours(said: JsonObject) -> dict[int, Rgba]:
    found: dict[int, Rgba] = {}
    for value, entry in _by_value(said.get("colors")):
        rgba = entry.get("rgba")
        if isinstance(rgba, list) and len(rgba) == 4 and all(map(_is_byte, rgba)):
            found[value] = (rgba[0], rgba[1], rgba[2], rgba[3])
    return found


def _properties(said: JsonObject) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for value, entry in _by_value(said.get("properties")):
        texts = {
            _text(name): _text(said_of_it)
            for name, said_of_it in list(entry.items())[:_MAX_PROPERTIES]
            if name != _VALUE and isinstance(said_of_it, (str, int, float))
        }
        if texts:
            found[value] = texts
    return found


def _by_value(entries: object) -> Iterator[tuple[int, JsonObject]]:
    for entry in listed(entries)[:_MAX_VALUES]:
        value = entry.get(_VALUE) if isinstance(entry, dict) else None
        if type(value) is int:
            yield value, entry


def _text(value: object) -> str:
    return printable(str(value))[:_MAX_LETTERS]


def _is_byte(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255
