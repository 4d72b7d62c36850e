"""Where the names of rows, columns and wells are in a picture of all fields, and writing them on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from ..engine.scene import FieldScene, Viewport

LEAST_NAMED_PX = 64
"""A well that is narrower has no name of its own."""
NAME_HIGH_PX = 16
NAME_LETTERS_PX = 11
"""The size of letters."""
_MOST_NAMES = 400
NAME_BAND, NAME_BAND_INK = (16, 17, 20, 170), (150, 155, 165)
"""Colours of the names along the edges."""
_PLATE, _INK = (0, 0, 0, 165), (245, 246, 248)


class PlacedName(NamedTuple):
    """A name, and the box that it is in the middle of (left, top, width, height), px."""

    text: str
    left: float
    top: float
    width: float
    height: float = NAME_HIGH_PX


def names_along_edges(scene: FieldScene, viewport: Viewport) -> list[PlacedName]:
    """Those of rows and columns that are seen whole, where there is room: left of the plate, and above it."""
    left, top = viewport.to_screen(*scene.bounds[:2])
    beside, above = max(0.0, left - 26), max(1.0, top - 19)
    found = []
    for is_row, labels in ((False, scene.columns), (True, scene.rows)):
        if len(labels) < 2:
            continue
        pitch = (labels[1][1] - labels[0][1]) / viewport.um_per_px
        step = max(1, -int(-(13 if is_row else 20) // max(pitch, 0.1)))
        first, last = scene.bounds[is_row], scene.bounds[2 + is_row]
        for name, at in labels[::step]:
            if not first <= at <= last:
                continue  # a row of the plate beside those that hold anything
            x, y = viewport.to_screen(at, at)
            if is_row and 6 <= y <= viewport.height - 6:
                found.append(PlacedName(name, beside, y - 8, 24))
            elif not is_row and 8 <= x <= viewport.width - 8:
                found.append(PlacedName(name, x - 14, above, 28))
    return found


def names_in_wells(scene: FieldScene, viewport: Viewport) -> list[tuple[str, float, float]]:
    """Those of wells that are large enough and in view: text, left, top."""
    if scene.widest_well / viewport.um_per_px < LEAST_NAMED_PX:
        return []
    left, top, right, bottom = viewport.edges
    shown = [
        well
        for well in scene.wells
        if (well.edges[2] - well.edges[0]) / viewport.um_per_px >= LEAST_NAMED_PX
        and well.edges[0] < right
        and well.edges[2] > left
        and well.edges[1] < bottom
        and well.edges[3] > top
    ]
    found = []
    for well in shown[:_MOST_NAMES]:
        place = place_of_name(well.edges, viewport, is_plate=scene.is_plate)
        if place is not None:
            found.append((well.name, *place))
    return found


def place_of_name(
    edges: tuple[float, float, float, float], viewport: Viewport, *, is_plate: bool
) -> tuple[float, float] | None:
    """Where the name of a well begins on the screen; None where what is in view of it has no room for it.

    `is_plate`: names of columns are along the top edge, and those of rows along the left.
    """
    left, top, right, _ = viewport.edges
    if (min(edges[2], right) - max(edges[0], left)) / viewport.um_per_px < LEAST_NAMED_PX:
        return None
    x, y = viewport.to_screen(max(edges[0], left), max(edges[1], top))
    x += 3 + (20 if x < 16 and is_plate else 0)
    y += 3 + (18 if y < 16 and is_plate else 0)
    _, end = viewport.to_screen(edges[2], edges[3])
    is_cut = edges[1] < top  # else a flat one, whose name may reach beyond it
    return None if is_cut and y + NAME_HIGH_PX > end else (x, y)


def write_names(picture: Image.Image, scene: FieldScene, viewport: Viewport) -> None:
    """Write them on a picture as the window does."""
    from PIL import ImageDraw

    from .annotations import font_of

    draw, font = ImageDraw.Draw(picture, "RGBA"), font_of(NAME_LETTERS_PX)

    def write(name: PlacedName, plate: tuple[int, ...], ink: tuple[int, ...]) -> None:
        left, top, width, height = name[1:]
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=plate)
        draw.text((left + width / 2, top + height / 2), name.text, font=font, fill=ink, anchor="mm")

    for name in names_along_edges(scene, viewport) if scene.is_plate else ():
        write(name, NAME_BAND, NAME_BAND_INK)
    for text, x, y in names_in_wells(scene, viewport):
        write(PlacedName(text, x, y, draw.textlength(text, font=font) + 8), _PLATE, _INK)
