"""What is said of the indices in view and of the pixel under the mouse. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..rendering.place_words import VOLUME, place_text, projection_text, stack_text
from ..rendering.time_stamps import time_text
from .look.short_names import without_beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import DatasetInfo, ImageInfo, Position
    from .canvas.canvas_view import View
    from .canvas.view_frames import Frame

_NAME_WIDTH = 24  # characters of a channel


def counted(i: int, n: int, extra: str) -> str:
    return f"{i + 1} / {n}{extra}"


def time_of(t: int, image: ImageInfo, recorded: float | None = None) -> str:
    """The time of a time point, `recorded` or by the step; also its own number if the run skipped some."""
    number = f"   #{image.times[t]}" if image.times else ""
    if recorded is None and image.time_step_s is None:
        return number
    return f"{number}   {time_text(t, image, recorded)}"


def height_of(i: int, step_um: float | None) -> str:
    return "" if step_um is None else f"   +{i * step_um:.1f} µm"


def planes_text(planes: range, n_z: int, step_um: float | None) -> str:
    """The planes of a projection, and how thick they are together: "3–12 / 40   13.5 µm"."""
    thick = "" if step_um is None else f"   {(len(planes) - 1) * step_um:.1f} µm"
    return f"{planes[0] + 1}–{planes[-1] + 1} / {n_z}{thick}"


def plane_words(info: DatasetInfo, t: int | None, p: int | None, c: int | None, z: int | None) -> list[str]:
    """What is said of the indices of a plane, as on the sliders; without None and axes of size 1."""
    parts = []
    if p is not None and 1 < len(info.positions) > p:
        parts.append(info.positions[p].title)
    if t is not None and info.n_t > 1:
        parts.append(f"t {t + 1}")
    if z is not None and info.n_z > 1:
        parts.append(f"z {z + 1}")
    if c is not None and c < len(info.channels) and info.channels[c].name:
        parts.append(info.channels[c].name)
    return parts


def text_of_view(info: DatasetInfo, image: ImageInfo | None, view: View, volume: str) -> str:
    """Where a view is: position, time point and plane, as far as there are several.

    `volume` says how a volume is drawn.
    """
    if view.is_volume:
        of_stack = f"{VOLUME}   {volume}" if volume else VOLUME
    else:
        of_stack = stack_text(view.z if view.projection is None else view.projection, (image or info).n_z)
    return place_text(info, image, view.t, view.p, of_stack)


class Readout(NamedTuple):
    """What is said of the pixel under the mouse; `values` are of channels, in words."""

    where: str
    values: tuple[tuple[int, str], ...]
    more: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of the channels of `values`; none where there is only one."""

    def __str__(self) -> str:
        values = " | ".join(" ".join(each) for each in self._said(self.names))
        return "   ".join(part for part in (self.where, values, *self.more) if part)

    def _said(self, names: Sequence[str]) -> list[tuple[str, ...]]:
        if not names:
            return [(value,) for _, value in self.values]
        return [(_short(name), value) for name, (_, value) in zip(names, self.values, strict=True)]

    def choices(self, color_of: Callable[[int], str]) -> list[list[tuple[str, str]]]:
        """The same in pieces, values with the colour of their channel (`TextsInPlace`), ever shorter.

        First with the names of channels, then with what tells these apart, then without.
        """
        more = [(each, "") for each in self.more]
        said = [self._said(names) for names in (self.names, without_beginning(self.names), ())]
        return [
            [
                (self.where, ""),
                *((" ".join(each), color_of(c)) for each, (c, _) in zip(texts, self.values, strict=True)),
                *more,
            ]
            for texts in said
        ]


def readout_at(
    frame: Frame, names: Sequence[str], row: int, column: int, position: Position | None = None
) -> Readout | None:
    """The place and the values of the pixel at a row and column of level 0; None outside the picture.

    Values are exact; with the names of their channels if there are several. Of a projection it says which;
    of a `position` with known stage coordinates, where on the stage the pixel is.
    """
    y, x = frame.pixel(row + 0.5, column + 0.5)
    values = []
    for c, plane in frame.planes.items():
        pixels = plane.pixels
        if pixels is not None and 0 <= y < pixels.shape[0] and 0 <= x < pixels.shape[1]:
            values.append((c, exact_value(pixels[y, x])))
    if not values:
        return None
    where, image, more = f"x {column}  y {row}", frame.image, []
    if image is not None and image.pixel_size_um is not None:
        um_x = image.pixel_size_x_um or image.pixel_size_um
        um_y = image.pixel_size_y_um or image.pixel_size_um
        where += f"   ({column * um_x:.1f}, {row * um_y:.1f} µm)"
        if position is not None and position.x_um is not None and position.y_um is not None:
            stage_x = position.x_um + (column + 0.5 - image.width / 2) * um_x
            stage_y = position.y_um + (row + 0.5 - image.height / 2) * um_y
            more.append(f"stage {stage_x:.1f}, {stage_y:.1f} µm")
    if frame.view.projection is not None:
        more.insert(0, f"({projection_text(frame.view.projection, 1 if image is None else image.n_z)})")
    own = tuple(names[c] for c, _ in values) if len(frame.planes) > 1 else ()
    return Readout(where, tuple(values), tuple(more), own)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"


def exact_value(value: np.generic) -> str:
    """A pixel's value: whole numbers with all their digits, others as short as tells them apart."""
    return str(int(value)) if isinstance(value, np.bool_) else str(value)
