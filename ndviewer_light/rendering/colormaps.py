"""The colour map a channel is drawn with: black to its colour, or the lookup table its dataset names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..colours import HEX_OF_COLORMAP

if TYPE_CHECKING:
    import cmap

    from ..model import Channel

_LICENSES = frozenset(("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0", "CC-BY-4.0", "MIT", "PSF"))
"""Of the tables in cmap's catalogue, those under one of these are used."""

_SOURCES = ("imagej:", "")  # OMERO's tables are mostly ImageJ's, also where others have the same name
_RAMPS = {**HEX_OF_COLORMAP, "grays": "#FFFFFF", "grey": "#FFFFFF", "greys": "#FFFFFF"}


def ramp(color: str, *, inverted: bool = False) -> cmap.Colormap:
    """Black to `color` ("#RRGGBB"); the other way round if `inverted`."""
    import cmap

    return cmap.Colormap([color, "#000000"] if inverted else ["#000000", color])


def chosen_colormap(choice: str) -> cmap.Colormap:
    """What the user chose: ``"#RRGGBB"`` or a name in cmap's catalogue, with ``_r`` the other way round."""
    import cmap

    if choice.startswith("#"):
        return ramp(choice.removesuffix("_r"), inverted=choice.endswith("_r"))
    return cmap.Colormap(choice)


def colormap_of(channel: Channel) -> cmap.Colormap:
    """The lookup table that the channel names if we know it, else black to its colour; inverted if it is."""
    table = _lookup_table(channel.lut) if channel.lut else None
    if table is None:
        return ramp(_RAMPS.get(_plain(channel.lut), channel.color), inverted=channel.inverted)
    return table.reversed() if channel.inverted else table


def _plain(lut: str) -> str:
    """A name as in a catalogue: "fire" for "Fire.lut"."""
    return lut.strip().lower().removesuffix(".lut").replace(" ", "_")


@lru_cache(maxsize=64)
def _lookup_table(lut: str) -> cmap.Colormap | None:
    import cmap

    name, catalog = _plain(lut), cmap.Catalog()
    if name in _RAMPS or not name.replace("_", "").isalnum():
        return None
    for source in _SOURCES:
        try:
            found = catalog[source + name]
        except (KeyError, ValueError):
            continue
        if found.license in _LICENSES:
            return cmap.Colormap(found.qualified_name)
    return None
