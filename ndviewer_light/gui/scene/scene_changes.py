"""What it means for the overview when more is known of its dataset, or channels look different; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.plate_grid import plate_layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...engine.scene import FieldScene
    from ...model import DatasetInfo
    from ...rendering.scene_picture import ChannelLook

_UNSEEN_SHARE = 1 / 512
"""Of limits that change by so little of what is between them nothing is seen: half a grey level at most."""


def look_alike(before: Mapping[int, ChannelLook], after: Mapping[int, ChannelLook]) -> bool:
    """Whether pictures would look the same: nothing but limits has changed, and by next to nothing."""
    if before.keys() != after.keys():
        return False
    for c, look in after.items():
        (low, high), (was_low, was_high) = look.limits, before[c].limits
        little = abs(high - low) * _UNSEEN_SHARE
        if look._replace(limits=before[c].limits) != before[c]:
            return False
        if abs(low - was_low) > little or abs(high - was_high) > little:
            return False
    return True


def goes_on(before: DatasetInfo, after: DatasetInfo) -> bool:
    """Whether what is known of positions holds: none has another index now."""
    if before.generation != after.generation or len(after.positions) < len(before.positions):
        return False
    if before.positions is after.positions:
        return True
    return all(a[:2] == b[:2] for a, b in zip(before.positions, after.positions, strict=False))


def is_one_field_per_well(info: DatasetInfo) -> bool:
    """Whether fields lie by their wells alone: what they contain is learned as they are read."""
    names = [position.region for position in info.positions]
    return len(set(names)) == len(names) and plate_layout(names) is not None


def is_plate(info: DatasetInfo) -> bool:
    """Whether fields lie by wells, in rows and columns."""
    return plate_layout(tuple(dict.fromkeys(position.region for position in info.positions))) is not None


def lie_alike(a: DatasetInfo, b: DatasetInfo) -> bool:
    """Whether fields and wells lie at the same places."""
    return a.positions is b.positions and a.groups == b.groups and a.empty_wells == b.empty_wells


def has_same_ground(a: FieldScene, b: FieldScene) -> bool:
    """Whether what is drawn below fields is the same: where wells are, and which of them have none."""
    return [(well.edges, bool(well.fields)) for well in a.wells] == [
        (well.edges, bool(well.fields)) for well in b.wells
    ]


def is_same_scene(a: FieldScene, b: FieldScene) -> bool:
    """Whether the same is said of the same places."""
    if a.edges.shape != b.edges.shape or a.notes != b.notes or a.wells != b.wells:
        return False
    return bool((a.edges == b.edges).all())
