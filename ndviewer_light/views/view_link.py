"""A view as one line of text, to be sent to somebody and opened there: ``ndviewer:PATH?p=B3:0&t=4&z=2&…``.

Time points and planes count from 1, as everywhere in the window. Of each channel: its name ``c0=DAPI``,
``on0=yes``, ``limits0=100:3000`` (of values of ``dtype0``), ``color0=#00FF00`` or a lookup table, ``gamma0``,
and so on for ``c1``. ``area`` is what is seen: left, right, top and bottom in µm; ``overview`` the same of
the overview, if that is shown; ``volume`` how a stack is drawn as one, and which planes of it (``iso:2-11``);
``sight`` from where: degrees it is tilted, turned and rolled, µm its middle is right of and below that of the
window, µm the window spans;
``sections`` the row and column of the pixel, from 0, through which sections along z are shown; ``split``
that channels are shown side by side, in ``colours`` or in ``gray``.
A link may come from anybody: it names a dataset and says how it is shown, nothing in it is run, all of it is
checked and bounded.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from ..engine.projections import StackProjection
from ..rendering.contrast import ContrastMode
from ..rendering.volume_look import VolumeLook
from ..rendering.volume_rays import VolumeSight
from ..storage.bytes import is_url
from ..storage.presentable import presentable
from .channel_choices import choice_as_json, choice_of_json
from .link_scheme import VIEW_SCHEME, is_view_link
from .saved_view import MOST_SAVED_CHANNELS, SavedView, number_of
from .split_look import SplitLook
from .visible_area import VisibleArea

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LETTERS = 16_384
_MOST_FIELDS = 8 * MOST_SAVED_CHANNELS + 16
_LONGEST_PATH = 4096
_NOT_IN_PATHS = re.compile(r"[\x00-\x1f\x7f]")
_SAFE = "/:~\\ "


def link_to(path: str, view: SavedView) -> str:
    """The link to a view of the dataset at an absolute path or URL, without its login and signature.

    Of more than 64 channels, the first.
    """
    said: list[tuple[str, str]] = [("p", view.position), ("t", str(view.t + 1)), ("z", str(view.z + 1))]
    for i, (name, choice) in enumerate(list(view.channels.items())[:MOST_SAVED_CHANNELS]):
        said += [(f"{key}{i}", value) for key, value in _fields_of(choice_as_json(name, choice))]
    if view.projection is not None:
        said.append(("project", str(view.projection)))
    if view.volume.is_shown:
        said.append(("volume", str(view.volume)))
    if view.sight is not None:
        said.append(("sight", str(view.sight)))
    if view.sections is not None:
        said.append(("sections", ",".join(map(str, view.sections))))
    if view.split is not None:
        said.append(("split", view.split.value))
    for key, area in (("area", view.area), ("overview", view.overview)):
        if area is not None:
            said.append((key, ",".join(f"{edge:.9g}" for edge in (*area.x, *area.y))))
    place = quote(presentable(path), safe=_SAFE, errors="surrogateescape").replace(" ", "%20")
    return f"{VIEW_SCHEME}{place}?{urlencode(said, safe=':,#', quote_via=quote, errors='surrogateescape')}"


def _fields_of(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields = [("c", str(said["name"]))]
    if "nth" in said:
        fields.append(("nth", str(said["nth"])))
    if "visible" in said:
        fields.append(("on", "yes" if said["visible"] else "no"))
    if "limits" in said:
        low, high = said["limits"]
        fields += [("limits", f"{low:.10g}:{high:.10g}"), ("dtype", str(said.get("dtype")))]
    elif "contrast" in said:
        fields.append(("contrast", str(said["contrast"])))
    return fields + [(key, f"{said[key]}") for key in ("color", "gamma") if key in said]


def view_in(link: str) -> tuple[str, SavedView]:
    """The path or URL in a link, and the view. Raises `ValueError`, with a sentence, for anything else."""
    text = link.strip()
    if not is_view_link(text) or len(text) > MOST_LETTERS:
        raise ValueError("This is not a link to a view.")
    place, _, query = text[len(VIEW_SCHEME) :].partition("?")
    path = unquote(place, errors="surrogateescape")
    if not path or len(path) > _LONGEST_PATH or _NOT_IN_PATHS.search(path):
        raise ValueError("This link names no dataset.")
    if not is_url(path) and not os.path.isabs(path):
        raise ValueError("This link does not say where the dataset is: its path does not begin at the root.")
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="surrogateescape"
        )
        said = dict(reversed(pairs))  # of what is said twice, the first counts
        channels = [_channel(said, i) for i in range(MOST_SAVED_CHANNELS) if f"c{i}" in said]
        area = said.get("area")
        return path, SavedView(
            subject="",
            t=_counted(said.get("t", "1")),
            z=_counted(said.get("z", "1")),
            position=said.get("p", "")[:_LONGEST_PATH],
            followed=frozenset(),
            pinned=frozenset("tpz"),
            channels=dict(choice_of_json(each) for each in channels),
            area=None if area is None else _area(area),
            projection=StackProjection.of_text(said["project"]) if "project" in said else None,
            volume=VolumeLook.of_text(said["volume"]) if "volume" in said else VolumeLook(),
            sight=VolumeSight.of_text(said["sight"]) if "sight" in said else None,
            overview=_area(said["overview"]) if "overview" in said else None,
            sections=_pixel(said["sections"]) if "sections" in said else None,
            split=SplitLook(said["split"]) if "split" in said else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("This link is damaged: it does not say how the dataset is to be shown.") from error


def place_in(path_or_link: str) -> str:
    """The path or URL in a link, or itself."""
    if not is_view_link(path_or_link):
        return path_or_link
    try:
        return view_in(path_or_link)[0]
    except ValueError:
        return ""


def _channel(said: Mapping[str, str], i: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": said[f"c{i}"], "nth": _index(said.get(f"nth{i}", "0"))}
    if (on := said.get(f"on{i}")) is not None:
        found["visible"] = on == "yes"
    if (limits := said.get(f"limits{i}")) is not None:
        found |= {"limits": [float(end) for end in limits.split(":")], "contrast": ContrastMode.MANUAL.value}
        found["dtype"] = said.get(f"dtype{i}")
    elif (contrast := said.get(f"contrast{i}")) is not None:
        found["contrast"] = contrast
    for key in ("color", "gamma"):
        if (value := said.get(f"{key}{i}")) is not None:
            found[key] = value
    return found


def _counted(text: str) -> int:
    number = _index(text)
    if number < 1:
        raise ValueError("counts from 1")
    return number - 1


def _pixel(text: str) -> tuple[int, int]:
    row, column = map(_index, text.split(","))
    return row, column


def _index(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise ValueError("not an index")
    return int(text)


def _area(text: str) -> VisibleArea:
    left, right, top, bottom = (number_of(float(edge)) for edge in text.split(","))
    if not (left < right and top < bottom):
        raise ValueError("not an area")
    return VisibleArea((left, right), (top, bottom))
