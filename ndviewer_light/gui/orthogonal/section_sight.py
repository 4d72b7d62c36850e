"""Where a section lies in its pane: to scale, beside what the picture shows. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

THINNEST_PX, THICKEST = 116, 0.4
"""How thick a pane is along z at least, and the share of the room for the picture at most."""
_AROUND_PX = 8


class SectionSight(NamedTuple):
    """How a section lies in its pane: µm at the edges where the axis and z begin, µm per screen pixel.

    `um` is the pixel size along the axis, `um_z` the distance of planes, both of level 0.
    """

    from_um: float
    z_from_um: float
    scale: float
    um: float
    um_z: float

    def to_screen(self, along: float, z: float) -> tuple[float, float]:
        """Where a place, in voxels of level 0 along the axis and z, is in the pane: along the axis, and z."""
        return (along * self.um - self.from_um) / self.scale, (z * self.um_z - self.z_from_um) / self.scale

    def to_place(self, along: float, z: float) -> tuple[float, float]:
        """The place in voxels of level 0 at a point of the pane, given along the axis and along z."""
        return (self.from_um + along * self.scale) / self.um, (self.z_from_um + z * self.scale) / self.um_z


def z_from_um(before: float, thick_um: float, room_um: float, at_um: float) -> float:
    """Where along z a pane that shows `room_um` of a stack of `thick_um` begins.

    In the middle if it fits; else as before, moved only as far as needed to show what is at `at_um`.
    """
    if thick_um <= room_um:
        return (thick_um - room_um) / 2
    margin = min(room_um / 8, thick_um / 16)
    begin = min(max(before, at_um + margin - room_um), at_um - margin)
    return min(max(begin, 0.0), thick_um - room_um)


def thickness_px(thick_um: float, height_um: float, width_um: float, room: tuple[int, int]) -> int:
    """How thick the panes are in a room of (height, width) pixels, in which the picture is to fit as well."""
    height, width = room
    most = int(min(height, width) * THICKEST)
    scale = max((height_um + thick_um) / max(height, 1), (width_um + thick_um) / max(width, 1), 1e-30)
    return max(min(round(thick_um / scale) + _AROUND_PX, most), min(THINNEST_PX, most), 1)
