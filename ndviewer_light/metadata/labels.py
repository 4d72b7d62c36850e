"""Interprets OME-NGFF metadata of label images; pure functions, no I/O.

Source: OME-NGFF 0.4 to 0.6, "labels" metadata: the group ``labels`` in an image group lists label images by
their paths; each is an image of its own, with ``image-label`` beside its ``multiscales``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..storage.limits import safe_node
from .ngff import find, listed, lookup

if TYPE_CHECKING:
    from ..storage.limits import JsonObject

GROUP = "labels"
"""The group with the label images of the image in whose group it lies."""

_MAX_LABEL_IMAGES = 1000
_MAX_COLOURS = 100_000


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


def label_colours(attributes: JsonObject) -> dict[int, tuple[int, int, int, int]]:
    """The colours that a label image gives to its values: red, green, blue, opacity, each 0 to 255."""
    found: dict[int, tuple[int, int, int, int]] = {}
    for entry in listed(lookup(attributes, "image-label").get("colors"))[:_MAX_COLOURS]:
        entry = entry if isinstance(entry, dict) else {}
        value, rgba = entry.get("label-value"), entry.get("rgba")
        if type(value) is int and isinstance(rgba, list) and len(rgba) == 4 and all(map(_is_byte, rgba)):
            found[value] = (rgba[0], rgba[1], rgba[2], rgba[3])
    return found


def _is_byte(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255
