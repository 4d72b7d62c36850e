"""The pixel size from the tags of a TIFF file's first page."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .metamorph import metaseries_steps
from .squid import is_plausible_pixel_size_um

if TYPE_CHECKING:
    from tifffile import TiffTags

_PHOTOMETRIC, _SOFTWARE, _WHITE_IS_ZERO = 262, 305, 0

log = logging.getLogger(__name__)

_DESCRIPTION_KEYS = ("pixel_size_um", "pixel_size", "PixelSize", "pixelSize")
_MICRONS_PER_PIXEL = re.compile(r"\bMPP *= *([0-9]{1,6}(?:\.[0-9]{1,12})?)")
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre; 1 means only an aspect ratio


def read_tiff_pixel_size(tiff_path: str) -> float | None:
    """µm per pixel of a TIFF's first page, or None if its tags lack it.

    From a JSON `ImageDescription`, else from ``XResolution`` if its unit is inch or centimetre.
    Also None for other files and if tifffile is not installed; never raises. Any thread.
    """
    try:
        from tifffile import TiffFile
    except ImportError:
        return None
    try:
        if not Path(tiff_path).is_file():
            return None
        with TiffFile(tiff_path) as tif:
            return pixel_size_of(tif.pages.first.tags)
    except Exception as error:  # noqa: BLE001 - damaged files raise ten different types inside tifffile
        log.debug("cannot read the pixel size of %s: %s", tiff_path, error)
        return None


def pixel_size_of(tags: TiffTags) -> float | None:
    """µm per pixel from the tags of a page; None if missing or implausible."""
    try:
        return _from_description(tags) or _from_resolution(tags)
    except (ArithmeticError, TypeError, ValueError):
        return None


def _from_description(tags: TiffTags) -> float | None:
    text = tags.valueof("ImageDescription", default="")
    if isinstance(text, str) and text.startswith("Aperio") and (said := _MICRONS_PER_PIXEL.search(text)):
        return float(said[1]) if is_plausible_pixel_size_um(float(said[1])) else None
    try:
        described = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(described, dict):
        return None
    values = [described.get(key) for key in _DESCRIPTION_KEYS]
    sizes = [float(value) for value in values if isinstance(value, int | float)]
    return next((size for size in sizes if is_plausible_pixel_size_um(size)), None)


def is_white_zero(tags: TiffTags, samples: int, dtype: np.dtype) -> bool:
    """Whether a page in grey is brightest where its values are low, as its program shows it."""
    if samples != 1 or tags.valueof(_PHOTOMETRIC, default=1) != _WHITE_IS_ZERO:
        return False
    # tifffile says so of every mask
    return not (dtype == np.bool_ and str(tags.valueof(_SOFTWARE, default="")).startswith("tifffile"))


def page_steps(tags: TiffTags) -> dict[str, float | None]:
    """µm per pixel along y and x, each None if missing or implausible."""
    try:
        text = tags.valueof("ImageDescription", default="")
        if isinstance(text, str) and (steps := metaseries_steps(text)) is not None:
            return steps  # its tags of resolution are of the screen
        said = _from_description(tags)
        return {axis: said or _from_resolution(tags, axis) for axis in "yx"}
    except (ArithmeticError, TypeError, ValueError):
        return {}


def resolution_of(tags: TiffTags, axis: str = "x") -> float | None:
    """Pixels per unit along an axis; None if missing or implausible."""
    try:
        pixels, units = tags.valueof(f"{axis.upper()}Resolution", default=(0, 0))
        return pixels / units if pixels > 0 and units > 0 else None
    except (ArithmeticError, TypeError, ValueError):
        return None


def _from_resolution(tags: TiffTags, axis: str = "x") -> float | None:
    um_per_unit = _UM_PER_RESOLUTION_UNIT.get(tags.valueof("ResolutionUnit", default=1))
    per_unit = resolution_of(tags, axis)
    # 1 per inch is a writer's default
    if um_per_unit is None or per_unit is None or per_unit <= 1:
        return None
    size = um_per_unit / per_unit
    return size if is_plausible_pixel_size_um(size) else None
