"""The picture of labels (masks): each value in a colour of its own, as fill or outline. Pure functions.

Labels are sampled at the pixels of the picture, by the nearest one, and outlined there: so an outline is as
wide at any zoom.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..model import Rgba

_COLOURS = 4096
"""Labels whose values differ by less have different colours."""
OUTLINE = 2
"""How wide that of each label is, in pixels of the picture."""
_GOLDEN = 0.6180339887498949


class LabelStyle(NamedTuple):
    """How labels are drawn; `opacity` from 0 to 1 is multiplied by that of a label's own colour."""

    outline: bool = False
    opacity: float = 0.5


class LabelsChosen(NamedTuple):
    """Which labels are drawn ("": none), and how."""

    name: str = ""
    style: LabelStyle = LabelStyle()


def coloured(labels: np.ndarray, colours: Mapping[int, Rgba], style: LabelStyle) -> np.ndarray:
    """The picture of whole numbers (Y, X): red, green, blue, opacity, (Y, X, 4) uint8. 0 is transparent.

    `colours` are those that the metadata give; other values have colours of a fixed series.
    """
    drawn = labels != 0
    if style.outline:
        drawn &= _edges(labels)
    picture = np.zeros((*labels.shape, 4), np.uint8)
    values = labels[drawn].astype(np.int64)  # the largest of 64 bits become negative, and stay different
    if values.size:
        shown = _series()[values & (_COLOURS - 1)]
        if colours:
            _take_own(shown, values, colours)
        see_through = 1 - float(np.clip(style.opacity, 0, 1))
        # an outline covers little: drawn as faint as a fill it would not be seen
        opacity = 1 - see_through**2 if style.outline else 1 - see_through
        shown[:, 3] = np.rint(shown[:, 3] * opacity)
        picture[drawn] = shown
    return picture


def laid_over(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A picture (Y, X, 3) uint8 with the picture of labels (Y, X, 4) uint8 on it."""
    share = labels[..., 3:].astype(np.float32) / 255
    mixed = picture * (1 - share) + labels[..., :3] * share
    rounded: np.ndarray = np.rint(mixed).astype(np.uint8)
    return rounded


def _edges(labels: np.ndarray) -> np.ndarray:
    """Pixels less than `OUTLINE` pixels above, below, left or right of one of another value."""
    edges = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        along, on = np.moveaxis(labels, axis, 0), np.moveaxis(edges, axis, 0)
        for step in range(1, OUTLINE + 1):
            differ = along[step:] != along[:-step]
            on[step:] |= differ
            on[:-step] |= differ
    return edges


def _take_own(shown: np.ndarray, values: np.ndarray, colours: Mapping[int, Rgba]) -> None:
    """Replace the colours `shown` of `values` by those that the metadata give."""
    by_value = {_signed(value): rgba for value, rgba in colours.items() if -(2**63) <= value < 2**64}
    own = np.array(sorted(by_value), np.int64)
    if not own.size:
        return
    table = np.array([by_value[value] for value in own.tolist()], np.uint8)
    place = np.minimum(np.searchsorted(own, values), len(own) - 1)
    is_own = own[place] == values
    shown[is_own] = table[place[is_own]]


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


@cache
def _series() -> np.ndarray:
    """Colours that differ much from one to the next: hues by the golden ratio, three tones; (n, 4) uint8."""
    n = np.arange(_COLOURS)
    hue = (n * _GOLDEN) % 1.0
    tone = n % 3
    saturation = np.choose(tone, (0.9, 0.65, 0.8))
    value = np.choose(tone, (1.0, 0.95, 0.8))
    parts = [
        value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
        for k in ((shift + hue * 6) % 6 for shift in (5, 3, 1))
    ]
    rgb = np.rint(np.stack(parts, axis=1) * 255).astype(np.uint8)
    return np.concatenate([rgb, np.full((_COLOURS, 1), 255, np.uint8)], axis=1)
