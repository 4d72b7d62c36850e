"""What it means for the overview when more is known of its dataset, or channels look different; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.plate_grid import plate_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...engine.scene import FieldScene
    from ...model import DatasetInfo
    from ...rendering.contrast import ContrastMode, Limits
    from ...rendering.scene_picture import ChannelLook

_UNSEEN_SHARE = 1 / 512
"""Of limits that change by so little of what is between them nothing is seen: half a grey level at most."""


def look_alike(before: Mapping[int, ChannelLook], after: Mapping[int, ChannelLook]) -> bool:
    """Whether pictures would look the same: nothing but limits has changed, and by next to nothing."""
    if before.keys() != after.keys():
        return False
    for c, look in after.items():
        was = before[c]
        if look._replace(limits=was.limits, others=was.others) != was or len(look.others) != len(was.others):
            return False
        for (low, high), (was_low, was_high) in zip(_all_limits(look), _all_limits(was), strict=True):
            little = abs(high - low) * _UNSEEN_SHARE
            if abs(low - was_low) > little or abs(high - was_high) > little:
                return False
    return True


def only_limits_follow(
    before: Mapping[int, ChannelLook],
    after: Mapping[int, ChannelLook],
    mode_of: Callable[[int], ContrastMode],
) -> bool:
    """Whether nothing has changed but limits that follow the planes that arrive."""
    return after.keys() == before.keys() and all(
        look == (was := before[c])
        or (mode_of(c).is_automatic and look._replace(limits=was.limits, others=was.others) == was)
        for c, look in after.items()
    )


def _all_limits(look: ChannelLook) -> list[Limits]:
    return [look.limits, *(limits for _, limits in look.others)]


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
    return (
        a.positions is b.positions
        and a.groups == b.groups
        and a.images == b.images
        and a.empty_wells == b.empty_wells
    )


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
