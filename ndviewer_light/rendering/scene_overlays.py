"""What lies over fields in a picture of all of them: labels, and colours of statistics with their legend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DatasetNotFoundError
from ..sources.source import LabelPart
from .annotations import font_of
from .label_picture import coloured, laid_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from PIL import Image, ImageDraw

    from ..engine.dataset import Dataset
    from .label_picture import LabelsChosen

    Box = tuple[int, int, int, int]
    Rgb = tuple[int, int, int]

TINT_ALPHA = 205
"""Of statistics over fields: their colours are read off, what lies below is recognised."""
UNKNOWN_TINT = (16, 17, 20, 150)
"""Over fields of which it is not known."""

_FIELDS_AT_ONCE = 64
_INK, _PLATE = (245, 246, 248), (0, 0, 0, 165)


class FieldTints(NamedTuple):
    """Colours of fields by a statistic, and the legend: a title, its ends in words, colours from low to high.

    The high end is "" where there is one value alone, with one colour.

    `colors(t)` are those of all positions at a time point, None where it is not known.
    """

    colors: Callable[[int], Sequence[Rgb | None]]
    title: str
    low: str
    high: str
    scale: Sequence[Rgb]


class SceneOver(NamedTuple):
    """What is drawn over fields: labels, colours by a statistic; None for none."""

    labels: LabelsChosen | None = None
    tints: FieldTints | None = None


NOTHING_OVER = SceneOver()


def tint(picture: Image.Image, box: Box, color: Rgb | None) -> None:
    """Colour a field by a statistic; None: not known, so that its picture stays, dimmed."""
    from PIL import Image

    inner = _inside(picture, box)
    if inner is not None:
        red, green, blue, alpha = (*color, TINT_ALPHA) if color is not None else UNKNOWN_TINT
        size = inner[2] - inner[0], inner[3] - inner[1]
        layer = Image.new("RGB", size, (red, green, blue))
        picture.paste(layer, inner[:2], Image.new("L", size, alpha))


def labels_of_fields(
    dataset: Dataset,
    chosen: LabelsChosen,
    at: tuple[int, int | str],
    boxes: Mapping[int, Box],
    picture: Image.Image,
) -> dict[int, tuple[Box, np.ndarray]]:
    """The labels of fields, by position: where they lie in the picture, and their picture (Y, X, 4).

    `at` is the time point and z, `boxes` are where fields lie. Reads. Raises `DatasetNotFoundError` if no
    field has labels of that name; fields without any are left out.
    """
    info, found = dataset.info, {}
    inner = {p: each for p, box in boxes.items() if (each := _inside(picture, box)) is not None}
    problem: Exception | None = None
    for batch in _batches(list(inner)):
        parts = []
        for p in batch:
            (left, top, right, bottom), box, image = inner[p], boxes[p], info.image(p)
            x, y = image.width / (box[2] - box[0]), image.height / (box[3] - box[1])
            area = (left - box[0]) * x, (top - box[1]) * y, (right - box[0]) * x, (bottom - box[1]) * y
            parts.append(LabelPart(p, *at, area, bottom - top, right - left))
        for p, seen in zip(batch, dataset.label_parts(chosen.name, parts), strict=True):
            if seen.values is not None:
                found[p] = inner[p], coloured(seen.values, seen.facts.colours, chosen.style)
            elif isinstance(seen.error, DatasetNotFoundError):
                problem = problem or seen.error
    if problem is not None and not found:
        raise problem
    return found


def _batches(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(positions), _FIELDS_AT_ONCE):
        yield positions[start : start + _FIELDS_AT_ONCE]


def lay_labels(picture: Image.Image, box: Box, labels: np.ndarray) -> None:
    """Lay the picture of labels over its place in a picture."""
    from PIL import Image

    below = np.asarray(picture.crop(box))
    picture.paste(Image.fromarray(laid_over(below, labels)), box[:2])


def _inside(picture: Image.Image, box: Box) -> Box | None:
    """The part of a box that is within the picture; None if nothing is."""
    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[2], picture.width), min(box[3], picture.height)
    return (left, top, right, bottom) if right > left and bottom > top else None


def room_for_legend(longest: int) -> int:
    """How many rows a legend takes below a picture of this longest edge."""
    size = _letters(longest)
    return 3 * size + size // 2 + size


def _bar_of(tints: FieldTints, size: int) -> int:
    """How long the colours of a legend are, px: of one colour, as long as wide."""
    return (size * 9 if tints.high else size) if tints.low else 0


def _letters(longest: int) -> int:
    return max(10, round(longest / 54))


def add_legend(picture: Image.Image, tints: FieldTints) -> None:
    """Write at the lower left what the colours of fields mean."""
    from PIL import ImageDraw

    size = _letters(max(picture.size))
    font, draw = font_of(size), ImageDraw.Draw(picture, "RGBA")
    gap, bar = size // 2, _bar_of(tints, size)
    height = 3 * size + gap
    x, y = min(size, picture.width // 16), picture.height - min(size, picture.height // 16) - height
    draw.rectangle((x, y, legend_end(picture, tints), y + height), fill=_PLATE)
    draw.text((x + gap, y + gap / 2), tints.title, font=font, fill=_INK)
    if bar:
        low = font.getlength(tints.low)
        _draw_scale(draw, tints, (x + gap, y + 1.7 * size), (low + gap, bar, gap), size)


def legend_end(picture: Image.Image, tints: FieldTints) -> int:
    """How far right in a picture the legend reaches, px."""
    size = _letters(max(picture.size))
    title, low, high = (font_of(size).getlength(text) for text in (tints.title, tints.low, tints.high))
    gap, bar = size // 2, _bar_of(tints, size)
    width: float = max(title, low + high + bar + 2 * gap) + 2 * gap
    return min(size, picture.width // 16) + math.ceil(width)


def _draw_scale(
    draw: ImageDraw.ImageDraw,
    tints: FieldTints,
    at: tuple[float, float],
    widths: tuple[float, float, float],
    size: int,
) -> None:
    (x, y), (before, bar, gap) = at, widths
    font = font_of(size)
    draw.text((x, y), tints.low, font=font, fill=_INK)
    start, n = x + before, len(tints.scale)
    for i, color in enumerate(tints.scale):
        left, right = start + bar * i / n, start + bar * (i + 1) / n
        draw.rectangle((left, y + size * 0.2, right, y + size * 1.1), fill=color)
    draw.text((start + bar + gap, y), tints.high, font=font, fill=_INK)
