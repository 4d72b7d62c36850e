"""The colour of a channel, from its name, its wavelength or the hex value in its metadata.

The rules are those of Squid: dye names and "488 nm" in a channel's name determine the colour. Channels
that nothing gives a colour get distinct ones: see `channel_colors`.
Colour names are those of the colormaps that display a channel: gray, blue, green, …
"""

from __future__ import annotations

import colorsys
import math
import re
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HEX_OF_COLORMAP = {
    "gray": "#FFFFFF",
    "blue": "#0000FF",
    "green": "#00FF00",
    "yellow": "#FFFF00",
    "red": "#FF0000",
    "magenta": "#FF00FF",
    "cyan": "#00FFFF",
}
"""The brightest colour of each colormap."""

_REFERENCE_RGB = {
    "blue": (0, 0, 255),
    "green": (0, 255, 0),
    "yellow": (255, 255, 0),
    "red": (255, 0, 0),
    "magenta": (255, 0, 255),
    "cyan": (0, 255, 255),
    # mid gray, so that dark and light grays are nearer to it than to any colour
    "gray": (128, 128, 128),
}

_EXCITATION_NM_OF_DYE = {
    "dapi": 405,
    "hoechst": 405,
    "gfp": 488,
    "fitc": 488,
    "alexa488": 488,
    "tritc": 561,
    "cy3": 561,
    "mcherry": 561,
    "cy5": 640,
    "alexa647": 640,
    "cy7": 730,
}
"""Asked in this order; "EGFP" is a GFP."""

_BAND_NM = ((470, 510, "green"), (540, 590, "yellow"), (620, 660, "red"))

_NUMBERED_CHANNEL = re.compile(r"ch\d+", re.IGNORECASE)
_NANOMETRES = re.compile(r"(\d{3,4})[ _]*nm", re.IGNORECASE)
_WAVELENGTH_LIKE = re.compile(r"\d{3,4}")
_HEX_RGB = re.compile(r"[0-9A-Fa-f]{6}")


def extract_wavelength(channel_str: str | None) -> int | None:
    """Excitation wavelength in nm found in a channel's name, or None.

    "488 nm" comes first, then the dyes we know ("DAPI 647" is DAPI), then the last number of three
    or four digits. "Ch405" is a channel number, not a wavelength.
    """
    if not channel_str or _NUMBERED_CHANNEL.fullmatch(channel_str):
        return None
    if match := _NANOMETRES.search(channel_str):
        return int(match[1])
    lower = channel_str.lower()
    for dye, wavelength_nm in _EXCITATION_NM_OF_DYE.items():
        if dye in lower:
            return wavelength_nm
    numbers = _WAVELENGTH_LIKE.findall(channel_str)
    return int(numbers[-1]) or None if numbers else None


def wavelength_to_colormap(wavelength: int | None) -> str:
    """Name of the colormap for an excitation wavelength in nm; gray if none fits."""
    if not wavelength:
        return "gray"
    if wavelength <= 420:
        return "blue"
    if wavelength >= 700:
        return "magenta"
    for low, high, name in _BAND_NM:
        if low <= wavelength <= high:
            return name
    return "gray"


def hex_to_colormap(hex_color: str | None) -> str:
    """Name of the colormap nearest in RGB to ``"#RRGGBB"`` (``#`` optional); gray if invalid."""
    digits = (hex_color or "").lstrip("#")
    if not _HEX_RGB.fullmatch(digits):
        return "gray"
    rgb = bytes.fromhex(digits)

    def distance(name: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(rgb, _REFERENCE_RGB[name], strict=True))

    return min(_REFERENCE_RGB, key=distance)


def color_for_name(name: str) -> str:
    """Display colour ``"#RRGGBB"`` for a channel known only by name."""
    return HEX_OF_COLORMAP[wavelength_to_colormap(extract_wavelength(name))]


# ---- channels that nothing gives a colour --------------------------------------------------

CYCLE = ("#FF00FF", "#00FF00", "#00FFFF", "#FF0000", "#FFAA80", "#FFFF80", "#8080FF")
"""Colours that add up on black and stay apart for viewers with protanopia and deuteranopia; yellow is not
among them, since those viewers cannot tell it from green."""

_ALIKE = 80  # distance in RGB below which two colours count as the same

_DARKEST = 32  # of 255: what is darker looks black at its brightest

_MAX_TRIED = 4096  # by then the hues repeat

_TRANSMITTED = re.compile(
    r"(?:^|[^a-z])(?:bf|df|tl|td|dic|pol|ph\d?|phc|bright[ _-]?field|dark[ _-]?field|phase|trans(?:mitted)?"
    r"|white|leds?)(?:[^a-z]|$)|brightfield|darkfield|transmit",
    re.IGNORECASE,
)

_EMISSION_NM = ((380, "blue"), (500, "green"), (570, "yellow"), (600, "red"), (700, "magenta"))
"""Where the colour of emitted light begins."""


def known_color(
    name: str, excitation_nm: float | None = None, emission_nm: float | None = None
) -> str | None:
    """The colour ``"#RRGGBB"`` that a channel's name or wavelength stands for, None if neither does.

    A channel that is called "red" is red. Transmitted light ("BF LED matrix full", "DIC") is white. Light of
    a shorter wavelength than what excites it, as with two photons, has its own colour.
    """
    if (word := name.strip().lower()) in HEX_OF_COLORMAP:
        return HEX_OF_COLORMAP[word]
    by_name = color_for_name(name)
    if by_name != HEX_OF_COLORMAP["gray"]:
        return by_name
    if _TRANSMITTED.search(name):
        return by_name
    is_of_several_photons = emission_nm is not None and 0 < emission_nm < (excitation_nm or 0)
    colormap = "gray" if is_of_several_photons else wavelength_to_colormap(int(excitation_nm or 0))
    if colormap == "gray" and emission_nm is not None:
        colormap = next((color for low, color in reversed(_EMISSION_NM) if emission_nm >= low), "gray")
    return None if colormap == "gray" else HEX_OF_COLORMAP[colormap]


def channel_colors(
    names: Sequence[str],
    written: Sequence[str] = (),
    wavelengths_nm: Sequence[tuple[float | None, float | None]] = (),
    known: Mapping[tuple[str, int], str] | None = None,
) -> tuple[str, ...]:
    """A display colour ``"#RRGGBB"`` for each channel of an image.

    `written` are those in its metadata ("" if there is none), `wavelengths_nm` excitation and emission.
    `known` are the colours that the dataset's other images have given to channels of that name, by name and
    by how many channels of that name come before: they take precedence, so that a name has one colour.
    Otherwise the colour is the one written, unless it is black, else that of the name or wavelength. What
    remains is white if it is the only channel of the image, else distinct from all others.
    """
    known = known or {}
    seen: Counter[str] = Counter()
    found: list[str | None] = []
    for i, name in enumerate(names):
        light = wavelengths_nm[i] if i < len(wavelengths_nm) else (None, None)
        of_file = written[i] if i < len(written) and _is_seen(written[i]) else ""
        found.append(known.get((name, seen[name])) or of_file or known_color(name, *light))
        seen[name] += 1
    if len(names) == 1:
        return (found[0] or HEX_OF_COLORMAP["gray"],)
    taken = {*known.values(), *(color for color in found if color)}
    free = _distinct(taken)
    return tuple(color or next(free) for color in found)


def _is_seen(color: str) -> bool:
    """Whether a channel in that colour can be seen: some programs write black where they know of none."""
    return bool(color) and max(bytes.fromhex(color[1:])) >= _DARKEST


def _distinct(taken: set[str]) -> Iterator[str]:
    """Colours of the cycle that resemble none of `taken`, then any others, without end."""
    used = set(taken)
    for color in CYCLE:
        if not any(_distance(color, other) < _ALIKE for other in taken):
            used.add(color)
            yield color
    for i in count():  # hues a golden section apart
        rgb = colorsys.hsv_to_rgb((0.08 + i * 0.618034) % 1.0, (1.0, 0.5, 0.75)[i % 3], 1.0)
        color = "#" + "".join(f"{round(255 * part):02X}" for part in rgb)
        if color not in used or i > _MAX_TRIED:
            used.add(color)
            yield color


def _distance(a: str, b: str) -> float:
    return math.dist(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]))
