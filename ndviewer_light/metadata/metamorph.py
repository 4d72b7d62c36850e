"""The indexes that MetaMorph, VisiView (``.nd``) and MetaXpress (``.HTD``) write. Text in, facts out; no I/O.

Both are lines of a quoted key and a value: ``"NWavelengths", 3``, ``"WaveName1", "DAPI"``. The files of an
``.nd`` are called like it, then ``_w1DAPI`` (or ``_w1``), ``_s1``, ``_t1``, as far as there are several.
Those of an ``.HTD`` have the names that ImageXpress gives, which are understood without it; it tells which
wells, sites, waves, time points and planes there are to be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..model import Channel
from .named_axes import clean
from .set_index import IndexedPlace, SetIndex, letters_of_row, number_in, sane_steps
from .written_units import UM_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ND_END, HTD_END = ".nd", ".htd"

_LINE = re.compile(r'^[ \t]{0,8}"([^"\n]{1,80})"[ \t]{0,8},(.*)$', re.MULTILINE)
_MOST_WAVES, _MOST_STAGES, _MOST_TIMES, _MOST_PLANES = 64, 100_000, 100_000, 10_000
_MOST_ROWS, _MOST_COLUMNS, _MOST_SITES = 48, 72, 100
_NOT_IN_NAMES = re.compile(r"[_/\\()]")
"""What MetaMorph writes as "-" in names of files."""
_SIGNS_OF_PATTERNS = re.compile(r"[{}|*<>/\\]")
_PLAIN = re.compile(r"[^0-9a-z]+")
_WAVE = r"_w([0-9]{1,2}[^/]*?)(?:_s[0-9]{1,6})?(?:_t[0-9]{1,9})?(?:\.[A-Za-z]{1,5})"
_WELL = re.compile(
    r"(?:well[ _-]?)?([A-P])[ _-]?([0-9]{1,2})"
    r"(?:[ _,:-]+(?:site|field|fov|pos|position|s|f|p)?[ _-]*([0-9]{1,6}))?",
    re.IGNORECASE,
)
_PROP = re.compile(r'<prop id="(spatial-calibration-(?:x|y|units))"[^>]{0,60}? value="([^"]{0,60})"')


def nd_index(text: str, stem: str, names: Iterable[str] = ()) -> SetIndex:
    """What an ``.nd`` says, whose own name without its ending is `stem`; nothing if it is none.

    `names` are those of the files that are there: what names have of a channel is found in them, as far as
    they are there already.
    """
    said = _said(text)
    if "ndinfofile" not in said:
        return SetIndex({}, {})
    is_on = {key: said.get(key, "true").lower() == "true" for key in ("dowave", "dostage", "dozseries")}
    waves = [
        clean(said.get(f"wavename{n}", "")) for n in range(1, _count(said, "nwavelengths", _MOST_WAVES) + 1)
    ]
    pattern, channels = _as_in_pattern(stem), dict[str, Channel]()
    if is_on["dowave"] and waves:
        words = _words_of(waves, stem, names, with_names=said.get("waveinfilename", "true").lower() == "true")
        are_distinct = len(set(words.values())) == len(words)
        channels = {
            word: Channel(name if are_distinct and name else word, "") for word, name in words.items()
        }
        pattern += f"_w{{c:{'|'.join(channels)}|}}" if channels else "_w{c}"
    elif waves and waves[0]:
        channels = {"": Channel(waves[0], "")}
    pattern += "<_s{fov:d}><_t{t:d}>"
    step = number_in(said.get("zstepsize", "")) if is_on["dozseries"] else None
    stages = [
        clean(said.get(f"stage{n}", "")) for n in range(1, _count(said, "nstagepositions", _MOST_STAGES) + 1)
    ]
    places = _places(stages) if is_on["dostage"] else {}
    planned: list[dict[str, str]] = [{"c": word} for word in channels if word]
    if is_on["dostage"]:
        planned += [{"fov": str(n)} for n in range(1, len(stages) + 1)]
    if said.get("dotimelapse", "true").lower() == "true":
        planned += [{"t": str(n)} for n in range(1, _count(said, "ntimepoints", _MOST_TIMES) + 1)]
    n_z = _count(said, "nzsteps", _MOST_PLANES) if is_on["dozseries"] else 0
    return SetIndex(channels, sane_steps({"z": step}), pattern, places, planned=tuple(planned), n_z=n_z)


def htd_index(text: str) -> SetIndex:
    """What an ``.HTD`` says; nothing if it is none."""
    said = _said(text)
    if "htsinfofile" not in said:
        return SetIndex({}, {})
    names = {
        str(n): name
        for n in range(1, _count(said, "nwavelengths", _MOST_WAVES) + 1)
        if (name := clean(said.get(f"wavename{n}", ""))) and said.get(f"wavecollect{n}", "1") != "0"
    }
    channels = {number: Channel(name, "") for number, name in names.items()}
    if len(channels) == 1:  # which names of files may not have
        channels[""] = next(iter(channels.values()))
    distinct = {channel.name for channel in channels.values()}
    waves = [
        str(n)
        for n in range(1, _count(said, "nwavelengths", _MOST_WAVES) + 1)
        if said.get(f"wavecollect{n}", "1") != "0"
    ]
    planned = [{"c": number} for number in waves]
    planned += [{"t": str(n)} for n in range(1, _count(said, "timepoints", _MOST_TIMES) + 1)]
    if said.get("zseries", "").lower() == "true":
        planned += [{"z": str(n)} for n in range(1, _count(said, "zsteps", _MOST_PLANES) + 1)]
    sites = range(1, _sites(said) + 1)
    planned += [{"region": well, "fov": str(n)} for well in _wells(said) for n in sites]
    return SetIndex(channels if len(distinct) >= len(names) else {}, {}, planned=tuple(planned))


def metaseries_steps(description: str) -> dict[str, float | None] | None:
    """The pixel size in µm that MetaMorph and MetaXpress write into TIFFs as ``<MetaData>``, else None."""
    if not description.lstrip().startswith("<MetaData>"):
        return None
    said = dict(_PROP.findall(description))
    factor = UM_PER_UNIT.get(said.get("spatial-calibration-units", "").strip().lower())
    found = {axis: number_in(said.get(f"spatial-calibration-{axis}", "")) for axis in "yx"}
    return dict(sane_steps({axis: step and factor and step * factor for axis, step in found.items()}))


def _said(text: str) -> Mapping[str, str]:
    """The values by key, in small letters, without quotation marks."""
    return {key.strip().lower(): value.strip().strip('"').strip() for key, value in _LINE.findall(text)}


def _are_selected(said: Mapping[str, str], key: str) -> list[bool]:
    """Which of the wells, or sites, of a row are on."""
    return [each.strip().strip('"').lower() == "true" for each in said.get(key, "").split(",")]


def _wells(said: Mapping[str, str]) -> list[str]:
    """The wells that are on, as names of files have them: "B02"."""
    rows = range(1, _count(said, "ywells", _MOST_ROWS) + 1)
    n_columns = _count(said, "xwells", _MOST_COLUMNS)
    return [
        f"{letters_of_row(row - 1)}{column:02}"
        for row in rows
        for column, is_on in enumerate(_are_selected(said, f"wellsselection{row}")[:n_columns], 1)
        if is_on
    ]


def _sites(said: Mapping[str, str]) -> int:
    """How many sites there are in each well."""
    if said.get("sites", "").lower() != "true":
        return 1
    n_x, n_y = (_count(said, f"{axis}sites", _MOST_SITES) for axis in "xy")
    rows = [_are_selected(said, f"siteselection{row}")[:n_x] for row in range(1, n_y + 1)]
    return sum(map(sum, rows)) or n_x * n_y


def _count(said: Mapping[str, str], key: str, most: int) -> int:
    text = said.get(key, "")
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else 0


def _as_in_pattern(text: str) -> str:
    return re.sub(r"[{}*<>]", "?", text)


def _words_of(waves: list[str], stem: str, names: Iterable[str], *, with_names: bool) -> dict[str, str]:
    """The names of channels by what stands for them in names of files: "1DAPI", or "1"."""
    expression = re.compile(re.escape(stem) + _WAVE, re.IGNORECASE)
    there = {match[1] for name in names if (match := expression.fullmatch(name)) is not None}
    words = dict[str, str]()
    for number, name in enumerate(waves, 1):
        written = f"{number}{_NOT_IN_NAMES.sub('-', name)}" if with_names else str(number)
        alike = _plain(written)
        word = next((each for each in sorted(there) if _plain(each) == alike), written)
        if not _SIGNS_OF_PATTERNS.search(word):
            words[word] = name
    return words


def _plain(text: str) -> str:
    return _PLAIN.sub("", text.lower())


def _places(stages: list[str]) -> dict[int, IndexedPlace]:
    """The fields by their numbers: in wells, if all of them are called like wells, else by their names."""
    wells = [_WELL.fullmatch(stage) for stage in stages]
    found: dict[int, IndexedPlace] = {}
    letters = {well[1].upper() for well in wells if well}
    if stages and all(wells) and (len(letters) > 1 or not letters & set("CFMPST")):
        n_in: dict[str, int] = {}
        for number, well in enumerate(wells, 1):
            assert well is not None, "all are"
            region = f"{well[1].upper()}{int(well[2])}"
            n_in[region] = n_in.get(region, 0) + 1
            found[number] = IndexedPlace(region, int(well[3] or n_in[region]), "")
        if len({(place.region, place.fov) for place in found.values()}) == len(found):
            return found
    return {number: IndexedPlace("", number, stage) for number, stage in enumerate(stages, 1) if stage}
