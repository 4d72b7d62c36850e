"""The index that Opera Phenix, Operetta and Harmony write beside their images. Text in, facts out; no I/O.

``Index.idx.xml`` lists each image with its channel, pixel size and place; later versions say once for each
channel what all its images have in common. A measurement of a plate has megabytes of it, of which the
beginning is enough: so it need not be whole.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from ..model import Channel
from .named_axes import clean, unit_of_length
from .set_index import SetIndex, even_step, sane_steps, stage_places, told_apart, wavelength, well_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OPERA_INDEXES = ("Index.idx.xml", "Index.xml")

_ENTRY = re.compile(r"<Entry ChannelID=\"([0-9]{1,6})\"[^>]*>(.*?)</Entry>", re.DOTALL)
_IMAGE = re.compile(r"<Image\b[^>]*>(.*?)</Image>", re.DOTALL)
_LISTED = re.compile(r"<URL(?:\s[^<>]{0,80})?>([^<>]{1,260})</URL>")
_FACT = re.compile(r"<(\w{1,40})(?:\s+Unit=\"([^\"]{0,20})\")?\s*>([^<]{0,200})</\1>")
_COUNTED = ("Row", "Col", "FieldID", "ChannelID", "PlaneID", "TimepointID")

_Facts = dict[str, tuple[str, str]]  # text and unit, by the name of an element


def opera_index(text: str) -> SetIndex:
    """What an index, or its beginning, says; nothing where it says nothing that can be believed."""
    facts_of: dict[str, _Facts] = {}
    for number, inside in _ENTRY.findall(text):
        facts_of.setdefault(str(int(number)), {}).update(_facts(inside))
    images = [_facts(inside) for inside in _IMAGE.findall(text)]
    for image in images:
        number = image.get("ChannelID", ("", ""))[0]
        if number.isdecimal():
            facts_of.setdefault(str(int(number)), {}).update(image)
    channels = {number: channel for number, facts in facts_of.items() if (channel := _channel(facts))}
    found = {
        "y": _um(next(iter(facts_of.values()), {}), "ImageResolutionY"),
        "x": _um(next(iter(facts_of.values()), {}), "ImageResolutionX"),
        "z": _step(images, "PlaneID", lambda facts: _um(facts, "PositionZ")),
        "t": _step(images, "TimepointID", lambda facts: _number(facts, "MeasurementTimeOffset")),
    }
    return SetIndex(told_apart(channels), sane_steps(found), stage=stage_places(map(_place, images)))


def names_in_opera_index(text: str) -> list[str]:
    """The names of the images that an index, or a part of it, lists."""
    return [html.unescape(name).strip() for name in _LISTED.findall(text)]


def _facts(inside: str) -> _Facts:
    return {name: (html.unescape(text).strip(), unit) for name, unit, text in _FACT.findall(inside)}


def _channel(facts: _Facts) -> Channel | None:
    name = clean(facts.get("ChannelName", ("", ""))[0])
    if not name:
        return None
    excitation, emission = (
        wavelength(_number(facts, f"Main{light}Wavelength")) for light in ("Excitation", "Emission")
    )
    return Channel(name, "", excitation_nm=excitation, emission_nm=emission)


def _place(facts: _Facts) -> tuple[str, str, float | None, float | None]:
    """The well and field of an image, and where it is, in µm from the middle of the well."""
    row, column, field = (facts.get(name, ("", ""))[0] for name in ("Row", "Col", "FieldID"))
    return well_at(row, column), field, _um(facts, "PositionX"), _um(facts, "PositionY")


def _number(facts: _Facts, name: str) -> float | None:
    try:
        return float(facts[name][0])
    except (KeyError, ValueError):
        return None


def _um(facts: _Facts, name: str) -> float | None:
    value = _number(facts, name)
    factor = unit_of_length(facts[name][1]) if name in facts else None
    return None if value is None or factor is None else value * factor


def _step(images: Iterable[_Facts], counted: str, place: Callable[[_Facts], float | None]) -> float | None:
    """How far images are apart along what is counted, of one that is else the same; None if unevenly."""
    places: dict[int, float] = {}
    same: tuple[str, ...] | None = None
    others = [name for name in _COUNTED if name != counted]
    for facts in images:
        own = tuple(facts.get(name, ("", ""))[0] for name in others)
        same = own if same is None else same
        number, at = facts.get(counted, ("", ""))[0], place(facts)
        if own == same and number.isdecimal() and at is not None:
            places[int(number)] = at
    return even_step(places)
