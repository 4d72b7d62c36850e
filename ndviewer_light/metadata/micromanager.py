"""Micro-Manager's multi-page TIFF: its own index says which plane each page is. Pure functions, no I/O.

https://micro-manager.org/Micro-Manager_File_Formats : the index map lists channel, slice, frame, position and
the offset of each page; the summary names the channels. Pages are in the order in which they were acquired.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

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
_MOST_NAME_LETTERS = 200


StageUm = tuple[float | None, float | None, float | None]
"""x, y and z on the stage, in µm."""
NOWHERE: StageUm = (None, None, None)


class StackFile(NamedTuple):
    """A file of a set: what it is called, what Micro-Manager wrote into it, and its pages."""

    name: str
    said: Mapping[str, Any]
    offsets: Sequence[int]
    facts: Sequence[PageFacts]


def micromanager_image(
    said: Mapping[str, Any], offsets: Sequence[int], facts: Sequence[PageFacts], name: str
) -> TiffImage | None:
    """The image of a file; None if it has no index map, or one that does not list its pages."""
    rows = _rows(StackFile("", said, offsets, facts))
    return None if rows is None else _image(rows, facts[rows[0].page], said, name)


def micromanager_stacks(files: Sequence[StackFile], name: str) -> list[TiffImage]:
    """The images of several files, by position; one that is too large for a file continues in the next.

    An image is called as its first file is. Files without an index map are left out.
    """
    stacks: dict[int, tuple[StackFile, list[_IndexRow]]] = {}
    for file in files:
        for row in _rows(file) or ():
            stacks.setdefault(row.position, (file, []))[1].append(row)
    images = []
    for _, (first, rows) in sorted(stacks.items()):
        image = _image(rows, first.facts[rows[0].page], first.said, name)
        if image is not None:
            images.append(replace(image, name=first.name))
    return images


class _IndexRow(NamedTuple):
    """A row of an index map: the plane, by the order of `_ROLES`, and its page."""

    at: tuple[int, ...]
    file: str
    page: int

    @property
    def position(self) -> int:
        return self.at[_ROLES.index("p")]


def _rows(file: StackFile) -> list[_IndexRow] | None:
    """The rows of the index map of a file, if it lists pages that are all alike."""
    index = file.said.get("IndexMap")
    if isinstance(index, dict) and set(_COLUMNS) <= set(index):  # tifffile before 2023
        index = np.stack([np.asarray(index[column]) for column in _COLUMNS], axis=-1)
    if not isinstance(index, np.ndarray) or index.ndim != 2 or index.shape[1] != 5 or not len(index):
        return None
    page_of = {offset: page for page, offset in enumerate(file.offsets)}
    rows = [
        _IndexRow(tuple(row[:4]), file.name, page_of[row[4]]) for row in index.tolist() if row[4] in page_of
    ]
    first = file.facts[rows[0].page] if rows else None
    if first is None or len(rows) < len(index) or any(file.facts[row.page] != first for row in rows):
        return None
    return rows


def _image(
    rows: Sequence[_IndexRow], first: PageFacts, said: Mapping[str, Any], name: str
) -> TiffImage | None:
    """The image with these planes; None if two pages are of one plane."""
    used = {role: sorted({row.at[i] for row in rows}) for i, role in enumerate(_ROLES)}
    numbers: dict[int, _IndexRow] = {}
    for row in rows:
        number = 0
        for role in ("p", "t", "c", "z"):
            values = used[role]
            number = number * len(values) + values.index(row.at[_ROLES.index(role)])
        numbers[number] = row
    if len(numbers) < len(rows):
        return None
    runs: list[PageRun] = []
    for number, row in sorted(numbers.items()):
        last = runs[-1] if runs else None
        follows = last is not None and (last.first + last.n, last.page + last.n) == (number, row.page)
        if last is not None and follows and last.file == row.file:
            runs[-1] = last._replace(n=last.n + 1)
        else:
            runs.append(PageRun(number, 1, row.page, row.file))
    outer = tuple((role, len(used[role])) for role in ("p", "t", "c", "z") if len(used[role]) > 1)
    summary = said.get("Summary")
    summary = summary if isinstance(summary, dict) else {}
    listed = listed_positions(summary)
    image = TiffImage(
        outer,
        ("y", first.height),
        ("x", first.width),
        ("s" if first.samples > 1 else "", first.samples),
        tuple(runs),
        MICROMANAGER,
        channels=tuple(_channel(summary, c) for c in used["c"]),
        steps=summary_steps(summary),
        position_um=listed[used["p"][0]][1]
        if len(used["p"]) == 1 and used["p"][0] < len(listed)
        else NOWHERE,
        is_incomplete=len(numbers) < np.prod([n for _, n in outer], dtype=int),
    )
    return checked(with_samples(image, first), name)


def listed_positions(summary: Mapping[str, Any]) -> list[tuple[str, StageUm]]:
    """The positions that summary metadata of version 2 or 1.4 list: what each is called, and where it is."""
    for key in ("StagePositions", "InitialPositionList"):
        listed = summary.get(key)
        if isinstance(listed, list) and listed:
            return [_position(each if isinstance(each, dict) else {}) for each in listed]
    return []


def _position(said: Mapping[str, Any]) -> tuple[str, StageUm]:
    label, devices, places = said.get("Label"), said.get("DevicePositions"), said.get("DeviceCoordinatesUm")
    found: dict[str, object] = dict(places) if isinstance(places, dict) else {}
    for each in devices if isinstance(devices, list) else ():
        if isinstance(each, dict):
            found[str(each.get("Device"))] = each.get("Position_um")
    xy = _numbers(found, str(said.get("DefaultXYStage")), 2) or (None, None)
    z = _numbers(found, str(said.get("DefaultZStage")), 1) or (None,)
    return label if isinstance(label, str) else "", (xy[0], xy[1], z[0])


def _numbers(devices: Mapping[str, object], wanted: str, n: int) -> tuple[float, ...] | None:
    """The coordinates of the wanted device, else of the first one that has so many."""
    for each in (devices.get(wanted), *devices.values()):
        if isinstance(each, list) and len(each) == n and all(map(_is_length, each)):
            return tuple(map(float, each))
    return None


def _is_length(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def plane_position(said: object) -> StageUm:
    """Where a plane was acquired, by its own metadata, as far as these say so; else as intended."""
    own = said if isinstance(said, dict) else {}

    def along(axis: str) -> float | None:
        for ending in ("PositionUm", "Position_um", "Position_um_Intended"):
            value: Any = own.get(axis + ending)
            if _is_length(value):
                return float(value)
        return None

    return along("X"), along("Y"), along("Z")


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
        " ".join(name.split())[:_MOST_NAME_LETTERS] if isinstance(name, str) else "",
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
