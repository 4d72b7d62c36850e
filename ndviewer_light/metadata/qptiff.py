"""What PerkinElmer's QPTIFF says of its pages: name and colour of the dye of each. Pure functions, no I/O.

Source: the XML in each page's ImageDescription, ``PerkinElmer-QPI-ImageDescription`` with ``Name`` and
``Color`` ("255,0,0"), as PhenoImager and Vectra write it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..errors import DatasetError
from ..model import Channel
from .bdv_xml import parsed_xml

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = "PerkinElmer-QPI-ImageDescription"
_LONGEST_DYE = 200


class Descriptions(Protocol):
    """The texts in the pages of a TIFF."""

    name: str

    def description(self, page: int) -> str:
        """The first ImageDescription of a page."""


def dye_names(tiff: Descriptions, pages: Sequence[tuple[int, ...]]) -> tuple[Channel, ...]:
    """The channel that each page is; () unless all of them say it."""
    found = [_channel(tiff.description(page[0]), tiff.name) for page in pages if len(page) == 1]
    known = tuple(channel for channel in found if channel is not None)
    return known if len(known) == len(pages) else ()


def _channel(text: str, where: str) -> Channel | None:
    try:
        root = parsed_xml(text.encode(), where)
    except DatasetError:
        return None
    name = (root.findtext("Name") or "").strip()[:_LONGEST_DYE]
    if root.tag != _ROOT or not name:
        return None
    return Channel(name, _color(root.findtext("Color") or ""))


def _color(text: str) -> str:
    """``"#RRGGBB"`` of "255,0,0"; "" for anything else."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) <= 255 for part in parts):
        return ""
    return "#{:02X}{:02X}{:02X}".format(*map(int, parts))
