"""What CellVoyager (CV7000, CV8000, CQ1) writes beside its images. Text in, facts out; no I/O.

``MeasurementData.mlf`` lists each image with its place and time, ``MeasurementDetail.mrf`` says how large
pixels are, and names the settings (``.mes``), which know of each channel its light, its filter and what it is
for. A plate has megabytes of records, of which the beginning is enough.
"""

from __future__ import annotations

import datetime
import html
import re
from typing import TYPE_CHECKING

from ..model import Channel
from .named_axes import clean
from .set_index import (
    SetIndex,
    all_same,
    even_step,
    number_in,
    sane_steps,
    stage_places,
    told_apart,
    wavelength,
    well_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RECORDS, DETAILS, SETTINGS_END = "MeasurementData.mlf", "MeasurementDetail.mrf", ".mes"

_RECORD = re.compile(r"<bts:MeasurementRecord\s([^<>]{1,2000})>")
_RECORDED = re.compile(r">([^<>]{1,260})</bts:MeasurementRecord>")
_CHANNEL = re.compile(r"<bts:MeasurementChannel\s([^<>]{1,4000})>")
_SETTING = re.compile(
    r"<bts:Channel\s([^<>]{1,4000})>(.*?)(?=<bts:Channel\s|</bts:ChannelList>|\Z)", re.DOTALL
)
_LIGHT = re.compile(r"<bts:LightSource\s([^<>]{1,2000})>")
_LIGHT_NAME = re.compile(r"<bts:LightSourceName>([^<]{1,80})</bts:LightSourceName>")
_ATTRIBUTE = re.compile(r'bts:(\w{1,40})="([^"]{0,200})"')
_FILTER = re.compile(r"(?:BP|LP|SP)?\s*([0-9]{3,4})(?:[/-][0-9]{1,3})?", re.IGNORECASE)
_COLOR = re.compile(r"#(?:[0-9A-Fa-f]{2})?([0-9A-Fa-f]{6})")
_COUNTED = ("Row", "Column", "FieldIndex", "Ch", "ZIndex", "TimePoint", "TimelineIndex", "ActionIndex")

_Facts = dict[str, str]


def cellvoyager_index(records: str, details: str = "", settings: str = "") -> SetIndex:
    """What the three files, or their beginnings, say; nothing where they say nothing that can be believed."""
    images = [
        facts for text in _RECORD.findall(records) if (facts := _facts(text)).get("Type", "IMG") == "IMG"
    ]
    pixels = [_facts(text) for text in _CHANNEL.findall(details)]
    found = {
        "y": all_same(number_in(each.get("VerticalPixelDimension", "")) for each in pixels),
        "x": all_same(number_in(each.get("HorizontalPixelDimension", "")) for each in pixels),
        "z": _step(images, "ZIndex", lambda facts: number_in(facts.get("Z", ""))),
        "t": _step(images, "TimePoint", _seconds),
    }
    places = stage_places(map(_place, images))
    return SetIndex(told_apart(_channels(settings)), sane_steps(found), stage=places)


def names_in_records(records: str) -> list[str]:
    """The names of the images that the records, or a part of them, list."""
    return [html.unescape(name).strip() for name in _RECORDED.findall(records)]


def settings_file(details: str) -> str:
    """The name of the settings in the folder, "" if none is named, or one elsewhere."""
    name = next((_facts(text).get("MeasurementSettingFileName", "") for text in _whole(details)), "")
    return name if name.lower().endswith(SETTINGS_END) and not re.search(r"[/\\\0:]", name) else ""


def _whole(details: str) -> Iterable[str]:
    return re.findall(r"<bts:MeasurementDetail\s([^<>]{1,4000})>", details)


def _facts(inside: str) -> _Facts:
    return {name: html.unescape(text).strip() for name, text in _ATTRIBUTE.findall(inside)}


def _channels(settings: str) -> dict[str, Channel]:
    lights = {
        facts.get("Name", ""): number_in(facts.get("WaveLength", ""))
        for facts in map(_facts, _LIGHT.findall(settings))
    }
    found: dict[str, Channel] = {}
    for attributes, inside in _SETTING.findall(settings):
        facts = _facts(attributes)
        number, target = facts.get("Ch", ""), clean(facts.get("Target", ""))
        filtered = clean(facts.get("Acquisition", ""))
        name = target or filtered
        if not number.isdecimal() or not name:
            continue
        used = [lights.get(html.unescape(light).strip()) for light in _LIGHT_NAME.findall(inside)]
        passed, color = _FILTER.match(filtered), _COLOR.fullmatch(facts.get("Color", ""))
        is_lit = "fluorescence" in facts.get("Kind", "fluorescence").lower()
        found[str(int(number))] = Channel(
            name,
            f"#{color[1].upper()}" if color else "",
            excitation_nm=wavelength(used[0]) if is_lit and len(used) == 1 else None,
            emission_nm=wavelength(float(passed[1])) if is_lit and passed else None,
        )
    return found


def _place(facts: _Facts) -> tuple[str, str, float | None, float | None]:
    """The well and field of an image, and where it is, in µm from the middle of the well."""
    well = well_at(facts.get("Row", ""), facts.get("Column", ""))
    return well, facts.get("FieldIndex", ""), number_in(facts.get("X", "")), number_in(facts.get("Y", ""))


def _seconds(facts: _Facts) -> float | None:
    """The time of an image in seconds; None if it is not told."""
    text = re.sub(r"(\.[0-9]{1,6})[0-9]*", lambda found: found[1].ljust(7, "0"), facts.get("Time", ""))
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _step(images: Iterable[_Facts], counted: str, place: Callable[[_Facts], float | None]) -> float | None:
    """How far images are apart along what is counted, of one that is else the same; None if unevenly."""
    places: dict[int, float] = {}
    same: tuple[str, ...] | None = None
    others = [name for name in _COUNTED if name != counted]
    for facts in images:
        own = tuple(facts.get(name, "") for name in others)
        number = facts.get(counted, "")
        same = own if same is None else same
        if own == same and number.isdecimal() and len(number) < 10 and (at := place(facts)) is not None:
            places[int(number)] = at
    return even_step(places)
