"""What is on screen, as plain data: known before ndv is imported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ...engine.projections import StackProjection

_VOLUME_TEXT = re.compile(r"([a-z_]{1,20})(?::([0-9]{1,9})-([0-9]{1,9})?)?")
MAX_CHANNELS_SHOWN = 64
"""Channels beyond these are in the data but have no strip and are not drawn."""


VOLUMES = (
    ("mip", "Max", "the brightest value along the line of sight"),
    ("attenuated_mip", "Attenuated", "the brightest value, darker the more lies before it"),
    ("iso", "Surface", "a surface where values are in the middle of the limits"),
)
"""How a volume is drawn, its name in the menu, and what that is."""


class VolumeLook(NamedTuple):
    """Whether a stack is shown as a volume, how that is drawn, and which planes of it are.

    `method` is the first of one of `VOLUMES`; `last` None is the last plane there is.
    """

    is_shown: bool = False
    method: str = VOLUMES[0][0]
    first: int = 0
    last: int | None = None

    @classmethod
    def of_text(cls, text: str) -> VolumeLook:
        """The volume that `str` wrote: "mip", "iso:2-11". Raises `ValueError`."""
        found = _VOLUME_TEXT.fullmatch(text)
        if found is None or all(found[1] != method for method, _, _ in VOLUMES):
            raise ValueError("not a way to draw a volume")
        method, first, last = found.groups()
        ends = (int(first or 0), None) if last is None else sorted((int(first), int(last)))
        return cls(True, method, *ends)

    def __str__(self) -> str:
        if self.first == 0 and self.last is None:
            return self.method
        return f"{self.method}:{self.first}-{'' if self.last is None else self.last}"


class View(NamedTuple):
    """What is on screen: indices, and whether all z are shown as a volume, or some of them as one picture."""

    t: int = 0
    p: int = 0
    z: int = 0
    is_volume: bool = False
    projection: StackProjection | None = None
    part: tuple[int, int | None] = (0, None)
    """The planes of a volume that are shown, first and last; None is the last there is."""

    def planes_of(self, n_z: int) -> range:
        """The planes of a volume of `n_z` that are shown; the first of them begins at the origin."""
        end = max(n_z, 1)
        first = min(self.part[0], end - 1)
        last = end - 1 if self.part[1] is None else min(self.part[1], end - 1)
        return range(first, max(first, last) + 1)
