"""Which channels and positions the view setups of BigDataViewer and BigStitcher are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .bdv_xml import BigDataViewerXml, Setup

CHANNEL = "channel"


def views_of(setups: Sequence[Setup]) -> list[list[Setup]]:
    """The setups of each position: those that differ by their channel only."""
    views: dict[object, list[Setup]] = {}
    for setup in setups:
        other = tuple(sorted((name, n) for name, n in setup.attributes.items() if name != CHANNEL))
        has_channel = CHANNEL in setup.attributes
        view = views.setdefault((other, None if has_channel else setup.number), [])
        if any(each.attributes.get(CHANNEL) == setup.attributes.get(CHANNEL) for each in view):
            view = views.setdefault((other, setup.number), [])
        view.append(setup)
    return list(views.values())


def positions_of(
    views: Sequence[Sequence[Setup]], xml: BigDataViewerXml | None, um_of: Callable[[str], float | None]
) -> tuple[Position, ...]:
    """A position for each view, named by the attributes in which they differ; `um_of` converts a unit."""
    kinds = dict.fromkeys(name for view in views for name in view[0].attributes if name != CHANNEL)
    varied = [kind for kind in kinds if len({view[0].attributes.get(kind) for view in views}) > 1]
    found = []
    for i, view in enumerate(views):
        first = view[0]
        names = [_attribute_name(first, kind, xml) for kind in varied if kind in first.attributes]
        place = xml.place(first) if xml is not None else None
        factor = um_of(first.unit)
        x, y, z = (None,) * 3 if place is None or factor is None else (part * factor for part in place)
        name = ", ".join(names) or (first.name if len(views) > 1 else "")
        found.append(Position("default", i, x, y, z, name))
    return tuple(found)


def _attribute_name(setup: Setup, kind: str, xml: BigDataViewerXml | None) -> str:
    number = setup.attributes[kind]
    name = xml.names.get((kind, number), "") if xml is not None else ""
    return name if name and not name.isdecimal() else f"{kind} {name or number}"
