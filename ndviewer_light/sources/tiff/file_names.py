"""Parses and builds the names of image files. No disk access.

============  ==========================================  =====================================
form          file, in the experiment folder              what its name contains
============  ==========================================  =====================================
images        ``<t>/<region>_<fov>_<z>_<channel>.tiff``   everything (also .tif, .png, .bmp)
stacks        ``<t>/<region>_<fov>_stack.tiff``           time and position
ome           ``ome_tiff/<region>_<fov>.ome.tiff``        position (and time, if inside ``<t>/``)
============  ==========================================  =====================================

Numbers may be zero-padded, extensions in any case, and regions may contain underscores.
"""

from __future__ import annotations

import os
import re
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ...storage.decoding.tiff_pages import TIFF_ENDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")

OME_FOLDER = "ome_tiff"
SINGLE_IMAGE_ENDS = (*TIFF_ENDS, ".png", ".bmp")

_NOT_ACQUIRED = ("laser af camera", "focus_camera")
"""What the autofocus cameras leave beside the images."""

_NUMBERS = re.compile(r"(?=_([0-9]+)_([0-9]+)_.)", re.DOTALL)
_MAY_HOLD_NUMBERS = re.compile(r"[0-9]+_|.*_[0-9]+_[0-9]+_", re.DOTALL)
_STACK = re.compile(r"(.+)_([0-9]+)_stack(\.tiff?)", re.DOTALL | re.IGNORECASE)
_OME = re.compile(r"(.+?)(?:_([0-9]+))?(\.ome\.tiff?)", re.DOTALL | re.IGNORECASE)


class ImageName(NamedTuple):
    """The name of an image file in parts as written; `channel` is "" if the file contains several."""

    region: str
    fov: str
    z: str
    channel: str
    end: str


class NameReader:
    """Parses the names of single images.

    If underscores make a name ambiguous, `regions` and `channels` (as in file names) decide;
    without them, the last two adjacent numbers are field of view and z.
    """

    def __init__(self, regions: Iterable[str] = (), channels: Iterable[str] = ()) -> None:
        self._regions = frozenset(regions)
        self._channels = frozenset(channels)
        self._tails: dict[str, tuple[str, str] | None] = {}

    def read(self, name: str) -> ImageName | None:
        """The parts of a name; None if it is not that of an acquired image."""
        parts = name.split("_", 3)  # a run has hundreds of thousands of names, nearly all like this
        if len(parts) < 4 or not (parts[1].isdecimal() and parts[2].isdecimal() and name.isascii()):
            return self._choose(name)
        region, fov, z, tail = parts
        try:
            known = self._tails[tail]
        except KeyError:
            known = self._tails[tail] = self._channel_and_end(tail)
        return self._choose(name) if known is None or region[:1] in "." else ImageName(region, fov, z, *known)

    def _channel_and_end(self, tail: str) -> tuple[str, str] | None:
        """Channel and extension; None if the whole name is needed to tell."""
        channel, end = os.path.splitext(tail)
        if end.lower() not in SINGLE_IMAGE_ENDS or _MAY_HOLD_NUMBERS.match(tail) or not is_acquired(tail):
            return None
        return channel, end

    def _choose(self, name: str) -> ImageName | None:
        stem, end = os.path.splitext(name)
        if (
            end.lower() not in SINGLE_IMAGE_ENDS
            or not is_acquired(name)
            or stack_name(name)
            or name[:1] == "."
        ):
            return None
        ways = [
            ImageName(stem[: match.start()], match[1], match[2], stem[match.end(2) + 1 :], end)
            for match in _NUMBERS.finditer(stem)
        ]
        ways = [way for way in ways if way.region and way.channel]
        return max(enumerate(ways), key=lambda way: (self._known(way[1]), way[0]))[1] if ways else None

    def _known(self, way: ImageName) -> int:
        return 2 * (base_channel(way.channel) in self._channels or way.channel in self._channels) + (
            way.region in self._regions
        )


def is_acquired(name: str) -> bool:
    """Whether an image was acquired: not hidden, and not from an autofocus camera."""
    return name[:1] != "." and not os.path.splitext(name)[0].lower().endswith(_NOT_ACQUIRED)


def base_channel(channel: str) -> str:
    """The channel of an image with one or all of its colours: the name without ``_R``, … ``_RGB``."""
    base, _, color = channel.rpartition("_")
    return base if color in ("R", "G", "B", "RGB") else channel


def stack_name(name: str) -> ImageName | None:
    """The parts of a stack's name; None if it is not one."""
    match = _STACK.fullmatch(name)
    return None if match is None or name[0] == "." else ImageName(match[1], match[2], "", "", match[3])


def ome_name(name: str) -> ImageName | None:
    """The parts of an OME-TIFF's name; None if it is not one. Without a number it is field of view 0."""
    match = _OME.fullmatch(name)
    return None if match is None or name[0] == "." else ImageName(match[1], match[2] or "", "", "", match[3])


class Spelling(NamedTuple):
    """How names are written: zero-padded widths of numbers, extensions; likeliest first."""

    widths: tuple[int, ...] = (1,)
    ends: tuple[str, ...] = SINGLE_IMAGE_ENDS

    def seen(self, *numbers: str, end: str = "") -> Spelling:
        """The spelling extended by what a name shows; itself if nothing is new."""
        # "12" reveals nothing about padding, "07" does
        widths = [len(number) for number in numbers if len(number) > 1 and number[0] == "0"]
        if all(width in self.widths for width in widths) and (not end or self.ends[:1] == (end,)):
            return self
        ends = (end, *self.ends) if end else self.ends
        return Spelling(_first_of_each((*widths, *self.widths)), _first_of_each(ends))

    def numbers(self, *values: int) -> Iterator[tuple[str, ...]]:
        """All ways to write these numbers; those with equal padding first, as Squid writes them."""
        ways = sorted(product(self.widths, repeat=len(values)), key=lambda way: len(set(way)))
        yield from dict.fromkeys(
            tuple(str(value).zfill(width) for value, width in zip(values, way, strict=True)) for way in ways
        )


def _first_of_each(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))


def is_number(name: str) -> bool:
    """Whether a folder name is that of a time point."""
    return name.isdecimal() and name.isascii()


def is_file_name(name: str) -> bool:
    """Whether a name built from a host's parts stays inside its folder."""
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\\0")
