"""Pixel sizes out of OME-XML, with nothing but the standard library.

https://docs.openmicroscopy.org/ome-model/ : `Pixels` carries `PhysicalSizeX`, `…Y`, `…Z` and their units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_CHARACTERS = 64 * 1024**2
"""Longer OME-XML is refused: a million planes with their positions need about as much."""

_NAMESPACES = tuple(
    f"http://www.openmicroscopy.org/Schemas/OME/{schema}" for schema in ("2016-06", "2015-01", "2013-06")
)

_UM_PER_UNIT = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometers": 1e-3,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimeters": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "meters": 1e6,
}
"""By lower-case name; whatever is not here counts as µm, as writers mostly mean it."""

_NO_LENGTH = frozenset({"pixel", "reference frame"})


def physical_sizes_um(ome_metadata: str) -> tuple[float | None, float | None, float | None]:
    """(x, y, z) size of a voxel in µm from the first `Pixels`, None for each that is not told.

    Never raises: text that is no OME-XML tells nothing. Any thread; no I/O.
    """
    pixels = _first_pixels(ome_metadata)
    if pixels is None:
        return None, None, None
    return _size_um(pixels, "X"), _size_um(pixels, "Y"), _size_um(pixels, "Z")


def _first_pixels(ome_metadata: str) -> Element | None:
    # a document type declaration is all an entity bomb needs, and OME-XML never has one
    if not ome_metadata or len(ome_metadata) > MAX_CHARACTERS or "<!DOCTYPE" in ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(ome_metadata)
    except (ElementTree.ParseError, ValueError):
        return None
    for namespace in (*_NAMESPACES, "*"):
        if (pixels := root.find(f".//{{{namespace}}}Pixels")) is not None:
            return pixels
    return None


def _size_um(pixels: Element, axis: str) -> float | None:
    unit = pixels.get(f"PhysicalSize{axis}Unit", "µm").strip().lower()
    try:
        size = float(pixels.get(f"PhysicalSize{axis}", "")) * _UM_PER_UNIT.get(unit, 1.0)
    except ValueError:
        return None
    return size if unit not in _NO_LENGTH and math.isfinite(size) and size > 0 else None
