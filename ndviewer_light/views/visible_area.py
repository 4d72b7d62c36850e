"""Which part of a picture is seen. Pure."""

from __future__ import annotations

from typing import NamedTuple


class VisibleArea(NamedTuple):
    """A part of the picture: start and end along x and y, in µm."""

    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def center(self) -> tuple[float, float]:
        """The x and y in the middle of it."""
        return (self.x[0] + self.x[1]) / 2, (self.y[0] + self.y[1]) / 2
