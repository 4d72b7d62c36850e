"""What is on screen, as plain data: known before ndv is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...rendering.volume_look import planes_shown

if TYPE_CHECKING:
    from ...engine.projections import StackProjection

MAX_CHANNELS_SHOWN = 64
"""Channels beyond these are in the data but have no strip and are not drawn."""


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
        return planes_shown(self.part, n_z)
