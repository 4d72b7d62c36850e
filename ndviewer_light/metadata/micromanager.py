"""Micro-Manager's multi-page TIFF: its own index says which plane each page is. Pure functions, no I/O.

https://micro-manager.org/Micro-Manager_File_Formats : the index map lists channel, slice, frame, position and
the offset of each page; the summary names the channels. Pages are in the order in which they were acquired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..model import Channel
from ..storage.limits import MAX_CHANNELS
from .tiff_layout import PageRun, TiffImage, checked, with_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..storage.decoding.ifd_chain import PageFacts

MICROMANAGER = "Micro-Manager's index map"
"""The `kind` of such images."""
MICROMANAGER_TAG = 51123
"""Of each page: what was set while it was acquired."""

_ROLES = ("c", "z", "t", "p")
_COLUMNS = ("Channel", "Slice", "Frame", "Position", "Offset")
_MOST_LETTERS = 200


def micromanager_image(
    said: Mapping[str, Any], offsets: Sequence[int], facts: Sequence[PageFacts], name: str
) -> TiffImage | None:
    """The image of a file; None if it has no index map, or one that does not list its pages."""
    index = said.get("IndexMap")
    if isinstance(index, dict) and set(_COLUMNS) <= set(index):  # tifffile before 2023
        index = np.stack([np.asarray(index[column]) for column in _COLUMNS], axis=-1)
    if not isinstance(index, np.ndarray) or index.ndim != 2 or index.shape[1] != 5 or not len(index):
        return None
    page_of = {offset: page for page, offset in enumerate(offsets)}
    rows = [(row[:4], page_of[row[4]]) for row in index.tolist() if row[4] in page_of]
    first = facts[rows[0][1]] if rows else None
    if first is None or len(rows) < len(index) or any(facts[page] != first for _, page in rows):
        return None
    used = {role: sorted({at[i] for at, _ in rows}) for i, role in enumerate(_ROLES)}
    numbers: dict[int, int] = {}
    for at, page in rows:
        number = 0
        for role in ("p", "t", "c", "z"):
            values = used[role]
            number = number * len(values) + values.index(at[_ROLES.index(role)])
        numbers[number] = page
    if len(numbers) < len(rows):  # two pages for one plane
        return None
    runs: list[PageRun] = []
    for number, page in sorted(numbers.items()):
        last = runs[-1] if runs else None
        if last is not None and (number, page) == (last.first + last.n, last.page + last.n):
            runs[-1] = last._replace(n=last.n + 1)
        else:
            runs.append(PageRun(number, 1, page))
    outer = tuple((role, len(used[role])) for role in ("p", "t", "c", "z") if len(used[role]) > 1)
    summary = said.get("Summary")
    summary = summary if isinstance(summary, dict) else {}
    image = TiffImage(
        outer,
        ("y", first.height),
        ("x", first.width),
        ("s" if first.samples > 1 else "", first.samples),
        tuple(runs),
        MICROMANAGER,
        channels=tuple(_channel(summary, c) for c in used["c"]),
        steps=summary_steps(summary),
        is_incomplete=len(numbers) < np.prod([n for _, n in outer], dtype=int),
    )
    return checked(with_samples(image, first), name)


def summary_channels(summary: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The channels that the summary metadata name."""
    names = summary.get("ChNames")
    return tuple(
        _channel(summary, c) for c in range(min(len(names), MAX_CHANNELS) if isinstance(names, list) else 0)
    )


def _channel(summary: Mapping[str, Any], c: int) -> Channel:
    names, colours = summary.get("ChNames"), summary.get("ChColors")
    name = names[c] if isinstance(names, list) and c < len(names) else ""
    colour = colours[c] if isinstance(colours, list) and c < len(colours) else None
    is_colour = (
        isinstance(colour, int) and not isinstance(colour, bool) and colour % 2**24 not in (0, 0xFFFFFF)
    )
    return Channel(
        " ".join(name.split())[:_MOST_LETTERS] if isinstance(name, str) else "",
        f"#{colour % 2**24:06X}" if is_colour and isinstance(colour, int) else "",
    )


def summary_steps(*said: object) -> dict[str, float | None]:
    """Steps in µm and s by the summary, and by the metadata of a plane; the last that says so wins."""
    both: dict[str, Any] = {}
    for each in said:
        both |= each if isinstance(each, dict) else {}

    def positive(*keys: str, factor: float = 1.0) -> float | None:
        for key in keys:
            value = both.get(key)
            if isinstance(value, int | float) and 0 < value < 1e9:
                return value * factor
        return None

    pixel = positive("PixelSizeUm", "PixelSize_um")
    return {
        "x": pixel,
        "y": pixel,
        "z": positive("z-step_um", "ZStepUm"),
        "t": positive("Interval_ms", factor=1e-3),
    }
