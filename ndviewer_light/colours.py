"""The colour of a channel, from its name, its wavelength or the hex value in its metadata.

The rules are those of Squid: dye names and "488 nm" in a channel's name determine the colour.
Colour names are those of the colormaps that display a channel: gray, blue, green, …
"""

from __future__ import annotations

import re

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
