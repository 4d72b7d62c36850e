"""NDTiff, as pycro-manager and ndstorage write it: an index says where in which file each plane is.

https://github.com/micro-manager/NDTiffStorage : each entry of ``NDTiff.index`` has the indices of a plane as
JSON, the file, the offset of its pixels there, and their format. Planes come in any order. Pure functions.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import CorruptDataError, LimitExceededError, UnsupportedError
from ..model import Channel, natural_key
from ..storage.limits import MAX_METADATA_BYTES
from .micromanager import NOWHERE
from .ome_xml import MAX_PLANES
from .tiff_layout import PageRun, TiffImage, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .micromanager import StageUm

INDEX = "NDTiff.index"
_RGB = 2
_TAIL = struct.Struct("<IiiiiIii")
_ROLES = {"time": "t", "channel": "c", "z": "z", "position": "p"}
_MAX_INDEX_TEXT = 64 * 1024
_SUMMARY_MARK = 2_355_492

Indices = dict[str, "int | str"]


class IndexEntry(NamedTuple):
    """One plane: its indices by axis, the file, where its pixels and its metadata are."""

    axes: Indices
    file: str
    offset: int
    width: int
    height: int
    pixel_type: int
    metadata_at: int
    metadata_length: int


def index_entries(data: bytes, name: str) -> list[IndexEntry]:
    """The entries of an index; one that is incomplete, because it is being written, ends it.

    Raises `CorruptDataError` if there is none, `UnsupportedError` for compressed pixels.
    """
    found: list[IndexEntry] = []
    at = 0
    while at < len(data):
        axes, at = _text(data, at)
        file, at = _text(data, at)
        if axes is None or file is None or at + _TAIL.size > len(data):
            break
        offset, width, height, kind, compression, metadata_at, length, _ = _TAIL.unpack_from(data, at)
        at += _TAIL.size
        indices = _indices(axes)
        if indices is None or file in ("", ".", "..") or any(mark in file for mark in "/\\:\0"):
            raise CorruptDataError(f"{name} is damaged: entry {len(found)} is invalid")
        if compression:
            raise UnsupportedError(f"{name}: compressed NDTiff is not supported")
        found.append(IndexEntry(indices, file, offset, width, height, kind, metadata_at, length))
        if len(found) > MAX_PLANES:
            raise LimitExceededError(f"{name} lists more than {MAX_PLANES} planes")
    if not found:
        raise CorruptDataError(f"{name} lists no plane")
    return found


def _text(data: bytes, at: int) -> tuple[str | None, int]:
    if at < 0 or at + 4 > len(data):
        return None, -1
    (n,) = struct.unpack_from("<I", data, at)
    if n > _MAX_INDEX_TEXT or at + 4 + n > len(data):
        return None, -1
    return data[at + 4 : at + 4 + n].decode("utf-8", "replace"), at + 4 + n


def _indices(text: str) -> Indices | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    return {str(axis): value for axis, value in said.items() if isinstance(value, int | str)}


def ndtiff_images(
    entries: Sequence[IndexEntry],
    name: str,
    steps: Mapping[str, float | None],
    position_of: Callable[[IndexEntry], StageUm] = lambda entry: NOWHERE,
) -> list[TiffImage]:
    """An image for each position (and whatever other axes there are), with all of its planes.

    `position_of`: where a plane was acquired; asked of the first of each image, where there are several.
    """
    groups: dict[tuple[Any, ...], list[IndexEntry]] = {}
    for entry in entries:
        place = tuple((axis, entry.axes[axis]) for axis in sorted(entry.axes) if _ROLES.get(axis, "p") == "p")
        groups.setdefault((*place, entry.height, entry.width, entry.pixel_type), []).append(entry)
    channels = _in_order(entry.axes.get("channel", "") for entry in entries)
    times, z = (_in_order(entry.axes.get(axis, 0) for entry in entries) for axis in ("time", "z"))
    n_places = len(groups)
    images = []
    for place in sorted(groups, key=_place_key):
        mine = groups[place]
        sizes = {"t": len(times), "c": len(channels), "z": len(z)}
        numbers = {}
        for entry in mine:
            t, c = times[entry.axes.get("time", 0)], channels[entry.axes.get("channel", "")]
            number = (t * sizes["c"] + c) * sizes["z"] + z[entry.axes.get("z", 0)]
            numbers[number] = entry  # a plane that was acquired again is the later one
        runs = tuple(PageRun(n, 1, 0, numbers[n].file, offset=numbers[n].offset) for n in sorted(numbers))
        first = mine[0]
        samples = 3 if first.pixel_type == _RGB else 1
        image = TiffImage(
            tuple((role, n) for role, n in sizes.items() if n > 1),
            ("y", first.height),
            ("x", first.width),
            ("s" if samples > 1 else "", samples),
            runs,
            INDEX,
            _name_of(place[:-3]) if n_places > 1 else "",
            is_colour=samples > 1,
            channels=tuple(Channel(name if isinstance(name, str) else "", "") for name in channels),
            steps=dict(steps),
            position_um=position_of(first) if n_places > 1 else NOWHERE,
            documents={n: (at.metadata_at, at.metadata_length) for n, at in numbers.items()},
            is_incomplete=len(runs) < sizes["t"] * sizes["c"] * sizes["z"],
        )
        images.append(checked(image, name))
    return images


def _in_order(values: Iterable[int | str]) -> dict[int | str, int]:
    """The index of each value: numbers by value, names as they appear first."""
    found = list(dict.fromkeys(values))
    if all(isinstance(value, int) for value in found):
        found.sort()
    return {value: i for i, value in enumerate(found)}


def _place_key(place: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((axis, natural_key(str(value))) for axis, value in place[:-3]), place[-3:]


def _name_of(place: tuple[tuple[str, int | str], ...]) -> str:
    values = [
        str(value) if isinstance(value, str) or axis == "position" else f"{axis} {value}"
        for axis, value in place
    ]
    if len(values) == 1 and values[0].isdecimal():
        return f"Pos{values[0]}"
    return " ".join(values)


def summary_range(head: bytes) -> tuple[int, int] | None:
    """Where the summary metadata of a file are, by its first 28 bytes; None if it has none.

    Behind the header of version 3, or of version 2, which has no minor version.
    """
    if len(head) < 28:
        return None
    numbers = struct.unpack_from("<7I", head)
    for at in (5, 4):
        if numbers[at] == _SUMMARY_MARK and 1 < numbers[at + 1] <= MAX_METADATA_BYTES:
            return 4 * (at + 2), numbers[at + 1]
    return None
