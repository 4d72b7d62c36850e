"""Channels side by side as one picture: each in a pane of its own, and at last all of them together."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..storage.printable import printable
from .annotations import add_text
from .colormaps import ramp
from .view_picture import LayerLook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from .view_picture import ShownPlace, ViewPictures, ViewPixels

_PANE_GAP_PX = 4
_GROUND = (28, 30, 35)
TOGETHER = "all together"


class PanePictures:
    """`picture(place)` as `ViewPictures` has it, of what these draw.

    `names`: of the channels, in their order. `in_gray`: single channels are.
    """

    def __init__(self, pictures: ViewPictures, names: Sequence[str], *, in_gray: bool = False) -> None:
        self._pictures = pictures
        self._names = tuple(names)
        self._in_gray = in_gray

    @staticmethod
    def columns(n_channels: int) -> int:
        """In how many columns the panes of so many channels are arranged."""
        return math.ceil(math.sqrt(n_channels + 1 if n_channels > 1 else 1))

    @property
    def channels(self) -> tuple[int, ...]:
        """As `ViewPictures.channels`."""
        return self._pictures.channels

    def first_z(self, place: ShownPlace) -> int:
        """As `ViewPictures.first_z`."""
        return self._pictures.first_z(place)

    def words_of_stack(self, place: ShownPlace, n_z: int) -> str:
        """As `ViewPictures.words_of_stack`."""
        return self._pictures.words_of_stack(place, n_z)

    def see(self, places: Sequence[ShownPlace]) -> None:
        """As `ViewPictures.see`."""
        self._pictures.see(places)

    def part_with_bar(self, picture: Image.Image) -> tuple[int, int, int, int]:
        """As `ViewPictures.part_with_bar`: the last pane; there may be an empty place behind it."""
        n = len(self._pictures.channels)
        last, columns = n if n > 1 else 0, self.columns(n)
        rows = last // columns + 1
        width, height = (
            (side + _PANE_GAP_PX) // each for side, each in zip(picture.size, (columns, rows), strict=True)
        )
        row, column = divmod(last, columns)
        left, top = column * width, row * height
        return left, top, left + width - _PANE_GAP_PX, top + height - _PANE_GAP_PX

    def picture(self, place: ShownPlace) -> tuple[Image.Image, ViewPixels]:
        """The panes of a place, and what they are made from; a pixel of it is as large as one of a pane."""
        from PIL import Image

        view = self._pictures.pixels(place)
        gray = LayerLook(ramp("#FFFFFF")) if self._in_gray else None
        channels = self._pictures.channels
        panes = []
        for c, name in zip(channels, self._names, strict=True):
            pane = self._pictures.drawn(dataclasses.replace(view), place, [c], gray)
            panes.append((pane, name))
        whole = dataclasses.replace(view)
        if len(channels) > 1:
            panes.append((self._pictures.drawn(whole, place, channels), TOGETHER))
        columns = self.columns(len(channels))
        width, height = (max(pane.size[axis] for pane, _ in panes) for axis in (0, 1))
        rows = math.ceil(len(panes) / columns)
        size = columns * (width + _PANE_GAP_PX) - _PANE_GAP_PX, rows * (height + _PANE_GAP_PX) - _PANE_GAP_PX
        found = Image.new("RGB", size, _GROUND)
        for i, (pane, name) in enumerate(panes):
            add_text(pane, printable(name), at_bottom=True)
            row, column = divmod(i, columns)
            found.paste(pane, (column * (width + _PANE_GAP_PX), row * (height + _PANE_GAP_PX)))
        return found, whole
