"""How a stack is drawn as a volume. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..model import ImageInfo

ATTENUATION = 1.0
"""How fast what lies behind gets darker, where that is how a volume is drawn."""
TURN_FRAMES = 90
"""Of a film in which a volume turns once."""
_VOLUME_TEXT = re.compile(r"([a-z_]{1,20})(?::([0-9]{1,9})-([0-9]{1,9})?)?")

VOLUMES = (
    ("max", "Max", "the brightest value along the line of sight"),
    ("attenuated", "Attenuated", "the brightest value, dimmed by what lies in front of it"),
    ("surface", "Surface", "a surface where values are in the middle of the limits"),
)
"""How a volume is drawn, its name in the window, and what that is."""


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
        """The volume that `str` wrote: "max", "surface:2-11". Raises `ValueError`."""
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

    def planes_of(self, n_z: int) -> range:
        """The planes of a stack of `n_z` that are shown."""
        return planes_shown((self.first, self.last), n_z)


def planes_shown(part: tuple[int, int | None], n_z: int) -> range:
    """The planes of a stack of `n_z` from the first to the last of `part`, as far as there are any.

    >>> planes_shown((2, None), 5), planes_shown((7, 9), 5)
    (range(2, 5), range(4, 5))
    """
    end = max(n_z, 1)
    first = min(part[0], end - 1)
    last = end - 1 if part[1] is None else min(part[1], end - 1)
    return range(first, max(first, last) + 1)


def voxel_size_um(image: ImageInfo) -> tuple[float, float, float]:
    """µm along z, y, x; the pixel size if one is unknown, 1 if all are."""
    pixel = image.pixel_size_um or 1.0
    return image.z_step_um or pixel, image.pixel_size_y_um or pixel, image.pixel_size_x_um or pixel
